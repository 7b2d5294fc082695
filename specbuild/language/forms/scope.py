"""What the walk over `layers:` knows at a place: the names and variables in sight, and what the document declares."""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from specbuild.catalog import Layer
from specbuild.document import Mapping, Scalar
from specbuild.language.references import Reference


@dataclass
class Group:
    """What the id of a composite node stands for: the reference it ends in, its parts by name, and its nodes."""

    output: Reference | None
    members: dict[str, str | Group] = field(default_factory=dict)
    start: int = 0
    stop: int = 0
    inputs: tuple[Reference, ...] = ()
    named: bool = False
    """Whether its id went to the node it ends in."""


@dataclass
class Scope:
    """Where a node stands: the variables it sees, the names it may read, and what its own id begins with."""

    values: MutableMapping[str, Any]
    names: dict[str, str | Group] = field(default_factory=dict)
    prefix: str = ""
    closed: str = ""
    """The block whose inside this is: it reads nothing from outside. Empty at the top level."""
    kind: str = "block"
    """What `closed` is."""

    @property
    def article(self) -> str:
        return "an" if self.kind[0] in "aeiou" else "a"


@dataclass(frozen=True)
class Definitions:
    """What a document declares beside its layers."""

    defaults: dict[str, Mapping]
    blocks: dict[str, Any]
    """`blocks.Block` by name."""
    directory: Path
    files: tuple[Path, ...] = ()
    """The files being read, outermost first, so that none can contain itself."""


@dataclass(frozen=True, slots=True)
class Part:
    """One plain node in the making: its layer (None if that is broken), its arguments, and where it stands."""

    layer: Layer | None
    arguments: Mapping
    at: Mapping
    form: str = ""
    """What it is called where it has neither an id nor a kind."""

    @property
    def kind(self) -> str:
        """The kind as written, that of the layer inside for a wrapper."""
        written = self.arguments.get("layer")
        return str(written.value) if isinstance(written, Scalar) else self.form or "layer"


ALL: dict[str, str | Group] = {}
"""Marks the group that stands for every input of a block at once."""


def all_inputs(sources: tuple[Reference, ...]) -> Group:
    """The name `input` inside a block: everything that the block was given."""
    return Group(sources[0] if sources else None, ALL, inputs=sources)
