"""Cells of `recurrent`, drawn at random, in one direction or both."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from composite_case import Place, Shape, Spot, Tree


class Cells:
    """The part of `Drawing` that draws cells with states of their own."""

    def recurrent(self, place: Place, spot: Spot, keep: bool) -> tuple[Tree, Spot, dict[str, Shape]]:
        """A custom cell."""
        steps, *frame = spot.shape
        inner = self.within_cell(place, tuple(frame))
        body: Tree = {"states": {}}
        passed = [each for each in place.states if each[1] == "recurrent" and _fits(each[3], tuple(frame))]
        given = self.random.choice(passed) if passed and self.chance(0.6) and not place.feedback else None
        shapes: dict[str, Shape] = {}
        if given is not None:
            body["states"] = copy.deepcopy(given[3][0])
            shapes = given[3][1]
        else:
            for name in self.pick("h", "hc", "hm", "hcm", "m"):
                body["states"][name], shapes[name] = self.state_of_cell(tuple(frame))
        if still := self.still(place, tuple(frame)):
            body["static"] = still
            inner.names |= {name: place.names[source] for name, source in still.items()}
        read = [name for name, shape in place.names.items() if len(shape) > 1 and shape[0] == steps]
        if read and self.chance(0.4):
            inner.names |= {name: place.names[name][1:] for name in self.random.sample(read, min(len(read), 2))}
        inner.names |= {"input": tuple(frame), **shapes}
        body["do"], _ = self.nodes(inner, Spot(tuple(frame), reference="input"), self.pick(0, 1, 1, 2))
        after: dict[str, Shape] = {}
        body["next"] = {name: self.next_of(inner, name, shape, body["do"], after) for name, shape in shapes.items()}
        inner.names |= after
        result = shapes[next(iter(shapes))]
        if self.chance(0.5):
            body["output"], result = self.output_of_cell(inner, shapes)
        if keep and (len(result) != len(frame) or result[:-1] != tuple(frame)[:-1]):
            body["output"], result = self.adapted(inner, tuple(frame), body["do"]), tuple(frame)
        for flag, share in (("go_backwards", 0.15), ("remat", 0.1)):
            if self.chance(share) and not (place.feedback and flag == "go_backwards"):
                body[flag] = True
        item: Tree = {"recurrent": body}
        members: dict[str, Shape] = {}
        end = Spot((steps, *result), result)
        if not place.feedback and self.chance(0.2):
            body["return_sequences"] = self.chance(0.6) or keep
            end = Spot((steps, *result) if body["return_sequences"] else result)
        else:
            members = {f"state.{name}": shape for name, shape in shapes.items()}
        if given is not None:
            item["initial_state"] = given[0]
            if self.chance(0.3):
                item["initial_state"] = {name: f"{given[0]}.state.{name}" for name in shapes}
        if not place.feedback and self.chance(0.7):
            item = {"id": self.id(place, "r"), **item}
            place.states.append((item["id"], "recurrent", 0, (body["states"], shapes)))
        return item, end, members

    def within_cell(self, place: Place, frame: Shape) -> Place:
        """Return the place inside a cell, where names are those of one step."""
        return Place(
            names={"input": frame},
            loops=place.loops,
            seeds=place.seeds,
            depth=place.depth + 1,
            inside="recurrent",
            blocks=place.blocks,
        )

    def state_of_cell(self, frame: Shape) -> tuple[Any, Shape]:
        """Return a state as it is declared, and its shape."""
        channels = self.pick(1, 2, 3)
        shape = (*frame[:-1], channels)
        declared: Any = self.written(channels)
        if self.chance(0.3):
            shape = self.pick(shape, (channels,), (channels, 2))
            declared = list(shape)
        if self.chance(0.3):
            declared = {"shape": declared, "initial": self.pick(-1, 0.5, "learned", "learned")}
        return declared, shape

    def still(self, place: Place, frame: Shape) -> dict[str, str]:
        """Return the static maps, by the names inside."""
        names = [name for name, shape in place.names.items() if shape[:-1] == frame[:-1]]
        return {self.unique("w"): self.random.choice(names)} if names and self.chance(0.3) else {}

    def adapted(self, place: Place, goal: Shape, items: list[Tree], source: str = "") -> str:
        """Add a node that ends in a shape, from something inside a cell, and return its name."""
        fitting = sorted(name for name, shape in place.names.items() if shape[:-1] == goal[:-1])
        frames = sorted(name for name, shape in place.names.items() if len(shape) == 3)
        name = self.id(place, "n")
        if source or fitting:
            item = {"from": source or self.random.choice(fitting), **self.weighted(place, goal[-1], len(goal))}
        elif len(goal) == 1 and frames:
            pooled = self.id(place, "n")
            items.append({"id": pooled, "layer": "GlobalAveragePooling2D", "from": self.random.choice(frames)})
            item = {"from": pooled, **self.dense(place, goal[-1])}
        else:
            start = self.random.choice(sorted(place.names))
            flat, wide = self.id(place, "n"), self.id(place, "n")
            items.append({"id": flat, "layer": "Flatten", "from": start})
            items.append({"id": wide, "from": flat, **self.dense(place, int(np.prod(goal)))})
            item = {"from": wide, "layer": "Reshape", "target_shape": list(goal)}
        items.append({"id": name, **item})
        place.names[name] = goal
        return name

    def next_of(self, place: Place, state: str, shape: Shape, items: list[Tree], after: dict[str, Shape]) -> Any:
        """Add what a state becomes to the nodes of a cell, and return its name, an equation, or a number.

        `after` has the states that are known after the step.
        """
        before = [name for name, each in after.items() if each == shape]
        after[f"{state}_next"] = shape
        if self.chance(0.05):
            return self.pick(state, state, 0, -0.5)
        new = self.adapted(place, shape, items)
        kept = self.adapted(place, shape, items, state)
        if self.chance(0.5):
            more, end = self.nodes(place, Spot(shape, reference=kept), self.pick(1, 1, 2), start=True, goal=shape)
            kept = end.reference
            if not kept:
                kept = more[-1]["id"] = self.id(place, "n")
            items += more
        known = sorted(name for name, each in place.names.items() if each == shape and "." not in name)
        other = self.random.choice([*known, *before * 3])
        result: str = self.pick(
            f"tanh({new} + {kept})",
            f"tanh({new}) * 0.5 - {kept} * {other}",
            f"sigmoid({new}) * {state} + (1 - sigmoid({new})) * tanh({kept})",
            new,
        )
        if self.chance(0.3) or not result.isidentifier():
            return result
        items.append({"id": (name := self.id(place, "n")), "layer": "Add", "from": [new, kept]})
        place.names[name] = shape
        return name

    def output_of_cell(self, place: Place, states: dict[str, Shape]) -> tuple[str, Shape]:
        """Return the output of a cell, and its shape."""
        name = self.random.choice(sorted({*place.names} - {"input", *states}) or ["h"])
        shape = place.names.get(name, ())
        if not shape or self.chance(0.3):
            name = self.random.choice(sorted(states))
            return name, states[name]
        return self.pick(name, name, f"tanh({name}) * 2"), shape

    def level_as_text(self, place: Place, rank: int, channels: int, *, blind: bool = False) -> Tree:
        """Return a cell that can be a level, in one direction or both; `blind` reads its states alone."""
        frame = (6, 6, 1) if rank == 4 else (1,)
        inner = self.within_cell(place, frame)
        shape = (*frame[:-1], channels)
        inner.names = {"h": shape, "c": shape, **({} if blind else {"input": frame})}
        items: list[Tree] = []
        if not blind:
            inner.names[self.adapted(inner, shape, items, "input")] = shape
        self.forms["recurrent"] += 1
        states = {"h": self.written(channels), "c": self.written(channels)}
        after: dict[str, Shape] = {}
        becomes = {name: self.next_of(inner, name, shape, items, after) for name in states}
        return {"recurrent": {"states": states, "do": items, "next": becomes}}

    def both(self, place: Place, spot: Spot, keep: bool) -> tuple[Tree, Spot, dict[str, Shape]]:  # noqa: ARG002 - as all draws
        """A recurrent layer in both directions."""
        steps, *frame, _ = spot.shape
        filters = self.pick(1, 2)
        kind = "recurrent" if self.chance(0.3) else ""
        item: Tree = {"bidirectional": self.cell(place, len(spot.shape), filters, kind)}
        mode = self.pick("concat", "sum", "mul", "ave", None)
        if mode is not None:
            item["merge_mode"] = mode
        last = (*frame, filters * 2 if mode in ("concat", None) else filters)
        return item, Spot((steps, *last), last), {}


def _fits(cell: Any, frame: Shape) -> bool:
    """Whether the states of a cell, as declared and as shapes, are the same over other frames."""
    states, shapes = cell
    whole = {name: each["shape"] if isinstance(each, dict) else each for name, each in states.items()}
    return all(isinstance(each, list) or shapes[name][:-1] == frame[:-1] for name, each in whole.items())
