"""The original cells' own numbers: spec, weights through the mapping, and the outputs they gave."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from specbuild import build_model
from specbuild.model.backend import keras
from specbuild.model.mapping import pytorch, set_weights, tensorflow1
from tests.backends import not_on_jax, passes_on_jax

GOLDEN = Path(__file__).parent.parent / "golden"
NAMES = sorted(path.stem for framework in ("tf1", "torch") for path in GOLDEN.glob(f"{framework}_*.npz"))


@pytest.mark.parametrize("name", NAMES)
def test_outputs_are_those_of_the_original(name: str) -> None:
    golden = dict(np.load(GOLDEN / f"{name}.npz"))
    model = build_model(GOLDEN / f"{name}.yaml")
    load(
        model, name, {key.removeprefix("weight:"): array for key, array in golden.items() if key.startswith("weight:")}
    )
    inputs = golden["inputs"].swapaxes(0, 1) if name.endswith("timefirst") else golden["inputs"]
    outputs = model.predict(inputs, verbose=0)
    assert set(outputs) == {key for key in golden if key != "inputs" and not key.startswith("weight:")}
    for key, output in outputs.items():
        np.testing.assert_allclose(output, golden[key], rtol=0, atol=1e-5, err_msg=key)


def test_every_file_has_a_spec() -> None:
    assert len(NAMES) == 11
    assert sorted(path.stem for path in GOLDEN.glob("*.yaml")) == NAMES


def test_keras_own_layer_takes_the_weights_of_a_plain_cell() -> None:
    golden = np.load(GOLDEN / "tf1_convlstm2d_peephole0_layernorm0.npz")
    layer = keras.layers.ConvLSTM2D(4, 3, padding="same", return_sequences=True)
    layer.build(golden["inputs"].shape)
    variables = {"kernel": golden["weight:fw/kernel"], "bias": golden["weight:fw/bias"]}
    set_weights(layer, tensorflow1.conv_lstm(variables))
    np.testing.assert_allclose(layer(golden["inputs"]), golden["outputs"], rtol=0, atol=1e-5)


@not_on_jax
def test_on_jax() -> None:
    assert f"{len(NAMES) + 2} passed" in passes_on_jax(__file__)


def load(model: Any, name: str, weights: dict[str, np.ndarray]) -> None:
    """Maps the weights of a file onto the layers of its spec."""
    if name.startswith("torch"):
        for index, layer in enumerate(pytorch.conv_lstm_layers(weights)):
            set_weights(model.get_layer(f"layer{index}"), layer)
        return
    convert = tensorflow1.conv_gru if "gru" in name else tensorflow1.conv_lstm
    if "bidirectional" not in name:
        set_weights(model.get_layer("fw"), convert(weights, scope="fw/"))
        return
    both = model.get_layer("both")
    set_weights(both.forward_layer, convert(weights, scope="fw/"))
    set_weights(both.backward_layer, convert(weights, scope="bw/"))
