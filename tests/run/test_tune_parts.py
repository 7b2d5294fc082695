"""Parts of `specbuild tune` without a training: the space, the draws, the best spec's text, what is shown."""

from __future__ import annotations

import io
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import optuna
import pytest
from click.testing import CliRunner
from rich.console import Console

from specbuild import load_spec
from specbuild.cli import main
from specbuild.document import ArgumentError, Report, RunError
from specbuild.graph import check
from specbuild.language import Spec
from specbuild.runs.folder import RunFolder
from specbuild.training import Interrupted
from specbuild.training.loggers.base import Beginning
from specbuild.tuning import loop, pictures, tune
from specbuild.tuning.best import edited
from specbuild.tuning.progress import Bar, trial_line
from specbuild.tuning.result import Study, TrialResult, short_names
from specbuild.tuning.sampling import drawn, override, sampler, suggest
from specbuild.tuning.storage import with_whole_path
from specbuild.tuning.trial import Objective
from tests.run.test_tune import SPEC, written
from tests.run.tuning_worker import formula, loss

GROUPS = """\
specbuild: 1
vars: {filters: 6, groups: 3}
inputs: {x: [8, 8, 1]}
layers:
  - {layer: Conv2D, filters: $filters, kernel_size: 3}
  - {layer: GroupNormalization, groups: $groups}
"""


def errors(text: str) -> list[str]:
    report = Report()
    check(text, report=report)
    return [f"{error.message} ({error.path})" for error in report.sorted_errors()]


def test_a_value_that_fits_only_with_others_is_accepted() -> None:
    assert errors(f"{GROUPS}tune: {{vars.filters: [16, 32], vars.groups: [4, 8]}}\n") == []
    assert errors(f"{GROUPS}tune: {{vars.filters: [16, 32], vars.groups: [4, 5]}}\n") == [
        "vars.groups = 5 does not fit the spec (tune.vars.groups.1)"
    ]
    assert errors(f"{GROUPS}tune: {{vars.filters: {{int: [0, 32], step: 8}}, vars.groups: [4, 8]}}\n") == [
        "vars.filters = 0 does not fit the spec (tune.vars.filters.int.0)"
    ]


def test_several_mistakes_are_reported_at_once() -> None:
    text = f"{GROUPS}train: {{metrics: [mae]}}\ntune:\n  vars.groups: [4, 4, 5]\n  evaluate.x: [1, 2]\n  trials: 0\n"
    assert errors(f"{text}  monitor: val_mea\n  vars.filters: [16]\n") == [
        "vars.groups: a choice is listed twice (tune.vars.groups.1)",
        "vars.groups = 5 does not fit the spec (tune.vars.groups.2)",
        "tune cannot vary evaluate.x (tune.evaluate.x)",
        "trials: expected a positive whole number, got 0 (tune.trials)",
        'training reports no "val_mea" (tune.monitor)',
        "vars.filters: expected at least two choices (tune.vars.filters)",
    ]
    # What the values of a path may be is not known here, so that others cannot be judged with them.
    assert errors(f"{GROUPS}tune: {{vars.filters: 16, vars.groups: [4, 5]}}\n") == [
        "vars.filters: expected the values to try, got a number (tune.vars.filters)"
    ]


def test_a_value_without_the_monitored_metric_is_refused() -> None:
    text = f"{GROUPS}tune: {{train.metrics: [[mae], [mae, mse], [mse]], monitor: val_mae}}\n"
    assert errors(text) == ['train.metrics = ["mse"] does not fit the spec (tune.train.metrics.2)']


def test_only_check_tries_the_values() -> None:
    spec = load_spec(f"{GROUPS}tune: {{vars.groups: [4, 5]}}\n")
    assert spec.tuning is not None
    assert spec.tuning.space[0].choices == (4, 5)
    assert "tune" not in spec.resolved()


def test_check_says_what_is_tuned(tmp_path: Path) -> None:
    said = CliRunner().invoke(main, ["check", str(written(tmp_path))])
    assert said.output.splitlines()[-1] == (
        "tune: vars.kernel (3 choices), train.optimizer.learning_rate (0.0001 to 0.1)"
    )


