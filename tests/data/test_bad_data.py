"""Frames that cannot be read or are not whole: named by file and number, or left out and counted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import xarray as xr

from specbuild.data import Dataset, open_data
from specbuild.document import RunError
from specbuild.evaluation.baselines import baselines
from tests.data.samples import dataset, frames, model, write_spec

WINDOWS = {"past": 2, "future": 1}
SPLIT = {"train": [0, 15], "test": [20, 40]}


def damaged(folder: Path, *numbers: int) -> Path:
    """Forty frames in chunks of one, of which some are not what their checksum says."""
    path = folder / "rain.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("rain", data=frames(40, 4, 4), chunks=(1, 4, 4), fletcher32=True)
        chunks = {one.chunk_offset[0]: one.byte_offset for one in map(file["rain"].id.get_chunk_info, range(40))}
    content = bytearray(path.read_bytes())
    for number in numbers:
        content[chunks[number] + 8] ^= 0xFF
    path.write_bytes(bytes(content))
    return path


def opened(folder: Path, **data: Any) -> Dataset:
    section = {"source": {"path": "rain.h5", "key": "rain", "layout": "T H W"}, "windows": WINDOWS, "split": SPLIT}
    spec = write_spec(folder, {**section, **data})
    return open_data(spec, model(spec))


def test_a_frame_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    damaged(tmp_path, 25)
    data = opened(tmp_path, fill=0)
    with pytest.raises(RunError) as caught:
        list(data.forecasts("test"))
    assert caught.value.message.startswith("frame 25 of rain.h5:rain cannot be read: Can't")
    assert caught.value.help == (
        "copy the file again, or leave out the windows that need such frames with data.on_error: skip"
    )
    with pytest.raises(RunError, match=r"frame 25 of rain.h5:rain cannot be read"):
        data.sampler("test", 20, 0).batch(0, 0)


def test_frames_that_cannot_be_read_are_left_out_and_counted(tmp_path: Path) -> None:
    damaged(tmp_path, 7, 25)
    data = opened(tmp_path, on_error="skip", transform=["standardize"])
    assert data.source.may_miss
    x, y, weight = data.sampler("train", 13, 0, shuffle=False).batch(0, 0)
    assert weight is not None
    assert np.isfinite(x).all()
    assert np.isfinite(y).all()
    assert [number for number in range(13) if not weight[number].any()] == [5, 6, 7]
    assert len(list(data.forecasts("test"))) == 18 - 3
    first, rest = data.notes()[0].split(": ", 1)
    assert first == "6 windows were left out because of 2 frames that cannot be used"
    assert rest.startswith("frame 7 of rain.h5:rain cannot be read: ")
    assert "; frame 25 of rain.h5:rain cannot be read: " in rest
    assert np.isfinite(baselines(data)[1].forecast(next(data.forecasts("test")))).all()


def test_a_frame_of_several_files_is_named_by_its_own(tmp_path: Path) -> None:
    for number in range(2):
        time = np.arange(number * 6, number * 6 + 6)
        values = frames(6, 2, 2, seed=number)
        values[4, 0, 0] = np.nan if number else 1
        coordinates = {"time": ("time", time, {"units": "hours since 2019-03-01"})}
        xr.Dataset({"t": (("time", "lat", "lon"), values)}, coordinates).to_netcdf(
            tmp_path / f"part_{number}.nc", engine="netcdf4"
        )
    source = {"path": "part_*.nc", "layout": {"T": "time", "H": "lat", "W": "lon"}}
    section = {"source": source, "windows": WINDOWS, "split": {"train": 1.0}, "allow_missing": False}
    spec = write_spec(tmp_path, section)
    with pytest.raises(RunError) as caught:
        list(open_data(spec, model(spec)).forecasts("train"))
    assert caught.value.message == "frame 4 (2019-03-01 10:00) of part_1.nc is not whole: 1 value is missing"
    assert caught.value.help.startswith("data.allow_missing: true, or leave out the windows that need such frames")
    skipping = write_spec(tmp_path, {**section, "on_error": "skip"})
    data = open_data(skipping, model(skipping))
    assert len(list(data.forecasts("train"))) == 10 - 2
    assert data.notes() == (
        "2 windows were left out because of 1 frame that cannot be used: "
        "frame 4 (2019-03-01 10:00) of part_1.nc is not whole: 1 value is missing",
    )


def test_whole_frames_need_no_weights(tmp_path: Path) -> None:
    data = dataset(tmp_path, frames(40, 2, 2), allow_missing=False, transform=["standardize"])
    assert not data.source.may_miss
    assert data.sampler("train", 2, 0).batch(0, 0)[2] is None


def test_windows_without_a_past_or_a_future_are_left_out(tmp_path: Path) -> None:
    values = frames(40, 2, 2)
    values[5:7] = np.nan
    values[30] = np.nan
    data = dataset(tmp_path, values, windows=WINDOWS, split=SPLIT)
    _, _, weight = data.sampler("train", 13, 0, shuffle=False).batch(0, 0)
    assert weight is not None
    assert [number for number in range(13) if not weight[number].any()] == [3, 4, 5]
    assert len(list(data.forecasts("test"))) == 18 - 1
    assert data.notes() == ("4 windows were left out: all of the past or all of the future is missing",)


def test_nothing_to_score(tmp_path: Path) -> None:
    values = frames(40, 2, 2)
    values[20:] = np.nan
    data = dataset(tmp_path, values, windows=WINDOWS, split=SPLIT)
    with pytest.raises(RunError, match="every window of the test split is left out"):
        list(data.forecasts("test"))
