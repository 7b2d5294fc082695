"""`export`: write the model of a run as a file that runs without specbuild, and verify it before it is kept."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

import numpy as np

from specbuild.data.arrays import Array
from specbuild.document import ArgumentError, RunError, did_you_mean
from specbuild.exporting import runtimes
from specbuild.exporting.description import MOTION_FILE, Shape
from specbuild.exporting.differences import Difference, difference_of
from specbuild.exporting.formats import FORMATS, Format, check_installed
from specbuild.exporting.naming import exported_name
from specbuild.exporting.plain_keras import check_plain_keras
from specbuild.exporting.stream.graphs import stream_graphs
from specbuild.exporting.worker import STEPPED, Job, do, last_lines
from specbuild.language import normalize
from specbuild.runs.files import write_json
from specbuild.runs.trained import TrainedRun
from specbuild.version import __version__

GRAPHS = ("start", "observe", "forecast")
"""The graphs that a streaming model may have."""
TOLERANCE = 1e-3
"""The largest difference that is accepted, as a share of the standard deviation of the output."""


@dataclass(frozen=True, slots=True)
class ExportResult:
    """The files of an export and how they were verified.

    Attributes:
        files: the exported files; a streaming model may have several, one that reads motion has a Python file besides.
        manifest: the file that describes the inputs and outputs.
        difference: the largest difference from the run's own forecasts.
        tolerance: the relative difference that was accepted.
        batch: the batch size, if the file fixes it; None: any.
        seconds: time for one sample in the format's own runtime, the fastest of five.
        tried_on: what was compared.
        notes: remarks on the exported model.
    """

    files: tuple[Path, ...]
    manifest: Path
    difference: Difference
    tolerance: float
    batch: int | None
    seconds: float
    tried_on: str
    notes: tuple[str, ...]


def export(
    run: str | Path,
    *,
    format: str = "savedmodel",
    shape: str = "physical",
    output: str | Path | None = None,
    overwrite: bool = False,
    horizon: int | None = None,
    tolerance: float | None = None,
    overrides: Mapping[str, Any] | Iterable[str] = (),
    plugins: Iterable[str] = (),
    note: Callable[[str], None] = lambda _: None,
) -> ExportResult:
    """Write the model of a run as a file that runs without specbuild.

    The file is run in its own runtime, in a process without specbuild, and compared with the run's own forecasts. If
    they differ by more than the tolerance, no file is kept.

    Args:
        run: the run folder.
        format: savedmodel, keras, onnx, litert, openvino or torch.
        shape: physical: past frames in physical units in, forecasts in physical units out, NaN where missing; whole:
            the model alone; streaming: one frame and the states in, one frame and the new states out.
        output: the file to write. Default: `exports/<name>-<shape><suffix>` in the run folder.
        overwrite: whether to replace existing files.
        horizon: number of frames to forecast, if not as in training.
        tolerance: the largest relative difference to accept. Default: 0.001 of the standard deviation of the output.
        overrides: changes of the run's spec that leave its weights unchanged.
        plugins: modules to import, which register custom layers.
        note: called with each note to the user, a sentence.

    Returns:
        The files and their manifest, and the largest difference between the file's forecasts and those of the run.

    Raises:
        SpecError: it is not a run folder, or nodes of the model cannot be exported in that shape or format.
        ArgumentError: there is no such format or shape; the file exists; the model cannot be exported in that shape.
        RunError: a package is missing; the run has no trained model; the format cannot express it; the outputs of the
            exported file differ from those of the run.
    """
    kind, form = _format(format), _shape(shape)
    check_installed(kind)
    plugins, given = tuple(plugins), normalize(overrides)
    trained = TrainedRun.open(run, plugins, overrides=given, horizon=horizon)
    _check_graphs(trained, kind, form)
    if trained.note:
        note(trained.note)
    path = Path(output) if output is not None else _default_path(trained, kind, form)
    _check_free(path, kind, form, overwrite=overwrite)
    accepted = TOLERANCE if tolerance is None else tolerance
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        work = tempfile.TemporaryDirectory(prefix=".export-", dir=path.parent)
    except OSError as error:
        raise RunError(f"{path} cannot be written: {error.strerror}", help="name another with --output") from error
    with work as folder:
        job = Job("reference", str(run), plugins, given, horizon, form, kind.name, Path(folder), tolerance=accepted)
        tried_on = "windows, frame by frame"
        if form != "streaming":
            tried_on = do(job, trained.folder.backend or "tensorflow")
        tried = _tried(job, kind, accepted, note)
        fixed = f"the batch is fixed at {tried.batch}" if tried.batch else ""
        notes = (*tried.manifest["notes"], *(each for each in (fixed, kind.note) if each))
        return _kept(tried, trained, kind, path, Path(folder), accepted, tried_on, notes)


def _check_graphs(trained: TrainedRun, kind: Format, shape: Shape) -> None:
    """Refuse what can be refused from the nodes alone, before a framework is loaded or a forecast computed.

    Raises:
        SpecError: nodes of the model cannot run frame by frame, or the format cannot hold them.
    """
    streams = stream_graphs(trained.graph).graphs if shape == "streaming" else ()
    if kind.holds_layers:
        check_plain_keras(tuple(each.graph for each in streams) or (trained.graph,))


@dataclass(frozen=True, slots=True)
class _Tried:
    """An exported model whose outputs agree with those of the run."""

    manifest: dict[str, Any]
    difference: Difference
    batch: int | None
    seconds: float


def _tried(job: Job, kind: Format, accepted: float, note: Callable[[str], None]) -> _Tried:
    """Convert and run a model with a variable batch size or, if the format cannot express it, with one sample."""
    folder = job.folder
    try:
        return _attempt(job, kind, accepted, None)
    except ArgumentError:
        raise
    except RunError as error:
        if not kind.may_fix_batch:
            raise
        first = error
    for path in folder.iterdir():
        if path.suffix != ".npz":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    try:
        tried = _attempt(job, kind, accepted, 1)
    except RunError as error:
        raise error from first
    note(f"with a variable batch size, {first.message}")
    return tried


def _attempt(job: Job, kind: Format, accepted: float, batch: int | None) -> _Tried:
    folder = job.folder
    manifest: dict[str, Any] = do(replace(job, task="convert", batch=batch), kind.backend)
    stepped = manifest.pop(STEPPED, None)
    differences = [] if stepped is None else [(Difference(**stepped), "forecast")]
    seconds = 0.0
    for graph in manifest["graphs"]:
        fixed = batch if batch is not None else graph["inputs"][0]["shape"][0]
        results, took = run_graph(kind, graph, folder, fixed)
        seconds += took
        differences += compared(results, graph, folder)
    worst, name = max(differences, key=lambda pair: pair[0].relative)
    difference = Difference(max(each.absolute for each, _ in differences), worst.relative)
    if not worst.relative <= accepted:
        raise RunError(
            f"{kind.title} gives a different {name} than the run: the largest difference is {worst.absolute:.2g}, "
            f"{worst.relative:.2g} of its standard deviation, and at most {accepted:g} is accepted",
            help="use another format, or accept a larger difference with --tolerance",
        )
    fixed = batch if batch is not None else manifest["graphs"][0]["inputs"][0]["shape"][0]
    return _Tried(manifest, difference, fixed, seconds)


def _in_a_process(job: Path) -> str:
    """Run a job of `runtimes` in a separate process; return the end of its error output, or nothing if it succeeds."""
    done = subprocess.run(
        [sys.executable, "-I", runtimes.__file__, str(job)], capture_output=True, text=True, check=False
    )
    return (last_lines(done.stderr) or f"it ended with code {done.returncode}") if done.returncode else ""


def run_graph(
    kind: Format,
    graph: dict[str, Any],
    folder: Path,
    batch: int | None,
    run: Callable[[Path], str] = _in_a_process,
) -> tuple[dict[str, Array], float]:
    """Run an exported graph in its own runtime.

    Args:
        graph: its record in the manifest.
        folder: with the exported file and the samples, both called as the graph.
        batch: the batch size, if the file fixes it; None: any.
        run: runs the job in a file, and returns the error if it fails.

    Returns:
        Its outputs, by the samples that they are of and the number of the output, and the seconds for one sample.

    Raises:
        RunError: the file does not run.
    """
    with np.load(folder / f"{graph['name']}.npz") as stored:
        inputs = {name.removeprefix("input/"): stored[name] for name in stored if not name.startswith("output/")}
    np.savez(folder / "inputs.npz", **inputs)
    job = {
        "format": kind.name,
        "file": str(folder / f"{graph['name']}{kind.suffix}"),
        "inputs": str(folder / "inputs.npz"),
        "outputs": str(folder / "outputs.npz"),
        "input_names": [each["name"] for each in graph["inputs"]],
        "output_names": [each["name"] for each in graph["outputs"]],
        "batch": batch,
        "computed": [
            {"name": each["name"], **each["computed"], "file": str(folder / each["computed"]["file"])}
            for each in graph["inputs"]
            if "computed" in each
        ],
        "path": [place for place in sys.path if place and not (Path(place) / "specbuild").is_dir()],
    }
    (folder / "job.json").write_text(json.dumps(job), "utf-8")
    if failure := run(folder / "job.json"):
        raise RunError(
            f"the exported file does not run in {kind.title}: {failure}",
            help="use another format, such as --format savedmodel",
        )
    with np.load(folder / "outputs.npz") as stored:
        results = {name: stored[name] for name in stored if name != "seconds"}
        return results, float(stored["seconds"])


def compared(results: Mapping[str, Array], graph: dict[str, Any], folder: Path) -> list[tuple[Difference, str]]:
    """Return how far the results of `run_graph` are from what is stored in a folder, and the name of each output."""
    differences = []
    with np.load(folder / f"{graph['name']}.npz") as stored:
        for key, given in results.items():
            start, stop, number = map(int, key.split("/"))
            name = graph["outputs"][number]["name"]
            differences.append((difference_of(given, stored[f"output/{name}"][start:stop]), name))
    return differences


def _kept(
    tried: _Tried,
    trained: TrainedRun,
    kind: Format,
    path: Path,
    folder: Path,
    accepted: float,
    tried_on: str,
    notes: tuple[str, ...],
) -> ExportResult:
    """Move the files to their final place, and write the manifest."""
    files = []
    graphs = tried.manifest["graphs"]
    beside = motion_path(path)
    _remove(beside)
    if (folder / MOTION_FILE).exists():
        shutil.move(folder / MOTION_FILE, beside)
    for graph in graphs:
        for each in graph["inputs"]:
            if "computed" in each:
                each["computed"]["file"] = beside.name
        place = path if len(graphs) == 1 else _place(path, kind, graph["name"])
        for suffix in kind.parts:
            target = place.with_suffix(suffix)
            _remove(target)
            shutil.move(folder / f"{graph['name']}{suffix}", target)
        files.append(place)
        graph["file"] = place.name
    files += [beside] if beside.exists() else []
    record = {
        **tried.manifest,
        "notes": list(notes),
        "format": kind.name,
        "name": trained.spec.name,
        "batch": tried.batch,
        "difference": {
            "absolute": tried.difference.absolute,
            "relative": tried.difference.relative,
            "tolerance": accepted,
            "tried_on": tried_on,
        },
        "seconds_per_sample": tried.seconds,
        "versions": {"specbuild": __version__, **_versions(kind)},
        "run": {"folder": trained.folder.path.name, "epoch": trained.folder.manifest().get("model_epoch")},
    }
    manifest = manifest_path(path)
    write_json(manifest, record)
    return ExportResult(tuple(files), manifest, tried.difference, accepted, tried.batch, tried.seconds, tried_on, notes)


def manifest_path(path: Path) -> Path:
    """Return where the manifest of an exported file lies."""
    return path.with_name(f"{path.name}.json")


def motion_path(path: Path) -> Path:
    """Return the path of the Python file that computes the motion for an exported file."""
    return path.with_name(f"{path.name}.{MOTION_FILE}")


def _versions(kind: Format) -> dict[str, str]:
    """Return the versions of the packages that made the file, and that ran it."""
    from importlib.metadata import PackageNotFoundError, version

    found = {}
    for name in ("keras", *kind.packages):
        try:
            found[name] = version(name.replace("_", "-"))
        except PackageNotFoundError:
            continue
    return found


def _format(name: str) -> Format:
    if name not in FORMATS:
        hint = did_you_mean(name, FORMATS) or f"there are {', '.join(FORMATS)}"
        raise ArgumentError(f"no format is called {name}", help=hint)
    return FORMATS[name]


def _shape(name: str) -> Shape:
    shapes: tuple[Shape, ...] = get_args(Shape)
    for shape in shapes:
        if shape == name:
            return shape
    raise ArgumentError(
        f"no shape is called {name}", help=did_you_mean(name, shapes) or f"there are {', '.join(shapes)}"
    )


def _default_path(trained: TrainedRun, kind: Format, shape: Shape) -> Path:
    return trained.folder.path / "exports" / f"{exported_name(trained.spec.name)}-{shape}{kind.suffix}"


def _check_free(path: Path, kind: Format, shape: Shape, *, overwrite: bool) -> None:
    """Refuse a file with another suffix, or files that exist, those beside it among them.

    Raises:
        ArgumentError: it has, or does.
    """
    if path.suffix != kind.suffix:
        raise ArgumentError(
            f"{path} does not end in {kind.suffix}, as a file in the format {kind.name} does",
            help=f"write {path.with_suffix(kind.suffix)}, or name another format with --format",
        )
    names = GRAPHS if shape == "streaming" else ()
    places = [path, *(_place(path, kind, name) for name in names)]
    files = [place.with_suffix(suffix) for place in places for suffix in kind.parts]
    known = [each for each in (*files, motion_path(path), manifest_path(path)) if each.exists()]
    if known and not overwrite:
        raise ArgumentError(
            f"{known[0]} exists", help="replace it with --overwrite, or name another file with --output"
        )


def _place(path: Path, kind: Format, name: str) -> Path:
    """Return the file of one of several graphs."""
    return path.with_name(f"{path.stem}.{name}{kind.suffix}")


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
