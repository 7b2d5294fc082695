"""Draw data sections at random, and compare what training reads with a second, naive reading of them.

    python tools/data_search.py [--cases N] [--seed N] [--minutes N] [--trained SHARE] [--keep FOLDER]

A case is a small spec with files of its own (`tools/data_cases.py`). What `check` accepts must open, give for every
window what `tools/naive_data.py` gives, and batches that the model takes; neither the frames of other splits nor those
after the forecast may change what training reads. A share of the cases is trained for one step, scored and made to
forecast: the scores of persistence are worked out a second time. What is refused must name a place. Findings go to
FOLDER with all of their files; the exit code is 1 if there are any.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from importlib import import_module
from itertools import product
from pathlib import Path
from random import Random
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import xarray
from data_cases import DataCase, disturb, generate
from data_records import Array, Record
from findings import Wrong, place_of
from naive_data import NaiveData, Region

from specbuild.catalog.shapes import fits
from specbuild.data import Dataset, open_data
from specbuild.data.samples.opening import open_samples
from specbuild.data.sources import open_source
from specbuild.document import ArgumentError, Diagnostic, Report, RunError, Source, Span, SpecError
from specbuild.graph import Graph, check
from specbuild.prediction import predict
from specbuild.runs.files import write_text
from specbuild.runs.trained import TrainedRun
from specbuild.training import train


class Refused(Exception):
    """The errors of a case that is refused, each with a place."""

    def __init__(self, stage: str, errors: Any) -> None:
        super().__init__(f"{stage}: {errors[0].message}")
        self.code = f"{stage}: {errors[0].code}"
        for error in errors:
            if error.span is None or error.span.line < 1 or error.span.column < 1:
                raise Wrong(f"no place: {error.message}")


@dataclass
class Findings:
    """The results of a run."""

    counts: Counter[str] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    forms: Counter[str] = field(default_factory=Counter)
    messages: dict[str, tuple[int, str]] = field(default_factory=dict)
    """For each code, the first case that it refuses and the message."""
    places: Counter[str] = field(default_factory=Counter)
    found: dict[str, tuple[int, DataCase, str]] = field(default_factory=dict)
    """For each place that a finding comes from, the first case that shows it, and what happened."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--trained", type=float, default=0.2, help="share of the cases that are trained")
    parser.add_argument("--disturbed", type=float, default=0.3, help="share of the cases that are changed at random")
    parser.add_argument("--minutes", type=float, default=1e9)
    parser.add_argument("--pictures", action="store_true", help="draw the pictures of every evaluation")
    parser.add_argument("--keep", type=Path, help="folder for the files of findings")
    options = parser.parse_args()
    if not options.pictures:
        leave_out_pictures()
    started, findings = time.perf_counter(), Findings()
    for number in range(options.first, options.first + options.cases):
        random = Random(f"{options.seed}.{number}")
        case = generate(random)
        trained, disturbed = random.random() < options.trained, random.random() < options.disturbed
        if disturbed:
            disturb(random, case)
        try_case(case, number, findings, trained=trained, disturbed=disturbed, keep=options.keep)
        passed = time.perf_counter() - started
        if (number + 1) % 50 == 0:
            print(
                f"{number + 1:6,} {passed:5.0f} s  {dict(findings.counts)}; {len(findings.found)} findings", flush=True
            )
            keras.backend.clear_session()
        if passed > options.minutes * 60:
            break
    for where, (number, case, what) in findings.found.items():
        print(f"\n--- case {number}: {where} ({findings.places[where]} times)\n{what}\n{case.text()}")
    for code, (number, message) in findings.messages.items():
        print(f"refused {findings.codes[code]} times: {code}, as in case {number}: {message}")
    print(f"{sum(findings.counts.values()):,} cases: {dict(findings.counts)}; {len(findings.found)} findings")
    print(f"drawn: {dict(findings.forms.most_common())}")
    return 1 if findings.found else 0


def leave_out_pictures(replace: Callable[[Any, str, Any], None] = setattr) -> None:
    """Write empty files in place of the pictures of an evaluation, which take longer than everything else."""
    evaluation = import_module("specbuild.evaluation.evaluate")
    for name in ("draw_scores", "draw_calibration", "draw_strip", "draw_animation"):
        replace(evaluation, name, lambda _, path: write_text(path, ""))