def test_check_opens_the_data_with_every_value(tmp_path: Path) -> None:
    text = (
        SPEC.replace("vars: {", "vars: {past: 2, ")
        .replace("[2, 12", "[$past, 12")
        .replace("past: 2, f", "past: $past, f")
    )
    text = text.replace("future: 2", "future: $past").replace("vars.kernel: [1, 3, 7]", "vars.past: [1, 20, 2]")
    path = written(tmp_path, text)
    assert CliRunner().invoke(main, ["check", str(path)]).exit_code == 0
    said = CliRunner().invoke(main, ["check", "--data", str(path)])
    assert said.exit_code == 2
    first, place, *_ = said.output.splitlines()
    assert first == "error: vars.past = 20 does not fit the data"
    assert place.endswith("tune.vars.past.1")
    assert "a window needs 40 frames, blobs.npy has 30, at data.windows" in said.output
    assert said.output.endswith("1 error\n")
    path.write_text(text.replace("[1, 20, 2]", "[1, 2]"), "utf-8")
    said = CliRunner().invoke(main, ["check", "--data", str(path)])
    assert said.exit_code == 0
    assert said.output.splitlines()[-1].startswith("tune: vars.past (2 choices)")


def test_a_space_that_is_too_large_to_check_is_refused() -> None:
    choices = ", ".join(map(str, range(1, 300)))
    (message,) = errors(f"{GROUPS}tune: {{vars.filters: [{choices}]}}\n")
    assert "more than 200 choices" in message


SPACE = """\
tune:
  vars.filters: {int: [6, 30], step: 6}
  train.optimizer.learning_rate: {log: [1e-4, 1e-2]}
  train.optimizer.name: [Adam, SGD]
  train.epochs: {int: [1, 4]}
  layers.conv.kernel_size: [3, [1, 2]]
"""
NAMED = GROUPS.replace("kernel_size: 3}", "kernel_size: 3, id: conv}") + "train: {optimizer: {name: Adam}}\n"


@pytest.mark.parametrize("kind", ["tpe", "random"])
def test_the_draws_of_a_trial_depend_on_the_trials_before_it_alone(kind: str) -> None:
    space = load_spec(NAMED + SPACE).tuning
    assert space is not None

    def after(stops: Sequence[int]) -> list[dict[str, Any]]:
        """Draw 14 trials, with a process that is started again before each of those in `stops`."""
        storage = optuna.storages.InMemoryStorage()
        study = optuna.create_study(storage=storage, sampler=sampler(kind, 3))
        for number in range(14):
            if number in stops:
                study = optuna.load_study(study_name=study.study_name, storage=storage, sampler=sampler(kind, 3))
            trial = study.ask()
            for dimension in space.space[:2] if number in stops else space.space:
                suggest(trial, dimension)
            if number in stops:  # the process ended before all values were drawn
                study = optuna.load_study(study_name=study.study_name, storage=storage, sampler=sampler(kind, 3))
                trial = optuna.trial.Trial(study, trial._trial_id)
                for dimension in space.space:
                    suggest(trial, dimension)
            study.tell(trial, loss(trial.params["train.optimizer.learning_rate"], 1))
        return [drawn(trial.params, space.space) for trial in study.trials]

    whole = after(())
    assert after((0, 3, 11, 13)) == whole
    assert len({tuple(map(str, params.values())) for params in whole}) > 10
    assert {str(params["layers.conv.kernel_size"]) for params in whole} == {"3", "[1, 2]"}
    assert all(params["vars.filters"] in (6, 12, 18, 24, 30) for params in whole)


def test_a_draw_is_the_override_that_set_takes() -> None:
    tuning = load_spec(NAMED + SPACE).tuning
    assert tuning is not None
    said = [override(each, value) for each, value in zip(tuning.space, (12, 0.0001, "SGD", 3, "[1, 2]"), strict=True)]
    assert said == [
        "vars.filters=12",
        "train.optimizer.learning_rate=0.0001",
        "train.optimizer.name=SGD",
        "train.epochs=3",
        "layers.conv.kernel_size=[1, 2]",
    ]
    assert load_spec(NAMED, overrides=said).train.epochs == 3


