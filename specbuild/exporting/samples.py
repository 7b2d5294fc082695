"""The data that an exported file is verified with: windows of the run's data, and specbuild's forecasts of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from specbuild.data import Dataset
from specbuild.data.arrays import Array, Floats
from specbuild.data.samples.sampler import stacked
from specbuild.data.samples.windows import past_frames
from specbuild.data.sources import FrameSource
from specbuild.data.sources.base import FrameMetadata, Region
from specbuild.data.sources.coarsen import reduced
from specbuild.document import SpecbuildError
from specbuild.exporting.interface import opened
from specbuild.exporting.physical import PhysicalPlan
from specbuild.graph.model import closed
from specbuild.prediction.forecast import Past, make_forecast
from specbuild.runs.trained import TrainedRun

WINDOWS = 2
"""Number of windows of the data, besides those made from the first by removing values."""


@dataclass(frozen=True, slots=True)
class Samples:
    """Arrays by name, the samples along the first axis, and where they come from, in words."""

    inputs: dict[str, Array]
    outputs: dict[str, Array]
    source: str
    frames: dict[str, list[Floats]] = field(default_factory=dict)
    """For each input that is computed outside of the graph: of each sample the frames that it is computed from."""
    entries: dict[str, int] = field(default_factory=dict)
    """For each of these of which a graph reads one frame: which one."""

    def store(self, path: Path) -> None:
        """Write an `.npz` with `output/<name>`, `input/<name>` and, instead of an input that is computed from frames,
        `frames/<name>/<sample>` and `entry/<name>`."""
        arrays: dict[str, Any] = {f"output/{name}": values for name, values in self.outputs.items()}
        arrays |= {f"input/{name}": values for name, values in self.inputs.items() if name not in self.frames}
        for name, each in self.frames.items():
            arrays |= {f"frames/{name}/{number}": frames for number, frames in enumerate(each)}
        arrays |= {f"entry/{name}": entry for name, entry in self.entries.items()}
        np.savez(path, **arrays)


def whole_samples(trained: TrainedRun) -> Samples:
    """Return inputs as the model of a run reads them, and its outputs."""
    batch = trained.graph.inputs[0].batch
    try:
        samples, source = list(_windows_of_model(trained)), "windows of the data"
    except (SpecbuildError, OSError):
        samples, source = [], ""
    if not samples:
        samples, source = [_drawn(trained, number) for number in range(WINDOWS)], "random numbers"
    samples = [samples[number % len(samples)] for number in range(batch or len(samples))]
    inputs = {
        each.id: np.stack([part[each.id] for part in samples]).astype(each.dtype) for each in trained.graph.inputs
    }
    given = inputs if trained.data.inputs and len(inputs) > 1 else next(iter(inputs.values()))
    result = trained.predict(given)
    names = [output.name for output in trained.graph.outputs]
    outputs = {name: result[name] for name in names} if isinstance(result, dict) else {names[0]: result}
    return Samples(inputs, outputs, source)


def _windows_of_model(trained: TrainedRun) -> Iterator[dict[str, Any]]:
    """Yield what the model reads of a tile of each window."""
    if trained.data.target is not None:
        return
    dataset = trained.dataset
    (name,) = [each.id for each in trained.graph.inputs] if not dataset.feeds else ("",)
    for event, start in _some_windows(dataset):
        past = dataset.source.read(event, past_frames(start, dataset.section.windows))
        region = dataset.tiling.regions[0]
        values = dataset.inputs(past[(slice(None), *region)], (event, start), region, beyond=past)
        yield values if isinstance(values, dict) else {name: values}


def _drawn(trained: TrainedRun, seed: int) -> dict[str, Any]:
    random = np.random.default_rng(seed)
    return {
        each.id: random.standard_normal(closed(each.shape)).astype(np.float32)
        if each.dtype.startswith(("float", "bfloat"))
        else random.integers(0, 2, closed(each.shape))
        for each in trained.graph.inputs
    }


def _some_windows(dataset: Dataset) -> list[tuple[int, int]]:
    """Return some windows, of the last split that has any, spread over it."""
    for name in ("test", "validation", "train"):
        windows = dataset.splits.get(name)
        if windows is not None and len(windows):
            numbers = sorted({0, len(windows) - 1} if WINDOWS == 2 else {0})
            return [windows[number] for number in numbers]
    return []


def physical_samples(trained: TrainedRun) -> Samples:
    """Return past frames in physical units, some of them with missing values, and the run's own forecasts from them."""
    dataset = opened(trained)
    plan = PhysicalPlan(trained, dataset)
    places: list[tuple[int, int] | None] = [*_some_windows(dataset)]
    source = "windows of the data" if places else "drawn frames"
    random = np.random.default_rng(0)
    given: list[tuple[tuple[int, int] | None, Floats]] = [
        (place, _files_frames(trained, dataset, place)) for place in places if place is not None
    ]
    if not given:
        given = [(None, _physical_frames(plan, number)) for number in range(WINDOWS)]
    place, frames = given[0]
    given += [(place, _with_gaps(frames, random)), (place, np.full_like(frames, np.nan))]
    batch = trained.graph.inputs[0].batch
    given = given if batch is None else [given[number % len(given)] for number in range(batch)]
    samples = [_forecast(trained, plan, at, frames) for at, frames in given]
    inputs, outputs = (stacked([sample[part] for sample in samples]) for part in (0, 1))
    compared = {name: [sample[2][name] for sample in samples] for name in samples[0][2]}
    return Samples(inputs, outputs, f"{source}, some with missing values", compared)


