"""Clips in folders by class: labels, splits within each class, and which frames a sample has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from specbuild.data import open_data
from specbuild.data.samples.clips import ClipDataset, even_frames, open_clips, stratified, stretch_frames
from specbuild.document import RunError, SpecError
from specbuild.facade import build_graph
from specbuild.language import Spec, load_spec
from tests.data.pictures import write_frames, write_video
from tests.data.samples import message

CLASSES = {"rain": 5, "snow": 4, "sun": 3}


def write_clips(folder: Path, classes: dict[str, int] | None = None, length: int = 6) -> None:
    """Folders of grey frames: frame t of clip n of class c has the value 60 c + 10 n + t."""
    for label, (name, count) in enumerate((classes or CLASSES).items()):
        for clip in range(count):
            frames = np.full((length + clip, 8, 9), 60 * label + 10 * clip, np.uint8)
            frames += np.arange(length + clip, dtype=np.uint8)[:, None, None]
            write_frames(folder / "clips" / name / str(clip), frames)


def clip_spec(folder: Path, units: int = 3, loss: str = "sparse_categorical_crossentropy", **data: Any) -> Spec:
    section = {
        "source": {"path": "clips", "layout": "N T H W"},
        "target": "class",
        "windows": {"past": 4},
        "split": {"train": 0.5, "validation": 0.25, "test": 0.25},
        **data,
    }
    document = {
        "specbuild": 1,
        "name": "clips",
        "inputs": {"clip": [4, None, None, 1]},
        "layers": [
            {"layer": "GlobalAveragePooling3D"},
            {"id": "class", "layer": "Dense", "units": units, "activation": "softmax" if units > 1 else "sigmoid"},
        ],
        "data": section,
        "train": {"loss": loss},
    }
    path = folder / "spec.yaml"
    path.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    return load_spec(path)


def opened(folder: Path, **data: Any) -> ClipDataset:
    spec = clip_spec(folder, **data)
    return open_clips(spec, build_graph(spec))


def refusal(folder: Path, **data: Any) -> str:
    with pytest.raises(SpecError) as caught:
        opened(folder, **data)
    return message(caught.value)


def test_folders_are_classes(tmp_path: Path) -> None:
    write_clips(tmp_path)
    data = opened(tmp_path)
    assert data.classes == ("rain", "snow", "sun")
    assert data.source.lengths == (6, 7, 8, 9, 10, 6, 7, 8, 9, 6, 7, 8)
    assert data.labels == (0,) * 5 + (1,) * 4 + (2,) * 3
    for split, clips in data.splits.items():
        assert {data.labels[clip] for clip in clips} == {0, 1, 2}, split


@given(
    st.lists(st.integers(0, 4), min_size=1, max_size=60),
    st.sampled_from([{"train": 0.7, "test": 0.3}, {"train": 0.6, "validation": 0.2, "test": 0.2}, {"train": 0.5}]),
    st.integers(0, 5),
)
def test_splits_are_stratified(labels: list[int], shares: dict[str, float], seed: int) -> None:
    splits = stratified(tuple(labels), shares, seed)
    drawn = [clip for clips in splits.values() for clip in clips]
    assert len(set(drawn)) == len(drawn)
    assert splits == stratified(tuple(labels), shares, seed)
    for label in set(labels):
        count = labels.count(label)
        for name, share in shares.items():
            given_to = sum(labels[clip] == label for clip in splits[name])
            assert abs(given_to - share * count) < 2
            assert given_to or count < len(shares)
        if sum(shares.values()) == 1:
            assert sum(labels[clip] == label for clip in drawn) == count


def test_another_seed_splits_otherwise(tmp_path: Path) -> None:
    write_clips(tmp_path)
    first, again = opened(tmp_path), opened(tmp_path, target={"name": "class", "seed": 1})
    assert first.splits != again.splits


@pytest.mark.parametrize("choose", [even_frames, stretch_frames])
@given(length=st.integers(1, 50), count=st.integers(1, 20), step=st.integers(1, 4), seed=st.none() | st.integers(0, 9))
def test_chosen_frames_exist_and_follow_each_other(
    choose: Any, length: int, count: int, step: int, seed: int | None
) -> None:
    random = None if seed is None else np.random.default_rng(seed)
    frames = choose(length, count, step, random)
    assert len(frames) == count
    assert frames == sorted(frames)
    assert 0 <= frames[0] <= frames[-1] < length
    if choose is stretch_frames and (count - 1) * step < length:
        assert set(np.diff(frames)) <= {step}
    if choose is even_frames and length >= count and random is None:
        assert len(set(frames)) == count


def test_frames_of_the_middle() -> None:
    assert even_frames(8, 4, 1, None) == [1, 3, 5, 7]
    assert even_frames(2, 4, 1, None) == [0, 0, 1, 1]
    assert stretch_frames(9, 3, 2, None) == [2, 4, 6]
    assert stretch_frames(2, 4, 1, None) == [0, 1, 1, 1]


def test_batches(tmp_path: Path) -> None:
    write_clips(tmp_path)
    data = opened(tmp_path)
    training, held_out = data.sampler("train", 2, seed=3), data.sampler("validation", 2, seed=3)
    x, y, weight = training.batch(0, 0)
    assert (x.shape, y.shape, weight) == ((2, 4, 8, 9, 1), (2, 1), None)
    for clip, label in zip(x, y[:, 0], strict=True):
        assert (clip // 60 == label).all()
    again = training.batch(0, 0)
    np.testing.assert_array_equal(x, again[0])
    drawn = [training.batch(epoch, 0)[0] for epoch in range(6)]
    assert any((one != x).any() for one in drawn)
    np.testing.assert_array_equal(held_out.batch(0, 0)[0], held_out.batch(5, 0)[0])
    seen = np.concatenate([training.batch(2, index)[0][:, 0, 0, 0, 0] // 10 for index in range(len(training))])
    assert sorted(seen) == sorted(set(seen))
    assert len(data.sampler("train", 2, seed=3, steps=9)) == 9


def test_classes_as_the_loss_reads_them(tmp_path: Path) -> None:
    write_clips(tmp_path)
    one_of_each = opened(tmp_path, loss="categorical_crossentropy").sampler("train", 3, seed=0).batch(0, 0)[1]
    assert one_of_each.shape == (3, 3)
    assert (one_of_each.sum(1) == 1).all()
    write_clips(tmp_path / "two", {"no": 4, "yes": 4})
    data = opened(tmp_path / "two", units=1, loss="binary_crossentropy")
    assert data.sampler("train", 4, seed=0).batch(0, 0)[1].shape == (4, 1)


def test_crops(tmp_path: Path) -> None:
    write_clips(tmp_path)
    data = opened(tmp_path, crop=[4, 5])
    assert data.sampler("train", 2, seed=0).batch(0, 0)[0].shape == (2, 4, 4, 5, 1)
    assert data._region(None) == (slice(2, 6), slice(2, 7))


def test_statistics_are_of_the_training_clips(tmp_path: Path) -> None:
    write_clips(tmp_path)
    data = opened(tmp_path, transform=["standardize"])
    values = np.concatenate(
        [data.source.read(clip, range(data.source.lengths[clip])).ravel() for clip in data.split("train")]
    )
    found = data.transform.apply(np.array([[values.mean()], [values.mean() + values.std()]], np.float32))
    np.testing.assert_allclose(found.ravel(), [0, 1], atol=1e-5)


def test_videos_as_clips(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / "clips" / name).mkdir(parents=True)
        for number in range(3):
            write_video(tmp_path / "clips" / name / f"{number}.mp4", "mpeg4", frames=6)
    data = opened(tmp_path, units=2, source={"path": "clips", "layout": "N T H W", "size": [8, 9]})
    assert data.sampler("train", 2, seed=0).batch(0, 0)[0].shape == (2, 4, 8, 9, 1)


def test_refused(tmp_path: Path) -> None:
    write_clips(tmp_path)
    (tmp_path / "one" / "clips").mkdir(parents=True)
    write_clips(tmp_path / "few", {"rain": 4, "snow": 1})
    assert refusal(tmp_path / "one") == (
        "data.source.path | clips holds no classes | "
        "each subfolder is a class, and each folder or video in it is a clip | "
        "put the clips of each class into a folder of its own"
    )
    assert refusal(tmp_path, source={"path": "clip", "layout": "N T H W"}) == (
        "data.source.path | clip is not a folder | name the folder that has a subfolder for each class"
    )
    assert refusal(tmp_path, units=4) == (
        "layers.class | the output class has 4 units, the clips have 3 classes | end the model with 3 units"
    )
    assert refusal(tmp_path / "few", units=2, split={"train": 0.3, "test": 0.7}) == (
        "data.split.train | the class snow has no clip to train on | it has 1 | "
        "give training a larger share, or bring more clips"
    )
    with pytest.raises(RunError, match="the data has no tests split"):
        opened(tmp_path).split("tests")
    spec = clip_spec(tmp_path)
    with pytest.raises(SpecError, match="the model gives classes of clips, this needs forecasts of frames"):
        open_data(spec, build_graph(spec))