@pytest.mark.parametrize(
    ("text", "overrides", "expected"),
    [
        ("vars: {a: 1}  # one\n", ["vars.a=2"], "vars: {a: 2}  # one\n"),
        ("vars:\n  a: 1  # one\n  b: 2\n", ["vars.a=0.5"], "vars:\n  a: 0.5  # one\n  b: 2\n"),
        ("layers:\n  - {repeat: 2, do: [{id: x, units: 1}]}\n", ["layers.x.units=[1, 2]"], None),
        ("train: {epochs: 3}\n", ["train.seed=4"], "train: {epochs: 3}\n\nset:\n  train.seed: 4\n"),
        ("set: {train.seed: 3}\n", ["train.seed=4"], "set: {train.seed: 4}\n"),
        ("set: {train.seed: 3}  # why\n", ["vars.a=4"], "set: {train.seed: 3, vars.a: 4}  # why\n"),
        (
            "set:\n  train.seed: 3  # why\nvars: {}\n",
            ["vars.a=4"],
            "set:\n  train.seed: 3  # why\n  vars.a: 4\nvars: {}\n",
        ),
        ("set: {}\n", ["vars.a=4", "vars.b=5"], "set: {vars.a: 4, vars.b: 5}\n"),
        ("data:\n  split:\n    train: 1\n    test: 0\n", ["data.split={train: 0.5}"], None),
    ],
)
def test_values_are_put_where_a_user_would(text: str, overrides: list[str], expected: str | None) -> None:
    if expected is None:
        expected = {
            "layers": "layers:\n  - {repeat: 2, do: [{id: x, units: [1, 2]}]}\n",
            "data:\n": text + "\nset:\n  data.split: {train: 0.5}\n",
        }[text[:6]]
    assert edited(text, overrides) == expected


def test_a_value_of_a_base_is_put_under_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "draw", lambda *_: ())
    monkeypatch.setattr(loop, "run", formula(epochs=1))
    written(tmp_path).rename(tmp_path / "base.yaml")
    (tmp_path / "wider.yaml").write_text("extends: base.yaml  # the plain one\nset: {vars.channels: 3}\n", "utf-8")
    study = tune(tmp_path / "wider.yaml", out=tmp_path / "runs", name="study", quiet=True, overrides=["tune.trials=3"])
    assert study.best is not None
    assert study.best_spec == study.path / "spec" / "best.yaml"
    best = load_spec(study.best_spec)
    assert best.vars == {"kernel": study.best.params["vars.kernel"], "channels": 3}
    assert study.best_spec.read_text("utf-8").splitlines()[1] == "extends: base.yaml  # the plain one"


def test_a_trial_that_fails_does_not_end_the_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "draw", lambda *_: ())
    tries: list[str] = []

    def sometimes(spec: Spec, folder: RunFolder, *rest: Any) -> float:
        tries.append(folder.path.name)
        if len(tries) == 1:
            raise RunError("the loss became nan in epoch 1, step 2", "lower the learning rate")
        if len(tries) == 2:
            raise Interrupted("interrupted after step 1", signal.SIGTERM)
        return formula(epochs=1)(spec, folder, *rest)

    monkeypatch.setattr(loop, "run", sometimes)
    spec = written(
        tmp_path,
        SPEC.replace("[1, 3, 7]", "[1, 3]").replace("trials: 6", "trials: 4").replace("startup: 1", "startup: 9"),
    )
    with pytest.raises(Interrupted, match="Resume with: specbuild tune --resume") as stop:
        tune(spec, out=tmp_path / "runs", name="study", quiet=True)
    assert stop.value.number == signal.SIGTERM
    study = tune(resume=tmp_path / "runs/study", quiet=True)
    assert [trial.state for trial in study.trials] == ["failed", "complete", "complete", "complete"]
    assert study.trials[0].reason == "the loss became nan in epoch 1, step 2"
    assert tries[1] == tries[2] == "trial-0001"


def test_a_trial_is_not_pruned_after_its_last_epoch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "draw", lambda *_: ())
    monkeypatch.setattr(loop, "run", formula(epochs=1))
    spec = written(tmp_path, SPEC.replace("[1, 3, 7]", "[1, 3]"))
    for epochs, state in ((1, "complete"), (2, "pruned")):
        overrides = {"train.epochs": epochs, "tune.trials": 3}
        study = tune(spec, out=tmp_path / "runs", name=f"{epochs}", quiet=True, overrides=overrides)
        assert study.trials[2].state == state  # its value is worse than that of both before
    assert Beginning(study.path / "trial-0002", "tuned", {}, "").title == "2/trial-0002"
    assert Beginning(study.path, "tuned", {}, "").title == "2"


