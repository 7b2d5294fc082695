"""`encoder_decoder` as a Keras model: it gives what the same layers give when Keras wires them by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from specbuild import build_model
from specbuild.graph import build_graph
from specbuild.model.backend import keras
from specbuild.model.layers import ConvLSTM2D, RepeatFrame
from tests.model.saving import saved_and_loaded

Frames = Any
LAYERS = keras.layers
X = np.random.default_rng(3).normal(size=(2, 4, 6, 5, 1)).astype("float32")
TRUTH = np.random.default_rng(4).normal(size=(2, 3, 6, 5, 2)).astype("float32")
SPEC = """specbuild: 1
inputs: {{x: [4, 6, 5, 1]{inputs}}}
defaults: {{ConvLSTM2D: {{kernel_size: 3, padding: same}}}}
layers:
  - id: n
    from: x
    encoder_decoder:
      encoder: [{{id: enc1, layer: ConvLSTM2D, filters: 3}}, {{id: enc2, layer: ConvLSTM2D, filters: 4}}]
      decoder: [{{id: dec2, layer: ConvLSTM2D, filters: 4}}, {{id: dec1, layer: ConvLSTM2D, filters: 3}}]
      {how}
      head: [{{id: head, time_distributed: {{layer: Conv2D, filters: 1, kernel_size: 1}}}}]
      head_input: {head}
"""


def by_hand(feed: str, head: str) -> Any:
    """The same in Keras's functional API."""

    def level(filters: int, name: str, **flags: Any) -> Any:
        flags = {"return_sequences": True, "return_state": True, **flags}
        cls = ConvLSTM2D if "use_input" in flags else LAYERS.ConvLSTM2D
        return cls(filters, 3, padding="same", name=name, **flags)

    x = keras.Input((4, 6, 5, 1))
    inputs = [x]
    sequence, *first = level(3, "enc1")(x)
    last, *second = level(4, "enc2", return_sequences=False)(sequence)
    given = feed == "truth"
    if given:
        steps = keras.Input((3, 6, 5, 2))
        inputs.append(steps)
        dec2 = level(4, "dec2")
    else:
        steps = RepeatFrame(3)(x[:, -1] if feed == "last_frame" else last)
        dec2 = level(4, "dec2", **({"use_input": False} if feed == "none" else {}))
    top = dec2(steps, initial_state=second)[0]
    low = level(3, "dec1")(top, initial_state=first)[0]
    read = LAYERS.Concatenate()([top, low]) if head == "all" else low
    return keras.Model(inputs if given else x, LAYERS.TimeDistributed(LAYERS.Conv2D(1, 1), name="head")(read))


@pytest.mark.parametrize(
    ("feed", "head"), [("none", "all"), ("none", "end"), ("last", "end"), ("last_frame", "end"), ("truth", "end")]
)
def test_it_gives_what_keras_gives_when_wired_by_hand(feed: str, head: str) -> None:
    given = feed == "truth"
    how = "feed: truth" if given else f"{{feed: {feed}, horizon: 3}}"[1:-1].replace(", ", "\n      ")
    text = SPEC.format(inputs=", truth: [3, 6, 5, 2]" if given else "", how=how, head=head)
    ours, theirs = build_model(text), by_hand(feed, head)
    assert ours.count_params() == theirs.count_params() == build_graph(text).parameters
    draw = np.random.default_rng(5)
    for name in ("enc1", "enc2", "dec2", "dec1", "head"):
        weights = [draw.normal(scale=0.3, size=weight.shape) for weight in theirs.get_layer(name).get_weights()]
        theirs.get_layer(name).set_weights(weights)
        ours.get_layer(name).set_weights(weights)
    data = [X, TRUTH] if given else X
    np.testing.assert_allclose(predict(ours, data), predict(theirs, data), rtol=1e-5, atol=1e-6)


def test_a_longer_horizon_takes_the_same_weights_and_begins_the_same(tmp_path: Path) -> None:
    text = SPEC.format(inputs="", how="horizon: 3", head="all")
    short = build_model(text)
    long = build_model(text, overrides=["layers.n.encoder_decoder.horizon=7"])
    short.save_weights(tmp_path / "trained.weights.h5")
    long.load_weights(tmp_path / "trained.weights.h5")
    assert predict(long, X).shape == (2, 7, 6, 5, 1)
    np.testing.assert_allclose(predict(long, X)[:, :3], predict(short, X), rtol=1e-5, atol=1e-6)


MIRRORED = """specbuild: 1
inputs: {x: [3, 8, 8, 1]}
defaults: {ConvGRU2D: {kernel_size: 3, padding: same}}
layers:
  - id: n
    encoder_decoder:
      encoder:
        - {time_distributed: {layer: Conv2D, filters: 2, kernel_size: 3, strides: 2, padding: same}}
        - {layer: LeakyReLU}
        - {layer: ConvGRU2D, filters: 3}
        - {time_distributed: {layer: MaxPooling2D}}
        - {bidirectional: {layer: ConvGRU2D, filters: 2}}
      horizon: 2
      head: [{time_distributed: {layer: Conv2D, filters: 1, kernel_size: 1}}]
    expect: [2, 8, 8, 1]
"""


def test_a_mirrored_model_trains_and_is_saved(tmp_path: Path) -> None:
    keras.utils.set_random_seed(1)
    model = build_model(MIRRORED)
    model.compile(optimizer=keras.optimizers.Adam(0.02), loss="mse", run_eagerly=True, jit_compile=False)
    x, y = np.random.default_rng(6).normal(size=(4, 3, 8, 8, 1)).astype("float32"), np.ones((4, 2, 8, 8, 1), "float32")
    losses = model.fit(x, y, epochs=3, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    again = saved_and_loaded(model, tmp_path)
    np.testing.assert_allclose(predict(again, x), predict(model, x), rtol=1e-5, atol=1e-6)


def test_vectors() -> None:
    text = """specbuild: 1
inputs: {x: [4, 2]}
layers:
  - {id: n, encoder_decoder: {encoder: [{id: a, layer: LSTM, units: 3}, {id: b, layer: LSTM, units: 5}], feed: last,
     horizon: 6}}
"""
    model = build_model(text)
    x = keras.Input((4, 2))
    sequence, *first = model.get_layer("a")(x)
    last, *second = model.get_layer("b")(sequence)
    top = model.get_layer("b_mirror")(LAYERS.RepeatVector(6)(last), initial_state=second)
    theirs = keras.Model(x, model.get_layer("a_mirror")(top, initial_state=first))
    data = np.random.default_rng(7).normal(size=(3, 4, 2)).astype("float32")
    np.testing.assert_allclose(predict(model, data), predict(theirs, data), rtol=1e-5, atol=1e-6)


def predict(model: Any, data: Any) -> Frames:
    return np.asarray(keras.ops.convert_to_numpy(model(data)))
