"""`autoregressive`: nodes that run over the past frames, and then on their own output, one frame at a time."""

from dataclasses import replace
from typing import Annotated, ClassVar

from pydantic import Field

from specbuild.catalog import Layer
from specbuild.catalog.autoregressive import Autoregressive
from specbuild.document import Mapping, Node
from specbuild.language.forms.base import Expansion, Part, PlainForm
from specbuild.language.forms.feedback import Covariates, Static, enter
from specbuild.language.forms.inner_states import read_inner_states
from specbuild.language.forms.keys import Keys
from specbuild.language.forms.scope import Scope
from specbuild.language.forms.values import Located, Nodes, Trainable
from specbuild.language.forms.walk import Walk
from specbuild.language.spec import BodySpec, InitialState, NodeSpecs
from specbuild.language.validation import validate
from specbuild.language.variables import substitute


class Feedback(Keys):
    """The keys inside `autoregressive:`."""

    NEEDED: ClassVar[dict[str, str]] = {"do": "autoregressive needs do: and a list of nodes"}
    UNOFFERED = ("trainable",)
    EXAMPLE: ClassVar[str] = "write autoregressive: {do: […], horizon: 10}"
    NOUN: ClassVar[str] = "an autoregressive node"

    do: Nodes = Field(description="Nodes, with states; their output frames have the shape of their input frames.")
    covariates: Covariates = None
    static: Static = None

    @classmethod
    def arguments(cls) -> type[Layer]:
        return Autoregressive


class AutoregressiveForm(PlainForm):
    """Nodes that run over the past frames and then on their own output: {autoregressive: {do: […], horizon: 10}}.

    They become the body of one node, with ids under its own, and read `input` and each other.
    """

    KEY: ClassVar[str] = "autoregressive"
    INSIDE: ClassVar[type[Keys]] = Feedback

    trainable: Trainable = None
    autoregressive: Annotated[Node, Located("feedback", "a mapping", unbound=True)] = Field(
        description="The nodes, the horizon, and options for training."
    )

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
        meant = Feedback.meant(inner)
        layer = validate(Autoregressive, arguments, walk.report, owner=self.KEY, at=entry.key, meant=meant)
        expansion = self.chain(walk, [Part(layer, arguments, item, self.KEY)], item, scope)
        assert expansion.end is not None
        name = expansion.end.id
        inside = enter(walk, name, scope, inner, feedback.do.span, "an autoregressive node")
        if inside is None:
            walk.broken.add(name)
            return replace(expansion, nodes=(), complete=False)
        body = inside.body(walk, walk.items(feedback.do, inside.scope), feedback.do.span, "do")
        if not inside.sound or not _reads_one(walk, expansion.nodes, body, item):
            walk.broken.add(name)
            return replace(expansion, nodes=(), complete=False)
        states = read_inner_states(walk, scope, self.initial_state, body, name)
        nodes = (replace(node, sources=(*node.sources, *inside.sources)) for node in expansion.nodes)
        return replace(expansion, nodes=tuple(replace(node, body=body, inner_states=states) for node in nodes))

    def state(self, walk: Walk, scope: Scope) -> InitialState | None:  # noqa: ARG002 - the nodes inside have states, not it
        return None


def _reads_one(walk: Walk, nodes: NodeSpecs, body: BodySpec, item: Mapping) -> bool:
    """Return whether a node with covariates reads one sequence besides them; report it if not."""
    several = [node for node in nodes if len(node.sources) > 1 and len(body.inputs) > 1]
    for node in several:
        message = f"{node.id} reads one sequence of frames, got {len(node.sources)}"
        help = "keep the one that it forecasts, and list the others under covariates or static"
        walk.report.error(message, (item.get("from") or item).span, help=help, code="arity")
    return not several
