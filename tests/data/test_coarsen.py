"""Missing values take no part in the arithmetic on frames: resizing, conversion of colour, boxes of pixels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray
from PIL import Image

from specbuild.data.samples.clips import open_clips
from specbuild.data.sources import FrameSource, open_source
from specbuild.data.sources.coarsen import reduced
from specbuild.document import SpecError
from tests.data.pictures import write_frames
from tests.data.samples import dataset, frames, message, model, write_spec


def opened(folder: Path, path: str, source: dict[str, Any], **data: Any) -> FrameSource:
    return open_source(write_spec(folder, {"source": {"path": path, "layout": "T H W", **source}, **data}))


RADAR = {"scale": 0.5, "offset": -32, "missing": 255}
"""A radar picture of 8 bits: reflectivity in half dBZ, 255 where the radar does not see."""


def test_a_code_for_missing_is_never_averaged_into_data(tmp_path: Path) -> None:
    pixels = np.full((3, 8, 8), 179, np.uint8)  # 57.5 dBZ
    pixels[:, :4] = 255
    pixels[:, 4, :3] = 255
    write_frames(tmp_path / "radar", pixels)
    whole = opened(tmp_path, "radar", {}, **RADAR)
    assert whole.dtype == np.uint8
    for source in ({"size": [4, 4]}, {"size": [5, 3]}, {"size": 16}, {"coarsen": 2}):
        small = opened(tmp_path, "radar", source, **RADAR)
        values = small.read(0, range(3))
        assert small.may_miss
        np.testing.assert_allclose(values[~np.isnan(values)], 57.5)
        assert 0 < np.isnan(values).mean() < 1
    assert np.isnan(opened(tmp_path, "radar", {"size": 4}, **RADAR).read(0, range(1))[0, :2]).all()
    np.testing.assert_array_equal(
        opened(tmp_path, "radar", {"size": 8}, **RADAR).read(0, range(3)), whole.read(0, range(3))
    )


def test_a_code_in_colour_is_masked_before_the_luma(tmp_path: Path) -> None:
    colours = np.full((2, 4, 4, 3), 100, np.uint8)
    colours[:, 0, 0] = 255
    write_frames(tmp_path / "frames", colours)
    values = opened(tmp_path, "frames", {"color": "gray"}, missing=255, scale=2).read(0, range(2))[..., 0]
    assert np.isnan(values[:, 0, 0]).all()
    np.testing.assert_allclose(values[:, 1:], 200, rtol=1e-6)


def test_missing_floats_of_a_tiff_have_no_weight(tmp_path: Path) -> None:
    values = frames(2, 8, 8)
    values[0, :4, :4] = np.nan
    values[1, 0, 0] = -9999
    write_frames(tmp_path / "frames", values, ".tif")
    found = opened(tmp_path, "frames", {"size": 4}, missing=-9999).read(0, range(2))
    assert np.isnan(found[0, :2, :2]).all()
    assert np.isfinite(found[1]).all()
    assert np.nanmin(found) >= 0


def test_clips_of_classes_too(tmp_path: Path) -> None:
    for name in ("dry", "wet"):
        for clip in range(2):
            folder = tmp_path / "clips" / name / str(clip)
            write_frames(folder, np.where(np.arange(8) < 3, 255, 60).astype(np.uint8) * np.ones((3, 8, 8), np.uint8))
    source = {"path": "clips", "layout": "N T H W", "size": [4, 4]}
    data = {"source": source, "target": "class", "windows": {"past": 3}, "missing": 255, "fill": 7}
    spec = write_spec(tmp_path, {**data, "split": {"train": 0.5, "test": 0.5}})
    samples = open_clips(spec, model(spec, (1,), (3, 4, 4, 1)))
    assert set(np.unique(samples.sampler("test", 2, seed=0).batch(0, 0)[0])) == {7, 60}


BOXES = np.array([[1, 3, np.nan, np.nan], [5, 7, np.nan, 8], [0, 0, 2, np.nan], [0, 0, 4, np.nan]])


@pytest.mark.parametrize(
    ("method", "expected"),
    [("mean", [[4, np.nan], [0, 3]]), ("max", [[7, np.nan], [0, 4]]), ("sum", [[16, np.nan], [0, 12]])],
)
def test_a_box_is_that_of_its_known_values(method: str, expected: list[list[float]]) -> None:
    np.testing.assert_array_equal(reduced(BOXES, [2, 2], method), np.array(expected, np.float32))


@pytest.mark.parametrize("name", ["rain.npy", "rain.nc"])
def test_boxes_of_any_format(tmp_path: Path, name: str) -> None:
    values = frames(12, 9, 12)
    values[:, :3, :4] = -1
    if name.endswith("npy"):
        np.save(tmp_path / name, values)
    else:
        variable = ("time", "y", "x"), values
        y = "y", np.arange(9.0), {"bounds": "y_bounds"}
        coordinates = {"y": y, "x": 10 - np.arange(12.0), "time": np.arange(12)}
        coordinates["lat"] = ("y", "x"), np.arange(9.0)[:, None] + np.zeros(12)
        bounds = {"y_bounds": (("y", "ends"), np.arange(9)[:, None] + [-0.5, 0.5])}
        xarray.Dataset({"rain": variable, **bounds}, coordinates).to_netcdf(tmp_path / name)
    source = opened(tmp_path, name, {"coarsen": {"factor": [4, 3], "method": "max"}}, missing=-1)
    assert (source.space, source.length) == ((2, 4), 12)
    values[values < 0] = -np.inf
    boxes = values[:, :8].reshape(12, 2, 4, 4, 3).max(axis=(2, 4))
    boxes[:, 0, 0] = np.nan  # a quarter is known
    np.testing.assert_array_equal(source.read(0, range(12))[..., 0], boxes)
    np.testing.assert_array_equal(
        source.read(0, range(1, 9, 3), (slice(1, 2), slice(1, 4)))[..., 0], boxes[1:9:3, 1:2, 1:4]
    )
    assert source.notes() == ("coarsen leaves out the last pixels: 1 of 9 along H",)
    if name.endswith("nc"):
        np.testing.assert_array_equal(source.metadata.coordinates["W"].values, [9, 6, 3, 0])
        rows = source.metadata.coordinates["H"]
        np.testing.assert_array_equal(rows.values, [1.5, 5.5])
        np.testing.assert_array_equal(rows.bounds, [[-0.5, 3.5], [3.5, 7.5]])
        (latitude,) = source.metadata.descriptions[0].auxiliary
        np.testing.assert_array_equal(latitude.array[:, :], np.repeat([[1.5], [5.5]], 4, axis=1))


def test_boxes_as_data_of_a_model(tmp_path: Path) -> None:
    source = {"path": "rain.npy", "layout": "T H W", "coarsen": 4}
    data = dataset(tmp_path, frames(60, 8, 8), source=source)
    assert data.source.space == (2, 2)


def test_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "rain.npy", frames(12, 9, 12))

    def refusal(coarsen: Any, **source: Any) -> str:
        with pytest.raises(SpecError) as caught:
            opened(tmp_path, "rain.npy", {"coarsen": coarsen, **source})
        return message(caught.value)

    assert refusal(10) == (
        "data.source.coarsen | a box has 10 pixels along H, a frame of rain.npy has 9 | coarsen by 9 at most"
    )
    assert (
        refusal([1, 2, 3])
        == "data.source.coarsen | coarsen: expected one number, or one for each of H W, got 3 numbers"
    )
    assert refusal({"factor": 2, "method": "median"}) == (
        'data.source.coarsen.method | method: expected "mean", "max" or "sum", got "median"; did you mean "mean"?'
    )
    assert refusal(0).startswith("data.source.coarsen | coarsen: expected a positive whole number")


def test_the_size_of_frames_is_known_before_they_are(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((20, 30), np.uint8)).save(tmp_path / "0.png")
    spec = write_spec(tmp_path, {"source": {"path": "*.png", "layout": "T H W", "size": [40, 60], "coarsen": [4, 3]}})
    assert spec.require_data().source.frame == (10, 20)


def test_the_type_in_the_file_is_that_before_frames_become_coarser_or_smaller(tmp_path: Path) -> None:
    np.save(tmp_path / "rain.npy", np.zeros((6, 4, 4), np.int16))
    (tmp_path / "frames").mkdir()
    for number in range(6):
        image = np.full((4, 4), number, ">u2").tobytes()
        (tmp_path / "frames" / f"{number}.pgm").write_bytes(b"P5 4 4 65535\n" + image)
    for source, stored in (
        ({"path": "rain.npy", "layout": "T H W", "coarsen": 2}, "int16"),
        ({"path": "frames/", "layout": "T H W", "size": 2}, "uint16"),
    ):
        opened = open_source(
            write_spec(tmp_path, {"source": source, "missing": 99, "windows": {"past": 1, "future": 1}})
        )
        assert (str(opened.dtype), str(opened.stored_dtype)) == ("float32", stored)
