"""What a run folder says of a training: at its beginning, when it is resumed, and to loggers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from specbuild.data import Dataset
from specbuild.data.samples.base import Samples
from specbuild.language import Spec
from specbuild.runs.checkpoint import Progress
from specbuild.runs.clock import now
from specbuild.runs.compatibility import Change
from specbuild.runs.files import write_json
from specbuild.runs.folder import RunFolder
from specbuild.runs.frames import TrainingFrames
from specbuild.runs.initial_weights import InitialWeights
from specbuild.runs.lock import Process
from specbuild.runs.provenance import command, data_files, described, machine, versions
from specbuild.runs.records import TrainingPolicy
from specbuild.training.loggers.base import PICTURES, Beginning, Score, flattened

if TYPE_CHECKING:
    from specbuild.evaluation.stored import Scored


def beginning(
    spec: Spec,
    dataset: Samples,
    precision: TrainingPolicy,
    device: str,
    initial: InitialWeights | None,
    callbacks: Sequence[str],
) -> dict[str, Any]:
    """Return what run.json says of a run from its beginning."""
    return {
        "status": "running",
        "process": Process.this().model_dump(),
        "name": spec.name,
        "started": now(),
        "command": command(),
        "overrides": list(spec.overrides),
        "data": data_files(spec),
        "samples": described(dataset),
        **({"init_from": initial.record()} if initial is not None else {}),
        "seed": spec.train.seed,
        "precision": precision,
        "batch_size": spec.batch_size,
        "versions": versions(),
        "machine": machine(device),
        **({"callbacks": list(callbacks)} if callbacks else {}),
    }


def write_first_files(folder: RunFolder, spec: Spec, dataset: Samples, description: Mapping[str, Any]) -> None:
    """Write the files that every run folder has."""
    folder.write_manifest(**description, **folder.directories(spec))
    folder.save_spec(spec)
    write_json(folder.transforms_file, dataset.state())
    if isinstance(dataset, Dataset):
        write_json(folder.frames_file, TrainingFrames.of(dataset).model_dump())


def note_resumption(
    folder: RunFolder,
    spec: Spec,
    done: Progress,
    precision: TrainingPolicy,
    changes: Sequence[Change],
    notes: Sequence[str],
    callbacks: Sequence[str],
) -> None:
    """Write into run.json that the run goes on, and with what changes."""
    manifest = folder.manifest()
    entry: dict[str, Any] = {"at": now(), "after_epoch": done.epoch, "versions": versions()}
    if done.step:
        entry["after_step"] = done.step
    if changes:
        entry["changes"] = {change.path: [change.before, change.after] for change in changes}
    if notes:
        entry["notes"] = list(notes)
    folder.save_spec(spec)
    folder.update_manifest(
        status="running",
        process=Process.this().model_dump(),
        overrides=list(spec.overrides),
        **folder.directories(spec),
        precision=precision,
        batch_size=spec.batch_size,
        **({"callbacks": list(callbacks)} if callbacks or "callbacks" in manifest else {}),
        resumed=[*manifest.get("resumed", []), entry],
    )


def for_logger(spec: Spec, folder: RunFolder, done: Progress, known: Mapping[str, str]) -> Beginning:
    """Return what a logger is told of a run that begins or goes on."""
    parameters = dict(flattened(yaml.safe_load(spec.resolved())))
    return Beginning(folder.path, spec.name, parameters, spec.written, done.epoch, known)


def scores_for_logger(scored: Scored | None) -> list[Score]:
    """Return the scores of the model, at each lead time and over all, named like `CSI >= 1`; of clips, over all."""
    from specbuild.evaluation.classes import ClassScores

    if scored is None:
        return []
    if isinstance(scored, ClassScores):
        return [Score("accuracy", 0, scored.accuracy), Score("macro F1", 0, scored.macro_f1)]
    scores = []
    for evaluation in (scored, *scored.others):
        prefix = f"{evaluation.output} " if scored.others else ""
        for column in evaluation.tables[0].columns:
            values = enumerate(column.all, 1)
            name = f"{prefix}{column.label}"
            scores += [Score(name, lead if lead <= len(evaluation.leads) else 0, value) for lead, value in values]
    return [score for score in scores if math.isfinite(score.value)]


def files_for_logger(folder: RunFolder) -> list[Path]:
    """Return the files of a run that a logger is given: the spec, the history, the scores and the pictures."""
    names = (folder.spec_file, folder.resolved_file, folder.history_file, folder.lines_file)
    scores = sorted(path for path in folder.path.glob("scores*") if path.suffix in (".json", ".csv"))
    pictures = sorted(path for path in folder.path.iterdir() if path.suffix in PICTURES)
    return [path for path in (*names, *scores, *pictures) if path.is_file() and path.stat().st_size]