def try_case(
    case: DataCase,
    number: int,
    findings: Findings,
    *,
    trained: bool = False,
    disturbed: bool = False,
    keep: Path | None = None,
) -> None:
    """Count the result of a case. What a disturbed one means is not known, but it is read or refused at a place."""
    findings.forms += case.forms
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)
                if disturbed:
                    judge_disturbed(case, folder)
                else:
                    judge(case, folder, trained=trained)
            findings.counts["disturbed" if disturbed else "trained" if trained else "compared"] += 1
        except Refused as refused:
            findings.counts["refused"] += 1
            findings.codes[refused.code] += 1
            findings.messages.setdefault(refused.code, (number, str(refused)))
        except Exception as fault:  # anything at all is a finding
            where, _ = place_of(fault)
            findings.counts["wrong"] += 1
            findings.places[where] += 1
            if where not in findings.found:
                findings.found[where] = number, case, "".join(traceback.format_exception(fault)[-4:])
                if keep is not None:
                    place = keep / re.sub(r"[^a-z0-9]+", "-", f"{number} {where}".lower())[:80]
                    shutil.copytree(folder, place, dirs_exist_ok=True, ignore=shutil.ignore_patterns("runs"))
                    (place / "finding.txt").write_text(f"{findings.found[where][2]}\n{case.text()}", "utf-8")


def judge(case: DataCase, folder: Path, *, trained: bool) -> None:
    """Check the promises that a case must keep.

    Raises:
        Refused: it is refused, with a place for every error.
        Wrong: two readings of it differ, or something is read that must not be.
    """
    path = case.write(folder)
    report = Report()
    graph = check(path, overrides=case.overrides, report=report)
    if graph is None:
        raise Refused("check", report.errors)
    data = opened(graph)
    records = with_generated(case, graph)
    naive = NaiveData(case.tree, records)
    compare(data, naive, graph)
    check_leaks(case, folder, data, naive)
    if trained:
        run(case, folder, path, data, naive)


def judge_disturbed(case: DataCase, folder: Path) -> None:
    """Check that a case is refused at a place, or opens and gives batches that the model takes.

    Raises:
        Refused: it is refused, with a place for every error.
        Wrong: the check passes and the model does not take what the data give.
    """
    report = Report()
    graph = check(case.write(folder), overrides=case.overrides, report=report)
    if graph is None:
        raise Refused("check", report.errors)
    try:
        data = open_samples(graph.spec, graph)
        for split, samples in data.splits.items():
            x, y, _ = data.sampler(split, min(3, len(samples)), 3).batch(0, 0)
            check_batch(graph, x, y)
    except SpecError as error:
        raise Refused("data", error.diagnostics) from error
    except RunError as error:  # of single frames and values, found as they are read
        raise Refused("batch", [Diagnostic(error.message, Span(Source("", ""), 1, 1, 1, 1), code="run")]) from error


def opened(graph: Graph, transform: Any = None) -> Dataset:
    try:
        return open_data(graph.spec, graph, transform=transform)
    except SpecError as error:
        raise Refused("data", error.diagnostics) from error


def with_generated(case: DataCase, graph: Graph) -> dict[str, Record]:
    """Return the records of a case; what a generator draws is taken as it is."""
    if case.records.get(case.tree["data"]["source"].get("path", "")):
        return case.records
    source = open_source(graph.spec)
    frames = tuple(source.exact(event, range(length)) for event, length in enumerate(source.lengths))
    return {**case.records, "generated": Record("", "npy", "HW", ("N", "T", "H", "W"), (), frames)}


# What training reads


def compare(data: Dataset, naive: NaiveData, graph: Graph) -> None:
    """Compare every window of every split, and the first ones as they are augmented."""
    same("splits", sorted(data.splits), sorted(naive.splits))
    for split in naive.splits:
        windows, starts = data.splits[split], naive.starts(split)
        same(f"windows of {split}", [windows[number] for number in range(len(windows))], starts)
        sampler = data.sampler(split, len(starts), 3, shuffle=False)
        batch = sampler.batch(0, 0)
        regions = [sampler._region(0, number) for number in range(len(starts))]
        hold(batch, naive, starts, regions)
    section = naive.data.get("augment", {})
    if not section.get("noise"):
        sampler = data.sampler("train", 3, 3)
        starts = naive.starts("train")
        numbers = sampler.numbers(0, 0)
        regions = [sampler._region(1, position) for position in range(len(numbers))]
        hold(sampler.batch(0, 0), naive, [starts[number] for number in numbers], regions, section)
    x, y, _ = data.sampler("train", 2, 3).batch(0, 0)
    check_batch(graph, x, y)


