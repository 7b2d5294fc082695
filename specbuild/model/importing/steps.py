"""What a walked model comes to: its inputs, its layers as nodes in the order they run, and its outputs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from specbuild.catalog import Layer, Shape
from specbuild.graph.model import Input as Input


@dataclass(frozen=True, slots=True)
class Ref:
    """Output `index` of a step, or an input. `shape` is what the file recorded, None where it did not."""

    step: str
    index: int = 0
    shape: Shape | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One node of the spec to be."""

    id: str
    keys: dict[str, Any]
    """What the node says about its layer."""
    layer: Layer | None
    """None for a layer that was refused."""
    sources: tuple[Ref, ...]
    state: tuple[Ref, ...]
    shares: str | None = None
    sequences: bool = False
    """Whether a recurrent layer gives every step."""
    body: Walked | None = None
    """What an autoregressive step runs. Ids inside begin with the step's."""


@dataclass(frozen=True, slots=True)
class Walked:
    """A model as inputs, steps and outputs. `names` are those of a dict of outputs."""

    inputs: tuple[Input, ...]
    steps: tuple[Step, ...]
    outputs: tuple[Ref, ...]
    names: tuple[str, ...]

    def all_steps(self) -> Iterator[Step]:
        """Every step, each followed by those inside it."""
        for step in self.steps:
            yield step
            if step.body is not None:
                yield from step.body.all_steps()


def as_id(name: str) -> str:
    """A name of Keras as an id: letters, digits, _ and -, not starting with a digit."""
    base = re.sub(r"[^A-Za-z0-9_-]+", "_", name).strip("-") or "layer"
    return base if re.match(r"[A-Za-z_]", base) else f"_{base}"
