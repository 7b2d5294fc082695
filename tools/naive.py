"""Build a spec's model in the most obvious way, as a second opinion on `specbuild.language` and `specbuild.graph`.

The tree of a spec, as YAML gives it, is walked item by item, and Keras layers are called on the way, without nodes,
shapes or derived ports. It follows docs/language.md and takes from specbuild only its Keras layers. Every
recurrent layer gives all its steps and its state, and readers pick what they need. A layer belongs to its place in the
text (the item, the round of the loop, the use of the block), so `reuse` is the same item read again at its old place.

It assumes that the spec is valid, knows only the layers in its tables, and gives up (`Unsure`) where it cannot tell
which port of a recurrent layer is meant.
"""

from __future__ import annotations

import ast
import copy
import operator
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import keras

from specbuild.model.layers import LAYERS

Tree = dict[str, Any]
Place = tuple[Any, ...]

COMMON = ("id", "from", "when", "expect", "initial_state", "layer")
STATES = {"LSTM": ("h", "c"), "GRU": ("h",), "SimpleRNN": ("h",), "ConvLSTM2D": ("h", "c"), "ConvGRU2D": ("h",)}
"""The recurrent layers, and what their state consists of in Keras's order."""
RANKS = {
    **dict.fromkeys(("LSTM", "GRU", "SimpleRNN", "Conv1D", "GlobalAveragePooling1D"), 3),
    **dict.fromkeys(("Conv2D", "Conv2DTranspose", "MaxPooling2D", "AveragePooling2D", "UpSampling2D"), 4),
    **dict.fromkeys(("GlobalAveragePooling2D", "ZeroPadding2D"), 4),
    **dict.fromkeys(("ConvLSTM2D", "ConvGRU2D", "Conv3D"), 5),
    "RepeatVector": 2,
}
"""The number of axes that a layer reads, with the batch axis."""
MERGES = ("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate")
KEEPS_RANK = (*MERGES, "ReLU", "Activation", "BatchNormalization", "LayerNormalization", "Identity", "Dense")
SEVERAL = (*MERGES, "Warp")
"""The layers that read a list of tensors."""
COMPOSITES = ("repeat", "for", "branch", "residual", "block", "model", "reuse", "equation", "split")
"""Forms that run on every frame as a whole."""
JOINED = {"concat": "Concatenate", "sum": "Add", "ave": "Average", "mul": "Multiply"}
"""The layer that joins two directions as a Bidirectional does."""


class Unsure(Exception):
    """The reader cannot tell what the text means."""


# What an id may stand for: a tensor, or one of these


class Open:
    """A tensor whose number of axes its reader decides."""

    def __init__(self, choices: dict[int, Callable[[], Any]]) -> None:
        self.choices = choices
        self.expected: int | None = None
        """The number of axes that `expect` says, for readers of any number."""

    def at(self, ranks: set[int] | None) -> Any:
        """Return the tensor for a reader of so many axes; None for any number."""
        fitting = [rank for rank in self.choices if ranks is None or rank in ranks]
        if len(fitting) > 1 and ranks is None and self.expected in fitting:
            fitting = [self.expected]
        if len(fitting) != 1:
            raise Unsure(f"any of {sorted(self.choices)} axes, for a reader of {ranks}")
        return self.choices[fitting[0]]()


class Recurrent(Open):
    """The outputs of a recurrent layer."""

    def __init__(self, sequence: Any, last: Any, states: dict[str, Any], written: bool | None) -> None:
        self.ports = {"sequence": sequence, "last": last}
        self.states = states
        choices = {"sequence": len(sequence.shape), "last": len(last.shape)}
        if written is not None:
            del choices["last" if written else "sequence"]
        super().__init__({rank: (lambda port=port: self.ports[port]) for port, rank in choices.items()})
        self.merge = ""
        """How a Bidirectional joins its directions."""

    @property
    def tensors(self) -> list[Any]:
        """The whole state, in Keras's order."""
        return list(self.states.values())


@dataclass
class Composite:
    """What the id of several nodes stands for."""

    end: Any
    members: dict[str, Any] = field(default_factory=dict)


@dataclass
class Named:
    """What an id stands for, and how to run it again: on other inputs, at another place, maybe from a state."""

    thing: Any
    again: Callable[[list[Any], Env, Any], Any] | None = None


@dataclass
class Several:
    """All inputs of a block, under one name."""

    things: list[Any]


@dataclass
class Passed:
    """Nodes as the value of a block's parameter, with the variables of the place where they were written."""

    items: list[Tree]
    values: dict[str, Any]


class Inside(dict[str, Any]):
    """The names inside what runs on every frame; what those outside mean for a frame is not for this reader to say."""

    def __missing__(self, name: str) -> Any:
        raise Unsure(f"{name} is outside of what runs on every frame")


class EveryFrame:
    """What is inside of what runs on every frame, read from outside: not for this reader to say."""


class NoInput:
    """The input of a decoder that has none."""

    def __init__(self, steps: int) -> None:
        self.steps = steps


# Where the reader stands


@dataclass(frozen=True)
class Document:
    """What a file declares beside its layers."""

    tree: Tree
    values: dict[str, Any]
    files: dict[str, Tree]


