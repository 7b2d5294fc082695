"""`autoregressive`: nodes that run over the past frames, and then on their own output, one frame at a time."""

from collections.abc import Sequence as AnySequence
from dataclasses import replace
from typing import Annotated, ClassVar

from pydantic import Field, StrictBool

from specbuild.catalog import Layer
from specbuild.catalog.autoregressive import Autoregressive
from specbuild.document import Entry, Mapping, Node
from specbuild.language.forms.base import (
    REFERENCES_BY_NAME,
    Expansion,
    Keys,
    Located,
    Nodes,
    Part,
    PlainForm,
    frozen_together,
)
from specbuild.language.forms.inner_states import read_inner_states
from specbuild.language.forms.scope import Group, Scope
from specbuild.language.forms.walk import Walk
from specbuild.language.references import Reference
from specbuild.language.spec import BodySpec, NodeSpecs, State, is_written
from specbuild.language.validation import validate
from specbuild.language.variables import substitute


class Feedback(Keys):
    """The keys inside `autoregressive:`."""

    NEEDED: ClassVar[dict[str, str]] = {"do": "autoregressive needs do: and a list of nodes"}
    UNOFFERED = ("trainable",)
    EXAMPLE: ClassVar[str] = "write autoregressive: {do: […], horizon: 10}"
    NOUN: ClassVar[str] = "an autoregressive node"

    do: Nodes = Field(description="Nodes, with states; their output frames have the shape of their input frames.")
    covariates: Annotated[Node | None, Located(REFERENCES_BY_NAME, "a mapping of names to ids")] = Field(
        None,
        description="Sequences that the nodes also read, by the name they use: {wind: uv}; "
        "past + horizon − 1 frames each.",
    )
    static: Annotated[Node | None, Located(REFERENCES_BY_NAME, "a mapping of names to ids")] = Field(
        None, description="Frames without a time axis that the nodes read at every step, by name: {height: relief}."
    )

    @classmethod
    def arguments(cls) -> type[Layer]:
        return Autoregressive


class AutoregressiveForm(PlainForm):
    """Nodes that run over the past frames and then on their own output: {autoregressive: {do: […], horizon: 10}}.

    They become the body of one node, with ids under its own, and read `input` and each other.
    """

    KEY: ClassVar[str] = "autoregressive"

    trainable: StrictBool | None = Field(None, description="Whether training changes the weights inside.")
    autoregressive: Annotated[Node, Located("feedback", "a mapping", unbound=True)] = Field(
        description="The nodes, the horizon, and options for training."
    )

    @classmethod
    def hint(cls, key: str, item: Mapping) -> str:  # noqa: ARG003 - whatever the node
        return f"write it inside {cls.KEY}: {{…}}" if key in Feedback.key_names() else ""

    def expand(self, walk: Walk, item: Mapping, scope: Scope) -> Expansion:
        entry = item[self.KEY]
        if not isinstance(entry.value, Mapping):
            walk.report.wrong_type("autoregressive must be a mapping", entry.value, Feedback.EXAMPLE)
            return walk.failed(item, scope)
        inner = replace(entry.value, span=entry.key.span)
        inner = substitute(inner, scope.values, walk.report, leave=Feedback.unbound())
        feedback = Feedback.read(inner, walk.report, at=entry.key)
        if feedback is None:
            return walk.failed(item, scope)
        known = (*inner.entries, *filter(None, [item.entry("trainable")]))
        arguments = replace(inner, entries=tuple(each for each in known if each.name in Autoregressive.model_fields))
        layer = validate(Autoregressive, arguments, walk.report, owner=self.KEY, at=entry.key)
        expansion = self.chain(walk, [Part(layer, arguments, item, self.KEY)], item, scope)
        assert expansion.end is not None
        name = expansion.end.id
        moving, still = (_more(walk, inner.entry(key), scope) for key in ("covariates", "static"))
        if moving is None or still is None:
            walk.broken.add(name)
            return replace(expansion, nodes=(), complete=False)
        body = _body(walk, feedback.do, name, scope, [*moving, *still], len(still))
        more = tuple(source for source in (*moving.values(), *still.values()) if source is not None)
        complete = len(body.inputs) - 1 == len(more) == len(moving) + len(still)
        if not complete or not _reads_one(walk, expansion.nodes, body, item):
            walk.broken.add(name)
            return replace(expansion, nodes=(), complete=False)
        states = read_inner_states(walk, scope, self.initial_state, body, name)
        nodes = (replace(node, sources=(*node.sources, *more)) for node in expansion.nodes)
        return replace(expansion, nodes=tuple(replace(node, body=body, inner_states=states) for node in nodes))

    def state(self, walk: Walk, scope: Scope) -> State | None:  # noqa: ARG002 - the nodes inside have states, not it
        return None


def _more(walk: Walk, entry: Entry | None, scope: Scope) -> dict[Entry, Reference | None] | None:
    """What `covariates` or `static` names, by its entries, None for a faulty reference; None for no mapping."""
    if entry is None or not is_written(entry.value):
        return {}
    if not isinstance(entry.value, Mapping):
        example = f"write {entry.name}: {{name: id}}, with the name that the nodes inside use"
        walk.report.wrong_type(f"{entry.name} must be a mapping", entry.value, example)
        return None
    return {each: scope.reference(each.value, walk.report) for each in entry.value.entries}


def _reads_one(walk: Walk, nodes: NodeSpecs, body: BodySpec, item: Mapping) -> bool:
    """Whether a node with covariates reads one sequence besides them; reported where it does not."""
    several = [node for node in nodes if len(node.sources) > 1 and len(body.inputs) > 1]
    for node in several:
        message = f"{node.id} reads one sequence of frames, got {len(node.sources)}"
        help = "keep the one whose next frames it gives, and name the others under covariates or static"
        walk.report.error(message, (item.get("from") or item).span, help=help, code="arity")
    return not several


def _body(walk: Walk, do: Node, name: str, scope: Scope, more: AnySequence[Entry], static: int) -> BodySpec:
    """The nodes of `do`, in a scope of their own: they read `input` and the names of `more`."""
    given = f"{name}_input"
    for made_up in (given, f"{name}_teacher"):
        walk.ids.claim(made_up, do.span)
    start = Reference(given, None, do.span, implied=True)
    names: dict[str, str | Group] = {"input": Group(start, is_input=True)}
    inner = replace(scope, names=names, prefix=f"{name}_", previous=start, no_previous="")
    inner = replace(inner, closed=name, kind="an autoregressive node")
    inputs = [given]
    for each in more:
        if each.name in names:
            message = f"{name} has an input called {each.name} already"
            reason, help = f"its nodes read the frames as {each.name}", "give it another name"
            walk.report.error(message, each.key.span, reason=reason, help=help, code="duplicate-id")
        elif (own := walk.claim(each.key, inner)) is not None:
            names[own] = Group(Reference(inner.prefix + own, None, each.key.span, implied=True), is_input=True)
            inputs.append(inner.prefix + own)
    body = walk.items(do, inner)
    lost = set[str]()
    if body.end is None:
        lost.add(start.id)
        message, help = f"no node gives the frames of {name}", "end do: in one node, such as the merge of the branch"
        walk.report.error(message, do.span, reason=body.no_end, help=help, code="missing-key")
    broken = frozenset(walk.broken | lost)
    return BodySpec(tuple(inputs), frozen_together(body.nodes), body.end or start, broken, static)