def check_batch(graph: Graph, x: Any, y: Any) -> None:
    """Check that a model takes a batch; an output may have several channels for each of its target."""
    for nodes, values in ((graph.inputs, x), (graph.outputs, y)):
        for each in nodes:
            name = getattr(each, "id", "") or each.name
            batch = values[name] if isinstance(values, dict) else values
            shape = batch.shape[1:]
            channels = not isinstance(each.shape[-1], int) or each.shape[-1] % shape[-1] == 0
            if not channels or not fits(each.shape[:-1], shape[:-1]):
                raise Wrong(f"the model does not take a batch: {name} is {each.shape}, a sample {shape}")
            if not np.isfinite(batch).all():
                raise Wrong(f"a batch is not finite: {name}")


def hold(
    batch: Any, naive: NaiveData, starts: list[tuple[int, int]], regions: list[Region], augment: Any = None
) -> None:
    """Compare a batch with samples, if `augment` says so mirrored and turned in any of the ways that it allows."""
    x, y, weight = batch
    given = x if isinstance(x, dict) else {next(iter(naive.tree["inputs"])): x}
    same("inputs", sorted(given), sorted(naive.tree["inputs"]))
    for number, ((event, start), region) in enumerate(zip(starts, regions, strict=True)):
        inputs, targets = naive.inputs(event, start, region), naive.targets(event, start, region)
        faults = []
        for flips, quarters in turns(augment or {}, naive.source.record.space):
            fault = ""
            for name, wanted in naive.as_declared(inputs).items():
                feed = naive.data.get("inputs", {}).get(name, "past")
                turned = wanted if wanted.ndim <= len(region) else turn(wanted, flips, quarters, 1)
                if isinstance(feed, dict) and "motion" in feed:
                    turned = vectors(turned, flips, quarters)
                fault = fault or differs(f"input {kind_of(feed)}", given[name][number], turned, tolerance(feed))
            for name, (wanted, known) in targets.items():
                values = y[name] if isinstance(y, dict) else y
                weights = weight[name] if isinstance(weight, dict) else weight
                of = np.ones(values[number].shape[:-1]) if weights is None else weights[number]
                if wanted.ndim > values[number].ndim and len(wanted) == 1:
                    wanted, known = wanted[0], known[0]
                wanted, known = turn(wanted, flips, quarters, 1), turn(known, flips, quarters, 0)
                fault = fault or differs("weights", of, known, 0)
                counted = known[..., None] > 0
                fault = fault or differs(
                    "targets", np.where(counted, values[number], 0), np.where(counted, wanted, 0), 3e-4
                )
                if not np.isfinite(values[number]).all():
                    fault = "targets: not finite"
            if not fault:
                break
            faults.append(fault)
        else:
            what = "augmented: " if augment is not None else ""
            raise Wrong(f"{what or faults[0].partition(':')[0]}: window {event}, {start}: {faults[0]}")


def kind_of(feed: Any) -> str:
    return feed if isinstance(feed, str) else next(key for key in feed if key != "frames")


def tolerance(feed: Any) -> float:
    """Return how far values may differ: the sun is computed by another formula."""
    if isinstance(feed, dict) and "solar_elevation" in feed.get("coordinates", ()):
        return 0.01
    return 3e-4


def turns(augment: Any, space: str) -> list[tuple[tuple[int, ...], int]]:
    """Return the ways in which a sample may be mirrored and turned: axes counted from the last, and quarter turns."""
    letters = [{"height": "H", "width": "W", "depth": "D", "length": "L"}[name] for name in augment.get("flip", [])]
    axes = [space.index(letter) - len(space) for letter in letters]
    flips = [
        tuple(axis for axis, on in zip(axes, each, strict=True) if on) for each in product((0, 1), repeat=len(axes))
    ]
    return [(each, quarters) for each in flips for quarters in (range(4) if augment.get("rotate") else (0,))]


def turn(values: Array, flips: tuple[int, ...], quarters: int, behind: int) -> Array:
    for axis in flips:
        values = np.flip(values, axis - behind)
    return np.rot90(values, quarters, (-2 - behind, -1 - behind)) if quarters else values


