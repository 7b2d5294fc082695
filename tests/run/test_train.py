from __future__ import annotations

import json
import os
import shutil
import signal
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from specbuild.document import RunError, SpecError
from specbuild.evaluation import evaluate
from specbuild.runs.checkpoint import read
from specbuild.runs.trained import TrainedRun
from specbuild.training import Interrupted, Run, train
from specbuild.training.interrupt import SIGNALS
from tests.run.conftest import blobs
from tests.run.weights import assert_identical, stored


def message(error: pytest.ExceptionInfo[SpecError]) -> str:
    (diagnostic,) = error.value.diagnostics
    return diagnostic.message


def columns(run: Run) -> list[str]:
    return run.folder.history_file.read_text().splitlines()[0].split(",")


def test_the_run_folder_holds_everything(trained: Run) -> None:
    names = {str(path.relative_to(trained.path)) for path in trained.path.rglob("*") if path.is_file()}
    assert names == {
        "spec.yaml",
        "resolved.yaml",
        "run.json",
        "transforms.json",
        "frames.json",
        "history.csv",
        "history.jsonl",
        "checkpoints/epoch-0002.keras",
        "checkpoints/epoch-0003.keras",
        "model.keras",
        "scores.json",
        "scores.csv",
        "scores.png",
        "forecast.png",
        "forecast.gif",
        "loss.png",
    }


def test_run_json_says_what_the_run_depends_on(trained: Run) -> None:
    manifest = trained.folder.manifest()
    assert manifest["status"] == "finished"
    assert manifest["name"] == "tiny nowcast"
    assert (manifest["seed"], manifest["precision"], manifest["overrides"]) == (3, "float32", [])
    assert (manifest["epochs"], manifest["best_epoch"]) == (3, trained.best)
    assert {"python", "specbuild", "keras", "numpy"} < set(manifest["versions"])
    assert set(manifest["machine"]) == {"system", "cpu", "cores", "device"}
    (data,) = manifest["data"]
    assert data["path"].endswith("blobs.npy")
    assert data["bytes"] == 60 * 12 * 12 * 4 + 128
    assert len(data["sha256"]) == 64
    assert manifest["started"] <= manifest["finished"]


def test_the_history_has_a_row_per_epoch_with_every_digit(trained: Run) -> None:
    assert columns(trained) == ["epoch", "loss", "mae", "val_loss", "val_mae", "learning_rate"]
    rows = [line.split(",") for line in trained.folder.history_file.read_text().splitlines()[1:]]
    assert [row[0] for row in rows] == ["1", "2", "3"]
    assert [[float(cell) for cell in row] for row in rows] == [list(row.values()) for row in trained.history]


def test_the_model_is_that_of_the_best_epoch(trained: Run) -> None:
    values = [row["val_loss"] for row in trained.history]
    assert trained.best == values.index(min(values)) + 1
    assert read(trained.folder.model_file).epoch == trained.best


def test_keras_alone_opens_the_model(trained: Run) -> None:
    from specbuild.model.backend import keras

    model = keras.models.load_model(trained.folder.model_file)
    assert model.output_shape == (None, 2, 12, 12, 1)


def test_the_same_spec_gives_the_same_run(trained: Run, tmp_path: Path) -> None:
    again = train(trained.path.parents[1] / "nowcast.yaml", out=tmp_path, quiet=True)
    assert again.folder.history_file.read_bytes() == trained.folder.history_file.read_bytes()
    assert again.folder.scores_file.read_bytes() == trained.folder.scores_file.read_bytes()
    assert_identical(again.folder.model_file, trained.folder.model_file)


