"""`autoregressive`: nodes that run over the past frames, and then on their own output, one frame at a time."""

from dataclasses import replace
from typing import Annotated, ClassVar

from pydantic import Field, StrictBool

from specbuild.catalog import Layer
from specbuild.document import Mapping, Node
from specbuild.language.forms.base import Expansion, Keys, Located, Nodes, Part, PlainForm, frozen_together
from specbuild.language.forms.scope import Group, Scope
from specbuild.language.forms.walk import Walk
from specbuild.language.references import Reference
from specbuild.language.spec import BodySpec
from specbuild.language.validation import validate
from specbuild.language.variables import substitute


class Feedback(Keys):
    """The keys inside `autoregressive:`."""

    NEEDED: ClassVar[dict[str, str]] = {"do": "autoregressive needs do: and a list of nodes"}
    UNOFFERED = ("trainable",)
    EXAMPLE: ClassVar[str] = "write autoregressive: {do: […], horizon: 10}"
    NOUN: ClassVar[str] = "an autoregressive node"

    do: Nodes = Field(description="Nodes, with states; their output frames have the shape of their input frames.")

    @classmethod
    def arguments(cls) -> type[Layer]:
        from specbuild.catalog.autoregressive import Autoregressive

        return Autoregressive


class AutoregressiveForm(PlainForm):
    """Nodes that run over the past frames and then on their own output: {autoregressive: {do: […], horizon: 10}}.

    They become the body of one node, with ids under its own, and read `input` and each other.
    """

    KEY: ClassVar[str] = "autoregressive"
    UNOFFERED = ("initial_state",)

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
        known = (*(each for each in inner.entries if each.name != "do"), *filter(None, [item.entry("trainable")]))
        arguments = replace(inner, entries=tuple(each for each in known if each.name in Feedback.key_names()))
        layer = validate(Feedback.arguments(), arguments, walk.report, owner=self.KEY, at=entry.key)
        expansion = self.chain(walk, [Part(layer, arguments, item, self.KEY)], item, scope)
        assert expansion.end is not None
        body = _body(walk, feedback.do, expansion.end.id, scope)
        return replace(expansion, nodes=tuple(replace(node, body=body) for node in expansion.nodes))


def _body(walk: Walk, do: Node, name: str, scope: Scope) -> BodySpec:
    """The nodes of `do`, in a scope of their own."""
    given = f"{name}_input"
    for made_up in (given, f"{name}_teacher"):
        walk.ids.claim(made_up, do.span.line)
    start = Reference(given, None, do.span, implied=True)
    inner = replace(scope, names={"input": Group(start)}, prefix=f"{name}_", previous=start, no_previous="")
    body = walk.items(do, replace(inner, closed=name, kind="an autoregressive node"))
    lost = set[str]()
    if body.end is None:
        lost.add(start.id)
        message, help = f"no node gives the frames of {name}", "end do: in one node, such as the merge of the branch"
        walk.report.error(message, do.span, reason=body.no_end, help=help, code="missing-key")
    return BodySpec((given,), frozen_together(body.nodes), body.end or start, frozenset(walk.broken | lost))
