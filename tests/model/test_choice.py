"""Which class a plain ConvLSTM becomes; that the choice changes no weight, name or result; that files stay Keras's."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from specbuild import build_graph, build_model
from specbuild.model import backend, layers, make, save
from specbuild.model.backend import keras
from specbuild.model.importing import import_model
from tests.model.recurrences import clip

SPEC = """\
specbuild: 1
inputs: {x: [3, 6, 6, 2]}
layers:
  - {id: first, layer: ConvLSTM2D, filters: 3, kernel_size: 3, padding: same, dropout: 0.2, kernel_regularizer: l2}
  - {id: second, bidirectional: {layer: ConvLSTM2D, filters: 2, kernel_size: [3, 1], bias_initializer: random_normal}}
  - {id: out, layer: Conv2D, filters: 1, kernel_size: 1}
outputs: [out, first.state.c]
"""

SIXTEEN = """\
specbuild: 1
inputs: {x: FRAMES}
layers:
  - {layer: ConvLSTM2D, filters: 16, kernel_size: 3, padding: same, return_sequences: true}
"""


@pytest.fixture
def faster(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a device where ours is faster."""
    monkeypatch.setattr(make, "ours_is_faster", lambda *_: True)
    monkeypatch.delenv("SPECBUILD_STOCK_LAYERS", raising=False)


def built(**arguments: Any) -> Any:
    keras.backend.clear_session()
    keras.utils.set_random_seed(1)
    return build_model(SPEC, **arguments)


def classes(model: Any) -> list[type[Any]]:
    both = model.get_layer("second")
    return [type(one) for one in (model.get_layer("first"), both.forward_layer, both.backward_layer)]


TABLE = [
    ("tensorflow", False, "[3, 64, 32, 2]", "float32", True),
    ("tensorflow", False, "[3, 65, 32, 2]", "float32", False),
    ("tensorflow", False, "[33, 6, 6, 2]", "float32", False),
    ("tensorflow", False, "[null, 6, 6, 2]", "float32", False),
    ("tensorflow", False, "[32, 65, 32, 2]", "mixed_bfloat16", True),
    ("tensorflow", False, "[33, 65, 32, 2]", "mixed_bfloat16", False),
    ("tensorflow", True, "[33, 65, 32, 2]", "float32", True),
    ("jax", False, "[33, 65, 32, 2]", "float32", True),
    ("jax", True, "[33, 65, 32, 2]", "float32", True),
]


