"""Layers, merges, equations and recurrent levels, drawn at random."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from composite_case import STEPS, Place, Shape, Spot, Tree
from naive_things import STATES


class Layers:
    """The part of `Drawing` that draws single layers, and composites on every frame."""

    def seed(self, place: Place) -> Any:
        self.number += 1
        terms = [*place.seeds, *(f"${loop} * {17 + 14 * index}" for index, loop in enumerate(place.loops))]
        return " + ".join([*terms, str(self.number * 100)]) if terms else self.number * 100

    def written(self, number: int) -> Any:
        """Return a number, maybe as an expression of variables."""
        if not self.vars or self.chance(0.7):
            return number
        name, value = self.random.choice(sorted(self.vars.items()))
        return f"${name}" if value == number else f"${name} + {number - value}" if number > value else number

    def initial(self, place: Place, *names: str) -> Tree:
        """Return initializers with seeds of their own."""
        return {
            f"{name}_initializer": {"name": "RandomNormal", "stddev": 0.4, "seed": self.seed(place)} for name in names
        }

    def convolution(self, place: Place, filters: int, kernel: int | None = None) -> Tree:
        """Return a convolution that keeps the size of a frame."""
        layer: Tree = {"layer": "Conv2D", "filters": self.written(filters)}
        if "Conv2D" not in self.defaults or kernel is not None:
            layer |= {"kernel_size": kernel or self.pick(1, 3)}
        if "Conv2D" not in self.defaults:
            layer["padding"] = "same"
        if self.chance(0.3):
            layer["activation"] = "tanh"
        return layer | self.initial(place, "kernel", "bias")

    def dense(self, place: Place, units: int) -> Tree:
        return {"layer": "Dense", "units": self.written(units), **self.initial(place, "kernel", "bias")}

    def weighted(self, place: Place, channels: int, rank: int) -> Tree:
        """Return a layer with weights on a frame or a vector."""
        return self.convolution(place, channels) if rank == 3 else self.dense(place, channels)

    def projected(self, spot: Spot, goal: Shape, place: Place) -> tuple[Tree, Spot]:
        """Return a node from a spot to a shape that differs in its channels."""
        if spot.last is not None and place.feedback is False and len(goal) == len(spot.last):
            return {**self.weighted(place, goal[-1], len(goal))}, Spot(goal)
        steps = len(spot.shape) in (2, 4)
        layer = self.weighted(place, goal[-1], len(spot.shape) - steps)
        self.note("time_distributed" if steps else "layer", place)
        return {"time_distributed": layer} if steps else layer, Spot(goal)

    def ranked(self, spot: Spot, port: str, place: Place) -> tuple[Tree, Spot]:
        """Return a node that tells by its number of axes which port of an open end it reads."""
        channels = self.pick(1, 2, 3)
        if port == "last" and spot.last is not None:
            if len(spot.last) == 3:
                item, shape = self.convolution(place, channels), (*spot.last[:-1], channels)
            else:
                item, shape = {"layer": "RepeatVector", "n": 2}, (2, *spot.last)
            self.note("layer", place)
            self.closed_spot = Spot(shape)
            return item, self.closed_spot
        if len(spot.shape) == 4:
            item = {"time_distributed": self.convolution(place, channels)}
            self.note("time_distributed", place)
            self.closed_spot = Spot((*spot.shape[:-1], channels))
            return item, self.closed_spot
        if place.feedback:
            item, result, _ = self.level(place, Spot(spot.shape), True)
            self.note("layer", place)
            return item, result
        self.note("layer", place)
        layer = {"layer": "Conv1D", "filters": channels, "kernel_size": 3, "padding": "same"}
        self.closed_spot = Spot((spot.shape[0], channels))
        return layer | self.initial(place, "kernel", "bias"), self.closed_spot

    def layer(self, place: Place, spot: Spot, keep: bool) -> tuple[Tree, Spot, dict[str, Shape]]:
        shape, channels = spot.shape, self.pick(1, 2, 3)
        plain: list[tuple[Tree, Shape]] = [
            ({"layer": "ReLU"}, shape),
            ({"layer": "Activation", "activation": "tanh"}, shape),
            ({"layer": "BatchNormalization", **self.initial(place, "gamma", "moving_mean")}, shape),
        ]
        if len(shape) in (1, 2):
            plain += [(self.dense(place, channels), (*shape[:-1], channels))] * 3
        if len(shape) == 3:
            plain += [(self.convolution(place, channels), (*shape[:-1], channels))] * 4
            if not keep:
                plain += [
                    ({"layer": "GlobalAveragePooling2D"}, shape[-1:]),
                    ({"layer": "RepeatFrame", "times": STEPS}, (STEPS, *shape)),
                ]
                if shape[0] == 6:
                    plain += [({"layer": "MaxPooling2D"}, (3, 3, shape[-1]))]
        if len(shape) == 1 and not keep:
            plain += [({"layer": "RepeatVector", "n": STEPS}, (STEPS, *shape))]
        if len(shape) in (2, 4) and not keep:
            plain += [({"layer": "LastFrame"}, shape[1:])]
        item, result = self.random.choice(plain)
        return dict(item), Spot(result), {}

    def merge(self, place: Place, spot: Spot, keep: bool) -> tuple[Tree, Spot, dict[str, Shape]]:
        """A merge of the spot, which must have a name, with something of its shape."""
        equal = sorted(name for name, shape in place.names.items() if shape == spot.shape)
        first = spot.reference if spot.reference and spot.last is None else self.random.choice(equal)
        if not spot.reference and keep:
            return self.layer(place, spot, keep)
        kind = self.pick("Add", "Multiply", "Average", "Subtract", "Concatenate")
        shape = spot.shape if kind != "Concatenate" else (*spot.shape[:-1], 2 * spot.shape[-1])
        item = {"layer": kind, "from": [first, self.random.choice(equal)], "_inputs": (spot.shape, spot.shape)}
        return item, Spot(shape), {}

    def motions(self, place: Place, spot: Spot) -> list[str]:
        """Return the nodes that can be a motion of the frames of a spot, constant or of every step."""
        if len(spot.shape) not in (3, 4) or not spot.reference or spot.last is not None or place.feedback:
            return []
        constant = (*spot.shape[-3:-1], 2)
        return sorted(name for name, shape in place.names.items() if shape in (constant, (STEPS, *constant)))

    def warp(self, place: Place, spot: Spot, keep: bool) -> tuple[Tree, Spot, dict[str, Shape]]:
        """Frames of a spot, moved along a node that can be a motion; the spot must have a name."""
        motion = self.random.choice(self.motions(place, spot))
        shape, single = spot.shape, len(spot.shape) == 3
        if (keep and single) or (not single and shape[0] != STEPS):
            return self.layer(place, spot, keep)
        steps = self.pick(STEPS, [1, 0, 2]) if single else self.pick(STEPS, [1, 0, 2], "to_last")
        item = {"layer": "Warp", "from": [spot.reference, motion], "steps": steps, "outside": self.pick("edge", 0)}
        return item | {"_inputs": (shape, place.names[motion])}, Spot((STEPS, *shape[-3:])), {}

    def equation(self, place: Place, spot: Spot, keep: bool) -> tuple[Tree, Spot, dict[str, Shape]]:
        """An equation on nodes whose shapes broadcast to that of the spot."""
        equal = sorted(name for name, shape in place.names.items() if shape == spot.shape)
        first = spot.reference if spot.reference and spot.last is None else self.random.choice(equal)
        if not spot.reference and keep:
            return self.layer(place, spot, keep)
        second, third = self.random.choice(equal), self.random.choice(equal)
        vectors = sorted(name for name, shape in place.names.items() if shape == spot.shape[-1:])
        if len(spot.shape) > 1 and vectors and self.chance(0.5) and not place.feedback:
            third = self.random.choice(vectors)
        number = self.pick("2", "0.5", *(f"${name}" for name in (*self.vars, *place.loops)))
        text = self.pick(
            f"tanh({first})",
            f"{first} * {number} - {second}",
            f"sigmoid({first} - {second}) / (1 + {number})",
            f"-maximum({first}, {second} * {third}) ** 2 + {third}",
            f"{third} - ({first} + {second}) * ({third} - {first})",
        )
        used = list(dict.fromkeys(name for name in (first, second, third) if name in text))
        inputs = tuple(place.names.get(name, spot.shape) for name in used)
        return {"equation": text, "_inputs": inputs}, Spot(spot.shape), {}

    def split(self, place: Place, spot: Spot, keep: bool) -> tuple[Tree, Spot, dict[str, Shape]]:
        """A split, whose parts are read by name or joined again."""
        first = 1 + (len(spot.shape) in (2, 4) and place.feedback)
        axes = [axis for axis in range(first, len(spot.shape) + 1) if spot.shape[axis - 1] > 1]
        if not axes or spot.last is not None:
            return self.layer(place, spot, keep)
        axis = self.random.choice(axes)
        length = spot.shape[axis - 1]
        cut = self.random.randrange(1, length)
        lengths = [length // 2] * 2 if length % 2 == 0 and self.chance(0.5) else [cut, length - cut]
        bare = not keep and self.chance(0.3) and (lengths[0] == lengths[1] or not place.loops)
        names = [self.id(place, "p") for _ in lengths] if bare else ["a", "b"]
        parts = (
            names if lengths[0] == lengths[1] and (bare or self.chance(0.7)) else dict(zip(names, lengths, strict=True))
        )
        item: Tree = {"split": parts}
        if axis != len(spot.shape) or self.chance(0.3):
            item["axis"] = self.pick(axis, axis - len(spot.shape) - 1)
        shapes = [(*spot.shape[: axis - 1], length, *spot.shape[axis:]) for length in lengths]
        if keep or (not bare and self.chance(0.4)):
            inner, gates = self.inner(place, "loop"), self.id(place, "s")
            self.note("split", inner)
            self.note("equation", inner)
            gated = self.id(place, "q")
            equation = {"id": gated, "equation": f"tanh({gates}.a) + {gates}.a * 0.5"}
            joined = {"layer": "Concatenate", "axis": axis, "from": [gated, f"{gates}.b"]}
            return {"repeat": 1, "do": [{"id": gates, **item}, equation, joined]}, Spot(spot.shape), {}
        if bare:
            place.names.update(zip(names, shapes, strict=True))
            return {**item, "_bare": True}, Spot(()), {}
        return item, Spot(()), dict(zip(names, shapes, strict=True))

    def collected(self, place: Place, spot: Spot, keep: bool) -> tuple[Tree, Spot, dict[str, Shape]]:
        """All rounds of a loop, joined."""
        fitting = [each for each in place.rounds if each[2] == spot.shape or not keep]
        if not fitting or place.feedback:
            return self.layer(place, spot, keep)
        name, rounds, shape = self.random.choice(fitting)
        kind = self.pick("Add", "Maximum", "Average") if keep else self.pick("Add", "Average", "Concatenate")
        channels = shape[-1] * (rounds if kind == "Concatenate" else 1)
        return {"layer": kind, "from": f"{name}.rounds", "_again": False}, Spot((*shape[:-1], channels)), {}

    def composites_on_frames(self, place: Place, spot: Spot, keep: bool) -> tuple[Tree, Spot, dict[str, Shape]]:
        """Composites that run on every frame."""
        changes: dict[str, Any] = {"names": {}, "again": [], "states": [], "rounds": [], "blocks": ()}
        inner = replace(place, depth=place.depth + 1, inside="time_distributed", **changes)
        frame = spot.shape[1:]
        draw = self.pick(self.loop, self.branch, self.residual)
        if draw == self.branch:
            item, result, _ = self.branch(inner, Spot(frame), True)
        else:
            item, result, _ = draw(inner, Spot(frame), keep)
        items = [item]
        if result.shape != frame and keep:
            more, result = self.projected(result, frame, inner)
            items.append(more)
        return {"time_distributed": items}, Spot((spot.shape[0], *result.shape)), {}

    def frames(self, place: Place, spot: Spot, keep: bool) -> tuple[Tree, Spot, dict[str, Shape]]:
        """Layers on every frame."""
        shape, channels = spot.shape, self.pick(1, 2, 3)
        first = self.weighted(place, channels, len(shape) - 1)
        result: Shape = (*shape[:-1], channels)
        if self.chance(0.5):
            frozen = {"trainable": False} if self.chance(0.1) else {}
            return {"time_distributed": first, **frozen}, Spot(result), {}
        stack = [first, self.pick({"layer": "ReLU"}, {"layer": "BatchNormalization", **self.initial(place, "gamma")})]
        if not keep and len(shape) == 4 and shape[1] == 6 and self.chance(0.3):
            stack.append({"layer": "AveragePooling2D", "pool_size": 2})
            result = (shape[0], 3, 3, channels)
        return {"time_distributed": stack}, Spot(result), {}

    def cell(self, place: Place, rank: int, filters: int, kind: str = "") -> Tree:
        """Return a recurrent layer over frames or vectors, or a custom cell."""
        if kind == "recurrent":
            return self.level_as_text(place, rank, filters)
        kind = kind or (self.pick("ConvLSTM2D", "ConvGRU2D") if rank == 4 else self.pick("LSTM", "GRU", "SimpleRNN"))
        layer: Tree = {"layer": kind, "filters" if rank == 4 else "units": self.written(filters)}
        if rank == 4 and kind not in self.defaults:
            layer |= {"kernel_size": self.pick(1, 3), "padding": "same"}
        return layer | self.initial(place, "kernel", "recurrent", "bias")

    def level(self, place: Place, spot: Spot, keep: bool) -> tuple[Tree, Spot, dict[str, Shape]]:
        """A recurrent layer, with or without a state that is passed to it."""
        steps, *frame, _ = spot.shape
        filters = self.pick(1, 2, 3)
        item = self.cell(place, len(spot.shape), filters)
        fitting = []
        for state in place.states:
            if state[1] == item["layer"] and state[3][:-1] == tuple(frame):
                fitting.append(state)
        if fitting and self.chance(0.7) and not place.feedback:
            name, kind, filters, _ = self.random.choice(fitting)
            item["filters" if len(spot.shape) == 4 else "units"] = filters
            item["initial_state"] = name
            if self.chance(0.4):
                item["initial_state"] = {part: f"{name}.state.{part}" for part in STATES[kind]}
        last = (*frame, filters)
        members: dict[str, Shape] = {}
        if not place.feedback and self.chance(0.3):
            item["return_sequences"] = self.chance(0.6) or keep
            spot = Spot((steps, *last) if item["return_sequences"] else last)
        else:
            spot = Spot((steps, *last), last)
            members = {f"state.{part}": last for part in STATES[item["layer"]]}
            if not place.feedback and self.chance(0.1):
                item["expect"] = list(self.pick(spot.shape, last))
        if not place.feedback and self.chance(0.7):
            item = {"id": self.id(place, "r"), **item}
            place.states.append((item["id"], item["layer"], filters, last))
        return item, spot, members
