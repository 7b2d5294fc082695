"""`report`: one HTML file about a run, or several; what it says is what the run folder holds."""

from __future__ import annotations

import base64
import json
import shutil
from dataclasses import replace
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import specbuild
from specbuild.cli import main
from specbuild.document import ArgumentError, RunError
from specbuild.evaluation.forecast_scores import Difference, Interval, ScoreColumn, ScoreTable
from specbuild.evaluation.result import Evaluation, Skill
from specbuild.reporting.beside import beside
from specbuild.reporting.charts import score_groups
from specbuild.reporting.opened import opened
from specbuild.reporting.stored import Stored, stored_scores
from specbuild.reporting.timeline import timeline
from specbuild.reporting.words import verdict
from specbuild.runs.folder import RunFolder
from specbuild.runs.trained import TrainedRun
from specbuild.training import Run
from tests.run.report_page import EVIL, ReportPage, copied


@pytest.fixture(scope="module")
def page(report_file: Path) -> ReportPage:
    """The report of one run."""
    return ReportPage(report_file)


@pytest.fixture(scope="module")
def both(reports_file: Path) -> ReportPage:
    """The report of a run whose name and variable are hostile beside another."""
    return ReportPage(reports_file)


def test_a_page_loads_nothing_and_its_headings_are_in_order(page: ReportPage) -> None:
    assert page.loaded == []
    assert len(page.source) < 8_000_000
    (policy,) = (each for _, each in page.elements if each.get("http-equiv") == "Content-Security-Policy")
    assert policy["content"].startswith("default-src 'none'")
    levels = [int(tag[1]) for tag, _ in page.elements if tag in ("h1", "h2", "h3", "h4")]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    tags = [tag for tag, _ in page.elements]
    assert [tags.count(tag) for tag in ("header", "main", "nav", "footer")] == [1, 1, 1, 1]


def test_a_page_says_what_the_run_is(page: ReportPage, trained: Run) -> None:
    manifest = trained.folder.manifest()
    assert page.of("h1") == ["tiny nowcast"]
    assert "Forecasts rain rate (mm/h) 2 frames, +5 min to +10 min, from the last 3 frames." in page.text
    assert "recurrent: ConvLSTM2D" in page.text
    finished = manifest["finished"][:16].replace("T", " ")
    assert f"Run {trained.path.name}, finished {finished} UTC after 3 epochs" in page.text
    assert "frames of 12 × 12, 5 min apart. Transform: standardize." in page.text
    assert f"seed {manifest['seed']}" in page.text
    assert f"keras {manifest['versions']['keras']}" in page.text
    for name in ("spec.yaml", "resolved.yaml"):
        assert (trained.path / name).read_text("utf-8").strip() in page.code


def test_scores_are_those_that_are_stored(page: ReportPage, trained: Run) -> None:
    stored = json.loads((trained.path / "scores.json").read_text("utf-8"))
    (group,) = page.payload["scores"]
    rmse, skill = group["charts"][:2]
    assert (rmse["label"], rmse["units"], skill["units"]) == ("RMSE", "mm/h", "%")
    assert [line["name"] for line in rmse["lines"]] == [each["forecast"] for each in stored["forecasts"]]
    for line, table in zip(rmse["lines"], stored["forecasts"], strict=True):
        (column,) = (each for each in table["scores"] if each["score"] == "RMSE")
        assert line["values"] == column["values"]
    assert [line["name"] for line in skill["lines"]] == [f"over {each['baseline']}" for each in stored["skills"]]
    assert skill["lines"][0]["values"] == [100 * value for value in stored["skills"][0]["values"]]
    assert "Scores over all lead times score model persistence" in page.text
    overall = [next(c["overall"] for c in each["scores"] if c["score"] == "RMSE") for each in stored["forecasts"]]
    assert f"RMSE (mm/h) {' '.join(f'{value:#.3g}'.rstrip('.') for value in overall)} lower" in page.text
    assert "over all windows; e is the forecast minus the observation. Lower is better." in page.text
    assert "persistence the last past frame, at every lead time" in page.text
    labels = [chart["label"] for chart in group["charts"]]
    assert {"CSI ≥ 1 mm/h", "CSI ≥ 3 mm/h", "MAE", "bias"} <= set(labels)
    assert page.text.count("as a table") >= len(labels)
    best = stored["skill over the best baseline"]["overall"]
    direction = "lower" if best["value"] >= 0 else "higher"
    assert f"{abs(best['value']):.0%} {direction} than that of {best['baseline']}" in page.text


