"""Radar files as they lie on disk: a frame per file, times in names or attributes, codes that mean something."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import xarray
from PIL import Image

from specbuild.data.sources import FrameSource, open_source
from specbuild.document import RunError, SpecError
from specbuild.language.sections.name_time import guessed_format
from tests.data.samples import dataset, frames, message, write_spec

RAW = np.random.default_rng(0).integers(1, 200, (6, 5, 4), dtype=np.uint8)
RAW[:, 0, 0] = 255
RAW[:, 1, 1] = 0
MINUTES = np.datetime64("2019-06-10T23:45", "s") + np.arange(6) * np.timedelta64(5, "m")


def stamp(number: int) -> str:
    return str(MINUTES[number].astype("datetime64[m]")).translate(str.maketrans("", "", "-T:"))


def opened(folder: Path, path: str, layout: Any = "T H W", /, data: Any = None, **source: Any) -> FrameSource:
    return open_source(write_spec(folder, {"source": {"path": path, "layout": layout, **source}, **(data or {})}))


def refusal(*arguments: Any, **named: Any) -> str:
    with pytest.raises(SpecError) as caught:
        opened(*arguments, **named)
    return message(caught.value)


def write_odim(path: Path, number: int, raw: np.ndarray = RAW, times: np.ndarray = MINUTES, **what: Any) -> None:
    """A composite after the layout of ODIM_H5."""
    with h5py.File(path, "w") as file:
        file.attrs["Conventions"] = np.bytes_("ODIM_H5/V2_2")
        root = file.create_group("what")
        day, clock = str(times[number]).replace("-", "").replace(":", "").split("T")
        root.attrs.update({"object": np.bytes_("COMP"), "date": np.bytes_(day), "time": np.bytes_(clock)})
        data = file.create_group("dataset1/data1")
        data.create_dataset("data", data=raw[number], compression="gzip")
        packing = {"quantity": np.bytes_("DBZH"), "gain": 0.5, "offset": -32.0, "nodata": 255.0, "undetect": 0.0}
        data.create_group("what").attrs.update(packing | what)
        file.create_dataset("dataset1/quality1/data", data=np.zeros((5, 4), np.uint8))


def write_knmi(path: Path, number: int, raw: np.ndarray, missing: int, out: int, formula: str, unit: str) -> None:
    """A composite after KNMI's layout."""
    with h5py.File(path, "w") as file:
        image = file.create_group("image1")
        image.attrs["image_geo_parameter"] = np.bytes_(f"REFLECTIVITY_[{unit}]")
        image.create_dataset("image_data", data=raw[number])
        codes = {"calibration_missing_data": np.array([missing]), "calibration_out_of_image": np.array([out])}
        image.create_group("calibration").attrs.update({"calibration_formulas": np.bytes_(formula), **codes})
        time = MINUTES[number].item()
        overview = file.create_group("overview")
        overview.attrs["product_datetime_end"] = np.bytes_(time.strftime("%d-%b-%Y;%H:%M:%S.000").upper())


def physical(raw: np.ndarray) -> np.ndarray:
    return np.where(raw == 255, np.nan, raw * 0.5 - 32)


def test_odim(tmp_path: Path) -> None:
    (tmp_path / "radar").mkdir()
    for number in (3, 0, 1, 2, 5, 4):
        write_odim(tmp_path / "radar" / f"composite_{9 - number}.h5", number)
    for path in ("radar", "radar/*.h5"):
        source = opened(tmp_path, path)
        assert (source.space, source.length, source.metadata.units, source.dtype) == ((5, 4), 6, "dBZ", np.uint8)
        np.testing.assert_array_equal(source.times(0), MINUTES)
        np.testing.assert_array_equal(source.read(0, range(6))[..., 0], physical(RAW))
    assert source.where(0, 2) == "frame 0 (2019-06-10 23:55) of composite_7.h5"


