"""Encoders, decoders and autoregressive nodes, drawn at random."""

from __future__ import annotations

from typing import Any

from composite_case import Place, Shape, Spot, Tree
from naive_things import STATES
from naive_values import substituted


class Coders:
    """The part of `Drawing` that draws nodes that forecast further than they read."""

    def coder(self, place: Place, spot: Spot, keep: bool) -> tuple[Tree, Spot, dict[str, Shape]]:
        """An encoder and a decoder."""
        frame = spot.shape[1:-1]
        rank = len(spot.shape)
        inner = self.inner(place, "encoder_decoder")
        inner.again = []
        kind = self.pick("ConvLSTM2D", "ConvGRU2D") if rank == 4 else self.pick("LSTM", "GRU")
        if self.chance(0.35):
            kind = "recurrent"
        levels = self.pick(1, 2, 2)
        sizes = [self.pick(1, 2, 3) for _ in range(levels)]
        mirrored = rank == 4 and self.chance(0.35)
        feed: Any = self.pick("none", "none", "last", "last_frame", "repeat", "sequence", "feedback")
        if rank == 2 and feed == "none":
            feed = "last"
        modes = [self.pick("", "", "", "concat", "sum") for _ in range(levels)]
        encoder: list[Tree] = []
        names = []
        states = [size * 2 if mode == "concat" else size for size, mode in zip(sizes, modes, strict=True)]
        for size, mode in zip(sizes, modes, strict=True):
            if self.chance(0.4):
                layer = self.weighted(inner, self.pick(1, 2), rank - 1)
                if mirrored and self.chance(0.3) and tuple(frame) == (6, 6) and not encoder:
                    layer |= {"strides": 2, "padding": "same"}
                between: Tree = {"time_distributed": layer}
                if self.chance(0.3):
                    between = {"time_distributed": [layer, {"layer": "ReLU"}]}
                encoder.append(between)
            names.append(self.id(place, "e"))
            encoder.append(self.coded(names[-1], self.cell(inner, rank, size, kind), mode))
        if self.chance(0.15):
            encoder = self.wrapped(encoder, inner)
        body: Tree = {"encoder": encoder}
        horizon = self.pick(1, 2, 3)
        if feed == "none":
            if self.chance(0.3):
                body["feed"] = "none"
        elif feed == "repeat":
            wanted = [name for name, shape in place.names.items() if shape[:-1] == tuple(frame)]
            body["feed"] = {"repeat": self.random.choice(wanted)} if wanted else "last"
        elif feed == "sequence":
            wanted = [name for name, shape in place.names.items() if len(shape) == rank and shape[1:-1] == tuple(frame)]
            if wanted:
                body["feed"] = self.random.choice(wanted)
                horizon = place.names[body["feed"]][0]
            else:
                body["feed"] = "last_frame"
        else:
            body["feed"] = feed
        if feed != "sequence" or body["feed"] == "last_frame":
            body["horizon"] = self.written(horizon)
        members: dict[str, Shape] = {}
        last_frames: dict[str, Shape] = {}
        if mirrored:
            if self.chance(0.3):
                body["decoder"] = "mirrored"
            end = encoder[0] if isinstance(encoder[0], dict) else {}
            last = states[0]
            if "time_distributed" in end:
                layer = end["time_distributed"]
                layer = layer[0] if isinstance(layer, list) else layer
                last = self.value(layer["filters"])
        else:
            order = self.pick("mirrored", "mirrored", "in_order", "ids", "none" if feed != "feedback" else "ids")
            if order != "mirrored":
                body["states"] = order
            givers = list(range(levels)) if order == "in_order" else list(reversed(range(levels)))
            decoder: list[Tree] = []
            takers = []
            outputs = []
            written_states = {}
            for number, giver in enumerate(givers):
                if number > 0 and self.chance(0.3) and feed != "feedback":
                    decoder.append({"time_distributed": self.weighted(inner, self.pick(1, 2), rank - 1)})
                takers.append(self.id(place, "d"))
                both = modes[giver] and self.chance(0.4) and feed != "feedback"
                half = order == "none" and modes[giver] and not both
                size = sizes[giver] if both or half else states[giver]
                cell = self.cell(inner, rank, size, kind)
                if kind == "recurrent" and not number and feed == "none":
                    cell = self.level_as_text(inner, rank, size, blind=True)
                level = self.coded(takers[-1], cell, modes[giver] if both else "")
                if order == "none":
                    if half:
                        parts = STATES.get(kind, ("h", "c"))
                        level["initial_state"] = {part: f"{names[giver]}.state.forward_{part}" for part in parts}
                    else:
                        level["initial_state"] = names[giver]
                decoder.append(level)
                written_states[takers[-1]] = names[giver]
                outputs.append(size * 2 if both and modes[giver] == "concat" else size)
            last = outputs[-1]
            if order == "ids":
                body["states"] = dict(written_states)
                if feed != "none" and self.chance(0.3):
                    body["states"][takers[-1]] = "none"
            if self.chance(0.25):
                channels = self.pick(1, 2)
                decoder.append({"time_distributed": self.weighted(inner, channels, rank - 1)})
                last = channels
            body["decoder"] = decoder
            for name, size in zip(takers, outputs, strict=True) if feed != "feedback" else ():
                last_frames[f"{name}.last"] = (*frame, size)
                if not place.loops:
                    members[f"{name}.sequence"] = (horizon, *frame, size)
        if self.chance(0.4) or keep or feed == "feedback":
            body["head"] = [{"time_distributed": self.weighted(inner, spot.shape[-1], rank - 1)}]
            last = spot.shape[-1]
            if self.chance(0.3):
                body["head_input"] = self.pick("all", "end")
        result = Spot((horizon, *frame, last))
        if keep and result.shape != spot.shape:
            return self.layer(place, spot, keep)
        place.names |= last_frames
        if self.chance(0.1) and rank == 4:
            body["remat"] = True
        members["decoder"] = (horizon, *frame, last) if "head" not in body else ()
        if feed == "feedback" and not mirrored and self.chance(0.4):
            self.covarying(place, spot, horizon, body)
        members = {name: shape for name, shape in members.items() if shape}
        item: Tree = {"encoder_decoder": body}
        if spot.reference and self.chance(0.5):
            item["from"] = spot.reference
        for each in ("time_distributed", "layer"):
            self.note(each, inner)
        return item, result, members

    def covarying(self, place: Place, spot: Spot, horizon: int, body: Tree) -> None:
        """Give a feedback decoder covariates and static maps, if any fit."""
        frame = Spot((1, *spot.shape[1:]))
        if read := self.covariates(place, frame, horizon, body):
            body["decoder"].insert(0, {"layer": "Concatenate", "from": ["input", *read]})

    def value(self, number: Any) -> int:
        """Return the value of a number that may be written with variables."""
        return int(substituted(number, self.vars))

    def coded(self, name: str, cell: Tree, mode: str) -> Tree:
        """Return a level of an encoder or decoder."""
        if not mode:
            return {"id": name, **cell}
        self.forms["bidirectional"] += 1
        return {"id": name, "bidirectional": cell, "merge_mode": mode}

    def wrapped(self, items: list[Tree], place: Place) -> list[Tree]:
        """Return nodes inside a composite that changes nothing."""
        if self.chance(0.5):
            self.note("repeat", place)
            return [{"repeat": 1, "do": items}]
        self.note("branch", place)
        return [{"for": {"unused": [1]}, "do": items}]

    def feedback(self, place: Place, spot: Spot, keep: bool) -> tuple[Tree, Spot, dict[str, Shape]]:
        """Nodes that run on their own output."""
        inner = Place(
            names={"input": spot.shape},
            loops=place.loops,
            seeds=place.seeds,
            depth=place.depth + 1,
            feedback=True,
            inside="autoregressive",
        )
        horizon = self.pick(1, 2, 3)
        if keep:
            horizon = spot.shape[0]
        body: Tree = {"do": [], "horizon": self.written(horizon)}
        start = spot
        if read := self.covariates(place, spot, horizon, body):
            inner.names |= read
            body["do"].append({"layer": "Concatenate", "from": ["input", *read]})
            start = Spot((*spot.shape[:-1], spot.shape[-1] + sum(shape[-1] for shape in read.values())))
        first, spot_inside, _ = self.pick(self.level, self.recurrent)(inner, start, True)
        states = [each for each in place.states if each[3][:-1] == spot.shape[1:-1]]
        if states and self.chance(0.6):
            _, kind, filters, last = self.random.choice(states)
            first = self.cell(inner, len(spot.shape), filters, kind)
            spot_inside = Spot((spot.shape[0], *last), last)
        rest, _ = self.nodes(inner, spot_inside, self.pick(0, 1, 2), goal=spot.shape)
        body["do"] += [first, *rest]
        steps = horizon
        if self.chance(0.3):
            body["give"] = self.pick("all", "horizon") if not keep else "horizon"
            steps = spot.shape[0] - 1 + horizon if body["give"] == "all" else horizon
        if self.chance(0.1):
            body["remat"] = True
        item: Tree = {"autoregressive": body}
        if given := self.inner_states(body["do"], states):
            item["initial_state"] = given
        if read:
            item["_again"] = False
        return item, Spot((steps, *spot.shape[1:])), {}

    def inner_states(self, items: list[Tree], states: list[tuple[str, str, int, Shape]]) -> Any:
        """Return initial states for the recurrent layers among the items, if any fit."""
        if not all("layer" in item or "time_distributed" in item for item in items):
            return None  # Layers in composites have no names of their own here.
        given: dict[str, str] = {}
        levels = [item for item in items if item.get("layer") in STATES and "when" not in item]
        for level in levels:
            size = self.value(level.get("filters", level.get("units")))
            fitting = [name for name, kind, filters, _ in states if (kind, filters) == (level["layer"], size)]
            if "id" not in level:
                level["id"] = self.unique("m")
            given[level["id"]] = self.random.choice(fitting) if fitting and self.chance(0.8) else "none"
        if set(given.values()) <= {"none"} or any("$" in name for name in given):
            return None
        return next(iter(given.values())) if len(given) == 1 and self.chance(0.5) else given

    def covariates(self, place: Place, spot: Spot, horizon: int, body: Tree) -> dict[str, Shape]:
        """Give feedback covariates and static maps, if any fit; return their shapes inside, by name."""
        wanted = (spot.shape[0] + horizon - 1, *spot.shape[1:-1])
        moving = sorted(name for name, shape in place.names.items() if shape[:-1] == wanted and shape != spot.shape[1:])
        still = sorted(name for name, shape in place.names.items() if shape[:-1] == spot.shape[1:-1])
        read: dict[str, Shape] = {}
        for key, names in (("covariates", moving), ("static", still)):
            if names and self.chance(0.5):
                source, name = self.random.choice(names), self.unique("w")
                body[key] = {name: source}
                read[name] = (*spot.shape[:-1], place.names[source][-1])
        return read
