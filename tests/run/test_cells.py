"""Training a custom cell: a resumed run is the same, and the run is evaluated and forecasts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from specbuild.evaluation.evaluate import evaluate
from specbuild.prediction.predict import predict
from specbuild.training import Run, train
from tests.run.weights import assert_identical

SPEC = """specbuild: 1
name: cells
vars: {f: 3}
inputs: {frames: [4, 32, 32, 1]}
layers:
  - id: memory
    recurrent:
      states: {h: {shape: $f, initial: learned}, c: $f}
      do:
        - {id: x, layer: Conv2D, from: input, filters: 4 * $f, kernel_size: 3, strides: 1, padding: same}
        - {id: u, layer: Conv2D, from: h, filters: 4 * $f, kernel_size: 3, padding: same, use_bias: false}
        - {layer: BatchNormalization}
        - {id: noisy, layer: Dropout, rate: 0.2}
        - {id: sum, equation: x + noisy}
        - {id: g, split: [i, f, g, o]}
      next: {c: sigmoid(g.f) * c + sigmoid(g.i) * tanh(g.g), h: sigmoid(g.o) * tanh(c_next)}
  - {layer: Conv2D, filters: 1, kernel_size: 1}
  - {id: forecast, layer: RepeatFrame, times: 1}
data:
  source: {generator: moving_digits, sequences: 16, frames: 5, size: 32, digits: 1}
  windows: {past: 4, future: 1}
  split: {train: 0.5, validation: 0.25, test: 0.25}
  transform: [minmax]
train: {epochs: 2, batch_size: 4, loss: mse, optimizer: {name: Adam, learning_rate: 0.02}, seed: 3}
"""


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("cells") / "spec.yaml"
    path.write_text(SPEC, "utf-8")
    return path


@pytest.fixture(scope="module")
def whole(spec: Path) -> Run:
    return train(spec, out=spec.parent / "whole", quiet=True)


def test_a_resumed_run_is_the_same(spec: Path, whole: Run) -> None:
    """Random numbers, statistics, learned states and the optimizer continue where they stopped."""
    part = train(spec, overrides={"train.epochs": 1}, out=spec.parent / "part", quiet=True)
    rest = train(resume=part.path, overrides={"train.epochs": 2}, quiet=True)
    assert rest.history == whole.history
    assert_identical(rest.folder.checkpoint(2), whole.folder.checkpoint(2))


def test_it_learns_its_first_state_too(whole: Run) -> None:
    from specbuild.model.backend import keras

    first, second = (row["loss"] for row in whole.history)
    assert second < first
    memory = keras.models.load_model(whole.folder.model_file).get_layer("memory")
    assert np.abs(np.asarray(memory.learned["h"])).max() > 0


def test_it_is_evaluated_and_forecasts(whole: Run) -> None:
    assert evaluate(whole.path).windows == 4
    assert predict(whole.path).shape == (1, 32, 32, 1)
