"""Loops, branches, residuals, blocks, files and reuses, drawn at random."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from composite_case import Contents, Place, Shape, Spot, Tree, nodes_of


class Forms:
    """The part of `Drawing` that draws composites with other nodes inside."""

    def inner(self, place: Place, form: str, **changes: Any) -> Place:
        """Return the place inside a composite that reads what is outside."""
        return replace(
            place,
            names=dict(place.names),
            again=list(place.again),
            states=list(place.states),
            depth=place.depth + 1,
            inside=form,
            **changes,
        )

    def leave(self, place: Place, inner: Place) -> None:
        """Make what was named inside readable outside."""
        place.names.update(inner.names)
        place.again[:] = inner.again
        place.states[:] = inner.states

    def loop(self, place: Place, spot: Spot, keep: bool) -> tuple[Tree, Spot, dict[str, Shape]]:
        """A loop whose rounds end in the shape in which they begin, one after the other or side by side."""
        variable = f"v{len(place.loops)}{self.pick('', 'a')}"
        inner = self.inner(place, "loop", loops=(*place.loops, variable))
        if len(spot.shape) in (2, 4) and self.chance(0.25):
            item, result, _ = (
                self.both(inner, spot, True)
                if self.chance(0.2) and not place.feedback
                else self.level(inner, spot, True)
            )
            item.pop("initial_state", None)
            items, end = [item], result
        else:
            items, end = self.nodes(inner, Spot(spot.shape), self.pick(1, 2), goal=spot.shape)
        rounds = self.pick(1, 2, 2, 3)
        beside = end.last is None and self.chance(0.3)
        values = list(range(1, rounds + 1))
        if self.chance(0.5):
            item = {"repeat": self.written(rounds), "as": variable, "do": items}
            if self.chance(0.04) and not beside:
                item["repeat"], end = 0, Spot(spot.shape)
                return item, end, {}
        else:
            values = self.random.sample(range(1, 9), rounds)
            item = {"for": {variable: values}, "do": items}
            if self.chance(0.2):
                item["as"] = self.unique("count")
        if beside:
            item["merge"], channels = self.merging(spot.shape[-1], rounds, keep=keep)
            end = Spot((*spot.shape[:-1], channels))
        last = str(self.random.choice(values))
        for name, shape in inner.names.items():
            if name not in place.names:
                place.names[self.at(name, variable, last)] = shape
        for each in inner.again[len(place.again) :]:
            place.again.append(replace(each, id=self.at(each.id, variable, last)))
        for name, *rest in inner.states[len(place.states) :]:
            place.states.append((self.at(name, variable, last), *rest))
        return item, end, {}

    def at(self, name: str, variable: str, value: str) -> str:
        """Return a name inside a loop as it is called outside."""
        name = name.replace(f"${{{variable}}}", value)
        return re.sub(rf"\${variable}(?!\w)", value, name)

    def branch(self, place: Place, spot: Spot, keep: bool) -> tuple[Tree, Spot, dict[str, Shape]]:
        """Paths that end in one shape and are joined, or end anywhere and are read by name."""
        inner = self.inner(place, "branch")
        merged = keep or self.chance(0.6)
        paths: dict[str, list[Tree]] = {}
        members: dict[str, Shape] = {}
        for name in ("a", "b", "c")[: self.pick(1, 2, 2, 3) if not merged else self.pick(2, 2, 3)]:
            if self.chance(0.2):
                paths[name], end = [], Spot(spot.shape)
            else:
                goal = spot.shape if merged else None
                paths[name], end = self.nodes(inner, Spot(spot.shape), self.pick(1, 2), goal=goal, keep=keep)
            if end.last is None and end.shape:
                members[name] = end.shape
            elif end.last is not None:
                members |= {f"{name}.sequence": end.shape, f"{name}.last": end.last}
        self.leave(place, inner)
        if not merged:
            return {"branch": paths}, Spot(()), members
        merge, channels = self.merging(spot.shape[-1], len(paths))
        return {"branch": paths, "merge": merge}, Spot((*spot.shape[:-1], channels)), members

    def merging(self, channels: int, paths: int, *, keep: bool = False) -> tuple[Any, int]:
        """Return a layer that joins paths of one shape, and the channels that come of it."""
        kind = self.pick("Add", "Multiply", "Average", "Maximum", "Concatenate")
        if keep and kind == "Concatenate":
            kind = "Add"
        merge = kind if self.chance(0.6) else {"layer": kind}
        return merge, channels * paths if kind == "Concatenate" else channels

    def residual(self, place: Place, spot: Spot, keep: bool) -> tuple[Tree, Spot, dict[str, Shape]]:  # noqa: ARG002 - as all draws
        inner = self.inner(place, "residual")
        goal = spot.shape
        item: Tree = {}
        if self.chance(0.4):
            goal = (*spot.shape[:-1], self.pick(1, 2, 3))
        item["residual"], _ = self.nodes(inner, Spot(spot.shape), self.pick(1, 2), goal=goal)
        if goal != spot.shape or self.chance(0.2):
            around, _ = self.nodes(inner, Spot(spot.shape), 1, goal=goal)
            # What is left out has no names to read and no condition of its own; weights that it freezes stay frozen.
            plain = all({"id", "projection", "reuse"}.isdisjoint(node) for node in nodes_of({"layers": around}))
            item["projection" if plain and self.chance(0.5) else "shortcut"] = around
        channels = goal[-1]
        if self.chance(0.3):
            item["merge"], channels = self.merging(channels, 2)
        self.leave(place, inner)
        return item, Spot((*goal[:-1], channels)), {}

    def inlined(self, contents: Contents, place: Place, spot: Spot) -> tuple[Tree, Spot, dict[str, Shape]] | None:
        """Return what a block or a file reads here, and what it gives; None where nothing fits."""
        item: Tree = {}
        if contents.inputs != (spot.shape,):
            sources = []
            for shape in contents.inputs:
                fitting = sorted(name for name, each in place.names.items() if each == shape)
                if not fitting:
                    return None
                sources.append(self.random.choice(fitting))
            item["from"] = sources if len(sources) > 1 else sources[0]
            item["_inputs"] = contents.inputs
        return item, contents.result or Spot(()), contents.members

    def use(self, place: Place, spot: Spot, keep: bool) -> tuple[Tree, Spot, dict[str, Shape]]:
        """A block."""
        contents = self.blocks[self.random.choice(place.blocks)]
        found = self.inlined(contents, place, spot)
        if found is None or (keep and (found[1].last is not None or found[1].shape != spot.shape)):
            return self.layer(place, spot, keep)
        item, result, members = found
        item = {"block": contents.name, "with": {"s": self.seed(place)}, **item}
        if self.chance(0.3):
            item["with"]["n"] = 2
        if contents.body is not None:
            inner = Place(loops=place.loops, seeds=place.seeds, depth=place.depth + 1, inside="nodes of a block")
            item["with"]["body"], _ = self.nodes(inner, Spot(contents.body), self.pick(1, 2), goal=contents.body)
        return item, result, members

    def insert(self, place: Place, spot: Spot, keep: bool) -> tuple[Tree, Spot, dict[str, Shape]]:
        """Another spec."""
        (contents,) = self.files.values()
        found = self.inlined(contents, place, spot)
        if found is None or (keep and found[1].shape != spot.shape):
            return self.layer(place, spot, keep)
        item, result, members = found
        return {"model": contents.name, "vars": {"s": self.seed(place)}, **item}, result, members

    def reuse(self, place: Place, spot: Spot, keep: bool) -> tuple[Tree, Spot, dict[str, Shape]]:
        """An earlier node again."""
        fitting = [each for each in place.again if each.inputs == (spot.shape,)]
        if keep:
            fitting = [each for each in fitting if each.result.last is None and each.result.shape == spot.shape]
        if not fitting:
            return self.layer(place, spot, keep)
        chosen = self.random.choice(fitting)
        item: Tree = {"reuse": chosen.id}
        if not place.feedback and self.chance(0.4) and chosen.id in [state[0] for state in place.states]:
            item["initial_state"] = chosen.id
        return item, chosen.result, chosen.members
