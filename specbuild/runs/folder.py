"""The run folder: all files of a training run, enough to repeat it.

    runs/radar-nowcast-20260131-142501/
    ├── spec.yaml             the spec as written
    ├── spec/                 the spec with the files that it extends or uses, where there are any, placed as they were
    ├── resolved.yaml         the spec with variables, defaults and overrides applied
    ├── run.json              versions, machine, device, precision, seed, command, overrides, data files, status
    ├── transforms.json       statistics of the training data, which undo the transforms
    ├── frames.json           interval, coordinates and coverage of the training frames
    ├── history.csv           one row per epoch
    ├── history.jsonl         the same with times, a line of JSON per epoch
    ├── checkpoints/          epoch-0003.keras, epoch-0004-step-000500.keras …: weights, optimizer, history, seeds;
    │                         those of the last epochs, of the best, and of the last steps of the running epoch
    ├── model.keras           the model that evaluate and predict use
    ├── last-good.keras       until there is a checkpoint: the weights before a step that failed
    ├── scores.json  scores.csv  scores.png
    └── forecast.png  forecast.gif  loss.png

Every file is written whole or not at all, so a run that is cut off leaves no partial file.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from specbuild.data.transforms.pipeline import Transform
from specbuild.document import Diagnostic, Mapping, RunError, SpecError, did_you_mean
from specbuild.language import Spec
from specbuild.language.sections.train import Backend
from specbuild.runs import saved_spec
from specbuild.runs.checkpoint import Position
from specbuild.runs.files import write_json, write_text
from specbuild.runs.frames import TrainingFrames
from specbuild.runs.framework import BACKENDS
from specbuild.runs.hidden import new_folder
from specbuild.runs.lock import Process, RunLock, writer
from specbuild.runs.records import damaged, manifest_problem, read_json
from specbuild.runs.status import RunStatus

CHECKPOINTS = "checkpoints"
_MANIFEST = threading.Lock()
"""Held while run.json is written: a signal may end the run from another thread."""


class _File:
    """A path inside the run folder, as an attribute."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, folder: RunFolder, _owner: type | None = None) -> Path:
        return folder.path / self.name