def _files_frames(trained: TrainedRun, dataset: Dataset, place: tuple[int, int]) -> Floats:
    """Return the past frames of a window with the pixels of the files, (P, *space, C)."""
    event, start = place
    frames = past_frames(start, dataset.section.windows)
    coarsen = trained.data.source.coarsen
    if coarsen is None:
        return dataset.source.read(event, frames)
    coarse = dataset.source.read(event, frames)
    fine = coarse
    for axis, factor in enumerate(coarsen.factors(len(dataset.source.space)), start=1):
        fine = np.repeat(fine, factor, axis=axis)
    noise = np.random.default_rng(start).standard_normal(fine.shape)
    return (fine * (1 + 0.1 * noise)).astype(np.float32)


def _physical_frames(plan: PhysicalPlan, seed: int) -> Floats:
    """Return random frames whose transformed values are similar to those in training."""
    shape = [size or 32 for size in plan.inputs[0].shape[1:]]
    values = np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
    return plan.dataset.transform.invert(values).astype(np.float32)


def _with_gaps(frames: Floats, random: np.random.Generator) -> Floats:
    """Return frames of which a corner and every twentieth value are missing."""
    gaps = random.random(frames.shape) < 0.05
    corner = tuple(slice(0, max(1, length // 4)) for length in frames.shape[1:-1])
    gaps[(slice(None), *corner)] = True
    return np.where(gaps, np.float32(np.nan), frames)


@dataclass(frozen=True)
class _Edited(FrameSource):
    """The frames of a source, some of which are replaced in one event."""

    whole: FrameSource = field(kw_only=True)
    event: int = field(kw_only=True)
    replaced: dict[int, Floats] = field(kw_only=True)

    def _read(self, event: int, frames: range, region: Region | None) -> Floats:
        values = self.whole.read(event, frames, region).copy()
        for position, number in enumerate(frames):
            if event == self.event and number in self.replaced:
                values[position] = self.replaced[number][region or ...]
        return values


def _with_past(dataset: Dataset, at: tuple[int, int] | None, past: Floats) -> tuple[Dataset, tuple[int, int]]:
    """Return data that have the past frames of a window, for inputs that read them there, and where they have them."""
    windows, source = dataset.section.windows, dataset.source
    if at is None:
        start = max(feed.section.reach for feed in dataset.feeds.values())
        count = past_frames(start, windows)[-1] + 1
        values = past[np.arange(count) % len(past)]
        source = FrameSource(values, FrameMetadata("drawn frames", ("T", *source.metadata.space, "C")))
        at = (0, start)
    numbers = past_frames(at[1], windows)
    edited = _Edited(
        source.array,
        source.metadata,
        unusable=source.unusable,
        whole=source,
        event=at[0],
        replaced=dict(zip(numbers, past, strict=True)),
    )
    return replace(dataset, source=edited), at


def _forecast(
    trained: TrainedRun, plan: PhysicalPlan, at: tuple[int, int] | None, frames: Floats
) -> tuple[dict[str, Array], dict[str, Array], dict[str, Floats]]:
    """Return for past frames with the pixels of the files the inputs of the graph, its outputs, and the frames that
    inputs are computed from outside of it."""
    dataset, coarse = plan.dataset, frames
    if plan.coarsen is not None:
        boxes = [1, *plan.coarsen.factors(len(dataset.source.space)), 1]
        coarse = reduced(frames.astype(np.float64), boxes, plan.coarsen.method).astype(np.float32)
    inputs: dict[str, Array] = {plan.past: frames}
    if plan.slot:
        context = dataset.context(at, [0 if at is None else at[1]])
        assert context is not None
        inputs[plan.slot] = np.asarray(context.slots[0], np.int32)
    if any(feed.frames is not None for feed in plan.feeds.values()):
        dataset, at = _with_past(dataset, at, coarse)
    compared: dict[str, Floats] = {}
    for name, feed in plan.feeds.items():
        if feed.sample is not None and at is not None:
            window = replace(plan.window(*at, past=coarse), source=dataset.source)
            inputs[name] = feed.sample(window)
            if feed.frames is not None:
                compared[name] = feed.frames(window)
    forecast = make_forecast(trained, Past(coarse, dataset, at=at))
    outputs: dict[str, Array] = {}
    for view, each in zip(plan.views, (forecast, *forecast.others), strict=True):
        name = view.output or trained.graph.outputs[0].name
        outputs[name] = each.frames
        if view.head is not None:
            assert each.quantiles is not None
            outputs[f"{name}_quantiles"] = each.quantiles
    return inputs, outputs, compared
