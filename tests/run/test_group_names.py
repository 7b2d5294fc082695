"""Forecasts of an array in a group of an HDF5 file."""

from pathlib import Path

import h5py
import numpy as np
import xarray as xr

from specbuild import load_spec, predict, train
from tests.run.conftest import blobs

SPEC = """\
specbuild: 1
name: groups
inputs: {rain: [2, 12, 12, 1]}
layers: [{id: forecast, layer: Conv3D, filters: 1, kernel_size: 1}]
data:
  source: {path: rain.h5, key: radar/rain, layout: T H W}
  windows: {past: 2, future: 2}
  split: {train: 1.0}
train: {epochs: 1, steps_per_epoch: 1}
"""


def test_a_slash_of_a_group_is_not_in_the_name_of_a_variable(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "rain.h5", "w") as file:
        file["radar/rain"] = blobs(20, 12)
    (tmp_path / "spec.yaml").write_text(SPEC, encoding="utf-8")
    run = train(load_spec(tmp_path / "spec.yaml"), out=tmp_path / "runs", quiet=True)
    frames = predict(run.path, output=tmp_path / "f.nc")
    with xr.open_dataset(tmp_path / "f.nc") as grid:
        np.testing.assert_allclose(grid["radar_rain"].values, frames[..., 0])
