"""Layers without a rule of their own: read from Keras's signatures, resolved through Keras, built and trained alike."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from specbuild import SpecError, build_graph, build_model, load_spec
from specbuild.catalog import KINDS, ShapeError
from specbuild.catalog.generic import UNWRITABLE, WRAPPERS, keras_kind
from specbuild.catalog.registry import kind_named, kind_names
from specbuild.catalog.signatures import names
from specbuild.cli import main
from specbuild.graph import build_graph as static_graph
from specbuild.graph.summary import summarize
from specbuild.graph.tables import summary_text
from specbuild.model.backend import keras
from specbuild.model.resolve import KerasResolver
from tests.test_imports import VERB, last_lines

ONE_INPUT: dict[str, tuple[str, str]] = {
    "adaptive pooling": ("{layer: AdaptiveAveragePooling2D, output_size: [2, 3]}", "[8, 8, 3]"),
    "augmentation": ("{layer: RandomFlip, mode: horizontal, seed: 3}", "[8, 8, 3]"),
    "resizing": ("{layer: Resizing, height: 4, width: 5, interpolation: nearest}", "[8, 8, 3]"),
    "normalization": ("{layer: Normalization, mean: 1.5, variance: 2}", "[8, 3]"),
    "on every frame": ("{time_distributed: {layer: CenterCrop, height: 4, width: 4}}", "[5, 8, 8, 3]"),
    "an argument named like a method": (
        '{layer: EinsumDense, equation: "abc,cd->abd", output_shape: [5, 4], bias_axes: d, kernel_initializer: zeros}',
        "[5, 6]",
    ),
    "frozen": ("{layer: ReversibleEmbedding, input_dim: 9, output_dim: 2, trainable: false}", "[5]"),
    "an alias": ("{layer: AvgPool2D, pool_size: 2}", "[8, 8, 3]"),
}

ATTENTION = """\
specbuild: 1
inputs: {x: [6, 5], y: [4, 3]}
layers:
  - {id: own, layer: MultiHeadAttention, num_heads: 2, key_dim: 3, output_shape: 7, from: [x, x]}
  - {id: cross, layer: MultiHeadAttention, num_heads: 2, key_dim: 3, from: [own, y]}
  - {id: pair, layer: Attention, use_scale: true, from: [cross, own]}
