"""`model`: another spec file as a part of this one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from specbuild.document import Entry, Mapping, Node, Scalar, SpecError, kind_of, values_in
from specbuild.language.declarations import check_head, read_defaults, read_inputs
from specbuild.language.extends import extended
from specbuild.language.forms.blocks import Inside, inline, read_blocks
from specbuild.language.forms.expansion import Expansion, Path_
from specbuild.language.forms.scope import Definitions, Scope
from specbuild.language.overrides import overlay
from specbuild.language.variables import substitute, variables


def model_form(walk: Expansion, item: Mapping, scope: Scope, path: Path_) -> None:
    """`{model: encoder.yaml, vars: {filters: 64}, from: rain}`.

    The file's layers join this model, their ids prefixed by the node's; what its inputs get is held against the shapes
    they declare; its outputs are `id.<name>`, and `id` itself where there is one. Its data, train and evaluate sections
    are left out.
    """
    item = walk.resolve(item, scope, path)
    walk.only(item, ("model", "vars", "trainable"), path)
    opened = _open(walk, item.get("model"), path)
    if opened is None:
        walk.fail(item, scope, path)
        return
    file, document = opened
    given = item.get("vars")
    if isinstance(given, Mapping):
        _known_variables(walk, given, document, file, path)
        own = document.get("vars")
        merged = overlay(own, given) if own is not None else given
        key = Scalar("vars", given.span, "vars")
        document = replace(document, entries=(*(e for e in document.entries if e.name != "vars"), Entry(key, merged)))
    values = variables(document.get("vars"), walk.report)
    inputs = read_inputs(_substituted(walk, document.get("inputs"), values), walk.report)
    layers = document.get("layers")
    if layers is None or not inputs:
        message = f"{file.name} has no {'layers' if layers is None else 'inputs'}"
        walk.report.error(message, document.span, code="missing-key")
        walk.fail(item, scope, path)
        return
    inside = Inside(
        name=file.stem,
        values=values,
        inputs=tuple(one.id for one in inputs),
        do=layers,
        output=document.get("outputs"),
        shapes=tuple(one.section.shape for one in inputs),
    )
    outer = walk.definitions
    walk.definitions = Definitions(
        read_defaults(_substituted(walk, document.get("defaults"), values), walk.report),
        read_blocks(document.get("blocks"), walk.report),
        file.parent,
        (*outer.files, file.absolute()),
    )
    inline(walk, inside, item, scope, path)
    walk.definitions = outer


def _open(walk: Expansion, named: Node | None, path: Path_) -> tuple[Path, Mapping] | None:
    where = (*path, "model")
    assert named is not None
    if not isinstance(named, Scalar) or not isinstance(named.value, str):
        if not walk.report.is_known(named.span):
            message = f"model: expected the path of a spec, got {kind_of(named)}"
            walk.report.error(message, named.span, path=where, code="wrong-type")
        return None
    file = walk.definitions.directory / named.value
    if file.absolute() in walk.definitions.files:
        walk.report.error(f"{named.value} contains itself", named.span, path=where, code="model-cycle")
        return None
    try:
        document = walk.read(file)
    except SpecError as error:
        for one in error.diagnostics:
            walk.report.add(one if one.span else replace(one, span=named.span, path=".".join(map(str, where))))
        return None
    walk.report.spend(values_in(document), named.span, where)
    if not isinstance(document, Mapping):
        message = f"a spec must be a mapping, got {kind_of(document)}"
        walk.report.error(message, document.span, code="wrong-type")
        return None
    whole = extended(document, file.parent, walk.report)
    if whole is None:
        return None
    check_head(whole, walk.report)
    return file, whole


def _known_variables(walk: Expansion, given: Mapping, document: Mapping, file: Path, path: Path_) -> None:
    declared = document.get("vars")
    known = list(declared.names()) if isinstance(declared, Mapping) else []
    for entry in given.entries:
        if entry.name not in known:
            walk.report.error(
                f"{file.name} has no variable {entry.name}",
                entry.key.span,
                path=(*path, "vars", entry.name),
                help=f"it declares {', '.join(known)}" if known else "",
                code="unknown-variable",
            )


def _substituted(walk: Expansion, node: Node | None, values: dict[str, object]) -> Node | None:
    return substitute(node, values, walk.report) if node is not None else None
