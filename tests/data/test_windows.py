"""Windows and splits: nothing is shared between splits, and no window leaves its event, split or stretch."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from specbuild.data.samples.splits import make_splits, open_splits
from specbuild.data.samples.windows import (
    Stretch,
    WindowSet,
    future_frames,
    lead_frames,
    past_frames,
    target_frames,
    window_starts,
)
from specbuild.data.sources import open_source
from specbuild.document import SpecError
from specbuild.language.sections.data import WindowsSection
from specbuild.language.sections.split import SplitSection
from tests.data.samples import dataset, frames, message, write_spec

small = st.integers(1, 5)
sections = st.builds(
    WindowsSection, past=small, future=small, stride=small, step=st.integers(1, 3), lead=st.integers(0, 3)
)


def test_frames_of_a_window() -> None:
    section = WindowsSection(past=3, future=2, step=2, lead=1)
    assert list(past_frames(10, section)) == [10, 12, 14]
    assert list(future_frames(10, section)) == [18, 20]
    assert lead_frames(section) == (4, 6)
    assert section.span == 11
    assert list(window_starts(range(5, 20), WindowsSection(past=3, future=2, stride=4))) == [5, 9, 13]


def test_target_next_is_each_step_s_next_frame() -> None:
    section = WindowsSection(past=3, future=2, target="next")
    assert list(target_frames(10, section)) == [11, 12, 13, 14]
    assert list(target_frames(10, section))[-2:] == list(future_frames(10, section))


@given(sections, st.integers(0, 40), st.integers(1, 60))
@settings(deadline=None, max_examples=100)
def test_windows_stay_within_their_frames(section: WindowsSection, first: int, length: int) -> None:
    stretch = range(first, first + length)
    starts = window_starts(stretch, section)
    for start in starts:
        used = [*past_frames(start, section), *future_frames(start, section)]
        assert set(used) <= set(stretch)
        assert used == sorted(set(used))
        assert used[-1] - used[0] + 1 == section.span
    following = starts.stop if starts else first
    assert len(starts) == max(0, (length - section.span) // section.stride + 1), following


@given(sections, st.lists(st.lists(st.integers(0, 30), max_size=4), min_size=1, max_size=3))
@settings(deadline=None, max_examples=50)
def test_windows_never_cross_events_or_gaps(section: WindowsSection, events: list[list[int]]) -> None:
    """Events of different lengths, each of some stretches with a gap between them."""
    stretches = tuple(
        Stretch(event, range(end - length, end))
        for event, lengths in enumerate(events)
        for end, length in zip(np.cumsum(lengths).tolist(), lengths, strict=True)
    )
    windows = WindowSet(section, stretches)
    found = [windows[number] for number in range(len(windows))]
    assert len(set(found)) == len(found)
    for event, start in found:
        used = {start, start + section.span - 1}
        assert any(stretch.event == event and used <= set(stretch.frames) for stretch in stretches)
    assert len(found) == sum(len(window_starts(stretch.frames, section)) for stretch in stretches)
    with pytest.raises(IndexError):
        windows[len(windows)]


shares = st.tuples(st.floats(0.05, 1), st.floats(0, 1), st.floats(0, 1)).map(
    lambda parts: dict(zip(("train", "validation", "test"), (p / max(1, sum(parts)) for p in parts), strict=True))
)


@given(shares, st.integers(1, 200), st.integers(0, 20))
@settings(deadline=None, max_examples=200)
def test_splits_share_no_frame_and_keep_the_embargo(parts: dict[str, float], length: int, embargo: int) -> None:
    section = SplitSection(**parts)
    splits = {name: part.frames for name, [part] in make_splits(section, "time", [length], embargo).items()}
    for one, other in pairwise(splits.values()):
        assert other.start - one.stop == embargo
    if length >= embargo * (len(splits) - 1):
        assert all(span.start >= 0 and span.stop <= length for span in splits.values())
    usable = length - embargo * (len(splits) - 1)
    for name, span in splits.items():
        share = section.parts[name]
        assert isinstance(share, float)
        assert abs(len(span) - max(usable, 0) * share) <= 1


@given(shares, st.integers(1, 50))
@settings(deadline=None, max_examples=50)
def test_splits_by_event_share_no_event(parts: dict[str, float], events: int) -> None:
    splits = make_splits(SplitSection(**parts), "event", [10] * events, 0)
    used = [stretch.event for split in splits.values() for stretch in split]
    assert used == sorted(set(used))
    assert set(used) <= set(range(events))


def test_embargo_is_counted_in_frames_of_no_split(tmp_path: Path) -> None:
    data = dataset(tmp_path, frames(100, 2, 2), windows={"past": 4, "future": 6})
    [train], [validation], [test] = (data.split(name).stretches for name in ("train", "validation", "test"))
    assert (train.frames, validation.frames, test.frames) == (range(49), range(58, 75), range(84, 100))


def test_windows_do_not_span_a_gap(tmp_path: Path) -> None:
    np.savez(tmp_path / "rain.npz", rain=frames(20, 2, 2), time=[*range(9), *range(30, 41)])
    source = {"path": "rain.npz", "key": "rain", "layout": "T H W", "time": "time"}
    spec = write_spec(tmp_path, {"source": source, "split": {"train": 1.0}})
    windows = open_splits(spec, spec.data, open_source(spec))["train"]
    assert windows.stretches == (Stretch(0, range(9)), Stretch(0, range(9, 20)))
    assert [windows[number][1] for number in range(len(windows))] == [0, 1, 2, 3, 4, *range(9, 16)]


REFUSED: list[tuple[dict[str, Any], str]] = [
    (
        {"windows": {"past": 20, "future": 11}},
        "data.windows | a window needs 31 frames, rain.npy has 30 | a window spans 31 frames: past 20 + future 11 | "
        "forecast fewer frames, or use a longer record",
    ),
    (
        {"windows": {"past": 4, "future": 6}},
        "data.split | no window fits into train and validation and test | "
        "each needs at least 10 frames (a window spans 10 frames: past 4 + future 6); "
        "of 30 frames there are train 7, validation 3, test 2, with 9 between splits | "
        "use fewer past and future frames, give that split a larger part, or use a longer record",
    ),
    (
        {"split": {"train": [0, 10], "test": [12, 30]}},
        "data.split.test | 2 frames lie between train and test, at least 4 must; start test at frame 14 or later",
    ),
    (
        {"split": {"train": [0, 10], "test": [20, 31]}},
        "data.split.test | test ends before frame 31, rain.npy has 30 frames | the last range that exists is [20, 30]",
    ),
]


@pytest.mark.parametrize(("data", "expected"), REFUSED)
def test_refused(tmp_path: Path, data: dict[str, Any], expected: str) -> None:
    with pytest.raises(SpecError) as caught:
        dataset(tmp_path, frames(30, 2, 2), **data)
    assert message(caught.value) == expected


def test_events_are_split_whole(tmp_path: Path) -> None:
    source = {"path": "rain.npy", "layout": "T N H W"}
    data = dataset(tmp_path, frames(6, 10, 2, 2), source=source, split={"train": 0.7, "validation": 0.1, "test": 0.2})
    assert [list(data.split(name).events) for name in data.splits] == [[*range(7)], [7], [8, 9]]
    assert len(data.split("test")) == 4
    with pytest.raises(
        SpecError, match=r"no window fits into test(?s:.*)each needs at least 1 event; of 2 events there are train 1, "
    ):
        dataset(tmp_path, frames(6, 2, 2, 2), source=source)
