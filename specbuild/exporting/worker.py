"""The part of an export that needs a framework, in a process that runs on the one that the format is made with.

    python -m specbuild.exporting.worker job.pickle result.pickle

Where this process already runs on that framework, the functions are called in it instead.
"""

from __future__ import annotations

import os
import pickle
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from specbuild.data import motion
from specbuild.document import RunError, SpecbuildError
from specbuild.exporting.description import MOTION_FILE, Exported, Shape
from specbuild.exporting.formats import FORMATS
from specbuild.runs.trained import TrainedRun

STEPPED = "stepped"
"""In the result of a conversion, how far a model that runs frame by frame is from the run."""


@dataclass(frozen=True, slots=True)
class Job:
    """One call of a worker.

    Attributes:
        task: `reference`: run the model of the run on samples; `convert`: write it in the format.
        run: the run folder; `plugins`, `overrides` and `horizon` are those of `TrainedRun.open`.
        folder: where the samples are, `<graph>.npz`, and the exported files go, `<graph><suffix>`.
        batch: a fixed size of the batch; None: any.
        tolerance: of a streaming model: how far its forecasts may be from the run's, relative to their spread.
    """

    task: Literal["reference", "convert"]
    run: str
    plugins: tuple[str, ...]
    overrides: tuple[str, ...]
    horizon: int | None
    shape: Shape
    format: str
    folder: Path
    batch: int | None = None
    tolerance: float = 1e-3

    def do(self) -> Any:
        """Do the task, in a process with the right framework.

        Returns:
            For `reference` where the samples come from; for `convert` the manifest.
        """
        trained = TrainedRun.open(self.run, self.plugins, overrides=self.overrides, horizon=self.horizon)
        trained = replace(trained, precision="float32")
        return self._reference(trained) if self.task == "reference" else self._convert(trained)

    def _reference(self, trained: TrainedRun) -> str:
        from specbuild.exporting.samples import physical_samples, whole_samples

        samples = physical_samples(trained) if self.shape == "physical" else whole_samples(trained)
        samples.store(self.folder / "model.npz")
        return samples.source

    def _convert(self, trained: TrainedRun) -> dict[str, Any]:
        from specbuild.exporting.convert import convert

        exported = exported_as(trained, self.shape)
        format = FORMATS[self.format]
        for graph in exported.graphs:
            convert(graph, format, self.folder / f"{graph.name}{format.suffix}", self.batch)
        if exported.needs_motion:
            shutil.copyfile(motion.__file__, self.folder / MOTION_FILE)
        if self.shape == "streaming":
            from specbuild.exporting.stepped import stepped_samples

            every, difference = stepped_samples(trained, exported, self.tolerance)
            for name, samples in every.items():
                samples.store(self.folder / f"{name}.npz")
            return exported.manifest(**{STEPPED: asdict(difference)})
        return exported.manifest()


def exported_as(trained: TrainedRun, shape: Shape) -> Exported:
    """Return the model of a run in one of its forms, which imports the framework.

    Raises:
        ArgumentError: the model has no such form, and why.
    """
    if shape == "physical":
        from specbuild.exporting.physical import physical

        return physical(trained)
    if shape == "whole":
        from specbuild.exporting.whole import whole

        return whole(trained)
    from specbuild.exporting.streaming import streaming

    return streaming(trained)


def do(job: Job, backend: str) -> Any:
    """Do a job in a process whose Keras runs on a framework: this one if it already does, or one of its own.

    Raises:
        SpecbuildError: whatever the job raises.
    """
    keras = sys.modules.get("keras")
    if keras is not None and getattr(keras, "backend", None) is not None and keras.backend.backend() == backend:
        return job.do()
    with tempfile.TemporaryDirectory() as folder:
        given, result = Path(folder) / "job.pickle", Path(folder) / "result.pickle"
        given.write_bytes(pickle.dumps(job))
        environment = {
            **os.environ,
            "KERAS_BACKEND": backend,
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
            "TF_CPP_MIN_LOG_LEVEL": "3",
            "TORCHDYNAMO_DISABLE": "1",  # PyTorch would compile for minutes what runs a few times
        }
        done = subprocess.run(
            [sys.executable, "-m", "specbuild.exporting.worker", str(given), str(result)],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if not result.exists():
            raise RunError(
                f"the process that exports on {backend} ended with code {done.returncode}: {last_lines(done.stderr)}",
                help="if memory ran out, export a smaller model or fewer frames",
            )
        outcome = pickle.loads(result.read_bytes())
    if isinstance(outcome, SpecbuildError):
        raise outcome
    return outcome


def last_lines(text: str, count: int = 3) -> str:
    """Return the last lines of what a process wrote."""
    lines: Iterable[str] = [line.strip() for line in text.splitlines() if line.strip()]
    return " ".join(list(lines)[-count:])[-600:]


def main(given: str, result: str) -> None:
    """Do the job in one file and write its result, or the error that it raised, into another."""
    job: Job = pickle.loads(Path(given).read_bytes())
    try:
        outcome = job.do()
    except SpecbuildError as error:
        outcome = error
    Path(result).write_bytes(pickle.dumps(outcome))


if __name__ == "__main__":
    main(*sys.argv[1:])
