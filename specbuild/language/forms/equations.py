"""`equation`: arithmetic on nodes, as a text."""

from typing import Annotated, ClassVar

from pydantic import Field

from specbuild.document import Entry, Mapping, Node, Scalar
from specbuild.language.equations import EXAMPLE, read_equation
from specbuild.language.forms.base import Expansion, Part, PlainForm
from specbuild.language.forms.scope import Scope
from specbuild.language.forms.values import Located
from specbuild.language.forms.walk import Walk


class EquationForm(PlainForm):
    """Elementwise arithmetic on nodes: {equation: "sigmoid(f) * c + sigmoid(i) * tanh(g)"}.

    The ids in the text are what it reads, so it has no `from`.
    """

    KEY: ClassVar[str] = "equation"
    UNOFFERED: ClassVar[tuple[str, ...]] = ("from", "initial_state")

    equation: Annotated[Node, Located({"type": "string"}, "an equation", unbound=True)] = Field(
        description="Ids of nodes, numbers, + - * / **, ( ) and functions such as tanh."
    )

    def expand(self, walk: Walk, item: Mapping, scope: Scope) -> Expansion:
        if (entry := item.entry("from")) is not None:
            message = "an equation reads the nodes that it names, and takes no from"
            walk.report.error(message, entry.key.span, help=EXAMPLE, code="misplaced-key")
        read = read_equation(self.equation, walk, scope)
        layer = read.layer if read is not None else None
        span = self.equation.span
        arguments = Mapping((Entry(Scalar("formula", span, "formula"), self.equation),), span)
        part = Part(layer, arguments, item, form=self.KEY)
        return self.chain(walk, [part], item, scope, sources=read.sources if read is not None else ())
