"""`compare`: runs beside each other, scored on the same frames, with the interval of their difference."""

from __future__ import annotations

import json
import shutil
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from specbuild import evaluate, report
from specbuild.cli import main
from specbuild.data.samples.windows import future_frames, past_frames
from specbuild.document import ArgumentError
from specbuild.evaluation.compare import compare
from specbuild.evaluation.tables import comparison_text
from specbuild.runs.trained import TrainedRun
from specbuild.training import train
from tests.run.conftest import CONVOLUTION, SPEC, blobs
from tests.run.report_page import ReportPage

PLAIN = SPEC[: SPEC.index("layers:")] + CONVOLUTION + SPEC[SPEC.index("\ndata:") :].replace("units: mm/h", "units: mm")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A run that learned, one that hardly did, and one that reads and forecasts more frames."""
    folder = tmp_path_factory.mktemp("compared")
    np.save(folder / "blobs.npy", blobs(150))
    (folder / "nowcast.yaml").write_text(PLAIN, encoding="utf-8")
    changes = {
        "learned": ["vars.past=2"],
        "slow": ["vars.past=2", "train.epochs=1", "train.optimizer.learning_rate=1.0e-06", "train.seed=5"],
        "longer": ["vars.past=4", "vars.future=4", "train.epochs=1"],
    }
    evaluation = import_module("specbuild.evaluation.evaluate")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("draw_scores", "draw_strip", "draw_animation"):
            patch.setattr(evaluation, name, lambda *_: None)
        return {
            name: train(folder / "nowcast.yaml", overrides=change, out=folder / name, quiet=True).path
            for name, change in changes.items()
        }


def test_a_worse_run_is_called_worse_and_told_why(runs: dict[str, Path]) -> None:
    compared = compare([runs["learned"], runs["slow"]])
    learned, slow = compared.runs
    assert [(each.path, each.before, each.after) for each in slow.spec] == [
        ("train.optimizer.learning_rate", "0.01", "1.0e-06"),
        ("train.epochs", "3", "1"),
        ("train.seed", "3", "5"),
    ]
    assert [each.what for each in slow.records] == ["model epoch"]
    for run in (learned, slow):
        expected = evaluate(runs["learned" if run is learned else "slow"]).of("model")
        for column, known in zip(run.table.columns, expected.columns, strict=True):
            assert column.label == known.label
            np.testing.assert_array_equal(column.all, known.all)
    rmse = slow.table.column("RMSE")
    difference = rmse.differences[-1]
    assert difference is not None
    assert difference.interval is not None
    assert difference.value == pytest.approx(rmse.overall - learned.table.column("RMSE").overall)
    assert 0 < difference.interval.low < difference.value < difference.interval.high
    assert compared.verdict(rmse) == "worse"
    back = compare([runs["slow"], runs["learned"]])
    assert back.verdict(back.runs[1].table.column("RMSE")) == "better"


def test_a_report_says_which_run_is_better(runs: dict[str, Path], tmp_path: Path) -> None:
    page = ReportPage(report([runs["learned"], runs["slow"]], tmp_path / "worse.html", windows=1))
    assert "By RMSE, B is worse than A by more than chance." in page.text
    assert "train.optimizer.learning_rate" in page.of("th")
    assert {"worse", "0.01", "1.0e-06"} <= set(page.of("td"))


def test_a_report_of_runs_of_other_lengths_shows_the_same_moments(runs: dict[str, Path], tmp_path: Path) -> None:
    page = ReportPage(report([runs["learned"], runs["longer"]], tmp_path / "longer.html", windows=3))
    assert "Whether B is better than A is not known: there are too few windows for intervals." in page.text
    (layer,) = page.payload["forecasts"][0]["layers"]
    assert [panel["name"] for panel in layer["panels"]][:3] == ["observed", "A: forecast", "B: forecast"]
    opened = TrainedRun.open(runs["longer"])
    ends = {start + 3: start for _, start in (opened.dataset.split("test")[n] for n in range(20))}
    known = 0
    for shown in layer["windows"]:
        row = shown["line"]["rows"]["B: forecast"]
        start = ends.get(int(shown["label"].removeprefix("frame ")))
        if start is None:  # that moment is not in the split of the longer run
            assert row == [None, None]
            continue
        known += 1
        x, y = (round(12 * place - 0.5) for place in shown["line"]["at"])
        forecast = opened.dataset.forecast(opened.dataset.window(0, start).past, opened.predict, (0, start))
        np.testing.assert_allclose(row, forecast[:2, y, x, 0], rtol=1e-5)
    assert known


def test_windows_and_lead_times_are_those_of_every_run(runs: dict[str, Path]) -> None:
    """The sums are compared with forecasts that are gathered one by one, by the number of the last past frame."""
    compared = compare([runs["learned"], runs["longer"]])
    assert compared.leads == ("+5 min", "+10 min")
    errors: dict[str, list[float]] = {"learned": [], "longer": []}
    frames = blobs(150)[..., None]
    opened = {name: TrainedRun.open(runs[name]) for name in errors}
    moments = [
        {past_frames(start, each.data.windows)[-1]: start for _, start in map(split.__getitem__, range(len(split)))}
        for each in opened.values()
        for split in [each.dataset.split("test")]
    ]
    common = set(moments[0]) & set(moments[1])
    assert compared.windows == len(common) == 20
    for (name, trained), starts in zip(opened.items(), moments, strict=True):
        for moment in sorted(common):
            window = trained.dataset.window(0, starts[moment])
            forecast = trained.dataset.forecast(window.past, trained.predict, (0, starts[moment]))
            future = list(future_frames(starts[moment], trained.data.windows))[:2]
            assert future == [moment + 1, moment + 2]
            errors[name].append(float(np.mean(np.square(forecast[:2] - frames[future]))))
    for run, each in zip(compared.runs, errors.values(), strict=True):
        assert run.table.column("RMSE").overall == pytest.approx(np.sqrt(np.mean(each)), rel=1e-5)
    assert "20 are in the test split of every run" in compared.notes[0]
    assert "2 lead times are common to all" in compared.notes[1]


def test_a_run_does_not_differ_from_its_copy(runs: dict[str, Path], tmp_path: Path) -> None:
    shutil.copytree(runs["learned"], tmp_path / "copy")
    result = CliRunner().invoke(main, ["compare", str(runs["learned"]), str(tmp_path / "copy")])
    assert result.exit_code == 0, result.output
    assert "nothing: spec, seed, versions and device are the same" in result.stdout
    assert "uncertain" in result.stdout
    assert "worse" not in result.stdout.partition("95%: the interval")[0]


def test_the_command_prints_letters_and_json(runs: dict[str, Path]) -> None:
    names = [str(runs["learned"]), str(runs["slow"])]
    text = CliRunner().invoke(main, ["compare", *names, "--leads"]).stdout
    assert "B differs from A in\n  train.optimizer.learning_rate: 0.01 → 1.0e-06" in text
    assert "B - A, 95% |" in text
    assert text.count("| lead time |") == len(compare(names).shown) + 1  # thresholds 1 and 3
    result = json.loads(CliRunner().invoke(main, ["compare", *names, "--format", "json"]).stdout)
    assert result["runs"][1]["verdicts"]["RMSE"] == "worse"
    short = comparison_text(compare(names), width=80)
    assert all(len(line) <= 80 for line in short.splitlines())
    assert short.split("Pooled over all lead times")[1].count("\nRMSE") == short.count("| lead time |") == 1


def test_what_cannot_be_compared_is_refused(runs: dict[str, Path], tmp_path: Path) -> None:
    learned = runs["learned"]
    with pytest.raises(ArgumentError, match="one run alone"):
        compare([learned])
    with pytest.raises(ArgumentError, match="named twice"):
        compare([learned, learned])
    other = tmp_path / "other.npy"
    np.save(other, blobs(150)[:, ::-1])
    moved = train(
        learned.parents[1] / "nowcast.yaml",
        overrides=["vars.past=2", "train.epochs=1", f"data.source.path={other}"],
        out=tmp_path,
        quiet=True,
    )
    with pytest.raises(ArgumentError, match="do not have the same data"):
        compare([learned, moved.path])
    both = compare([learned, moved.path], overrides=[f"data.source.path={other}"])
    assert both.windows > 0


def test_other_frames_of_the_same_file_are_refused(runs: dict[str, Path], tmp_path: Path) -> None:
    spec = runs["learned"].parents[1] / "nowcast.yaml"
    overrides = ["vars.past=2", "train.epochs=1", "data.source.layout=T W H"]
    turned = train(spec, overrides=overrides, out=tmp_path, quiet=True)
    with pytest.raises(ArgumentError, match="do not forecast the same frames, though they read the same files"):
        compare([runs["learned"], turned.path])