def test_what_a_radar_does_not_detect(tmp_path: Path) -> None:
    rain = RAW.astype(np.float32)
    rain[:, 0, 0], rain[:, 1, 1] = -9999000, -8888000
    odd = {"gain": 1.0, "offset": 0.0, "nodata": -9999000.0, "undetect": -8888000.0}
    for name, quantity in (("rate", "RATE"), ("echo", "DBZH"), ("wind", "VRAD")):
        write_odim(tmp_path / f"{name}.h5", 0, rain, quantity=np.bytes_(quantity), **odd)
    values = {name: opened(tmp_path, f"{name}.h5").read(0, range(1))[0, ..., 0] for name in ("rate", "echo", "wind")}
    for name, value in (("rate", 0), ("echo", -32), ("wind", np.nan)):
        np.testing.assert_array_equal(values[name][1, 1], value)
        np.testing.assert_array_equal(values[name][0, 0], np.nan)
        np.testing.assert_array_equal(values[name][2:], RAW[0, 2:])
    assert opened(tmp_path, "rate.h5").metadata.units == "mm/h"
    coarse = opened(tmp_path, "rate.h5", coarsen=2).read(0, range(1))[0, ..., 0]
    np.testing.assert_allclose(coarse[0, 0], (float(RAW[0, 0, 1]) + RAW[0, 1, 0]) / 3, rtol=1e-6)


def test_knmi(tmp_path: Path) -> None:
    for number in range(6):
        name = f"RAD_NL25_PCP_NA_{stamp(number)}.h5"
        write_knmi(tmp_path / name, number, RAW, 0, 255, "GEO = 0.500000 * PV + -32.000000", "DBZ")
        amounts = RAW.astype(np.uint16)
        amounts[:, 0, 0] = 65535
        write_knmi(tmp_path / f"RAC_{number}.hdf", number, amounts, 65535, 65535, "GEO=0.010000*PV+0.000000", "MM")
    source = opened(tmp_path, "RAD_*.h5")
    np.testing.assert_array_equal(source.times(0), MINUTES)
    np.testing.assert_array_equal(source.read(0, range(6))[..., 0], physical(RAW))
    rain = opened(tmp_path, "RAC_*.hdf")
    assert rain.metadata.units == "mm"
    np.testing.assert_array_equal(rain.times(0), MINUTES)
    expected = np.where(amounts == 65535, np.nan, amounts * 0.01).astype(np.float32)
    np.testing.assert_array_equal(rain.read(0, range(6))[..., 0], expected)


def write_pgm(path: Path, frame: np.ndarray, greatest: int) -> None:
    """Pillow writes no maxval but 255 and 65535."""
    header = f"P5\n# radar composite\n{frame.shape[1]} {frame.shape[0]}\n{greatest}\n".encode()
    path.write_bytes(header + frame.astype(np.uint8 if greatest < 256 else ">u2").tobytes())


@pytest.mark.parametrize("greatest", [255, 250, 1023, 65535])
def test_pgm(tmp_path: Path, greatest: int) -> None:
    raw = RAW.astype(np.uint16) * greatest // 255
    (tmp_path / "radar").mkdir()
    for number in range(6):
        write_pgm(tmp_path / "radar" / f"{stamp(number)}_composite.pgm", raw[number], greatest)
    time = {"from": "name", "format": "%Y%m%d%H%M"}
    source = opened(tmp_path, "radar", time=time, data={"missing": greatest})
    assert source.dtype == (np.uint8 if greatest < 256 else np.uint16)
    np.testing.assert_array_equal(source.times(0), MINUTES)
    np.testing.assert_array_equal(source.read(0, range(6))[..., 0], np.where(raw == greatest, np.nan, raw))
    for file in (tmp_path / "radar").iterdir():
        with gzip.open(f"{file}.gz", "wb") as packed:
            packed.write(file.read_bytes())
        file.unlink()
    np.testing.assert_array_equal(opened(tmp_path, "radar/*.gz").read(0, range(6))[..., 0], raw)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".npy", ".h5", ".nc"])
