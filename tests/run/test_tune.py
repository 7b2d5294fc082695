"""`specbuild tune`: trials are runs, judged by validation, refused and continued, and the best is written out."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from click.testing import CliRunner

from specbuild import SpecError, load_spec, tune
from specbuild.cli import main
from specbuild.document import ArgumentError, RunError
from specbuild.evaluation.listing import listed_runs
from specbuild.runs.folder import RunFolder
from specbuild.tuning import Study
from specbuild.tuning.trial import Reports
from tests.run.conftest import blobs

SPEC = """\
specbuild: 1
name: tuned
vars: {kernel: 3, channels: 2}  # kernel is tuned

inputs: {rain: [2, 12, 12, 1]}
layers:
  - {id: mixed, time_distributed: {layer: Conv2D, filters: $channels, kernel_size: $kernel, padding: same}}
  - {id: forecast, time_distributed: {layer: Conv2D, filters: 1, kernel_size: 1}}

data:
  source: {path: blobs.npy, layout: T H W}
  windows: {past: 2, future: 2}
  split: {train: 0.5, validation: 0.25, test: 0.25}

train:
  optimizer: {name: Adam, learning_rate: 0.01}  # of Adam
  metrics: [mae]
  epochs: 3
  batch_size: 8

tune:
  vars.kernel: [1, 3, 7]
  train.optimizer.learning_rate: {log: [1e-4, 1e-1]}
  trials: 6
  startup: 1
  max_parameters: 60
"""


def written(folder: Path, text: str = SPEC) -> Path:
    np.save(folder / "blobs.npy", blobs(30))
    path = folder / "tuned.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A study of six trials; a kernel of 7 is refused. Tests that continue it must not change its first trials."""
    folder = tmp_path_factory.mktemp("tuned")
    with pytest.MonkeyPatch.context() as patch:  # as if a launcher had started two processes, to share the trials
        patch.setenv("OMPI_COMM_WORLD_SIZE", "2")
        patch.setenv("OMPI_COMM_WORLD_RANK", "0")
        return tune(written(folder), out=folder / "runs", name="study", quiet=True)


def test_every_trial_is_a_run_with_its_values(study: Study) -> None:
    assert [trial.number for trial in study.trials] == list(range(6))
    for trial in study.trials:
        if trial.params["vars.kernel"] == 7:
            assert (trial.state, trial.folder) == ("refused", None)
            assert "103 parameters, more than max_parameters" in trial.reason
            continue
        assert trial.folder is not None
        assert trial.state in ("complete", "pruned")
        run = RunFolder.open(trial.folder)
        spec = run.load_spec()
        assert spec.vars["kernel"] == trial.params["vars.kernel"]
        rate = trial.params["train.optimizer.learning_rate"]
        assert spec.train.optimizer.arguments["learning_rate"] == rate
        assert 1e-4 <= rate <= 1e-1
        history = list(csv.DictReader(run.history_file.read_text("utf-8").splitlines()))
        assert [float(row["val_loss"]) for row in history] == [value for _, value in trial.epochs]
        if trial.state == "complete":
            assert trial.value == min(value for _, value in trial.epochs)
            assert len(trial.epochs) == 3
    assert {"complete", "refused"} <= {trial.state for trial in study.trials}
    assert study.finished


def test_the_test_split_is_not_scored(study: Study) -> None:
    assert not list(study.path.glob("trial-*/scores*"))
    assert len(list(study.path.glob("trial-*/model.keras"))) == 6 - study.count("refused")


def test_the_best_spec_is_the_text_with_two_values_changed(study: Study) -> None:
    best = study.best
    assert best is not None
    assert study.best_spec is not None
    assert best.value == min(trial.value or 0.0 for trial in study.trials if trial.state == "complete")
    comment, *lines = study.best_spec.read_text("utf-8").splitlines()
    assert comment == f"# Trial {best.number} of study, val_loss {best.value!r}"
    changed = [(old, new) for old, new in zip(SPEC.splitlines(), lines, strict=True) if old != new]
    kernel, rate = best.params["vars.kernel"], best.params["train.optimizer.learning_rate"]
    expected = [
        line.replace("kernel: 3,", f"kernel: {kernel},").replace("0.01}", f"{rate}}}")
        for line in SPEC.splitlines()
        if line.startswith(("vars", "  optimizer"))
    ]
    assert {new for _, new in changed} <= set(expected)
    assert load_spec(study.best_spec).train.optimizer.arguments["learning_rate"] == rate
    assert CliRunner().invoke(main, ["check", str(study.best_spec)]).exit_code == 0


