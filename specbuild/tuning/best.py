"""The spec with other values, written as a user would edit it: the values in their places, comments kept."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from specbuild.document import Mapping, Node, Sequence, SpecError, id_of, parse
from specbuild.language import Spec, load_spec
from specbuild.runs.files import write_text
from specbuild.runs.saved_spec import COPIES
from specbuild.tuning.folder import StudyFolder

BEST = "best.yaml"


def write_best(folder: StudyFolder, overrides: Iterable[str], comment: str) -> Path:
    """Write the spec of a study with overrides in its text, and return the file, which stands beside the saved spec.

    A value that the text has is replaced there; any other is added under `set`.

    Args:
        folder: of the study.
        overrides: `path=value`, besides those that the study began with.
        comment: the first line of the file.
    """
    spec = folder.spec(overrides)
    path, head = folder.saved.with_name(BEST), f"# {comment}\n"
    text = head + edited(spec.written, spec.overrides)
    if not _means(spec, text, folder.path / COPIES):  # a value of the text is covered, as by that of a base
        text = head + edited(spec.written, spec.overrides, in_place=False)
    write_text(path, text)
    return path


def _means(spec: Spec, text: str, copies: Path) -> bool:
    """Return whether a text, in the place of that of a spec, means the same as the spec with its overrides."""
    beside = spec.here / f".{os.getpid()}-{BEST}"  # other processes may do the same
    with suppress(SpecError):
        try:
            beside.write_text(text, "utf-8")
            read = load_spec(beside, directory=spec.directory, roots=[copies] if copies.is_dir() else [])
        finally:
            beside.unlink(missing_ok=True)
        # The head has the name, which is that of the file where none is written.
        return read.resolved().partition("\n\n")[2] == spec.resolved().partition("\n\n")[2]
    return False


def edited(text: str, overrides: Iterable[str], *, in_place: bool = True) -> str:
    """Return the text of a spec with each `path=value` in its place, or under `set` where it has none.

    Without `in_place` all values go under `set`, which is applied last.
    """
    rest: dict[str, str] = {}
    for override in overrides:
        path, _, value = (part.strip() for part in override.partition("="))
        document = parse(text)
        node = _in_set(document, path) or (_at(document, path) if in_place else None)
        if node is None or node.span.line != node.span.end_line:
            rest.pop(path, None)
            rest[path] = value
        else:
            start, end = _offsets(node)
            text = text[:start] + value + text[end:]
    return _under_set(text, rest) if rest else text


def _in_set(document: Node, path: str) -> Node | None:
    """Return the value of a path under `set`; None where there is none."""
    changes = document.get("set") if isinstance(document, Mapping) else None
    return changes.get(path) if isinstance(changes, Mapping) else None


def _at(document: Node, path: str) -> Node | None:
    """Return the node that a path names; None where the text has none."""
    node: Node | None = document
    for part in (part.strip() for part in path.split(".")):
        if isinstance(node, Mapping):
            node = node.get(part)
        elif isinstance(node, Sequence):
            node = next((item for item in _mappings(node) if id_of(item) == part), None)
        else:
            return None
    return node


def _mappings(node: Node) -> Iterator[Mapping]:
    """Yield a node and those below it that are mappings."""
    if isinstance(node, Mapping):
        yield node
    inner = [entry.value for entry in node.entries] if isinstance(node, Mapping) else getattr(node, "items", ())
    for each in inner:
        yield from _mappings(each)


def _under_set(text: str, values: dict[str, str]) -> str:
    """Return the text with further values under `set`, after those that stand there."""
    document = parse(text)
    changes = document.get("set") if isinstance(document, Mapping) else None
    if not isinstance(changes, Mapping):
        lines = "".join(f"  {path}: {value}\n" for path, value in values.items())
        return f"{text.rstrip()}\n\nset:\n{lines}"
    start, end = _offsets(changes)
    if text[start] == "{":
        added = ", ".join(f"{path}: {value}" for path, value in values.items())
        return f"{text[: end - 1].rstrip()}{', ' if changes.entries else ''}{added}{text[end - 1 :]}"
    indent = " " * (changes.entries[0].key.span.column - 1)
    stop = text.find("\n", _offsets(changes.entries[-1].value)[1] - 1)
    before, after = (text, "") if stop < 0 else (text[:stop], text[stop:])
    return before + "".join(f"\n{indent}{path}: {value}" for path, value in values.items()) + after


def _offsets(node: Node) -> tuple[int, int]:
    span = node.span
    return span.source.offset(span.line, span.column), span.source.offset(span.end_line, span.end_column)
