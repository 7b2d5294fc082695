"""Provenance for run.json: versions, machine and data files."""

from __future__ import annotations

import os
import platform
import sys
from typing import Any

import numpy as np

from specbuild.data.sources import source_files
from specbuild.document import SpecError
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


def machine() -> dict[str, Any]:
    """Return the machine of the run. Imports Keras, which knows the device."""
    from specbuild.model.backend import device_name

    return {"system": platform.platform(), "cpu": platform.machine(), "cores": os.cpu_count(), "device": device_name()}


def data_files(spec: Spec) -> list[dict[str, Any]]:
    """Return the fingerprint of each path that the data section names; that of a pattern covers all its files."""
    return [fingerprint(path, files) for path, files in source_files(spec).items()]


def check_data_unchanged(spec: Spec, recorded: list[dict[str, Any]]) -> None:
    """Refuse to continue on other data than a run began with; data that is gone is an error when it is opened.

    Raises:
        SpecError: located at the data's path.
    """
    present = data_files(spec)
    if len(present) != len(recorded):
        raise _changed_data(spec, f"it is read from {len(present)} paths, run.json records {len(recorded)}")
    for before, after in zip(recorded, present, strict=True):
        if after.get("files") != 0 and (how := difference(before, after)):
            raise _changed_data(spec, how, sampled="sampled_sha256" in after)


def _changed_data(spec: Spec, reason: str, *, sampled: bool = False) -> SpecError:
    copied = "; copies of large files must keep the times of their last change, as cp -p does" if sampled else ""
    return spec.error(
        ("data", "source", "path"),
        "the data is not what this run began with",
        reason=reason,
        help=f"start a new run, or put the old data back{copied}",
        code="changed-data",
    )
