"""The mask channel: where what the model reads is known, in training, in tiles and of every shape of input."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from specbuild.data import Dataset, open_data
from specbuild.document import SpecError
from tests.data.samples import dataset, frames, message, model, write_spec

GAPS = np.array([[True, False, False], [False, False, True], [True, True, True]])
"""Where a frame of 3 × 3 lacks a value."""


def test_the_mask_is_the_last_channel_and_the_values_are_filled(tmp_path: Path) -> None:
    values = np.full((40, 3, 3), 5.0, np.float32)
    values[:, GAPS] = np.nan
    np.save(tmp_path / "rain.npy", values)
    spec = write_spec(tmp_path, {"mask": True, "fill": -1})
    data = open_data(spec, model(spec, read=(2, None, None, 2)))
    for split in ("train", "validation"):
        x, y, weight = data.sampler(split, 2, seed=1).batch(0, 0)
        assert (x.shape, x.dtype, y.shape) == ((2, 2, 3, 3, 2), np.float32, (2, 3, 3, 3, 1))
        assert weight is not None
        np.testing.assert_array_equal(x[..., 1], np.broadcast_to(~GAPS, (2, 2, 3, 3)))
        np.testing.assert_array_equal(x[..., 0], np.broadcast_to(np.where(GAPS, -1, 5), (2, 2, 3, 3)))
        np.testing.assert_array_equal(weight, np.broadcast_to(~GAPS, (2, 3, 3, 3)))


@pytest.fixture(scope="module")
def two_channels(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("two")
    np.save(folder / "rain.npy", frames(40, 3, 4, 2))
    source = {"path": "rain.npy", "layout": "T H W C"}
    spec = write_spec(folder, {"source": source, "mask": True, "transform": ["standardize"]})
    return open_data(spec, model(spec, (3, None, None, 2), (2, None, None, 3)))


@given(past=arrays.arrays(np.float32, (2, 3, 4, 2), elements=st.sampled_from([np.nan, 0, 1, 2])))
@settings(deadline=None, max_examples=30)
def test_a_pixel_is_known_where_every_channel_is(two_channels: Dataset, past: np.ndarray) -> None:
    read, known = two_channels.prepare(past), ~np.isnan(past)
    assert read.shape == (2, 3, 4, 3)
    np.testing.assert_array_equal(read[..., 2], known.all(axis=-1))
    assert np.isfinite(read).all()
    np.testing.assert_array_equal(read[..., :2][known], two_channels.transform.apply(past)[known])


def test_an_input_without_time_has_its_mask(tmp_path: Path) -> None:
    np.save(tmp_path / "rain.npy", np.where(GAPS, np.nan, frames(40, 3, 3)))
    spec = write_spec(tmp_path, {"mask": True, "windows": {"past": 1, "future": 1}})
    data = open_data(spec, model(spec, (None, None, 1), (None, None, 2)))
    x, y, weight = data.sampler("train", 2, seed=1).batch(0, 0)
    assert weight is not None
    assert (x.shape, y.shape, weight.shape) == ((2, 3, 3, 2), (2, 3, 3, 1), (2, 3, 3))
    np.testing.assert_array_equal(x[..., 1], weight)


def test_forecasts_in_tiles_read_masks(tmp_path: Path) -> None:
    values = frames(40, 7, 9)
    values[:, 2:4, 5] = np.nan
    np.save(tmp_path / "rain.npy", values)
    spec = write_spec(tmp_path, {"mask": True, "crop": 4, "fill": 0})
    data = open_data(spec, model(spec, read=(2, None, None, 2)))
    window = next(data.forecasts("test"))

    def shows_the_mask(tiles: np.ndarray) -> np.ndarray:
        assert tiles.shape[1:] == (2, 4, 4, 2)
        return np.repeat(tiles[:, -1:, ..., 1:], 3, axis=1)

    forecast = data.forecast(window.past, shows_the_mask)
    np.testing.assert_allclose(forecast, np.repeat(~np.isnan(window.past[-1:]), 3, axis=0), atol=1e-6)


def test_a_mask_of_data_that_lacks_nothing_is_one(tmp_path: Path) -> None:
    np.save(tmp_path / "rain.npy", np.arange(40 * 9).reshape(40, 3, 3))
    spec = write_spec(tmp_path, {"mask": True})
    x, _, weight = open_data(spec, model(spec, read=(2, None, None, 2))).sampler("train", 2, seed=1).batch(0, 0)
    assert weight is None
    assert (x[..., 1] == 1).all()


def test_what_lies_at_missing_pixels_changes_nothing(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 100, (60, 4, 4)).astype(np.uint16)
    gaps = np.random.default_rng(1).random(values.shape) < 0.3
    found = []
    for code in (60000, 65535):
        data = dataset(
            tmp_path, np.where(gaps, np.uint16(code), values), missing=[60000, 65535], transform=["standardize"]
        )
        found.append((data.transform, data.sampler("train", 4, seed=1).batch(0, 0)))
    assert found[0][0] == found[1][0]
    for one, other in zip(found[0][1], found[1][1], strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_input_must_have_a_channel_for_the_mask(tmp_path: Path) -> None:
    np.save(tmp_path / "rain.npy", frames(40, 3, 3))
    spec = write_spec(tmp_path, {"mask": True})
    with pytest.raises(SpecError) as error:
        open_data(spec, model(spec))
    assert message(error.value) == (
        "inputs.rain | rain has 1 channel, rain.npy has 1 channel, and data.mask adds 1: 2 in all"
        " | write rain: [2, null, null, 2]"
    )
