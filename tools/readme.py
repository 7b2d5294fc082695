"""Checks the generated parts of `README.md` (a summary, an error, the list of commands), or writes them.

python tools/readme.py            exit code 1 if the page is stale
python tools/readme.py --write
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from specbuild import build_graph
from specbuild.cli import VERBS
from specbuild.document import Report
from specbuild.document.render import render_text
from specbuild.graph import check
from specbuild.graph.summary import summarize
from specbuild.graph.tables import summary_text

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "README.md"
SPEC = ROOT / "specs" / "radar_convlstm.yaml"


def summary() -> str:
    """What `specbuild summary` prints for the radar spec."""
    graph = build_graph(SPEC)
    return _fenced(summary_text(summarize(graph, batch=graph.spec.train.batch_size), width=200))


def mistake() -> str:
    """What `specbuild check` says of the radar spec with a state that does not fit."""
    report = Report()
    right = "{id: enc1, layer: ConvLSTM2D, filters: $filters}"
    text = SPEC.read_text("utf-8").replace(right, right.replace("$filters", "64"))
    check(text, report=report)
    said = (render_text(one).replace("<text>", "radar_convlstm.yaml") for one in report.sorted_errors())
    return _fenced("\n\n".join(said))


def commands() -> str:
    """The first line of every verb's help."""
    rows = [(verb, import_module(module).command.get_short_help_str(200)) for verb, module in VERBS.items()]
    lines = (f"| `specbuild {verb}` | {help} |" for verb, help in rows)
    return "\n".join(["| command | what it does |", "|---|---|", *lines])


PARTS: dict[str, Callable[[], str]] = {"summary": summary, "mistake": mistake, "commands": commands}


def rewritten(page: str) -> str:
    """Return the page with the current generated parts."""
    for name, part in PARTS.items():
        marked = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.S)
        page = marked.sub(lambda match, part=part: f"{match[1]}{part()}\n{match[2]}", page)
    return page


def _fenced(text: str) -> str:
    return f"```text\n{text.strip()}\n```"


def main() -> int:
    page = PAGE.read_text("utf-8")
    now = rewritten(page)
    if "--write" in sys.argv:
        PAGE.write_text(now, "utf-8")
        return 0
    if page != now:
        print("README.md is stale: run python tools/readme.py --write")
    return int(page != now)


if __name__ == "__main__":
    sys.exit(main())
