"""Drawing what the inputs of a model read, for `tools/data_cases.py`."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import numpy as np
from data_records import LISTS, Record, Tree, values_of
from data_sources import RecordDrawing


class FeedDrawing(RecordDrawing):
    """The inputs of a case while they are drawn, beside its record and its windows."""

    past: int
    step_of_window: int

    def inputs(self, data: Tree) -> dict[str, Tree | str]:
        """Draw what the inputs read, by their names; `past` alone is the only input of most specs."""
        if self.chance(0.35):
            return {"x": "past"}
        feeds: dict[str, Any] = {} if self.chance(0.1) else {"x": "past"}
        kinds = ["field", "frames", "frames"] if self.record is not None else []
        timed = self.record is not None and self.record.times is not None
        kinds += ["cycles", "cycles"] if timed else []
        if self.space == "HW" and min(self.shape) > 2:
            kinds += ["motion", "baseline"]
            if self.record is not None and self.record.coordinates:
                kinds += ["place", "sun", "place", "sun"] if timed else ["place"]
        for kind in self.random.sample(kinds, min(len(kinds), self.pick(1, 1, 2, 3))):
            drawn = getattr(self, f"feed_{kind}")()
            if drawn is not None:
                self.forms[f"input {kind}"] += 1
                feeds[f"{kind}{len(feeds)}"] = drawn
        if not feeds:
            feeds = {"x": "past"}
        if "x" not in feeds:
            data.pop("mask", None)
        data["inputs"] = feeds
        return feeds

    def feed_field(self) -> Tree | None:
        assert self.record is not None
        kind = self.record.kind if self.record.kind in ("npy", "nc", "h5") else "npz"
        channels, packing = self.pick(1, 2), self.pick(None, None, (0.25, 0.5))
        letters = [*self.space, *("C" if channels > 1 else "")]
        if not letters:
            return None
        record = Record(
            f"field{len(self.records)}.{kind}",
            kind,
            self.space,
            tuple(letters),
            () if kind == "npy" else ("height",),
            (self.others_values((1, *self.record.events[0].shape[1:-1], channels), packing),),
            coordinates=self.record.coordinates,
            packing=packing,
        )
        return self.other(record)

    def others_values(self, shape: tuple[int, ...], packing: tuple[float, float] | None) -> Any:
        return values_of(self.random, shape, packing, self.pick(0, 0, 0.1))

    def feed_frames(self) -> Tree | None:
        record = self.record
        assert record is not None
        kind = "nc" if record.kind == "nc" else "npz"
        if record.times is None:
            kind, times, lengths = "npy", None, self.lengths
            if len(set(lengths)) > 1 or len(lengths) > 1:
                return None
        else:
            times = self.other_times()
            lengths = [len(times)]
        letters, packing = ["T", *self.space], self.pick(None, None, (0.25, 0.5))
        path = f"other{len(self.records)}.{kind}"
        other = Record(
            path,
            kind,
            self.space,
            tuple(letters),
            () if kind == "npy" else ("wind",),
            (self.others_values((lengths[0], *record.events[0].shape[1:-1], 1), packing),),
            times=None if times is None else (times,),
            coordinates=record.coordinates,
            packing=packing,
        )
        feed = self.other(other)
        feed["frames"] = self.pick("past", "future", "all")
        if times is not None and self.chance(0.6):
            feed["join"] = self.pick("nearest", "forward")
            if self.chance(0.4):
                feed["tolerance"] = f"{self.pick(1, 2) * self.step} min"
        return feed

    def other_times(self) -> Any:
        """Draw the times of another source: those of the record, some of them, or others between them."""
        assert self.record is not None
        assert self.record.times is not None
        first, last = self.record.times[0][0], self.record.times[-1][-1]
        step = np.timedelta64(self.step, "m")
        return self.pick(
            np.arange(first, last + step, step),
            np.arange(first, last + step, 3 * step),
            np.arange(first + step // 3, last + step, 2 * step),
            np.arange(first - 2 * step, last - 3 * step, step),
        )

    def other(self, record: Record) -> Tree:
        """Return an input that reads another record on the grid of the first one, or beside it."""
        feed: Tree = {"source": self.source(record)}
        feed["source"].pop("by", None)
        whole = record.events[0].shape[1:-1]
        if record.coordinates and self.chance(0.5):
            # A grid of its own: each axis begins elsewhere and has other steps.
            moved = {letter: self.moved(along) for letter, along in record.coordinates.items()}
            shape = tuple(len(moved[letter]) for letter in self.space)
            events = record.events[0]
            record = replace(
                record,
                coordinates=moved,
                events=(self.others_values((len(events), *shape, events.shape[-1]), record.packing),),
            )
            feed["regrid"] = self.pick("linear", "nearest")
            self.forms["regrid"] += 1
        elif whole:
            for key in ("region", "coarsen"):
                if key in self.source_of_record:
                    feed["source"][key] = copy.deepcopy(self.source_of_record[key])
        self.records[record.path] = record
        feed |= self.packed(record)
        if self.chance(0.4):
            steps = LISTS[:5] + ([LISTS[8]] if "T" in record.letters else [])
            feed["transform"] = copy.deepcopy(self.pick(*steps[1:]))
        periodic = any(isinstance(step, dict) and step["name"] == "anomaly" for step in feed.get("transform", []))
        if not periodic and self.chance(0.3):
            feed["fill"] = self.pick(0, 1.5)
        return feed

    def moved(self, along: Any) -> Any:
        """Return another axis over much the same places, without any half way between two."""
        step = self.pick(0.3, 0.7)
        first, last = float(min(along)) - self.pick(-0.61, 0.17), float(max(along)) + self.pick(-0.43, 0.29)
        axis = np.arange(first, max(last, first + 2.5 * step), step)
        return axis[::-1] if self.chance(0.3) else axis

    def feed_cycles(self) -> Tree:
        cycles = self.random.sample(["day", "week", "year"], self.pick(1, 2))
        return {"cycles": cycles, **self.pick({}, {"frames": "past"}, {"frames": "future"}, {"frames": "all"})}

    def feed_place(self) -> Tree:
        return {"coordinates": self.random.sample(["latitude", "longitude"], self.pick(1, 2))}

    def feed_sun(self) -> Tree:
        names = self.random.sample(["latitude", "solar_elevation"], self.pick(1, 2))
        return {"coordinates": sorted({*names, "solar_elevation"}), "frames": self.pick("past", "future", "all")}

    def feed_motion(self) -> Tree:
        return {"motion": True, **self.compared()}

    def feed_baseline(self) -> Tree:
        return {"baseline": "extrapolation", **self.compared()}

    def compared(self) -> Tree:
        found: Tree = {"latest": self.pick(2, 4, 5)} if self.past < 2 or self.chance(0.5) else {}
        if found.get("latest", 0) > 2 and self.chance(0.5):
            found["apart"] = 2
        elif not found and self.chance(0.4):
            found["apart"] = self.pick(1, 2) * self.step_of_window
        return found
