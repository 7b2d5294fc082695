"""Augmentation: past, future, weight and mask of a sample alike; the same for the same seed; in training alone."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from specbuild.data import Dataset, Sampler, open_data
from specbuild.data.samples.augment import Augmentation, Turn
from specbuild.data.samples.clips import open_clips
from specbuild.data.samples.sampler import Sample
from specbuild.document import SpecError
from specbuild.graph import build_graph
from specbuild.language import load_spec
from specbuild.language.sections.augment import AugmentSection
from tests.data.pictures import write_frames
from tests.data.samples import dataset, frames, message, model, write_spec

EVERYTHING = {"flip": ["height", "width"], "rotate": True}


def still(folder: Path, **data: Any) -> Dataset:
    """Fifty frames that are all alike, so that a past frame shows how its future must lie; some pixels are missing."""
    picture = frames(8, 8, seed=3)
    picture[1, 2] = picture[5, 5] = picture[6, 0] = np.nan
    np.save(folder / "rain.npy", np.repeat(picture[np.newaxis], 50, axis=0))
    spec = write_spec(folder, {"mask": True, "fill": 0, **data})
    return open_data(spec, model(spec, read=(2, None, None, 2)))


def batches(sampler: Sampler, epoch: int = 0) -> list[Sample]:
    return [sampler.batch(epoch, index) for index in range(len(sampler))]


def same(one: Sequence[Sample], other: Sequence[Sample]) -> bool:
    pairs = zip(one, other, strict=True)
    return all(np.array_equal(a, b) for x, y in pairs for a, b in zip(x, y, strict=True) if a is not None)


@pytest.mark.parametrize("crop", [None, 5])
def test_past_future_weight_and_mask_lie_alike(crop: int | None, tmp_path: Path) -> None:
    for x, y, weight in batches(still(tmp_path, crop=crop, augment=EVERYTHING).sampler("train", 4, seed=1)):
        assert weight is not None
        np.testing.assert_array_equal(x[:, 0, ..., 0], y[:, 0, ..., 0])
        np.testing.assert_array_equal(x[:, 1, ..., 1], weight[:, 2])
        np.testing.assert_array_equal(y[..., 0] == 0, weight == 0)


def test_every_way_a_square_can_lie_comes_up(tmp_path: Path) -> None:
    picture = still(tmp_path).sampler("train", 1, seed=1, shuffle=False).batch(0, 0)[0][0, 0]
    turned = [np.rot90(one, count) for one in (picture, picture[::-1]) for count in range(4)]
    drawn = [x[0, 0] for x, _, _ in batches(still(tmp_path, augment=EVERYTHING).sampler("train", 1, 1, steps=80))]
    counts = [sum(np.array_equal(one, other) for one in drawn) for other in turned]
    assert sum(counts) == 80
    assert min(counts) >= 3


def test_only_the_named_axis_is_mirrored_in_half_of_the_samples(tmp_path: Path) -> None:
    picture = still(tmp_path).sampler("train", 1, seed=1, shuffle=False).batch(0, 0)[0][0, 0]
    sampler = still(tmp_path, augment={"flip": "width"}).sampler("train", 1, seed=1, steps=100)
    mirrored = [np.array_equal(x[0, 0], picture[:, ::-1]) for x, _, _ in batches(sampler)]
    plain = [np.array_equal(x[0, 0], picture) for x, _, _ in batches(sampler)]
    assert sum(mirrored) + sum(plain) == 100
    assert 35 <= sum(mirrored) <= 65


def test_noise_is_on_known_values_of_the_input_alone(tmp_path: Path) -> None:
    plain = batches(still(tmp_path, transform=["standardize"]).sampler("train", 4, seed=1))
    noisy = batches(still(tmp_path, transform=["standardize"], augment={"noise": 0.1}).sampler("train", 4, seed=1))
    differences = []
    for (x, y, weight), (x_noisy, y_noisy, weight_noisy) in zip(plain, noisy, strict=True):
        np.testing.assert_array_equal(y, y_noisy)
        np.testing.assert_array_equal(weight, weight_noisy)
        np.testing.assert_array_equal(x[..., 1], x_noisy[..., 1])
        known = x[..., 1] == 1
        np.testing.assert_array_equal(x[..., 0][~known], x_noisy[..., 0][~known])
        differences.append((x_noisy - x)[..., 0][known])
    noise = np.concatenate(differences)
    assert noise.std() == pytest.approx(0.1, rel=0.1)
    assert abs(noise.mean()) < 0.01


def test_crops_are_those_without_augmentation(tmp_path: Path) -> None:
    values = frames(40, 12, 9)
    plain = dataset(tmp_path, values, crop=4).sampler("train", 4, seed=1)
    noisy = dataset(tmp_path, values, crop=4, augment={"noise": 1e-9}).sampler("train", 4, seed=1)
    for one, other in zip(batches(plain), batches(noisy), strict=True):
        np.testing.assert_allclose(one[0], other[0], atol=1e-6)


def test_samples_depend_on_seed_epoch_and_position_alone(tmp_path: Path) -> None:
    data = dataset(tmp_path, frames(60, 9, 8), crop=4, augment={**EVERYTHING, "noise": 0.5})
    sampler = data.sampler("train", 4, seed=7)
    alone = batches(sampler, epoch=1)
    for workers in (1, 4):
        with ThreadPoolExecutor(workers) as pool:
            backwards = list(pool.map(lambda index: sampler.batch(1, index), reversed(range(len(sampler)))))
        assert same(alone, backwards[::-1])
    assert same(alone, batches(data.sampler("train", 4, seed=7), epoch=1))
    assert not same(alone, batches(sampler, epoch=2))
    assert not same(alone, batches(data.sampler("train", 4, seed=8), epoch=1))
    pairs = data.sampler("train", 2, seed=7)
    np.testing.assert_array_equal(np.concatenate([pairs.batch(1, 0)[0], pairs.batch(1, 1)[0]]), alone[0][0])


@pytest.mark.parametrize("split", ["validation", "test"])
def test_validation_and_test_are_left_as_they_are(split: str, tmp_path: Path) -> None:
    values = frames(60, 8, 8)
    plain = dataset(tmp_path, values).sampler(split, 4, seed=1)
    varied = dataset(tmp_path, values, augment={**EVERYTHING, "noise": 0.5})
    assert same(batches(plain), batches(varied.sampler(split, 4, seed=1)))
    window = next(varied.forecasts(split))
    np.testing.assert_array_equal(window.past[..., 0], values[window.start : window.start + 2])


@given(st.integers(0, 2**32), st.integers(1, 3), st.booleans())
@settings(deadline=None, max_examples=40)
def test_frames_and_weights_turn_alike_in_any_space(seed: int, axes: int, rotate: bool) -> None:
    letters = {1: ("L",), 2: ("H", "W"), 3: ("D", "H", "W")}[axes]
    names = {1: ("length",), 2: ("height",), 3: ("depth", "width")}[axes]
    section = AugmentSection(flip=names, rotate=rotate and axes > 1)
    turn = Augmentation(section, letters).draw(np.random.default_rng(seed))
    values = frames(3, *(4,) * axes, 2)
    turned = turn.frames(values)
    np.testing.assert_array_equal(turn.weights(values[..., 1]), turned[..., 1])
    np.testing.assert_array_equal(turn.frames(values[0]), turned[0])
    np.testing.assert_array_equal(np.sort(turned, axis=None), np.sort(values, axis=None))


def test_a_quarter_turn_and_a_mirrored_axis() -> None:
    values = np.arange(4, dtype=np.float32).reshape(1, 2, 2, 1)
    assert Turn((-1,), 0).frames(values).ravel().tolist() == [1, 0, 3, 2]
    assert Turn((-2,), 0).frames(values).ravel().tolist() == [2, 3, 0, 1]
    assert Turn((), 1).frames(values).ravel().tolist() == [1, 3, 0, 2]


def test_frames_that_turn_out_not_to_be_square(tmp_path: Path) -> None:
    with pytest.raises(SpecError) as error:
        dataset(tmp_path, frames(60, 8, 6), augment={"rotate": True})
    assert message(error.value) == (
        "data.augment.rotate | a sample of 8 × 6 cannot be turned by 90 degrees; read squares with data.crop: 6"
    )


def test_clips_are_mirrored_in_training_alone(tmp_path: Path) -> None:
    grey = np.random.default_rng(0).integers(0, 256, (4, 6, 6), dtype=np.uint8)
    for label in ("left", "right"):
        for clip in range(4):
            write_frames(tmp_path / "clips" / label / f"clip{clip}", grey)
    document: dict[str, Any] = {
        "specbuild": 1,
        "inputs": {"clip": [4, 6, 6, 1]},
        "layers": [
            {"time_distributed": {"layer": "Flatten"}},
            {"layer": "LSTM", "units": 2, "return_sequences": False},
            {"layer": "Dense", "units": 2},
        ],
        "data": {
            "source": {"path": str(tmp_path / "clips"), "layout": "N T H W"},
            "target": "class",
            "windows": {"past": 4},
            "split": {"train": 0.5, "test": 0.5},
            "augment": {"flip": "width"},
        },
        "train": {"loss": {"name": "SparseCategoricalCrossentropy", "from_logits": True}},
    }
    spec = load_spec(document)
    data = open_clips(spec, build_graph(spec))
    drawn = [x for batch in range(10) for x in data.sampler("train", 4, seed=1, steps=10).batch(0, batch)[0]]
    plain = [np.array_equal(x[..., 0], grey) for x in drawn]
    assert [np.array_equal(x[..., 0], grey[:, :, ::-1]) for x in drawn] == [not one for one in plain]
    assert 0 < sum(plain) < len(plain)
    assert all(np.array_equal(x[..., 0], grey) for x in data.sampler("test", 4, seed=1).batch(0, 0)[0])
