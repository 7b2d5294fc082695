"""How sure scores are: blocks of windows, intervals of known samples, and where they are shown."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from specbuild.data.samples.windows import Stretch, WindowSet
from specbuild.evaluation.plots import draw_scores
from specbuild.evaluation.result import Evaluation
from specbuild.evaluation.scores import Blocks, Comparison, Draws, Scores, with_differences
from specbuild.evaluation.tables import evaluation_text
from specbuild.language import load_spec
from specbuild.training import Run, train


def windows(section: object, *stretches: tuple[int, range]) -> WindowSet:
    return WindowSet(section, tuple(Stretch(event, frames) for event, frames in stretches))  # type: ignore[arg-type]


def test_a_block_is_as_long_as_a_window_and_never_in_two_events(plain: Path) -> None:
    section = load_spec(plain).data.windows  # spans 4 frames
    blocks = Blocks.of(windows(section, (0, range(10, 22)), (0, range(30, 34)), (1, range(5))))
    assert [blocks.numbers[0, start] for start in range(10, 19)] == [0, 0, 0, 0, 1, 1, 1, 1, 2]
    assert (blocks.numbers[0, 30], blocks.numbers[1, 0], blocks.numbers[1, 1], len(blocks)) == (3, 4, 4, 5)
    many = Blocks.of(windows(section, *((event, range(4)) for event in range(250))))
    assert len(many) == 100
    assert sorted(set(many.numbers.values())) == list(range(100))
    assert [many.numbers[event, 0] for event in range(6)] == [0, 0, 0, 1, 1, 2]


def test_an_interval_holds_the_truth_as_often_as_it_says() -> None:
    """The mean squared error of 8 blocks of unit normal numbers is 1; 95 % of intervals hold it, within chance."""
    rng = np.random.default_rng(4)
    held, count = 0, 300
    for _ in range(count):
        scores = Scores(1, blocks=8)
        for block in range(8):
            values = rng.normal(size=(1, 30, 1))
            scores.add(values, np.zeros_like(values), block=block)
        draws = Draws.of([1] * 8)
        assert draws is not None
        interval = draws.intervals(next(scores.drawn(draws)))[0]
        assert interval is not None
        held += interval.low <= 1 <= interval.high
    assert 0.9 <= held / count <= 0.985


def test_few_blocks_give_no_interval_and_blocks_without_windows_do_not_count() -> None:
    assert Draws.of([3, 1, 2, 1]) is None
    assert Draws.of([3, 0, 1, 2, 1, 0]) is None
    draws = Draws.of([3, 0, 1, 2, 1, 1])
    assert draws is not None
    assert not draws.counts[:, 1].any()
    assert (draws.counts.sum(axis=1) == 5).all()


def evaluation(blocks: int) -> Evaluation:
    """A model that errs by about 1, beside a baseline that errs by 2 and another by about 1.2, in some blocks."""
    rng = np.random.default_rng(2)
    leads = ("+1 h", "+2 h")
    names = ("model", "persistence", "extrapolation")
    sums = {name: Scores(2, (1.0,), blocks=blocks) for name in names}
    comparison = Comparison(2, names[1:], blocks)
    for block in range(blocks):
        observed = rng.gamma(1.0, 1.0, (2, 40, 1))
        forecasts = {
            name: observed + size * rng.normal(size=observed.shape)
            for name, size in zip(names, (1.0, 2.0, 1.2), strict=True)
        }
        for name, forecast in forecasts.items():
            sums[name].add(forecast, observed, block=block)
        comparison.add(forecasts["model"], {name: forecasts[name] for name in names[1:]}, observed, block)
    draws = Draws.of([1] * blocks)
    tables = tuple(scores.table(name, leads) for name, scores in sums.items())
    if draws is not None:
        tables = with_differences(tables, sums, draws)
    return Evaluation(
        "blobs", "test", blocks, "rain", "mm", tables, comparison.skills(draws), conventions={}, blocks=blocks
    )


def test_intervals_hold_the_score_and_say_which_baseline_is_best() -> None:
    scored = evaluation(12)
    model = scored.tables[0]
    for name, baseline in (("RMSE", "extrapolation"), ("CSI", "extrapolation")):
        column = model.column(name, 1.0 if name == "CSI" else None)
        assert len(column.differences) == 3
        for difference in column.differences:
            assert difference is not None
            assert difference.interval is not None
            assert difference.baseline == baseline
            assert difference.interval.low < difference.value < difference.interval.high
    rmse = model.column("RMSE").differences[-1]
    assert rmse is not None
    assert rmse.interval is not None
    assert rmse.interval.high < 0  # certainly better
    assert set(model.column("bias").differences) == {None}
    for skill in scored.skills:
        for value, interval in zip(skill.all, skill.intervals, strict=True):
            assert interval is not None
            assert interval.low < value < interval.high < 1
    assert evaluation(12) == scored  # the draws are the same each time


def test_where_intervals_are_shown(tmp_path: Path) -> None:
    scored = evaluation(12)
    text = evaluation_text(replace(scored, conventions={"RMSE": "root", "MAE": "mean", "CSI": "hits"}), 100)
    assert "| over the best, 95% |" in text
    assert "| model - best, 95% |" in text
    assert "blocks of windows, each as many first frames as a window spans, 12" in " ".join(text.split())
    entries = json.loads(json.dumps(scored.to_dict(), allow_nan=False))
    assert entries["intervals"]["blocks"] == 12
    overall = entries["skill over the best baseline"]["overall"]
    assert overall["interval"][0] < overall["value"] < overall["interval"][1]
    differences = entries["forecasts"][0]["scores"][0]["differences"]
    assert len(differences["values"]) == 2
    assert differences["overall"]["baseline"] == "extrapolation"
    draw_scores(scored, tmp_path / "with.png")
    first, *others = scored.tables
    bare = replace(first, columns=tuple(replace(column, differences=()) for column in first.columns))
    skills = tuple(replace(skill, intervals=()) for skill in scored.skills)
    draw_scores(replace(scored, tables=(bare, *others), skills=skills), tmp_path / "without.png")
    assert (tmp_path / "with.png").read_bytes() != (tmp_path / "without.png").read_bytes()


def test_too_few_windows_are_named() -> None:
    scored = evaluation(3)
    text = evaluation_text(replace(scored, conventions={"RMSE": "root", "MAE": "mean", "CSI": "hits"}), 100)
    assert "Too few windows for intervals: 3 blocks of windows, and at least 5 are needed." in text
    assert "95%" not in text
    entries = scored.to_dict()
    assert "too few windows" in entries["intervals"]["definition"]
    assert entries["skill over the best baseline"]["overall"]["interval"] is None
    assert "intervals" not in entries["skills"][0]


def test_a_run_has_intervals_where_its_windows_suffice(plain: Path, trained: Run) -> None:
    assert trained.scores is not None
    assert trained.scores.blocks == 2
    assert trained.scores.too_few_blocks
    run = train(
        plain,
        overrides=["train.epochs=1", "data.split={train: [0, 20], test: [24, 60]}", "evaluate.fss_windows=[3]"],
        out=plain.parent,
        quiet=True,
    )
    assert run.scores is not None
    assert run.scores.blocks == 9
    overall = run.scores.best()[-1]
    assert overall is not None
    entries = json.loads((run.path / "scores.json").read_text("utf-8"))
    assert entries["skill over the best baseline"]["overall"]["baseline"] == overall.baseline
    assert len(entries["skill over the best baseline"]["overall"]["interval"]) == 2
    assert entries["intervals"]["blocks"] == 9