def test_the_study_is_shown_as_table_pictures_and_data_frame(study: Study) -> None:
    rows = list(csv.DictReader((study.path / "trials.csv").read_text("utf-8").splitlines()))
    assert [row["state"] for row in rows] == [trial.state for trial in study.trials]
    assert [float(row["value"]) for row in rows if row["value"]] == [
        trial.value for trial in study.trials if trial.value is not None
    ]
    assert (study.path / "history.png").read_bytes().startswith(b"\x89PNG")
    assert matplotlib.rcParams["axes.grid"] == matplotlib.rcParamsDefault["axes.grid"]  # no style is left behind
    frame = study.to_pandas()
    assert list(frame["vars.kernel"]) == [trial.params["vars.kernel"] for trial in study.trials]
    assert f"<caption>{study.summary()}</caption>" in study._repr_html_()


def test_the_list_of_runs_has_every_trial_with_its_value(study: Study) -> None:
    listed = {run.run: run for run in listed_runs(study.path)}
    states = {"complete": "finished"}
    assert len(listed) == len(study.trials)
    for trial in study.trials:
        run = listed[f"trial-{trial.number:04d}"]
        assert (run.state, run.judged) == (states.get(trial.state, trial.state), trial.value)
        assert run.problem == (trial.reason if trial.state == "refused" else "")
        assert f"vars.kernel={trial.params['vars.kernel']}" in run.overrides
    said = CliRunner().invoke(main, ["runs", str(study.path), "--sort", "judged"]).output.splitlines()
    assert said[0].split()[:4] == ["run", "state", "epochs", "val_loss"]
    best = min(run.judged for run in listed.values() if run.judged is not None)
    assert f"{best:.4g}" in said[2]
    assert all("refused" in line for line in said[-2 * study.count("refused") : -study.count("refused")])


def test_a_study_is_continued_with_more_trials_and_the_same_spec(study: Study) -> None:
    before = study.trials
    result = CliRunner().invoke(main, ["tune", "--resume", str(study.path.parent), "--trials", "7"])
    assert result.exit_code == 0, result.output
    assert "trial  6" in result.output
    assert all(len(line) <= 240 for line in result.output.splitlines())
    assert f"next: specbuild evaluate {study.path}" in result.output
    continued = tune(resume=study.path, quiet=True)
    assert continued.trials[:6] == before
    assert continued.total == 7
    assert len(continued.trials) == 7
    with pytest.raises(ArgumentError, match="a study keeps its spec"):
        tune(resume=study.path, overrides={"train.epochs": 2})
    with pytest.raises(ArgumentError, match="exists already"):
        tune(study.path.parent.parent / "tuned.yaml", out=study.path.parent, name="study")


def test_a_study_without_a_complete_trial_is_an_error(tmp_path: Path) -> None:
    spec = written(tmp_path, SPEC.replace("max_parameters: 60", "max_parameters: 2"))
    with pytest.raises(RunError, match="none of the 6 trials was completed"):
        tune(spec, out=tmp_path / "runs", name="study", quiet=True)
    assert json.loads((tmp_path / "runs/study/study.json").read_text("utf-8"))["trials"] == 6


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("validation: 0.25, ", "", "trials are compared on the validation split, and data.split has none"),
        ("tune:\n", "allow:\n", "the spec does not say what to tune"),
        ("blobs.npy", "gone.npy", "gone.npy"),
        ("  startup: 1\n", "  monitor: val_mea\n", 'training reports no "val_mea"'),
    ],
)
def test_what_is_wrong_is_said_before_a_folder_is_made(tmp_path: Path, old: str, new: str, message: str) -> None:
    text = SPEC.replace(old, new)
    if new == "allow:\n":
        text = text.partition("allow:")[0]
    with pytest.raises(SpecError) as error:
        tune(written(tmp_path, text), out=tmp_path / "runs")
    assert message in str(error.value)
    assert not (tmp_path / "runs").exists()


def test_a_timeout_that_is_no_time_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="the timeout is not a time"):
        tune(written(tmp_path), out=tmp_path, timeout="soon")


def test_a_pruned_trial_is_a_run_that_ended_after_an_epoch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report = Reports.epoch
    monkeypatch.setattr(Reports, "epoch", lambda reports, row: report(reports, row) or row["epoch"] == 2)
    spec = written(tmp_path, SPEC.replace("[1, 3, 7]", "[1, 3]"))
    with pytest.raises(RunError, match="the only trial was not completed: worse than the median after"):
        tune(spec, out=tmp_path / "runs", name="study", trials=1, quiet=True)
    run = RunFolder.open(tmp_path / "runs/study/trial-0000")
    assert (run.manifest()["status"], run.manifest()["epochs"]) == ("finished", 2)
    assert run.manifest()["notes"] == ["the callback TrialPruning ended training after epoch 2"]
