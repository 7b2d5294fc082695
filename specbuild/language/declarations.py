"""Declarations before the layers: language version, sections, inputs, and defaults by layer kind."""

from __future__ import annotations

from dataclasses import replace

from specbuild.catalog.registry import argument_names, kind_named, kind_names
from specbuild.document import Entry, Mapping, Node, Report, Scalar, Sequence, did_you_mean
from specbuild.language.references import ID, ID_HELP
from specbuild.language.sections.inputs import InputSection
from specbuild.language.spec import InputSpec
from specbuild.language.validation import validate

VERSION = 1

KEYS = {
    "specbuild": "Version of the language: 1. Required.",
    "name": "Name of the model. Default: the file's name.",
    "description": "Description of the model for readers.",
    "vars": "Variables by name, used anywhere as $name; they may refer to each other.",
    "defaults": "Default arguments by layer kind; a node's own arguments override them.",
    "blocks": "Groups of nodes by name, with parameters, used as {block: name, with: {…}}.",
    "inputs": "Inputs of the model by id: a shape without the batch axis, or {shape, dtype, batch}. Required.",
    "layers": "Nodes of the model, in the order they run. Required.",
    "outputs": "Outputs of the model: ids or ports, or names for them. Default: the last node.",
    "data": "Source of the frames, and how windows, splits and inputs are made from them.",
    "train": "How to train. Every key has a default, so the section may be left out.",
    "evaluate": "What `specbuild evaluate` computes besides MSE, MAE, RMSE and bias.",
    "tune": "What `specbuild tune` varies, by path, such as vars.filters: [16, 32, 64], and how it searches.",
    "allow": "Warnings that are accepted anywhere in the spec, by name, each with the reason.",
}
"""The keys of a spec and their meaning, in the usual order."""
EXTENDING = {
    "extends": "Path of the spec to change, relative to this file. Mappings are merged, lists replaced.",
    "set": "Values of the extended spec to change, by path: layers.enc1.kernel_size: 5.",
}
"""Additional keys of a spec that extends another."""
NO_INPUTS = "declare what the model reads, such as inputs: {rain: [10, 64, 64, 1]}"


def check_head(document: Mapping, report: Report) -> None:
    """Refuse any other version of the language, and unknown keys."""
    for entry in document.entries:
        if entry.name not in KEYS:
            help = did_you_mean(entry.name, KEYS) or f"a spec has {', '.join(KEYS)}"
            report.error(f'unknown key "{entry.name}"', entry.key.span, help=help, code="unknown-key")
    version = document.entry("specbuild")
    if version is None:
        message = "the spec does not say its language version"
        report.error(message, document.span, help=f"begin it with specbuild: {VERSION}", code="missing-key")
    elif not _is_version(version.value) and not report.is_known(version.value.span):
        message = f"this specbuild reads language version {VERSION}"
        report.error(message, version.value.span, help=f"write specbuild: {VERSION}", code="bad-version")


def _is_version(node: Node) -> bool:
    return isinstance(node, Scalar) and isinstance(node.value, int) and node.value is not True and node.value == VERSION


def section_mapping(node: Node | None, report: Report, name: str, parts: str, example: str) -> Mapping | None:
    """Return a section that must be a mapping, of `parts`; report anything else, with the example as help."""
    if node is not None and not isinstance(node, Mapping):
        report.wrong_type(f"{name} must be a mapping of {parts}", node, f"write {name}: {example}")
        return None
    return node


def read_inputs(node: Node | None, report: Report) -> tuple[InputSpec, ...]:
    """Read the `inputs:` section: ids and shapes, each a list of lengths or `{shape, dtype, batch}`."""
    node = section_mapping(node, report, "inputs", "ids to shapes", "{rain: [10, 64, 64, 1]}")
    if node is None:
        return ()
    if not node.entries:
        report.error("the spec has no inputs", node.span, help=NO_INPUTS, code="missing-key")
    return tuple(spec for entry in node.entries if (spec := _input(entry, report)) is not None)


def _input(entry: Entry, report: Report) -> InputSpec | None:
    if not ID.fullmatch(entry.name):
        report.error(f'"{entry.name}" cannot be an id', entry.key.span, help=ID_HELP, code="bad-name")
    value = entry.value
    if isinstance(value, Sequence):
        # The short form: the shape alone.
        shape = replace(entry, key=Scalar("shape", value.span, "shape"))
        value = Mapping((shape,), value.span)
    if not isinstance(value, Mapping):
        help = f"write {entry.name}: [10, 64, 64, 1]"
        report.wrong_type(f"{entry.name}: expected the lengths of its axes", value, help)
        return None
    section = validate(InputSection, value, report, owner=f"the input {entry.name}", at=entry.key)
    return InputSpec(entry.name, section, entry.key.span) if section is not None else None


def read_defaults(node: Node | None, report: Report) -> dict[str, Mapping]:
    """Read the `defaults:` section: arguments by the class name of a layer kind, whichever alias the spec writes."""
    node = section_mapping(node, report, "defaults", "layers to arguments", "{ConvLSTM2D: {padding: same}}")
    defaults: dict[str, Mapping] = {}
    for entry in node.entries if node is not None else ():
        cls = kind_named(entry.name)
        if cls is None:
            help = did_you_mean(entry.name, kind_names())
            report.error(f'no layer is called "{entry.name}"', entry.key.span, help=help, code="unknown-layer")
        elif not isinstance(entry.value, Mapping):
            report.wrong_type(f"defaults of {entry.name} must be a mapping", entry.value)
        else:
            known = argument_names(cls)
            for argument in entry.value.entries:
                if known is not None and argument.name not in known:
                    message = f'{entry.name} has no argument "{argument.name}"'
                    help = did_you_mean(argument.name, known)
                    report.error(message, argument.key.span, help=help, code="unknown-key")
            kept = tuple(a for a in entry.value.entries if known is None or a.name in known)
            if cls.__name__ in defaults:
                message = f"{entry.name} has its defaults already"
                reason, help = f"it is another name of {cls.__name__}", "write them under one name"
                report.error(message, entry.key.span, reason=reason, help=help, code="duplicate-key")
            defaults[cls.__name__] = replace(entry.value, entries=kept)
    return defaults
