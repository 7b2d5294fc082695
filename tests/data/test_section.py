"""The data and evaluate sections: what they accept, and what a user reads otherwise."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from specbuild.language.interval import Interval
from specbuild.language.sections.data import DataSection
from specbuild.language.sections.evaluate import EvaluateSection
from specbuild.language.sections.train import TrainSection

SOURCE = {"path": "rain.npz", "key": "rain", "layout": "T H W"}
WINDOWS = {"past": 4, "future": 6}


def section(**data: Any) -> DataSection:
    return DataSection.model_validate({"source": SOURCE, "windows": WINDOWS, **data})


def test_full_section() -> None:
    data = section(
        scale=0.01,
        missing=65535,
        fill=0,
        interval="2 min",
        windows={"past": 4, "future": 6, "stride": 2, "step": 1, "lead": 0, "target": "future"},
        split={"train": 0.6, "validation": 0.2, "test": 0.2, "embargo": 9},
        transform=["log1p", {"name": "clip", "min": 0, "max": 60}, "standardize"],
        crop=64,
    )
    assert data.missing == (65535,)
    assert [step.name for step in data.transform] == ["log1p", "clip", "standardize"]
    assert data.crop_shape((256, 200)) == (64, 64)
    assert [data.lead_label(frames) for frames in (-2, 0, 5)] == ["-4 min", "0 min", "+10 min"]
    assert data.windows.span == 10
    assert data.model_dump()["transform"][1] == {"name": "clip", "channels": None, "min": 0.0, "max": 60.0}


def test_defaults() -> None:
    data = section()
    assert data.split.parts == {"train": 0.6, "validation": 0.2, "test": 0.2}
    assert (data.split_by, data.crop, data.lead_label(5)) == ("time", None, "+5")
    assert section(split={"train": 0.8, "validation": 0, "test": 0.2}).split.parts == {"train": 0.8, "test": 0.2}
    assert section(source={**SOURCE, "layout": "T N H W"}).split_by == "event"


def test_layout_names_space_in_the_order_of_models() -> None:
    layouts = {
        "T": (),
        "C T": (),
        "N H W T": ("H", "W"),
        "T W H C": ("H", "W"),
        "L T": ("L",),
        "T D H W": ("D", "H", "W"),
    }
    for layout, space in layouts.items():
        assert section(source={**SOURCE, "layout": layout}).source.space == space


def test_interval() -> None:
    assert Interval.parse("1.5 h").seconds == 5400
    assert Interval.parse("2min").times(15) == "30 min"
    assert Interval.parse("1 month").seconds is None
    assert [Interval.parse("1 month").times(frames) for frames in (1, 12, -5)] == ["1 month", "12 months", "-5 months"]
    assert Interval.parse("2 years") == Interval.parse("2 year")
    assert section(interval="1 month").lead_label(12) == "+12 months"


def test_target_next_counts_every_step() -> None:
    assert section(windows={**WINDOWS, "target": "next"}).windows.targets == 9


@pytest.mark.parametrize(
    ("data", "place", "message"),
    [
        ({"source": {**SOURCE, "layout": "THW"}}, "source.layout", '"THW" is not an axis; write T H W'),
        (
            {"source": {**SOURCE, "layout": "T X"}},
            "source.layout",
            '"X" is not an axis; '
            "known are T (time), N (event), D (depth), H (height), W (width), L (length), C (channel)",
        ),
        ({"source": {**SOURCE, "layout": "T H H"}}, "source.layout", 'H (height) is named twice in "T H H"'),
        ({"source": {**SOURCE, "layout": "H W"}}, "source.layout", '"H W" has no T (time), which every source needs'),
        (
            {"source": {**SOURCE, "layout": "T H"}},
            "source.layout",
            'the space of "T H" is H; it can be L, H W or D H W',
        ),
        ({"interval": "2 mins"}, "interval", '"mins" is not a unit of time; did you mean "min"?'),
        ({"interval": 2}, "interval", "expected a number and a unit such as 2 min or 1 h, got 2"),
        ({"interval": "0 min"}, "interval", 'expected a number and a unit such as 2 min or 1 h, got "0 min"'),
        ({"windows": {"past": 0, "future": 1}}, "windows.past", "expected a positive whole number, got 0"),
        (
            {"windows": {**WINDOWS, "target": "next", "lead": 1}},
            "windows.lead",
            "target: next forecasts the very next frame, so lead must be 0, got 1",
        ),
        ({"split": {"train": 0}}, "split.train", "training needs a share above 0 or a range [first, end], got 0"),
        ({"split": {"train": 1.5}}, "split.train", "expected a share from 0 to 1 or a range [first, end], got 1.5"),
        (
            {"split": {"train": [5, 5]}},
            "split.train",
            "the range [5, 5] is empty: it ends before its second number",
        ),
        (
            {"split": {"train": 0.6, "validation": 0.3, "test": 0.2}},
            "split",
            "the shares sum to 1.1 (0.6 + 0.3 + 0.2), more than there is",
        ),
        (
            {"split": {"train": 0.6, "test": [10, 20]}},
            "split",
            "shares and ranges do not mix: train is a share, test a range",
        ),
        (
            {"split": {"train": [0, 9], "validation": [20, 30], "test": [20, 30]}},
            "split",
            "validation and test are the same range [20, 30]; "
            "what chooses when to stop cannot also give the final scores",
        ),
        ({"split": {"train": [0, 9], "test": [8, 30]}}, "split", "train [0, 9] and test [8, 30] share frames"),
        (
            {"split": {"train": 0.6, "test": 0.4, "embargo": 8}},
            "split.embargo",
            "expected at least 9 frames (past 4 + future 6 - 1), got 8",
        ),
        (
            {
                "windows": {**WINDOWS, "lead": 2, "step": 3},
                "split": {"train": 0.6, "test": 0.4, "embargo": 8},
            },
            "split.embargo",
            "expected at least 33 frames (past 4 + lead 2 + future 6 - 1, times step 3), got 8",
        ),
        ({"split": {"by": "event"}}, "split.by", "the layout T H W has no N (event) to split by"),
        (
            {"source": {**SOURCE, "layout": "N T H W"}, "split": {"embargo": 9}},
            "split.embargo",
            "events share no frames, so a split by event takes no embargo; write by: time to split each event",
        ),
        ({"transform": ["log1q"]}, "transform.0", 'no transform is called "log1q"; did you mean "log1p"?'),
        ({"transform": [{"name": "clip", "mn": 0}]}, "transform.0", 'clip has no argument "mn"; did you mean "min"?'),
        ({"transform": [{"name": "log1p", "q": 0}]}, "transform.0", 'log1p has no argument "q"; it has channels'),
        (
            {"transform": ["clip"]},
            "transform.0",
            "clip needs min, max or both, such as {name: clip, min: 0, max: 60}",
        ),
        (
            {"transform": [{"name": "minmax", "min": 1, "max": 0}]},
            "transform.0",
            "min must lie below max, got min: 1 and max: 0",
        ),
        (
            {"transform": [{"name": "scale", "factor": 0}]},
            "transform.0",
            "scale needs a factor other than 0, which could not be inverted",
        ),
        ({"crop": [1, 2, 3]}, "crop", "expected one number, or one for each of H W, got 3 numbers"),
        ({"source": {**SOURCE, "layout": "T C"}, "crop": 4}, "crop", "the layout T C has no spatial axes to crop"),
        ({"scale": 0}, "scale", "expected a number other than 0, got 0"),
        ({"missing": "none"}, "missing", 'expected a number or a list of numbers, got "none"'),
    ],
)
def test_refused(data: dict[str, Any], place: str, message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        section(**data)
    [error] = caught.value.errors()
    assert (".".join(map(str, error["loc"])), error["msg"]) == (place, message)


@pytest.mark.parametrize("key", ["devices", "batch_size"])
def test_a_misspelt_word_beside_a_number(key: str) -> None:
    with pytest.raises(ValidationError, match=r'auto.*, got "atuo"; did you mean "auto"\?'):
        TrainSection.model_validate({key: "atuo"})
    assert getattr(TrainSection.model_validate({key: "auto"}), key) == "auto"


def test_thresholds() -> None:
    assert EvaluateSection.model_validate({"thresholds": [0.5, 2]}).thresholds == (0.5, 2.0)
    with pytest.raises(ValidationError, match=r"a threshold is listed twice in \[1, 1\]"):
        EvaluateSection.model_validate({"thresholds": [1, 1]})
    with pytest.raises(ValidationError, match=r"expected a list of numbers such as \[0.5, 2, 5\], got 3"):
        EvaluateSection.model_validate({"thresholds": 3})
