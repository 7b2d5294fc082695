"""The samples of drawn data sections beside a naive reading, for `tools/data_search.py`: equal, and free of leaks."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from data_cases import DataCase
from data_records import Array, Record
from findings import Wrong
from naive_data import NaiveData, Region

from specbuild.catalog.shapes import fits
from specbuild.data import Dataset, open_data
from specbuild.data.sources import open_source
from specbuild.document import Report, SpecError
from specbuild.graph import Graph, check


class Refused(Exception):
    """The errors of a case that is refused, each with a place."""

    def __init__(self, stage: str, errors: Any) -> None:
        super().__init__(f"{stage}: {errors[0].message}")
        self.code = f"{stage}: {errors[0].code}"
        for error in errors:
            if error.span is None or error.span.line < 1 or error.span.column < 1:
                raise Wrong(f"no place: {error.message}")


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
