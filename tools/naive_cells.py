"""Cells of `recurrent`, run step by step, for the naive reading of a spec."""

from __future__ import annotations

import ast
from dataclasses import replace
from typing import Any

import keras
from naive_things import (
    JOINED,
    Call,
    Env,
    Named,
    NoInput,
    Recurrent,
    Tree,
    at_step,
    ended,
    look_up,
    one,
)
from naive_values import (
    Start,
    Tied,
    aligned,
    every_copy,
    filled,
    names_in,
    substituted,
    text,
    value_of,
)


class Cells:
    """The part of `Reader` that runs cells."""

    def _recurrent(self, item: Tree, env: Env) -> Recurrent:
        return self.cell(item["recurrent"], {}, env.inputs[0], env, env.state, text(item.get("id"), env.values))

    def cell(self, body: Tree, both: Tree, thing: Any, env: Env, state: Any, name: str) -> Recurrent:
        """Return the outputs of nodes that run once for each step; `both` has the arguments of a Bidirectional."""
        body = {**body, "states": every_copy(substituted(body["states"], env.values))}

        def again(thing: Any, at: Env) -> Recurrent:
            at = replace(at, document=env.document, names=env.names, values=env.values)
            flags = ("return_sequences", "return_state", "go_backwards", "stateful")
            own = {key: value for key, value in body.items() if key not in flags}
            return self.cell(own, {}, thing, at, None, f"{name}_mirror" if name else "")

        for part in env.parts:
            part.calls.append(Call("bidirectional" if both else "", "recurrent", {}, {**both}, name, again))
        if state is None and env.parts and env.parts[-1].state_of is not None:
            part = env.parts[-1]
            state = part.state_of(name, len(part.levels), bool(both))
        if env.carried is not None and env.carried.before is not None:
            state = env.carried.before[len(env.carried.after)]
        own = list(body["states"])
        backwards = bool(body.get("go_backwards"))
        halves = [state[: len(own)], state[len(own) :]] if both and state is not None else [state, state]
        ways = [self.stepped(body, thing, env.within("forward"), halves[0], backwards=backwards)]
        names = own
        if both:
            ways.append(self.stepped(body, thing, env.within("backward"), halves[1], backwards=not backwards))
            names = [f"{way}_{each}" for way in ("forward", "backward") for each in own]
        (outputs, states), *rest = ways
        ports = {
            "sequence": Tied()([keras.ops.stack(outputs, axis=1), *states]),
            "last": Tied()([outputs[-1], *states]),
        }
        mode = both.get("merge_mode", "concat")
        for others, after in rest:
            join, states = getattr(keras.layers, JOINED[mode])(), [*states, *after]
            sequence = keras.ops.stack(others[::-1], axis=1)
            second = {"sequence": Tied()([sequence, *after]), "last": Tied()([others[-1], *after])}
            ports = {port: join([ports[port], second[port]]) for port in ports}
        written = (both or body).get("return_sequences")
        result = Recurrent(ports["sequence"], ports["last"], dict(zip(names, states, strict=True)), written)
        result.merge = mode if both else ""
        for part in env.parts:
            part.levels.append(result)
            part.names.append(name)
        if env.carried is not None:
            env.carried.after.append(states)
        return result

    def stepped(self, body: Tree, thing: Any, env: Env, state: Any, *, backwards: bool) -> tuple[list[Any], list[Any]]:
        """Return the output of every step in the order they run, and the states after the last."""
        thing = ended(thing)
        steps, sequence = thing.steps if isinstance(thing, NoInput) else 0, None
        if not steps:
            sequence = thing.ports["sequence"] if isinstance(thing, Recurrent) else one(thing)
            steps = sequence.shape[1]
        still = {
            name: ended(look_up(source, env.names))
            for name, source in substituted(body.get("static", {}), env.values).items()
        }
        frames = {name: x.ports["last"] if isinstance(x, Recurrent) else one(x) for name, x in still.items()}
        states, firsts = {}, []
        for index, (name, declared) in enumerate(substituted(body["states"], env.values).items()):
            first = self.first_state(declared, sequence, env.within("initial", name))
            states[name] = first if state is None else state[index]
            firsts += [] if first is None else [first]
        outputs = []
        for step in range(steps)[:: -1 if backwards else 1]:
            frame = None if sequence is None else sequence[:, step]
            names = {name: Named(at_step(named.thing, step, steps)) for name, named in env.names.items()}
            names |= {name: Named(x) for name, x in {"input": frame, **states, **frames}.items()}
            inner = env.within("step", names=names, previous=frame, parts=(), carried=None, state=None)
            self.items(body["do"], inner)
            after = {}
            for name, written in body["next"].items():
                if name not in states:
                    rounds = look_up(filled(written, env.values), names).things
                    after |= {f"{name}{at}": one(thing) for at, thing in enumerate(rounds, start=1)}
                    continue
                number = isinstance(written, int | float)
                after[name] = one(states[name]) * 0 + written if number else self.value(written, names, env)
                names[f"{name}_next"] = Named(after[name])
            end = body.get("output", next(iter(states)))
            outputs.append(after[end] if end in states else self.value(end, names, env))
            states = {name: after[name] for name in states}
        return outputs, [Tied()([state, *states.values(), *firsts, outputs[-1]]) for state in states.values()]

    def first_state(self, declared: Any, sequence: Any, place: Env) -> Any:
        """Return a state before the first step; None where it only ever starts from another."""
        whole = declared if isinstance(declared, dict) else {"shape": declared}
        if sequence is None:
            return None
        shape = whole["shape"] if isinstance(whole["shape"], list) else [*sequence.shape[2:-1], whole["shape"]]
        return self.made(place, lambda: Start(shape, whole.get("initial", 0)), {})(sequence)

    def value(self, written: str, names: dict[str, Named], env: Env) -> Any:
        """Return what a name or an equation stands for."""
        written = filled(written, env.values)
        tensors = aligned({name: one(look_up(name, names)) for name in names_in(written)})
        return value_of(ast.parse(written, mode="eval").body, tensors)
