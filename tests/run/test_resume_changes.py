"""Resuming a run with another spec: every key of `train` and `data` takes effect or is refused without a trace."""

from __future__ import annotations

import json
import shutil
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from specbuild.data.samples.sampler import Sampler
from specbuild.document import RunError, SpecError
from specbuild.language.sections.base import OnResume
from specbuild.language.sections.data import DataSection
from specbuild.language.sections.train import TrainSection
from specbuild.training import Run, train
from specbuild.training.session import Session
from tests.run.conftest import CONVOLUTION, SPEC, blobs

OPTIMIZER = "train.optimizer"
SCHEDULE = (
    f"{OPTIMIZER}.learning_rate={{name: ExponentialDecay, initial_learning_rate: 0.5, decay_steps: 1, decay_rate: 1}}"
)


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of one epoch, which no test may change."""
    folder = tmp_path_factory.mktemp("begun")
    np.save(folder / "blobs.npy", blobs())
    text = SPEC[: SPEC.index("layers:")] + CONVOLUTION + SPEC[SPEC.index("\ndata:") :]
    (folder / "plain.yaml").write_text(text.replace("past: 3", "past: 2"), "utf-8")
    overrides = ["train.epochs=1", "train.steps_per_epoch=3"]
    return train(folder / "plain.yaml", overrides=overrides, out=folder, quiet=True).path


@pytest.fixture
def copy(begun: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(begun, tmp_path / "run"))


@pytest.fixture(scope="module")
def unchanged(begun: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The run with a second epoch and nothing else changed."""
    copy = Path(shutil.copytree(begun, tmp_path_factory.mktemp("unchanged") / "run"))
    return train(resume=copy, overrides=["train.epochs=2"], quiet=True)


