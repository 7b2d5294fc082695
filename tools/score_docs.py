"""Checks the table of scores in `docs/scores.md`, or writes it from the catalogue.

python tools/score_docs.py            exit code 1 if the page is stale
python tools/score_docs.py --write
"""

from __future__ import annotations

import math
import re
import sys
from pathlib import Path

from specbuild.catalog.scores import SCORES, SELECTABLE, Score

PAGE = Path(__file__).parent.parent / "docs" / "scores.md"
MARK = "<!-- Table written by tools/score_docs.py from specbuild/catalog/scores.py; change it there. -->\n"
HEAD = "| score | in `scores:` | computed | what it is | units | values | best | source |\n" + "|---" * 8 + "|\n"
UNITS = {"": "", "data": "of the data", "data²": "of the data, squared", "dB": "dB"}


def page() -> str:
    """Return the page with a fresh table."""
    before, _, after = PAGE.read_text("utf-8").partition(MARK)
    rest = re.sub(r"\A\s*(\|[^\n]*\n)*\s*", "", after)
    return before + MARK + "\n" + HEAD + "".join(map(_row, SCORES)) + "\n" + rest


def _row(name: str) -> str:
    score = SCORES[name]
    selectable = f"`{name}`" if name in SELECTABLE else ""
    cells = (f"`{score.title}`", selectable, score.computed, score.formula, UNITS[score.units], _values(score))
    return f"| {' | '.join((*cells, _number(score.best), score.source))} |\n"


def _values(score: Score) -> str:
    low, high = score.limits
    if math.isinf(low):
        return "any"
    return f"from {_number(low)}" if math.isinf(high) else f"{_number(low)} to {_number(high)}"


def _number(value: float) -> str:
    return "∞" if math.isinf(value) else f"{value:g}".replace("-", "−")


if __name__ == "__main__":
    if "--write" in sys.argv:
        PAGE.write_text(page(), "utf-8")
    elif PAGE.read_text("utf-8") != page():
        sys.exit("docs/scores.md is stale: run python tools/score_docs.py --write")
