"""The inside of a node that runs on its own output: its scope, its covariates and its static maps."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, TypeAlias

from pydantic import Field

from specbuild.document import Entry, Mapping, Node, Span
from specbuild.language.forms.base import Expansion, frozen_together
from specbuild.language.forms.scope import Group, Scope
from specbuild.language.forms.values import REFERENCES_BY_NAME, Located
from specbuild.language.forms.walk import Walk
from specbuild.language.references import Reference, References
from specbuild.language.spec import BodySpec, is_written

Covariates: TypeAlias = Annotated[
    Node | None,
    Located(REFERENCES_BY_NAME, "a mapping of names to ids"),
    Field(
        description="Sequences that the nodes also read, by the name they use: {wind: uv}; "
        "past + horizon − 1 frames each."
    ),
]
Static: TypeAlias = Annotated[
    Node | None,
    Located(REFERENCES_BY_NAME, "a mapping of names to ids"),
    Field(
        description="Maps without a time axis, read at every step, by the name that the nodes use: {height: relief}."
    ),
]
BESIDE = ("covariates", "static")
"""The keys that list inputs besides the frames."""


@dataclass(frozen=True)
class Inside:
    """A place for the nodes of a body."""

    scope: Scope
    """Their scope: they know `input`, the covariates and the static maps by name."""
    inputs: tuple[str, ...]
    """The ids of these inputs."""
    sources: References
    """The covariates and static maps."""
    static: int
    """How many of the inputs, the last ones, have no time axis."""
    sound: bool
    """Whether all of them could be read."""

    @property
    def start(self) -> Reference:
        """The frames."""
        assert self.scope.previous is not None
        return self.scope.previous

    def body(self, walk: Walk, inside: Expansion, at: Span, end: str) -> BodySpec:
        """Return the body of nodes that were read here; `end` says where they must end in one."""
        lost = set[str]()
        if inside.end is None:
            lost.add(self.start.id)
            message = f"no node gives the frames of {self.scope.closed}"
            help = f"end {end}: in one node, such as the merge of the branch"
            walk.report.error(message, at, reason=inside.no_end, help=help, code="missing-key")
        broken = frozenset(walk.broken | lost)
        nodes = frozen_together(inside.nodes)
        return BodySpec(self.inputs, nodes, inside.end or self.start, broken, self.static)


def enter(walk: Walk, name: str, scope: Scope, settings: Mapping, at: Span, kind: str) -> Inside | None:
    """Return the place inside a node; None after reporting that `covariates` or `static` is not a mapping.

    Args:
        walk: the walk over `layers:`.
        name: the full id of the node.
        scope: where the node stands.
        settings: its keys, `covariates` and `static` among them.
        at: where its nodes are written.
        kind: what messages call it.
    """
    moving, still = (_named(walk, settings.entry(key), scope) for key in BESIDE)
    if moving is None or still is None:
        return None
    given = f"{name}_input"
    for made_up in (given, f"{name}_teacher"):
        walk.ids.claim(made_up, at)
    start = Reference(given, None, at, implied=True)
    names: dict[str, str | Group] = {"input": Group(start, is_input=True)}
    inner = replace(scope, names=names, prefix=f"{name}_", previous=start, no_previous="", closed=name, kind=kind)
    inner = replace(inner, opening="list nodes outside under covariates or static")
    inputs = [given]
    for each in (*moving, *still):
        if each.name in names:
            message = f"{name} already has an input called {each.name}"
            reason, help = f"its nodes read the frames as {each.name}", "give it another name"
            walk.report.error(message, each.key.span, reason=reason, help=help, code="duplicate-id")
        elif (own := walk.claim(each.key, inner)) is not None:
            names[own] = Group(Reference(inner.prefix + own, None, each.key.span, implied=True), is_input=True)
            inputs.append(inner.prefix + own)
    walk.inputs |= {*inputs}
    walk.sequences |= {*inputs}
    sources = tuple(source for source in (*moving.values(), *still.values()) if source is not None)
    sound = len(inputs) - 1 == len(sources) == len(moving) + len(still)
    return Inside(inner, tuple(inputs), sources, len(still), sound)


def _named(walk: Walk, entry: Entry | None, scope: Scope) -> dict[Entry, Reference | None] | None:
    """What `covariates` or `static` names, by its entries, None for a faulty reference; None for no mapping."""
    if entry is None or not is_written(entry.value):
        return {}
    if not isinstance(entry.value, Mapping):
        example = f"write {entry.name}: {{name: id}}, with the name that the nodes inside use"
        walk.report.wrong_type(f"{entry.name} must be a mapping", entry.value, example)
        return None
    return {each: scope.reference(each.value, walk.report) for each in entry.value.entries}
