"""Provenance for run.json: versions, machine and data files."""

from __future__ import annotations

import os
import platform
import re
import sys
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from specbuild.data.samples.base import Samples
from specbuild.data.sources import FrameSource, source_files, source_urls
from specbuild.document import Diagnostic, RunError, SpecError
from specbuild.language import Spec
from specbuild.runs.fingerprint import difference, fingerprint
from specbuild.version import __version__


def versions() -> dict[str, str]:
    """Return the versions of the software that computes. Imports Keras."""
    from specbuild.model.backend import backend_name, keras

    backend = backend_name()
    return {
        "python": platform.python_version(),
        "specbuild": __version__,
        "keras": str(keras.__version__),
        backend: str(getattr(sys.modules.get(backend), "__version__", "unknown")),
        "numpy": np.__version__,
    }


def command() -> list[str]:
    """Return the command line of this process, without the passwords in its URLs."""
    return [without_password(argument) for argument in sys.argv]


def without_password(url: str) -> str:
    """Return a URL without its password, as it may be shown and written to a file."""
    return _PASSWORD.sub(r"\1@", url)


_PASSWORD = re.compile(r"(?<=://)([^:/@]*):[^@/]*@")


def machine(devices: str) -> dict[str, Any]:
    """Return the machine of a run that is trained on devices such as `gpu:0, gpu:1`."""
    return {"system": platform.platform(), "cpu": platform.machine(), "cores": os.cpu_count(), "device": devices}


def data_files(spec: Spec) -> list[dict[str, Any]]:
    """Return the fingerprint of each path that the data section names; that of a pattern covers all its files."""
    return [entry for _, entry in _fingerprints(spec)]


def _fingerprints(spec: Spec) -> list[tuple[tuple[str, ...], dict[str, Any]]]:
    """Return the fingerprint of each path after the key that names it, with the input that reads it, if one does."""
    found = [
        *((_key_of(spec, path), fingerprint(path, files)) for path, files in source_files(spec).items()),
        *((key, file.state()) for key, file in source_urls(spec)),
    ]
    return [(key, entry if key == SOURCE_PATH else {**entry, "input": key[2]}) for key, entry in found]


def described(samples: Samples) -> dict[str, Any]:
    """Return what run.json records of the samples: frames, units, variables or classes, and how many each split has."""
    metadata = samples.source.metadata
    return {
        "frames": sum(samples.source.lengths),
        "units": metadata.units_of or metadata.units,
        "classes": list(getattr(samples, "classes", ())),
        "splits": {name: len(split) for name, split in samples.splits.items()},
    }


def check_described(recorded: dict[str, Any], samples: Samples, *, same: bool) -> None:
    """Compare samples with those that a run was trained on.

    Args:
        recorded: what `described` returned then; empty where it is not known.
        samples: of the same data or of others.
        same: whether the data are the same, so that the splits must be as well.

    Raises:
        RunError: units, classes or the sizes of the splits differ.
    """
    here = described(samples)
    if recorded and recorded["classes"] != here["classes"]:
        raise RunError(
            f"the classes are {', '.join(here['classes'])}, the run was trained on {', '.join(recorded['classes'])}",
            help="the model predicts the classes it was trained on, in that order",
        )
    if recorded and same and here["splits"] != recorded["splits"]:
        then, now = (", ".join(f"{name} {size}" for name, size in each["splits"].items()) for each in (recorded, here))
        raise RunError(
            f"the splits have moved since training: {then} then, {now} now",
            help="score the run with the version of specbuild that trained it, given in run.json",
        )
    check_units(recorded, samples.source)


def check_units(recorded: dict[str, Any], source: FrameSource) -> None:
    """Refuse frames whose file states other units than that of the training; what states none passes.

    Raises:
        RunError: they differ.
    """
    then, now = recorded.get("units"), source.metadata.units_of or source.metadata.units
    if not then or not now or then == now:
        return
    raise RunError(
        f"{source.name} is in {_units(now)}, the run was trained on {_units(then)}",
        help="convert the data to the units of the training data",
    )


def _units(units: str | Mapping[str, str]) -> str:
    return units if isinstance(units, str) else ", ".join(f"{name} ({unit})" for name, unit in units.items())


