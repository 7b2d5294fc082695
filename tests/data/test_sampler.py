"""Sampler and tiles: every window once per pass, the same batches for the same seed, and frames put together again."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from specbuild.data.samples.sampler import Sample, Sampler
from specbuild.data.samples.tiles import Tiling
from specbuild.data.sources.base import Region
from tests.data.samples import dataset, frames


def numbered(
    windows: int, batch_size: int, steps: int | None = None, *, shuffle: bool = True, seed: int = 1
) -> Sampler:
    """A sampler whose x is the window's number, and whose y is the corner of its crop."""

    def sample(window: int, region: Region, _random: np.random.Generator | None) -> Sample:
        corner = np.array([part.start for part in region], np.float32)
        return np.full(1, window, np.float32), corner, None

    return Sampler(windows, batch_size, seed, steps, shuffle, (20, 30), (4, 5), sample)


def drawn(sampler: Sampler, epoch: int) -> list[int]:
    return [int(x) for index in range(len(sampler)) for x in sampler.batch(epoch, index)[0].ravel()]


@given(st.integers(1, 40), st.integers(1, 12), st.integers(0, 3), st.booleans())
@settings(deadline=None, max_examples=50)
def test_every_window_comes_once_per_epoch(windows: int, batch_size: int, epoch: int, shuffle: bool) -> None:
    sampler = numbered(windows, batch_size, shuffle=shuffle)
    assert sorted(drawn(sampler, epoch)) == list(range(windows))


@given(st.integers(1, 20), st.integers(1, 6), st.integers(1, 12))
@settings(deadline=None, max_examples=50)
def test_steps_go_on_with_new_passes(windows: int, batch_size: int, steps: int) -> None:
    sampler = numbered(windows, batch_size, steps)
    found = drawn(sampler, 0)
    assert len(found) == steps * batch_size
    assert max(Counter(found).values()) - min(Counter(found).get(window, 0) for window in range(windows)) <= 1


def test_epochs_and_seeds_differ() -> None:
    first = drawn(numbered(30, 4), 0)
    assert first == drawn(numbered(30, 4), 0)
    assert first != drawn(numbered(30, 4), 1)
    assert first != drawn(numbered(30, 4, seed=2), 0)
    assert drawn(numbered(30, 4, shuffle=False), 3) == list(range(30))


def test_crops_are_random_in_training_and_fixed_otherwise() -> None:
    def corners(sampler: Sampler, epoch: int) -> np.ndarray:
        return np.concatenate([sampler.batch(epoch, index)[1] for index in range(len(sampler))])

    training = numbered(300, 10)
    found = corners(training, 0)
    assert (found.min(axis=0).tolist(), found.max(axis=0).tolist()) == ([0, 0], [16, 25])
    assert not np.array_equal(found, corners(training, 1))
    fixed = numbered(300, 10, shuffle=False)
    np.testing.assert_array_equal(corners(fixed, 0), corners(fixed, 1))


def test_batches_do_not_depend_on_order_or_threads(tmp_path: Path) -> None:
    data = dataset(tmp_path, frames(60, 9, 8), crop=[4, 5], transform=["log1p", "standardize"])
    sampler = data.sampler("train", 4, seed=7)
    in_order = [sampler.batch(1, index) for index in range(len(sampler))]
    with ThreadPoolExecutor(4) as pool:
        reversed_order = list(pool.map(lambda index: sampler.batch(1, index), reversed(range(len(sampler)))))
    for one, other in zip(in_order, reversed(reversed_order), strict=True):
        for a, b in zip(one, other, strict=True):
            np.testing.assert_array_equal(a, b)
    x, y, weight = in_order[0]
    assert (x.shape, y.shape, x.dtype, y.dtype) == ((4, 2, 4, 5, 1), (4, 3, 4, 5, 1), np.float32, np.float32)
    assert weight is not None
    assert weight.shape == (4, 3, 4, 5)


def test_batch_beyond_the_epoch() -> None:
    with pytest.raises(IndexError, match="batch 8 of 8"):
        numbered(30, 4).batch(0, 8)


sizes = st.tuples(st.integers(1, 20), st.integers(1, 20)).map(lambda pair: (max(pair), min(pair)))


@given(st.lists(sizes, max_size=3), st.integers(0, 9))
@settings(deadline=None, max_examples=60)
def test_tiles_stitch_back_the_identity(axes: list[tuple[int, int]], seed: int) -> None:
    tiling = Tiling(tuple(length for length, _ in axes), tuple(size for _, size in axes))
    values = frames(2, *tiling.frame, 2, seed=seed)
    tiles = tiling.cut(values)
    assert tiles.shape == (len(tiling), 2, *tiling.tile, 2)
    np.testing.assert_array_equal(tiling.stitch(tiles), values)


@given(st.lists(sizes, max_size=3))
@settings(deadline=None, max_examples=60)
def test_weights_of_tiles_cover_every_place_once(axes: list[tuple[int, int]]) -> None:
    tiling = Tiling(tuple(length for length, _ in axes), tuple(size for _, size in axes))
    total = np.zeros(tiling.frame)
    for region, weight in zip(tiling.regions, tiling.weights, strict=True):
        assert weight.shape == tiling.tile
        assert (weight > 0).all()
        total[region] += weight
    np.testing.assert_allclose(total, 1, rtol=1e-12)


def test_a_constant_stays_constant() -> None:
    tiling = Tiling((50, 70), (16, 32))
    np.testing.assert_array_equal(tiling.stitch(np.full((len(tiling), 3, 16, 32, 1), 7.3, np.float32)), np.float32(7.3))


@pytest.mark.parametrize("length", [65, 80, 100, 128, 150, 256])
def test_a_tile_fades_out_where_it_ends_within_the_frame(length: int) -> None:
    tiling = Tiling((length,), (64,))
    for (region,), weight in zip(tiling.regions, tiling.weights, strict=True):
        starts, ends = region.start == 0, region.stop == length
        assert weight[0] == 1 if starts else weight[0] < 0.07
        assert weight[-1] == 1 if ends else weight[-1] < 0.07
        assert np.abs(np.diff(weight)).max() < 0.07


def test_tiles_that_differ_are_joined_without_a_seam() -> None:
    tiling = Tiling((256, 200), (64, 64))
    tiles = np.stack([np.full((1, 64, 64, 1), number % 2, np.float32) for number in range(len(tiling))])
    joined = tiling.stitch(tiles)[0, ..., 0]
    assert max(np.abs(np.diff(joined, axis=axis)).max() for axis in (0, 1)) < 0.07


def test_tiles_overlap_by_a_quarter_and_are_as_few_as_that_takes() -> None:
    assert len(Tiling((256, 256), (64, 64))) == 25
    assert [region[0] for region in Tiling((10,), (4,)).regions] == [slice(0, 4), slice(3, 7), slice(6, 10)]
    assert Tiling((8, 8), (8, 8)).regions == ((slice(0, 8), slice(0, 8)),)
