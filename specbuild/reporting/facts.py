"""The provenance of a run: its command, versions, machine, seeds and data, as tables."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterator, Sequence
from typing import Any

from specbuild.document.amounts import in_bytes
from specbuild.document.html import html_table
from specbuild.document.text_table import Column
from specbuild.evaluation.classes import ClassScores
from specbuild.reporting.opened import ReportedRun


def command(run: ReportedRun) -> str:
    """Return the command that repeats a run, as a shell takes it."""
    program, *arguments = run.manifest["command"] or ["specbuild"]
    named = "specbuild" if program.endswith("specbuild/__main__.py") else program
    return shlex.join([named, *arguments])


def provenance(runs: Sequence[ReportedRun]) -> str:
    """Return what is recorded of runs as HTML, a column for each."""
    facts = [dict(_facts(run)) for run in runs]
    names = list(dict.fromkeys(name for each in facts for name in each))
    columns = [Column("item"), *(Column(f"{run.letter}: {run.name}" if len(runs) > 1 else run.name) for run in runs)]
    rows = [[name, *(each.get(name, "–") for each in facts)] for name in names]
    return html_table(columns, rows, "Versions, machine and seeds")


def _facts(run: ReportedRun) -> Iterator[tuple[str, str]]:
    manifest = run.manifest
    yield "state", run.status.text.removeprefix("it is ")
    yield "started", manifest["started"]
    if manifest.get("finished"):
        yield "finished", manifest["finished"]
    epochs = manifest.get("epochs") or run.folder.finished
    yield "epochs", f"{epochs} of {run.spec.train.epochs}"
    if manifest.get("model_epoch") is not None:
        chosen = f", chosen by {manifest['chosen_by']}" if manifest.get("chosen_by") else ""
        yield "epoch of the model", f"{manifest['model_epoch']}{chosen}"
    yield "seed", str(manifest["seed"])
    yield "precision", manifest["precision"]
    if manifest.get("batch_size") is not None:
        yield "batch size", str(manifest["batch_size"])
    for key, value in manifest["machine"].items():
        yield key, "–" if value is None else str(value)
    for key, value in manifest["versions"].items():
        yield key, value
    yield "overrides", ", ".join(manifest["overrides"]) or "none"
    for number, entry in enumerate(manifest["data"], start=1):
        yield f"data {number}" if len(manifest["data"]) > 1 else "data", _data(entry)
    if (initial := manifest.get("init_from")) is not None:
        yield "initial weights", f"{initial['path']}, {len(initial['taken'])} weights taken"
    for each in manifest.get("resumed") or ():
        yield f"resumed {each['at']}", _resumed(each)


def _data(entry: dict[str, Any]) -> str:
    parts = [entry["path"]]
    if entry.get("files"):
        parts.append(f"{entry['files']:,} files")
    if entry.get("bytes") is not None:
        parts.append(in_bytes(entry["bytes"]))
    checksum = entry.get("sha256") or entry.get("sampled_sha256")
    if checksum:
        parts.append(f"SHA-256{' of samples' if not entry.get('sha256') else ''} {checksum[:12]}…")
    return ", ".join(parts)


def _resumed(each: dict[str, Any]) -> str:
    step = f" and {each['after_step']} steps" if each.get("after_step") else ""
    changes = "; ".join(f"{path} from {before} to {after}" for path, (before, after) in each.get("changes", {}).items())
    return "; ".join(filter(None, (f"after epoch {each['after_epoch']}{step}", changes, *each.get("notes", ()))))


def class_tables(scores: ClassScores) -> list[str]:
    """Return the scores of each class and the confusion matrix, as HTML."""

    def share(value: float) -> str:
        return "–" if math.isnan(value) else f"{value:.3f}"

    titles = {"precision": "precision", "recall": "recall", "f1": "F1"}
    columns = [Column("class"), Column("clips", number=True)]
    columns += [Column(title, number=True) for title in titles.values()]
    rows = [
        [name, str(scores.support[label]), *(share(scores.of_class(label)[title]) for title in titles)]
        for label, name in enumerate(scores.classes)
    ]
    confusion = [Column("true class"), *(Column(name, number=True) for name in scores.classes)]
    counts = [[name, *map(str, row)] for name, row in zip(scores.classes, scores.confusion, strict=True)]
    return [
        html_table(columns, rows, "Scores of each class"),
        html_table(confusion, counts, "Clips by true class (rows) and predicted class (columns)"),
    ]
