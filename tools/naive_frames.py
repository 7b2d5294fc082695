"""Frames of a record and transforms of them, read naively: what `naive_data.py` makes samples of."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
from data_records import Record, Tree

Array = npt.NDArray[Any]
Region = tuple[slice, ...]


class Source:
    """The frames of a record as its section reads them: a region of it, coarser."""

    def __init__(self, section: Tree, record: Record) -> None:
        self.record, self.times = record, record.times
        self.events = list(record.events)
        self.coordinates = dict(record.coordinates)
        for name, (low, high) in section.get("region", {}).items():
            letter = {"lat": "H", "lon": "W"}[name]
            along = self.coordinates[letter]
            kept = [at for at, place in enumerate(along) if low <= place <= high]
            self.coordinates[letter] = along[kept]
            axis = 1 + record.space.index(letter)
            self.events = [frames.take(kept, axis) for frames in self.events]
        if "coarsen" in section:
            factor, method = section["coarsen"]["factor"], section["coarsen"]["method"]
            factors = [factor] * len(record.space) if isinstance(factor, int) else factor
            self.events = [coarse(frames, factors, method) for frames in self.events]
            for letter, each in zip(record.space, factors, strict=True):
                if letter in self.coordinates:
                    along = self.coordinates[letter]
                    whole = along[: len(along) // each * each]
                    self.coordinates[letter] = whole.reshape(-1, each).mean(axis=1)

    def runs(self, event: int) -> list[list[int]]:
        """Return the frames of an event, parted where a step is more than 1.5 times the median one."""
        length = len(self.events[event])
        if self.times is None or length < 3:
            return [list(range(length))]
        steps = np.diff(self.times[event]).astype(int)
        ends = [0, *(at + 1 for at, step in enumerate(steps) if step > 1.5 * np.median(steps)), length]
        return [list(range(first, end)) for first, end in pairwise(ends)]

    def slots(self, event: int) -> Array:
        """Return the place of each frame on the time line, in steps from the first frame of all."""
        if self.times is None:
            return np.arange(len(self.events[event]))
        return self.slots_of(self.times[event])

    def slots_of(self, times: Array) -> Array:
        assert self.times is not None
        step = np.median(np.diff(self.times[0]).astype(int))
        return np.rint((times - self.times[0][0]).astype(int) / step).astype(int)


def coarse(frames: Array, factors: list[int], method: str) -> Array:
    """Return boxes of pixels, one by one: of their known values, where at least half are."""
    shape = [len(frames), *(n // each for n, each in zip(frames.shape[1:-1], factors, strict=True)), frames.shape[-1]]
    found = np.full(shape, np.nan)
    for t, *place, c in np.ndindex(*shape):
        box = tuple(slice(at * each, (at + 1) * each) for at, each in zip(place, factors, strict=True))
        values = frames[(t, *box, c)]
        known = values[~np.isnan(values)]
        if known.size and 2 * known.size >= values.size:
            found[(t, *place, c)] = {
                "mean": known.mean(),
                "max": known.max(),
                "sum": known.mean() * values.size,
            }[method]
    return found


class Fitted:
    """A transform with its statistics."""

    def __init__(self, section: Tree, training: list[tuple[Array, Array]], names: tuple[str, ...]) -> None:
        """Fit the steps of a section on training frames (T, *space, C), each with its slots (T,)."""
        self.steps: list[tuple[Tree, list[bool], tuple[Array, ...]]] = []
        channels = training[0][0].shape[-1]
        for written in section.get("transform", []):
            step = {"name": written} if isinstance(written, str) else written
            asked = step.get("channels", range(channels))
            chosen = [each in asked or (each < len(names) and names[each] in asked) for each in range(channels)]
            self.steps.append((step, chosen, self.numbers(step, training)))
            training = [(self.apply(frames, slots, self.steps[-1:]), slots) for frames, slots in training]
        values = np.concatenate([frames.reshape(-1, channels) for frames, _ in training])
        if "fill" in section:
            self.fill = self.apply(np.full((1, channels), float(section["fill"])), np.zeros(1, int))[0]
        else:
            self.fill = np.array([mean(values[:, each]) for each in range(channels)])

    @staticmethod
    def numbers(step: Tree, training: list[tuple[Array, Array]]) -> tuple[Array, ...]:
        """Return the statistics that a step needs."""
        frames = np.concatenate([each for each, _ in training])
        values = frames.reshape(-1, frames.shape[-1])
        if step["name"] == "standardize":
            spread = np.nanstd(values, axis=0)
            return np.nanmean(values, axis=0), np.where(spread, spread, 1)
        if step["name"] == "minmax":
            least = np.nanmin(values, axis=0)
            spread = np.nanmax(values, axis=0) - least
            return least, least + np.where(spread, spread, 1)
        if step["name"] == "anomaly":
            phases = np.concatenate([slots for _, slots in training]) % step["period"]
            means = np.full((step["period"], *frames.shape[1:]), np.nan)
            for phase in range(step["period"]):
                for place in np.ndindex(*frames.shape[1:]):
                    means[(phase, *place)] = mean(frames[(phases == phase, *place)])
            return (means,)
        return ()

    def apply(self, frames: Array, slots: Array, steps: Any = None, region: Region = ()) -> Array:
        """Return what the model reads of frames (T, *region, C), whose slots are given."""
        for step, chosen, numbers in self.steps if steps is None else steps:
            with np.errstate(invalid="ignore"):
                changed = self.changed(step, numbers, frames, slots, region)
            frames = np.where(chosen, changed, frames)
        return frames

    @staticmethod
    def changed(step: Tree, numbers: tuple[Array, ...], x: Array, slots: Array, region: Region) -> Array:
        name = step["name"]
        if name == "standardize":
            return (x - numbers[0]) / numbers[1]
        if name == "minmax":
            low, high = step.get("min", 0), step.get("max", 1)
            return low + (high - low) * (x - numbers[0]) / (numbers[1] - numbers[0])
        if name == "log1p":
            return np.log1p(x)
        if name == "log":
            return np.log(x + step["offset"])
        if name == "clip":
            return np.clip(x, step.get("min"), step.get("max"))
        if name == "scale":
            return x * step.get("factor", 1) + step.get("offset", 0)
        if name == "dbz":
            return 10 * np.log10(200 * np.maximum(x, 0.1) ** 1.6)
        means = numbers[0][slots % step["period"]]
        return x - means[(slice(None), *region)]

    def inverted(self, frames: Array, slots: Array) -> Array:
        """Return frames (T, *space, C) in units of training in physical units."""
        for step, chosen, numbers in reversed(self.steps):
            frames = np.where(chosen, self.restored(step, numbers, frames, slots), frames)
        return frames

    @staticmethod
    def restored(step: Tree, numbers: tuple[Array, ...], y: Array, slots: Array) -> Array:
        name = step["name"]
        if name == "standardize":
            return y * numbers[1] + numbers[0]
        if name == "minmax":
            low, high = step.get("min", 0), step.get("max", 1)
            return (y - low) / (high - low) * (numbers[1] - numbers[0]) + numbers[0]
        if name in ("log1p", "log"):
            return np.exp(y) - (1 if name == "log1p" else step["offset"])
        if name == "clip":
            return np.clip(y, step.get("min"), step.get("max"))
        if name == "scale":
            return (y - step.get("offset", 0)) / step.get("factor", 1)
        if name == "dbz":
            return np.where(y <= 10 * np.log10(200 * 0.1**1.6), 0, (10 ** (y / 10) / 200) ** (1 / 1.6))
        return y + numbers[0][slots % step["period"]]


def mean(values: Array) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")