@pytest.mark.parametrize(("name", "accelerator", "frames", "policy", "ours"), TABLE)
def test_the_table(
    name: str, accelerator: bool, frames: str, policy: str, ours: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (backend, make):
        monkeypatch.setattr(module, "backend_name", lambda: name)
        monkeypatch.setattr(module, "has_accelerator", lambda: accelerator)
    graph = build_graph(SIXTEEN.replace("FRAMES", frames))
    node = graph.nodes[-1]
    assert make.ours_is_faster(node.layer, policy, yaml.safe_load(frames)) is ours


def test_lstm_is_keras_own_on_a_processor_with_tensorflow(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (backend, make):
        monkeypatch.setattr(module, "backend_name", lambda: "tensorflow")
        monkeypatch.setattr(module, "has_accelerator", lambda: False)
    text = "specbuild: 1\ninputs: {x: [3, 6]}\nlayers: [{id: r, layer: LSTM, units: 3}]\noutputs: [r.last]"
    graph = build_graph(text)
    assert not make.ours_is_faster(graph.nodes[-1].layer, "mixed_bfloat16", (3, 6))


@pytest.mark.usefixtures("faster")
def test_who_wants_keras_own_layer_gets_it(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = [layers.ConvLSTM2D] * 3, [keras.layers.ConvLSTM2D] * 3
    assert classes(built()) == ours
    assert classes(built(stock=True)) == theirs
    assert classes(built()) == ours
    monkeypatch.setenv("SPECBUILD_STOCK_LAYERS", "1")
    assert classes(built()) == theirs
    monkeypatch.setenv("SPECBUILD_STOCK_LAYERS", "0")
    assert classes(built()) == ours


@pytest.mark.usefixtures("faster")
def test_names_first_weights_and_results_are_the_same() -> None:
    ours, theirs = built(), built(stock=True)
    assert [weight.path for weight in ours.weights] == [weight.path for weight in theirs.weights]
    for one, other in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert [layer.name for layer in ours.layers] == [layer.name for layer in theirs.layers]
    x = clip(2, 3, 6, 6, 2)
    for one, other in zip(ours(x), theirs(x), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


@pytest.mark.usefixtures("faster")
def test_a_step_of_training_is_the_same() -> None:
    x, y = clip(2, 3, 6, 6, 2), clip(2, 6, 6, 3, seed=1)
    after = []
    layer = {"id": "r", "layer": "ConvLSTM2D", "filters": 3, "kernel_size": 3, "padding": "same", "dropout": 0.2}
    for stock in (False, True):
        keras.utils.set_random_seed(1)
        spec = {"specbuild": 1, "inputs": {"x": [3, 6, 6, 2]}, "layers": [layer], "outputs": ["r.last"]}
        model = build_model(spec, stock=stock)
        model.compile("adam", "mse", jit_compile=False)
        model.train_on_batch(x, y)
        after.append(model.get_weights())
    for one, other in zip(*after, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


LOADED = """\
import sys
import numpy as np
import keras
model = keras.models.load_model(sys.argv[1])
outputs = model(np.load(sys.argv[2]))
assert not any(name.startswith("specbuild") for name in sys.modules)
np.savez(sys.argv[3], *map(keras.ops.convert_to_numpy, outputs))
"""


@pytest.mark.usefixtures("faster")
def test_a_saved_model_needs_no_specbuild(tmp_path: Path) -> None:
    model, x = built(), clip(2, 3, 6, 6, 2).astype("float32")
    model.compile("adam", ["mse", None])
    model.optimizer.build(model.trainable_variables)
    save(model, tmp_path / "model.keras")
    built(stock=True).save(tmp_path / "stock.keras")
    assert architecture(tmp_path / "model.keras") == architecture(tmp_path / "stock.keras")
    np.save(tmp_path / "x.npy", x)
    files = [str(tmp_path / name) for name in ("model.keras", "x.npy", "y.npz")]
    subprocess.run([sys.executable, "-c", LOADED, *files], check=True, capture_output=True, cwd=tmp_path)
    found = np.load(tmp_path / "y.npz")
    for one, other in zip(found.values(), model(x), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
    assert keras.models.load_model(tmp_path / "model.keras").optimizer is not None
    assert [path.name for path in tmp_path.glob(".*")] == []


def architecture(path: Path) -> Any:
    """What a file says of a model's layers, but for the identities of shared objects and how it was compiled."""

    def told(value: Any) -> Any:
        if isinstance(value, list):
            return [told(one) for one in value]
        if isinstance(value, dict):
            return {key: told(one) for key, one in value.items() if key not in ("shared_object_id", "compile_config")}
        return value

    with zipfile.ZipFile(path) as archive:
        return told(json.loads(archive.read("config.json")))


def test_layers_with_options_of_our_own_are_saved_as_they_are(tmp_path: Path) -> None:
    frames = keras.Input((3, 6, 6, 2))
    options: list[dict[str, Any]] = [
        {"peephole": "per_channel"},
        {"recurrent_kernel_size": 5},
        {"forget_bias": 0.0},
        {"normalization": "layer"},
        {"use_input": False},
    ]
    made = [layers.ConvLSTM2D(1, 3, padding="same", **one) for one in [*options, {}]]
    model = keras.Model(frames, [layer(frames) for layer in made])
    save(model, tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    ours = [isinstance(layer, layers.ConvLSTM2D) for layer in again.layers[1:]]
    assert ours == [True] * len(options) + [False]
    x = clip(1, 3, 6, 6, 2)
    for one, other in zip(again(x), model(x), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


@pytest.mark.usefixtures("faster")
def test_ours_and_keras_import_as_the_same_spec(tmp_path: Path) -> None:
    texts = []
    for name, stock in (("ours", False), ("stock", True)):
        built(stock=stock).save(tmp_path / f"{name}.keras")
        texts.append(import_model(tmp_path / f"{name}.keras").text)
    ours, theirs = map(yaml.safe_load, texts)
    assert ours == theirs
    assert ours["layers"][0]["layer"] == "ConvLSTM2D"
