"""`model`: another spec file as a part of this one."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import Field

from specbuild.document import Entry, Mapping, Node, Scalar, values_in
from specbuild.language.allow import read_allow
from specbuild.language.declarations import check_head, read_defaults, read_inputs
from specbuild.language.extends import extended
from specbuild.language.forms import read_blocks
from specbuild.language.forms.base import Composite, Expansion
from specbuild.language.forms.blocks import Contents, inline
from specbuild.language.forms.scope import Definitions, Scope
from specbuild.language.forms.values import Located, PlainText
from specbuild.language.forms.walk import Walk
from specbuild.language.overrides import overlay
from specbuild.language.references import References
from specbuild.language.spec import is_written
from specbuild.language.variables import substitute, variables


class ModelForm(Composite):
    """The layers of another spec: {model: encoder.yaml, vars: {filters: 64}}.

    They join this model, their ids prefixed by the node's; what its inputs get is held against the shapes they declare;
    its outputs are `id.<name>`, and `id` itself where there is one. Its data, train and evaluate sections are left out.
    """

    KEY: ClassVar[str] = "model"

    model: Annotated[str, PlainText("the path of a spec")] = Field(
        description="Path of the spec, relative to this file."
    )
    changed: Annotated[Node | None, Located({"type": "object"}, "a mapping of names to values")] = Field(
        None, alias="vars", description="Changed variables of that spec."
    )

    def called(self, item: Mapping) -> str:  # noqa: ARG002 - by its file
        return Path(self.model).stem

    def inside(self, walk: Walk, item: Mapping, scope: Scope, inputs: References) -> Expansion:
        opened = self._open(walk, item, scope)
        if opened is None:
            return walk.nothing(item.span, scope)
        if is_written(self.changed) and not isinstance(self.changed, Mapping):
            rule, help = "vars: expected variables and their values", "write vars: {filters: 64}"
            walk.report.wrong_type(rule, self.changed, help)
            return walk.nothing(item.span, scope)
        file, document = opened
        if isinstance(self.changed, Mapping):
            document = _with_variables(walk, self.changed, document, file)
        values = variables(document.get("vars"), walk.report)

        def filled(key: str) -> Node | None:
            node = document.get(key)
            return substitute(node, values, walk.report) if node is not None else None

        declared = read_inputs(filled("inputs"), walk.report)
        layers = document.get("layers")
        if layers is None or not declared:
            message = f"{file.name} has no {'layers' if layers is None else 'inputs'}"
            walk.report.error(message, document.span, code="missing-key")
            return walk.nothing(item.span, scope)
        definitions = Definitions(
            read_defaults(filled("defaults"), walk.report),
            read_blocks(document.get("blocks"), walk.report),
            scope.definitions.home.beside(file),
            (*scope.definitions.files, file.absolute()),
        )
        inner = Scope(values, definitions, closed=file.stem, calls=scope.calls)
        shapes = tuple(each.section.shape for each in declared)
        contents = Contents(tuple(each.id for each in declared), layers, document.get("outputs"), shapes)
        inside = inline(walk, contents, inner, item, scope, inputs)
        allow = read_allow(filled("allow"), walk.report)
        return replace(inside, nodes=tuple(node.accepting(allow) for node in inside.nodes))

    def _open(self, walk: Walk, item: Mapping, scope: Scope) -> tuple[Path, Mapping] | None:
        """The file and its document, with those that it extends; None after a fault."""
        named = item["model"].value
        home = scope.definitions.home
        file = home.folder / self.model
        if file.absolute() in scope.definitions.files:
            walk.report.error(f"{self.model} contains itself", named.span, code="model-cycle")
            return None
        document = walk.document(file, home, named)
        if document is None:
            return None
        walk.report.spend(values_in(document), named.span)
        whole = extended(document, home.beside(file), walk.report, walk.files)
        if whole is None:
            return None
        check_head(whole, walk.report)
        return file, whole


def _with_variables(walk: Walk, given: Mapping, document: Mapping, file: Path) -> Mapping:
    """The document with variables changed; reports those that it does not declare."""
    declared = document.get("vars")
    known = list(declared.names()) if isinstance(declared, Mapping) else []
    for entry in given.entries:
        if entry.name not in known:
            message = f"{file.name} has no variable {entry.name}"
            help = f"it declares {', '.join(known)}" if known else ""
            walk.report.error(message, entry.key.span, help=help, code="unknown-variable")
    merged = overlay(declared, given) if declared is not None else given
    entry = Entry(Scalar("vars", given.span, "vars"), merged)
    return replace(document, entries=(*document.without("vars").entries, entry))
