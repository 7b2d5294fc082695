"""Recurrences whose steps the backward pass computes anew: the same results, in less memory."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from specbuild import build_model
from specbuild.model.backend import backend_name, keras
from specbuild.model.layers import STLSTM2D, ConvGRU2D
from specbuild.training import train

SPEC = """specbuild: 1
vars: {remat: true}
inputs: {x: [3, 4, 4, 1]}
defaults:
  ConvLSTM2D: {kernel_size: 3, padding: same}
layers:
  - id: n
    encoder_decoder:
      encoder:
        - id: enc
          bidirectional: {layer: ConvLSTM2D, filters: 2, dropout: 0.3, recurrent_dropout: 0.3, seed: 1}
      horizon: 3
      remat: $remat
      head: [{time_distributed: {layer: Conv2D, filters: 1, kernel_size: 1}}]
"""
X, Y = np.random.default_rng(5).normal(size=(2, 2, 3, 4, 4, 1)).astype("float32")


def one_step(model: Any, x: Any, y: Any) -> tuple[float, list[Any]]:
    """The loss, and the weights after one step of gradient descent."""
    model.compile(keras.optimizers.SGD(1.0), "mse", jit_compile="auto" if backend_name() == "jax" else False)
    return float(model.train_on_batch(x, y)), model.get_weights()


def test_loss_and_gradients_are_the_same() -> None:
    anew = build_model(SPEC)
    plain = build_model(SPEC, overrides={"vars.remat": False})
    assert anew.get_layer("enc_mirror").remat is True
    plain.set_weights(anew.get_weights())
    (loss, weights), (expected, others) = one_step(anew, X, Y), one_step(plain, X, Y)
    assert loss == pytest.approx(expected, rel=1e-6)
    for got, wanted in zip(weights, others, strict=True):
        np.testing.assert_allclose(got, wanted, atol=1e-6)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (ConvGRU2D, {"go_backwards": True, "return_sequences": True, "data_format": "channels_first"}),
        (ConvGRU2D, {"go_backwards": True, "masked": True, "normalization": "layer"}),
        (STLSTM2D, {"return_sequences": True, "open": True}),
    ],
    ids=["backwards", "masked", "open"],
)
def test_gradients_are_the_same_whatever_the_options(kind: type[Any], options: dict[str, Any]) -> None:
    options = dict(options)
    masked, steps = options.pop("masked", False), None if options.pop("open", False) else 3
    if kind is ConvGRU2D:
        options["padding"] = "same"
    found: list[Any] = []
    for remat in (True, False):
        inputs, mask = keras.Input((steps, 4, 4, 1)), keras.Input((3,), dtype="bool")
        layer = kind(2, 3, remat=remat, **options)
        model = keras.Model([inputs, mask], layer(inputs, mask=mask if masked else None))
        rng = np.random.default_rng(3)
        model.set_weights([rng.normal(scale=0.5, size=one.shape) for one in model.get_weights()])
        model.compile(keras.optimizers.SGD(1.0), "mse", run_eagerly=backend_name() == "tensorflow" and not steps)
        model.train_on_batch(
            [X, np.array([[1, 0, 1], [1, 1, 0]], bool)],
            np.ones((2, *[n or 3 for n in model.output_shape[1:]]), "float32"),
        )
        found.append(model.get_weights())
    for got, wanted in zip(*found, strict=True):
        np.testing.assert_allclose(got, wanted, atol=1e-6)


def test_it_is_saved(tmp_path: Path) -> None:
    model = build_model(SPEC)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.get_layer("enc_mirror").remat is True
    assert loaded.get_layer("enc").backward_layer.remat is True
    np.testing.assert_allclose(loaded(X), model(X), atol=1e-6)


RUN = """specbuild: 1
inputs: {x: [3, 4, 4, 1]}
layers:
  - encoder_decoder:
      encoder: [{layer: ConvGRU2D, filters: 1, kernel_size: 3, padding: same}]
      horizon: 3
      remat: true
data:
  source: {path: rain.npz, key: rain, layout: T H W}
  windows: {past: 3, future: 3}
  split: {train: 0.8, validation: 0.2}
train: {loss: mse, epochs: 1, batch_size: 8, steps_per_epoch: 1}
"""


def test_a_run_trains_with_it(tmp_path: Path) -> None:
    frames = np.random.default_rng(1).random((60, 4, 4)).astype("float32")
    np.savez(tmp_path / "rain.npz", rain=frames)
    path = tmp_path / "spec.yaml"
    path.write_text(RUN, "utf-8")
    (row,) = train(path, out=tmp_path / "run", quiet=True).history
    assert np.isfinite(row["loss"])


PEAK = """
import tensorflow as tf
from specbuild.model.layers import ConvLSTM2D

def kilobytes(name):
    return int(next(line for line in open("/proc/self/status") if line.startswith(name)).split()[1])

def peak(remat):
    shape = (4, 36, 32, 32, 1)
    layer = ConvLSTM2D(16, 3, padding="same", return_sequences=True, remat=remat)
    layer.build(shape)

    @tf.function
    def gradient(x):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(layer(x, training=True))
        return tape.gradient(loss, layer.trainable_variables)

    x = tf.random.normal(shape)
    gradient(x)
    before = kilobytes("VmRSS")
    open("/proc/self/clear_refs", "w").write("5")
    gradient(x)
    return kilobytes("VmHWM") - before

print(peak(False), peak(True))
"""
"""Prints by how much a gradient raises the memory of the process, in KiB: plain, and computed anew."""


@pytest.mark.skipif(
    backend_name() != "tensorflow" or not Path("/proc/self/clear_refs").exists(), reason="measured on Linux, TensorFlow"
)
def test_memory_falls() -> None:
    # oneDNN's allocator and glibc's keep what they once had; without, memory is what the tensors take.
    quiet = {"TF_ENABLE_ONEDNN_OPTS": "0", "MALLOC_MMAP_THRESHOLD_": "65536"}
    done = subprocess.run(
        [sys.executable, "-c", PEAK], env=os.environ | quiet, capture_output=True, text=True, check=True
    )
    plain, anew = map(int, done.stdout.split())
    assert anew < 0.7 * plain, (plain, anew)
