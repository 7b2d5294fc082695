"""`application`: a published image network of `keras.applications` as one node."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from specbuild.catalog.signatures import names
from specbuild.document import Mapping, Scalar, did_you_mean, kind_of
from specbuild.language.forms.expansion import COMMON, Expansion, Path_
from specbuild.language.forms.scope import Part, Scope
from specbuild.language.validation import validate

if TYPE_CHECKING:
    from specbuild.catalog.application import Application


def application_form(walk: Expansion, item: Mapping, scope: Scope, path: Path_) -> None:
    """`{application: MobileNetV2, weights: mobilenet.weights.h5, include_top: false, until: block_6_expand}`"""
    item = walk.resolve(item, scope, path)
    arguments = replace(item, entries=tuple(e for e in item.entries if e.name not in COMMON))
    walk.add([Part(read_application(walk, arguments, path), arguments, item)], item, scope, path)


def read_application(walk: Expansion, arguments: Mapping, path: Path_) -> Application | None:
    """The network of `{application: Name, …arguments}`, its file of weights found; None after a fault."""
    from specbuild.catalog.application import application_kind

    report = walk.report
    named = arguments.get("application")
    assert named is not None
    if not isinstance(named, Scalar) or not isinstance(named.value, str):
        if not report.is_known(named.span):
            message = f"application: expected the name of a network, got {kind_of(named)}"
            report.error(message, named.span, path=(*path, "application"), code="wrong-type")
        return None
    cls = application_kind(named.value)
    if cls is None:
        report.error(
            f'keras.applications has no network "{named.value}"',
            named.span,
            path=(*path, "application"),
            help=did_you_mean(named.value, names("applications")),
            code="unknown-application",
        )
        return None
    written = replace(arguments, entries=tuple(e for e in arguments.entries if e.name != "application"))
    network = validate(cls, written, path, report, owner=named.value, at=named)
    if network is None or network.weights_file is None:
        return network
    file = walk.definitions.directory / network.weights_file
    if not file.is_file():
        place = arguments.get("weights")
        report.error(
            f"there is no file {network.weights_file}",
            (place or named).span,
            path=(*path, "weights"),
            reason="paths are relative to the spec's folder",
            code="missing-file",
        )
        return None
    return network.with_weights(str(file.absolute()))
