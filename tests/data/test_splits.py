"""Splits by dates, by events and by files, the embargo between them, and leaks."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from specbuild.data import Dataset, open_data
from specbuild.data.samples.splits import keep_apart
from specbuild.data.samples.windows import Stretch
from specbuild.document import SpecError
from specbuild.language.dates import whole_of
from specbuild.language.sections.split import SplitSection
from tests.data.samples import dataset, frames, message, model, write_spec

SOURCE = {"path": "rain.npz", "key": "rain", "layout": "T H W", "time": "time"}


def monthly(folder: Path, split: dict[str, Any], **data: Any) -> Dataset:
    """Ten years of months from 2010 on."""
    times = [f"{year}-{month:02d}" for year in range(2010, 2020) for month in range(1, 13)]
    np.savez(folder / "rain.npz", rain=frames(120, 2, 2), time=np.array(times))
    spec = write_spec(folder, {"source": SOURCE, "windows": {"past": 2, "future": 1}, "split": split, **data})
    return open_data(spec, model(spec))


def ranges(data: Dataset) -> dict[str, list[tuple[int, int, int]]]:
    return {
        name: [(one.event, one.frames.start, one.frames.stop) for one in windows.stretches]
        for name, windows in data.splits.items()
    }


def files(folder: Path, *records: np.ndarray) -> None:
    for number, values in enumerate(records):
        np.save(folder / f"day_{number + 1}.npy", values)


def by_file(folder: Path, split: dict[str, Any], **source: Any) -> Dataset:
    section = {"path": "day_*.npy", "layout": "T H W", **source}
    spec = write_spec(folder, {"source": section, "split": split, "windows": {"past": 2, "future": 1}})
    return open_data(spec, model(spec))


def test_dates_mean_whole_years_months_and_days() -> None:
    found = {text: [str(moment) for moment in whole_of(text)] for text in ("2010", "2012-02", "2012-12", "2012-12-31")}
    assert found == {
        "2010": ["2010-01-01 00:00:00", "2011-01-01 00:00:00"],
        "2012-02": ["2012-02-01 00:00:00", "2012-03-01 00:00:00"],
        "2012-12": ["2012-12-01 00:00:00", "2013-01-01 00:00:00"],
        "2012-12-31": ["2012-12-31 00:00:00", "2013-01-01 00:00:00"],
    }
    assert str(whole_of("2012-12-31T23")[1] - whole_of("2012-12-31 23:59")[0]) == "0:01:00"


def test_splits_by_dates(tmp_path: Path) -> None:
    """The embargo is of two frames, and taken from the end of the earlier split."""
    split = {"train": ["2010-01", "2015-12"], "validation": ["2016", "2016"], "test": ["2017-03", "2019-12-31"]}
    data = monthly(tmp_path, split)
    assert ranges(data) == {"train": [(0, 0, 70)], "validation": [(0, 72, 84)], "test": [(0, 86, 120)]}
    assert data.notes() == ("train ends 2 frames before the end that was asked for: the embargo",)
    times = data.source.times(0)
    assert times is not None
    assert str(times[data.split("test").stretches[0].frames[0]]) == "2017-03-01T00:00:00"


@pytest.mark.parametrize(
    ("split", "expected"),
    [
        ({"train": ["2019-02-30", "2019-03"]}, "2019-02-30 does not exist: February 2019 has 28 days"),
        ({"train": ["2019-13", "2020"]}, "2019-13 does not exist: a year has 12 months"),
        ({"train": ["2019-03", "2019-02-28"]}, '["2019-03", "2019-02-28"] ends before it begins'),
        (
            {"train": ["2010", "2012-03"], "test": ["2012-03-31", "2013"]},
            'train ["2010", "2012-03"] and test ["2012-03-31", "2013"] share dates',
        ),
        (
            {"train": ["2010", "2012"], "validation": ["2013", "2014"], "test": ["2013", "2014"]},
            'validation and test are the same range ["2013", "2014"]; what chooses when to stop cannot also give the '
            "final scores",
        ),
        (
            {"train": [2010, "2012-01"]},
            'expected two dates or two whole numbers, got [2010, "2012-01"]; a year alone is "2010"',
        ),
        (
            {"train": ["a.nc", "b.nc"]},
            'train: expected two dates such as [2010-01, 2017-12], got ["a.nc", "b.nc"]; names of files need by: file',
        ),
        ({"train": 0.5, "test": ["2010", "2011"]}, "shares and ranges do not mix: train is a share, test a range"),
        (
            {"train": [0, 9], "test": ["2010", "2011"]},
            "numbers and names do not mix: train has numbers, test has names",
        ),
        (
            {"by": "event", "train": ["2010", "2011"]},
            "dates split the frames in time; write by: time, or name events by their numbers",
        ),
    ],
)
def test_dates_that_are_refused(split: dict[str, Any], expected: str) -> None:
    with pytest.raises(ValidationError) as caught:
        SplitSection.model_validate(split)
    assert [error["msg"] for error in caught.value.errors()] == [expected]


def test_dates_need_frames_and_times(tmp_path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        monthly(tmp_path, {"train": ["2010", "2015"], "test": ["2021", "2022"]})
    assert message(caught.value) == (
        "data.split.test | no frame of rain.npz:rain lies from 2021 to 2022 | its frames are from 2010-01-01 "
        "to 2019-12-01"
    )
    with pytest.raises(SpecError) as caught:
        dataset(tmp_path, frames(40, 2, 2), split={"train": ["2010", "2015"]})
    assert message(caught.value) == (
        "data.split.train | dates split frames by their times, and rain.npy has none | say where its times are with "
        "data.source.time, or use shares or ranges of frame numbers"
    )
    with pytest.raises(SpecError) as caught:
        monthly(tmp_path, {"train": [2010, 2015]})
    assert message(caught.value) == (
        "data.split.train | train ends before frame 2015, rain.npz:rain has 120 frames | "
        'for years write ["2010", "2015"]'
    )


def test_splits_by_file_of_one_record(tmp_path: Path) -> None:
    files(tmp_path, *(frames(length, 2, 2, seed=length) for length in (10, 12, 14, 16)))
    shares = by_file(tmp_path, {"by": "file", "train": 0.5, "validation": 0.25, "test": 0.25})
    assert ranges(shares) == {"train": [(0, 0, 20)], "validation": [(0, 22, 34)], "test": [(0, 36, 52)]}
    names = by_file(tmp_path, {"by": "file", "train": ["day_[13].npy"], "test": ["day_2.npy"]})
    assert ranges(names) == {"train": [(0, 0, 8), (0, 22, 36)], "test": [(0, 10, 20)]}
    numbers = by_file(tmp_path, {"by": "file", "train": [0, 2], "test": [3, 4]})
    assert ranges(numbers) == {"train": [(0, 0, 22)], "test": [(0, 36, 52)]}


def test_splits_by_file_of_events(tmp_path: Path) -> None:
    files(tmp_path, *(frames(length, 2, 2, seed=length) for length in (10, 12, 14)))
    data = by_file(tmp_path, {"by": "file", "train": ["day_3.npy", "day_1.npy"], "test": ["day_2.npy"]}, by="file")
    assert ranges(data) == {"train": [(0, 0, 10), (2, 0, 14)], "test": [(1, 0, 12)]}
    events = by_file(tmp_path, {"train": [0, 2], "test": [2, 3]}, by="file")
    assert ranges(events) == {"train": [(0, 0, 10), (1, 0, 12)], "test": [(2, 0, 14)]}
    each = by_file(tmp_path, {"by": "time", "train": 0.5, "test": 0.5}, by="file")
    assert ranges(each) == {"train": [(0, 0, 4), (1, 0, 5), (2, 0, 6)], "test": [(0, 6, 10), (1, 7, 12), (2, 8, 14)]}


@pytest.mark.parametrize(
    ("split", "expected"),
    [
        (
            {"train": ["day_1.npy", "day_2*"], "test": ["day_[23].npy"]},
            "data.split.test | day_2.npy is in train and in test | a file belongs to one split: write "
            "narrower patterns",
        ),
        (
            {"train": ["day_1.npy"], "test": ["dya_2.npy"]},
            'data.split.test.0 | no file of day_*.npy is called "dya_2.npy" | did you mean "day_2.npy"?',
        ),
        (
            {"train": [0, 2], "test": [2, 4]},
            "data.split.test | test ends before file 4, day_*.npy has 3 files | the last range that exists is [2, 3]",
        ),
    ],
)
def test_files_that_are_refused(tmp_path: Path, split: dict[str, Any], expected: str) -> None:
    files(tmp_path, *(frames(10, 2, 2, seed=seed) for seed in range(3)))
    with pytest.raises(SpecError) as caught:
        by_file(tmp_path, {"by": "file", **split}, by="file")
    assert message(caught.value) == expected


def test_one_file_cannot_be_split_by_file(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"rain.npy is one file, which cannot be split by file"):
        dataset(tmp_path, frames(40, 2, 2), split={"by": "file", "train": 0.5, "test": 0.5})


def test_the_same_event_in_two_splits_is_a_leak(tmp_path: Path) -> None:
    values = frames(6, 8, 2, 2)
    values[:, 7] = values[:, 2]
    source = {"path": "rain.npy", "layout": "T N H W"}
    split = {"train": 0.75, "test": 0.25}
    with pytest.raises(SpecError) as caught:
        dataset(tmp_path, values, source=source, split=split)
    assert message(caught.value) == (
        "data.split | event 2 in train and event 7 in test are the same frames | what a model has seen in training "
        "says nothing about how it forecasts | take one of the two away"
    )
    values[3, 7, 0, 0] += 1
    assert len(dataset(tmp_path, values, source=source, split=split).split("test")) == 4
    values[:, 2] = values[:, 7] = 0
    assert len(dataset(tmp_path, values, source=source, split=split).split("test")) == 4


@pytest.mark.parametrize("by", ["time", "file"])
def test_the_same_file_under_two_names_is_a_leak(tmp_path: Path, by: str) -> None:
    one = frames(10, 2, 2)
    files(tmp_path, one, frames(10, 2, 2, seed=1), frames(12, 2, 2, seed=2), one)
    with pytest.raises(SpecError, match=r"day_1.npy in train and day_4.npy in test are the same frames"):
        by_file(tmp_path, {"by": "file", "train": [0, 2], "test": [2, 4]}, by=by)


spans = st.lists(st.tuples(st.integers(0, 12), st.sampled_from(["train", "validation", "test"])), max_size=8)


@given(st.lists(spans, min_size=1, max_size=3), st.integers(0, 6))
@settings(deadline=None, max_examples=80)
def test_splits_are_kept_apart(events: list[list[tuple[int, str]]], embargo: int) -> None:
    asked: dict[str, list[Stretch]] = {"train": [], "validation": [], "test": []}
    for event, parts in enumerate(events):
        first = 0
        for length, name in parts:
            asked[name].append(Stretch(event, range(first, first + length)))
            first += length
    kept = keep_apart({name: tuple(stretches) for name, stretches in asked.items()}, embargo)
    placed = [(one.event, one.frames, name) for name, stretches in kept.items() for one in stretches if one.frames]
    for (event, frames_, name), (other_event, after, other) in pairwise(
        sorted(placed, key=lambda p: (p[0], p[1].start))
    ):
        if event == other_event:
            assert after.start >= frames_.stop + (embargo if name != other else 0)
    for name, stretches in kept.items():
        wanted = {(one.event, frame) for one in asked[name] for frame in one.frames}
        assert {(one.event, frame) for one in stretches for frame in one.frames} <= wanted
