"""What the naive reading of a spec knows: tensors whose rank is open, names, states, and what surrounds an item."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import keras

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