@dataclass(frozen=True)
class Call:
    """A call of a layer inside an encoder, for the mirror image of it."""

    wrapper: str
    kind: str
    arguments: Tree
    settings: Tree
    name: str
    again: Callable[[Any, Env], Recurrent] | None = None
    """Runs the nodes of a cell at another place."""


@dataclass
class Part:
    """An encoder or a decoder while it is read."""

    levels: list[Recurrent] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    state_of: Callable[[str, int, bool], list[Any] | None] | None = None
    """For a decoder the state of a level, by its id, its number and whether it runs in both directions."""


@dataclass
class Carried:
    """The states of an autoregressive node, in the order of its recurrent layers: those before a step, and after it."""

    before: list[list[Any] | None] | None
    after: list[list[Any]] = field(default_factory=list)


@dataclass(frozen=True)
class Env:
    """Where an item stands."""

    document: Document
    names: dict[str, Named]
    values: dict[str, Any]
    previous: Any
    place: Place
    frozen: bool = False
    parts: tuple[Part, ...] = ()
    """The encoders and decoders around it."""
    carried: Carried | None = None
    inputs: list[Any] = field(default_factory=list)
    """What the item reads."""
    state: list[Any] | None = None
    """What its recurrence starts from."""

    def within(self, *steps: Any, **changes: Any) -> Env:
        return replace(self, place=(*self.place, *steps), **changes)


def interpret(tree: Tree, files: dict[str, Tree] | None = None) -> keras.Model:
    """Return the model of a spec; `files` are the specs that it names, by path."""
    document = Document(tree, variables(tree.get("vars", {})), files or {})
    inputs = {}
    for name, shape in substituted(tree["inputs"], document.values).items():
        inputs[name] = keras.Input(shape, name=name)
    names = {name: Named(tensor) for name, tensor in inputs.items()}
    previous = next(iter(inputs.values())) if len(inputs) == 1 else None
    env = Env(document, names, document.values, previous, ())
    reader = Reader()
    end = reader.items(tree["layers"], env.within("layers"))
    written = substituted(tree.get("outputs"), document.values)
    if written is None:
        outputs = one(end)
    elif isinstance(written, dict):
        outputs = {name: one(look_up(reference, names)) for name, reference in written.items()}
    else:
        outputs = [one(look_up(reference, names)) for reference in written]
        outputs = outputs if len(outputs) > 1 else outputs[0]
    return keras.Model(list(inputs.values()) if len(inputs) > 1 else next(iter(inputs.values())), outputs)


def one(thing: Any, ranks: set[int] | None = None) -> Any:
    """Return the tensor that a reader of so many axes takes of a thing."""
    thing = ended(thing)
    if thing is None:
        raise Unsure("nothing to read")
    return thing.at(ranks) if isinstance(thing, Open) else thing


def shapes(thing: Any) -> set[tuple[int | None, ...]]:
    """Return the shapes with which a thing may be read."""
    while isinstance(thing, Composite):
        thing = thing.end
    tensors = [choice() for choice in thing.choices.values()] if isinstance(thing, Open) else [thing]
    return {tuple(tensor.shape) for tensor in tensors}


def look_up(reference: str, names: dict[str, Named]) -> Any:
    """Return what `id.member.port` stands for."""
    first, *rest = reference.split(".")
    thing = names[first].thing
    if isinstance(thing, EveryFrame):
        raise Unsure(f"{first} is inside of what runs on every frame")
    while rest:
        if isinstance(thing, Several):
            name = rest.pop(0)
            thing = Several([each.members[name] for each in thing.things])
            continue
        if isinstance(thing, Composite) and rest[0] in thing.members:
            thing = thing.members[rest.pop(0)]
            continue
        while isinstance(thing, Composite):
            thing = thing.end
        port = rest.pop(0)
        if port == "state" and rest:
            thing = thing.states[rest.pop(0)]
        elif port == "state":
            (thing,) = thing.states.values()
        else:
            thing = thing.ports[port]
    return thing


def pinned(reference: str, names: dict[str, Named]) -> Any:
    """Return what a reference stands for; of one to a port the recurrent node, whose bare id is that port."""
    tensor, node = look_up(reference, names), look_up(reference.split(".")[0], names)
    if not isinstance(node, Recurrent) or isinstance(tensor, Open):
        return tensor
    node = copy.copy(node)
    node.choices = {len(tensor.shape): lambda: tensor}
    return node


