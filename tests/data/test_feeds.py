"""What the inputs of a model read: `data.inputs`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from specbuild.data import Dataset, open_data
from specbuild.document import SpecError
from specbuild.graph.model import Graph, Input, Output, Port
from tests.data.samples import frames, message, write_spec

TIMES = np.datetime64("2019-06-10T00:00", "s") + np.arange(40) * np.timedelta64(6, "h")
TERRAIN = {"source": {"path": "terrain.npz", "variables": ["height", "land"], "layout": "H W"}}


def opened(folder: Path, inputs: dict[str, tuple[Any, tuple[int | None, ...]]], **data: Any) -> Dataset:
    """The data of a record (40, 8, 8) with times, for a model whose inputs read what is named, in these shapes."""
    graph = graph_of(folder, inputs, **data)
    return open_data(graph.spec, graph)


def graph_of(folder: Path, inputs: dict[str, tuple[Any, tuple[int | None, ...]]], **data: Any) -> Graph:
    values, (y, x) = frames(40, 8, 8), np.mgrid[:8, :8]
    np.savez(folder / "rain.npz", rain=values, time=TIMES.astype(str))
    np.savez(
        folder / "terrain.npz", height=np.float32(10 * y + x), land=np.where(x < 2, np.nan, x % 2).astype(np.float32)
    )
    section = {
        "source": {"path": "rain.npz", "key": "rain", "layout": "T H W", "time": "time"},
        "inputs": {name: feed for name, (feed, _) in inputs.items()},
        **data,
    }
    spec = write_spec(folder, section, inputs={name: list(shape) for name, (_, shape) in inputs.items()})
    shapes = tuple(Input(name, shape, "float32", None) for name, (_, shape) in inputs.items())
    return Graph("test", shapes, (), (Output("forecast", Port("forecast"), (3, None, None, 1)),), spec)


PAST = ("past", (2, None, None, 1))


def test_a_field_is_cut_like_the_frames_and_fitted_as_a_whole(tmp_path: Path) -> None:
    data = opened(
        tmp_path,
        {"rain": PAST, "terrain": ({**TERRAIN, "transform": ["standardize"]}, (4, 4, 2))},
        crop=4,
        augment={"flip": ["width"], "rotate": True},
    )
    height = np.add.outer(10 * np.arange(8), np.arange(8)).astype(np.float32)
    standard = (height - height.mean()) / height.std()
    for split in ("train", "validation"):
        sampler = data.sampler(split, 3, seed=1)
        x, y, _ = sampler.batch(0, 0)
        assert {name: values.shape for name, values in x.items()} == {"rain": (3, 2, 4, 4, 1), "terrain": (3, 4, 4, 2)}
        assert y.shape == (3, 3, 4, 4, 1)
    # The field is cut and turned as the frames are: at each pixel it tells where the rain was read.
    rows, columns = np.divmod(np.rint(x["terrain"][..., 0] * height.std() + height.mean()).astype(int), 10)
    event, start = data.split("validation")[0]
    np.testing.assert_array_equal(
        x["rain"][0, 0, ..., 0], data.source.read(event, range(start, start + 1))[0, rows[0], columns[0], 0]
    )
    whole = data.inputs(data.window(event, start).past, (event, start))
    assert isinstance(whole, dict)
    np.testing.assert_allclose(whole["terrain"][..., 0], standard, atol=1e-5)
    assert (whole["terrain"][:, :2, 1] == 0).all()  # missing: the mean of what is known


def test_a_forecast_reads_the_field_tile_by_tile(tmp_path: Path) -> None:
    data = opened(tmp_path, {"rain": PAST, "terrain": (TERRAIN, (4, 4, 2))}, crop=4)

    def shows_the_height(x: dict[str, np.ndarray]) -> np.ndarray:
        return np.repeat(x["terrain"][:, np.newaxis, ..., :1], 3, axis=1)

    forecast = data.forecast(data.window(0, 0).past, shows_the_height)
    np.testing.assert_allclose(forecast[0, ..., 0], np.add.outer(10 * np.arange(8), np.arange(8)), rtol=1e-5)


def test_statistics_are_saved_and_restored(tmp_path: Path) -> None:
    graph = graph_of(tmp_path, {"rain": PAST, "terrain": ({**TERRAIN, "transform": ["minmax"]}, (8, 8, 2))})
    data = open_data(graph.spec, graph)
    again = open_data(graph.spec, graph, transform=data.state())
    assert data.state()["inputs"]["terrain"]["steps"][0]["greatest"] == (77, 1)
    assert again.state() == data.state()
    first, second = (each.sampler("train", 2, seed=1).batch(0, 0)[0]["terrain"] for each in (data, again))
    np.testing.assert_array_equal(first, second)


def test_cycles_are_those_of_the_times(tmp_path: Path) -> None:
    cycles = {"cycles": ["day", "week", "year"], "frames": "all"}
    data = opened(tmp_path, {"rain": PAST, "flat": (cycles, (5, 6)), "wide": (cycles, (5, 8, 8, 6))})
    past = data.window(0, 0).past
    read = data.inputs(past, (0, 0))
    assert isinstance(read, dict)
    # 10 June 2019 was a Monday; hours 0, 6, 12, 18 and 24 of it.
    np.testing.assert_allclose(read["flat"][:, 0], [0, 1, 0, -1, 0], atol=1e-6)
    np.testing.assert_allclose(read["flat"][:, 1], [1, 0, -1, 0, 1], atol=1e-6)
    np.testing.assert_allclose(read["flat"][:, 2], np.sin(2 * np.pi * np.arange(5) / 28), atol=1e-6)
    np.testing.assert_allclose(read["flat"][0, 5], np.cos(2 * np.pi * 160 / 365), atol=1e-6)
    np.testing.assert_array_equal(read["wide"][:, 3, 5], read["flat"])
    # At the end of the record the times of the future are those that follow.
    last = data.inputs(past, (0, 38))
    assert isinstance(last, dict)
    np.testing.assert_allclose(last["flat"][:, 0], np.sin(np.pi * (38 + np.arange(5)) / 2), atol=1e-5)


def stored(shape: tuple[int, ...], transform: list[Any] | None = None, **source: Any) -> dict[str, Any]:
    """An input `terrain` of a shape that is read from files."""
    return {"terrain": ({"source": {"layout": "H W", **source}, "transform": transform or []}, shape)}


def later(shape: tuple[int, ...] = (3, 8, 8, 1), **keys: Any) -> dict[str, Any]:
    """An input `later` of a shape that reads frames of another month."""
    source = {"path": "later.npz", "key": "v", "layout": "T H W", "time": "time"}
    return {"later": ({"source": source, "frames": "future", **keys}, shape)}


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        (stored((8, 8, 1), path="no.npz"), "data.inputs.terrain.source.path | no.npz"),
        (stored((8, 8, 1), path="terrain.npz", key="hight"), 'terrain.npz has no array "hight"'),
        (stored((8, 1), path="terrain.npz", key="land", layout="L"), "the layout names 1 axes, terrain.npz:land has 2"),
        (stored((8, 1), path="flat.npy", layout="L"), "flat.npy has the spatial axes L, rain.npz:rain has H W"),
        (stored((8, 8, 1), path="small.npy"), "small.npy has frames of 4 × 4, rain.npz:rain of 8 × 8"),
        (stored((8, 8, 1), [{"name": "minmax", "channels": [7]}], path="small.npy"), "small.npy has frames of 4 × 4"),
        (stored((8, 8, 2), [{"name": "minmax", "channels": [7]}], **TERRAIN["source"]), "there is no channel 7"),
        (stored((8, 8, 1), path="terrain.npz", keys="land"), 'unknown key "keys" | did you mean "key"?'),
        ({"hours": ({"cycles": ["day"]}, (2, 2))}, "data.inputs.hours reads 3 × 2 (frames, channels)"),
        ({"hours": ({"cycles": []}, (3, 2))}, "expected a list of day, week or year"),
        ({"hours": ({"cycles": ["day", "day"]}, (3, 4))}, "cycles"),
        ({"hours": ({"cycles": "day", "frame": "past"}, (3, 2))}, 'no key "frame"; did you mean "frames"?'),
        ({"hours": ({"cycles": ["day"], "frames": "now"}, (3, 2))}, "frames: expected"),
        ({"place": ({"coordinates": ["altitude"]}, (8, 8, 1))}, "expected a list of latitude, longitude or solar"),
        ({"place": ({"coordinates": ["latitude"]}, (8, 8, 1))}, "rain.npz:rain has no latitude along H"),
        ({"place": ({"coordinates": ["solar_elevation"]}, (8, 8, 1))}, "the solar elevation changes"),
        ({"place": ({"coordinates": ["longitude"]}, (8, 8, 1))}, "rain.npz:rain has no longitude along W"),
        (later(tolerance="5 min"), "join: exact takes only frames at the same time"),
        (later(join="near"), "join: expected"),
        (later(join="nearest", tolerance="5 m"), '"m" is not a unit of time'),
        (later(regrid="cubic"), "regrid: expected"),
        (later(regrid="linear"), "regrid needs the coordinates of both grids, and later.npz:v has none along H"),
        (later(shape=(2, 8, 8, 1)), "later is 2 × 8 × 8 × 1, data.inputs.later reads 3 × 8 × 8 × 1"),
        (later(frames="past", shape=(2, 8, 8, 1)), "later.npz:v matches a training frame of rain.npz:rain"),
    ],
)
def test_what_does_not_fit_is_named(inputs: dict[str, Any], said: str, tmp_path: Path) -> None:
    np.save(tmp_path / "flat.npy", np.zeros(8))
    np.save(tmp_path / "small.npy", np.zeros((4, 4)))
    np.savez(tmp_path / "later.npz", v=np.zeros((4, 8, 8)), time=(TIMES[:4] + np.timedelta64(40, "D")).astype(str))
    with pytest.raises(SpecError) as caught:
        opened(tmp_path, {"rain": PAST, **inputs})
    assert said in message(caught.value)
    assert f"data.inputs.{next(iter(inputs))}" in message(caught.value)


def test_times_after_the_end_follow_the_calendar(tmp_path: Path) -> None:
    """At the end of a record of 360 days a year the next days are those that a longer record has."""
    found = []
    for length in (33, 40):
        days = xr.DataArray(np.arange(float(length)), dims="time", attrs={"units": "days since 2001-01-28"})
        days.attrs["calendar"] = "360_day"
        xr.Dataset({"rain": (("time", "y", "x"), frames(40, 8, 8)[:length]), "time": days}).to_netcdf(
            tmp_path / f"rain{length}.nc"
        )
        source = {"path": f"rain{length}.nc", "key": "rain", "layout": {"T": "time", "H": "y", "W": "x"}}
        data = opened(tmp_path, {"rain": PAST, "season": ({"cycles": ["year"]}, (3, 2))}, source=source)
        x = data.inputs(data.source.read(0, range(31, 33)), (0, 31))
        assert isinstance(x, dict)
        found.append(x["season"])
    np.testing.assert_allclose(*found, atol=1e-6)


def test_cycles_need_times(tmp_path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        opened(
            tmp_path,
            {"rain": PAST, "hours": ({"cycles": ["day"]}, (3, 2))},
            source={"path": "rain.npz", "key": "rain", "layout": "T H W"},
        )
    assert "cycles depend on the times of the frames, and rain.npz:rain has none" in message(caught.value)


def wind(folder: Path, times: np.ndarray, **coordinates: Any) -> dict[str, Any]:
    """A file of frames at the given times, each of which holds its number, and the input that reads it."""
    values = np.broadcast_to(np.arange(len(times), dtype=np.float32)[:, None, None], (len(times), 8, 8))
    np.savez(folder / "wind.npz", wind=values, time=times.astype(str))
    return {"source": {"path": "wind.npz", "key": "wind", "layout": "T H W", "time": "time"}, **coordinates}


def numbers(data: Dataset, start: int) -> list[float]:
    """The number of the frame that each frame of the input `wind` is, given the window that starts at a frame."""
    read = data.inputs(data.window(0, min(start, 35)).past, (0, start))
    assert isinstance(read, dict)
    assert (read["wind"] == read["wind"][:, :1, :1]).all()
    return [float(value) for value in read["wind"][:, 0, 0, 0]]


def test_frames_are_joined_by_time(tmp_path: Path) -> None:
    shape, hour = (5, 8, 8, 1), np.timedelta64(1, "h")
    every_third = TIMES[::3]  # frames of the record at 0, 3, 6, … have one
    feed = wind(tmp_path, every_third, frames="all", fill=-1)
    exact = opened(tmp_path, {"rain": PAST, "wind": (feed, shape)})
    assert numbers(exact, 2) == [-1, 1, -1, -1, 2]
    (note,) = [note for note in exact.notes() if "wind" in note]
    assert note == "wind.npz:wind has nothing for 3 frames of rain.npz:rain: wind is missing there"
    forward = opened(tmp_path, {"rain": PAST, "wind": ({**feed, "join": "forward"}, shape)})
    assert numbers(forward, 2) == [0, 1, 1, 1, 2]
    short = {**feed, "join": "forward", "tolerance": "7 h"}
    assert numbers(opened(tmp_path, {"rain": PAST, "wind": (short, shape)}), 2) == [-1, 1, 1, -1, 2]
    # The nearest to frame 2 is that of frame 3, which is not known yet at the last past frame, 2 itself.
    nearest = {**feed, "join": "nearest"}
    assert numbers(opened(tmp_path, {"rain": PAST, "wind": (nearest, shape)}), 1) == [0, -1, 1, 1, 2]
    shifted = wind(tmp_path, TIMES + hour, frames="all", fill=-1, join="nearest", tolerance="2 h")
    assert numbers(opened(tmp_path, {"rain": PAST, "wind": (shifted, shape)}), 4) == [4, -1, 6, 7, 8]
    # Beyond the end of the record the future is the other source's.
    longer = wind(tmp_path, np.concatenate([TIMES, TIMES[-1:] + 6 * hour]), frames="future", fill=-1)
    data = opened(tmp_path, {"rain": PAST, "wind": (longer, (3, 8, 8, 1))})
    assert numbers(data, 38) == [40, -1, -1]


def test_statistics_are_of_frames_that_belong_to_training_frames(tmp_path: Path) -> None:
    feed = wind(tmp_path, TIMES[::2], frames="past", transform=["minmax"])
    data = opened(tmp_path, {"rain": PAST, "wind": (feed, (2, 8, 8, 1))}, split={"train": [10, 21], "test": [26, 40]})
    step = data.state()["inputs"]["wind"]["steps"][0]
    assert (step["least"], step["greatest"]) == ((5,), (10,))


def test_frames_without_times_are_joined_by_number(tmp_path: Path) -> None:
    record = {"path": "rain.npz", "key": "rain", "layout": "T H W"}
    feed = wind(tmp_path, TIMES, frames="past")
    del feed["source"]["time"]
    data = opened(tmp_path, {"rain": PAST, "wind": (feed, (2, 8, 8, 1))}, source=record)
    assert numbers(data, 7) == [7, 8]
    with pytest.raises(SpecError) as caught:
        opened(tmp_path, {"rain": PAST, "wind": (feed, (2, 8, 8, 1))})
    assert "rain.npz:rain has times, and wind.npz:wind has none" in message(caught.value)
    wind(tmp_path, TIMES[:30])
    with pytest.raises(SpecError) as caught:
        opened(tmp_path, {"rain": PAST, "wind": (feed, (2, 8, 8, 1))}, source=record)
    assert "it has 30 frames, rain.npz:rain has 40" in message(caught.value)


def grid(folder: Path, name: str, lat: np.ndarray, lon: np.ndarray, values: np.ndarray, **more: Any) -> dict[str, Any]:
    """Write a grid, with times where its values have them, and return the source that reads it."""
    axes = ("time", "lat", "lon")[-values.ndim :]
    coordinates = {"lat": ("lat", lat, {"units": "degrees_north"}), "lon": ("lon", lon, {"units": "degrees_east"})}
    if values.ndim == 3:
        coordinates["time"] = ("time", TIMES[: len(values)].astype("datetime64[ns]"), {})
    xr.Dataset({"v": (axes, values.astype(np.float32))}, coordinates).to_netcdf(folder / name)
    layout = {letter: axis for letter, axis in {"T": "time", "H": "lat", "W": "lon"}.items() if axis in axes}
    return {"path": name, "key": "v", "layout": layout, **more}


LAT, LON = 50 - 0.5 * np.arange(8), -2 + 0.5 * np.arange(8)


def test_a_grid_is_interpolated_onto_that_of_the_record(tmp_path: Path) -> None:
    record = grid(tmp_path, "rain.nc", LAT, LON, frames(40, 8, 8))
    lat, lon = np.arange(46, 52.0), (np.arange(-4, 4.0) % 360)
    order = np.argsort(lon)
    plane = np.add.outer(10 * lat, (lon + 180) % 360 - 180)[:, order]
    other = grid(tmp_path, "height.nc", lat, lon[order], plane)
    expected = np.add.outer(10 * LAT, LON)
    feeds = {"rain": PAST, "terrain": ({"source": other, "regrid": "linear"}, (8, 8, 1))}
    data = opened(tmp_path, feeds, source=record)
    read = data.inputs(data.window(0, 0).past, (0, 0))
    assert isinstance(read, dict)
    np.testing.assert_allclose(read["terrain"][..., 0], expected, rtol=1e-5)
    region = (slice(2, 5), slice(3, 8))
    part = data.inputs(data.window(0, 0).past[:, 2:5, 3:8], (0, 0), region)
    assert isinstance(part, dict)
    np.testing.assert_allclose(part["terrain"][..., 0], expected[region], rtol=1e-5)
    nearest = opened(
        tmp_path, {"rain": PAST, "terrain": ({"source": other, "regrid": "nearest"}, (8, 8, 1))}, source=record
    )
    read = nearest.inputs(data.window(0, 0).past, (0, 0))
    assert isinstance(read, dict)
    assert set(np.unique(read["terrain"])) <= set(np.unique(plane.astype(np.float32)))
    with pytest.raises(SpecError) as caught:
        opened(tmp_path, {"rain": PAST, "terrain": ({"source": other}, (8, 8, 1))}, source=record)
    assert "height.nc:v has frames of 6 × 8, rain.nc:v of 8 × 8 | put both on one grid, with regrid" in message(
        caught.value
    )
    moved = grid(tmp_path, "moved.nc", LAT + 0.1, LON, plane[:1, :1] + np.zeros((8, 8)))
    with pytest.raises(SpecError) as caught:
        opened(tmp_path, {"rain": PAST, "terrain": ({"source": moved}, (8, 8, 1))}, source=record)
    assert "lat of moved.nc:v differs from that of rain.nc:v | 50.1 … 46.6 and 50.0 … 46.5" in message(caught.value)
    around = grid(tmp_path, "around.nc", LAT + 1e-4, LON + 360, np.full((8, 8), 7.0))  # the same places
    same = opened(tmp_path, {"rain": PAST, "terrain": ({"source": around}, (8, 8, 1))}, source=record)
    read = same.inputs(same.window(0, 0).past, (0, 0))
    assert isinstance(read, dict)
    assert (read["terrain"] == 7).all()
    far = grid(tmp_path, "far.nc", LAT, LON + 90, np.zeros((8, 8)))
    with pytest.raises(SpecError) as caught:
        opened(tmp_path, {"rain": PAST, "terrain": ({"source": far, "regrid": "linear"}, (8, 8, 1))}, source=record)
    assert "no pixel of rain.nc:v lies on the grid of far.nc:v" in message(caught.value)


def test_statistics_are_those_of_the_frames_on_the_grid_of_the_record(tmp_path: Path) -> None:
    """An anomaly is that of each pixel of the record, and pixels beyond the record do not count."""
    record = grid(tmp_path, "rain.nc", LAT, LON, frames(40, 8, 8))
    lat, lon = np.arange(40, 56.0), np.arange(-4, 4.0)
    values = np.where(np.abs(lat - 48.5)[:, None] < 4, 1.0, 1000.0) * np.arange(40.0)[:, None, None] + 0 * lon
    other = grid(tmp_path, "wind.nc", lat, lon, values)
    feed = {"source": other, "regrid": "linear", "frames": "past"}
    split = {"train": [0, 21], "test": [25, 40]}
    read = []
    for transform in ([{"name": "anomaly", "period": 1}], ["standardize"]):
        inputs = {"rain": PAST, "wind": ({**feed, "transform": transform}, (2, 8, 8, 1))}
        data = opened(tmp_path, inputs, source=record, split=split)
        x = data.inputs(data.window(0, 30).past, (0, 30))
        assert isinstance(x, dict)
        read.append(x["wind"])
    np.testing.assert_allclose(read[0], np.broadcast_to([[[[20]]], [[[21]]]], (2, 8, 8, 1)), atol=1e-4)
    np.testing.assert_allclose(read[1], read[0] / np.std(np.arange(21)), rtol=1e-4)


def test_what_nothing_matches_is_the_mean_even_of_integers(tmp_path: Path) -> None:
    """Integers without a mark for missing values are all known, and the frames between them still are not there."""
    feed = wind(tmp_path, TIMES[::2], frames="past")
    values = np.full((20, 8, 8), 7, np.int16)
    np.savez(tmp_path / "wind.npz", wind=values, time=TIMES[::2].astype(str))
    data = opened(tmp_path, {"rain": PAST, "wind": (feed, (2, 8, 8, 1))})
    assert numbers(data, 2) == [7, 7]


def test_coordinates_are_those_of_the_pixels(tmp_path: Path) -> None:
    record = grid(tmp_path, "rain.nc", LAT, LON, frames(40, 8, 8))
    place = ({"coordinates": ["latitude", "longitude"]}, (4, 4, 3))
    sun = ({"coordinates": ["solar_elevation"], "frames": "future"}, (3, 4, 4, 1))
    data = opened(tmp_path, {"rain": PAST, "place": place, "sun": sun}, source=record, crop=4)
    region = (slice(1, 5), slice(4, 8))
    read = data.inputs(data.window(0, 0).past[:, 1:5, 4:8], (0, 0), region)
    assert isinstance(read, dict)
    np.testing.assert_allclose(90 * read["place"][:, 2, 0], LAT[1:5], rtol=1e-5)
    degrees = np.degrees(np.arctan2(read["place"][1, :, 1], read["place"][1, :, 2]))
    np.testing.assert_allclose(degrees, LON[4:8], atol=1e-4)
    # On 10 June the declination is 23.0° and the equation of time below a minute: at 49.5° N, 0° E the sun is at
    # 90° - 49.5° + 23.0° at noon, at asin(sin 49.5° sin 23.0°) at six, and at 49.5° + 23.0° - 90° at midnight.
    elevation = np.degrees(np.arcsin(read["sun"][:, 0, 0, 0]))
    np.testing.assert_allclose(elevation, [63.5, 17.3, -17.5], atol=0.2)
    with pytest.raises(SpecError) as caught:
        opened(tmp_path, {"rain": PAST, "place": place}, crop=4)
    assert "rain.npz:rain has no latitude along H" in message(caught.value)