def vectors(values: Array, flips: tuple[int, ...], quarters: int) -> Array:
    """Mirror and turn vectors (…, 2 · variables) of x and y, whose places are turned already."""
    x, y = values[..., ::2], values[..., 1::2]
    for axis in flips:
        x, y = (-x, y) if axis == -1 else (x, -y)
    for _ in range(quarters):
        x, y = y, -x
    return np.stack([x, y], axis=-1).reshape(values.shape)


def differs(what: str, ours: Array, wanted: Array, tolerance: float) -> str:
    """Return how two arrays differ; empty where they do not."""
    if ours.shape != wanted.shape:
        return f"{what}: has the shape {ours.shape}, not {wanted.shape}"
    if not np.allclose(ours, wanted, rtol=tolerance, atol=tolerance):
        return f"{what}: up to {np.nanmax(np.abs(ours - wanted)):.3g} apart, {np.isnan(ours - wanted).sum()} missing"
    return ""


def same(what: str, ours: Any, wanted: Any) -> None:
    if ours != wanted:
        raise Wrong(f"{what}: {ours}, not {wanted}")


# What training must not read


def check_leaks(case: DataCase, folder: Path, data: Dataset, naive: NaiveData) -> None:
    """Change frames that training, or a forecast, must not know: nothing that it reads may change."""
    record = case.records.get(case.tree["data"]["source"].get("path", ""))
    if record is None:
        return
    feeds = [feed for feed in naive.data.get("inputs", {}).values() if isinstance(feed, dict)]
    before = any("latest" in feed for feed in feeds)  # frames of the embargo, as documented
    own = naive.splits["train"]
    if not before and sum(map(len, own.values())) < sum(map(len, record.events)):
        others = {
            event: [at for at in range(len(each)) if at not in own.get(event, [])] for event, each in numbered(record)
        }
        again = with_changes(case, folder / "splits", record, others)
        same("statistics know other splits", again.state(), data.state())
        unchanged("training reads other splits", *(each.sampler("train", 8, 3).batch(0, 0) for each in (again, data)))
    event, start = naive.starts("test" if "test" in naive.splits else "train")[-1]
    after = {event: list(range(naive.numbers(start, "past")[-1] + 1, len(record.events[event])))}
    again = with_changes(case, folder / "future", record, after, data.state())
    unchanged("a forecast reads the future", *(whole_inputs(each, event, start) for each in (again, data)))


def numbered(record: Record) -> list[tuple[int, Array]]:
    return list(enumerate(record.events))


def with_changes(
    case: DataCase, folder: Path, record: Record, frames: dict[int, list[int]], transform: Any = None
) -> Dataset:
    """Return the data of a case in another folder, with other values in some frames of its record."""
    folder.mkdir()
    events = tuple(change(each, frames.get(event, [])) for event, each in numbered(record))
    records = {**case.records, record.path: replace(record, events=events)}
    graph = check(replace(case, records=records).write(folder), overrides=case.overrides, report=Report())
    assert graph is not None
    return opened(graph, transform)


def change(frames: Array, numbers: list[int]) -> Array:
    """Return frames with other values in some of them, where they are known."""
    changed = frames.copy()
    changed[numbers] = frames[numbers][::-1] + 10
    return changed


def whole_inputs(data: Dataset, event: int, start: int) -> Any:
    windows = data.section.windows
    past = range(start, start + windows.past * windows.step, windows.step)
    return data.inputs(data.source.read(event, past), (event, start))


def unchanged(what: str, ours: Any, wanted: Any) -> None:
    """Compare arrays, dicts and tuples of them, to the last bit."""
    if isinstance(wanted, dict):
        for name in wanted:
            unchanged(what, ours[name], wanted[name])
    elif isinstance(wanted, tuple):
        for one, other in zip(ours, wanted, strict=True):
            unchanged(what, one, other)
    elif wanted is not None and not np.array_equal(ours, wanted):
        raise Wrong(f"{what}: up to {np.abs(ours - wanted).max():.3g}")


# One step of training, scores, and a forecast


