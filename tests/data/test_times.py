"""Times and packing that a file states wrongly are refused, never left out, unless the spec says to ignore them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import netCDF4
import numpy as np
import pytest
import xarray as xr

from specbuild.data.sources import FrameSource, open_source
from specbuild.data.time.times import times_of
from specbuild.document import SpecError
from tests.data.samples import frames, message, write_spec

VALUES = frames(6, 2, 2)
HOURS = {"units": "hours since 2019-03-01"}
IGNORE = "correct the file, or write time: false to treat its frames as evenly spaced"


def opened(folder: Path, name: str = "a.nc", data: dict[str, Any] | None = None, **source: Any) -> FrameSource:
    section = {"path": name, "layout": "T H W", **source}
    return open_source(write_spec(folder, {"source": section, **(data or {})}))


def refused(folder: Path, name: str = "a.nc", **source: Any) -> str:
    with pytest.raises(SpecError) as caught:
        opened(folder, name, **source)
    return message(caught.value)


def netcdf(path: Path, time: Any, attributes: dict[str, Any], fill: Any = None) -> None:
    """Six frames whose coordinate of time holds what is given, as it is."""
    numbers = np.asarray(time)
    with netCDF4.Dataset(path, "w") as file:
        for name, length in (("time", len(numbers)), ("y", 2), ("x", 2)):
            file.createDimension(name, length)
        kind = str if numbers.dtype.kind == "U" else numbers.dtype
        variable = file.createVariable("time", kind, ("time",), fill_value=fill)
        if kind is not str:
            variable.set_auto_maskandscale(False)
        variable[:] = numbers.astype(object) if kind is str else numbers
        variable.setncatts(attributes)
        file.createVariable("rain", "f4", ("time", "y", "x"))[:] = VALUES[: len(numbers)]


WRONG = [
    ([0, 1, 2, -999, 4, 5], HOURS, -999, "the time of frame 3 is missing: it is -999"),
    ([-999, 1, 2, 3, 4, 5], HOURS, -999, "the time of frame 0 is missing: it is -999"),
    ([0.0, 1, 2, 3, np.nan, 5], HOURS, None, "the time of frame 4 is missing: it is nan"),
    (
        [0.0, 1, 2, 3, 9.96921e36, 5],
        HOURS,
        None,
        'the time of frame 4, 9.96921e+36 "hours since 2019-03-01", is outside the years 1 to 9999',
    ),
    (
        [0.0, 1, 2, 3, 9.96921e36, 5],
        {**HOURS, "calendar": "noleap"},
        None,
        'the time of frame 4, 9.96921e+36 "hours since 2019-03-01", cannot be decoded',
    ),
    (
        [0, 1, 2, 3, 4, 5],
        {"units": "parsecs since 2000-01-01"},
        None,
        '"parsecs since 2000-01-01" in the calendar "standard" are not units of time known to the CF conventions',
    ),
    (
        [0, 1, 2, 3, 4, 5],
        {**HOURS, "calendar": "foo"},
        None,
        '"hours since 2019-03-01" in the calendar "foo" are not units of time known to the CF conventions',
    ),
    (
        ["2019-03-01", "2019-03-02", "soon", "2019-03-04", "2019-03-05", "2019-03-06"],
        {},
        None,
        'the time of frame 2, "soon", is not a time',
    ),
]


@pytest.mark.parametrize(("time", "attributes", "fill", "reason"), WRONG)
def test_times_that_cannot_be_decoded(
    tmp_path: Path, time: list[Any], attributes: dict[str, Any], fill: Any, reason: str
) -> None:
    netcdf(tmp_path / "a.nc", time, attributes, fill)
    assert refused(tmp_path) == f"data.source.time | time of a.nc does not hold times | {reason} | {IGNORE}"
    ignoring = opened(tmp_path, time=False)
    assert (ignoring.times(0), ignoring.lengths) == (None, (6,))


@pytest.mark.parametrize("time", [[0, 1, 2, 2, 4, 5], [0, 1, 5, 3, 4, 6]])
def test_times_that_do_not_increase(tmp_path: Path, time: list[int]) -> None:
    netcdf(tmp_path / "a.nc", time, HOURS)
    assert "the times of a.nc do not increase from frame to frame | frame 3 (" in refused(tmp_path)
    assert opened(tmp_path, time=False).times(0) is None


def test_numbers_without_a_date_say_nothing_of_gaps(tmp_path: Path) -> None:
    netcdf(tmp_path / "a.nc", [10, 20, 30, 40, 50, 60], {"units": "minutes"})
    assert opened(tmp_path).times(0) is None
    netcdf(tmp_path / "a.nc", [20190129, 20190130, 20190131, 20190201, 20190202, 20190203], {"units": "day as %Y%m%d"})
    assert refused(tmp_path) == (
        "data.source.time | time of a.nc is not evenly spaced, and not in units such as hours since 2019-03-01 | "
        f'its units are "day as %Y%m%d", and frame 3 has 20190201 after 20190131 | {IGNORE}'
    )


@pytest.mark.parametrize(
    ("numbers", "even"),
    [
        ([0.0, 1.02, 2, 2.98, 4, 5], True),
        ([0, 31, 59, 90, 120, 151], True),  # days of months
        ([0, 3, 7, 10, 13, 17], True),  # rounded
        ([0.0, 1, 2, 3.3, 4.3, 5.3], False),
        ([0.0, 10, 20, 30, 44, 54], False),
        ([0, 1, 3, 4, 5, 6], False),
    ],
)
def test_numbers_that_are_nearly_even(tmp_path: Path, numbers: list[float], even: bool) -> None:
    netcdf(tmp_path / "a.nc", numbers, {})
    if even:
        assert opened(tmp_path).times(0) is None
    else:
        assert "time of a.nc is not evenly spaced" in refused(tmp_path)


@pytest.mark.parametrize("numbers", [[0.0, 1, 1e308, -1e308, 4, 5], [1.0, 1, 1, 1, 1, 1], [0, 1, np.inf, 3, 4, 5]])
def test_numbers_that_do_not_count_frames(tmp_path: Path, numbers: list[float]) -> None:
    netcdf(tmp_path / "a.nc", numbers, {})
    assert "time of a.nc is not evenly spaced" in refused(tmp_path)


def test_a_file_without_times_among_files_with_times(tmp_path: Path) -> None:
    netcdf(tmp_path / "a.nc", [0, 1, 2], HOURS)
    netcdf(tmp_path / "b.nc", [0, 1, 2], {})
    assert refused(tmp_path, "*.nc", key="rain") == (
        "data.source.time | a.nc gives the times of its frames, and b.nc does not | "
        "correct the file, or write time: false to treat all frames as evenly spaced"
    )
    assert opened(tmp_path, "*.nc", key="rain", time=False).lengths == (6,)


def test_times_of_a_named_array(tmp_path: Path) -> None:
    def write(name: str, **attributes: Any) -> None:
        with h5py.File(tmp_path / name, "w") as file:
            file["rain"], file["when"] = VALUES, np.array([58, 59, 60, 61, 62, 63])
            file["when"].attrs.update({"units": "days since 2019-01-01", "calendar": "noleap", **attributes})

    write("a.h5")
    times = opened(tmp_path, "a.h5", key="rain", time="when").times(0)
    assert times is not None
    assert str(times[1]) == "2019-03-01T00:00:00"
    write("b.h5", units="parsecs since 2000-01-01")
    assert refused(tmp_path, "b.h5", key="rain", time="when") == (
        'data.source.time | b.h5:when does not hold times | "parsecs since 2000-01-01" in the calendar "noleap" are '
        "not units of time known to the CF conventions"
    )
    write("c.h5", _FillValue=59)
    assert refused(tmp_path, "c.h5", key="rain", time="when") == (
        "data.source.time | c.h5:when does not hold times | the time of frame 1 is missing: it is 59"
    )
    with pytest.raises(ValueError, match="the time of frame 1 is missing"):
        times_of(np.array(["2019-01-01", "NaT", "2019-01-03"], "datetime64[D]"))


def test_a_store_of_zarr_2_begins_at_time_0(tmp_path: Path) -> None:
    data = xr.Dataset({"rain": (("time", "y", "x"), VALUES)}, {"time": ("time", np.arange(6), HOURS)})
    data["time"].encoding["_FillValue"] = 0
    data.to_zarr(tmp_path / "a.zarr", zarr_format=2, consolidated=False)
    times = opened(tmp_path, "a.zarr").times(0)
    assert times is not None
    assert str(times[0]) == "2019-03-01T00:00:00"


PACKING = [
    ({"scale_factor": "0.1"}, "data.scale", "its attribute scale_factor is '0.1', not a number", {"scale": 0.1}),
    (
        {"scale_factor": [0.1, 0.2]},
        "data.scale",
        "its attribute scale_factor is [0.1, 0.2], not a number",
        {"scale": 1},
    ),
    ({"scale_factor": 0.0}, "data.scale", "its attribute scale_factor is 0, which makes every", {"scale": 1}),
    ({"add_offset": np.nan}, "data.offset", "its attribute add_offset is nan, not a number", {"offset": 0}),
    ({"missing_value": "none"}, "data.missing", "its attribute missing_value is 'none', not numbers", {"missing": -1}),
]


@pytest.mark.parametrize(("attributes", "place", "reason", "mended"), PACKING)
@pytest.mark.parametrize("name", ["a.h5", "a.nc"])
def test_packing_that_is_no_number(
    tmp_path: Path, name: str, attributes: dict[str, Any], place: str, reason: str, mended: dict[str, Any]
) -> None:
    if name == "a.h5":
        with h5py.File(tmp_path / name, "w") as file:
            file["rain"] = VALUES
            file["rain"].attrs.update(attributes)
    else:
        netcdf(tmp_path / name, np.arange(6), HOURS)
        with netCDF4.Dataset(tmp_path / name, "a") as grid:
            grid["rain"].setncatts(attributes)
    assert refused(tmp_path, name).startswith(f"{place} | {name}:rain does not say how it is packed | {reason}")
    factor = mended.get("scale", 1)
    np.testing.assert_array_equal(
        opened(tmp_path, name, mended).read(0, range(6))[..., 0], (VALUES.astype(float) * factor).astype(np.float32)
    )


def test_a_fill_value_that_the_type_cannot_hold_marks_nothing(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["rain"] = np.arange(24, dtype=np.uint8).reshape(6, 2, 2)
        file["rain"].attrs.update(_FillValue=-1.0, missing_value=[300.0, 0.5])
    np.testing.assert_array_equal(opened(tmp_path, "a.h5").read(0, range(6)).ravel(), np.arange(24))
