"""The run folder: all files of a training run, enough to repeat it.

    runs/radar-nowcast-20260131-142501/
    ├── spec.yaml             the spec as written
    ├── spec/                 the spec with the files that it extends or uses, where there are any, placed as they were
    ├── resolved.yaml         the spec with variables, defaults and overrides carried out
    ├── run.json              versions, machine, device, precision, seed, command, overrides, data files, status
    ├── transforms.json       statistics of the training data, which undo the transforms
    ├── history.csv           one row per epoch
    ├── checkpoints/          epoch-0003.keras …: weights, optimizer and everything that continuing needs
    ├── best.keras            the checkpoint of the best epoch; none where nothing tells one, as without validation data
    ├── model.keras           the model that evaluate and predict use
    ├── scores.json  scores.csv  scores.png
    └── forecast.png  forecast.gif  loss.png

Every file is written whole or not at all, so a run that is cut off leaves none in halves.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from specbuild.document import Diagnostic, Mapping, RunError, SpecError, did_you_mean
from specbuild.language import Spec, load_spec
from specbuild.runs.files import copy, write_json, write_text

_CHECKPOINT = re.compile(r"epoch-(\d+)\.keras")


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
    history_file = _File("history.csv")
    best_file = _File("best.keras")
    model_file = _File("model.keras")

    @classmethod
    def create(cls, out: str | Path, name: str, *, now: datetime | None = None) -> RunFolder:
        """Make a new, empty folder `<out>/<name>-<date>-<time>`; a number is added rather than reuse an existing one.

        Raises:
            RunError: the folder cannot be made.
        """
        stamp = (now or datetime.now()).strftime("%Y%m%d-%H%M%S")
        base = f"{re.sub(r'[^A-Za-z0-9._-]+', '-', name).strip('-.') or 'run'}-{stamp}"
        try:
            Path(out).mkdir(parents=True, exist_ok=True)
            for number in range(1, 1000):
                path = Path(out) / (base if number == 1 else f"{base}-{number}")
                try:
                    path.mkdir()
                except FileExistsError:
                    continue
                return cls(path)
        except OSError as error:
            raise RunError(
                f"cannot make a run folder in {out}: {error.strerror}", help="choose another place with --out"
            ) from error
        raise RunError(f"{out} already holds 999 runs called {base}")

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

    def evaluation(
        self, name: str, split: str = "test", horizon: int | None = None, variable: str | None = None
    ) -> Path:
        """Return a file of an evaluation: `scores.json`, `scores-validation.json`, `forecast-t2m-horizon-15.png`.

        Args:
            name: what it is called for the test split, all variables (`variable` None) and the horizon of the training
                (`horizon` None).
        """
        stem, kind = name.split(".")
        further = ("" if split == "test" else split, variable or "", "" if horizon is None else f"horizon-{horizon}")
        parts = (stem, *(part for part in further if part))
        return self.path / f"{'-'.join(parts)}.{kind}"

    def checkpoint(self, epoch: int) -> Path:
        """Return the file of the state after `epoch` epochs; 0 is the state before training."""
        return self.path / "checkpoints" / f"epoch-{epoch:04d}.keras"

    def checkpoints(self) -> dict[int, Path]:
        """Return the checkpoints on disk by epoch, in order."""
        paths = (self.path / "checkpoints").glob("epoch-*.keras")
        return dict(sorted((int(match[1]), path) for path in paths if (match := _CHECKPOINT.fullmatch(path.name))))

    @property
    def reached(self) -> int | None:
        """The epoch of the last checkpoint, 0 where no epoch was finished; None where no checkpoint is left."""
        return max(self.checkpoints(), default=None)

    def manifest(self) -> dict[str, Any]:
        """Return what run.json says.

        Raises:
            RunError: it is damaged.
        """
        manifest = _read_json(self.manifest_file)
        if not isinstance(manifest, dict):
            raise RunError(f"{self.manifest_file} is damaged: it holds no mapping")
        return manifest

    def transform(self) -> dict[str, Any]:
        """Return the state of the transform that the model was trained with.

        Raises:
            RunError: it is damaged.
        """
        state: dict[str, Any] = _read_json(self.transforms_file)
        return state

    def update_manifest(self, **values: Any) -> None:
        """Write `values` into run.json, beside what is there."""
        known = self.manifest() if self.manifest_file.exists() else {}
        write_json(self.manifest_file, known | values)

    def save_spec(self, spec: Spec) -> None:
        """Write the spec as it was written and resolved, and all files that it was read from."""
        write_text(self.spec_file, spec.written)
        write_text(self.resolved_file, spec.resolved())
        if not spec.files:
            return
        root = Path(os.path.commonpath([spec.here, *(file.parent for file in spec.files)]))
        copies = self.path / "spec"
        for file in spec.files:
            target = copies / file.relative_to(root)
            if not (target.exists() and target.samefile(file)):
                copy(file, target)
        main = copies / spec.here.relative_to(root) / "spec.yaml"
        write_text(main, spec.written)
        self.update_manifest(spec=main.relative_to(self.path).as_posix())

    @property
    def overrides(self) -> tuple[str, ...]:
        """The overrides that the run was trained with."""
        return tuple(self.manifest().get("overrides", ()))

    def load_spec(
        self, overrides: Iterable[str] = (), *, change: Callable[[Mapping], tuple[str, ...]] | None = None
    ) -> Spec:
        """Return the run's spec, with the overrides it was trained with, then `overrides`, then those of `change`.

        Its paths are still relative to the folder of the file it was read from.

        Raises:
            SpecError: an override does not fit.
        """
        manifest = self.manifest()
        directory = Path(manifest.get("directory", ""))
        written = (*self.overrides, *overrides)
        file = self.path / manifest.get("spec", self.spec_file.name)
        spec = load_spec(file, overrides=written, change=change, directory=directory)
        return replace(spec, name=manifest.get("name", spec.name))


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunError(f"{path} cannot be read: {error}") from error


def _runs_in(folder: Path) -> list[str]:
    return sorted(path.parent.name for path in folder.glob("*/run.json")) if folder.is_dir() else []


def _latest(folder: Path) -> str:
    """Return a hint at the youngest run in `folder`; empty where it holds none."""
    runs = [folder / name for name in _runs_in(folder)]
    return f"the latest run there is {max(runs, key=lambda run: run.stat().st_mtime)}" if runs else ""


def _wrong(message: str, help: str) -> SpecError:
    return SpecError([Diagnostic(message, help=help, code="no-run-folder")])
