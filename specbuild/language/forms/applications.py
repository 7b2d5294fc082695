"""`application`: a published image network of `keras.applications` as one node."""

from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from specbuild.catalog.signatures import names
from specbuild.document import Mapping, Node, Scalar, did_you_mean
from specbuild.language.files import file_of
from specbuild.language.forms.base import COMMON, Expansion, Part, PlainForm
from specbuild.language.forms.scope import Scope
from specbuild.language.forms.values import Located
from specbuild.language.forms.walk import Walk
from specbuild.language.validation import validate

if TYPE_CHECKING:
    from specbuild.catalog.application import Application


class ApplicationForm(PlainForm):
    """A published image network of keras.applications: {application: MobileNetV2, until: …}."""

    KEY: ClassVar[str] = "application"
    TAKES_ARGUMENTS = True
    UNOFFERED = ("initial_state",)

    application: Annotated[Node, Located("network", "the name of a network")] = Field(
        description="A network of keras.applications."
    )

    def expand(self, walk: Walk, item: Mapping, scope: Scope) -> Expansion:
        arguments = item.without(*COMMON)
        part = Part(read_application(walk, arguments, scope), arguments, item)
        return self.chain(walk, [part], item, scope)


def read_application(walk: Walk, arguments: Mapping, scope: Scope) -> "Application | None":
    """Return the network of `{application: Name, …arguments}`, its file of weights found; None after a fault."""
    from specbuild.catalog.application import application_kind

    report = walk.report
    named = arguments["application"].value
    if not isinstance(named, Scalar) or not isinstance(named.value, str):
        report.wrong_type("application: expected the name of a network", named)
        return None
    cls = application_kind(named.value)
    if cls is None:
        message = f'keras.applications has no network "{named.value}"'
        help = did_you_mean(named.value, names("applications"))
        report.error(message, named.span, help=help, code="unknown-application")
        return None
    network = validate(cls, arguments.without("application"), report, owner=named.value, at=named)
    if network is None or network.weights_file is None:
        return network
    written = arguments.get("weights") or named
    file = file_of(network.weights_file, scope.definitions.home, written.span, report)
    if file is None:
        return None
    walk.files.append(file)
    return network.with_weights(str(file))
