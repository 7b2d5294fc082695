"""The shipped specs as templates: their list, the files that each needs, and copying them."""

from __future__ import annotations

import filecmp
import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from specbuild.document import Mapping, Node, Scalar, Sequence, plain, read

SCHEMA = "specbuild.schema.json"
HEADER = f"# yaml-language-server: $schema={SCHEMA}\n"
"""The first line of a spec, from which editors know its schema."""


@dataclass(frozen=True, slots=True)
class Template:
    """A shipped spec. `description` is the start of its own; `beside` are the files that it names, relative to it."""

    name: str
    file: Path
    description: str
    beside: tuple[Path, ...]
    has_data: bool


def templates() -> dict[str, Template]:
    """Return every shipped spec by name: that of its file, with hyphens, after its folder: `zoo/shi2015-2layers`.

    Those outside folders come first.
    """
    files = sorted(folder().rglob("*.yaml"), key=lambda file: (file.parent != folder(), file))
    return {template.name: template for template in map(_template, files)}


def name_of(path: str) -> str:
    """Return the name of a template, given it or the name of its file."""
    return path.removesuffix(".yaml").replace("_", "-")


def folder() -> Path:
    """Return the folder of the shipped specs: in the installed package, or in the checkout."""
    package = Path(__file__).parent.parent
    installed = package / "templates"
    return installed if installed.is_dir() else package.parent / "specs"


def copies(template: Template, target: Path) -> list[tuple[Path, Path]]:
    """Return the files to copy for a template written to `target`, each with its copy; not those already there."""
    pairs = [(template.file, target)]
    pairs += [(template.file.parent / path, target.parent / path) for path in template.beside]
    return [(source, copy) for source, copy in pairs if not (copy.is_file() and _same(source, copy))]


def _same(source: Path, copy: Path) -> bool:
    """Whether a file is a copy of another, as it is or with the line that names the schema."""
    if filecmp.cmp(source, copy, False):
        return True
    return copy.suffix == ".yaml" and copy.read_bytes() == HEADER.encode() + source.read_bytes()


def write_schema(spec: Path) -> Path | None:
    """Write the schema of the language beside a spec, and name it in the spec's first line.

    Returns:
        Its path, or None where both are there already.
    """
    schema, text = spec.parent / SCHEMA, spec.read_text(encoding="utf-8")
    wanted, named = schema_text(), text.startswith(HEADER)
    if named and schema.is_file() and schema.read_text(encoding="utf-8") == wanted:
        return None
    schema.write_text(wanted, encoding="utf-8")
    if not named:
        spec.write_text(HEADER + text, encoding="utf-8")
    return schema


def schema_text() -> str:
    """Return the JSON Schema of the language as text."""
    from specbuild.language.schema import json_schema

    return json.dumps(json_schema(), indent=1, ensure_ascii=False) + "\n"


def write(pairs: list[tuple[Path, Path]]) -> None:
    """Copy each file, replacing what is there."""
    for source, copy in pairs:
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, copy)


def _template(file: Path) -> Template:
    documents = [document for _, document in _with_bases(file)]
    descriptions = [node for document in documents if (node := document.get("description")) is not None]
    description = " ".join(str(plain(descriptions[0])).split()) if descriptions else ""
    return Template(
        name=name_of(file.relative_to(folder()).as_posix()),
        file=file,
        description=re.split(r"[.:] | \(", description)[0].rstrip("."),
        beside=tuple(dict.fromkeys(_beside(file))),
        has_data=any(document.get("data") is not None for document in documents),
    )


def _with_bases(file: Path) -> Iterator[tuple[Path, Mapping]]:
    """Yield a spec and those that it extends, itself first."""
    _, document = read(file)
    assert isinstance(document, Mapping)
    yield file, document
    base = document.get("extends")
    if isinstance(base, Scalar) and isinstance(base.value, str):
        yield from _with_bases(file.parent / base.value)


def _beside(file: Path) -> Iterator[Path]:
    """Yield the files that a spec needs, relative to it: its data, parts and bases, and what those need."""
    for source, document in _with_bases(file):
        for path in _named(document, source.parent):
            yield (source.parent / path).relative_to(file.parent)


def _named(node: Node, here: Path) -> Iterator[Path]:
    """Yield the existing files that a document names: its data, its base, its parts."""
    if isinstance(node, Sequence):
        for item in node.items:
            yield from _named(item, here)
    elif isinstance(node, Mapping):
        for entry in node.entries:
            text = entry.value.value if isinstance(entry.value, Scalar) else None
            if entry.name in ("path", "extends", "model") and isinstance(text, str) and (here / text).is_file():
                yield Path(text)
            yield from _named(entry.value, here)
