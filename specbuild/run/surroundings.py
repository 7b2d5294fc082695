"""What a run depends on besides its spec: versions, machine and data files, for run.json."""

from __future__ import annotations

import os
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from specbuild.data.sources import source_files
from specbuild.document import SpecError
from specbuild.run.files import sha256
from specbuild.spec import Spec
from specbuild.version import __version__


def versions() -> dict[str, str]:
    """Versions of everything that computes. Imports Keras."""
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
    """Where the run takes place. Imports Keras, which knows the device."""
    from specbuild.model.backend import device_name

    return {"system": platform.platform(), "cpu": platform.machine(), "cores": os.cpu_count(), "device": device_name()}


def data_files(spec: Spec) -> list[dict[str, Any]]:
    """Each data file of the spec with its size in bytes and its SHA-256; a folder without a checksum."""
    return [_data_file(path) for path in source_files(spec)]


def _data_file(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = {"path": str(path.resolve())}
    if path.is_file():
        found |= {"bytes": path.stat().st_size, "sha256": sha256(path)}
    return found


def check_data_unchanged(spec: Spec, recorded: list[dict[str, Any]]) -> None:
    """Refuses to continue on other data than a run began with.

    Raises:
        SpecError: located at the data's path.
    """
    before, now = [one.get("sha256") for one in recorded], [one.get("sha256") for one in data_files(spec)]
    if before != now:
        raise changed_data(spec)


def changed_data(spec: Spec) -> SpecError:
    return spec.error(
        ("data", "source", "path"),
        "the data is not what this run began with",
        reason="its checksum differs from the one in run.json",
        help="start a new run, or put the old file back",
        code="changed-data",
    )


def now() -> str:
    """The time, in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def absolute(path: Path) -> str:
    return str(path.resolve())