def test_scores_read_back_are_the_same(trained: Run) -> None:
    (stored,) = stored_scores(trained.folder)
    (evaluation,) = stored.evaluations
    assert evaluation.to_csv() == trained.scores.to_csv()
    assert repr(evaluation.best()) == repr(trained.scores.best())
    assert repr(evaluation.skills) == repr(trained.scores.skills)


def test_forecasts_are_those_of_the_model(page: ReportPage, trained: Run) -> None:
    (each,) = page.payload["forecasts"]
    (layer,) = each["layers"]
    assert [panel["name"] for panel in layer["panels"]][:2] == ["observed", "forecast"]
    assert layer["panels"][-1] == {"name": "forecast − observed", "difference": True}
    assert layer["leads"] == ["+5 min", "+10 min"]
    opened = TrainedRun.open(trained.path)
    windows = opened.dataset.split("test")
    assert len(layer["windows"]) == min(4, len(windows))
    assert {"best", "worst"} <= {window["why"] for window in layer["windows"]}
    shown = layer["windows"][0]
    event, start = windows[shown["number"] - 1]
    window = opened.dataset.window(event, start)
    forecast = opened.dataset.forecast(window.past, opened.predict, (event, start))
    error = float(np.sqrt(np.mean((forecast[0] - window.future[0]) ** 2)))
    assert shown["leads"][0]["errors"][1] == pytest.approx(error, rel=5e-3)  # it is shown with three digits
    whole = float(np.sqrt(np.mean((forecast - window.future) ** 2)))
    errors = each["errors"]
    assert errors["lines"]["model"][errors["numbers"].index(shown["number"])] == pytest.approx(whole, rel=1e-4)
    image = Image.open(BytesIO(base64.b64decode(shown["leads"][0]["images"][0].partition(",")[2])))
    assert image.size == (12, 12)
    brightest = np.asarray(image.convert("L")).argmax()
    assert brightest == window.future[0, ..., 0].argmax()
    rmse = page.payload["scores"][0]["charts"][0]["lines"]
    pooled = {line["name"]: np.sqrt(np.mean(np.square(line["values"]))) for line in rmse}
    for name, values in errors["lines"].items():  # all windows were forecast, and none of their values is missing
        assert np.sqrt(np.mean(np.square(values))) == pytest.approx(pooled[name], rel=1e-4)
    assert len(errors["lines"]) == 2
    line = shown["line"]
    assert (len(line["before"]), len(line["rows"]["observed"])) == (3, 2)
    assert f"All {len(errors['numbers'])} windows of the test split" in page.text


def test_the_splits_lie_on_a_line(page: ReportPage, trained: Run) -> None:
    line = timeline(TrainedRun.open(trained.path).dataset)
    assert [row.name for row in line.rows] == ["train", "validation", "test"]
    assert line.ticks == ("0", "30", "60")
    (train,) = line.rows[0].bars
    assert train.left == 0
    ends = [bar.left + bar.width for row in line.rows for bar in row.bars]
    assert ends == sorted(ends)
    assert ends[-1] == pytest.approx(100)
    assert line.rows[0].words in page.text


def test_the_loss_has_its_best_epoch(page: ReportPage, trained: Run) -> None:
    (curves,) = page.payload["curves"]
    assert curves["epochs"] == [1, 2, 3]
    assert [*curves["series"]][-1] == "learning_rate", "which is no result, after all that are"
    assert "Loss, metrics and learning rate by epoch" in page.text
    assert curves["series"]["val_loss"] == pytest.approx([row["val_loss"] for row in trained.history])
    assert curves["best"] == trained.best
    assert f"{trained.best} (best)" in page.of("th")


