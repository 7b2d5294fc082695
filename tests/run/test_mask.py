"""Missing values from end to end: a model that reads the mask is trained, scored and forecast with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from specbuild import Forecaster
from specbuild.evaluation import evaluate
from specbuild.model.backend import keras
from specbuild.prediction import predict
from specbuild.runs.trained import TrainedRun
from specbuild.training import Run, train
from specbuild.training.compile import compile_model
from tests.run.conftest import CONVOLUTION, SPEC, blobs

GAPS = np.random.default_rng(0).random((60, 12, 12)) < 0.2
LAYERS = SPEC[SPEC.index("layers:") : SPEC.index("data:")]
MASKED = (
    SPEC.replace(LAYERS, CONVOLUTION + "\n")
    .replace("past: 3", "past: 2")
    .replace("12, 12, 1]", "12, 12, 2]")
    .replace("  units: mm/h\n", "  units: mm/h\n  scale: 0.01\n  missing: [65535, 60000]\n  mask: true\n")
    .replace("  transform:", "  augment: {flip: [height, width], rotate: true, noise: 0.02}\n  transform:")
    .replace("epochs: 3", "epochs: 1")
)


@pytest.fixture(scope="module")
def masked(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("masked")
    write(folder / "blobs.npy", 65535)
    (folder / "nowcast.yaml").write_text(MASKED, encoding="utf-8")
    return train(folder / "nowcast.yaml", out=folder / "runs", quiet=True)


def write(path: Path, gap: int) -> None:
    np.save(path, np.where(GAPS, gap, np.rint(blobs() * 100)).astype(np.uint16))


def test_scores_leave_out_what_is_missing(masked: Run) -> None:
    trained = TrainedRun.open(masked.path)
    squares = {"model": [], "persistence": []}
    for window in trained.dataset.forecasts("test"):
        forecast = trained.dataset.forecast(window.past, trained.predict)
        squares["model"].append(np.square(forecast - window.future))
        squares["persistence"].append(np.square(window.past[-1:] - window.future))
    assert masked.scores is not None
    for name, errors in squares.items():
        column = next(one for one in masked.scores.of(name).columns if one.score == "MSE")
        np.testing.assert_allclose(column.values, np.nanmean(np.stack(errors), axis=(0, 2, 3, 4)), rtol=1e-4)


def test_what_stands_at_missing_pixels_changes_no_score(masked: Run) -> None:
    data = Path(masked.folder.manifest()["directory"]) / "blobs.npy"
    write(data, 60000)
    try:
        again = evaluate(masked.path, overrides={"data.source.path": str(data)})
    finally:
        write(data, 65535)
    assert masked.scores is not None
    found, expected = again.to_dict(), masked.scores.to_dict()
    assert found.pop("notes") != expected.pop("notes", [])
    assert found.pop("data") != expected.pop("data", [])
    assert found == expected


def test_the_loss_does_not_see_targets_of_weight_zero(masked: Run) -> None:
    trained = TrainedRun.open(masked.path)
    x, y, weight = trained.dataset.sampler("train", 4, seed=1).batch(0, 0)
    model = keras.models.load_model(masked.folder.model_file, compile=False)
    compile_model(model, trained.spec, weighted=True, outputs=["forecast"], transform=trained.dataset.transform)
    assert weight is not None
    assert 0 < weight.mean() < 1
    other = np.where(weight[..., np.newaxis] == 0, np.float32(1e3), y)
    losses = [model.evaluate(x, target, sample_weight=weight, verbose=0) for target in (y, other)]
    assert losses[0] == losses[1]
    known = weight == 1
    squares = np.square(model.predict_on_batch(x) - y)[..., 0]
    assert losses[0][0] == pytest.approx(squares[known].mean(), rel=1e-5)


def test_forecasts_of_frames_with_gaps(masked: Run, tmp_path: Path) -> None:
    past = np.where(GAPS[:2], np.nan, blobs()[:2]).astype(np.float32)
    np.save(tmp_path / "past.npy", past)
    forecast = predict(masked.path, input=tmp_path / "past.npy", output=tmp_path / "forecast.npy")
    assert (forecast.shape, np.isfinite(forecast).all()) == ((2, 12, 12, 1), True)
    forecaster = Forecaster(masked.path)
    assert forecaster.update(past[0]) is None
    updated = forecaster.update(past[1])
    assert updated is not None
    np.testing.assert_array_equal(updated, forecast)