@pytest.fixture
def unscored(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is scored or drawn after training."""
    monkeypatch.setattr(Session, "_score", lambda *_: None)


def losses(run: Run) -> list[float]:
    return [row["loss"] for row in run.history]


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.usefixtures("unscored")
@pytest.mark.parametrize(
    ("override", "recorded"),
    [
        (f"{OPTIMIZER}.learning_rate=0.5", {f"{OPTIMIZER}.learning_rate": ["0.01", "0.5"]}),
        (f"{OPTIMIZER}.clipnorm=1e-4", {f"{OPTIMIZER}.clipnorm": ["null", "0.0001"]}),
        (f"{OPTIMIZER}.weight_decay=0.9", {f"{OPTIMIZER}.weight_decay": ["null", "0.9"]}),
        (f"{OPTIMIZER}.beta_1=0.1", {f"{OPTIMIZER}.beta_1": ["0.9", "0.1"]}),
        (SCHEDULE, None),
        ("train.batch_size=2", {"train.batch_size": ["4", "2"]}),
        ("train.steps_per_epoch=2", {"train.steps_per_epoch": ["3", "2"]}),
    ],
)
def test_what_takes_effect_changes_the_losses_and_is_recorded(
    override: str, recorded: dict[str, list[str]] | None, copy: Path, unchanged: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    run = train(resume=copy, overrides=["train.epochs=2", override])
    assert losses(run)[0] == losses(unchanged)[0]
    assert losses(run)[1] != losses(unchanged)[1]
    (entry,) = run.folder.manifest()["resumed"]
    changes = entry["changes"]
    assert changes.pop("train.epochs") == ["1", "2"]
    assert len(changes) == 1
    assert recorded in (None, changes)
    said = capsys.readouterr().out
    for path, (before, after) in changes.items():
        assert f"changed: {path} from {before} to {after}" in said


@pytest.mark.usefixtures("unscored")
def test_a_learning_rate_goes_to_a_schedule_and_back(copy: Path) -> None:
    """A constant schedule trains as the number does, whichever of them the checkpoint has."""
    other = Path(shutil.copytree(copy, copy.with_name("other")))
    number = f"{OPTIMIZER}.learning_rate=0.5"
    for override, epochs in ((number, 2), (number, 3)):
        by_number = train(resume=copy, overrides=[f"train.epochs={epochs}", override], quiet=True)
    for override, epochs in ((SCHEDULE, 2), (number, 3)):
        in_turn = train(resume=other, overrides=[f"train.epochs={epochs}", override], quiet=True)
    assert in_turn.history == by_number.history


@pytest.mark.usefixtures("unscored")
def test_a_change_counts_even_if_the_run_was_killed_before_the_next_checkpoint(copy: Path, unchanged: Run) -> None:
    manifest = json.loads((copy / "run.json").read_text("utf-8"))
    manifest["overrides"] += ["train.epochs=2", f"{OPTIMIZER}.learning_rate=0.5"]
    (copy / "run.json").write_text(json.dumps(manifest), "utf-8")
    assert losses(train(resume=copy, quiet=True))[1] != losses(unchanged)[1]


@pytest.mark.usefixtures("unscored")
def test_early_stopping_and_checkpoints_take_effect(copy: Path) -> None:
    overrides = ["train.epochs=5", "train.early_stopping={patience: 1, min_delta: 100}", "train.checkpoints.keep=1"]
    run = train(resume=copy, overrides=overrides, quiet=True)
    assert len(run.history) == 2
    assert {each.epoch for each in run.folder.checkpoints()} == {run.best, 2}


def test_fewer_epochs_than_a_run_has_are_refused(unchanged: Run) -> None:
    with pytest.raises(RunError, match=r"train.epochs would change nothing: .* already has 2 epochs\n") as error:
        train(resume=unchanged.folder.path, overrides=["train.epochs=1"], quiet=True)
    assert error.value.help == "train more with --set train.epochs=4, or leave it out"


def test_a_change_that_nothing_is_left_to_train_for_is_refused(begun: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(begun, tmp_path / "finished"))
    before = {path.name: path.read_bytes() for path in copy.glob("*") if path.is_file()}
    with pytest.raises(RunError) as error:
        train(resume=copy, overrides=[f"{OPTIMIZER}.learning_rate=0.5", "train.workers=0"], quiet=True)
    assert error.value.message == (
        f"train.optimizer.learning_rate, train.workers would change nothing: {copy} has all its 1 epoch"
    )
    assert error.value.help == "train more with --set train.epochs=2, or leave them out"
    assert {path.name: path.read_bytes() for path in copy.glob("*") if path.is_file()} == before


@pytest.mark.usefixtures("unscored")
def test_a_change_within_an_epoch_is_recorded_with_its_step(
    copy: Path, unchanged: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = Sampler.batch

    def breaks(self: Sampler, epoch: int, index: int) -> Any:
        if (epoch, index) == (1, 2):
            raise OSError("the disk is gone")
        return batch(self, epoch, index)

    monkeypatch.setattr(Sampler, "batch", breaks)
    overrides = ["train.epochs=2", "train.workers=0", "train.checkpoints.every=1 steps"]
    with pytest.raises(OSError, match="the disk is gone"):
        train(resume=copy, overrides=overrides, quiet=True)
    monkeypatch.setattr(Sampler, "batch", batch)
    run = train(resume=copy, overrides=[f"{OPTIMIZER}.learning_rate=0.5"], quiet=True)
    *_, entry = run.folder.manifest()["resumed"]
    assert (entry["after_epoch"], entry["changes"]) == (1, {f"{OPTIMIZER}.learning_rate": ["0.01", "0.5"]})
    assert entry["after_step"] in (1, 2)
    assert run.history[1]["val_loss"] != unchanged.history[1]["val_loss"]


@pytest.mark.usefixtures("unscored")
def test_an_optimizer_that_scales_the_loss_resumes_exactly_and_takes_another_rate(begun: Path, tmp_path: Path) -> None:
    inner = "inner_optimizer: {name: Adam, learning_rate: %s}"
    overrides = [f"{OPTIMIZER}=null", f"{OPTIMIZER}={{name: LossScaleOptimizer, {inner % 0.01}}}"]
    spec = begun.parent / "plain.yaml"
    short = [*overrides, "train.steps_per_epoch=2", "train.epochs=2"]
    whole = train(spec, overrides=short, out=tmp_path / "whole", quiet=True)
    part = train(spec, overrides=[*short, "train.epochs=1"], out=tmp_path / "part", quiet=True)
    other = Path(shutil.copytree(part.path, tmp_path / "other"))
    rest = train(resume=part.path, overrides=["train.epochs=2"], quiet=True)
    assert rest.history == whole.history
    faster = f"{OPTIMIZER}.{(inner % 0.5).replace(': ', '=', 1)}"
    changed = train(resume=other, overrides=["train.epochs=2", faster], quiet=True)
    assert losses(changed)[1] != losses(whole)[1]


REFUSED: dict[str, tuple[str, str]] = {
    "train.optimizer={name: SGD, learning_rate: 0.01}": (
        "train.optimizer from {name: Adam, learning_rate: 0.01} to {name: SGD, learning_rate: 0.01}",
        "another optimizer has a different state",
    ),
    "train.loss=mae": ("train.loss from mse to mae", "so no epoch would be the best"),
    "train.loss_weights={forecast: 2}": ("train.loss_weights from null to {forecast: 2.0}", "no epoch would be"),
    "train.lead_weights=[1, 2]": ("train.lead_weights from null to [1.0, 2.0]", "no epoch would be the best"),
    "train.seed=4": ("train.seed from 3 to 4", "it determined the initial weights"),
    "data.transform=[log1p]": (
        "data.transform from [{name: standardize}] to [{name: log1p}]",
        "the earlier epochs were trained on its samples",
    ),
    "data.split={train: 0.5}": ("data.split from", "the earlier epochs were trained on its samples"),
    "data.windows.stride=2": ("data.windows from", "the earlier epochs were trained on its samples"),
    "data.scale=2": ("data.scale from null to 2", "the earlier epochs were trained on its samples"),
    "data.source.layout=T W H": ("data.source from", "the earlier epochs were trained on these data"),
    "data.augment={noise: 0.1}": ("data.augment from null to {noise: 0.1}", "trained on its samples"),
    "layers.forecast.time_distributed.activation=relu": ("forecast.activation is null in the run, relu now", ""),
}


@pytest.mark.parametrize("override", REFUSED)
def test_what_is_refused_leaves_no_trace(override: str, begun: Path) -> None:
    before = contents(begun)
    with pytest.raises(RunError) as error:
        train(resume=begun, overrides=["train.epochs=2", override], quiet=True)
    what, why = REFUSED[override]
    assert what in error.value.message
    assert why in error.value.message
    assert f"start a new run from the weights of this one with --set train.init_from={begun}" in error.value.help
    assert contents(begun) == before


@pytest.mark.parametrize("override", [f"{OPTIMIZER}.amsgrad=true", f"{OPTIMIZER}.use_ema=true"])
def test_arguments_that_need_other_state_are_refused(override: str, begun: Path) -> None:
    before = contents(begun)
    with pytest.raises(RunError, match=r"the arguments of Adam in train\.optimizer do not fit this run"):
        train(resume=begun, overrides=["train.epochs=2", override], quiet=True)
    assert contents(begun) == before


@pytest.mark.usefixtures("unscored")
def test_metrics_are_reported_from_the_next_epoch_on(copy: Path) -> None:
    run = train(resume=copy, overrides=["train.epochs=2", "train.metrics=[mse]"], quiet=True)
    names, first, second = (line.split(",") for line in run.folder.history_file.read_text("utf-8").splitlines())
    assert names == ["epoch", "loss", "mae", "val_loss", "val_mae", "learning_rate", "mse", "val_mse"]
    assert [not cell for cell in first] == [False] * 6 + [True] * 2
    assert [not cell for cell in second] == [False, False, True, False, True, False, False, False]
    before = contents(copy)
    with pytest.raises(SpecError, match="the earlier epochs did not report val_mse") as error:
        train(resume=copy, overrides=["train.epochs=3", "train.early_stopping={monitor: val_mse}"], quiet=True)
    assert error.value.diagnostics[0].help == "choose among loss, mae, val_loss, val_mae"
    assert contents(copy) == before


@pytest.mark.usefixtures("unscored")
def test_the_precision_is_that_of_the_run_unless_it_is_changed(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_module("specbuild.training.plan"), "policy_for", lambda _: "mixed_bfloat16")
    assert train(resume=copy, quiet=True).folder.manifest()["precision"] == "float32"
    run = train(resume=copy, overrides=["train.precision=bfloat16", "train.epochs=2"], quiet=True)
    assert run.folder.manifest()["precision"] == "mixed_bfloat16"


def test_labels_and_the_place_of_the_data_may_change(copy: Path, tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere.npy"
    np.save(moved, blobs())
    overrides = [f"data.source.path={moved}", "data.variable=snow", "data.on_error=skip"]
    run = train(resume=copy, overrides=overrides, quiet=True)
    (entry,) = run.folder.manifest()["resumed"]
    assert set(entry["changes"]) == {"data.source", "data.variable", "data.on_error"}
    assert run.scores is not None
    assert run.scores.to_dict()["variable"] == "snow"


def test_every_key_says_what_a_change_means() -> None:
    for section in (TrainSection, DataSection):
        for name, field in section.model_fields.items():
            mark = OnResume.of(field) or section.unmarked
            assert mark is not None, name
            assert mark.effect or mark.reason, name
            assert (mark.kept is None) or (mark.effect and mark.reason), name