def test_runs_stand_side_by_side(both: ReportPage, trained: Run) -> None:
    (group,) = both.payload["scores"]
    assert [line["name"] for line in group["charts"][0]["lines"]][:3] == ["A: model", "B: model", "persistence (A)"]
    (each,) = both.payload["forecasts"]
    names = [panel["name"] for panel in each["layers"][0]["panels"]]
    assert names[:3] == ["observed", "A: forecast", "B: forecast"]
    assert names[-2:] == ["A: forecast − observed", "B: forecast − observed"]
    first = each["layers"][0]["windows"][0]["leads"][0]
    assert first["images"][1] == first["images"][2]  # a copy forecasts the same
    assert "All runs forecast the same" in both.text
    assert "Worst windows by the RMSE of A: model" in both.text
    assert next(iter(each["errors"]["lines"])) == "A: model"
    assert "The specs mean the same." not in both.text  # their names differ
    assert [curves["run"] for curves in both.payload["curves"]] == ["A", "B"]
    assert trained.path.name in both.text


def test_what_comes_from_outside_is_escaped(both: ReportPage) -> None:
    assert EVIL in both.text
    assert "<script>alert" not in both.source
    (title,) = both.of("title")
    assert EVIL in title
    assert EVIL in both.payload["forecasts"][0]["layers"][0]["label"]


def test_what_a_run_lacks_is_said(trained: Run, tmp_path: Path) -> None:
    bare = copied(trained.path, tmp_path / "bare", status="failed", error="the loss is NaN", epochs=None)
    for name in ("model.keras", "scores.json", "history.csv"):
        (bare / name).unlink()
    shutil.rmtree(bare / "checkpoints")
    (bare / "checkpoints").mkdir()
    page = ReportPage(specbuild.report(bare))
    assert (bare / "report.html").is_file()
    assert "it has not been scored yet; run specbuild evaluate" in page.text
    assert "has no trained model: no epoch was finished" in page.text
    assert "No history: no epoch was finished" in page.text
    assert "it failed before the first epoch was finished: the loss is NaN" in page.text
    assert "train" in page.of("span")  # the data are still on their line
    assert "No forecasts:" in page.text


def test_runs_that_cannot_be_compared_are_shown_beside_each_other(trained: Run, tmp_path: Path) -> None:
    changes = {"train.epochs": ["2", "3"]}
    again = {"at": "2026-01-02T03:04:05+00:00", "after_epoch": 1, "versions": {}, "changes": changes}
    other = copied(trained.path, tmp_path / "other", status="interrupted", resumed=[again])
    (other / "model.keras").unlink()
    shutil.rmtree(other / "checkpoints")
    data = trained.folder.manifest()["data"]
    moved = copied(trained.path, tmp_path / "gone", data=[{**data[0], "sha256": "0" * 64}])
    page = ReportPage(specbuild.report([trained.path, other, moved], tmp_path / "r.html", windows=1))
    assert "The scores cannot be compared window by window: B:" in page.text
    assert "No forecasts of B: other:" in page.text
    assert page.payload["curves"][1]["resumed"] == [1]
    assert "after epoch 1; train.epochs from 2 to 3" in page.text
    assert "No forecasts of C: gone: the data is not what this run began with" in page.text
    assert [each["title"] for each in page.payload["forecasts"]] == [f"A: {trained.path.name}"]


