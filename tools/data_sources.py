"""Drawing a record and the section that reads it, for `tools/data_cases.py`."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from random import Random
from typing import Any

import numpy as np
from data_records import FILL, NAMES, START, Record, Tree, hours_with_gaps, values_of


class RecordDrawing:
    """The record of a case while it is drawn."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.forms: Counter[str] = Counter()
        self.records: dict[str, Record] = {}

    def chance(self, share: float) -> bool:
        return self.random.random() < share

    def pick(self, *choices: Any) -> Any:
        return self.random.choice(choices)

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

    @property
    def lengths(self) -> list[int]:
        return [9] * 6 if self.record is None else [len(frames) for frames in self.record.events]
