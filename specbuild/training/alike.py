"""What processes must have in common before they train together: the spec, the data, the software, the run folder."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from specbuild.data.samples.base import Samples
from specbuild.document import RunError, SpecError
from specbuild.graph import Graph
from specbuild.runs.files import sha256
from specbuild.runs.folder import RunFolder
from specbuild.runs.initial_weights import WeightSource
from specbuild.runs.provenance import data_files, described, versions
from specbuild.training.hosts import Processes
from specbuild.training.opened import open_for_training

_SAME_FILES = "put it on a file system that all hosts share, or copy it to each (cp -p keeps the times of files)"
_SAME_COMMAND = "start all processes with the same command in the same environment"
_HELP = {
    "": _SAME_COMMAND,
    "data": _SAME_FILES,
    "split of the data": _SAME_FILES,
    "file of initial weights": _SAME_FILES,
}


def compare_commands(processes: Processes, resume: str | Path | None) -> None:
    """Make sure that all processes run the same software to the same end.

    Raises:
        RunError: they do not.
    """
    if processes.count == 1:
        return
    software = {f"version of {name}": version for name, version in versions().items() if name != "python"}
    aim = "a new run" if resume is None else f"--resume {resume}"
    help = {**dict.fromkeys(software, "install the same versions on all hosts"), "": _SAME_COMMAND}
    processes.compare("command", {**software, "command": aim}, help)


def open_together(processes: Processes, graph: Graph, fitted: Mapping[str, Any] | None = None) -> Samples:
    """Open the data of the graph's spec as `open_for_training` does, and make sure that all processes have the same.

    Only process 0 fits the transforms, if they are not `fitted` yet.

    Raises:
        SpecError: as `open_for_training`.
        RunError: the processes differ.
    """
    if processes.count == 1:
        return open_for_training(graph, fitted)
    opened = open_for_training(graph, fitted) if processes.writes else None
    state = processes.of_first("transforms", lambda: _state(opened))
    dataset = opened if opened is not None else open_for_training(graph, fitted or state)
    start = WeightSource.of(graph.spec)
    resolved = graph.spec.resolved().replace(str(graph.spec.directory.resolve()), ".")
    facts = {
        "spec": [hashlib.sha256(resolved.encode()).hexdigest()],
        "data": [{key: value for key, value in entry.items() if key != "path"} for entry in data_files(graph.spec)],
        "split of the data": described(dataset),
        "file of initial weights": [] if start is None else [sha256(start.file)],
        **_devices(),
    }
    processes.compare("data", facts, _HELP)
    return dataset


def _state(dataset: Samples | None) -> Any:
    assert dataset is not None
    return dataset.state()


def _devices() -> dict[str, str]:
    import jax

    devices = jax.local_devices()
    return {"kind of device": devices[0].device_kind, "number of devices": str(len(devices))}


def folder_to_resume(processes: Processes, path: str | Path) -> RunFolder:
    """Return the run folder that process 0 finds to resume.

    Raises:
        SpecError: there is none.
        RunError: this process does not see it.
    """
    chosen = processes.of_first("run folder to resume", lambda: str(RunFolder.to_resume(path).path))
    if processes.writes:
        return RunFolder(Path(chosen))
    try:
        return RunFolder.open(chosen)
    except SpecError as error:
        raise RunError(
            f"process {processes.index} sees no run folder {chosen}, which process 0 resumes",
            help="all processes read its checkpoint: put it on a file system that all hosts share, at the same path",
        ) from error


def compare_checkpoints(processes: Processes, path: Path | None) -> None:
    """Make sure that all processes go on from the same checkpoint, or all from none.

    Raises:
        RunError: they do not.
    """
    if processes.count == 1:
        return
    facts: dict[str, Any] = {"last checkpoint": path.name if path is not None else "none", "copy of it": []}
    if path is not None:
        with zipfile.ZipFile(path) as archive:  # every byte has been compared with these checksums
            facts["copy of it"] = [[member.filename, member.CRC] for member in archive.infolist()]
    help = "all processes must see the same run folder: put it on a file system that all hosts share"
    processes.compare("checkpoint", facts, {"": help})