def test_why_runs_cannot_be_compared_has_no_hint_for_a_command_line(
    trained: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise ArgumentError("a and b do not have the same data", help="name some with --data")

    monkeypatch.setattr("specbuild.reporting.beside.compare", refuse)
    runs = [replace(opened([trained.path])[0], letter=letter) for letter in "AB"]
    assert beside(runs, "test", (), ()).why_not == "a and b do not have the same data"


def test_a_file_is_not_replaced_unasked(trained: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "r.html"
    shown: list[str] = []
    monkeypatch.setattr("webbrowser.open", shown.append)
    done = CliRunner().invoke(main, ["report", str(trained.path), "-o", str(target), "--windows", "1", "--open"])
    assert (done.exit_code, done.stdout) == (0, f"{target}\n")
    assert shown == [target.as_uri()]
    target.write_text("mine", "utf-8")
    done = CliRunner().invoke(main, ["report", str(trained.path), "-o", str(target)])
    assert done.exit_code == 2
    assert f"error: {target} exists already" in done.output
    assert "--overwrite" in done.output
    assert target.read_text("utf-8") == "mine"
    with pytest.raises(ArgumentError, match=r"a report is written as \.html, not as .*r\.pdf"):
        specbuild.report(trained.path, tmp_path / "r.pdf")
    with pytest.raises(ArgumentError, match="a run is named twice"):
        specbuild.report([trained.path, trained.path], target)
    with pytest.raises(ArgumentError, match="a report needs a run"):
        specbuild.report([], target)
    with pytest.raises(ArgumentError, match="a report shows 1 to 40 windows, 0 were asked for"):
        specbuild.report(trained.path, windows=0)
    monkeypatch.setattr("specbuild.document.extras.find_spec", lambda name: None if name == "plotly" else name)
    with pytest.raises(
        RunError, match=r"a report needs plotly, which is not installed\n.*pip install 'specbuild\[report\]'"
    ):
        specbuild.report(trained.path, target, overwrite=True)


def test_a_damaged_file_of_scores_is_named(trained: Run, tmp_path: Path) -> None:
    run = copied(trained.path, tmp_path / "run")
    (run / "scores.json").write_text('{"forecasts": [{}]}', "utf-8")
    with pytest.raises(RunError, match=r"scores\.json is damaged: it does not hold scores"):
        stored_scores(RunFolder(run))


# Parts of it


def evaluation(
    interval: Interval | None, values: tuple[float, float] = (0.3, -0.2), overall: float = 0.1
) -> Evaluation:
    """An evaluation with one baseline."""
    intervals = () if interval is None else (Interval(0.1, 0.4), Interval(-0.5, 0.2), interval)
    leads = ("+1 h", "+2 h")
    tables = tuple(
        ScoreTable(name, leads, (ScoreColumn("RMSE", None, (1.0, 2.0), 1.5),)) for name in ("model", "persistence")
    )
    skills = (Skill("persistence", values, overall, intervals),)
    return Evaluation("m", "test", 9, "rain", "mm/h", tables, skills, blocks=9 if intervals else 2)


def test_the_band_is_the_interval_of_the_difference_around_the_model() -> None:
    difference = Difference("persistence", -0.5, Interval(-0.7, -0.4))
    column = ScoreColumn("RMSE", None, (1.0, 2.0), 1.5, units="data", differences=(difference, None, None))
    table = ScoreTable("model", ("+1 h", "+2 h"), (column,))
    whole = evaluation(Interval(0.05, 0.2))
    stored = Stored("scores.json", (replace(whole, tables=(table, whole.tables[1])),))
    run = SimpleNamespace(letter="A", scores=(stored,), trained=SimpleNamespace(data=SimpleNamespace(targets={})))
    (group,) = score_groups([run])  # type: ignore[list-item]
    rmse, skill = group.charts
    model, persistence = (line.to_dict() for line in rmse.lines)
    assert (model["low"], model["high"]) == ([pytest.approx(0.8), None], [pytest.approx(1.1), None])
    assert (persistence["low"], persistence["solid"]) == ([], False)
    assert "0.800 to 1.10" in rmse.table
    (over,) = skill.lines
    assert (over.name, over.values, over.low, over.high) == ("over persistence", (30, -20), (10, -50), (40, 20))
    assert "+10 % to +40 %" in skill.table
    assert "<caption>RMSE (mm/h) by lead time</caption>" in rmse.table


@pytest.mark.parametrize(
    ("interval", "words"),
    [
        (Interval(0.05, 0.2), "skill +10%, 95 % interval +5% to +20%): the model is better."),
        (Interval(-0.05, 0.2), "the interval includes 0, so the difference may be chance."),
        (None, "too few windows for an interval, which needs at least 5 blocks."),
    ],
)
def test_the_skill_is_said_in_words(interval: Interval | None, words: str) -> None:
    first, second = verdict(evaluation(interval))
    assert first.startswith("Over all lead times, the mean squared error of the model is 10% lower than that of persis")
    assert first.endswith(words)
    assert ("better at +1 h; no clear difference at +2 h" in second) == (interval is not None)
    assert ("without intervals: better at +1 h; worse at +2 h" in second) == (interval is None)


def test_a_skill_that_rounds_to_nothing_is_said_in_words() -> None:
    first, _ = verdict(evaluation(None, overall=0.002))
    assert "of the model is about as large as that of persistence, the strongest baseline" in first


def test_a_worse_model_is_said_to_be_worse() -> None:
    first, second = verdict(evaluation(Interval(-0.4, -0.2), (-0.3, -0.3), -0.3))
    assert "30% higher than that of persistence" in first
    assert first.endswith("the baseline is better.")
    assert list(verdict(replace(evaluation(None), skills=()))) == ["No baseline can be compared with the model."]
    assert "better at +1 h" in second  # the interval there says so