def test_more_epochs_continue_as_if_they_had_been_asked_for_at_first(spec: Path, tmp_path: Path) -> None:
    early = {"train.early_stopping": {"patience": 3}}
    whole = train(spec, overrides=early | {"train.epochs": 4}, out=tmp_path / "whole", quiet=True)
    part = train(spec, overrides=early | {"train.epochs": 2}, out=tmp_path / "part", quiet=True)
    rest = train(resume=part.path, overrides={"train.epochs": 4}, quiet=True)
    assert rest.path == part.path
    assert rest.history == whole.history
    assert rest.folder.history_file.read_bytes() == whole.folder.history_file.read_bytes()
    for epoch in (3, 4):
        assert_identical(rest.folder.checkpoint(epoch), whole.folder.checkpoint(epoch))
        assert read(rest.folder.checkpoint(epoch)) == read(whole.folder.checkpoint(epoch))
    (resumed,) = rest.folder.manifest()["resumed"]
    assert resumed["after_epoch"] == 2
    assert rest.folder.load_spec().train.epochs == 4


def test_training_stops_early_and_keeps_the_best_epoch(plain: Path, tmp_path: Path) -> None:
    still = {"train.optimizer": "{name: SGD, learning_rate: 0.0}", "train.epochs": "9"}
    overrides = [f"{path}={value}" for path, value in still.items()]
    run = train(plain, overrides=[*overrides, "train.early_stopping={patience: 2}"], out=tmp_path, quiet=True)
    assert len(run.history) == 3
    assert run.best == 1
    assert read(run.folder.model_file).epoch == 1
    again = train(resume=run.path, quiet=True)
    assert len(again.history) == 3


def test_without_validation_the_last_epoch_is_kept(plain: Path, tmp_path: Path) -> None:
    overrides = ["data.split={train: 0.8, test: 0.2, validation: null}", "train.epochs=2"]
    run = train(plain, overrides=overrides, out=tmp_path, quiet=True)
    assert columns(run) == ["epoch", "loss", "mae", "learning_rate"]
    assert run.best == 2
    manifest = run.folder.manifest()
    assert (manifest["model_epoch"], manifest["chosen_by"], manifest["best_epoch"]) == (2, "last epoch", None)


def test_without_a_test_split_nothing_is_scored(plain: Path, tmp_path: Path) -> None:
    overrides = ["data.split={train: 0.8, validation: 0.2, test: null}", "train.epochs=1"]
    run = train(plain, overrides=overrides, out=tmp_path, quiet=True)
    assert run.scores is None
    assert not run.folder.scores_file.exists()


def test_missing_pixels_count_neither_in_the_loss_nor_in_metrics(plain: Path, tmp_path: Path) -> None:
    frames = blobs()
    frames[:, :6] = np.nan
    np.save(plain.parent / "blobs.npy", frames)
    run = train(plain, overrides=["train.epochs=1", "train.metrics=[mse]"], out=tmp_path, quiet=True)
    (row,) = run.history
    assert list(row) == ["epoch", "loss", "mse", "val_loss", "val_mse", "learning_rate"]
    assert row["mse"] == pytest.approx(row["loss"], rel=1e-5)
    assert row["loss"] > 0.3


@pytest.mark.parametrize(
    "optimizer",
    [
        "{name: Adam, use_ema: true, ema_momentum: 0.5}",
        "{name: LossScaleOptimizer, inner_optimizer: {name: Adam, use_ema: true, ema_momentum: 0.5}}",
    ],
)
def test_a_model_with_averaged_weights_has_the_averages(optimizer: str, plain: Path, tmp_path: Path) -> None:
    text = plain.read_text("utf-8").replace("{name: Adam, learning_rate: 0.01}", optimizer)
    plain.write_text(text, encoding="utf-8")
    run = train(plain, overrides=["train.epochs=2"], out=tmp_path, quiet=True)
    state, model = stored(run.folder.checkpoint(run.best)), stored(run.folder.model_file)
    weights = {name for name in state if not name.startswith(("optimizer/", "vars/"))}
    averages = [array for name, array in state.items() if name.startswith("optimizer/")]
    assert weights
    for name in weights:
        assert not (model[name] == state[name]).all()
        assert any(array.shape == model[name].shape and (array == model[name]).all() for array in averages)
    # Validation is of the averages, so that the best epoch is that of the model which is kept.
    sampler = TrainedRun.open(run.path).dataset.sampler("validation", 4, 0)
    x, y, _ = zip(*(sampler.batch(0, index) for index in range(len(sampler))), strict=True)
    forecast = TrainedRun.open(run.path).load_model().predict(np.concatenate(x), verbose=0)
    loss = np.mean(np.square(forecast - np.concatenate(y)))
    assert run.history[run.best - 1]["val_loss"] == pytest.approx(loss, rel=1e-4)
    # Without model.keras, as after a kill, the averages are taken from the checkpoint of the last epoch.
    assert run.best == 2
    run.folder.model_file.unlink()
    again = TrainedRun.open(run.path).load_model().predict(np.concatenate(x), verbose=0)
    np.testing.assert_array_equal(again, forecast)


