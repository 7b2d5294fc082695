"""Specs with data sections drawn at random, with the files that they read, for `tools/data_search.py`.

A case is a tree, the whole spec in plain numbers, and the same written as users write it: with variables, a base that
it extends, `set:`, and overrides. What the data section means follows from the tree and the records alone.
"""

from __future__ import annotations

import copy
import json
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import yaml
from data_models import HEADS, ModelDrawing
from data_records import FILL, NAMES, START, Record, Tree, hours_with_gaps, values_of

LISTS: list[list[Any]] = [
    [],
    ["standardize"],
    ["minmax"],
    [{"name": "minmax", "min": -1, "max": 2}, {"name": "scale", "factor": 0.5, "offset": 1}],
    [{"name": "clip", "min": 0}, "log1p", "standardize"],
    [{"name": "scale", "factor": -2, "offset": 3}],
    [{"name": "clip", "min": 0, "max": 5}, {"name": "log", "offset": 0.5}],
    ["dbz", "minmax"],
    [{"name": "anomaly", "period": 1}, "standardize"],
    [{"name": "anomaly", "period": 4}, {"name": "scale", "factor": 0.5}],
]
"""Lists of transforms."""


@dataclass
class DataCase:
    """A spec and its files.

    Attributes:
        tree: the whole spec, in plain numbers.
        main: the same as it is written, with `files` beside it and `overrides` on the command line.
        records: the data that it reads, by their paths.
        forms: what was drawn, counted.
    """

    tree: Tree
    main: Tree
    files: dict[str, Tree]
    overrides: tuple[str, ...]
    records: dict[str, Record]
    forms: Counter[str] = field(default_factory=Counter)

    def text(self) -> str:
        """Return the case as it is shown."""
        parts = [f"# {name}\n{_written(tree)}" for name, tree in self.files.items()]
        described = [f"# {path}: {_described(record)}" for path, record in self.records.items()]
        given = [f"# --set '{each}'" for each in self.overrides]
        return "\n".join([*parts, *described, *given, _written(self.main)])

    def write(self, folder: Path) -> Path:
        """Write all files into a folder, and return the path of the spec."""
        for record in self.records.values():
            record.write(folder)
        for name, tree in self.files.items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(_written(tree), "utf-8")
        path = folder / "main.yaml"
        path.write_text(_written(self.main), "utf-8")
        return path


def _written(tree: Tree) -> str:
    return yaml.safe_dump(tree, sort_keys=False, default_flow_style=None, width=110)


def _described(record: Record) -> str:
    lengths = [len(frames) for frames in record.events]
    return f"{record.kind}, axes {' '.join(record.letters)}, frames {lengths}, {'' if record.times else 'no '}times"


def generate(random: Random) -> DataCase:
    """Draw a case."""
    return DataDrawing(random).case()


def disturb(random: Random, case: DataCase) -> None:
    """Change a value, a key or a name of the spec as it is written: what comes of it is sound often enough."""
    for _ in range(random.choice((1, 1, 2))):
        trees = [tree for tree in (case.main, *case.files.values()) if "data" in tree]
        holders = [each for tree in trees for key in ("data", "inputs") for each in _holders(tree.get(key, {}))]
        if not holders:
            return
        holder = random.choice(holders)
        key = random.choice(list(holder) if isinstance(holder, dict) else range(len(holder)))
        value, change = holder[key], random.choice(("drop", "number", "number", "other", "kind", "copy"))
        if change == "drop":
            del holder[key]
        elif change == "number" and isinstance(value, int | float) and not isinstance(value, bool):
            holder[key] = value + random.choice((-1, 1, 1, 2, -value, 0.5))
        elif change == "other":
            holder[key] = random.choice((None, 0, 1, 2, -1, True, "past", "future", "rain", [], [1, 2], {}, 1e30))
        elif change == "kind" and isinstance(value, str):
            holder[key] = random.choice(
                ("past", "future", "all", "nearest", "exact", "T H W", "H W", "time", value[1:])
            )
        elif change == "copy":
            other = random.choice(holders)
            if isinstance(other, dict) and other and isinstance(holder, dict):
                name = random.choice(list(other))
                holder[name] = copy.deepcopy(other[name])