"""


def text(node: str, shape: str) -> str:
    return f"specbuild: 1\ninputs: {{x: {shape}}}\nlayers:\n  - {node}\n"


def errors(spec: str) -> list[tuple[str, str, str]]:
    with pytest.raises(SpecError) as caught:
        build_graph(spec)
    return [(one.message, one.reason, one.help) for one in caught.value.diagnostics]


@pytest.mark.parametrize(("node", "shape"), ONE_INPUT.values(), ids=ONE_INPUT)
def test_the_graph_says_what_keras_builds(node: str, shape: str) -> None:
    spec = text(node, shape)
    graph, model = build_graph(spec), build_model(spec)
    assert model.output_shape[1:] == graph.outputs[0].shape
    assert model.count_params() == graph.parameters
    assert sum(int(np.prod(w.shape)) for w in model.trainable_weights) == graph.trainable_parameters
    assert build_model(load_spec(spec).resolved()).to_json() == model.to_json()


def test_several_tensors_are_arguments_of_the_call() -> None:
    graph, model = build_graph(ATTENTION), build_model(ATTENTION)
    assert [node.shape for node in graph.nodes] == [(6, 7), (6, 7), (6, 7)]
    assert graph.resolved_by_keras == ("own", "cross", "pair")
    assert model.count_params() == graph.parameters
    rng = np.random.default_rng(0)
    x, y = rng.random((2, 6, 5), "float32"), rng.random((2, 4, 3), "float32")
    own, cross, pair = (model.get_layer(name) for name in ("own", "cross", "pair"))
    first = own(x, x)
    second = cross(first, y)
    np.testing.assert_allclose(model([x, y]), pair([second, first]), atol=1e-6)


def test_flops_are_unknown_and_shown_so() -> None:
    graph = build_graph(ATTENTION)
    assert graph.flops is None
    assert all(node.flops is None for node in graph.nodes)


def test_what_is_known_is_summed_up() -> None:
    layers = "[{id: all, layer: Dense, units: 4}, {id: odd, layer: Discretization, bin_boundaries: [0.0, 1.0]}]"
    spec = f"specbuild: 1\ninputs: {{x: [6, 3]}}\nlayers: {layers}\n"
    summary = summarize(build_graph(spec), batch=1)
    assert (summary.flops, summary.flops_unknown) == (6 * 4 * (2 * 3 + 1), ("odd",))
    assert "FLOPs: at least 168 for one sample, forward; unknown for odd" in summary_text(summary, 100)


@pytest.mark.parametrize(
    ("arguments", "flops"),
    [
        ('equation: "...x,xy->...y", output_shape: 4, bias_axes: y', 7 * 5 * 4 * (2 * 3 + 1)),
        ('equation: "abcd,cde->abe", output_shape: [null, 6]', 7 * 6 * 2 * 5 * 3),
    ],
)
def test_flops_of_an_equation(arguments: str, flops: int) -> None:
    graph = build_graph(f"specbuild: 1\ninputs: {{x: [7, 5, 3]}}\nlayers: [{{layer: EinsumDense, {arguments}}}]\n")
    assert graph.flops == flops


def test_flops_of_a_published_network() -> None:
    """2 × 300 million multiply-adds (Sandler et al. 2018, arXiv 1801.04381, table 4), and what else counts."""
    graph = build_graph("specbuild: 1\ninputs: {x: [224, 224, 3]}\nlayers: [{application: MobileNetV2}]\n")
    assert graph.flops is not None
    assert 2 * 300e6 < graph.flops < 2 * 310e6


def test_check_names_the_layers_that_keras_was_asked_about(tmp_path: Path) -> None:
    path = tmp_path / "attention.yaml"
    path.write_text(ATTENTION, "utf-8")
    result = CliRunner().invoke(main, ["check", str(path)])
    assert result.exit_code == 0
    assert result.output.splitlines() == [
        f"{path}: ok (3 layers, 303 parameters)",
        "resolved through Keras: own, cross, pair",
    ]
    table = CliRunner().invoke(main, ["summary", str(path)]).output
    assert "FLOPs: ? for one sample, forward; unknown for own, cross, pair" in table


def test_keras_is_imported_with_the_first_such_layer_alone(tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text(ATTENTION, "utf-8")
    assert last_lines(VERB.format(arguments=["check", str(path)]))[-1].startswith("loaded: keras")
    path.write_text(ATTENTION.replace("num_heads", "num_head"), "utf-8")
    assert last_lines(VERB.format(arguments=["check", str(path)]))[-2:] == ["exit code: 2", "loaded:"]


REFUSED: dict[str, tuple[str, str, tuple[str, str, str]]] = {
    "argument": (
        "{layer: Resizing, height: 4, widht: 5}",
        "[8, 8, 3]",
        ('Resizing has no argument "widht"', "", 'did you mean "width"?'),
    ),
    "initializer": (
        "{layer: ReversibleEmbedding, input_dim: 4, output_dim: 2, embeddings_initializer: he_norml}",
        "[8]",
        ('no initializer is called "he_norml"; did you mean "he_normal"?', "", ""),
    ),
    "flag": (
        "{layer: Resizing, height: 4, width: 4, antialias: 1}",
        "[8, 8, 3]",
        ("antialias: expected true or false, got 1", "", ""),
    ),
    "mapping": (
        "{layer: CenterCrop, height: {a: 1}, width: 4}",
        "[8, 8, 3]",
        ('height: expected a number, a word or a list, got {"a": 1}', "", ""),
    ),
    "value that Keras refuses": (
        "{layer: RandomPosterization, factor: 0.5}",
        "[8, 8, 3]",
        (
            "Keras cannot make RandomPosterization as written",
            "The `factor` argument should be a number (or a list of two numbers) in the range [1, 8]. "
            "Received: factor=0.5",
            "",
        ),
    ),
    "input that Keras refuses": (
        "{layer: STFTSpectrogram}",
        "[4000]",
        (
            "STFTSpectrogram does not take this input",
            "Input 0 of layer 'STFTSpectrogram' is incompatible with the layer: expected ndim=3, "
            "found ndim=2. Full shape received: (None, 4000)",
            "",
        ),
    ),
    "one tensor of a pair": (
        "{layer: MultiHeadAttention, num_heads: 2, key_dim: 3}",
        "[8, 3]",
        (
            "MultiHeadAttention reads a query and a value, got 1 input",
            "",
            "write from: [query, value]; for self-attention name one node twice",
        ),
    ),
    "code": (
        "{layer: Lambda, function: print}",
        "[8, 3]",
        (
            "a spec cannot name Lambda",
            "it holds Python code, which a spec cannot",
            "use a layer that computes it: Rescaling, Slice, Gather, Reshape, Permute, ExpandDims, RepeatFrame, "
            "Stack, Add, Multiply or Activation; or write a layer of your own and name its module with --plugin",
        ),
    ),
    "name": (
        "{layer: Resizng, height: 4}",
        "[8, 8, 3]",
        ('no layer is called "Resizng"', "", 'did you mean "Resizing"?'),
    ),
}


@pytest.mark.parametrize(("node", "shape", "expected"), REFUSED.values(), ids=REFUSED)
def test_what_is_refused(node: str, shape: str, expected: tuple[str, str, str]) -> None:
    assert errors(text(node, shape)) == [expected]


def test_a_missing_argument() -> None:
    assert errors(text("{layer: Resizing, height: 4}", "[8, 8, 3]")) == [("Resizing needs width", "", "")]


def test_defaults_reach_them() -> None:
    spec = text("{layer: EinsumDense, bias_axes: d}", "[5, 6]")
    below = 'defaults: {EinsumDense: {equation: "abc,cd->abd", output_shape: [5, 4]}}\n'
    assert build_graph(spec + below).outputs[0].shape == (5, 4)
    typo = ('EinsumDense has no argument "equatoin"', "", 'did you mean "equation"?')
    assert typo in errors(spec + "defaults: {EinsumDense: {equatoin: a}}\n")


def test_without_a_resolver_they_are_refused() -> None:
    with pytest.raises(
        SpecError, match="MultiHeadAttention has no shape rule of its own, and nobody is there to ask Ke"
    ):
        static_graph(ATTENTION)


def test_every_layer_of_keras_has_a_class_or_a_reason() -> None:
    for name in names("layers"):
        assert kind_named(name) is not None or name in UNWRITABLE or name in WRAPPERS, name
    assert set(kind_names()) == {*KINDS, *names("layers")} - set(UNWRITABLE) - set(WRAPPERS)


def test_fields_are_those_of_the_signature() -> None:
    kind = keras_kind("MultiHeadAttention")
    assert kind is not None
    layer: Any = kind(num_heads=2, key_dim=3, output_shape=[4], kernel_regularizer="l2")
    assert layer.arguments() == {
        "num_heads": 2,
        "key_dim": 3,
        "output_shape": (4,),
        "kernel_regularizer": layer.kernel_regularizer,
    }
    assert layer.kernel_initializer.name == "glorot_uniform"
    assert layer.use_bias is True


def test_answers_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    resolver = KerasResolver()
    kind = keras_kind("CenterCrop")
    assert kind is not None
    layer = kind(height=2, width=2).bound(resolver)
    first = resolver.resolve(layer, ((8, 8, 3),))
    monkeypatch.setattr(keras.layers, "CenterCrop", None)
    assert resolver.resolve(layer, ((8, 8, 3),)) is first
    with pytest.raises(ShapeError, match="Keras cannot make CenterCrop as written"):
        resolver.resolve(layer, ((9, 9, 3),))


@pytest.mark.parametrize(
    ("node", "shape"),
    [
        ("{layer: AutoContrast}", "[4]"),
        ("{layer: Resizing, height: 4, width: 3}", "[4, 6, 6, 2]"),
        ("{time_distributed: {layer: RandomHue, factor: 0.1}}", "[4, 4]"),
        ("{layer: Equalization}", "[8, 8, 3]"),
        ("{layer: AdaptiveAveragePooling1D, output_size: 5}", "[3, 8, 8, 1]"),
        ("{layer: MelSpectrogram, max_freq: same}", "[8000]"),
        ("{layer: IntegerLookup}", "[4]"),
    ],
)
def test_what_keras_would_only_find_when_it_runs_is_found_before(node: str, shape: str) -> None:
    (error,) = errors(text(node, shape))
    assert error[0].split()[0] == node.partition("layer: ")[2].split(",")[0].strip("}")


@pytest.mark.parametrize("kind", ["StringLookup", "TextVectorization"])
def test_layers_that_read_text_have_nothing_to_read(kind: str) -> None:
    ((message, reason, _),) = errors(text(f"{{layer: {kind}}}", "[4]"))
    assert (message, reason) == (f"a spec cannot name {kind}", "it reads text, and the inputs of a model are numbers")
