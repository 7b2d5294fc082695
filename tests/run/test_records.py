"""Edited and damaged records of a run: an error that names file and key, or a record that still means something."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from specbuild.data import open_data
from specbuild.document import RunError, SpecbuildError
from specbuild.facade import build_graph
from specbuild.language import load_spec
from specbuild.prediction.past import latest_past
from specbuild.runs.folder import RunFolder
from specbuild.runs.lock import Process
from specbuild.runs.provenance import data_files, described
from specbuild.runs.records import Manifest
from specbuild.runs.trained import TrainedRun
from specbuild.training import train
from specbuild.training.session import Session
from tests.run.manifests import manifest

HOSTILE: tuple[Any, ...] = (
    *(None, True, 7, -1, 1.5, 1e308, 10**400, "text", "", "foo\n\x1b[31m", "../../etc/passwd"),
    *([], [1], [None], {}, {"a": {"b": 1}}, [[[]]], "x" * 200_000),
)
"""What each value of a record is replaced by."""


@pytest.fixture
def folder(plain: Path) -> RunFolder:
    """A run folder as it is after an epoch, but for the content of its models, which no test here reads."""
    text = plain.read_text("utf-8").replace("[standardize]", "[{name: clip, min: 0}, log1p, standardize]")
    plain.write_text(text, encoding="utf-8")
    spec = load_spec(plain)
    dataset = open_data(spec, build_graph(spec))

    def fill(folder: RunFolder) -> None:
        folder.write_manifest(
            **manifest(
                name=spec.name,
                **folder.directories(spec),
                samples=described(dataset),
                data=data_files(spec),
                process=Process.this().model_dump(),
                resumed=[{"at": "2026-01-31", "after_epoch": 1, "versions": {"python": "3.11.4"}}],
                colours={"low": 0.0, "high": 6.5, "skewed": True},
                notes=["a note"],
                init_from={
                    "path": "/runs/before",
                    "sha256": "0" * 64,
                    "taken": ["forecast"],
                    "missing": [],
                    "surplus": ["enc"],
                    "other_shape": {"dec": [[3, 3, 1, 4], [3, 3, 1, 8]]},
                },
                finished="2026-01-31T12:10:00+00:00",
                error="the disk is full",
                epochs=1,
                model_epoch=1,
                chosen_by="lowest val_loss",
                best_epoch=1,
                spec="spec/spec.yaml",
                callbacks=["ReduceLROnPlateau"],
                loggers={"mlflow": {"run": "0a1b"}},
            )
        )
        folder.save_spec(spec)
        (folder.path / "spec").mkdir()
        (folder.path / "spec/spec.yaml").write_text(text, encoding="utf-8")
        folder.transforms_file.write_text(json.dumps(dataset.transform.state()), encoding="utf-8")

    with RunFolder.create(plain.parent / "runs", spec.name, fill) as run:
        for file in (run.checkpoint(1), run.model_file):
            file.touch()
        return run


def opened_for_resume(folder: RunFolder) -> None:
    train(resume=folder.path, quiet=True)


def opened_for_evaluation(folder: RunFolder) -> None:
    trained = TrainedRun.open(folder.path)
    assert len(trained.dataset.split("test"))
    assert isinstance(trained.note, str)


def opened_for_prediction(folder: RunFolder) -> None:
    assert latest_past(TrainedRun.open(folder.path))
    folder.manifest()


OPENINGS: tuple[Callable[[RunFolder], None], ...] = (opened_for_resume, opened_for_evaluation, opened_for_prediction)


def refusal(what: str, opening: Callable[[RunFolder], None], folder: RunFolder) -> SpecbuildError | None:
    try:
        opening(folder)
    except SpecbuildError as error:
        return error
    except Exception as error:
        raise AssertionError(f"{what}: {error!r}") from error
    return None


def edits(value: Any) -> Iterator[tuple[str, Any]]:
    """Every edit of a JSON value, with its name: each value replaced, each key removed, a key added to each mapping."""
    for place in places(value):
        for hostile in HOSTILE:
            yield f"{place} = {str(hostile)[:20]!r}", changed(value, place, lambda _, hostile=hostile: hostile)
        parent = place[:-1]
        if place and isinstance(place[-1], str):
            without = {key: each for key, each in at(value, parent).items() if key != place[-1]}
            yield f"{place} removed", changed(value, parent, lambda _, without=without: without)
        if isinstance(at(value, place), dict):
            yield f"{place} with a key", changed(value, place, lambda mapping: {**mapping, "surplus": 1})
        if isinstance(at(value, place), list):
            yield f"{place} twice as long", changed(value, place, lambda items: [*items, *items])


def places(value: Any) -> Iterator[tuple[str | int, ...]]:
    yield ()
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inner:
        yield from ((key, *place) for place in places(each))


def at(value: Any, place: tuple[str | int, ...]) -> Any:
    for key in place:
        value = value[key]
    return value


def changed(value: Any, place: tuple[str | int, ...], change: Callable[[Any], Any]) -> Any:
    if not place:
        return change(value)
    value = copy.deepcopy(value)
    at(value, place[:-1])[place[-1]] = change(at(value, place))
    return value


def damages(text: bytes) -> dict[str, bytes]:
    """Every damage of a file's bytes, by name."""
    cuts = {f"cut after {share}%": text[: len(text) * share // 100] for share in range(0, 100, 9)}
    return cuts | {
        "byte order mark": b"\xef\xbb\xbf" + text,
        "UTF-16": text.decode().encode("utf-16"),
        "no UTF-8": text.replace(b"e", b"\xff", 1),
        "zeros": bytes(len(text)),
        "NaN": text.replace(b"0", b"NaN", 1),
        "infinity": text.replace(b": 0.0", b": Infinity", 1).replace(b": 1", b": -Infinity", 1),
        "a key twice": text.replace(b"{", b'{"a": 1, "a": 2, ', 1),
        "something after it": text + b"}",
        "deep lists": b"[" * 200_000,
        "deep mappings": b'{"a":' * 200_000,
        "long number": b'{"seed": ' + b"9" * 10_000 + b"}",
    }


@pytest.mark.parametrize("name", ["run.json", "transforms.json"])
def test_no_edit_of_a_record_is_a_traceback(name: str, folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Session, "run", lambda *_, **__: None)
    for opening in OPENINGS:
        opening(folder)
    assert set(folder.manifest()) == set(Manifest.model_fields)
    path = folder.path / name
    before = path.read_bytes()
    number = refused = 0
    written = ((what, json.dumps(edited).encode()) for what, edited in edits(json.loads(before)))
    for what, content in (*written, *damages(before).items()):
        path.write_bytes(content)
        number += 1
        for opening in OPENINGS:
            error = refusal(what, opening, folder)
            if error is not None:
                refused += 1
                assert "\n" not in getattr(error, "message", ""), what
                assert not (isinstance(error, RunError) and name in error.message) or error.help, what
    assert number > 250
    assert refused > 2 * number


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        ({"precision": "foo"}, 'run.json is damaged: precision: expected "float32" or "mixed_bfloat16", got "foo"'),
        (
            {"data": [{"path": "a.npy", "bytes": "7"}]},
            "run.json is damaged: data[0].bytes: expected a whole number, got",
        ),
        ({"machine": None}, "run.json is damaged: machine: expected a mapping, got nothing"),
        ({"statsu": "finished"}, 'run.json is damaged: unknown key "statsu"'),
        ({"spec": "spec/../../other.yaml"}, "run.json is damaged: spec: "),
    ],
)
def test_a_fault_of_run_json_is_named_by_its_key(edit: dict[str, Any], told: str, folder: RunFolder) -> None:
    folder.manifest_file.write_text(json.dumps(folder.manifest() | edit))
    with pytest.raises(RunError) as error:
        TrainedRun.open(folder.path)
    assert told in error.value.message
    assert error.value.help == "restore it from a copy, or train again; only specbuild should write this file"


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        (lambda state: state["steps"][2].update(mean=3), "steps[2].mean: expected a list, got 3"),
        (lambda state: state["steps"][2].update(mean=[1, 2]), "steps[2].mean: 2 numbers for 1 channels"),
        (lambda state: state["steps"][2].update(name="standardise"), 'steps[2].no step is called "standardise"'),
        (lambda state: state["steps"][1].pop("offset"), ""),
        (lambda state: state.pop("fill"), 'it has no "fill"'),
        (lambda state: state["steps"].pop(), ""),
    ],
)
def test_a_fault_of_transforms_json_is_named_by_its_key(
    edit: Callable[[Any], Any], told: str, folder: RunFolder
) -> None:
    state = json.loads(folder.transforms_file.read_text())
    edit(state)
    folder.transforms_file.write_text(json.dumps(state))
    if told:
        with pytest.raises(RunError, match=r"transforms\.json is damaged: ") as error:
            folder.transform()
        assert told in error.value.message
    else:
        folder.transform()


def test_a_transform_of_another_spec_is_refused(folder: RunFolder) -> None:
    state = json.loads(folder.transforms_file.read_text())
    state["steps"].pop()
    folder.transforms_file.write_text(json.dumps(state))
    with pytest.raises(RunError) as error:
        assert TrainedRun.open(folder.path).dataset
    assert error.value.message == (
        "the saved transform is clip, log1p for 1 channels, the spec has clip, log1p, standardize for 1"
    )


def test_what_is_no_record_is_never_written(folder: RunFolder) -> None:
    before = folder.manifest_file.read_bytes()
    with pytest.raises(ValueError, match='unknown key "statsu"'):
        folder.update_manifest(statsu="finished")
    assert folder.manifest_file.read_bytes() == before
