"""The language: variables, defaults, overrides, and the forms of nodes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from specbuild import SpecError, build_graph, load_spec

HEAD = "specbuild: 1\n"
CONV = "{layer: ConvLSTM2D, filters: $filters, kernel_size: 3, return_sequences: true}"
SPEC = HEAD + "vars: {filters: 4}\ninputs: {x: [5, 8, 8, 1]}\nlayers:\n  - " + CONV + "\n"


def arguments(text: str, **options: Any) -> dict[str, Any]:
    return load_spec(text, **options).layers[0].layer.arguments()


def fault(text: str, **options: Any) -> str:
    with pytest.raises(SpecError) as caught:
        load_spec(text, **options)
    (error,) = caught.value.diagnostics
    return error.message


@pytest.mark.parametrize(
    ("vars", "use", "value"),
    [
        ("{n: 4}", "$n", 4),
        ("{n: 4}", "$n * 2", 8),
        ("{n: 4, m: $n * 2}", "$m", 8),
        ("{m: $n * 2, n: 4}", "$m + 1", 9),
        ("{n: 12}", "($n + 4) / 8", 2),
        ("{n: '8'}", "$n", None),
    ],
)
def test_variables(vars: str, use: str, value: int | None) -> None:
    text = SPEC.replace("{filters: 4}", vars).replace("$filters", use)
    if value is None:
        assert fault(text) == 'filters: expected a positive whole number, got "8"'
    else:
        assert arguments(text)["filters"] == value


def test_a_variable_can_hold_a_list() -> None:
    text = SPEC.replace("{filters: 4}", "{filters: 4, kernel: [3, 5]}").replace(
        "kernel_size: 3", "kernel_size: $kernel"
    )
    assert arguments(text)["kernel_size"] == (3, 5)


def test_variables_inside_text() -> None:
    spec = load_spec(SPEC.replace(HEAD, HEAD + "name: conv-${filters}x$filters costs $$5\n"))
    assert spec.name == "conv-4x4 costs $5"


def test_defaults_lie_under_the_arguments() -> None:
    text = SPEC.replace("inputs:", "defaults: {ConvLSTM2D: {padding: same, kernel_size: 5}}\ninputs:")
    assert arguments(text)["kernel_size"] == (3, 3)
    assert arguments(text)["padding"] == "same"


def test_overrides_come_before_variables() -> None:
    text = SPEC.replace("{filters: 4}", "{n: 2, filters: $n * 2}")
    assert arguments(text, overrides=["vars.n=8"])["filters"] == 16
    assert arguments(text, overrides={"vars.n": 8})["filters"] == 16


def test_overrides_reach_layers_by_id_and_create_sections() -> None:
    text = SPEC.replace("{layer", "{id: enc, layer")
    assert arguments(text, overrides=["layers.enc.kernel_size=[1, 3]"])["kernel_size"] == (1, 3)
    spec = load_spec(text, overrides=["train.epochs=3", "train.optimizer.name=SGD"])
    assert spec.train.epochs == 3
    assert spec.train.optimizer.name == "SGD"


def test_mappings_merge_and_lists_are_replaced() -> None:
    text = SPEC + "train: {epochs: 5, metrics: [mae, mse]}\n"
    spec = load_spec(text, overrides={"train": {"batch_size": 2, "metrics": ["mae"]}})
    assert (spec.train.epochs, spec.train.batch_size, len(spec.train.metrics)) == (5, 2, 1)


WHOLE = """\
data:
  source: {path: a.nc, key: t, layout: T H W}
  windows: {past: 5, future: 5}
  split: {train: 0.6, validation: 0.2, test: 0.2}
