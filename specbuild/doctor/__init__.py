"""Checks of the machine: versions, framework, devices, a model trained for one step, free space on the disk."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np

from specbuild.document import SpecbuildError
from specbuild.document.amounts import in_bytes
from specbuild.graph import Graph
from specbuild.version import __version__

Verdict: TypeAlias = Literal["ok", "note", "fault"]
Outcome: TypeAlias = tuple[Verdict, str]
"""The verdict of a check, and what it saw."""

LIBRARIES = (
    *("keras", "tensorflow", "jax", "numpy", "pydantic", "h5py", "xarray", "netCDF4", "zarr", "av"),
    *("matplotlib", "rich"),
)
LITTLE_ROOM = 2**30
"""Bytes free on the disk below which a run may not fit."""

_CELL = {"layer": "ConvLSTM2D", "filters": 2, "kernel_size": 3, "padding": "same"}
SPEC = {
    "specbuild": 1,
    "name": "doctor",
    "inputs": {"x": [3, 8, 8, 1]},
    "layers": [
        {"id": "encoder", **_CELL},
        {"layer": "RepeatFrame", "from": "encoder.last", "times": 2},
        {"id": "decoder", **_CELL, "initial_state": "encoder"},
        {"id": "y", "time_distributed": {"layer": "Conv2D", "filters": 1, "kernel_size": 1}},
    ],
}
"""A model small enough to be trained in a moment, with what fails most often: a recurrence with a passed state."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: its subject, its result, and whether that is a fault."""

    subject: str
    verdict: Verdict
    text: str


def examine(folder: Path, graph: Graph | None = None) -> Iterator[Finding]:
    """Run every check; a fault does not stop the others.

    Args:
        folder: where runs are to be written.
        graph: of a spec; a last check says how many of its samples fit into the device's memory.
    """
    yield Finding("specbuild", "ok", f"{__version__} on Python {platform.python_version()}, {platform.platform()}")
    yield Finding("libraries", "ok", ", ".join(_versions()))
    of_spec = {"memory": lambda _: _memory(graph)} if graph is not None else {}
    for subject, check in (_CHECKS | of_spec).items():
        try:
            yield Finding(subject, *check(folder))
        except (SpecbuildError, OSError, ImportError, ValueError, RuntimeError) as error:
            yield Finding(subject, "fault", _in_one_line(error))


def _in_one_line(error: Exception) -> str:
    """Return what an error says, with its help."""
    text = "; ".join(filter(None, (getattr(error, "message", str(error)), getattr(error, "help", ""))))
    return " ".join(text.split()) or type(error).__name__


def _backend(_folder: Path) -> Outcome:
    from specbuild.model.backend import backend_name, keras

    chosen = "KERAS_BACKEND" if os.environ.get("KERAS_BACKEND") else "the default, or what keras.json says"
    text = f"{backend_name()} under Keras {keras.__version__} ({chosen})"
    if backend_name() not in ("tensorflow", "jax"):
        return "note", f"{text}; specbuild is tested with tensorflow and jax"
    return "ok", text


def _device(_folder: Path) -> Outcome:
    from specbuild.model.backend import device_name, has_accelerator
    from specbuild.training.capacity import room

    there = room()
    memory = f", {in_bytes(there.bytes)} of memory" if there is not None else ""
    text = f"{device_name()}{memory}, {os.cpu_count()} processor cores"
    if has_accelerator():
        return "ok", text
    return "note", f"{text}; the framework sees no GPU, so large models train slowly"


def _gpu(_folder: Path) -> Outcome:
    from specbuild.doctor.gpu import missing
    from specbuild.model.backend import backend_name, has_accelerator

    complete, text = missing(backend_name(), has_accelerator())
    return "ok" if complete else "fault", text


def _precision(_folder: Path) -> Outcome:
    from specbuild.training.policy import fastest

    choice = fastest()
    return "ok", f"precision: auto means {choice.policy} here: {choice.reason}"


def _memory(graph: Graph) -> Outcome:
    """Say how many samples of a spec fit."""
    from specbuild.training.capacity import demand, room
    from specbuild.training.policy import policy_for

    needed, there = demand(graph, None, policy_for(graph.spec.train.precision)), room()
    if needed is None:
        return (
            "note",
            f"{graph.name}: unknown, because the spec leaves a length open; specbuild check --data shows it",
        )
    size = graph.spec.batch_size
    text = f"{graph.name}: a training step with a batch size of {size} takes about {in_bytes(needed.of(size).bytes)}"
    if there is None:
        return "note", f"{text}; the memory of the device is not known"
    fitting = needed.fitting(there.bytes)
    held = f"{in_bytes(there.bytes)} of {there.of}"
    verdict: Verdict = "ok" if fitting >= size else "fault" if needed.of(size).least > there.bytes else "note"
    if fitting < 1:
        return verdict, f"{text}, and even one sample may not fit into the {held}"
    return verdict, f"{text}; {fitting:,} samples are predicted to fit into the {held}"


def _training(_folder: Path) -> Outcome:
    """Train a tiny model for a step, and compare the losses before and after."""
    from specbuild.model import build_model
    from specbuild.model.backend import jit_compile

    model = build_model(SPEC)
    model.compile("adam", "mse", jit_compile=jit_compile())
    x, y = np.ones((2, 3, 8, 8, 1), np.float32), np.ones((2, 2, 8, 8, 1), np.float32)
    started = time.perf_counter()
    first, last = (float(model.train_on_batch(x, y)) for _ in range(2))
    taken = time.perf_counter() - started
    if not last < first:
        return "fault", f"the loss of a tiny model does not fall: {first:g}, then {last:g}"
    return "ok", f"a tiny encoder-forecaster trains: loss {first:.3f}, then {last:.3f}, {taken:.1f} s"


def _saving(_folder: Path) -> Outcome:
    """Save and load a model, and compare its outputs before and after."""
    from specbuild.model import build_model
    from specbuild.model.backend import keras

    model = build_model(SPEC)
    x = np.linspace(0, 1, 192, dtype=np.float32).reshape(1, 3, 8, 8, 1)
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "model.keras"
        model.save(file)
        again = keras.models.load_model(file)
    if not np.allclose(model.predict_on_batch(x), again.predict_on_batch(x), atol=1e-6):
        return "fault", "a saved model gives other outputs once it is loaded"
    return "ok", "a saved model gives the same outputs once it is loaded"


def _room(folder: Path) -> Outcome:
    existing = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.is_dir())
    free = shutil.disk_usage(existing).free
    text = f"{free / 2**30:,.1f} GB free for runs in {folder}"
    if not os.access(existing, os.W_OK):
        return "fault", f"{existing} cannot be written to"
    return "ok" if free >= LITTLE_ROOM else "note", text


_CHECKS: dict[str, Callable[[Path], Outcome]] = {
    "backend": _backend,
    "device": _device,
    "gpu": _gpu,
    "precision": _precision,
    "training": _training,
    "saving": _saving,
    "disk": _room,
}


def _versions() -> Iterator[str]:
    for name in LIBRARIES:
        try:
            yield f"{name} {importlib.metadata.version(name)}"
        except importlib.metadata.PackageNotFoundError:
            yield f"no {name}"