class Reader:
    """Reads items, with the layers made so far by their place in the text."""

    def __init__(self) -> None:
        self.layers: dict[Place, Any] = {}

    def items(self, items: list[Tree] | str, env: Env) -> Any:
        """Return what a list ends in."""
        if isinstance(items, str):
            passed = env.values[items[1:]]
            items, env = passed.items, replace(env, values=passed.values)
        for index, item in enumerate(items):
            if "when" in item and not condition(item["when"]):
                continue
            env = replace(env, previous=self.item(item, env.within(index)))
        return env.previous

    def item(self, item: Tree, env: Env) -> Any:
        """Return what an item stands for, under its id as well."""
        before = dict(env.names)
        inputs = self.sources(item, env)
        form = next(form for form in FORMS if form in item)

        def run(things: list[Any], at: Env, state: Any = None) -> Any:
            if len(things) == 1:
                at = replace(at, previous=things[0])
            elif things:
                at = replace(at, previous=None)
            if form != "layer" and item.get("trainable") is False:
                at = replace(at, frozen=True)
            if state is None and "initial_state" in item and form != "autoregressive":
                state = self.state(substituted(item["initial_state"], at.values), at)
            return getattr(self, f"_{form}")(item, replace(at, inputs=things, state=state))

        def again(things: list[Any], site: Env, state: Any) -> Any:
            at = replace(site, document=env.document, names=dict(before), values=env.values, place=env.place)
            return run(things, at, state)

        thing = run(inputs, env)
        if isinstance(item.get("expect"), str | list):
            expected = substituted(item["expect"], env.values)
            tensor = one(thing, {len(expected) + 1})
            if isinstance(thing, Open):
                thing.expected = len(expected) + 1
            if [want for want, length in zip(expected, tensor.shape[1:], strict=True) if want not in (None, length)]:
                raise AssertionError(f"expected {expected}, got {tensor.shape}")
        if "id" in item:
            env.names[text(item["id"], env.values)] = Named(thing, again)
        return thing

    def sources(self, item: Tree, env: Env) -> list[Any]:
        """Return what an item reads."""
        if "equation" in item:
            written: Any = list(names_in(filled(item["equation"], env.values)))
        elif "from" not in item:
            return [env.previous] if env.previous is not None else []
        else:
            written = substituted(item["from"], env.values)
        things = [look_up(each, env.names) for each in (written if isinstance(written, list) else [written])]
        return [x for thing in things for x in (thing.things if isinstance(thing, Several) else [thing])]

    def state(self, written: Any, env: Env) -> list[Any]:
        """Return the tensors of an initial state, in Keras's order."""
        if isinstance(written, dict):
            return [one(look_up(written[name], env.names)) for name in sorted(written, key=_state_order)]
        thing = look_up(written, env.names)
        while isinstance(thing, Composite):
            thing = thing.end
        return thing.tensors

    # Layers

    def _layer(self, item: Tree, env: Env) -> Any:
        kind = substituted(item["layer"], env.values)
        arguments = own_arguments(item, env)
        if kind in STATES:
            return self.recurrent(kind, arguments, {}, env.inputs[0], env, env.state, text(item.get("id"), env.values))
        expect = substituted(item.get("expect"), env.values)
        return self.apply("", kind, arguments, env.inputs, env, len(expect) + 1 if expect else None)

    def apply(
        self, wrapper: str, kind: str, arguments: Tree, inputs: list[Any], env: Env, rank: int | None = None
    ) -> Any:
        """Return the output of a layer without state, on every frame under a wrapper."""
        for part in env.parts:
            part.calls.append(Call(wrapper, kind, arguments, {}, ""))
        needed = RANKS.get(kind)
        ranks = {needed + bool(wrapper)} if needed else None
        if needed is None and (wrapper or kind == "LastFrame"):
            ranks = set(range(3, 10))
        things = [ended(thing) for thing in inputs]
        if wrapper and isinstance(things[0], Recurrent):
            ranks = {len(things[0].ports["sequence"].shape)}

        def run(ranks: set[int] | None) -> Any:
            return self._run(wrapper, kind, arguments, [one(thing, ranks) for thing in things], env)

        if wrapper or kind not in KEEPS_RANK:
            return run(ranks)
        return self.of_any_rank(run, things, rank)

    def of_any_rank(self, run: Callable[[set[int]], Any], things: list[Any], rank: int | None) -> Any:
        """Return what reads things at one rank: that of those which leave no choice, else that of the reader."""
        if rank is not None:
            return run({rank})
        choices = [set(thing.choices) if isinstance(thing, Open) else {len(thing.shape)} for thing in things]
        fixed = {rank for ranks in choices if len(ranks) == 1 for rank in ranks}
        if fixed:
            return run(fixed)
        return Open({rank: (lambda rank=rank: run({rank})) for rank in set.intersection(*choices)})

    def _equation(self, item: Tree, env: Env) -> Any:
        written = filled(item["equation"], env.values)
        things = [ended(thing) for thing in env.inputs]

        def run(ranks: set[int]) -> Any:
            tensors = [one(thing, ranks) for thing in things]
            named = aligned(dict(zip(names_in(written), tensors, strict=True)))
            return value_of(ast.parse(written, mode="eval").body, named)

        expect = substituted(item.get("expect"), env.values)
        return self.of_any_rank(run, things, len(expect) + 1 if expect else None)

    def _split(self, item: Tree, env: Env) -> Any:
        names = [text(name, env.values) for name in item["split"]]
        lengths = [*item["split"].values()] if isinstance(item["split"], dict) else []
        (thing,) = map(ended, env.inputs)

        def part(index: int) -> Any:
            def run(ranks: set[int]) -> Any:
                tensor = one(thing, ranks)
                axis = item.get("axis", -1) % len(tensor.shape)
                sizes = lengths or [tensor.shape[axis] // len(names)] * len(names)
                start = sum(sizes[:index])
                return tensor[(*[slice(None)] * axis, slice(start, start + sizes[index]))]

            return self.of_any_rank(run, [thing], None)

        parts = {name: part(index) for index, name in enumerate(names)}
        if "id" not in item:
            env.names.update({name: Named(part) for name, part in parts.items()})
        return Composite(None, parts)

    def _run(self, wrapper: str, kind: str, arguments: Tree, tensors: list[Any], env: Env) -> Any:
        layer = self.made(env, lambda: wrapped(wrapper, made(kind, arguments)), arguments)
        return layer(tensors if kind in SEVERAL else tensors[0])

    def recurrent(
        self, kind: str, arguments: Tree, both: Tree | None, thing: Any, env: Env, state: Any, name: str
    ) -> Recurrent:
        """Return the outputs of a recurrent layer; `both` has the arguments of a Bidirectional around it."""
        bidirectional = bool(both)
        written = (both or arguments).get("return_sequences")
        for part in env.parts:
            settings = {**both} if both else {}
            part.calls.append(Call("bidirectional" if both else "", kind, arguments, settings, name))
        if state is None and env.parts and env.parts[-1].state_of is not None:
            part = env.parts[-1]
            state = part.state_of(name, len(part.levels), bidirectional)
        if env.carried is not None and env.carried.before is not None:
            state = env.carried.before[len(env.carried.after)]
        arguments = {name: value for name, value in arguments.items() if not name.startswith("return_")}
        thing = ended(thing)
        if isinstance(thing, NoInput):
            arguments = {**arguments, "use_input": False}
            frame = keras.ops.zeros_like(state[0][..., :1])
            tensor = LAYERS["RepeatFrame"](times=thing.steps)(frame)
        else:
            tensor = one(thing, {RANKS[kind]})

        def make() -> Any:
            layer = made(kind, {**arguments, "return_sequences": True, "return_state": True})
            if not bidirectional:
                return layer
            return keras.layers.Bidirectional(layer, merge_mode=both.get("merge_mode", "concat"))

        layer = self.made(env, make, arguments)
        sequence, *states = layer(tensor, **({"initial_state": state} if state is not None else {}))
        if bidirectional:
            mode = both.get("merge_mode", "concat")
            names = [f"{way}_{each}" for way in ("forward", "backward") for each in STATES[kind]]
            last = getattr(keras.layers, JOINED[mode])()([states[0], states[len(states) // 2]])
        else:
            names, last = STATES[kind], states[0]
        outputs = Recurrent(sequence, last, dict(zip(names, states, strict=True)), written)
        outputs.merge = both.get("merge_mode", "concat") if both else ""
        for part in env.parts:
            part.levels.append(outputs)
            part.names.append(name)
        if env.carried is not None:
            env.carried.after.append(states)
        return outputs

    def made(self, env: Env, make: Callable[[], Any], arguments: Tree) -> Any:
        """Return the layer of a place."""
        if env.place not in self.layers:
            self.layers[env.place] = make()
        layer = self.layers[env.place]
        if env.frozen or arguments.get("trainable") is False:
            layer.trainable = False
        return layer

    def _time_distributed(self, item: Tree, env: Env) -> Any:
        inner = item["time_distributed"]
        things = env.inputs
        if any(form in layer for layer in (inner if isinstance(inner, list) else [inner]) for form in COMPOSITES):
            return self.every_frame(inner if isinstance(inner, list) else [inner], one(things[0]), env)
        for index, layer in enumerate(inner if isinstance(inner, list) else [inner]):
            kind = substituted(layer["layer"], env.values)
            at = env.within(index, frozen=env.frozen or item.get("trainable") is False)
            things = [self.apply("td", kind, own_arguments(layer, env), things, at)]
        return things[0]

    def every_frame(self, items: list[Tree], sequence: Any, env: Env) -> Any:
        """Return the frames that the items give for each frame alone, with the same layers."""
        ends = []
        for step in range(sequence.shape[1]):
            inner = env.within("frame", names=Inside(), previous=sequence[:, step])
            ends.append(one(self.items(items, inner)))
            env.names.update(dict.fromkeys(inner.names, Named(EveryFrame())))
        return Composite(keras.ops.stack(ends, axis=1))

    def _bidirectional(self, item: Tree, env: Env) -> Any:
        inner = item["bidirectional"]
        if "recurrent" in inner:
            settings = {key: item[key] for key in ("merge_mode", "return_sequences") if key in item}
            both = {"merge_mode": "concat", **substituted(settings, env.values)}
            return self.cell(inner["recurrent"], both, env.inputs[0], env, env.state, text(item.get("id"), env.values))
        kind = substituted(inner["layer"], env.values)
        settings = {
            key: substituted(item[key], env.values) for key in ("merge_mode", "return_sequences") if key in item
        }
        both = {"merge_mode": "concat", **settings}
        arguments = own_arguments(inner, env)
        return self.recurrent(kind, arguments, both, env.inputs[0], env, env.state, text(item.get("id"), env.values))

    # Custom cells

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

    # Loops and paths

    def _repeat(self, item: Tree, env: Env) -> Any:
        counter = item.get("as")
        rounds = range(1, substituted(item["repeat"], env.values) + 1)
        return self.rounds(item, ({counter: number} if counter else {} for number in rounds), env)

    def _for(self, item: Tree, env: Env) -> Any:
        columns = substituted(item["for"], env.values)
        rows = enumerate(zip(*columns.values(), strict=True), start=1)
        counted = (
            {**({item["as"]: n} if "as" in item else {}), **dict(zip(columns, row, strict=True))} for n, row in rows
        )
        return self.rounds(item, counted, env)

    def rounds(self, item: Tree, rounds: Iterator[dict[str, Any]], env: Env) -> Composite:
        end, ends = env.previous, []
        for number, values in enumerate(rounds):
            start = env.previous if "merge" in item else end
            inner = env.within("do", number, values={**env.values, **values}, previous=start)
            end = self.items(item["do"], inner)
            ends.append(end)
        if "merge" in item:
            return Composite(self.merged(item["merge"], ends, env))
        return Composite(end, {"rounds": Several(ends)})

    def _branch(self, item: Tree, env: Env) -> Any:
        members = {name: self.items(path, env.within("branch", name)) for name, path in item["branch"].items()}
        end = self.merged(item["merge"], list(members.values()), env) if "merge" in item else None
        return Composite(end, members)

    def _residual(self, item: Tree, env: Env) -> Any:
        main = self.items(item["residual"], env.within("residual"))
        around = self.items(item.get("shortcut") or [], env.within("shortcut"))
        if "projection" in item and shapes(main).isdisjoint(shapes(env.previous)):
            around = self.items(item["projection"], env.within("projection"))
        return Composite(self.merged(item.get("merge", "Add"), [main, around], env))

    def merged(self, merge: Any, ends: list[Any], env: Env) -> Any:
        layer = {"layer": merge} if isinstance(merge, str) else merge
        kind = substituted(layer["layer"], env.values)
        return self.apply("", kind, own_arguments(layer, env), ends, env.within("merge"))

    # What stands elsewhere

    def _reuse(self, item: Tree, env: Env) -> Any:
        named = env.names[substituted(item["reuse"], env.values)]
        return named.again(env.inputs, env, env.state)

    def _block(self, item: Tree, env: Env) -> Any:
        block = env.document.tree["blocks"][substituted(item["block"], env.values)]
        types = block.get("parameters", {})
        given = {
            name: handed_over(value, env.values) if types[name] == "nodes" else substituted(value, env.values)
            for name, value in item.get("with", {}).items()
        }
        values = {**env.values, **{name: default(each) for name, each in block.get("parameters", {}).items()}, **given}
        return self.inlined(block["do"], block.get("inputs", []), block.get("output"), env.inputs, env, values)

    def _model(self, item: Tree, env: Env) -> Any:
        tree = env.document.files[item["model"]]
        values = variables({**tree.get("vars", {}), **substituted(item.get("vars", {}), env.values)})
        inner = replace(env, document=Document(tree, values, env.document.files))
        outputs = substituted(tree.get("outputs"), values)
        things = [
            one(thing, {len(shape) + 1}) for thing, shape in zip(env.inputs, tree["inputs"].values(), strict=True)
        ]
        return self.inlined(tree["layers"], list(tree["inputs"]), outputs, things, inner, values)

    def inlined(
        self, items: list[Tree], names: list[str], output: Any, inputs: list[Any], env: Env, values: dict[str, Any]
    ) -> Composite:
        """Return nodes that read nothing from outside but their inputs."""
        known = {"input": Named(Several(inputs)), **{name: Named(x) for name, x in zip(names, inputs, strict=False)}}
        end = self.items(items, env.within("inside", names=known, values=values))
        members = {name: named.thing for name, named in known.items() if name not in (*names, "input")}
        output = substituted(output, values)
        if output is None:
            return Composite(end, members)
        if isinstance(output, dict):
            ends = {name: look_up(reference, known) for name, reference in output.items()}
        else:
            references = output if isinstance(output, list) else [output]
            ends = {reference.split(".")[0]: pinned(reference, known) for reference in references}
        return Composite(next(iter(ends.values())) if len(ends) == 1 else None, {**members, **ends})

    # Encoder and decoder

    def _encoder_decoder(self, item: Tree, env: Env) -> Any:
        body = item["encoder_decoder"]
        outside = set(env.names)
        encoder, decoder = Part(), Part()
        end = self.items(body["encoder"], env.within("encoder", parts=(*env.parts, encoder)))
        if substituted(body.get("feed"), env.values) == "feedback":
            return self.fed_back(body, end, encoder, env, outside)
        steps = self.steps(substituted(body.get("feed", "none"), env.values), body, end, env.inputs, env)
        states = self.state_rule(body, env)
        if states != "none":
            decoder.state_of = lambda name, number, both: passed(states, encoder, name, number, both)
        inner = env.within("decoder", parts=(*env.parts, decoder), previous=steps)
        last, result = self.decoded(body, encoder, decoder, inner)
        inside = {name: named.thing for name, named in env.names.items() if name not in outside}
        return Composite(result, {**inside, "encoder": end, "decoder": last})

    def state_rule(self, body: Tree, env: Env) -> Any:
        """Return the rule by which levels of a decoder start from those of an encoder."""
        states = substituted(body.get("states", "mirrored"), env.values)
        if isinstance(states, dict):
            return {text(taker, env.values): giver for taker, giver in states.items()}
        return states

    def decoded(self, body: Tree, encoder: Part, decoder: Part, inner: Env) -> tuple[Any, Any]:
        """Return the end of a decoder and that of its head."""
        written = body.get("decoder", "mirrored")
        coded = self.mirrored(encoder.calls, inner) if written == "mirrored" else self.items(written, inner)
        last = ended(coded)
        if isinstance(last, Recurrent) and any(last is level for level in decoder.levels):
            last = last.ports["sequence"]
        result = last
        if "head" in body:
            previous = last
            if body.get("head_input") == "all":
                sequences = [level.ports["sequence"] for level in decoder.levels]
                previous = keras.layers.Concatenate()(sequences) if len(sequences) > 1 else sequences[0]
            outer = replace(inner, place=(*inner.place[:-1], "head"), parts=inner.parts[:-1], previous=previous)
            result = self.items(body["head"], outer)
        return last, result

    def fed_back(self, body: Tree, end: Any, encoder: Part, env: Env, outside: set[str]) -> Composite:
        """Return the forecast of a decoder that reads the last frame, then its own, step by step."""
        horizon = substituted(body["horizon"], env.values)
        read = ended(env.inputs[0])
        sequence = read.ports["sequence"] if isinstance(read, Recurrent) else one(read)
        inside = {name: named.thing for name, named in env.names.items() if name not in outside}
        states = self.state_rule(body, env)
        frames, before, outputs = sequence[:, -1:], None, []
        for step in range(horizon):
            decoder, carried = Part(), Carried(before)
            if step == 0 and states != "none":
                decoder.state_of = lambda name, number, both: passed(states, encoder, name, number, both)
            names = {"input": Named(frames), **self.beside(body, 1, step, env)}
            inner = env.within("decoder", names=names, previous=frames, carried=carried, parts=(decoder,))
            result = self.decoded(body, encoder, decoder, inner)[1]
            before, frames = list(carried.after), one(result, {len(sequence.shape)})
            outputs.append(frames)
        result = keras.layers.Concatenate(axis=1)(outputs) if horizon > 1 else outputs[0]
        return Composite(result, {**inside, "encoder": end})

    def steps(self, feed: Any, body: Tree, end: Any, inputs: list[Any], env: Env) -> Any:
        """Return what the decoder reads."""
        horizon = substituted(body.get("horizon"), env.values)
        if feed == "none":
            return NoInput(horizon)
        if feed == "last":
            frame = last_of(end)
        elif feed == "last_frame":
            read = ended(inputs[0])
            frame = last_of(read.ports["sequence"] if isinstance(read, Recurrent) else read)
        elif isinstance(feed, dict):
            thing = look_up(feed["repeat"], env.names)
            thing = ended(thing.things[0] if isinstance(thing, Several) else thing)
            frame = last_of(thing) if isinstance(thing, Recurrent) else one(thing)
        else:
            thing = look_up(feed, env.names)
            return thing.things[0] if isinstance(thing, Several) else thing
        return LAYERS["RepeatFrame"](times=horizon)(frame)

    def mirrored(self, calls: list[Call], env: Env) -> Any:
        """Return the end of the mirror image of an encoder."""
        groups: list[list[Call]] = []
        for call in calls:
            if call.kind in ("ReLU", "Activation", "BatchNormalization", "LayerNormalization") and groups:
                groups[-1].append(call)
            else:
                groups.append([call])
        thing = env.previous
        for number, call in enumerate(call for group in reversed(groups) for call in group):
            at = env.within("mirror", number)
            arguments = {name: value for name, value in call.arguments.items() if name != "trainable"}
            if call.again is not None:
                thing = self._mirrored_cell(call, thing, at)
                continue
            if call.kind in STATES:
                name = f"{call.name}_mirror" if call.name else ""
                arguments.pop("return_sequences", None)
                if call.settings.get("merge_mode") == "concat":
                    size = "filters" if "filters" in arguments else "units"
                    arguments[size] *= 2
                level = self.recurrent(call.kind, arguments, {}, thing, at, None, name)
                thing = level.ports["sequence"]
                if name:
                    env.names[name] = Named(level)
                continue
            kind = call.kind
            if kind == "Conv2D" and (arguments.get("strides", 1) != 1 or arguments.get("padding", "valid") != "same"):
                kind = "Conv2DTranspose"
            elif kind in ("MaxPooling2D", "AveragePooling2D"):
                kind, arguments = "UpSampling2D", {"size": arguments.get("pool_size", 2)}
            thing = self.apply(call.wrapper, kind, arguments, [thing], at)
        return thing

    def _mirrored_cell(self, call: Call, thing: Any, env: Env) -> Any:
        """Return every step of the mirror image of a custom cell."""
        assert call.again is not None
        level = call.again(thing, env)
        if call.name:
            env.names[f"{call.name}_mirror"] = Named(level)
        return level.ports["sequence"]

    # Feedback

    def beside(self, body: Tree, past: int, step: int, env: Env) -> dict[str, Named]:
        """Return the covariates and static maps of feedback: in step 0 for all past frames, then for one."""
        names = {}
        for name, source in substituted(body.get("covariates", {}), env.values).items():
            thing = ended(look_up(source, env.names))
            sequence = thing.ports["sequence"] if isinstance(thing, Recurrent) else one(thing)
            names[name] = Named(sequence[:, past - 1 + step : past + step] if step else sequence[:, :past])
        for name, source in substituted(body.get("static", {}), env.values).items():
            thing = ended(look_up(source, env.names))
            frame = thing.ports["last"] if isinstance(thing, Recurrent) else one(thing)
            names[name] = Named(LAYERS["RepeatFrame"](times=1 if step else past)(frame))
        return names

    def inner_states(self, item: Tree, env: Env) -> list[list[Any] | None] | None:
        """Return the states that the recurrent layers of feedback start from, in order."""
        written = substituted(item.get("initial_state"), env.values)
        if not isinstance(written, dict):
            return None if written is None else [self.state(written, env)]
        levels = [each["id"] for each in item["autoregressive"]["do"] if each.get("layer") in STATES]
        return [None if written[level] in (None, "none") else self.state(written[level], env) for level in levels]

    def _autoregressive(self, item: Tree, env: Env) -> Any:
        body = item["autoregressive"]
        horizon = substituted(body["horizon"], env.values)
        frames = one(env.inputs[0], {3, 5} if isinstance(ended(env.inputs[0]), Recurrent) else None)
        rank, past = len(frames.shape), frames.shape[1]
        before = self.inner_states(item, env)
        outputs = []
        for step in range(horizon):
            carried = Carried(before)
            names = {"input": Named(frames), **self.beside(body, past, step, env)}
            inner = env.within("feedback", names=names, previous=frames, carried=carried, parts=())
            end = one(self.items(body["do"], inner), {rank})
            outputs.append(end if step == 0 and body.get("give") == "all" else end[:, -1:])
            before, frames = list(carried.after), end[:, -1:]
        return keras.layers.Concatenate(axis=1)(outputs) if horizon > 1 else outputs[0]


FORMS = (
    *("layer", "equation", "split", "time_distributed", "bidirectional", "repeat", "for", "branch", "residual"),
    *("block", "reuse", "model", "encoder_decoder", "autoregressive", "recurrent"),
)


class Start(keras.layers.Layer):  # type: ignore[misc]  # Keras's base class has no types
    """A state before the first step, a number or learned, for as many samples as a sequence has."""

    def __init__(self, shape: list[int], initial: Any) -> None:
        super().__init__()
        self.shape, self.initial = shape, initial
        if initial == "learned":
            self.initial = self.add_weight(shape=shape, initializer="zeros", name="initial_state")

    def call(self, sequence: Any) -> Any:
        start = keras.ops.cast(self.initial, sequence.dtype)
        return keras.ops.broadcast_to(start, (keras.ops.shape(sequence)[0], *self.shape))

    def compute_output_shape(self, sequence: Any) -> Any:
        return (sequence[0], *self.shape)


class Tied(keras.layers.Layer):  # type: ignore[misc]  # as above
    """The first of several tensors; a model with it has the layers of the others as well."""

    def call(self, tensors: list[Any]) -> Any:
        return tensors[0] * 1

    def compute_output_shape(self, shapes: Any) -> Any:
        return shapes[0]


def at_step(thing: Any, step: int, steps: int) -> Any:
    """Return what a name outside of a cell stands for inside, at one of its steps."""
    if isinstance(thing, Composite):
        members = {name: at_step(member, step, steps) for name, member in thing.members.items()}
        return Composite(at_step(thing.end, step, steps), members)
    if isinstance(thing, Several):
        return Several([at_step(each, step, steps) for each in thing.things])
    if isinstance(thing, Recurrent):
        sequence = at_step(thing.ports["sequence"], step, steps)
        return Composite(sequence, {"sequence": sequence})
    if thing is None or isinstance(thing, Open | EveryFrame | NoInput) or thing.shape[1:2] != (steps,):
        return Open({})
    return Open({len(thing.shape) - 1: lambda: thing[:, step]})


def ended(thing: Any) -> Any:
    """Return what a composite ends in, or the only input of a block."""
    while isinstance(thing, Composite) or (isinstance(thing, Several) and len(thing.things) == 1):
        thing = thing.end if isinstance(thing, Composite) else thing.things[0]
    return thing


def last_of(thing: Any) -> Any:
    """Return the last frame of a sequence."""
    thing = ended(thing)
    return thing.ports["last"] if isinstance(thing, Recurrent) else one(thing)[:, -1]


def passed(states: Any, encoder: Part, name: str, number: int, both: bool) -> list[Any] | None:
    """Return the state from which level `number` of the decoder starts."""
    if states == "mirrored":
        level = encoder.levels[len(encoder.levels) - 1 - number]
    elif states == "in_order":
        level = encoder.levels[number]
    elif states[name] in (None, "none"):
        return None
    else:
        level = encoder.levels[encoder.names.index(states[name])]
    tensors = level.tensors
    if not level.merge or both:
        return tensors
    half = len(tensors) // 2
    pairs = zip(tensors[:half], tensors[half:], strict=True)
    return [getattr(keras.layers, JOINED[level.merge])()(list(pair)) for pair in pairs]


def made(kind: str, arguments: Tree) -> Any:
    """Return a Keras layer."""
    given = {name: argument(value) for name, value in arguments.items() if name not in ("trainable", "remat")}
    ours = kind in LAYERS and ("use_input" in given or not hasattr(keras.layers, kind))
    return (LAYERS[kind] if ours else getattr(keras.layers, kind))(**given)


def wrapped(wrapper: str, layer: Any) -> Any:
    return keras.layers.TimeDistributed(layer) if wrapper else layer


def argument(value: Any) -> Any:
    """Return an argument as Keras takes it: initializers made, lists as tuples."""
    if isinstance(value, dict):
        rest = {key: each for key, each in value.items() if key != "name"}
        return getattr(keras.initializers, value["name"])(**rest)
    return tuple(value) if isinstance(value, list) else value


def own_arguments(layer: Tree, env: Env) -> Tree:
    """Return the arguments of a layer, over the defaults of its kind."""
    kind = substituted(layer["layer"], env.values)
    defaults = substituted(env.document.tree.get("defaults", {}).get(kind, {}), env.document.values)
    own = {key: substituted(value, env.values) for key, value in layer.items() if key not in COMMON}
    return {**defaults, **own}


def handed_over(value: list[Tree] | str, values: dict[str, Any]) -> Passed:
    """Return nodes that are handed to a block."""
    return values[value[1:]] if isinstance(value, str) else Passed(value, values)


def filled(equation: str, values: dict[str, Any]) -> str:
    """Return the text of an equation with its variables filled in, numbers of at least 0 or parts of ids."""
    return re.sub(r"\$\{?([A-Za-z]\w*)\}?", lambda match: str(values[match[1]]), equation)


def names_in(equation: str) -> dict[str, None]:
    """Return the names that an equation reads, in order, without repetitions."""
    found = re.findall(r"[A-Za-z_]\w*(?:\.\w+)*(?!\w|\s*\()", equation)
    return dict.fromkeys(found)


def aligned(tensors: dict[str, Any]) -> dict[str, Any]:
    """Return tensors with equal numbers of axes, the missing ones after the batch axis."""
    most = max((len(x.shape) for x in tensors.values()), default=0)

    def wide(x: Any) -> Any:
        for _ in range(most - len(x.shape)):
            x = keras.ops.expand_dims(x, 1)
        return x

    return {name: wide(x) for name, x in tensors.items()}


def value_of(node: ast.AST, tensors: dict[str, Any]) -> Any:
    """Return the value of an equation, which Python reads."""
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.Name | ast.Attribute):
        return tensors[ast.unparse(node)]
    if isinstance(node, ast.UnaryOp):
        return -value_of(node.operand, tensors)
    if isinstance(node, ast.Call):
        return getattr(keras.ops, ast.unparse(node.func))(*(value_of(each, tensors) for each in node.args))
    return OPERATORS[type(node.op)](value_of(node.left, tensors), value_of(node.right, tensors))


def every_copy(states: Tree) -> Tree:
    """Return states with each one that has `copies` written out."""
    every: Tree = {}
    for name, declared in states.items():
        copies = declared.get("copies") if isinstance(declared, dict) else None
        names = [name] if copies is None else [f"{name}{at}" for at in range(1, copies + 1)]
        every |= dict.fromkeys(names, declared)
    return every


def condition(text: str) -> bool:
    """Return whether two whole numbers compare as a condition says."""
    match = re.fullmatch(r"\$\{(\d+) (<|==|!=) (\d+)\}", text)
    assert match is not None
    left, right = int(match[1]), int(match[3])
    return {"<": left < right, "==": left == right, "!=": left != right}[match[2]]


def default(parameter: Any) -> Any:
    """Return the default of a block's parameter."""
    return parameter.get("default") if isinstance(parameter, dict) else parameter


def _state_order(name: str) -> tuple[bool, int]:
    return name.startswith("backward"), "hcmn".index(name[-1])


# Variables


def variables(written: dict[str, Any]) -> dict[str, Any]:
    """Return variables that may refer to each other."""
    values: dict[str, Any] = {}
    for _ in written:
        for name, value in written.items():
            if name not in values:
                try:
                    values[name] = substituted(value, values)
                except KeyError:
                    continue
    return values


def substituted(value: Any, values: dict[str, Any]) -> Any:
    """Return a value with its variables filled in."""
    if isinstance(value, dict):
        return {key: substituted(each, values) for key, each in value.items()}
    if isinstance(value, list):
        return [substituted(each, values) for each in value]
    if not isinstance(value, str) or "$" not in value:
        return value
    if re.fullmatch(r"(\$[A-Za-z]\w*|[\d\s+*/()%-])+", value):
        return computed(ast.parse(value.replace("$", ""), mode="eval").body, values)
    value = re.sub(r"\$\{(\w+)\}", lambda match: str(values[match[1]]), value)
    return re.sub(r"\$([A-Za-z]\w*)", lambda match: str(values[match[1]]), value)


def text(value: Any, values: dict[str, Any]) -> str:
    return "" if value is None else str(substituted(value, values))


OPERATORS = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}


def computed(node: ast.AST, values: dict[str, Any]) -> Any:
    """Return the value of an arithmetic expression."""
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.Name):
        return values[node.id]
    left, right = computed(node.left, values), computed(node.right, values)
    if isinstance(node.op, ast.Div):
        return left // right if left % right == 0 else left / right
    return OPERATORS[type(node.op)](left, right)
