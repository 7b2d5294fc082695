"""Models for the specs of `tools/data_cases.py`: whatever their inputs read, they give what their outputs need."""

from __future__ import annotations

import math
from collections import Counter
from random import Random
from typing import Any

from composite_case import Place, Spot
from composite_drawing import Drawing
from data_records import Record, Tree

Shape = tuple[int, ...]

QUANTILES = {"name": "pinball", "quantiles": [0.1, 0.5, 0.9]}
HEADS: list[Any] = [QUANTILES, "gaussian_nll", "censored_gamma"]
"""Losses of distributions."""
PARTS = {"pinball": 3, "gaussian_nll": 2, "censored_gamma": 3}
"""Channels that each of them needs for a variable."""
COORDINATES = {"latitude": 1, "longitude": 2, "solar_elevation": 1}


def frame_count(frames: str, windows: Tree) -> int:
    """Return how many frames of a window an input has that reads those."""
    return {"past": windows["past"], "future": windows["future"]}.get(frames, windows["past"] + windows["future"])


class Trunk(Drawing):
    """Nodes inside each other that keep the shape of a frame or a vector."""

    def __init__(self, random: Random, shape: Shape) -> None:
        super().__init__(random)
        self.shape = shape

    def input_shape(self) -> Shape:
        return self.shape