@dataclass(frozen=True, slots=True)
class RunFolder:
    """The paths of one run, and the reading and writing of its small files."""

    path: Path

    spec_file = _File("spec.yaml")
    resolved_file = _File("resolved.yaml")
    manifest_file = _File("run.json")
    transforms_file = _File("transforms.json")
    frames_file = _File("frames.json")
    history_file = _File("history.csv")
    lines_file = _File("history.jsonl")
    model_file = _File("model.keras")
    last_good_file = _File("last-good.keras")

    @classmethod
    @contextmanager
    def create(
        cls,
        out: str | Path,
        name: str,
        fill: Callable[[RunFolder], None],
        *,
        time: datetime | None = None,
        stamped: bool = True,
    ) -> Iterator[RunFolder]:
        """Make the folder `<out>/<name>-<date>-<time>` and hold its lock within the block.

        The folder is filled under a hidden name and then renamed, so it appears with everything that `fill` writes, or
        not at all. If the name is taken, a number is added to it.

        Args:
            out: where to make it.
            name: of the spec.
            fill: writes the files that every run folder has.
            time: when the run began; None: now.
            stamped: whether date and time are part of the folder's name.

        Raises:
            RunError: the folder cannot be made.
        """
        base = stamped_name(name, time) if stamped else plain_name(name)

        def filled(hidden: Path) -> None:
            (hidden / CHECKPOINTS).mkdir()
            fill(cls(hidden))

        with new_folder(Path(out), base, filled) as path:
            yield cls(path)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the lock of the folder within the block.

        Raises:
            RunError: another process holds it, or the folder cannot be written.
        """
        try:
            lock = RunLock(self.path)
        except OSError as error:
            raise RunError(
                f"the run folder {self.path} cannot be written to: {error.strerror}",
                help="copy it to a folder that you may write to, and use the copy",
            ) from error
        with lock:
            (self.path / CHECKPOINTS).mkdir(exist_ok=True)
            yield

    @classmethod
    def open(cls, path: str | Path) -> RunFolder:
        """Return the run in an existing folder.

        Raises:
            SpecError: there is no such folder, or it is not a run folder.
        """
        folder = cls(Path(path))
        if folder.manifest_file.is_file() and folder.spec_file.is_file():
            return folder
        if not folder.path.exists():
            parent = folder.path.parent
            help = did_you_mean(folder.path.name, _runs_in(parent)) or _latest(parent)
            raise _wrong(f"there is no run folder {path}", help)
        what = "a file" if folder.path.is_file() else "not a run folder: it has no run.json"
        raise _wrong(f"{path} is {what}", _latest(folder.path) or "give a folder that specbuild train made")

    @classmethod
    def to_resume(cls, path: str | Path) -> RunFolder:
        """Return the run in a folder; of a folder of runs, the latest that is neither finished nor being trained.

        Where all are finished, it is the latest.

        Raises:
            SpecError: there is no such folder, or neither is it a run folder nor does it hold any.
            RunError: every run in it that is not finished is being trained.
        """
        if cls(Path(path)).manifest_file.is_file() or not (runs := _by_start(Path(path))):
            return cls.open(path)
        states = [(run, run.status()) for run in reversed(runs)]
        free = [(run, status.state) for run, status in states if status.state != "running"]
        if not free:
            raise RunError(f"every run in {path} is being trained: {states[0][0].path.name}: {states[0][1].text}")
        return next((run for run, state in free if state != "finished"), free[0][0])

    @property
    def scores_file(self) -> Path:
        """The scores of the evaluation that ends a training."""
        return self.path / "scores.json"

    def checkpoint(self, epoch: int, step: int = 0) -> Path:
        """Return the file of the state after `epoch` epochs and `step` steps of the next."""
        return self.path / CHECKPOINTS / Position(epoch, step).file_name

    def checkpoints(self) -> dict[Position, Path]:
        """Return the checkpoints on disk by how far training was, in order."""
        paths = (self.path / CHECKPOINTS).glob("epoch-*.keras")
        return dict(sorted((position, path) for path in paths if (position := Position.named(path.name))))

    @property
    def reached(self) -> Position | None:
        """How far training is by its last checkpoint; None where there is none."""
        return max(self.checkpoints(), default=None)

    @property
    def finished(self) -> int:
        """The last epoch after which there is a checkpoint; 0 where there is none."""
        return max((position.epoch for position in self.checkpoints() if not position.step), default=0)

    def manifest(self) -> dict[str, Any]:
        """Return what run.json says.

        Raises:
            RunError: it is damaged.
        """
        values = read_json(self.manifest_file)
        if problem := manifest_problem(values):
            raise damaged(self.manifest_file, problem)
        return values

    @property
    def backend(self) -> Backend | None:
        """The framework that the run began with; None where it is not recorded."""
        versions = self.manifest()["versions"]
        return next((name for name in BACKENDS if name in versions), None)

    def status(self) -> RunStatus:
        """Return whether the run is being trained, and if not, how it ended.

        Raises:
            RunError: run.json is damaged.
        """
        manifest, process = self.manifest(), writer(self.path)
        state, gone = manifest["status"], None
        if process is not None:
            state = "running"
        elif state == "running":
            state, gone = "interrupted", manifest.get("process")
        return RunStatus(state, self.reached, process or (gone and Process(**gone)), manifest.get("error") or "")

    def transform(self) -> dict[str, Any]:
        """Return the state of the transform that the model was trained with.

        Raises:
            RunError: it is damaged.
        """
        state = read_json(self.transforms_file)
        try:
            Transform.from_state(state)
        except RunError as error:
            raise damaged(self.transforms_file, error.message) from error
        return state

    def training_frames(self) -> TrainingFrames:
        """Return what is known of the frames that the model was trained on; of an older run, nothing.

        Raises:
            RunError: it is damaged.
        """
        if not self.frames_file.exists():
            return TrainingFrames()
        values = read_json(self.frames_file)
        try:
            return TrainingFrames.read(values)
        except ValueError as error:
            raise damaged(self.frames_file, str(error)) from error

    def write_manifest(self, **values: Any) -> None:
        """Write run.json; `Manifest` has its keys."""
        if problem := manifest_problem(values):
            raise ValueError(problem)
        write_json(self.manifest_file, values)

    def update_manifest(self, **values: Any) -> None:
        """Update `values` in run.json and keep the rest.

        Raises:
            RunError: it is damaged, or gone.
        """
        with _MANIFEST:
            self.write_manifest(**self.manifest() | values)

    def record_logger(self, name: str, identity: dict[str, str]) -> None:
        """Record in run.json by what a logger finds its run again; a thread of training may do so.

        Raises:
            RunError: run.json is damaged, or gone.
        """
        with _MANIFEST:
            values = self.manifest()
            self.write_manifest(**values | {"loggers": {**values.get("loggers", {}), name: identity}})

    def offer(self, **values: Any) -> None:
        """Write `values` into run.json unless another process writes the folder, which would lose what that one writes.

        Raises:
            RunError: run.json is damaged, or gone.
        """
        process = writer(self.path)
        if process is not None and process.is_this:
            self.update_manifest(**values)
        elif process is None:
            try:
                lock = RunLock(self.path)
            except (RunError, OSError):  # another process was faster, or the folder cannot be written
                return
            with lock:
                self.update_manifest(**values)

    def directories(self, spec: Spec) -> dict[str, str]:
        """Return for run.json the folder that the paths of a spec are relative to."""
        return saved_spec.directories(self.path, spec)

    def save_spec(self, spec: Spec) -> None:
        """Write the spec as it was written and resolved, and all files that it was read from."""
        file = saved_spec.save_spec(self.path, spec)
        write_text(self.resolved_file, spec.resolved())
        if file:
            self.update_manifest(**file)

    @property
    def overrides(self) -> tuple[str, ...]:
        """The overrides that the run was trained with."""
        return tuple(self.manifest()["overrides"])

    def load_spec(
        self, overrides: Iterable[str] = (), *, change: Callable[[Mapping], tuple[str, ...]] | None = None
    ) -> Spec:
        """Return the run's spec, with the overrides it was trained with, then `overrides`, then those of `change`.

        Its paths are still relative to the folder of the file it was read from. If that folder is gone, they are
        relative to the folder at the same path relative to the run folder.

        Raises:
            SpecError: an override does not fit.
        """
        return saved_spec.read_saved_spec(self.path, self.manifest(), overrides, change=change)


def plain_name(name: str) -> str:
    """Return a name with dashes for whatever does not belong into the name of a folder."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.") or "run"


