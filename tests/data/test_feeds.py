"""What the inputs of a model read: `data.inputs`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

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


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        (stored((8, 8, 1), path="no.npz"), "data.inputs.terrain.source.path | no.npz"),
        (stored((8, 8, 1), path="terrain.npz", key="hight"), 'terrain.npz has no array "hight"'),
        (stored((8, 1), path="terrain.npz", key="land", layout="L"), "the layout names 1 axes, terrain.npz:land has 2"),
        (stored((8, 1), path="flat.npy", layout="L"), "flat.npy has the axes of space L, rain.npz:rain has H W"),
        (stored((8, 8, 1), path="small.npy"), "small.npy has frames of 4 × 4, rain.npz:rain of 8 × 8"),
        (stored((8, 8, 1), [{"name": "minmax", "channels": [7]}], path="small.npy"), "small.npy has frames of 4 × 4"),
        (stored((8, 8, 2), [{"name": "minmax", "channels": [7]}], **TERRAIN["source"]), "there is no channel 7"),
        ({"hours": ({"cycles": ["day"]}, (2, 2))}, "what data.inputs.hours reads is 3 × 2 (frames, channels)"),
    ],
)
def test_what_does_not_fit_is_named(inputs: dict[str, Any], said: str, tmp_path: Path) -> None:
    np.save(tmp_path / "flat.npy", np.zeros(8))
    np.save(tmp_path / "small.npy", np.zeros((4, 4)))
    with pytest.raises(SpecError) as caught:
        opened(tmp_path, {"rain": PAST, **inputs})
    assert said in message(caught.value)
    assert f"data.inputs.{next(iter(inputs))}" in message(caught.value)


def test_cycles_need_times(tmp_path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        opened(
            tmp_path,
            {"rain": PAST, "hours": ({"cycles": ["day"]}, (3, 2))},
            source={"path": "rain.npz", "key": "rain", "layout": "T H W"},
        )
    assert "cycles depend on when frames are, and rain.npz:rain does not say it" in message(caught.value)
