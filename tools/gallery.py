"""Check `docs/gallery.md` and its pictures, or regenerate them from the specs in `specs/`.

python tools/gallery.py            exit code 1 if the page or a picture is stale
python tools/gallery.py --write
"""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import zoo_docs
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from specbuild import build_graph
from specbuild.catalog import show
from specbuild.graph import Graph
from specbuild.graph.drawing import diagram, mermaid
from specbuild.graph.drawing.diagram import Diagram, folded
from specbuild.graph.tables import flops

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "gallery.md"
PICTURES = ROOT / "docs" / "images" / "gallery"
RESULTS = ROOT / "docs" / "results.md"
SPECS = ROOT / "specs"
MOST_BOXES = 50
"""Boxes of a picture up to which it is shown."""
COLORS = 32
"""Colors of a picture, which has few of its own."""
SCALE = 2
"""Pixels of a picture for each of the page."""
MARK = "graph"
"""The key of a picture's text under which its mark is."""

HEAD = """\
# Gallery

<!-- Written by tools/gallery.py from the specs in specs; change them there. -->

The specs that come with specbuild, with diagrams as `specbuild plot --fold` draws them: boxes are layers with the
shape of their output, dashed lines pass states. `specbuild init NAME` copies one to start from, with its data if it has
any. Shapes omit the batch axis; parameters are those of the whole model, FLOPs those of a forward pass of one sample.
"""
SECTIONS = {
    "With data": "These train as they are, on data that is copied with them.",
    "Without data": "Add a `data` section, as in [the language](language.md#data), to train them.",
    "Cells": "Recurrent cells written out as equations, to start your own from.",
    "Published models": "See [published models](zoo.md) for their losses and published scores.",
    "Models from tutorials": "Small models from Keras tutorials, without pictures.",
}
"""Headings of the page, each with what is said below it."""


def section_of(spec: Path, graph: Graph) -> str:
    """Return the heading of the page under which a spec is shown; empty: it is not shown."""
    by_folder = {"zoo": "Published models", "cells": "Cells", "tutorials": "Models from tutorials", "bench": ""}
    own = "With data" if graph.spec.data is not None else "Without data"
    return by_folder.get(spec.parent.name, own)


def page(graphs: dict[Path, Graph]) -> str:
    """Return the whole page."""
    parts = [HEAD]
    for section, text in SECTIONS.items():
        parts.append(f"## {section}\n\n{text}\n")
        specs = {spec: graph for spec, graph in graphs.items() if section_of(spec, graph) == section}
        if section == "Models from tutorials":
            rows = (_row(_link(spec), _sentence(spec, graph), _size(graph)) for spec, graph in specs.items())
            parts.append(f"{_row('spec', 'what it is', 'size')}| --- | --- | --- |\n{''.join(rows)}")
        else:
            parts += [_entry(spec, graph) for spec, graph in specs.items()]
    return "\n".join(parts)


def _entry(spec: Path, graph: Graph) -> str:
    name = _template(spec)
    description = " ".join((graph.spec.description or "").split())
    facts = [f"- Spec: {_link(spec)}", f"- {_size(graph)}"]
    if spec.parent.name == "zoo":
        facts.insert(1, f"- Paper: {zoo_docs.linked(zoo_docs.facts(spec)['paper'])}")
    if (anchor := _scores(graph.spec.name)) is not None:
        facts.append(f"- [Scores](results.md#{anchor})")
    lines = "\n".join(facts)
    alternative = f"layers of {name}, from {' and '.join(x.id for x in graph.inputs)} to its output"
    if not (PICTURES / _file(spec)).exists():
        return f"### {name}\n\n{description}\n\n{lines}\n- Too large to be shown here: `specbuild plot` draws it.\n"
    with Image.open(PICTURES / _file(spec)) as picture:
        width = round(picture.width / SCALE)
    source = f"{PICTURES.relative_to(PAGE.parent).as_posix()}/{_file(spec)}"
    image = f'<a href="{source}"><img src="{source}" width="{width}" loading="lazy" alt="{alternative}"></a>'
    return f"### {name}\n\n{description}\n\n{lines}\n\n{image}\n"