def _holders(node: Any) -> list[Any]:
    """Return every mapping and list in a tree that has something in it."""
    inside = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    return [*([node] if inside else []), *(each for one in inside for each in _holders(one))]


class DataDrawing:
    """One case while it is drawn."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.forms: Counter[str] = Counter()
        self.records: dict[str, Record] = {}

    def chance(self, share: float) -> bool:
        return self.random.random() < share

    def pick(self, *choices: Any) -> Any:
        return self.random.choice(choices)

    def case(self) -> DataCase:
        data = self.generated() if self.chance(0.1) else self.stored()
        self.windows(data)
        self.split(data)
        self.values(data)
        self.crop(data)
        feeds, outputs = self.inputs(data), self.targets(data)
        model = ModelDrawing(self.random, self.forms, self.layout(data), self.channels, self.records)
        tree: Tree = {"specbuild": 1, **model.tree(data, feeds, outputs)}
        tree["data"] = data
        tree["train"] = {
            "loss": {name: loss for name, (_, loss) in outputs.items()} if "targets" in data else outputs["out"][1],
            "epochs": 1,
            "steps_per_epoch": 1,
            "batch_size": 2,
        }
        tree["evaluate"] = {"thresholds": [2]}
        main, files, overrides = self.dressed(tree, model.files)
        return DataCase(tree, main, files, overrides, self.records, self.forms)

    # The record

    def generated(self) -> Tree:
        self.forms["generator"] += 1
        self.space, self.channels, self.record = "HW", 1, None
        self.shape: tuple[int, ...] = (8, 8)
        source = {"generator": "moving_shapes", "sequences": 6, "frames": 9, "size": 8, "shapes": 1, "radius": 2}
        return {"source": {**source, "seed": self.random.randrange(9)}}

    def stored(self) -> Tree:
        kind = self.pick("npy", "npz", "npz", "h5", "nc", "nc", "nc", "joined", "events", "frames")
        self.forms[f"file {kind}"] += 1
        self.space = space = self.pick("HW", "HW", "HW", "HW", "HW", "HW", "", "L", "DHW")
        sizes = {"D": 2, "H": self.pick(6, 8), "W": self.pick(6, 9), "L": 5}
        inner = kind == "npy" and self.chance(0.3)
        count = self.pick(4, 5, 6) if kind == "events" or inner else 1
        length = self.pick(10, 13) if count > 1 else self.pick(34, 40, 44)
        timed = kind in ("nc", "frames") or (kind != "npy" and self.chance(0.6))
        style = self.pick("one", "one", "axis") if kind in ("npy", "frames") else self.pick("one", "several", "axis")
        self.channels = 1 if style == "one" else 2
        letters = ["N"] * inner + ["T"] * (kind != "frames") + [*space] + ["C"] * (style == "axis")
        if kind in ("npy", "npz", "h5", "nc") and self.chance(0.3):
            self.random.shuffle(letters)
        packing = self.pick(None, None, (0.25, 0.5), (0.5, 0.0))
        missing = self.pick(0, 0, 0, 0.02, 0.4)
        record = Record(
            path={"joined": "rain_*.npz", "events": "rain_*.npz", "frames": "rain_*.npy"}.get(kind, f"rain.{kind}"),
            kind=kind,
            space=space,
            letters=tuple(letters),
            variables=() if kind in ("npy", "frames") else ("rain", "warm") if style == "several" else ("rain",),
            events=tuple(
                values_of(
                    self.random, (length + each, *(sizes[letter] for letter in space), self.channels), packing, missing
                )
                for each in range(count)
            )
            if not inner
            else tuple(
                values_of(self.random, (length, *(sizes[letter] for letter in space), self.channels), packing, missing)
                for _ in range(count)
            ),
            packing=packing,
            coordinates=self.coordinates(sizes) if kind == "nc" else {},
            cuts=(0, length // 3, 2 * length // 3) if kind == "joined" else (),
        )
        if missing and self.chance(0.5):
            record.events[0][len(record.events[0]) // 2] = np.nan
        if timed:
            record = replace(record, times=self.times([len(frames) for frames in record.events]))
        self.record = self.records[record.path] = record
        data: Tree = {"source": self.source(record)}
        data |= self.packed(record)
        self.shape = tuple(sizes[letter] for letter in space)
        self.cut(data["source"])
        self.source_of_record = data["source"]
        return data

    def coordinates(self, sizes: dict[str, int]) -> dict[str, Any]:
        south, east = self.pick(40.0, -10.0), self.pick(-2.0, 100.0)
        found = {}
        for letter in self.space:
            along = np.arange(sizes[letter]) * 0.5
            found[letter] = {"H": south + along, "W": east + along}.get(letter, along)
        if "H" in found and self.chance(0.5):
            found["H"] = found["H"][::-1]
        return found

    def times(self, lengths: list[int]) -> tuple[Any, ...]:
        self.step = self.pick(10, 60, 360, 1440)
        first, times = 0, []
        for length in lengths:
            numbers = np.array(hours_with_gaps(self.random, length, self.pick(0, 0, 1, 2))) + first
            times.append(START + numbers * np.timedelta64(self.step, "m"))
            first = int(numbers[-1]) + 7
        return tuple(times)

    def source(self, record: Record) -> Tree:
        """Return the section that reads a record."""
        source: Tree = {"path": record.path}
        if record.kind == "nc" and self.chance(0.7):
            source["layout"] = {letter: NAMES[letter] for letter in record.letters}
        elif record.kind == "frames":
            source["layout"] = " ".join(["T", *record.letters])
            source["time"] = {"from": "name", "format": "%Y%m%d%H%M"}
        else:
            source["layout"] = " ".join(record.letters)
        if len(record.variables) > 1:
            source["variables"] = list(record.variables)
        elif record.variables:
            source["key"] = record.variables[0]
        if record.times is not None and record.kind not in ("nc", "frames"):
            source["time"] = "when"
        if record.kind == "events":
            source["by"] = "file"
        return source

    def packed(self, record: Record) -> Tree:
        """Return the keys that say how integers stand for values, where the file does not say it."""
        if record.packing is None or record.kind == "nc":
            return {}
        scale, offset = record.packing
        keys: Tree = {"scale": scale, **({"offset": offset} if offset else {})}
        return {**keys, "missing": FILL} if record.misses or self.chance(0.3) else keys

    def cut(self, source: Tree) -> None:
        """Read a region of the record, or coarser frames."""
        assert self.record is not None
        if {"H", "W"} <= set(self.record.coordinates) and self.space == "HW" and self.chance(0.2):
            lat, lon = self.record.coordinates["H"], self.record.coordinates["W"]
            north, west = sorted((lat[1], lat[-1])), [float(lon[0]), float(lon[-2])]
            source["region"] = {"lat": [float(end) for end in north], "lon": west}
            self.shape = (self.shape[0] - 1, self.shape[1] - 1)
            self.forms["region"] += 1
        if self.space and self.chance(0.15):
            factor = self.pick(2, [1, 2, 2][-len(self.space) :])
            factors = [factor] * len(self.space) if isinstance(factor, int) else factor
            source["coarsen"] = {"factor": factor, "method": self.pick("mean", "max", "sum")}
            self.shape = tuple(size // each for size, each in zip(self.shape, factors, strict=True))
            self.forms["coarsen"] += 1

    def layout(self, data: Tree) -> tuple[int, ...]:
        """Return the spatial axes that the model reads."""
        crop = data.get("crop")
        return self.shape if crop is None else (crop,) * len(self.shape) if isinstance(crop, int) else tuple(crop)

    # Windows and splits

    @property
    def lengths(self) -> list[int]:
        return [9] * 6 if self.record is None else [len(frames) for frames in self.record.events]

    def windows(self, data: Tree) -> None:
        windows = {"past": self.pick(1, 2, 3), "future": self.pick(1, 2, 3)}
        if self.chance(0.3):
            windows["step"] = 2 if max(self.lengths) > 20 or sum(windows.values()) < 4 else 1
        if self.chance(0.3):
            windows["stride"] = self.pick(2, 3)
        if self.chance(0.2):
            windows["lead"] = 1
        elif self.chance(0.1):
            windows["target"] = "next"
        data["windows"] = windows
        self.past, self.future, self.step_of_window = windows["past"], windows["future"], windows.get("step", 1)
        self.next = windows.get("target") == "next"
        self.reach = (self.past + windows.get("lead", 0) + self.future - 1) * windows.get("step", 1)

    def split(self, data: Tree) -> None:
        several, length = len(self.lengths) > 1, min(self.lengths)
        record, kinds = self.record, ["default", "shares"]
        whole = self.reach + 2
        if several:
            kinds += ["events", "event ranges"]
            kinds += ["time"] if length > 3 * whole else []
        else:
            kinds += ["ranges", "ranges"]
            if record is not None and record.times is not None and self.step * length >= 10 * 1440:
                kinds += ["dates", "dates"]
        if record is not None and record.kind in ("joined", "events"):
            kinds += ["files", "file names"]
        kind = self.pick(*kinds)
        self.forms[f"split {kind}"] += 1
        if kind == "default":
            return
        shares = self.pick({"train": 0.6, "test": 0.4}, {"train": 0.5, "validation": 0.2, "test": 0.3})
        if kind == "shares":
            data["split"] = shares
        elif kind == "events":
            data["split"] = {"by": "event", **shares}
        elif kind == "time":
            data["split"] = {"by": "time", "train": 0.5, "test": 0.5}
        elif kind == "event ranges":
            data["split"] = {"train": [1, len(self.lengths)], "test": [0, 1]}
        elif kind == "ranges":
            middle = length // 2
            later = [middle + self.reach, length]
            data["split"] = self.pick(
                {"train": [0, middle], "test": later}, {"test": [2, middle], "train": later}, {"train": [2, middle]}
            )
        elif kind == "dates":
            assert record is not None
            assert record.times is not None
            days = np.unique(record.times[0].astype("datetime64[D]")).astype(str).tolist()
            middle = len(days) // 2
            data["split"] = self.pick(
                {"train": [days[0], days[middle]], "test": [days[middle + 1], days[-1]]},
                {"test": [days[0], days[middle - 1]], "train": [days[middle], days[-1]]},
            )
        else:
            self.split_files(data, named=kind == "file names", shares=shares)

    def split_files(self, data: Tree, *, named: bool, shares: Tree) -> None:
        assert self.record is not None
        names = [name for name, _, _ in self.record.parts]
        if not named:
            data["split"] = {"by": "file", **self.pick(shares, {"train": [1, len(names)], "test": [0, 1]})}
            return
        chosen = self.random.sample(names, len(names))
        test = self.pick(1, 1, len(names) // 2)
        data["split"] = {"by": "file", "train": chosen[test:], "test": chosen[:test]}

    def values(self, data: Tree) -> None:
        transform = self.pick(*LISTS)
        if self.record is None:
            transform = self.pick([], ["standardize"], [{"name": "scale", "factor": 2}])
        if transform and self.channels > 1 and self.chance(0.3):
            first = transform[0] if isinstance(transform[0], dict) else {"name": transform[0]}
            names = self.record.variables if self.record and len(self.record.variables) > 1 else (0, 1)
            transform = [{**first, "channels": [self.pick(*names)]}, *transform[1:]]
        if transform:
            data["transform"] = copy.deepcopy(transform)
            self.forms["transform"] += 1
        periodic = any(isinstance(step, dict) and step["name"] == "anomaly" for step in transform)
        if not periodic and self.chance(0.2):
            data["fill"] = self.pick(0, 2.5)
        if not periodic and self.chance(0.1):
            data["statistics"] = 5000
        if self.chance(0.2):
            data["mask"] = True
            self.forms["mask"] += 1
        if self.record is not None and self.chance(0.1):
            data["on_error"] = "skip"

    def crop(self, data: Tree) -> None:
        if self.shape and self.chance(0.25):
            data["crop"] = self.pick(min(self.shape), [max(1, size - 2) for size in self.shape])
            self.forms["crop"] += 1
        if self.shape and self.chance(0.25):
            read = self.layout(data)
            axes = {"L": ["length"], "HW": ["height", "width"], "DHW": ["depth", "height", "width"]}[self.space]
            augment: Tree = {"flip": self.random.sample(axes, self.pick(1, len(axes)))}
            if len(read) > 1 and read[-1] == read[-2]:
                augment["rotate"] = True
            if self.chance(0.2):
                augment["noise"] = 0.1
            data["augment"] = augment
            self.forms["augment"] += 1

    # Inputs and targets

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

    def targets(self, data: Tree) -> dict[str, tuple[Tree | str, Any]]:
        """Draw what each output is compared with, and its loss."""
        rises = not any(isinstance(step, dict) and step.get("factor", 1) < 0 for step in data.get("transform", []))
        losses = ["mse", "mae", "huber", *(HEADS if rises else [])]
        if self.chance(0.45):
            return {"out": ("future", self.pick(*losses))}
        outputs: dict[str, tuple[Tree | str, Any]] = {}
        for index in range(self.pick(1, 2, 3)):
            target: Tree = {}
            if not self.next and self.chance(0.4):
                target["frames"] = sorted(self.random.sample(range(1, self.future + 1), self.pick(1, self.future)))
            if self.record is not None and len(self.record.variables) > 1 and self.chance(0.5):
                target["variables"] = self.random.sample(self.record.variables, self.pick(1, 1, 2))
            event = self.chance(0.35)
            if event:
                exact = "coarsen" not in data["source"] and self.record is not None
                target["above"] = 2 if exact else 0.3037
            loss = "binary_crossentropy" if event else self.pick(*losses)
            outputs[f"out{index}"] = (target or "future", loss)
            self.forms[f"target {' '.join(sorted(target)) or 'future'}"] += 1
        data["targets"] = {name: copy.deepcopy(target) for name, (target, _) in outputs.items()}
        return outputs

    # The same spec, as users write it

    def dressed(self, tree: Tree, files: dict[str, Tree]) -> tuple[Tree, dict[str, Tree], tuple[str, ...]]:
        """Return a spec that means the tree, its files and its overrides."""
        main, files, overrides = copy.deepcopy(tree), dict(files), []
        data = main["data"]
        if self.chance(0.3):
            self.forms["vars"] += 1
            main["vars"] = {**main.get("vars", {}), "past_frames": data["windows"]["past"]}
            data["windows"]["past"] = "$past_frames"
        if self.chance(0.2):
            self.forms["override"] += 1
            overrides.append(f"data.windows.future={data['windows']['future']}")
            data["windows"]["future"] = 17
        if "transform" in data and self.chance(0.2):
            self.forms["override of a list"] += 1
            overrides.append(f"data.transform={json.dumps(data['transform'])}")
            data["transform"] = ["dbz"]
        if self.chance(0.25):
            self.forms["extends"] += 1
            base: Tree = {"specbuild": 1, "data": {}}
            for key in self.random.sample(sorted(data), self.pick(1, len(data) // 2, len(data))):
                base["data"][key] = data.pop(key)
            if self.chance(0.5):
                base["data"].setdefault("windows", {"past": 9, "future": 9})
            base["data"].setdefault("variable", "rain")
            if not data:
                del main["data"]
            for key in self.random.sample(["train", "evaluate", "inputs"], self.pick(0, 1, 2)):
                base[key] = main.pop(key)
            place = self.pick("base.yaml", "bases/base.yaml")
            files[place] = base
            main = {"specbuild": main.pop("specbuild"), "extends": place, **main}
            if self.chance(0.3):
                self.forms["set"] += 1
                main["set"] = {"train.batch_size": 2}
        return main, files, tuple(overrides)