def test_weights_that_are_not_finite_are_not_saved(plain: Path, tmp_path: Path) -> None:
    # One step per epoch: its loss is that of the weights before, so only the weights themselves tell.
    overrides = ["train.optimizer={name: SGD, learning_rate: 1e38, momentum: 0.9}", "train.steps_per_epoch=1"]
    with pytest.raises(RunError) as error:
        train(plain, overrides=overrides, out=tmp_path, quiet=True)
    assert "epoch 1" in error.value.message
    assert error.value.help.endswith("no checkpoint was written yet")


def test_a_monitor_that_is_not_reported_is_an_error_at_its_place(plain: Path, tmp_path: Path) -> None:
    with pytest.raises(SpecError) as error:
        train(plain, overrides=["train.early_stopping={monitor: val_mea}"], out=tmp_path, quiet=True)
    (diagnostic,) = error.value.diagnostics
    assert diagnostic.message == 'training reports no "val_mea"'
    assert diagnostic.help == 'did you mean "val_mae"?'
    assert diagnostic.path == "train.early_stopping.monitor"


def test_a_monitor_of_validation_needs_validation(spec: Path, tmp_path: Path) -> None:
    overrides = ["data.split={train: 0.8, test: 0.2, validation: null}", "train.early_stopping={patience: 2}"]
    with pytest.raises(SpecError) as error:
        train(spec, overrides=overrides, out=tmp_path / "runs", quiet=True)
    assert message(error) == "val_loss needs validation data, and data.split gives none"
    assert not (tmp_path / "runs").exists()


def test_a_spec_without_data_cannot_be_trained(spec: Path) -> None:
    spec.write_text(spec.read_text().split("data:")[0])
    with pytest.raises(SpecError) as error:
        train(spec, quiet=True)
    assert message(error) == "the spec has no data section"


def test_what_fails_in_a_worker_is_told_in_its_own_words(plain: Path, tmp_path: Path) -> None:
    frames = blobs()
    frames[40:] = -5
    np.save(plain.parent / "blobs.npy", frames)
    with pytest.raises(RunError) as error:
        train(plain, overrides=["data.transform=[log1p]"], out=tmp_path, quiet=True)
    assert "log1p" in error.value.message
    assert "Traceback" not in str(error.value)


def test_a_run_does_not_continue_on_other_data(plain: Path, tmp_path: Path) -> None:
    run = train(plain, overrides=["train.epochs=1"], out=tmp_path, quiet=True)
    np.save(plain.parent / "blobs.npy", blobs() * 2)
    with pytest.raises(SpecError) as error:
        train(resume=run.path, overrides=["train.epochs=2"], quiet=True)
    assert message(error) == "the data is not what this run began with"


