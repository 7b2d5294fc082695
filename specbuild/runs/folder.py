"""The run folder: everything that a training run leaves behind, and enough to repeat it.

    runs/radar-nowcast-20260131-142501/
    ├── spec.yaml             the spec as written
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
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from specbuild.document import Diagnostic, RunError, SpecError, did_you_mean
from specbuild.language import Spec, load_spec
from specbuild.runs.files import write_json, write_text

_CHECKPOINT = re.compile(r"epoch-(\d+)\.keras")


@dataclass(frozen=True, slots=True)
class RunFolder:
    """The paths of one run, and the reading and writing of its small files."""

    path: Path

    @classmethod
    def create(cls, out: str | Path, name: str, *, now: datetime | None = None) -> RunFolder:
        """A new, empty folder `<out>/<name>-<date>-<time>`; a number is added rather than reuse an existing one.

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
        """The run in an existing folder.

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

    @property
    def spec_file(self) -> Path:
        return self.path / "spec.yaml"

    @property
    def resolved_file(self) -> Path:
        return self.path / "resolved.yaml"

    @property
    def manifest_file(self) -> Path:
        return self.path / "run.json"

    @property
    def transforms_file(self) -> Path:
        return self.path / "transforms.json"

    @property
    def history_file(self) -> Path:
        return self.path / "history.csv"

    @property
    def best_file(self) -> Path:
        return self.path / "best.keras"

    @property
    def model_file(self) -> Path:
        return self.path / "model.keras"

    def evaluation(
        self, name: str, split: str = "test", horizon: int | None = None, variable: str | None = None
    ) -> Path:
        """A file of an evaluation: `scores.json`, `scores-validation.json`, `forecast-t2m-horizon-15.png`.

        Args:
            name: what it is called for the test split, all variables (`variable` None) and the horizon of the training
                (`horizon` None).
        """
        stem, kind = name.split(".")
        further = ("" if split == "test" else split, variable or "", "" if horizon is None else f"horizon-{horizon}")
        parts = (stem, *(part for part in further if part))
        return self.path / f"{'-'.join(parts)}.{kind}"

    def picture(self, name: str) -> Path:
        """`forecast.png`, `forecast.gif` or `loss.png`."""
        return self.path / name

    def checkpoint(self, epoch: int) -> Path:
        """The file of the state after `epoch` epochs; 0 is the state before training."""
        return self.path / "checkpoints" / f"epoch-{epoch:04d}.keras"

    def checkpoints(self) -> dict[int, Path]:
        """The checkpoints on disk by epoch, in order."""
        found = ((_CHECKPOINT.fullmatch(path.name), path) for path in (self.path / "checkpoints").glob("epoch-*.keras"))
        return dict(sorted((int(match[1]), path) for match, path in found if match))

    @property
    def reached(self) -> int | None:
        """The epoch of the last checkpoint, 0 where no epoch was finished; None where no checkpoint is left."""
        return max(self.checkpoints(), default=None)

    def manifest(self) -> dict[str, Any]:
        """What run.json says.

        Raises:
            RunError: it is damaged.
        """
        try:
            value = json.loads(self.manifest_file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise RunError(f"{self.manifest_file} cannot be read: {error}") from error
        if not isinstance(value, dict):
            raise RunError(f"{self.manifest_file} is damaged: it holds no mapping")
        return value

    def transform(self) -> dict[str, Any]:
        """The state of the transform that the model was trained with.

        Raises:
            RunError: it is damaged.
        """
        path = self.transforms_file
        try:
            value: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise RunError(f"{path} cannot be read: {error}") from error
        return value

    def update_manifest(self, **values: Any) -> None:
        """Writes `values` into run.json, beside what is there."""
        known = self.manifest() if self.manifest_file.exists() else {}
        write_json(self.manifest_file, known | values)

    def save_spec(self, spec: Spec) -> None:
        write_text(self.spec_file, spec.written)
        write_text(self.resolved_file, spec.resolved())

    def load_spec(self, overrides: Iterable[str] = ()) -> Spec:
        """The run's spec, with the overrides it was trained with and then `overrides`.

        Its paths are still relative to the folder of the file it was read from.

        Raises:
            SpecError: an override does not fit.
        """
        manifest = self.manifest()
        spec = load_spec(self.spec_file, overrides=(*manifest.get("overrides", ()), *overrides))
        return replace(spec, name=manifest.get("name", spec.name), directory=Path(manifest.get("directory", "")))


def _runs_in(folder: Path) -> list[str]:
    return sorted(path.parent.name for path in folder.glob("*/run.json")) if folder.is_dir() else []


def _latest(folder: Path) -> str:
    """A hint at the youngest run in `folder`; empty where it holds none."""
    runs = [folder / name for name in _runs_in(folder)]
    return f"the latest run there is {max(runs, key=lambda run: run.stat().st_mtime)}" if runs else ""


def _wrong(message: str, help: str) -> SpecError:
    return SpecError([Diagnostic(message, help=help, code="no-run-folder")])
