"""Runs reported to TensorBoard, MLflow and Weights & Biases, read back with the tools' own readers."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from specbuild.document import SpecError
from specbuild.training import Interrupted, Run, train
from specbuild.training.loggers import reporting
from specbuild.training.loggers.base import Beginning, Ending, RunLogger, flattened
from specbuild.training.loggers.kinds import KINDS
from tests.run.test_callbacks import Record

# What the packages themselves warn of is theirs to mend; the threads of loggers must not be ended by it.
pytestmark = pytest.mark.filterwarnings("ignore")
_BLOCK = 2**15
EPOCHS = ["train.epochs=3", "train.steps_per_epoch=4"]


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, str]:
    """A run with all loggers, interrupted in the second epoch and resumed, and the database of MLflow."""
    for name in ("tensorboard", "mlflow", "wandb"):
        pytest.importorskip(name, reason=f"pip install 'specbuild[{name}]'")
    folder = tmp_path_factory.mktemp("reported")
    conftest = import_module("tests.run.conftest")
    import_module("numpy").save(folder / "blobs.npy", conftest.blobs())
    text = conftest.SPEC.replace("past: 3", "past: 2")
    head, _, rest = text.partition("layers:\n")
    spec = folder / "nowcast.yaml"
    spec.write_text(head + conftest.CONVOLUTION + rest[rest.index("\ndata:") :], encoding="utf-8")
    uri = f"sqlite:///{folder}/mlflow.db"
    loggers = f"[tensorboard, {{mlflow: {{tracking_uri: '{uri}', experiment: tests}}}}, {{wandb: {{mode: offline}}}}]"
    overrides = [*EPOCHS, f"train.loggers={loggers}"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reporting, "SHORT", 120.0)
        patch.chdir(folder)  # where MLflow puts the artifacts of a run in a database
        with pytest.raises(Interrupted):
            train(spec, overrides=overrides, out=folder / "runs", quiet=True, callbacks=[Record(("step", 2))])
    (path,) = (folder / "runs").iterdir()
    known = json.loads((path / "run.json").read_text("utf-8"))["loggers"]
    assert set(known) == {"tensorboard", "mlflow", "wandb"}
    run = train(resume=path, quiet=True)
    manifest = run.folder.manifest()
    assert manifest["loggers"] == known
    assert not [note for note in manifest["notes"] if "logger" in note]
    return run, uri


def test_tensorboard_shows_the_run(reported: tuple[Run, str]) -> None:
    run, _ = reported
    accumulator = import_module("tensorboard.backend.event_processing.event_accumulator")
    events = accumulator.EventAccumulator(str(run.path / "tensorboard"), {"tensors": 0, "scalars": 0, "images": 0})
    events.Reload()
    for name in ("loss", "val_loss", "learning_rate"):
        shown = events.Scalars(f"epoch/{name}")
        assert [event.step for event in shown] == [1, 2, 3]
        assert [event.value for event in shown] == pytest.approx([row[name] for row in run.history])
    assert run.scores is not None
    (rmse,) = (column for column in run.scores.tables[0].columns if column.score == "RMSE")
    by_lead = events.Scalars("test/RMSE by lead time")
    assert [(event.step, event.value) for event in by_lead] == [
        (lead, pytest.approx(value)) for lead, value in enumerate(rmse.values, 1)
    ]
    assert events.Scalars("test/RMSE")[0].value == pytest.approx(rmse.overall)
    assert "pictures/loss" in events.Tags()["images"]
    (text,) = events.Tensors("parameters")
    assert b"| train.optimizer.learning_rate | 0.01 |" in text.tensor_proto.string_val[0]


def test_mlflow_has_one_run(reported: tuple[Run, str]) -> None:
    run, uri = reported
    client = import_module("mlflow").MlflowClient(uri)
    experiment = client.get_experiment_by_name("tests")
    (shown,) = client.search_runs([experiment.experiment_id])
    assert (shown.info.status, shown.info.run_name) == ("FINISHED", run.path.name)
    assert shown.data.params["train.optimizer.learning_rate"] == "0.01"
    assert shown.data.params["layers.forecast.time_distributed.filters"] == "1"
    losses = client.get_metric_history(shown.info.run_id, "val_loss")
    assert [(each.step, each.value) for each in losses] == [
        (number, row["val_loss"]) for number, row in enumerate(run.history, 1)
    ]
    assert run.scores is not None
    assert (
        shown.data.metrics["test/RMSE"]
        == {column.label: column.overall for column in run.scores.tables[0].columns}["RMSE"]
    )
    leads = client.get_metric_history(shown.info.run_id, "test/CSI at least 1 by lead time")
    assert [each.step for each in leads] == [1, 2]
    names = {artifact.path for artifact in client.list_artifacts(shown.info.run_id)}
    assert {"spec.yaml", "resolved.yaml", "history.jsonl", "scores.json", "loss.png"} <= names


def test_wandb_has_one_run_offline(reported: tuple[Run, str]) -> None:
    run, _ = reported
    identity = run.folder.manifest()["loggers"]["wandb"]["run"]
    files = sorted((run.path / "wandb").glob(f"offline-run-*-{identity}/*.wandb"))
    assert len(files) == 2, "before the interruption and after it, with one id"
    records = [record for file in files for record in _wandb_records(file)]
    rows = [{item.key or item.nested_key[0]: item.value_json for item in each.history.item} for each in records]
    shown = {int(json.loads(row["epoch"])): row for row in rows if "val_loss" in row}
    assert [json.loads(shown[number]["val_loss"]) for number in (1, 2, 3)] == [row["val_loss"] for row in run.history]
    said = {item.key or item.nested_key[0] for each in records for item in each.summary.update}
    assert "test/RMSE" in said
    configured = {item.key or item.nested_key[0] for each in records for item in each.run.config.update}
    assert "train.optimizer.learning_rate" in configured


def _wandb_records(path: Path) -> list[Any]:
    """Every record in a file of Weights & Biases: a LevelDB log of protocol buffers after a header of 7 bytes."""
    record = import_module("wandb.proto.wandb_internal_pb2").Record
    content, place, parts, records = path.read_bytes(), 7, b"", []
    while place + 7 <= len(content):
        if _BLOCK - place % _BLOCK < 7:  # the end of a block, which no record begins in
            place += _BLOCK - place % _BLOCK
            continue
        length, kind = struct.unpack_from("<HB", content, place + 4)
        parts += content[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # a whole record, or the last part of one
            records.append(record.FromString(parts))
            parts = b""
    return records


class Broken(RunLogger):
    """Fails at the second epoch."""

    name = "tensorboard"
    needs = ()

    def begin(self, beginning: Beginning, record: Callable[[dict[str, str]], None]) -> None:
        record(dict(beginning.known))

    def epoch(self, number: int, values: Mapping[str, float]) -> None:  # noqa: ARG002
        if number == 2:
            raise ConnectionError("the server\ncannot be reached")

    def end(self, ending: Ending) -> None:  # noqa: ARG002
        raise AssertionError("a logger that failed is called again")


class Late(Broken):
    """Keeps the status that the run has when the logger is told of its end."""

    name = "mlflow"
    found = ""

    def epoch(self, number: int, values: Mapping[str, float]) -> None:
        """Do nothing."""

    def end(self, ending: Ending) -> None:
        Late.found = json.loads((ending.files[0].parent / "run.json").read_text("utf-8"))["status"]


def test_a_logger_that_fails_is_left_out(plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(KINDS, "tensorboard", Broken)
    monkeypatch.setitem(KINDS, "mlflow", Late)
    run = train(plain, overrides=[*EPOCHS, "train.loggers=[tensorboard, mlflow]"], out=tmp_path, quiet=True)
    note = "the logger tensorboard stopped reporting: ConnectionError: the server cannot be reached; training continues"
    assert (len(run.history), run.folder.manifest()["status"]) == (3, "finished")
    assert run.folder.manifest()["notes"] == [note]
    assert Late.found == "finished"  # a run is complete before its loggers are
    lines = [json.loads(line) for line in (run.path / "history.jsonl").read_text("utf-8").splitlines()]
    times = [{name: line[name] for name in ("seconds", "ended")} for line in lines]
    assert [{**row, **time} for row, time in zip(run.history, times, strict=True)] == lines


def test_a_logger_whose_package_is_missing_is_an_error_at_its_place(
    plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("specbuild.document.extras.find_spec", lambda name: None if name == "mlflow" else name)
    with pytest.raises(SpecError) as error:
        train(plain, overrides=["train.loggers=[tensorboard, mlflow]"], out=tmp_path / "runs", quiet=True)
    (diagnostic,) = error.value.diagnostics
    assert diagnostic.message == "the logger mlflow needs mlflow, which is not installed"
    assert diagnostic.help == "pip install 'specbuild[mlflow]', or leave the logger out"
    assert diagnostic.path == "train.loggers.1"
    assert not (tmp_path / "runs").exists()


def test_a_spec_is_flattened_by_ids() -> None:
    spec = {"layers": [{"id": "enc", "filters": 3}, {"sizes": [1, 2]}], "train": {"epochs": 2}}
    assert dict(flattened(spec)) == {
        "layers.enc.id": "enc",
        "layers.enc.filters": 3,
        "layers.1.sizes": [1, 2],
        "train.epochs": 2,
    }


def test_a_slow_logger_is_not_waited_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reporting, "PATIENCE", 0.05)
    notes: list[str] = []
    gate = import_module("threading").Event()

    class Slow(Broken):
        def epoch(self, number: int, values: Mapping[str, float]) -> None:  # noqa: ARG002
            gate.wait(30)

    reporter = reporting.Reporter([Slow(None)], None, notes.append)  # type: ignore[arg-type]
    reporter.epoch({"epoch": 1.0, "loss": 1.0}, 0.5)
    reporter.end(Ending("finished"))
    gate.set()
    assert notes == ["the logger tensorboard stopped reporting: it did not finish within 0 s; training continues"]