def stamped_name(name: str, time: datetime | None = None) -> str:
    """Return `<name>-<date>-<time>`, the name of a new folder; None: now."""
    return f"{plain_name(name)}-{(time or datetime.now()).strftime('%Y%m%d-%H%M%S')}"


def _runs_in(folder: Path) -> list[str]:
    names = (path.parent.name for path in folder.glob("*/run.json"))
    return sorted(name for name in names if not name.startswith("."))  # the others are still being filled


def runs_below(folder: Path) -> list[RunFolder]:
    """Return the runs in a folder and in the folders in it, by path.

    Raises:
        SpecError: there is no such folder.
    """
    if not folder.is_dir():
        raise _wrong(
            f"there is no folder {folder}", "name the folder that runs were written to, as in specbuild runs ."
        )
    found = (path.parent for path in folder.glob("**/run.json"))
    visible = (path for path in found if not any(part.startswith(".") for part in path.relative_to(folder).parts))
    return [RunFolder(path) for path in sorted(visible)]


def _by_start(folder: Path) -> list[RunFolder]:
    """Return the runs in `folder` in the order in which they began, without those whose run.json is damaged."""
    began = []
    for name in _runs_in(folder):
        run = RunFolder(folder / name)
        with suppress(RunError):
            began.append((run.manifest()["started"], run.path.stat().st_mtime_ns, name, run))
    return [run for *_, run in sorted(began, key=lambda each: each[:3])]


def _latest(folder: Path) -> str:
    """Return a hint that names the latest run in `folder`; empty if it holds none."""
    runs = _by_start(folder)
    return f"the latest run there is {runs[-1].path}" if runs else ""


def _wrong(message: str, help: str) -> SpecError:
    return SpecError([Diagnostic(message, help=help, code="no-run-folder")])
