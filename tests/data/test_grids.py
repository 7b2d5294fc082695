"""NetCDF and Zarr: dimensions by name, times of any calendar, several files and variables, and regions."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import pytest
import xarray as xr
import zarr

from specbuild.data import open_data
from specbuild.data.sources import FrameSource, join, open_source
from specbuild.data.sources.base import Coordinate
from specbuild.data.sources.cf import is_latitude
from specbuild.data.time.intervals import differ, unbroken, usual_step
from specbuild.data.time.times import cf_times
from specbuild.document import SpecError
from specbuild.evaluation.baselines import baselines
from specbuild.language.interval import Interval
from tests.data.samples import RECORDS, frames, message, model, write_spec

LAYOUT = {"T": "time", "H": "lat", "W": "lon"}
VALUES = frames(6, 4, 5)
"""(time, lat, lon)"""


def grid(values: np.ndarray = VALUES, first: int = 0, **names: Any) -> xr.Dataset:
    """Hourly frames from 2019-03-01 on, on a grid of 1°, in K."""
    time, height, width = values.shape
    return xr.Dataset(
        {
            "t2m": (("time", "lat", "lon"), values, {"units": "K"}),
            "time_bnds": (("time", "two"), np.zeros((time, 2))),
        },
        {
            "time": (
                "time",
                np.arange(first, first + time),
                {"units": "hours since 2019-03-01", "bounds": "time_bnds"},
            ),
            "lat": ("lat", 50.0 + np.arange(height), {"units": "degrees_north"}),
            "lon": ("lon", 10.0 + np.arange(width), {"units": "degrees_east"}),
            **names,
        },
    )


def opened(folder: Path, path: str = "a.nc", *, data: dict[str, Any] | None = None, **source: Any) -> FrameSource:
    section = {"path": path, "layout": LAYOUT, **source}
    section = {key: value for key, value in section.items() if value is not None}
    return open_source(write_spec(folder, {"source": section, **(data or {})}))


def refused(folder: Path, path: str = "a.nc", **source: Any) -> str:
    with pytest.raises(SpecError) as caught:
        opened(folder, path, **source)
    assert caught.value.diagnostics[0].span is not None
    return message(caught.value)


def netcdf3(data: xr.Dataset, path: Path) -> None:
    data.to_netcdf(path, format="NETCDF3_CLASSIC", engine="netcdf4")


def netcdf4_(data: xr.Dataset, path: Path) -> None:
    data.to_netcdf(path, engine="netcdf4")


def zarr2(data: xr.Dataset, path: Path) -> None:
    data.to_zarr(path, zarr_format=2, consolidated=True)


def zarr2_plain(data: xr.Dataset, path: Path) -> None:
    data.to_zarr(path, zarr_format=2, consolidated=False)


def zarr3(data: xr.Dataset, path: Path) -> None:
    data.to_zarr(path, zarr_format=3, consolidated=False)


@pytest.mark.parametrize(
    ("write", "path"),
    [
        (netcdf3, "a.nc"),
        (netcdf4_, "a.nc"),
        (netcdf4_, "a.nc4"),
        (zarr2, "a.zarr"),
        (zarr2_plain, "a.zarr"),
        (zarr3, "a.zarr"),
    ],
)
def test_formats_agree(tmp_path: Path, write: Any, path: str) -> None:
    write(grid(), tmp_path / path)
    source = opened(tmp_path, path)
    assert (source.lengths, source.space, source.channels) == ((6,), (4, 5), 1)
    assert (source.metadata.variables, source.metadata.units, source.name) == (("t2m",), "K", f"{path}:t2m")
    np.testing.assert_array_equal(source.read(0, range(6))[..., 0], VALUES)
    np.testing.assert_array_equal(
        source.read(0, range(1, 6, 2), (slice(1, 3), slice(2, 5)))[..., 0], VALUES[1::2, 1:3, 2:]
    )
    times, axes = source.times(0), source.metadata.coordinates
    assert times is not None
    assert str(times[1]) == "2019-03-01T01:00:00"
    assert {letter: (axis.name, axis.units) for letter, axis in axes.items()} == {
        "T": ("time", "hours since 2019-03-01"),
        "H": ("lat", "degrees_north"),
        "W": ("lon", "degrees_east"),
    }
    np.testing.assert_array_equal(axes["H"].values, [50, 51, 52, 53])


def test_axes_go_by_name_in_any_order(tmp_path: Path) -> None:
    flipped = grid().isel(lat=slice(None, None, -1)).transpose("lat", "lon", "time", ...)
    flipped.to_netcdf(tmp_path / "a.nc", engine="netcdf4")
    source = opened(tmp_path)
    np.testing.assert_array_equal(source.read(0, range(6))[..., 0], VALUES[:, ::-1])
    np.testing.assert_array_equal(source.metadata.coordinates["H"].values, [53, 52, 51, 50])
    assert opened(tmp_path, layout="H W T").space == (4, 5)


def test_the_layout_is_proposed_and_never_guessed(tmp_path: Path) -> None:
    data = grid().rename(lat="y", lon="x").expand_dims(level=[500, 850], axis=1)
    data["x"].attrs.clear()
    data["y"].attrs = {"axis": "Y"}
    data.to_netcdf(tmp_path / "a.nc", engine="netcdf4")
    assert refused(tmp_path, layout=None, key="t2m") == (
        "data.source.layout | a.nc:t2m needs a layout | its dimensions are time (6), level (2), y (4), x (5) | "
        "write layout: {T: time, D: level, H: y, W: x}; or, without D, one value of it: select: {level: 500}"
    )
    assert "write layout: {T: time, D: level, H: y, W: x}" in refused(tmp_path, layout="T H W", key="t2m")
    assert refused(tmp_path, layout={"T": "time", "H": "y", "W": "x"}, key="t2m") == (
        "data.source.layout | level (2) of a.nc:t2m is in no axis of the layout | its dimensions are time (6), "
        "level (2), y (4), x (5) | choose one value of it, such as select: {level: 500}, or give it a letter"
    )
    by_letter = opened(tmp_path, layout="T H W", key="t2m", select={"level": 850})
    np.testing.assert_array_equal(by_letter.read(0, range(6))[..., 0], VALUES)
    assert opened(tmp_path, layout={"T": "time", "C": "level", "H": "y", "W": "x"}, key="t2m").metadata.variables == (
        "500",
        "850",
    )
    assert refused(tmp_path, layout="T H W", key="t2m", select={"level": 851}) == (
        "data.source.select | level of a.nc:t2m has no value 851 | it has 500, 850"
    )


def test_an_axis_of_length_one_needs_no_letter(tmp_path: Path) -> None:
    grid().expand_dims(level=[850], axis=1).to_netcdf(tmp_path / "a.nc", engine="netcdf4")
    np.testing.assert_array_equal(opened(tmp_path, key="t2m").read(0, range(6))[..., 0], VALUES)


def test_nothing_tells_which_axis_is_which(tmp_path: Path) -> None:
    xr.Dataset({"rain": (("a", "b", "c"), VALUES)}).to_netcdf(tmp_path / "a.nc", engine="netcdf4")
    assert refused(tmp_path, layout=None) == (
        "data.source.layout | a.nc:rain needs a layout | its dimensions are a (6), b (4), c (5) | name the dimension "
        "of each axis, such as layout: {T: a, …}, out of T (time), N (event), D (depth), H (height), W (width), "
        "L (length), C (channel)"
    )
    assert opened(tmp_path, layout={"T": "a", "H": "b", "W": "c"}).times(0) is None


def test_packed_numbers_are_unpacked_as_the_file_or_the_spec_says(tmp_path: Path) -> None:
    with netCDF4.Dataset(tmp_path / "a.nc", "w", format="NETCDF3_CLASSIC") as file:
        for name, length in (("time", 3), ("lat", 1), ("lon", 1)):
            file.createDimension(name, length)
        packed = file.createVariable("t2m", "i2", ("time", "lat", "lon"), fill_value=-1)
        packed.setncatts({"scale_factor": 0.5, "add_offset": 10.0})
        packed.set_auto_maskandscale(False)
        packed[:] = np.array([1, 2, -1], "i2").reshape(3, 1, 1)
        unsigned = file.createVariable("rain", "i1", ("time", "lat", "lon"), fill_value=-1)
        unsigned.setncatts({"_Unsigned": "true"})
        unsigned.set_auto_maskandscale(False)
        unsigned[:] = np.array([1, -2, -1], "i1").reshape(3, 1, 1)
    np.testing.assert_array_equal(opened(tmp_path, key="t2m").read(0, range(3)).ravel(), [10.5, 11, np.nan])
    raw = opened(tmp_path, key="t2m", data={"scale": 1, "offset": 0, "missing": 2})
    np.testing.assert_array_equal(raw.read(0, range(3)).ravel(), [1, np.nan, np.nan])
    np.testing.assert_array_equal(opened(tmp_path, key="rain").read(0, range(3)).ravel(), [1, 254, np.nan])


def test_regions_and_dates_by_coordinate(tmp_path: Path) -> None:
    grid().to_netcdf(tmp_path / "a.nc", engine="netcdf4")
    source = opened(tmp_path, region={"lat": [52, 51], "lon": [11, 13.5]}, time=["2019-03-01T02", "2019-03-01T03"])
    np.testing.assert_array_equal(source.read(0, range(2))[..., 0], VALUES[2:4, 1:3, 1:4])
    np.testing.assert_array_equal(source.metadata.coordinates["W"].values, [11, 12, 13])
    assert str(source.metadata.coordinates["T"].values) == "['2019-03-01T02:00:00' '2019-03-01T03:00:00']"
    assert refused(tmp_path, region={"lat": [70, 80]}) == (
        "data.source.region | no lat of a.nc:t2m lies from 70 to 80 | it runs from 50 to 53"
    )
    assert refused(tmp_path, region={"latt": [50, 51]}) == (
        'data.source.region | a.nc:t2m has no dimension "latt" | its dimensions are time (6), lat (4), lon (5) | '
        'did you mean "lat"?'
    )
    assert refused(tmp_path, time=[2020, 2021]) == ("data.source.time | no frame of a.nc:t2m lies between the dates")


def test_a_region_across_the_end_of_the_globe_is_one_piece(tmp_path: Path) -> None:
    values = frames(2, 1, 12)
    data = grid(values, lon=("lon", np.arange(0, 360, 30.0), {"units": "degrees_east"}))
    data.to_netcdf(tmp_path / "a.nc", engine="netcdf4")
    source = opened(tmp_path, region={"lon": [-60, 30]})
    np.testing.assert_array_equal(source.metadata.coordinates["W"].values, [-60, -30, 0, 30])
    whole = source.read(0, range(2))[..., 0]
    np.testing.assert_array_equal(whole, values[:, :, [10, 11, 0, 1]])
    np.testing.assert_array_equal(source.read(0, range(2), (slice(0, 1), slice(1, 3)))[..., 0], whole[:, :, 1:3])
    assert opened(tmp_path, region={"lon": [0, 360]}).space == (1, 12)
    np.testing.assert_array_equal(
        opened(tmp_path, region={"lon": [-120, -60]}).metadata.coordinates["W"].values, [-120, -90, -60]
    )


@pytest.mark.parametrize(("first", "step", "region"), [(0.0, 30.0, [-30, 0]), (330.0, -30.0, [0, -30])])
def test_two_columns_that_meet_across_the_end_of_the_globe(
    tmp_path: Path, first: float, step: float, region: list[int]
) -> None:
    values = frames(2, 1, 12)
    lon = ("lon", first + step * np.arange(12), {"units": "degrees_east"})
    grid(values, lon=lon).to_netcdf(tmp_path / "a.nc", engine="netcdf4")
    source = opened(tmp_path, region={"lon": [-30, 0]})
    assert region == source.metadata.coordinates["W"].values.tolist()
    np.testing.assert_array_equal(source.read(0, range(2))[..., 0], values[:, :, [11, 0]])


def test_several_variables_are_channels(tmp_path: Path) -> None:
    data = grid()
    data["wind"] = ("time", "lat", "lon"), (VALUES * 2).astype("f4"), {"units": "m s-1"}
    data["wind"].encoding = {"dtype": "i2", "scale_factor": 0.01, "_FillValue": -1}
    data.to_netcdf(tmp_path / "a.nc", engine="netcdf4")
    source = opened(tmp_path, variables=["wind", "t2m"])
    assert (source.channels, source.metadata.variables, source.metadata.units) == (2, ("wind", "t2m"), "m s-1, K")
    assert source.metadata.units_of == {"wind": "m s-1", "t2m": "K"}
    found = source.read(0, range(6))
    np.testing.assert_allclose(found[..., 0], VALUES * 2, atol=0.006)
    np.testing.assert_array_equal(found[..., 1], VALUES)
    assert 'a.nc has no array "winf" | it has t2m, wind | did you mean "wind"?' in refused(tmp_path, variables=["winf"])
    data["height"] = ("lat", "lon"), VALUES[0]
    data.to_netcdf(tmp_path / "b.nc", engine="netcdf4")
    assert refused(tmp_path, "b.nc", variables=["t2m", "height"]) == (
        "data.source.variables | height and t2m of b.nc have different axes | height is lat (4) × lon (5), "
        "t2m time (6) × lat (4) × lon (5) | variables that become channels have the same dimensions in the same order"
    )


def test_files_are_joined_in_the_order_of_their_times(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(join, "OPEN", 2)
    values = frames(24, 2, 3)
    for number, first in enumerate([18, 0, 6, 12]):
        data = grid(values[first : first + 6], first)
        data["t2m"].encoding = {"dtype": "i4", "scale_factor": 1e-6 * (number + 1), "_FillValue": -1}
        data.to_netcdf(tmp_path / f"part_{number}.nc", engine="netcdf4")
    source = opened(tmp_path, "part_*.nc")
    assert (source.name, source.lengths) == ("part_*.nc:t2m", (24,))
    np.testing.assert_allclose(source.read(0, range(24))[..., 0], values, atol=1e-5)
    np.testing.assert_allclose(source.read(0, range(3, 24, 5))[..., 0], values[3::5], atol=1e-5)
    assert len(source.metadata.coordinates["T"].values) == 24
    chosen = opened(tmp_path, "part_*.nc", time=["2019-03-01T05", "2019-03-01T13"])
    np.testing.assert_allclose(chosen.read(0, range(9))[..., 0], values[5:14], atol=1e-5)

    def read(_: int) -> None:
        np.testing.assert_allclose(source.read(0, range(24))[..., 0], values, atol=1e-5)

    threads = [threading.Thread(target=read, args=(number,)) for number in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    links = Path("/proc/self/fd")
    if links.exists():
        held = [link for link in links.iterdir() if str(tmp_path) in str(link.resolve())]
        assert len(held) <= 2 * 2


def test_each_file_an_event(tmp_path: Path) -> None:
    for name, count, first in (("a", 6, 0), ("b", 4, 3)):
        grid(VALUES[:count], first).to_netcdf(tmp_path / f"storm_{name}.nc", engine="netcdf4")
    source = opened(tmp_path, "storm_*.nc", by="file")
    assert (source.lengths, source.length, source.events) == ((6, 4), 6, 2)
    np.testing.assert_array_equal(source.read(1, range(4))[..., 0], VALUES[:4])
    assert [str(source.times(event)[0]) for event in (0, 1)] == ["2019-03-01T00:00:00", "2019-03-01T03:00:00"]
    assert "T" not in source.metadata.coordinates
    section = {"path": "storm_*.nc", "layout": LAYOUT, "by": "file"}
    windows, split = {"past": 2, "future": 2}, {"train": 0.5, "test": 0.5}
    spec = write_spec(tmp_path, {"source": section, "windows": windows, "split": split})
    data = open_data(spec, model(spec))
    assert {name: (one.events, len(one)) for name, one in data.splits.items()} == {
        "train": ((0,), 3),
        "test": ((1,), 1),
    }


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            lambda data: data.assign_coords(time=data.time - 2),
            "data.source.path | b.nc and a.nc overlap in time | b.nc begins 2019-03-01 04:00, a.nc ends "
            "2019-03-01 05:00 | leave one out with a narrower pattern, or write by: file if each is an event "
            "of its own",
        ),
        (
            lambda data: data.isel(lat=slice(0, 3)),
            "data.source.path | b.nc and a.nc have frames of different size | 3 × 5 and 4 × 5 (H W) | exclude one "
            "kind of file with a narrower pattern",
        ),
        (
            lambda data: data.isel(lat=slice(None, None, -1)),
            "data.source.path | lat of b.nc differs from that of a.nc | 53.0 … 50.0 and 50.0 … 53.0 | files of one "
            "record have the same grid; exclude one kind of file with a narrower pattern",
        ),
        (
            lambda data: data.rename(t2m="t"),
            'data.source.key | b.nc has no array "t2m" | it has t',
        ),
        (
            lambda data: data.isel(time=[1, 0, 2, 3, 4, 5]),
            "data.source.path | the times of b.nc do not increase from frame to frame | frame 1 (2019-03-01 06:00) is "
            "not later than frame 0 | sort the frames of the file, with one frame per time",
        ),
        (
            lambda data: data.assign(t2m=data.t2m.assign_attrs(units="degC")),
            'data.source.path | b.nc and a.nc have different units | "degC" and "K" | exclude one kind of file with a '
            "narrower pattern",
        ),
    ],
)
def test_files_that_do_not_fit_together(tmp_path: Path, change: Any, expected: str) -> None:
    grid().to_netcdf(tmp_path / "a.nc", engine="netcdf4")
    later = grid(first=6)
    later["time"].attrs = grid().time.attrs
    change(later).to_netcdf(tmp_path / "b.nc", engine="netcdf4")
    assert refused(tmp_path, "[ab].nc", key="t2m") == expected


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    grid().to_netcdf(tmp_path / "a.nc", engine="netcdf4")
    whole = (tmp_path / "a.nc").read_bytes()
    (tmp_path / "b.nc").write_bytes(whole[:3000])
    assert refused(tmp_path, "*.nc").startswith("data.source.path | b.nc is cut short or not NetCDF | ")
    for version in ("NETCDF3_CLASSIC", "NETCDF3_64BIT_OFFSET", "NETCDF3_64BIT_DATA"):
        grid().to_netcdf(tmp_path / "e.nc", engine="netcdf4", format=version, unlimited_dims=["time"])
        size = (tmp_path / "e.nc").stat().st_size
        assert opened(tmp_path, "e.nc").length == 6
        (tmp_path / "e.nc").write_bytes((tmp_path / "e.nc").read_bytes()[: size - 80])
        assert refused(tmp_path, "e.nc") == (
            "data.source.path | e.nc is cut short | 80 bytes are missing that its header promises | copy the file again"
        )
    (tmp_path / "e.nc").write_bytes((tmp_path / "e.nc").read_bytes()[:50])
    assert refused(tmp_path, "e.nc") == (
        "data.source.path | e.nc is cut short | its header ends too soon | copy the file again"
    )
    xr.Dataset({"name": ("n", ["a", "b"])}).to_netcdf(tmp_path / "e.nc", engine="netcdf4")
    assert refused(tmp_path, "e.nc") == "data.source.path | e.nc holds no variable with numbers"
    (tmp_path / "e.nc").unlink()
    (tmp_path / "c.zarr").mkdir()
    assert refused(tmp_path, "c.zarr").startswith("data.source.path | c.zarr is cut short or not a Zarr store | ")
    assert refused(tmp_path, "d*.nc") == f"data.source.path | nothing matches d*.nc | looked in {tmp_path}"


@pytest.mark.parametrize("calendar", ["360_day", "noleap", "all_leap", "julian", "standard"])
def test_no_calendar_makes_a_gap(calendar: str) -> None:
    times = cf_times(np.arange(0, 800.0), "days since 1999-01-01", calendar)
    assert unbroken(times, 800) == (range(800),)
    months = np.unique(times.astype("datetime64[M]"))
    assert (np.diff(months).astype(int) == 1).all()
    holed = np.delete(times, [400])
    assert unbroken(holed, 799) == (range(400), range(400, 799))


def test_times_that_no_calendar_knows(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match='"months since 1960-01-01" in the calendar "standard" are not units of time'):
        cf_times(np.arange(3), "months since 1960-01-01", "standard")
    assert str(cf_times(np.arange(3), "months since 1960-01-01", "360_day")[1]) == "1960-02-01T00:00:00"
    texts = grid(time=("time", [f"2019-03-01T0{hour}" for hour in range(6)]))
    texts.to_netcdf(tmp_path / "a.nc", engine="netcdf4")
    assert str(opened(tmp_path, key="t2m").times(0)[2]) == "2019-03-01T02:00:00"


def test_variables_of_a_group(tmp_path: Path) -> None:
    grid().to_netcdf(tmp_path / "a.nc", engine="netcdf4", group="forecast/surface")
    source = opened(tmp_path, key="forecast/surface/t2m")
    np.testing.assert_array_equal(source.read(0, range(6))[..., 0], VALUES)


def test_a_store_that_zarr_wrote_itself(tmp_path: Path) -> None:
    group = zarr.create_group(tmp_path / "a.zarr", zarr_format=3)
    group.create_array("rain", data=VALUES, dimension_names=["time", "lat", "lon"])
    np.testing.assert_array_equal(opened(tmp_path, "a.zarr").read(0, range(6))[..., 0], VALUES)


def test_hourly_temperature_a_day_ahead(tmp_path: Path) -> None:
    """RMSE in K over the last seven days of March 2019: a day ahead, persistence is the same hour yesterday."""
    source = {
        "path": str(RECORDS / "era5_t2m_uk_2019-03.nc"),
        "layout": {"T": "time", "H": "latitude", "W": "longitude"},
    }
    split = {"train": ["2019-03-01", "2019-03-22"], "test": ["2019-03-24", "2019-03-31"]}
    spec = write_spec(tmp_path, {"source": source, "windows": {"past": 1, "future": 1, "lead": 23}, "split": split})
    data = open_data(spec, model(spec))
    windows = list(data.forecasts("test"))
    times = data.source.times(windows[0].event)
    assert (len(windows), str(times[windows[0].future_frames[0]])) == (7 * 24, "2019-03-25T00:00:00")
    for name, rmse in (("persistence", 1.50), ("same phase", 1.50)):
        forecast = next(one.forecast for one in baselines(data, 24) if one.name == name)
        errors = np.concatenate([forecast(window) - window.future for window in windows])
        assert round(float(np.sqrt(np.mean(np.square(errors, dtype=float)))), 2) == rmse


def test_the_interval_is_that_of_the_times(tmp_path: Path) -> None:
    grid().to_netcdf(tmp_path / "a.nc", engine="netcdf4")
    assert opened(tmp_path, data={"interval": "60 min"}).length == 6
    with pytest.raises(SpecError) as caught:
        opened(tmp_path, data={"interval": "10 min"})
    assert message(caught.value) == (
        "data.interval | frames are 10 min apart by the spec, 1 h by the times of a.nc | write interval: 1 h"
    )
    months = np.arange("2010-01", "2012-01", dtype="datetime64[M]").astype("datetime64[s]")
    assert usual_step(months) == Interval(1, "month")
    assert usual_step(months[::3]) == Interval(3, "month")
    assert not differ(Interval(92, "d"), Interval(3, "month"))
    assert usual_step(months[::12]) == Interval(1, "year")
    assert usual_step(months[:1]) is None
    minutes = np.datetime64("2010-01-01", "s") + np.arange(5) * np.timedelta64(90, "m")
    assert usual_step(minutes) == Interval(90, "min")


LIBRARIES = """
import sys
from pathlib import Path
import specbuild.data
from specbuild.language import load_spec
from specbuild.data.sources import open_source
open_source(load_spec(Path(sys.argv[1])))
print(*(name for name in ("xarray", "zarr", "netCDF4", "h5py", "av", "imageio", "keras") if name in sys.modules))
"""


def test_a_library_is_loaded_by_the_files_that_need_it(tmp_path: Path) -> None:
    np.save(tmp_path / "rain.npy", VALUES)
    grid().to_netcdf(tmp_path / "a.nc", engine="netcdf4")
    found = []
    for name, layout in (("rain.npy", "T H W"), ("a.nc", LAYOUT)):
        write_spec(tmp_path, {"source": {"path": name, "layout": layout}})
        command = [sys.executable, "-c", LIBRARIES, str(tmp_path / "spec.yaml")]
        found.append(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())
    assert found == [[], ["xarray", "netCDF4"]]


@pytest.mark.parametrize(
    ("name", "units", "latitude"),
    [
        ("lat", "degrees_north", True),
        ("y", "degreeN", True),
        ("rows", "Degrees_N", True),
        ("latitude", "", True),
        ("nav_lat", "degrees", True),
        ("LAT", "degree", True),
        ("lat", "m", False),
        ("y", "", False),
        ("y", "m", False),
        ("nlat", "", False),
        ("rlat", "degrees", False),
        ("lon", "degrees_east", False),
        ("lat", "degrees_east", False),
    ],
)
def test_what_a_latitude_is(name: str, units: str, latitude: bool) -> None:
    assert is_latitude(Coordinate(name, np.arange(3.0), units)) is latitude
