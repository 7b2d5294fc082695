"""Check `docs/zoo.md`, or regenerate it from the comments in `specs/zoo`.

python tools/zoo_docs.py            exit code 1 if the page is stale
python tools/zoo_docs.py --write
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from specbuild import build_graph
from specbuild.graph import Graph

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "zoo.md"
FOLDER = ROOT / "specs" / "zoo"

FACTS = ("paper", "task", "loss", "published", "parameters")
"""Keys of the comments under the description of every spec in the zoo."""

HEAD = """\
# Published models

<!-- Written by tools/zoo_docs.py from the comments in specs/zoo; change it there. -->

Published models as specs, each about a page long. `specbuild init zoo/shi2015-2layers` copies one to start from, and
`specbuild summary` shows its layers. They have no data; add a `data` section as in [the language](language.md#data).

Parameters are those of the published architecture, counted from the paper and its code; `specbuild summary` and Keras
give exactly these numbers. Published scores are quoted as reported by the authors, with their conventions; they were
not computed with these files. For some models a [mapping table](checkpoints.md#tables-for-published-models) imports the
weights of an original checkpoint; with them the outputs are those of the original code.
"""
TABLE = """\
| spec | paper | task | parameters | published |
|---|---|---|---|---|
"""
LOSSES = """
## Losses

The loss with which each model was published. `train.loss` of the spec is the same loss or the closest one in Keras.

| spec | loss |
|---|---|
"""


def facts(spec: Path) -> dict[str, str]:
    """Return the facts in a spec's comments by name; continuation lines are indented by two more spaces.

    Raises:
        ValueError: one is missing.
    """
    text = re.sub(r"\n#   ", " ", spec.read_text("utf-8"))
    found = dict(re.findall(r"^# (\w+): (.*)$", text, re.M))
    if missing := [name for name in FACTS if name not in found]:
        raise ValueError(f"{spec.name} does not say its {', '.join(missing)}")
    return found


def number(said: str) -> int:
    """The number of parameters that a spec says it has."""
    return int(said.split()[0].strip(";").replace(",", ""))


def counted(graph: Graph, said: str) -> int:
    """The parameters of a graph that are meant: all, or those that are trained."""
    return graph.trainable_parameters if "trainable" in said else graph.parameters


def page() -> str:
    """The whole page.

    Raises:
        ValueError: a spec lacks a fact, or has other parameters than it says.
    """
    table, losses = [], []
    for spec in sorted(FOLDER.glob("*.yaml")):
        said = facts(spec)
        graph = build_graph(spec)
        if counted(graph, said["parameters"]) != number(said["parameters"]):
            raise ValueError(f"{spec.name} has {counted(graph, said['parameters']):,} parameters")
        name = f"[{spec.stem}](../specs/zoo/{spec.name})"
        table.append(_row(name, linked(said["paper"]), said["task"], said["parameters"], said["published"]))
        losses.append(_row(name, said["loss"]))
    return f"{HEAD}\n{TABLE}{''.join(table)}{LOSSES}{''.join(losses)}"


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |\n"


def linked(paper: str) -> str:
    paper = re.sub(r"arXiv (\d{4}\.\d{4,5})", r"[arXiv \1](https://arxiv.org/abs/\1)", paper)
    return re.sub(r"\b((?:github\.com|keras\.io)/[\w/-]+)", r"[\1](https://\1)", paper)


def main() -> int:
    now = page()
    if "--write" in sys.argv:
        PAGE.write_text(now, "utf-8")
        return 0
    stale = not PAGE.exists() or PAGE.read_text("utf-8") != now
    if stale:
        print("docs/zoo.md is stale: run python tools/zoo_docs.py --write")
    return int(stale)


if __name__ == "__main__":
    sys.exit(main())