def test_a_run_does_not_continue_as_another_model(trained: Run, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(trained.path, copy)
    before = {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()}
    overrides = ["layers.enc.filters=4", "layers.dec.filters=4", "train.epochs=9"]
    with pytest.raises(RunError) as error:
        train(resume=copy, overrides=overrides, quiet=True)
    assert error.value.message == (
        "layers.enc.filters=4, layers.dec.filters=4 changes the model of this run: "
        "enc.kernel has 3 × 3 × 1 × 12 in the run, 3 × 3 × 1 × 16 now"
    )
    assert {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()} == before


def test_weights_of_another_model_are_refused_by_name_and_shape(trained: Run, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(trained.path, copy)
    text = (copy / "spec.yaml").read_text("utf-8").replace("filters: 3", "filters: 4")
    (copy / "spec.yaml").write_text(text, "utf-8")
    manifest = (copy / "run.json").read_bytes()
    with pytest.raises(RunError) as error:
        train(resume=copy, quiet=True)
    assert error.value.message == (
        f"the weights in {copy}/checkpoints/epoch-0003.keras do not fit the model of this spec: "
        "enc.kernel has 3 × 3 × 1 × 12 in the file and 3 × 3 × 1 × 16 in the model"
    )
    assert (copy / "run.json").read_bytes() == manifest


def test_a_damaged_checkpoint_is_named_and_the_one_before_used(trained: Run, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(trained.path, copy)
    last = copy / "checkpoints/epoch-0003.keras"
    last.write_bytes(last.read_bytes()[:1000])
    again = train(resume=copy, quiet=True)
    note = f"the checkpoint {last} cannot be read: File is not a zip file; it is skipped"
    manifest = again.folder.manifest()
    assert [entry["notes"] for entry in manifest["resumed"]] == [[note]]
    assert note in manifest["notes"]
    assert again.history == trained.history
    assert_identical(last, trained.path / "checkpoints/epoch-0003.keras")
    for path in again.folder.checkpoints().values():
        path.write_bytes(b"")
    with pytest.raises(RunError, match=r"epoch-0002\.keras cannot be read: File is not a zip file") as error:
        train(resume=copy, quiet=True)
    assert error.value.help == (
        f"no checkpoint of this run can be read; evaluate and predict still work with {copy / 'model.keras'}, and "
        f"a new run can start from its weights: --set train.init_from={copy.resolve()}"
    )
    evaluate(copy)
    (copy / "model.keras").write_bytes(b"")
    with pytest.raises(RunError) as error:
        train(resume=copy, quiet=True)
    assert error.value.help == "start a new run; no other checkpoint of this one can be read"


def test_a_spec_or_a_run_but_not_both(trained: Run) -> None:
    with pytest.raises(TypeError, match="train needs a spec or resume=, and not both"):
        train("nowcast.yaml", resume=trained.path)
    with pytest.raises(TypeError):
        train()


def test_what_check_warns_of_is_said_before_training(plain: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = plain.read_text("utf-8")
    plain.write_text(
        text.replace("layers:\n", "layers:\n  - {id: idle, layer: Flatten, from: rain}\n").replace(
            "{id: forecast,", "{id: forecast, from: rain,"
        ),
        encoding="utf-8",
    )
    train(plain, overrides=["train.epochs=1"], out=plain.parent / "runs")
    assert "warning: nothing reads idle, and it is not an output" in capsys.readouterr().out


def test_what_the_framework_refuses_in_the_first_step_is_no_traceback(plain: Path) -> None:
    with pytest.raises(RunError) as caught:
        train(plain, overrides=["train.loss=SparseCategoricalCrossentropy"], out=plain.parent / "runs", quiet=True)
    assert "could not train the model" in caught.value.message
    assert "Graph execution error" not in caught.value.message


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_while_a_run_is_scored_ends_it_at_once(number: int, plain: Path, monkeypatch: Any) -> None:
    def killed(*_: object, **__: object) -> None:
        os.kill(os.getpid(), number)

    monkeypatch.setattr(import_module("specbuild.evaluation.evaluate"), "evaluate", killed)
    before = signal.getsignal(number)
    with pytest.raises(Interrupted, match=r"interrupted after training\. Score the model with") as stop:
        train(plain, overrides=["train.epochs=1", "train.steps_per_epoch=1"], out=plain.parent, quiet=True)
    assert stop.value.number == number
    assert signal.getsignal(number) is before
    (manifest,) = plain.parent.glob("*/run.json")
    assert json.loads(manifest.read_text("utf-8"))["status"] == "interrupted"
    assert (manifest.parent / "model.keras").is_file()
