"""Load a typed spec from a file, a text or a Python mapping, with all faults reported at once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from collections.abc import Mapping as AnyMapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import yaml
from pydantic import BaseModel

from specbuild.document import (
    Entry,
    Mapping,
    Node,
    Report,
    Scalar,
    Sequence,
    Source,
    SpecError,
    did_you_mean,
    locate,
    nearest,
    parse,
    read,
    values_in,
)
from specbuild.language.allow import read_allow
from specbuild.language.declarations import KEYS, NO_INPUTS, check_head, read_defaults, read_inputs
from specbuild.language.extends import extended
from specbuild.language.files import Home
from specbuild.language.forms import Definitions, Expanded, Group, expand, read_blocks
from specbuild.language.overrides import apply, normalize
from specbuild.language.spec import InputSpec, OutputSpec, Spec, is_written
from specbuild.language.validation import validate
from specbuild.language.variables import substitute, variables

if TYPE_CHECKING:
    from specbuild.language.sections.data import DataSection
    from specbuild.language.sections.evaluate import EvaluateSection
    from specbuild.language.sections.train import TrainSection
    from specbuild.language.tuning import Tuning

Section = TypeVar("Section", bound=BaseModel)


def load_spec(
    source: str | Path | AnyMapping[str, Any],
    *,
    overrides: AnyMapping[str, Any] | Iterable[str] = (),
    change: Callable[[Mapping], tuple[str, ...]] | None = None,
    directory: Path | None = None,
    roots: Iterable[str | Path] = (),
) -> Spec:
    """Read and check a spec: its language, not yet its shapes (`build_graph` does those). Loads no framework.

    Args:
        source: path of a YAML file, YAML text (recognized by its line breaks), or the same content as a mapping.
        overrides: `{"vars.filters": 64}` or `["vars.filters=64"]`, applied before variables are resolved.
        change: gives further overrides from the document with these overrides, whose variables are not yet resolved.
        directory: the folder that paths of data are relative to; default: that of its file, to which those of other
            specs and of constants are relative.
        roots: folders besides its own under which the files may lie that the spec names (`specbuild.language.files`).

    Raises:
        SpecError: with every fault found, each with its line and column.
    """
    report = Report()
    spec = read_spec(source, normalize(overrides), report, change, directory, roots)
    report.raise_errors()
    assert spec is not None
    return spec


def read_spec(
    source: str | Path | AnyMapping[str, Any],
    overrides: tuple[str, ...],
    report: Report,
    change: Callable[[Mapping], tuple[str, ...]] | None = None,
    directory: Path | None = None,
    roots: Iterable[str | Path] = (),
) -> Spec | None:
    """Read a spec with its faults put into `report`; return as much of it as could be read, or None.

    The caller checks `report` before trusting it; `Spec.broken` names the nodes that are missing from it.
    """
    opened = _opened(source, overrides, report, change, roots)
    if opened is None:
        return None
    text, document = opened.text, opened.document
    directory = opened.here if directory is None else directory
    check_head(document, report)
    _missing(document, report)
    values = variables(document.get("vars"), report)
    document = replace(document, entries=tuple(_substituted(entry, values, report) for entry in document.entries))
    inputs = read_inputs(document.get("inputs"), report)
    written = document.get("inputs")
    ids = list(written.names()) if isinstance(written, Mapping) else []
    definitions = Definitions(
        read_defaults(document.get("defaults"), report),
        read_blocks(document.get("blocks"), report),
        opened.home,
        (Path(text.name).absolute(),),
    )
    expanded = expand(document.get("layers"), ids, values, definitions, report)
    outputs, named = _outputs(document, expanded, report)
    data, train, evaluate = _sections(document, report)
    tuning = _tuning(document, report)
    _known_names(inputs, outputs, data, train, document, report)
    return Spec(
        name=_text(document, "name", report) or _default_name(text, directory),
        description=_text(document, "description", report),
        vars=values,
        inputs=inputs,
        layers=expanded.nodes,
        outputs=outputs,
        named_outputs=named,
        data=data,
        train=train,
        evaluate=evaluate,
        directory=directory,
        here=opened.here.resolve(),
        files=tuple(dict.fromkeys(file.parent.resolve() / file.name for file in (*opened.files, *expanded.walk.files))),
        written=text.text,
        overrides=opened.overrides,
        document=document,
        broken=expanded.broken | (set(ids) - {input.id for input in inputs}),
        ahead=tuple(expanded.walk.ahead),
        left_out=expanded.walk.left_out,
        composites=tuple(
            name for name, target in expanded.scope.names.items() if isinstance(target, Group) and not target.named
        ),
        allow=read_allow(document.get("allow"), report),
        tuning=tuning,
    )


@dataclass(frozen=True, slots=True)
class _Opened:
    """A document with what it extends and with its overrides, before variables are resolved."""

    text: Source
    document: Mapping
    here: Path
    """The folder of its file."""
    home: Home
    files: tuple[Path, ...]
    """The files that it extends."""
    overrides: tuple[str, ...]


def _opened(
    source: str | Path | AnyMapping[str, Any],
    overrides: tuple[str, ...],
    report: Report,
    change: Callable[[Mapping], tuple[str, ...]] | None,
    roots: Iterable[str | Path],
) -> _Opened | None:
    """Return the document of a spec; None where it cannot be read or is no mapping."""
    try:
        text, document, here = _read(source)
        home = Home.of(here, roots)
    except SpecError as error:
        report.extend(error.diagnostics)
        return None
    if not isinstance(document, Mapping):
        report.wrong_type("a spec must be a mapping", document)
        return None
    files: list[Path] = []
    whole = extended(document, home, report, files)
    if whole is None:
        return None
    origin = "overrides" if text.name == "<python>" else "--set"
    document = apply(whole, overrides, report, origin)
    if change is not None:
        further = change(document)
        document, overrides = apply(document, further, report, origin), (*overrides, *further)
    return _Opened(text, document, here, home, tuple(files), overrides)


def _read(source: str | Path | AnyMapping[str, Any]) -> tuple[Source, Node, Path]:
    if isinstance(source, AnyMapping):
        text = yaml.safe_dump(dict(source), sort_keys=False, allow_unicode=True)
        return Source("<python>", text), parse(text, "<python>"), Path()
    if isinstance(source, str) and "\n" in source:
        return Source("<text>", source), parse(source, "<text>"), Path()
    origin, document = read(Path(source))
    return origin, document, Path(source).parent


def _substituted(entry: Entry, values: dict[str, Any], report: Report) -> Entry:
    """Resolve variables; layers and blocks are left to their expansion, where loops bring variables of their own."""
    if entry.name in ("vars", "layers", "blocks"):
        return entry
    return replace(entry, value=substitute(entry.value, values, report))


def _missing(document: Mapping, report: Report) -> None:
    meant = {nearest(name, KEYS) for name in document.names() if name not in KEYS}
    for name, help in _NEEDED.items():
        if document.entry(name) is None and name not in meant:
            report.error(f"the spec has no {name}", document.span, help=help, code="missing-key")


_NEEDED = {
    "inputs": NO_INPUTS,
    "layers": "list the model's layers, such as layers: [{layer: ConvLSTM2D, filters: 8, kernel_size: 3}]",
}


def _text(document: Mapping, name: str, report: Report) -> str:
    node = document.get(name)
    if not is_written(node):
        return ""
    if isinstance(node, Scalar):
        return node.value if isinstance(node.value, str) else node.raw
    report.wrong_type(f"{name}: expected text", node)
    return ""


def _default_name(source: Source, directory: Path) -> str:
    """A spec without a name is called after its file; `spec.yaml` after its folder."""
    stem = Path(source.name).stem
    if source.name.startswith("<"):
        return "model"
    return (directory.resolve().name or "model") if stem == "spec" else stem


def _outputs(document: Mapping, expanded: Expanded, report: Report) -> tuple[tuple[OutputSpec, ...], bool]:
    """Read the model's outputs: a list of references, a mapping of names to references, or the last node."""
    node = document.get("outputs")
    if not is_written(node) or node is None:
        end, layers = expanded.end, document.entry("layers")
        if end is None and layers is not None and not report.failed:
            message = "no node gives the output of the model"
            help = "list a layer, such as {layer: ConvLSTM2D, filters: 8, kernel_size: 3}"
            if expanded.nodes:
                help = "write outputs: and the ids of the nodes that the model gives"
            report.error(message, layers.key.span, help=help, code="missing-key")
        return ((OutputSpec(end.id, end),) if end is not None else ()), False
    if values_in(node) == 1 and not isinstance(node, Scalar):
        report.error("outputs: names no node", node.span, code="missing-key")
    if isinstance(node, Mapping):
        named = [(e.name, expanded.reference(e.value)) for e in node.entries]
        return tuple(OutputSpec(name, source) for name, source in named if source is not None), True
    parts = node.items if isinstance(node, Sequence) else (node,)
    references = (reference for part in parts for reference in expanded.references(part))
    return tuple(OutputSpec(reference.id, reference) for reference in references), False


