"""The result of an import: inputs, layers as nodes in the order they run, outputs, faults and notes."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from specbuild.catalog import Layer, Shape
from specbuild.document import Report
from specbuild.graph import Input
from specbuild.model.importing.records import Network


@dataclass(frozen=True, slots=True)
class Ref:
    """Output `index` of a step, or an input. `shape` is what the file recorded, None where it did not."""

    step: str
    index: int = 0
    shape: Shape | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One node of the spec."""

    id: str
    keys: dict[str, Any] = field(default_factory=dict)
    """What the node says about its layer."""
    layer: Layer | None = None
    """None for a layer that was refused."""
    sources: tuple[Ref, ...] = ()
    state: tuple[Ref, ...] = ()
    shares: str | None = None
    sequences: bool = False
    """Whether a recurrent layer gives every step."""
    body: FlatModel | None = None
    """What an autoregressive or a recurrent step runs. Ids inside begin with the step's."""
    levels: tuple[str, ...] = ()
    """For each tensor of `state` the step inside that it starts, where the step runs others."""


@dataclass(frozen=True, slots=True)
class FlatModel:
    """A model as inputs, steps and outputs. `names` are those of a dict of outputs."""

    inputs: tuple[Input, ...]
    steps: tuple[Step, ...]
    outputs: tuple[Ref, ...]
    names: tuple[str, ...]
    carried: tuple[str, ...] = ()
    """Of the body of an autoregressive step: for each tensor of its states the step that has it, in Keras's order."""

    def all_steps(self) -> Iterator[Step]:
        """Every step, each followed by those inside it."""
        for step in self.steps:
            yield step
            if step.body is not None:
                yield from step.body.all_steps()


def each_layer(keys: Mapping[str, Any], change: Callable[[Mapping[str, Any]], Mapping[str, Any]]) -> dict[str, Any]:
    """Return the keys of a node, changed, and likewise those of the layers inside its wrappers."""
    inside = ("time_distributed", "bidirectional")
    return {
        key: each_layer(value, change) if key in inside and isinstance(value, dict) else value
        for key, value in change(keys).items()
    }


def thawed(keys: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keys of a node inside a frozen one, which freezes it."""
    return {key: value for key, value in keys.items() if key != "trainable"}


def renamed_model(model: FlatModel, name: Callable[[str], str]) -> FlatModel:
    """Return a model with other ids of its inputs and steps; those inside a step still begin with that step's."""

    def moved(ref: Ref) -> Ref:
        return replace(ref, step=name(ref.step))

    def renamed(step: Step) -> Step:
        body = step.body
        if body is not None:
            body = renamed_model(body, lambda inner: f"{name(step.id)}{inner.removeprefix(step.id)}")
        return replace(
            step,
            id=name(step.id),
            keys={"reuse": name(step.shares)} if step.shares is not None else step.keys,
            sources=tuple(map(moved, step.sources)),
            state=tuple(map(moved, step.state)),
            shares=None if step.shares is None else name(step.shares),
            body=body,
        )

    inputs = tuple(replace(x, id=name(x.id)) for x in model.inputs)
    outputs, carried = tuple(map(moved, model.outputs)), tuple(map(name, model.carried))
    return FlatModel(inputs, tuple(map(renamed, model.steps)), outputs, model.names, carried)


Flatten: TypeAlias = Callable[[Network, "Findings"], FlatModel]
"""Turns a model inside a layer into steps."""


class Refused(Exception):
    """A layer that a spec cannot express, which is reported."""


class Findings:
    """The faults of one file, which stop its import, and notes on what a spec leaves out."""

    def __init__(self, file: str, keras_version: str = "") -> None:
        self.report = Report()
        self.is_keras_2 = keras_version.startswith("2.")
        self._file = file
        self._notes: dict[str, None] = {}

    def refuse(self, layer: str, message: str, *, reason: str = "", help: str = "") -> Refused:
        """Report a layer that a spec cannot express. What comes back is raised where nothing is left to report."""
        self.report.error(message, where=f"{self._file}  {layer}", reason=reason, help=help, code="import")
        return Refused()

    def cannot_say(self, layer: str, what: str, *, reason: str = "", help: str = "") -> Refused:
        """Report what a spec has no words for, as a predicate of the layer: `is a sparse input`."""
        return self.refuse(layer, f"{layer} {what}, which a spec cannot say", reason=reason, help=help)

    def note(self, text: str) -> None:
        """Note something that the spec leaves out without changing what the model computes."""
        self._notes.setdefault(text)

    @property
    def notes(self) -> tuple[str, ...]:
        return tuple(self._notes)


def free_name(name: str, taken: Collection[str]) -> str:
    """Return a name, with a number behind it where it is taken."""
    numbered = (f"{name}_{count}" for count in itertools.count(2))
    return next(each for each in itertools.chain([name], numbered) if each not in taken)


def as_id(name: str) -> str:
    """Return a name of Keras as an id: letters, digits, _ and -, not starting with a digit."""
    base = re.sub(r"[^A-Za-z0-9_-]+", "_", name).strip("-") or "layer"
    return base if re.match(r"[A-Za-z_]", base) else f"_{base}"