def run(case: DataCase, folder: Path, path: Path, data: Dataset, naive: NaiveData) -> None:
    """Train a case for one step, score it and forecast."""
    try:
        trained = train(path, overrides=case.overrides, out=folder / "runs", quiet=True)
    except SpecError as error:
        raise Refused("train", error.diagnostics) from error
    if not all(np.isfinite(value) for value in trained.history[0].values()):
        raise Wrong(f"the loss is not finite: {trained.history}")
    if "test" in naive.splits:
        check_scores(trained, naive)
    for name in ("forecast.npz", "forecast.nc"):
        try:
            forecast = predict(trained.path, output=folder / name)
        except ArgumentError as error:
            # Another source ends before the forecast does, or the last frames have a gap.
            if "has nothing for" not in str(error) and " apart: " not in str(error):
                raise
            return
        view = next(iter(data.views.values()), data)
        same("forecast shape", forecast.shape, (len(view.leads), *data.source.space, view.source.channels))
    check_file(folder / "forecast.nc", data)


def check_file(path: Path, data: Dataset) -> None:
    """Check that a forecast has every output, at the lead times of all of them."""
    with xarray.open_dataset(path) as grid:
        for name in data.views:
            if not any(each == name or str(each).startswith(f"{name}_") for each in grid.data_vars):
                raise Wrong(f"no variable in the file: {name} of {list(grid.data_vars)}")
        axis = grid["lead_time" if "lead_time" in grid.coords else "lead"]
        leads = {lead for view in data.views.values() for lead in view.leads} or set(data.leads)
        if axis.isnull().any() or axis.size != len(leads):
            raise Wrong(f"lead times in the file: {axis.values}, not {sorted(leads)}")


def check_scores(trained: Any, naive: NaiveData) -> None:
    """Work out the errors of persistence and of the model a second time, from every window of the test split."""
    scores = trained.scores.to_dict()
    targets = naive.data.get("targets") or {"out": "future"}
    losses = naive.tree["train"]["loss"]
    model = None if "crop" in naive.data or naive.source.record.misses else TrainedRun.open(trained.path).predict
    for (name, target), found in zip(targets.items(), [scores, *scores.get("outputs", [])], strict=True):
        loss = losses[name] if "targets" in naive.data else losses
        exact = model if loss in ("mse", "mae", "huber", "binary_crossentropy") else None
        errors = {"persistence": Errors(), **({"model": Errors()} if exact else {})}
        for event, start in naive.starts("test"):
            past = naive.frames(event, naive.numbers(start, "past"), naive.whole())
            future = naive.frames(event, naive.numbers(start, "future"), naive.whole())
            if np.isnan(past).all() or np.isnan(future).all():
                continue
            observed = naive.compared(target, future)
            errors["persistence"].add(naive.compared(target, np.repeat(past[-1:], len(future), axis=0)), observed)
            if exact:
                output = forecast_of(exact, naive, name, event, start)[-len(observed) :]
                errors["model"].add(naive.physical(target, output, event, start), observed)
        for forecast, own in errors.items():
            table = next(each for each in found["forecasts"] if each["forecast"] == forecast)
            values = next(each["values"] for each in table["scores"] if each["score"] == "MSE")
            ours = np.array([np.nan if value is None else value for value in values])
            if not np.allclose(ours, own.mean, rtol=5e-3, atol=1e-3, equal_nan=True):
                raise Wrong(f"MSE of {forecast}: of {name} {ours}, not {own.mean}")


@dataclass
class Errors:
    """Squared errors by lead time."""

    total: Array | float = 0.0
    count: Array | float = 0

    def add(self, forecast: Array, observed: Array) -> None:
        squares = ((forecast - observed) ** 2).reshape(len(observed), -1)
        self.total = self.total + np.nansum(squares, axis=1)
        self.count = self.count + (~np.isnan(squares)).sum(axis=1)

    @property
    def mean(self) -> Array:
        return np.asarray(self.total) / self.count


def forecast_of(model: Any, naive: NaiveData, name: str, event: int, start: int) -> Array:
    """Return what a model gives for an output, (F, *space, C), of inputs that are read a second time."""
    inputs = naive.as_declared(naive.inputs(event, start, naive.whole()))
    batch = {key: each[None].astype(np.float32) for key, each in inputs.items()}
    outputs = model(batch if len(batch) > 1 else next(iter(batch.values())))
    output = np.asarray(outputs[name] if isinstance(outputs, dict) else outputs)[0]
    return output if output.ndim > len(naive.whole()) + 1 else output[None]


if __name__ == "__main__":
    sys.exit(main())