def _known_names(
    inputs: Iterable[InputSpec],
    outputs: tuple[OutputSpec, ...],
    data: DataSection | None,
    train: TrainSection,
    document: Mapping,
    report: Report,
) -> None:
    """Refuse names of inputs and outputs in `data` and `train` that the model does not have."""
    _known_outputs(train, outputs, document, report)
    if data is not None:
        names = [given.id for given in inputs]
        _known_parts("input", "reads", "past", data.inputs, names, document, report)
        names = [output.name for output in outputs]
        _known_parts("output", "is compared with", "future", data.targets, names, document, report)


def _known_outputs(train: TrainSection, outputs: tuple[OutputSpec, ...], document: Mapping, report: Report) -> None:
    """Refuse a loss, a weight or metrics for an output that the model does not have."""
    names = [output.name for output in outputs]
    for key, named in train.by_output.items():
        for name in named if names else ():
            if name not in names:
                message = f"the model has no output called {name}"
                help = did_you_mean(name, names) or f"its outputs are {', '.join(names)}"
                report.error(
                    message, locate(document, ("train", key, name), key=True), help=help, code="unknown-output"
                )


def _known_parts(
    noun: str,
    verb: str,
    example: str,
    said: Collection[str],
    names: list[str],
    document: Mapping,
    report: Report,
) -> None:
    """Refuse what data says of an input or an output that the model does not have, and those that it says nothing of.

    Args:
        noun: `input` or `output`; `data.inputs` or `data.targets` says what each `verb`, such as `example`.
        said: those that data says something of.
        names: those of the model.
    """
    if not said or not names:
        return
    key = {"input": "inputs", "output": "targets"}[noun]
    for name in said:
        if name not in names:
            message = f"the model has no {noun} called {name}"
            help = did_you_mean(name, names) or f"its {noun}s are {', '.join(names)}"
            report.error(message, locate(document, ("data", key, name), key=True), help=help, code=f"unknown-{noun}")
    left = [name for name in names if name not in said]
    if left and len(left) + len(said) == len(names):
        report.error(
            f"data.{key} does not say what {' and what '.join(f'{name} {verb}' for name in left)}",
            locate(document, ("data", key), key=True),
            help=f"add {left[0]}: {example}, or a mapping",
            code="missing-key",
        )


def _sections(document: Mapping, report: Report) -> tuple[DataSection | None, TrainSection, EvaluateSection]:
    """Read what is not about the model. The classes take time to define: each is imported when there is use for it."""
    from specbuild.language.sections.evaluate import EvaluateSection
    from specbuild.language.sections.train import TrainSection

    data = None
    if is_written(document.get("data")):
        from specbuild.language.sections.data import DataSection

        data = _section(DataSection, document, "data", report)
    return (
        data,
        _section(TrainSection, document, "train", report) or TrainSection.model_construct(),
        _section(EvaluateSection, document, "evaluate", report) or EvaluateSection.model_construct(),
    )


def _section(cls: type[Section], document: Mapping, name: str, report: Report) -> Section | None:
    entry = document.entry(name)
    if entry is None or not is_written(entry.value):
        return None
    return validate(cls, entry.value, report, owner=name, at=entry.key)


def _tuning(document: Mapping, report: Report) -> Tuning | None:
    """Read what `specbuild tune` varies. Its classes are imported when there is use for them, as those of sections."""
    entry = document.entry("tune")
    if entry is None or not is_written(entry.value):
        return None
    from specbuild.language.tuning import read_tuning

    return read_tuning(entry, report)