class ModelDrawing:
    """The model of one case while it is drawn."""

    def __init__(
        self, random: Random, forms: Counter[str], space: Shape, channels: int, records: dict[str, Record]
    ) -> None:
        self.random, self.forms, self.space, self.channels, self.records = random, forms, space, channels, records
        self.files: dict[str, Tree] = {}
        self.layers: list[Tree] = []
        self.open = bool(space) and random.random() < 0.15
        """Whether the inputs leave the size of frames to the data."""

    def chance(self, share: float) -> bool:
        return self.random.random() < share

    def tree(self, data: Tree, feeds: dict[str, Any], outputs: dict[str, tuple[Any, Any]]) -> Tree:
        """Return the sections of the model."""
        if any(isinstance(feed, dict) and "cycles" in feed for feed in feeds.values()):
            self.open = False
        tree: Tree = {"inputs": {}, "layers": self.layers}
        maps = []
        for name, feed in feeds.items():
            count, shape = self.shape_of(feed, data)
            if count == 1 and self.chance(0.5):
                count = 0
            written = (*([count] if count else []), *shape)
            tree["inputs"][name] = [
                None if self.open and self.is_space(at, written) else n for at, n in enumerate(written)
            ]
            maps.append(self.map_of(name, count, shape))
        if len(maps) > 1:
            self.layers.append({"id": "all", "layer": "Concatenate", "from": maps})
        filters = self.random.choice((1, 2))
        self.layers.append(
            {"id": "trunk", **self.on_frames(filters, 3), **({} if len(maps) > 1 else {"from": maps[0]})}
        )
        self.layers[-1]["activation"] = "tanh"
        if self.chance(0.4) and not self.open and len(self.space) in (0, 2):
            tree |= self.composite((*self.space, filters))
        self.layers.append({"id": "core", "layer": "Activation", "activation": "tanh"})
        named = {}
        for name, (target, loss) in outputs.items():
            named[name] = self.output(name, target, loss, data)
        if "targets" in data or self.chance(0.5):
            tree["outputs"] = named
        if "inputs" not in data and self.chance(0.3):
            data["inputs"] = {"x": "past"}
        return tree

    def is_space(self, at: int, shape: Shape) -> bool:
        """Whether an axis is one of those before the last that frames have."""
        return len(shape) - 1 - len(self.space) <= at < len(shape) - 1

    def shape_of(self, feed: Any, data: Tree) -> tuple[int, Shape]:
        """Return how many frames an input has (0: no axis for them), and the shape of each."""
        windows = data["windows"]
        if feed == "past":
            return windows["past"], (*self.space, self.channels + data.get("mask", 0))
        if "source" in feed:
            channels = self.records[feed["source"]["path"]].events[0].shape[-1]
            return frame_count(feed["frames"], windows) if "frames" in feed else 0, (*self.space, channels)
        if "cycles" in feed:
            space = self.space if self.chance(0.5) else ()
            return frame_count(feed.get("frames", "future"), windows), (*space, 2 * len(feed["cycles"]))
        if "coordinates" in feed:
            channels = sum(COORDINATES[name] for name in feed["coordinates"])
            return frame_count(feed["frames"], windows) if "frames" in feed else 0, (*self.space, channels)
        if "motion" in feed:
            return 0, (*self.space, 2 * self.channels)
        return windows["future"], (*self.space, self.channels)

    def map_of(self, name: str, count: int, shape: Shape) -> str:
        """Add the nodes that make one frame of an input, and return the name of the last."""
        if count:
            self.layers.append({"id": f"{name}_last", "layer": "LastFrame", "from": name})
            if len(shape) == 3 and not self.open and self.chance(0.15):
                cell = {"layer": "ConvGRU2D", "filters": 1, "kernel_size": 1}
                self.layers[-1] = {"id": f"{name}_last", **cell, "from": name}
            name = f"{name}_last"
            if self.layers[-1]["layer"] == "ConvGRU2D":
                name = f"{name}.last"
        if len(shape) == 1 and self.space:
            plain = name.partition(".")[0]
            self.layers.append({"id": f"{plain}_wide", "layer": "Dense", "units": math.prod(self.space), "from": name})
            self.layers.append({"id": f"{plain}_map", "layer": "Reshape", "target_shape": [*self.space, 1]})
            name = f"{plain}_map"
        return name

    def on_frames(self, filters: int, kernel: int = 1) -> Tree:
        """Return a layer with weights on a frame, or on a vector where frames have no space."""
        if not self.space:
            return {"layer": "Dense", "units": filters}
        return {"layer": f"Conv{len(self.space)}D", "filters": filters, "kernel_size": kernel, "padding": "same"}

    def composite(self, shape: Shape) -> Tree:
        """Add forms inside each other, and return the sections that they need."""
        drawing = Trunk(self.random, shape)
        if self.chance(0.3):
            self.files["part.yaml"] = drawing.file("part.yaml") | {
                "data": {"source": {"path": "elsewhere.npy", "layout": "T H W"}, "windows": {"past": 9, "future": 1}},
                "train": {"epochs": 99},
            }
            self.forms["model file with data of its own"] += 1
        blocks = {"first": drawing.block("first")} if self.chance(0.4) else {}
        place = Place(names={"trunk": shape}, blocks=tuple(blocks))
        start = Spot(shape, reference="trunk")
        items, _ = drawing.nodes(place, start, self.random.choice((1, 2)), start=True, goal=shape)
        self.layers += items
        self.forms += drawing.forms
        return {"blocks": blocks} if blocks else {}

    def output(self, name: str, target: Any, loss: Any, data: Tree) -> str:
        """Add the nodes of an output, and return the id of the last."""
        windows = data["windows"]
        wanted = target if isinstance(target, dict) else {}
        count = windows["future"]
        if windows.get("target") == "next":
            count += windows["past"] - 1
        count = len(wanted["frames"]) if "frames" in wanted else count
        kind = loss["name"] if isinstance(loss, dict) else loss
        channels = len(wanted.get("variables", "x" * self.channels)) * PARTS.get(kind, 1)
        last = self.on_frames(channels)
        if "above" in wanted:
            last["activation"] = "sigmoid"
        if count == 1 and self.chance(0.4):
            self.layers.append({"id": f"{name}_end", **last, "from": "core"})
            return f"{name}_end"
        self.layers.append({"id": f"{name}_steps", "layer": "RepeatFrame", "from": "core", "times": count})
        self.layers.append({"id": f"{name}_end", "time_distributed": last})
        return f"{name}_end"