def test_any_format_with_its_time_in_the_name(tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPECBUILD_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "radar"
    for number in range(6):
        file = folder / ("day_" + stamp(number)[:8]) / f"radar_{stamp(number)[8:]}_x{6 - number}{suffix}"
        file.parent.mkdir(parents=True, exist_ok=True)
        if suffix == ".npy":
            np.save(file, RAW[number])
        elif suffix == ".h5":
            with h5py.File(file, "w") as written:
                written["rain"] = RAW[number]
        elif suffix == ".nc":
            xarray.Dataset({"rain": (("y", "x"), RAW[number])}, {"y": np.arange(5.0)}).to_netcdf(file)
        else:
            Image.fromarray(RAW[number]).save(file)
    time = {"from": "name", "format": "%Y%m%d/radar_%H%M"}
    path = f"radar/*/*{suffix}"
    source = opened(tmp_path, path, time=time)
    np.testing.assert_array_equal(source.times(0), MINUTES)
    np.testing.assert_array_equal(source.read(0, range(1, 6, 2))[..., 0], RAW[1::2])
    if suffix == ".nc":
        by_name = opened(tmp_path, path, {"T": "time", "H": "y", "W": "x"}, time=time)
        np.testing.assert_array_equal(by_name.metadata.coordinates["T"].values, MINUTES)
        np.testing.assert_array_equal(by_name.read(0, range(6))[..., 0], RAW)
    part = opened(tmp_path, path, time={**time, "dates": ["2019-06-11", "2019-06-11"]})
    np.testing.assert_array_equal(part.read(0, range(part.length))[..., 0], RAW[3:])
    for file in list(folder.rglob(f"*{suffix}")):
        with file.open("rb") as whole, gzip.open(f"{file}.gz", "wb") as packed:
            shutil.copyfileobj(whole, packed)
    source = opened(tmp_path, f"{path}.gz", time=time)
    np.testing.assert_array_equal(source.read(0, range(6), (slice(1, 3), slice(4)))[..., 0], RAW[:, 1:3])


def test_frames_in_the_order_of_names_without_times(tmp_path: Path) -> None:
    for number in range(12):
        np.save(tmp_path / f"{number}.npy", RAW[number % 6])
    source = opened(tmp_path, "*.npy", time=False)
    assert source.times(0) is None
    np.testing.assert_array_equal(source.read(0, range(8, 12))[..., 0], RAW[2:])


def test_only_the_first_of_files_with_times_in_their_names_is_opened_before_frames_are_read(tmp_path: Path) -> None:
    time = {"from": "name", "format": "%Y%m%d%H%M"}
    for number in range(6):
        np.save(tmp_path / f"{stamp(number)}.npy", RAW[number])
    (tmp_path / f"{stamp(2)}.npy").write_bytes(b"damaged")
    np.save(tmp_path / f"{stamp(4)}.npy", RAW[4, :3])
    np.save(tmp_path / f"{stamp(5)}.npy", RAW[5].astype(np.int32))
    source = opened(tmp_path, "*.npy", time=time, data={"missing": 255})
    values = source.read(0, range(2))[..., 0]
    np.testing.assert_array_equal(values, np.where(RAW[:2] == 255, np.nan, RAW[:2]))
    np.testing.assert_array_equal(source.read(0, range(5, 6))[0, 1:, :, 0], RAW[5, 1:])
    with pytest.raises(RunError, match=r"201906102355\.npy is not a NumPy array"):
        source.read(0, range(2, 3))
    with pytest.raises(RunError, match=r"201906110005\.npy and 201906102345\.npy have frames of different size"):
        source.read(0, range(4, 5))
    skipping = opened(tmp_path, "*.npy", time=time, data={"on_error": "skip"})
    assert np.isnan(skipping.read(0, range(6))).all(axis=(1, 2, 3)).tolist() == [False, False, True, False, True, False]


def test_events_of_images_with_times(tmp_path: Path) -> None:
    for event in (0, 1):
        for number in range(3):
            (tmp_path / "storms" / str(event)).mkdir(parents=True, exist_ok=True)
            Image.fromarray(RAW[number]).save(tmp_path / "storms" / str(event) / f"{stamp(number + 3 * event)}.png")
    source = opened(tmp_path, "storms", "N T H W", time={"from": "name", "format": "%Y%m%d%H%M"})
    for event in (0, 1):
        np.testing.assert_array_equal(source.times(event), MINUTES[3 * event :][:3])


def test_dates_split_images(tmp_path: Path) -> None:
    for number in range(6):
        Image.fromarray(RAW[number]).save(tmp_path / f"{stamp(number)}.png")
    how = 'time: {from: name, format: "%Y%m%d%H%M"}'
    assert refusal(tmp_path, "*.png", time=["2019-06-10", "2019-06-11"]) == (
        "data.source.time | dates select frames by their times, and *.png has none | "
        f"write {how[:-1]}, dates: […]}}, or leave the dates out, and use data.split with ranges of frame numbers"
    )
    split = {"train": ["2019-06-10", "2019-06-10"], "test": ["2019-06-11", "2019-06-11"]}
    windows = {"past": 1, "future": 1}
    data = {"source": {"path": "*.png", "layout": "T H W"}, "split": split, "windows": windows}
    with pytest.raises(SpecError) as caught:
        dataset(tmp_path, frames(6, 5, 4), **data)
    assert message(caught.value) == (
        "data.split.train | dates split frames by their times, and *.png has none | say where its times are with "
        f"data.source.{how}, or use shares or ranges of frame numbers"
    )
    data["source"]["time"] = {"from": "name", "format": "%Y%m%d%H%M"}
    assert [len(part) for part in dataset(tmp_path, frames(6, 5, 4), **data).splits.values()] == [1, 2]


def test_refused(tmp_path: Path) -> None:
    time = {"from": "name", "format": "%Y%m%d%H%M"}
    for name in ("a_201906100005", "b_201906100005", "c_20190610"):
        Image.fromarray(RAW[0]).save(tmp_path / f"{name}.png")
    np.save(tmp_path / "201906100005.npy", RAW)
    np.save(tmp_path / "201906100010.npy", RAW[0])
    (tmp_path / "mixed").mkdir()
    for name in ("a.npy", "b.h5"):
        (tmp_path / "mixed" / name).touch()
    (tmp_path / "c.npy.gz").write_bytes(gzip.compress(bytes(1000))[:-20])
    assert refusal(tmp_path, "c_*.png", time=time) == (
        'data.source.time | the name c_20190610.png has no time in the format "%Y%m%d%H%M" | write format: "%Y%m%d"'
    )
    assert refusal(tmp_path, "[ab]_*.png", time=time) == (
        "data.source.time | a_201906100005.png and b_201906100005.png have the same time in their names | "
        'the format is "%Y%m%d%H%M" | '
        "write a format that covers the whole time, or exclude one kind of file with a narrower pattern"
    )
    assert refusal(tmp_path, "201906100005.npy", time=time) == (
        "data.source.time | 201906100005.npy holds 6 frames, and its name gives one time | "
        "leave time out, or name the array with the time of each frame"
    )
    assert refusal(tmp_path, "mixed") == (
        "data.source.path | mixed holds files in two formats | a.npy and b.h5 | "
        "select one format with a pattern, such as mixed/*.npy"
    )
    assert refusal(tmp_path, "c.npy.gz").startswith("data.source.path | c.npy.gz is cut short or not packed with gzip")
    write_odim(tmp_path / "odd.h5", 0, gain="half")
    assert refusal(tmp_path, "odd.h5") == (
        "data.scale | odd.h5:dataset1/data1/data does not say how it is packed | its attribute scale_factor is 'half', "
        "not a number | write data.scale, the factor from raw to physical values; 1 if there is none"
    )


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["201906100000_fmi.pgm.gz", "201906100005_fmi.pgm.gz"], "%Y%m%d%H%M"),
        (["RAD_NL25_5min_20190610-000000.h5", "RAD_NL25_5min_20190610-000500.h5"], "%Y%m%d-%H%M%S"),
        (["era5_2019-06-10T00-00.nc", "era5_2019-06-10T01-00.nc"], "%Y-%m-%dT%H-%M"),
        (["t2m_201906.tif", "t2m_201907.tif"], "%Y%m"),
        (["9.png", "10.png"], ""),
        (["20190610_1.png", "20190610_2.png"], ""),
        ([], ""),
    ],
)
def test_a_format_is_guessed_from_names(names: list[str], expected: str) -> None:
    assert guessed_format(names) == expected
