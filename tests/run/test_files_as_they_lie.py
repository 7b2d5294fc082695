"""A run on packed radar pictures of one frame each, with terrain from a GeoTIFF: trained, resumed, scored, forecast."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path

import numpy as np
import pytest

from specbuild.evaluation import evaluate
from specbuild.prediction import predict
from specbuild.training import Run, train
from tests.data.test_grid_files import write_geotiff
from tests.run.conftest import blobs

SPEC = """\
specbuild: 1
vars: {past: 2, future: 2}
inputs:
  rain: [$past, 12, 12, 1]
  terrain: [12, 12, 1]
layers:
  - {id: ground, layer: RepeatFrame, from: terrain, times: $past}
  - {layer: Concatenate, from: [rain, ground]}
  - {id: forecast, time_distributed: {layer: Conv2D, filters: 1, kernel_size: 3, padding: same}}
data:
  source: {path: radar, layout: T H W, time: {from: name, format: "%Y%m%d%H%M"}, coarsen: {factor: 2, method: max}}
  variable: rain rate
  units: mm/h
  scale: 0.05
  missing: 255
  interval: 5 min
  windows: {past: $past, future: $future}
  split: {train: ["2019-06-10", "2019-06-10"], test: ["2019-06-11", "2019-06-11"]}
  transform: [standardize]
  inputs:
    rain: past
    terrain: {source: {path: terrain.tif, layout: H W}, transform: [minmax]}
train: {optimizer: {name: Adam, learning_rate: 0.01}, loss: mse, epochs: 1, seed: 3}
evaluate: {thresholds: [1], baselines: [persistence]}
"""
TIMES = np.datetime64("2019-06-10T22:00", "s") + np.arange(60) * np.timedelta64(5, "m")


def write(folder: Path) -> None:
    """60 frames of 24 × 24 in PGM, packed; their last rows are never seen."""
    (folder / "radar").mkdir()
    for time, frame in zip(TIMES, blobs(), strict=True):
        raw = np.repeat(np.repeat((frame / 0.05).astype(np.uint8), 2, 0), 2, 1)
        raw[-2:] = 255
        name = f"{time.astype('M8[m]')}_radar.pgm.gz".replace("-", "").replace(":", "").replace("T", "")
        (folder / "radar" / name).write_bytes(gzip.compress(b"P5\n24 24\n255\n" + raw.tobytes()))
    write_geotiff(folder / "terrain.tif", np.arange(144, dtype=np.float32).reshape(1, 12, 12))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("radar")
    write(folder)
    (folder / "radar.yaml").write_text(SPEC, encoding="utf-8")
    return train(folder / "radar.yaml", out=folder / "runs", quiet=True)


pytestmark = pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")  # rasterio's, of its matrices


def test_scores_and_forecasts(run: Run, tmp_path: Path) -> None:
    found = evaluate(run.path)
    assert (found.windows, found.units) == (33, "mm/h")
    frames = ((blobs() / 0.05).astype(np.uint8) * 0.05)[24:, :-1]
    for lead in (1, 2):
        errors = frames[1:34] - frames[1 + lead : 34 + lead]
        assert found.of("persistence").column("MSE").values[lead - 1] == pytest.approx(np.mean(errors**2), rel=1e-5)
    output = tmp_path / "forecast.nc"
    latest = predict(run.path, output=output)
    assert latest.shape == (2, 12, 12, 1)
    assert np.isnan(latest[:, -1]).all()
    assert np.isfinite(latest[:, :-1]).all()
    import xarray

    with xarray.open_dataset(output) as written:
        np.testing.assert_array_equal(written["time"].values[0].astype("M8[s]"), TIMES[-1] + np.timedelta64(5, "m"))


def test_a_folder_as_the_past(run: Run, tmp_path: Path) -> None:
    files = sorted((run.path.parent.parent / "radar").iterdir())
    (tmp_path / "latest").mkdir()
    for file in files[-2:]:
        shutil.copy(file, tmp_path / "latest")
    np.testing.assert_array_equal(predict(run.path, tmp_path / "latest"), predict(run.path))


def test_it_is_resumed(run: Run) -> None:
    longer = train(resume=run.path, overrides=["train.epochs=2"], quiet=True)
    assert len(longer.history) == 2
