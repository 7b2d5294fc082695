"""Networks of keras.applications as one node: cut, frozen, on every frame, with weights from a file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from specbuild import SpecError, build_graph, build_model, load_spec
from specbuild.catalog.application import application_kind
from specbuild.catalog.signatures import names
from specbuild.model.backend import keras
from tests.model.saving import saved_and_loaded
from tests.test_imports import VERB, last_lines

NODE = "application: MobileNetV2, include_top: false, alpha: 0.35, until: block_1_expand"
SPEC = f"""\
specbuild: 1
inputs: {{clip: [3, 32, 32, 3]}}
layers:
  - {{id: features, time_distributed: {{{NODE}, trainable: false}}}}
  - {{id: rnn, layer: ConvLSTM2D, filters: 2, kernel_size: 3}}
outputs: [rnn.last]
"""
IMAGE = f"specbuild: 1\ninputs: {{image: [32, 32, 3]}}\nlayers:\n  - {{id: net, {NODE}}}\n"


def mobilenet() -> object:
    return keras.applications.MobileNetV2(input_shape=(32, 32, 3), include_top=False, alpha=0.35, weights=None)


def errors(spec: str | Path) -> list[tuple[str, str, str, str]]:
    with pytest.raises(SpecError) as caught:
        build_graph(spec)
    return [(one.message, one.reason, one.help, one.path) for one in caught.value.diagnostics]


def test_cut_at_a_layer() -> None:
    graph, model = build_graph(IMAGE), build_model(IMAGE)
    assert graph.nodes[0].shape == (16, 16, 48)
    assert graph.resolved_by_keras == ("net",)
    assert model.output_shape == (None, 16, 16, 48)
    assert model.count_params() == graph.parameters
    assert 0 < graph.trainable_parameters < graph.parameters  # moving statistics are not trained
    inside = model.get_layer("net")
    assert inside.layers[-1].name == "block_1_expand"
    again = build_model(load_spec(IMAGE).resolved())
    assert [w.shape for w in again.weights] == [w.shape for w in model.weights]


def test_frozen_on_every_frame_trained_and_saved(tmp_path: Path) -> None:
    graph, model = build_graph(SPEC), build_model(SPEC)
    assert graph.nodes[0].shape == (3, 16, 16, 48)
    assert graph.nodes[0].trainable_parameters == 0
    assert graph.trainable_parameters == sum(int(np.prod(w.shape)) for w in model.trainable_weights)
    model.compile("sgd", "mse")
    frozen = [w.numpy().copy() for w in model.get_layer("features").weights]
    clip = np.random.default_rng(0).random((2, 3, 32, 32, 3), "float32")
    model.fit(clip, np.ones((2, 14, 14, 2), "float32"), verbose=0)
    for before, after in zip(frozen, model.get_layer("features").weights, strict=True):
        np.testing.assert_array_equal(before, after.numpy())
    again = saved_and_loaded(model, tmp_path)
    np.testing.assert_allclose(again.predict(clip, verbose=0), model.predict(clip, verbose=0), atol=1e-6)


def test_weights_from_a_file_beside_the_spec(tmp_path: Path) -> None:
    published = mobilenet()
    published.save_weights(tmp_path / "mobilenet.weights.h5")  # type: ignore[attr-defined]
    path = tmp_path / "spec.yaml"
    path.write_text(IMAGE.replace("MobileNetV2", "MobileNetV2, weights: mobilenet.weights.h5"), "utf-8")
    cut = keras.Model(published.input, published.get_layer("block_1_expand").output)  # type: ignore[attr-defined]
    image = np.random.default_rng(0).random((1, 32, 32, 3), "float32")
    np.testing.assert_allclose(build_model(path)(image), cut(image), atol=1e-6)
    resolved = load_spec(path).resolved()
    np.testing.assert_allclose(build_model(resolved, roots=[tmp_path])(image), cut(image), atol=1e-6)


def test_weights_of_another_network(tmp_path: Path) -> None:
    keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)]).save_weights(tmp_path / "other.weights.h5")
    path = tmp_path / "spec.yaml"
    path.write_text(IMAGE.replace("MobileNetV2", "MobileNetV2, weights: other.weights.h5"), "utf-8")
    with pytest.raises(SpecError, match="these weights do not fit MobileNetV2"):
        build_model(path)


def test_nothing_is_downloaded_and_files_must_be_there(tmp_path: Path) -> None:
    assert errors(IMAGE.replace("MobileNetV2", "MobileNetV2, weights: imagenet")) == [
        (
            'weights: expected null or a .weights.h5, .h5 or .keras file, got "imagenet": specbuild never downloads in '
            "silence; download the weights once in Python, call save_weights, and name that file",
            "",
            "",
            "layers.net.weights",
        )
    ]
    path = tmp_path / "spec.yaml"
    path.write_text(IMAGE.replace("MobileNetV2", "MobileNetV2, weights: gone.weights.h5"), "utf-8")
    assert errors(path) == [
        ("there is no file gone.weights.h5", "paths are relative to the spec's folder", "", "layers.net.weights")
    ]


def test_what_keras_knows_of_the_network() -> None:
    assert errors(IMAGE.replace("block_1_expand", "block_1_expnd")) == [
        ('MobileNetV2 has no layer "block_1_expnd"', "", 'did you mean "block_1_expand"?', "layers.net.until")
    ]
    assert errors(IMAGE.replace("32, 32", "16, 16")) == [
        (
            "Keras cannot make MobileNetV2 as written",
            "Input size must be at least 32x32; Received: input_shape=(16, 16, 3)",
            "",
            "layers.net",
        )
    ]


def test_what_the_checker_knows_without_keras(tmp_path: Path) -> None:
    assert errors(IMAGE.replace("MobileNetV2", "MobilNetV2")) == [
        (
            'keras.applications has no network "MobilNetV2"',
            "",
            'did you mean "MobileNetV2"?',
            "layers.net",
        )
    ]
    assert errors(IMAGE.replace("alpha", "aplha")) == [
        ('MobileNetV2 has no argument "aplha"', "", 'did you mean "alpha"?', "layers.net.aplha")
    ]
    assert errors(IMAGE.replace("alpha: 0.35", "input_shape: [3]"))[0][0] == 'MobileNetV2 has no argument "input_shape"'
    path = tmp_path / "spec.yaml"
    path.write_text(IMAGE.replace("alpha", "aplha"), "utf-8")
    assert last_lines(VERB.format(arguments=["check", str(path)]))[-2:] == ["exit code: 2", "loaded:"]


def test_a_sequence_is_not_an_image() -> None:
    message, reason, help, _ = errors(IMAGE.replace("[32, 32, 3]", "[4, 32, 32, 3]"))[0]
    assert message == "MobileNetV2 needs an input with 3 axes, got 4"
    assert reason == "its input, image, is 4 × 32 × 32 × 3 (without the batch axis)"
    assert help == "to run it on every frame, write time_distributed: {application: MobileNetV2, …}"


@pytest.mark.parametrize("name", names("applications"))
def test_every_network_has_a_class(name: str) -> None:
    kind = application_kind(name)
    assert kind is not None
    assert kind(include_top=False).arguments() == {"include_top": False}


def test_its_top_with_an_activation() -> None:
    spec = IMAGE.replace("include_top: false", "classes: 4, classifier_activation: sigmoid")
    spec = spec.replace(", until: block_1_expand", "")
    graph, model = build_graph(spec), build_model(spec)
    assert graph.outputs[0].shape == (4,)
    assert model.get_layer("net").layers[-1].activation is keras.activations.sigmoid
