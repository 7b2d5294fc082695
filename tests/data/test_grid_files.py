"""GeoTIFF and GRIB, written by their own libraries: values, missing values, coordinates and times."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray

from specbuild.data.sources import FrameSource, open_source
from specbuild.document import RunError, SpecError
from tests.data.samples import frames, message, write_spec

pytestmark = pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")  # rasterio's, of its matrices

RAW = np.random.default_rng(0).integers(0, 250, (3, 6, 8), dtype=np.uint8)
RAW[:, 0, 0] = 255
HOURS = np.datetime64("2019-06-10T22", "s") + np.arange(4) * np.timedelta64(1, "h")


def opened(folder: Path, path: str, layout: Any = "T H W", **source: Any) -> FrameSource:
    return open_source(write_spec(folder, {"source": {"path": path, "layout": layout, **source}}))


def refusal(*arguments: Any, **named: Any) -> str:
    with pytest.raises(SpecError) as caught:
        opened(*arguments, **named)
    return message(caught.value)


def write_geotiff(path: Path, bands: np.ndarray, packed: bool = True, **tags: Any) -> None:
    rasterio = pytest.importorskip("rasterio")
    place = rasterio.transform.from_origin(10, 60, 0.5, 0.25)
    shape = {"count": len(bands), "height": bands.shape[1], "width": bands.shape[2], "dtype": bands.dtype}
    with rasterio.open(path, "w", driver="GTiff", crs="EPSG:4326", transform=place, **shape, **tags) as file:
        file.write(bands)
        if packed:
            file.scales, file.offsets = (0.5,) * len(bands), (-32.0,) * len(bands)
        if len(bands) > 1:
            file.descriptions = tuple("abcdef"[: len(bands)])


def test_geotiff(tmp_path: Path) -> None:
    for number in range(3):
        write_geotiff(tmp_path / f"dbz_{number}_2019061{number}.tif", RAW[number : number + 1], nodata=255)
    expected = np.where(RAW == 255, np.nan, RAW * 0.5 - 32)
    time = {"from": "name", "format": "%Y%m%d"}
    for layout in ("T H W", {"T": "time", "H": "latitude", "W": "longitude"}):
        source = opened(tmp_path, "dbz_*.tif", layout, time=time)
        np.testing.assert_array_equal(source.read(0, range(3))[..., 0], expected)
    np.testing.assert_array_equal(source.times(0), np.arange("2019-06-10", "2019-06-13", dtype="M8[D]"))
    np.testing.assert_allclose(source.metadata.coordinates["H"].values, 59.875 - 0.25 * np.arange(6))
    part = opened(tmp_path, "dbz_*.tif", layout, time=time, region={"longitude": [11, 13], "latitude": [59, 60]})
    np.testing.assert_array_equal(part.read(0, range(0, 3, 2))[..., 0], expected[::2, :4, 2:6])
    coarse = opened(tmp_path, "dbz_*.tif", time=time, coarsen=2).read(0, range(1))[0, ..., 0]
    np.testing.assert_allclose(coarse[0, 0], np.nanmean(expected[0, :2, :2]))
    (tmp_path / "folder").mkdir()
    write_geotiff(tmp_path / "folder" / "20190610.tif", RAW, nodata=255)
    bands = opened(tmp_path, "folder", "T C H W", time=time)
    assert bands.metadata.variables == ("a", "b", "c")
    np.testing.assert_array_equal(
        bands.read(0, range(1), (slice(2, 5), slice(1, 8)))[0], expected[:, 2:5, 1:].transpose(1, 2, 0)
    )
    stacked = opened(tmp_path, "folder/20190610.tif", {"T": "band", "H": "latitude", "W": "longitude"}, time=False)
    np.testing.assert_array_equal(stacked.read(0, range(1, 3))[..., 0], expected[1:])


def test_geotiff_without_its_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_geotiff(tmp_path / "a.tif", RAW[:1])
    (tmp_path / "b.tif").write_bytes((tmp_path / "a.tif").read_bytes()[:-20])
    assert refusal(tmp_path, "b.tif").startswith("data.source.path | b.tif is cut short or damaged")
    write_geotiff(tmp_path / "c.tif", np.repeat(np.repeat(RAW, 30, 1), 30, 2)[:1], packed=False)
    (tmp_path / "c.tif").write_bytes((tmp_path / "c.tif").read_bytes()[:-300])
    with pytest.raises(RunError, match=r"frame 0 of c\.tif cannot be read"):
        opened(tmp_path, "c.tif", time=False).read(0, range(1))
    monkeypatch.setitem(sys.modules, "rasterio", None)
    assert refusal(tmp_path, "a.tif") == (
        "data.source.path | a.tif is a GeoTIFF, which needs rasterio | it is not installed | "
        "pip install 'specbuild[geotiff]'"
    )


def write_grib(path: Path, values: np.ndarray, times: np.ndarray, name: str = "2t", **keys: Any) -> None:
    """A message for each frame (H, W); NaN is missing."""
    eccodes = pytest.importorskip("eccodes")
    pytest.importorskip("cfgrib")
    with path.open("ab") as file:
        for frame, time in zip(values, times, strict=True):
            message = eccodes.codes_grib_new_from_samples("regular_ll_sfc_grib2")
            height, width = frame.shape
            date = time.astype("M8[s]").item()
            grid = {
                "Ni": width,
                "Nj": height,
                "dataDate": int(date.strftime("%Y%m%d")),
                "dataTime": date.hour * 100,
                "iDirectionIncrementInDegrees": 0.5,
                "jDirectionIncrementInDegrees": 0.25,
                "bitmapPresent": 1,
                "latitudeOfFirstGridPointInDegrees": 60.0,
                "longitudeOfFirstGridPointInDegrees": 10.0,
                "latitudeOfLastGridPointInDegrees": 60 - 0.25 * (height - 1),
                "longitudeOfLastGridPointInDegrees": 10 + 0.5 * (width - 1),
                "shortName": name,
                **keys,
            }
            for key, value in grid.items():
                eccodes.codes_set(message, key, value)
            eccodes.codes_set(message, "missingValue", 9999.0)
            eccodes.codes_set(message, "bitsPerValue", 24)
            eccodes.codes_set_values(message, np.nan_to_num(frame.astype(float), nan=9999.0).ravel())
            eccodes.codes_write(message, file)
            eccodes.codes_release(message)


def test_grib(tmp_path: Path) -> None:
    values = 270 + frames(4, 6, 8)
    values[1, 2, 3] = np.nan
    write_grib(tmp_path / "a.grib2", values, HOURS)
    layout = {"T": "time", "H": "latitude", "W": "longitude"}
    source = opened(tmp_path, "a.grib2", layout)
    np.testing.assert_allclose(source.read(0, range(4))[..., 0], values, atol=1e-4)
    assert (source.metadata.units, source.metadata.keys) == ("K", ("t2m",))
    np.testing.assert_array_equal(source.times(0), HOURS)
    np.testing.assert_allclose(source.metadata.coordinates["H"].values, 60 - 0.25 * np.arange(6))
    assert "write layout: {T: time, H: latitude, W: longitude}" in refusal(tmp_path, "a.grib2", None)
    for number in range(4):
        write_grib(tmp_path / f"hour_{number}.grb", values[number : number + 1], HOURS[number : number + 1])
    for way in (layout, "T H W"):
        single = opened(tmp_path, "hour_*.grb", way)
        np.testing.assert_array_equal(single.times(0), HOURS)
        np.testing.assert_array_equal(single.read(0, range(4)), source.read(0, range(4)))
    for step in range(3):
        write_grib(tmp_path / "forecast.grib", values[step : step + 1], HOURS[:1], stepRange=step)
    forecast = opened(tmp_path, "forecast.grib", {**layout, "T": "step"})
    np.testing.assert_array_equal(forecast.times(0), HOURS[:3])
    write_grib(tmp_path / "a.grib2", values, HOURS, "t", typeOfLevel="isobaricInhPa", level=850)
    write_grib(tmp_path / "a.grib2", values + 1, HOURS, "t", typeOfLevel="heightAboveGround", level=2)
    found = refusal(tmp_path, "a.grib2", layout)
    assert "t2m" in found
    assert "isobaricInhPa/t" in found
    upper = opened(tmp_path, "a.grib2", layout, key="isobaricInhPa/t")
    np.testing.assert_allclose(upper.read(0, range(4))[..., 0], values, atol=1e-4)


def test_damaged_grib(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_grib(tmp_path / "a.grib2", frames(1, 6, 8), HOURS[:1])
    (tmp_path / "b.grib2").write_bytes((tmp_path / "a.grib2").read_bytes()[:60])
    (tmp_path / "c.grib2").write_bytes(bytes(1000))
    for name in ("b", "c"):
        assert refusal(tmp_path, f"{name}.grib2").startswith(f"data.source.path | {name}.grib2 ")
    monkeypatch.setitem(sys.modules, "cfgrib", None)
    assert refusal(tmp_path, "a.grib2") == (
        "data.source.path | a.grib2 is GRIB, which needs cfgrib and ecCodes | pip install 'specbuild[grib]'"
    )


def test_a_file_whose_time_is_a_coordinate_without_dimension(tmp_path: Path) -> None:
    for number in range(3):
        data = xarray.Dataset({"rain": (("y", "x"), RAW[number])}, {"time": HOURS[number].astype("M8[ns]")})
        data.to_netcdf(tmp_path / f"{number}.nc")
    for layout in ("T H W", {"T": "time", "H": "y", "W": "x"}):
        source = opened(tmp_path, "*.nc", layout)
        np.testing.assert_array_equal(source.times(0), HOURS[:3])
        np.testing.assert_array_equal(source.read(0, range(3))[..., 0], RAW)