def test_a_disk_that_is_full_ends_the_study_and_not_the_trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "draw", lambda *_: ())

    def full(*_: Any) -> float:
        raise RunError("cannot write model.keras: the disk is full") from OSError(28, "No space left on device")

    monkeypatch.setattr(loop, "run", full)
    spec = written(tmp_path, SPEC.replace("[1, 3, 7]", "[1, 3]").replace("trials: 6", "trials: 2"))
    with pytest.raises(RunError, match="the disk is full"):
        tune(spec, out=tmp_path / "runs", name="study", quiet=True)
    monkeypatch.setattr(loop, "run", formula(epochs=1))
    study = tune(resume=tmp_path / "runs", quiet=True)
    assert [trial.state for trial in study.trials] == ["complete", "complete"]


def test_names_are_as_short_as_they_can_be() -> None:
    assert short_names(["vars.filters", "layers.enc.filters", "train.epochs"]) == {
        "vars.filters": "vars.filters",
        "layers.enc.filters": "enc.filters",
        "train.epochs": "epochs",
    }


def test_a_best_trial_whose_run_is_in_another_folder_is_not_evaluated_from_here(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trial = TrialResult(0, "complete", 0.5, {"vars.a": 1}, 12.3, "", None, ((1, 0.5),))
    study = Study(Path("runs/study"), "val_loss", False, 1, (trial,), Path("runs/study/best.yaml"))
    monkeypatch.setattr("specbuild.tuning.tune", lambda *_, **__: study)
    lines = CliRunner().invoke(main, ["tune", "spec.yaml"]).output.splitlines()
    assert lines[-1] == "trial 0 was trained by a process with another folder, which has its run"
    assert not any("specbuild evaluate" in line for line in lines)


def test_a_terminal_has_a_bar_and_a_line_for_each_trial() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    trial = TrialResult(3, "pruned", 0.5, {"vars.a": 1}, 12.3, "worse than the median after epoch 1", None, ((1, 0.5),))
    objective = Objective("val_loss", larger_is_better=False)
    with Bar(console) as bar:
        bar.begin(3, 20, ["vars.a=1"])
        bar.epoch(1, 4, 0.5)
        bar.end(trial, objective)
    line = "trial  3  pruned    val_loss 0.5000  12 s  vars.a=1  worse than the median after epoch 1"
    assert trial_line(trial, objective, ["vars.a=1"]) == line
    assert isinstance(console.file, io.StringIO)
    said = console.file.getvalue()
    assert line in said
    assert "trial 4/20" in said


def test_a_value_that_a_run_does_not_report_is_an_error() -> None:
    spec, row = load_spec(GROUPS), {"epoch": 1.0, "loss": 0.5, "val_loss": 0.25}
    assert Objective("val_loss", larger_is_better=False).of(row, spec) == 0.25
    with pytest.raises(ArgumentError, match='report no "val_csi"') as error:
        Objective("val_csi", larger_is_better=True).of(row, spec)
    assert "set tune.monitor to one of val_loss, or add the metric" in error.value.help


def test_a_storage_keeps_its_driver_and_options_beside_the_whole_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert with_whole_path("sqlite:///x.db") == f"sqlite:///{tmp_path.as_posix()}/x.db"
    assert with_whole_path("sqlite+pysqlite:///x.db?timeout=5") == (
        f"sqlite+pysqlite:///{tmp_path.as_posix()}/x.db?timeout=5"
    )
    for url in ("postgresql://me:secret@host/studies", "nowhere"):
        assert with_whole_path(url) == url


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("nowhere", "nowhere is not a storage: Could not parse SQLAlchemy URL"),
        ("paper://me:secret@desk/pile", "paper://me@desk/pile is not a storage: Can't load plugin"),
        ("oracle://me:secret@desk/pile", "the storage oracle://me@desk/pile needs a package that is not installed"),
    ],
)
def test_a_storage_that_cannot_be_opened_leaves_nothing_behind(tmp_path: Path, url: str, message: str) -> None:
    with pytest.raises(RunError) as error:
        tune(written(tmp_path), out=tmp_path / "runs", name="study", storage=url, quiet=True)
    assert message in str(error.value)
    assert "secret" not in str(error.value)
    assert list((tmp_path / "runs").iterdir()) == []
