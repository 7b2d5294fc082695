"""Composite specs, drawn at random."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

from composite_case import FRAME, STEPS, VECTOR, Again, Case, Contents, Place, Shape, Spot, Tree
from composite_cells import Cells
from composite_coders import Coders
from composite_forms import Forms
from composite_layers import Layers
from naive import FORMS


def generate(random: Random) -> Case:
    """Draw a case."""
    return Drawing(random).case()


class Drawing(Layers, Cells, Forms, Coders):
    """One case while it is drawn."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.number = 0
        self.forms: Counter[str] = Counter()
        self.pairs: set[tuple[str, str]] = set()
        self.blocks: dict[str, Contents] = {}
        self.files: dict[str, Contents] = {}
        self.vars: dict[str, int] = {}
        self.defaults: Tree = {}

    def chance(self, share: float) -> bool:
        return self.random.random() < share

    def pick(self, *choices: Any) -> Any:
        return self.random.choice(choices)

    def unique(self, prefix: str) -> str:
        self.number += 1
        return f"{prefix}{self.number}"

    # The whole

    def case(self) -> Case:
        tree: Tree = {"specbuild": 1}
        if self.chance(0.5):
            self.vars = {"f": self.pick(1, 2, 3), "k": self.pick(1, 3), "t": STEPS}
            tree["vars"] = {**self.vars, "g": "$f * 2"}
            self.vars["g"] = self.vars["f"] * 2
        if self.chance(0.4):
            self.defaults = {
                "Conv2D": {"padding": "same", "kernel_size": self.pick(1, 3)},
                "ConvLSTM2D": {"padding": "same", "kernel_size": 3},
                "Dense": {"activation": "tanh"},
            }
            tree["defaults"] = copy.deepcopy(self.defaults)
        files: dict[str, Tree] = {}
        if self.chance(0.3):
            files["part.yaml"] = self.file("part.yaml")
        blocks = {}
        for name in ("first", "second")[: self.pick(0, 1, 1, 2)]:
            blocks[name] = self.block(name)
        if blocks:
            tree["blocks"] = blocks
        names = ("x", "y")[: self.pick(1, 1, 2)]
        shapes = {name: self.input_shape() for name in names}
        tree["inputs"] = {name: [self.written(length) for length in shape] for name, shape in shapes.items()}
        place = Place(names=dict(shapes), blocks=tuple(blocks))
        spot = Spot(shapes["x"], reference="x")
        tree["layers"], end = self.nodes(place, spot, self.pick(2, 3, 4), start=len(names) > 1)
        while not end.shape:
            known = self.random.choice(sorted(place.names))
            more, end = self.nodes(place, Spot(place.names[known], reference=known), 2, start=True)
            tree["layers"] += more
        tree["layers"] += self.closing(end, place)
        self.outputs(tree, place)
        return Case(tree, files, self.forms, self.pairs)

    def input_shape(self) -> Shape:
        return self.pick((STEPS, *FRAME), (STEPS, *FRAME), FRAME, VECTOR, (STEPS, *VECTOR))

    def closing(self, spot: Spot, place: Place) -> list[Tree]:
        """Nodes after which nothing is left open."""
        if spot.last is None:
            return []
        return [self.ranked(spot, self.pick("sequence", "last"), place)[0]]

    def outputs(self, tree: Tree, place: Place) -> None:
        known = [name for name in place.names if name not in tree["inputs"]]
        if not known or self.chance(0.25):
            return
        chosen = self.random.sample(known, min(len(known), self.pick(1, 2, 3)))
        tree["outputs"] = chosen
        if self.chance(0.4):
            tree["outputs"] = {f"out{index}": name for index, name in enumerate(chosen)}

    def file(self, name: str) -> Tree:
        """Draw a spec to insert."""
        outer, self.vars, defaults, self.defaults = self.vars, {"w": 2}, self.defaults, {}
        shapes = tuple(self.input_shape() for _ in range(self.pick(1, 1, 2)))
        inputs = {f"in{index}": shape for index, shape in enumerate(shapes)}
        place = Place(names=dict(inputs), seeds=("$s",), depth=1, inside="model")
        layers, end = self.nodes(place, Spot(shapes[0], reference="in0"), self.pick(1, 2), start=len(shapes) > 1)
        layers += (closing := self.closing(end, place))
        if closing:
            end = self.closed_spot
        tree: Tree = {"specbuild": 1, "vars": {"s": 0, "w": 2}}
        tree["inputs"] = {key: list(shape) for key, shape in inputs.items()}
        tree["layers"] = layers
        known = {key: shape for key, shape in place.names.items() if key not in inputs}
        result: Spot | None = end
        members = {key: shape for key, shape in known.items() if "." not in key}
        if known and self.chance(0.5):
            chosen = self.random.sample(sorted(known), min(len(known), self.pick(1, 2)))
            named = {f"o{index}": key for index, key in enumerate(chosen)}
            tree["outputs"] = named
            members |= {key: known[each] for key, each in named.items()}
            result = Spot(known[chosen[0]]) if len(chosen) == 1 else None
        self.vars, self.defaults = outer, defaults
        self.files[name] = Contents(name, shapes, result, members)
        return tree

    def block(self, name: str) -> Tree:
        """Draw a block."""
        shapes = tuple(self.input_shape() for _ in range(self.pick(1, 1, 2)))
        outer, self.vars = self.vars, {**self.vars, "n": 2}
        place = Place(seeds=("$s",), depth=1, inside="block", blocks=tuple(self.blocks))
        tree: Tree = {"parameters": {"s": self.pick("int", {"type": "int"}, {"type": "int", "default": 5}), "n": 2}}
        start = len(shapes) > 1
        if start or self.chance(0.3):
            tree["inputs"] = [f"in{index}" for index in range(len(shapes))]
            place.names = dict(zip(tree["inputs"], shapes, strict=True))
            spot = Spot(shapes[0], reference="in0")
        else:
            place.names = {"input": shapes[0]}
            spot = Spot(shapes[0], reference="input")
        inputs = set(place.names)
        body = None if start or self.chance(0.6) else spot.shape
        tree["do"], end = self.nodes(place, spot, self.pick(1, 2), start=start)
        if body is not None:
            tree["parameters"]["body"] = "nodes"
            tree["do"].insert(0, {self.pick("residual", "residual", "handed"): "$body"})
            if "handed" in tree["do"][0]:
                tree["do"][0] = {"repeat": 1, "do": "$body"}
        known = {key: shape for key, shape in place.names.items() if key not in inputs}
        members = {key: shape for key, shape in known.items() if "${" not in key}
        result: Spot | None = end
        if known and self.chance(0.4):
            chosen = self.random.sample(sorted(known), min(len(known), self.pick(1, 2)))
            style = self.pick("one", "list", "mapping")
            if style == "one":
                tree["output"] = chosen[0]
                result = Spot(known[chosen[0]])
            elif style == "list" and not any("." in key for key in chosen):
                tree["output"] = chosen
                result = Spot(known[chosen[0]]) if len(chosen) == 1 else None
            else:
                tree["output"] = {f"o{index}": key for index, key in enumerate(chosen)}
                members |= {f"o{index}": known[key] for index, key in enumerate(chosen)}
                result = Spot(known[chosen[0]]) if len(chosen) == 1 else None
        self.vars = outer
        self.blocks[name] = Contents(name, shapes, result, members, body=body)
        return tree

    # Lists of nodes

    def nodes(
        self,
        place: Place,
        spot: Spot,
        count: int,
        *,
        start: bool = False,
        keep: bool = False,
        goal: Shape | None = None,
    ) -> tuple[list[Tree], Spot]:
        """Draw some nodes. `start`: the first must say what it reads; `keep`: only channels change; `goal`: the end."""
        items: list[Tree] = []
        for index in range(count):
            if self.chance(0.05):
                items.append({"when": "${2 < 1}", "layer": "Flatten"})
            item, spot = self.node(place, spot, keep=keep or goal is not None, start=start and index == 0)
            if self.chance(0.05):
                item["when"] = self.pick("${1 < 2}", "${3 == 3}", "${3 != 4}")
            items.append(item)
            if not spot.shape:
                break
        if goal is not None and (spot.last is not None or spot.shape != goal):
            item, spot = self.projected(spot, goal, place)
            items.append(item)
        return items, spot

    def node(self, place: Place, spot: Spot, *, keep: bool, start: bool) -> tuple[Tree, Spot]:
        """Draw one node after a spot."""
        source = ""
        if start or (spot.reference and self.chance(0.1)):
            source = spot.reference
        if spot.last is not None:
            port = "sequence" if keep or place.feedback else self.pick("sequence", "last")
            if spot.reference and self.chance(0.4):
                source = f"{spot.reference}.{port}"
                spot = Spot(spot.shape if port == "sequence" else spot.last, reference=source)
            elif self.chance(0.95):
                return self.ranked(spot, port, place)
        elif not keep and not place.feedback and place.names and self.chance(0.12):
            source = self.random.choice(sorted(place.names))
            spot = Spot(place.names[source], reference=source)
        draw = self.random.choice(self.choices(place, spot))
        item, result, members = draw(place, spot, keep)
        form = next(form for form in FORMS if form in item)
        self.note(form, place)
        several = isinstance(item.get("from"), list)
        if source and "from" not in item and form != "equation":
            item["from"] = source
        if start and "from" not in item and form != "equation":
            item["from"] = spot.reference
        inputs, bare = item.pop("_inputs", (spot.shape,)), item.pop("_bare", False)
        reusable = item.pop("_again", True) and not (form == "repeat" and item["repeat"] == 0)
        composite = form in ("repeat", "for", "branch", "residual", "block", "model", "encoder_decoder", "recurrent")
        if composite and self.chance(0.08):
            item["trainable"] = False
        if result.shape and result.last is None and self.chance(0.12):
            item["expect"] = [self.pick(length, length, None) for length in result.shape]
            if place.feedback:
                item["expect"][0] = None
        if not bare and ("id" in item or self.chance(0.55) or not result.shape):
            name = item.get("id") or self.id(place, form[0])
            item = {"id": name, **item}
            result = replace(result, reference=name if result.shape else "")
            self.name(place, name, result, members)
            if form in ("repeat", "for") and "merge" not in item and result.shape and result.last is None:
                count = len(next(iter(item["for"].values()))) if form == "for" else item["repeat"]
                if isinstance(count, int) and count and "$" not in name:
                    place.rounds.append((name, count, result.shape))
            if reusable and (several or "from" not in item or isinstance(item["from"], str)):
                place.again.append(Again(name, inputs, replace(result, reference=""), members))
        else:
            result = replace(result, reference="")
        return item, result

    def note(self, form: str, place: Place) -> None:
        self.forms[form] += 1
        self.pairs.add((place.inside, form))

    def id(self, place: Place, prefix: str) -> str:
        name = self.unique(prefix)
        if len(place.loops) == 1 and self.chance(0.5):
            return f"{name}_${place.loops[0]}"
        return name + "".join(f"_${{{loop}}}" for loop in place.loops)

    def name(self, place: Place, name: str, spot: Spot, members: dict[str, Shape]) -> None:
        """Note what may be read by a name."""
        if spot.last is not None:
            place.names[f"{name}.sequence"] = spot.shape
            place.names[f"{name}.last"] = spot.last
        elif spot.shape:
            place.names[name] = spot.shape
        for member, shape in members.items():
            place.names[f"{name}.{member}"] = shape

    def choices(self, place: Place, spot: Spot) -> list[Callable[..., tuple[Tree, Spot, dict[str, Shape]]]]:
        """Return what can be drawn after a spot, as often as it should be."""
        steps = len(spot.shape) in (2, 4)
        drawn = [self.layer] * 3 + [self.split]
        if steps:
            drawn += [self.level] * 2 + [self.frames] * 2
            if place.depth < 3:
                drawn += [self.recurrent] * 4
            if not place.feedback:
                drawn += [self.both]
        if any(shape == spot.shape for shape in place.names.values()):
            drawn += [self.merge] + [self.equation] * 2
        if self.motions(place, spot):
            drawn += [self.warp] * 2
        if place.rounds:
            drawn += [self.collected] * 2
        if steps and place.depth < 3 and not place.feedback:
            drawn += [self.composites_on_frames] * 2
        if any(each.inputs == (spot.shape,) for each in place.again):
            drawn += [self.reuse] * 4
        if place.depth < 3:
            drawn += [self.loop] * 3 + [self.branch] * 2 + [self.residual] * 2
            if not place.feedback and any(name in place.blocks for name in self.blocks):
                drawn += [self.use] * 3
            if not place.feedback and self.files and place.inside not in ("block", "model"):
                drawn += [self.insert] * 2
            if steps and not place.feedback:
                drawn += [self.coder] * 3
            if steps and not place.feedback:
                drawn += [self.feedback] * 2
        return drawn
