"""`specbuild runs`: the runs in a folder, their scores, their order and choice."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from specbuild import SpecbuildError
from specbuild.cli import main
from specbuild.evaluation.listing import chosen, in_order, listed_runs
from specbuild.training import Run


@pytest.fixture
def runs(trained: Run, tmp_path: Path) -> Path:
    """A finished run, one that was interrupted in another folder, one that is damaged, one that is being made."""
    for name in ("finished", "old/interrupted", "damaged", ".hidden"):
        target = tmp_path / name
        target.mkdir(parents=True)
        for file in ("run.json", "spec.yaml", "scores.json"):
            shutil.copy(trained.path / file, target)
        (target / "checkpoints").mkdir()
    change(
        tmp_path / "old/interrupted/run.json",
        status="interrupted",
        started="2020-01-01T00:00:00+00:00",
        finished="2020-01-01T01:02:03+00:00",
        overrides=["train.epochs=30"],
        epochs=None,
    )
    (tmp_path / "old/interrupted/scores.json").unlink()
    (tmp_path / "damaged/run.json").write_text("{}")
    return tmp_path


def change(file: Path, **values: Any) -> None:
    record = json.loads(file.read_text())
    file.write_text(json.dumps({key: value for key, value in (record | values).items() if value is not None}))


def test_runs_are_listed_as_they_began_with_their_scores(runs: Path, trained: Run) -> None:
    damaged, interrupted, finished = listed_runs(runs)
    scores = trained.scores.of("model")
    assert (finished.run, finished.state, finished.spec) == ("finished", "finished", "tiny nowcast")
    assert (finished.score, finished.units) == ("RMSE", "mm/h")
    assert finished.value == pytest.approx(scores.column("RMSE").overall)
    best = trained.scores.best()[-1]
    assert (finished.skill, finished.baseline) == (pytest.approx(best.overall), best.baseline)
    assert (interrupted.run, interrupted.state, interrupted.seconds) == ("old/interrupted", "interrupted", 3723)
    assert (interrupted.value, interrupted.overrides) == (None, ("train.epochs=30",))
    assert damaged.state == "damaged"
    assert "run.json is damaged" in damaged.problem


def test_a_run_that_was_killed_has_no_duration(runs: Path) -> None:
    record = json.loads((runs / "finished/run.json").read_text())
    change(runs / "finished/run.json", status="running", finished=None)
    (killed,) = chosen(listed_runs(runs), ["run=finished"])
    assert (killed.state, killed.seconds) == ("interrupted", None)
    change(runs / "finished/run.json", finished=record["finished"], resumed=[{"at": record["started"]}])
    assert chosen(listed_runs(runs), ["run=finished"])[0].seconds is None


def test_another_score_is_listed_by_its_name(runs: Path, trained: Run) -> None:
    by_run = {run.run: run for run in listed_runs(runs, "csi >= 3")}
    assert by_run["finished"].score == "CSI ≥ 3"
    assert by_run["finished"].units == ""
    assert by_run["finished"].value == pytest.approx(trained.scores.of("model").column("CSI", 3.0).overall)
    with pytest.raises(SpecbuildError, match=r"no run in .* has the score CSY"):
        listed_runs(runs, "CSY")


def test_runs_are_chosen_and_put_in_order(runs: Path) -> None:
    listed = listed_runs(runs)
    assert [run.run for run in chosen(listed, ["state=FINISHED"])] == ["finished"]
    assert [run.run for run in chosen(listed, ["overrides=epochs", "run=old"])] == ["old/interrupted"]
    assert in_order(listed, "seconds", reverse=True)[0].run == "old/interrupted"
    assert in_order(listed, "value")[0].run == "finished"
    for wrong in ("state", "stat=finished"):
        with pytest.raises(SpecbuildError, match=r"is not a condition|has no stat"):
            chosen(listed, [wrong])


def test_the_table_fits_and_says_what_it_leaves_out(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    lines = CliRunner().invoke(main, ["runs", str(runs)]).stdout.splitlines()
    assert all(len(line) <= 60 for line in lines[:7])
    assert "left out because the terminal is too narrow: changed" in lines[5]
    assert "damaged: " in lines[7]
    monkeypatch.setenv("COLUMNS", "200")
    wide = CliRunner().invoke(main, ["runs", str(runs), "--sort", "-started"]).stdout
    assert "1 h 02 min" in wide
    assert wide.index("old/interrupted") > wide.index("finished  ")


def test_csv_and_json_hold_every_value(runs: Path) -> None:
    text = CliRunner().invoke(main, ["runs", str(runs), "--format", "csv"]).stdout
    rows = list(csv.DictReader(io.StringIO(text)))
    listed = json.loads(CliRunner().invoke(main, ["runs", str(runs), "--format", "json"]).stdout)
    assert [row["run"] for row in rows] == [each["run"] for each in listed]
    assert {row["run"] for row in rows} == {"damaged", "old/interrupted", "finished"}
    assert rows[0]["overrides"] == "train.epochs=30"
    assert float(rows[1]["value"]) == listed[1]["value"]


def test_an_empty_folder_and_none_at_all(tmp_path: Path) -> None:
    assert CliRunner().invoke(main, ["runs", str(tmp_path)]).stdout == f"no run in {tmp_path}\n"
    missing = CliRunner().invoke(main, ["runs", str(tmp_path / "none")])
    assert (missing.exit_code, missing.stdout) == (2, "")
