"""Training with scheduled sampling: what the model is shown, that it learns, and that a resumed run is the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from specbuild import SpecError, build_graph
from specbuild.prediction.predict import predict
from specbuild.training import Run, train
from specbuild.training.batches import with_true_frames
from tests.run.weights import assert_identical

SPEC = """specbuild: 1
name: feedback
vars: {past: 3, future: 3}
inputs: {rain: [$past, 6, 6, 1]}
layers:
  - id: forecast
    autoregressive:
      horizon: $future
      give: all
      sampling: {schedule: linear, steps: 20}
      do:
        - {layer: ConvLSTM2D, filters: 3, kernel_size: 3, padding: same}
        - {time_distributed: {layer: Conv2D, filters: 1, kernel_size: 1}}
data:
  source: {path: rain.npz, key: rain, layout: T H W}
  windows: {past: $past, future: $future, target: next}
  split: {train: 0.8, validation: 0.2}
  transform: [standardize]
train:
  optimizer: {name: Adam, learning_rate: 0.02}
  loss: mse
  epochs: 2
  batch_size: 8
  seed: 3
"""


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A spot that walks over the frame, row by row."""
    folder = tmp_path_factory.mktemp("feedback")
    frames = np.zeros((80, 36), np.float32)
    frames[np.arange(80), np.arange(80) % 36] = 1
    np.savez(folder / "rain.npz", rain=frames.reshape(80, 6, 6))
    (folder / "spec.yaml").write_text(SPEC, "utf-8")
    return folder / "spec.yaml"


@pytest.fixture(scope="module")
def whole(spec: Path) -> Run:
    return train(spec, out=spec.parent / "whole", quiet=True)


def test_it_learns(whole: Run) -> None:
    first, second = (row["loss"] for row in whole.history)
    assert second < first


def test_a_resumed_run_is_the_same(spec: Path, whole: Run) -> None:
    """The schedule goes on where it was: the seeds and the iterations are those of a run that never stopped."""
    part = train(spec, overrides={"train.epochs": 1}, out=spec.parent / "part", quiet=True)
    rest = train(resume=part.path, overrides={"train.epochs": 2}, quiet=True)
    assert rest.history == whole.history
    assert_identical(rest.folder.checkpoint(2), whole.folder.checkpoint(2))


def test_the_model_of_a_run_reads_no_truth(whole: Run) -> None:
    from specbuild.model.backend import keras

    model = keras.models.load_model(whole.folder.model_file)
    assert [one.name for one in model.inputs] == ["rain"]
    assert model.output_shape == (None, 5, 6, 6, 1)
    state = keras.ops.convert_to_numpy(model.get_layer("forecast").seed_generator.state)
    assert state[1] == 2 * 7  # epochs of 7 batches


def test_a_run_forecasts_further_with_the_same_weights(whole: Run) -> None:
    near, far = predict(whole.path), predict(whole.path, horizon=7)
    assert far.shape == (7, 6, 6, 1)
    np.testing.assert_array_equal(far[:3], near)


class Batches:
    """One batch, of 2 samples with 5 target frames."""

    def __len__(self) -> int:
        return 1

    def batch(self, _epoch: int, _index: int, _rows: object = None) -> tuple[object, object, object]:
        return np.ones((2, 3, 6, 6, 1)), np.arange(360.0).reshape(2, 5, 6, 6, 1), None


def test_training_is_shown_the_last_frames_of_the_target_and_validation_none(spec: Path) -> None:
    graph = build_graph(spec)
    (x, true), y, weight = with_true_frames(graph, Batches()).batch(0, 0)
    np.testing.assert_array_equal(true, y[:, 2:])
    assert x.shape == (2, 3, 6, 6, 1)
    assert weight is None
    (_, nothing), same, _ = with_true_frames(graph, Batches(), shown=False).batch(0, 0)
    np.testing.assert_array_equal(nothing, np.zeros((2, 3, 6, 6, 1)))
    np.testing.assert_array_equal(same, y)
    free = build_graph(spec, overrides={"layers.forecast.autoregressive.sampling": None})
    batches = Batches()
    assert with_true_frames(free, batches) is batches


def test_true_frames_must_be_what_the_node_reads() -> None:
    text = SPEC.replace("layers:\n", "layers:\n  - {layer: Rescaling, scale: 2.0}\n")
    with pytest.raises(SpecError, match="the data has no true frames for forecast"):
        build_graph(text)
    build_graph(text.replace("      sampling: {schedule: linear, steps: 20}\n", ""))