def _size(graph: Graph) -> str:
    inputs = ", ".join(f"{x.id} {show(x.shape)}" for x in graph.inputs)
    outputs = ", ".join(f"{x.name} {show(graph.shapes[x.port])}" for x in graph.outputs)
    return f"{inputs} → {outputs}; {graph.parameters:,} parameters, {flops(graph.flops)} FLOPs"


def _sentence(spec: Path, graph: Graph) -> str:
    return re.split(r"(?<=[.:])\s", " ".join((graph.spec.description or spec.stem).split()))[0].rstrip(":")


def _scores(name: str) -> str | None:
    """Return the anchor of the scores of a spec, if there are some."""
    heading = re.search(rf"^## ({re.escape(name)}\b.*)$", RESULTS.read_text("utf-8"), re.M)
    return heading and re.sub(r"[^\w\- ]", "", heading[1].lower()).replace(" ", "-")


def _template(spec: Path) -> str:
    """Return the name under which `specbuild init` knows a spec."""
    return spec.relative_to(SPECS).with_suffix("").as_posix().replace("_", "-")


def _file(spec: Path) -> str:
    return f"{_template(spec).replace('/', '-')}.png"


def _link(spec: Path) -> str:
    return f"[{_template(spec)}](../{spec.relative_to(ROOT).as_posix()})"


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |\n"


def pictures(graphs: dict[Path, Graph]) -> Iterator[tuple[str, Diagram]]:
    """Yield the file and the drawing of each picture on the page."""
    for spec, graph in graphs.items():
        drawn = folded(diagram(graph))
        if section_of(spec, graph) not in ("", "Models from tutorials") and len(drawn.boxes) <= MOST_BOXES:
            yield _file(spec), drawn


def mark(drawn: Diagram) -> str:
    """Return what a picture is marked with: by it, a check tells what was drawn without drawing it."""
    return hashlib.sha256(mermaid(drawn).encode()).hexdigest()[:16]


def mark_of(file: Path) -> str:
    """Return the mark of a picture; empty where there is no picture."""
    if not file.exists():
        return ""
    with Image.open(file) as picture:
        return str(picture.info.get(MARK, ""))


def write(graphs: dict[Path, Graph]) -> None:
    """Write the page, the pictures that are stale, and none besides."""
    PICTURES.mkdir(exist_ok=True)
    drawings = dict(pictures(graphs))
    for file in PICTURES.iterdir():
        if file.name not in drawings:
            file.unlink()
    for name, drawn in drawings.items():
        if mark_of(PICTURES / name) != mark(drawn):
            _draw(drawn, PICTURES / name)
    PAGE.write_text(page(graphs), "utf-8")


def _draw(drawn: Diagram, file: Path) -> None:
    from specbuild.graph.drawing.picture import draw

    with TemporaryDirectory() as folder:
        whole = Path(folder) / "whole.png"
        draw(drawn, whole, "png", fold=False)
        info = PngInfo()
        info.add_text(MARK, mark(drawn))
        few = Image.open(whole).convert("RGB").quantize(COLORS, dither=Image.Dither.NONE)
        few.save(file, optimize=True, pnginfo=info)


def stale(graphs: dict[Path, Graph]) -> list[str]:
    """Return the names of the files that are not what `write` would write."""
    drawings = dict(pictures(graphs))
    names = [name for name, drawn in drawings.items() if mark_of(PICTURES / name) != mark(drawn)]
    names += sorted({file.name for file in PICTURES.glob("*")} - set(drawings))
    return names or ([] if PAGE.exists() and PAGE.read_text("utf-8") == page(graphs) else [PAGE.name])


def main() -> int:
    graphs = {spec: build_graph(spec) for spec in sorted(SPECS.rglob("*.yaml"))}
    if "--write" in sys.argv:
        write(graphs)
        return 0
    names = stale(graphs)
    if names:
        print(f"{', '.join(names)}: stale; run python tools/gallery.py --write")
    return int(bool(names))


if __name__ == "__main__":
    sys.exit(main())
