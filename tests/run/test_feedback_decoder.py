"""A run with a decoder that reads its own forecasts: trained with scheduled sampling, then with a longer horizon."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from specbuild import SpecError, build_graph
from specbuild.prediction.predict import predict
from specbuild.training import train

SPEC = """specbuild: 1
name: decoder
vars: {past: 3, future: 3}
inputs: {rain: [$past, 6, 6, 1]}
defaults: {ConvLSTM2D: {kernel_size: 3, padding: same}}
layers:
  - id: forecast
    encoder_decoder:
      encoder: [{layer: ConvLSTM2D, filters: 3}]
      feed: feedback
      horizon: $future
      sampling: {schedule: linear, steps: 20}
      head: [{time_distributed: {layer: Conv2D, filters: 1, kernel_size: 1}}]
data:
  source: {path: rain.npz, key: rain, layout: T H W}
  windows: {past: $past, future: $future}
  split: {train: 0.8, validation: 0.2}
  transform: [standardize]
train: {optimizer: {name: Adam, learning_rate: 0.02}, loss: mse, epochs: 2, batch_size: 8, seed: 3}
"""


def test_it_learns_and_forecasts_further_with_the_same_weights(tmp_path: Path) -> None:
    frames = np.zeros((80, 36), np.float32)
    frames[np.arange(80), np.arange(80) % 36] = 1
    np.savez(tmp_path / "rain.npz", rain=frames.reshape(80, 6, 6))
    (tmp_path / "spec.yaml").write_text(SPEC, "utf-8")
    run = train(tmp_path / "spec.yaml", out=tmp_path / "run", quiet=True)
    assert run.history[1]["loss"] < run.history[0]["loss"]
    near, far = predict(run.path), predict(run.path, horizon=7)
    assert far.shape == (7, 6, 6, 1)
    np.testing.assert_array_equal(far[:3], near)


def test_the_true_frames_must_be_those_that_the_decoder_reads() -> None:
    text = SPEC.replace("layers:\n", "layers:\n  - {layer: Rescaling, scale: 2.0}\n")
    with pytest.raises(SpecError, match="the data has no true frames for forecast"):
        build_graph(text)