train: {optimizer: {name: Adam, learning_rate: 1e-2, beta_1: 0.8}, loss: {name: Huber, delta: 2}}
"""


def test_a_path_replaces_the_value_that_it_names() -> None:
    spec = load_spec(
        SPEC + WHOLE,
        overrides=[
            "data.split={train: [0, 40], test: [50, 80]}",
            "data.source={path: b.npy, layout: T H W}",
            "train.optimizer={name: SGD}",
            "train.loss={name: LogCosh}",
        ],
    )
    assert spec.data is not None
    assert spec.data.split.model_fields_set == {"train", "test"}
    assert (spec.data.source.path, spec.data.source.key) == ("b.npy", None)
    assert spec.data.windows.past == 5
    assert (spec.train.optimizer.name, spec.train.optimizer.arguments) == ("SGD", {})
    assert "delta" not in str(spec.train.loss)


def test_a_set_in_a_file_replaces_and_its_sections_merge(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text(SPEC + WHOLE)
    child = tmp_path / "child.yaml"
    split = "{train: [0, 40], test: [50, 80]}"
    child.write_text(f"specbuild: 1\nextends: base.yaml\nset: {{data.split: {split}}}\n")
    assert load_spec(child).data.split.model_fields_set == {"train", "test"}  # type: ignore[union-attr]
    child.write_text("specbuild: 1\nextends: base.yaml\ndata: {split: {train: 0.5}}\n")
    assert load_spec(child).data.split.model_fields_set == {"train", "validation", "test"}  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("vars.filter=8", "vars.filter does not exist"),
        ("layers.enc.filters=8", "no layer has the id enc"),
        ("train.epoch=8", 'unknown key "epoch"'),
        ("filters 8", '"filters 8" is not an override'),
        ("vars.filters.x=8", "vars.filters is a number; it has no keys to set"),
        ("name=[", 'this "[" is never closed'),
    ],
)
def test_faulty_override(override: str, message: str) -> None:
    assert fault(SPEC, overrides=[override]) == message


def test_a_mapping_and_a_file_are_the_same_spec(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(SPEC)
    from_file = load_spec(tmp_path / "a.yaml")
    mapping = {
        "specbuild": 1,
        "vars": {"filters": 4},
        "inputs": {"x": [5, 8, 8, 1]},
        "layers": [{"layer": "ConvLSTM2D", "filters": "$filters", "kernel_size": 3, "return_sequences": True}],
    }
    assert load_spec(mapping).layers[0].layer == from_file.layers[0].layer
    assert from_file.name == "a"


def test_a_spec_called_spec_is_named_after_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "nowcast"
    folder.mkdir()
    (folder / "spec.yaml").write_text(SPEC)
    assert load_spec(folder / "spec.yaml").name == "nowcast"


def test_a_stack_on_every_frame_is_a_chain_of_nodes() -> None:
    text = SPEC.replace(
        CONV,
        "{id: stem, time_distributed: [{id: conv, layer: Conv2D, filters: 2, kernel_size: 3}, {layer: ReLU}]}",
    )
    spec = load_spec(text)
    assert [(node.id, node.layer.label) for node in spec.layers] == [
        ("conv", "TimeDistributed(Conv2D)"),
        ("stem", "TimeDistributed(ReLU)"),
    ]
    assert build_graph(spec).outputs[0].shape == (5, 6, 6, 2)


def test_bidirectional() -> None:
    text = SPEC.replace(CONV, f"{{id: bi, bidirectional: {CONV}, merge_mode: sum}}")
    graph = build_graph(text)
    assert graph.outputs[0].shape == (5, 6, 6, 4)
    assert list(graph.nodes[0].state) == ["forward_h", "forward_c", "backward_h", "backward_c"]


def test_made_up_names_are_keras_own() -> None:
    text = HEAD + "inputs: {x: [8, 8, 1]}\nlayers:\n" + "  - {layer: Conv2D, filters: 2, kernel_size: 1}\n" * 3
    assert [node.id for node in load_spec(text).layers] == ["conv2d", "conv2d_1", "conv2d_2"]


def test_several_inputs_and_named_outputs() -> None:
    text = """\
specbuild: 1
inputs:
  frames: [5, 8, 8, 1]
  map: {shape: [8, 8, 2], dtype: float32}
layers:
  - {id: seen, layer: ConvLSTM2D, filters: 3, kernel_size: 3, padding: same, from: frames}
  - {id: both, layer: Concatenate, from: [seen.last, map]}
  - {id: mean, layer: GlobalAveragePooling2D}
outputs: {field: both, index: mean}
"""
    graph = build_graph(text)
    assert {output.name: output.shape for output in graph.outputs} == {"field": (8, 8, 5), "index": (5,)}


def test_defaults_reach_a_layer_under_any_of_its_names() -> None:
    text = HEAD + "defaults: {MaxPool2D: {pool_size: 4}}\ninputs: {x: [8, 8, 1]}\nlayers: [{layer: MaxPooling2D}]\n"
    assert build_graph(text).outputs[0].shape == (2, 2, 1)
    assert build_graph(text.replace("MaxPool2D", "MaxPooling2D", 1)).outputs[0].shape == (2, 2, 1)


@pytest.mark.parametrize("rate", ["1e-5", "2.5e-7", "1e-4", "3.0"])
def test_small_numbers_come_back_from_the_resolved_spec(rate: str) -> None:
    train = f"train: {{optimizer: {{name: Adam, learning_rate: {rate}}}}}"
    spec = load_spec(f"specbuild: 1\ninputs: {{x: [4]}}\nlayers: [{{layer: Dense, units: 1}}]\n{train}\n")
    assert "!!" not in spec.resolved()
    assert load_spec(spec.resolved()).train == spec.train
