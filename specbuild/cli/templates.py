"""The shipped specs as templates: which there are, what each needs beside it, and copying one."""

from __future__ import annotations

import filecmp
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from specbuild.document import Mapping, Node, Scalar, Sequence, plain, read


@dataclass(frozen=True, slots=True)
class Template:
    """A shipped spec. `description` is how its own begins; `beside` are the files that it names, relative to it."""

    name: str
    file: Path
    description: str
    beside: tuple[Path, ...]
    has_data: bool


def templates() -> dict[str, Template]:
    """Every shipped spec by its name, which is its file's with hyphens, after its folder: `zoo/shi2015-2layers`.

    Those that stand in no folder come first.
    """
    files = sorted(folder().rglob("*.yaml"), key=lambda file: (file.parent != folder(), file))
    found = (_template(file) for file in files)
    return {one.name: one for one in found}


def name_of(path: str) -> str:
    """The name of a template, from its name or from what its file is called."""
    return path.removesuffix(".yaml").replace("_", "-")


def folder() -> Path:
    """Where the shipped specs are: in the installed package, or in the checkout that this module runs from."""
    package = Path(__file__).parent.parent
    installed = package / "templates"
    return installed if installed.is_dir() else package.parent / "specs"


def copies(template: Template, target: Path) -> list[tuple[Path, Path]]:
    """What writing a template to `target` copies, and where to, but for what is there already, unchanged."""
    pairs = [(template.file, target)]
    pairs += [(template.file.parent / path, target.parent / path) for path in template.beside]
    return [(source, copy) for source, copy in pairs if not (copy.is_file() and filecmp.cmp(source, copy, False))]


def write(pairs: list[tuple[Path, Path]]) -> None:
    """Copies each file, over what is there."""
    for source, copy in pairs:
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, copy)


def _template(file: Path) -> Template:
    documents = [document for _, document in _with_bases(file)]
    description = next((one for document in documents if (one := document.get("description")) is not None), None)
    said = " ".join(str(plain(description)).split()) if description is not None else ""
    return Template(
        name=name_of(file.relative_to(folder()).as_posix()),
        file=file,
        description=re.split(r"[.:] | \(", said)[0].rstrip("."),
        beside=tuple(dict.fromkeys(_beside(file))),
        has_data=any(document.get("data") is not None for document in documents),
    )


def _with_bases(file: Path) -> Iterator[tuple[Path, Mapping]]:
    """A spec and those that it extends, itself first."""
    _, document = read(file)
    assert isinstance(document, Mapping)
    yield file, document
    base = document.get("extends")
    if isinstance(base, Scalar) and isinstance(base.value, str):
        yield from _with_bases(file.parent / base.value)


def _beside(file: Path) -> Iterator[Path]:
    """The files that a spec needs beside it, relative to it: its data, its parts, its bases and what those need."""
    for source, document in _with_bases(file):
        for path in _named(document, source.parent):
            yield (source.parent / path).relative_to(file.parent)


def _named(node: Node, here: Path) -> Iterator[Path]:
    """The files that a document names and that stand beside it: its data, its base, its parts."""
    if isinstance(node, Sequence):
        for item in node.items:
            yield from _named(item, here)
    elif isinstance(node, Mapping):
        for entry in node.entries:
            text = entry.value.value if isinstance(entry.value, Scalar) else None
            if entry.name in ("path", "extends", "model") and isinstance(text, str) and (here / text).is_file():
                yield Path(text)
            yield from _named(entry.value, here)