def data_difference(spec: Spec, recorded: list[dict[str, Any]], replaced: Collection[str] = ()) -> str:
    """Return how the data differ from those that a run records, in words; empty where they do not, or are gone.

    The files of the inputs named by `replaced` are not compared.
    """
    return _difference(spec, recorded, replaced).how


def check_data_unchanged(spec: Spec, recorded: list[dict[str, Any]]) -> None:
    """Refuse to continue on other data than a run began with; data that is gone is an error when it is opened.

    Raises:
        SpecError: located at the data's path.
    """
    changed = _difference(spec, recorded)
    if changed.how:
        help = "start a new run, or put the old data back"
        raise changed_data(spec, changed.how, help, sampled=changed.sampled, key=changed.key)


SOURCE_PATH = ("data", "source", "path")
"""The key of where the data are."""


@dataclass(frozen=True, slots=True)
class _Change:
    """How data differ from those that a run records, in words; empty where they do not.

    `sampled` is whether blocks of them were compared, `key` that of the path in the spec.
    """

    how: str = ""
    sampled: bool = False
    key: tuple[str, ...] = SOURCE_PATH


def _difference(spec: Spec, recorded: list[dict[str, Any]], replaced: Collection[str] = ()) -> _Change:
    present = _fingerprints(spec)
    if len(recorded) > 1 and not any("input" in entry for entry in recorded):
        # A run of an earlier version does not say which input reads what: its paths are in the order of its spec.
        if len(present) != len(recorded):
            return _other_paths(len(present), len(recorded))
        recorded = [
            {**entry, **({"input": now["input"]} if "input" in now else {})}
            for entry, (_, now) in zip(recorded, present, strict=True)
        ]
    for name in dict.fromkeys(entry.get("input", "") for entry in (*recorded, *(entry for _, entry in present))):
        if name in replaced:
            continue
        before = [entry for entry in recorded if entry.get("input", "") == name]
        now = [(key, entry) for key, entry in present if entry.get("input", "") == name]
        if len(before) != len(now):
            return _other_paths(len(present), len(recorded))
        for then, (key, here) in zip(before, now, strict=True):
            if here.get("files") != 0 and (how := difference(then, here)):
                how = f"what the input {name} reads differs: {how}" if name else how
                return _Change(how, "sampled_sha256" in here, key)
    return _Change()


def _other_paths(present: int, recorded: int) -> _Change:
    return _Change(f"it is read from {present} paths, run.json records {recorded}")


def _key_of(spec: Spec, place: Path | str) -> tuple[str, ...]:
    """Return the key of the spec that names a path or a URL of its data."""
    data = spec.require_data()
    keys = zip(data.files, data.path_keys, strict=True)
    return next((key for file, key in keys if place in (file, spec.resolve_path(file))), SOURCE_PATH)


def changed_data(
    spec: Spec, reason: str, help: str, *, sampled: bool = False, key: tuple[str, ...] = SOURCE_PATH
) -> SpecError:
    """Return the error of data that are not those that a run was trained with, located at the key of their path."""
    copied = "; copies of large files must keep their modification times, as with cp -p" if sampled else ""
    return spec.error(
        key,
        "the data is not what this run began with",
        reason=reason,
        help=f"{help}{copied}",
        code="changed-data",
    )


@contextmanager
def perhaps_moved(spec: Spec) -> Iterator[None]:
    """Say how to name the new place of the data, in the error over data that are gone.

    Raises:
        SpecError: what is raised inside.
    """
    try:
        yield
    except SpecError as error:
        gone = [path for path, files in source_files(spec).items() if not any(file.exists() for file in files)]
        if not gone:
            raise
        moved = f"if the data have moved, name their new place with --set {'.'.join(_key_of(spec, gone[0]))}=…"
        faults = (
            replace(fault, help="; ".join(filter(None, (fault.help, moved)))) if _names_data(fault) else fault
            for fault in error.diagnostics
        )
        raise SpecError(faults) from error


def _names_data(fault: Diagnostic) -> bool:
    return fault.path.startswith(("data.source", "data.inputs"))
