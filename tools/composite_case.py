"""A composite spec that is drawn at random, and what is known of it while it is."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import yaml

Tree = dict[str, Any]
Shape = tuple[int, ...]

FRAME, VECTOR = (6, 6, 2), (4,)
STEPS = 3


@dataclass
class Case:
    """A spec with the files that it names, and the forms in it."""

    tree: Tree
    files: dict[str, Tree]
    forms: Counter[str] = field(default_factory=Counter)
    pairs: set[tuple[str, str]] = field(default_factory=set)
    """A form, and a form inside it."""

    def text(self) -> str:
        parts = [f"# {name}\n{written(tree)}" for name, tree in self.files.items()]
        return "\n".join([*parts, written(self.tree)])


def written(tree: Tree) -> str:
    return yaml.safe_dump(tree, sort_keys=False, default_flow_style=None, width=110)


# Shortening a finding


def nodes_of(tree: Any) -> list[Tree]:
    """Return every mapping in a tree."""
    inside = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ()
    return [*([tree] if isinstance(tree, dict) else []), *(node for each in inside for node in nodes_of(each))]


@dataclass(frozen=True)
class Spot:
    """The output of a list of nodes so far.

    `shape` is that of every step where `last` is not None: then it ends in a recurrent node whose port is left open.
    """

    shape: Shape
    last: Shape | None = None
    reference: str = ""
    """Its name, if it has one."""


@dataclass(frozen=True)
class Again:
    """A node that may be reused."""

    id: str
    inputs: tuple[Shape, ...]
    result: Spot
    members: dict[str, Shape] = field(default_factory=dict)


@dataclass
class Place:
    """Where nodes are drawn: what they may read, and what surrounds them."""

    names: dict[str, Shape] = field(default_factory=dict)
    again: list[Again] = field(default_factory=list)
    rounds: list[tuple[str, int, Shape]] = field(default_factory=list)
    """Id, number of rounds and shape of each of loops whose rounds may be read."""
    states: list[tuple[str, str, int, Shape]] = field(default_factory=list)
    """Id, kind, filters and shape of the state of recurrent nodes."""
    loops: tuple[str, ...] = ()
    """Variables of the loops around."""
    seeds: tuple[str, ...] = ()
    """Terms of every seed."""
    depth: int = 0
    feedback: bool = False
    """Whether nodes must work on one frame at a time, and nothing may end in a single step."""
    inside: str = "spec"
    """The form around."""
    blocks: tuple[str, ...] = ()
    """The blocks that may be used."""


@dataclass(frozen=True)
class Contents:
    """A block or a file: what it reads and what it gives."""

    name: str
    inputs: tuple[Shape, ...]
    result: Spot | None
    members: dict[str, Shape]
    parameters: dict[str, int] = field(default_factory=dict)
    body: Shape | None = None
    """The shape that the nodes handed over to a block read and end in, if it takes any."""
