"""Specs with data sections drawn at random, with the files that they read, for `tools/data_search.py`.

A case is a tree, the whole spec in plain numbers, and the same written as users write it: with variables, a base that
it extends, `set:`, and overrides. What the data section means follows from the tree and the records alone.
"""

from __future__ import annotations

import copy
import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import yaml
from data_feeds import FeedDrawing
from data_models import HEADS, ModelDrawing
from data_records import LISTS, Record, Tree


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


class DataDrawing(FeedDrawing):
    """One case while it is drawn."""

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
        tree |= self.training(data, outputs)
        tree["evaluate"] = {"thresholds": [2]}
        main, files, overrides = self.dressed(tree, model.files)
        return DataCase(tree, main, files, overrides, self.records, self.forms)

    def training(self, data: Tree, outputs: dict[str, tuple[Tree | str, Any]]) -> Tree:
        """Return the section that trains the outputs, each with its target and its loss: one step of two windows."""
        train = {"loss": self.losses(data, outputs), "epochs": 1, "steps_per_epoch": 1, "batch_size": 2}
        return {"train": train}

    def losses(self, data: Tree, outputs: dict[str, tuple[Tree | str, Any]]) -> Any:
        """Return the loss of each output, or that of the only one."""
        return {name: loss for name, (_, loss) in outputs.items()} if "targets" in data else outputs["out"][1]

    # Windows and splits

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

    # Targets

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
                main["set"] = {"train.batch_size": tree["train"]["batch_size"]}
        return main, files, tuple(overrides)
