"""Checks the tables of scores and baselines in `docs/scores.md`, or writes them from the catalog.

python tools/score_docs.py            exit code 1 if the page is stale
python tools/score_docs.py --write
"""

from __future__ import annotations

import math
import re
import sys
from pathlib import Path

from specbuild.catalog.baselines import BASELINES
from specbuild.catalog.scores import SCORES, SELECTABLE, Score

PAGE = Path(__file__).parent.parent / "docs" / "scores.md"
MARK = "<!-- Table written by tools/score_docs.py from specbuild/catalog/{}.py; change it there. -->\n"
HEAD = "| score | in `scores:` | computed | what it is | units | values | best | source |\n" + "|---" * 8 + "|\n"
UNITS = {"": "", "data": "of the data", "data²": "of the data, squared", "dB": "dB"}


BASELINE_HEAD = "| baseline | forecast | needs | source |\n" + "|---" * 4 + "|\n"
NEEDS = {
    "": "",
    "period": "`evaluate.period`",
    "height and width": "frames of height and width alone",
    "pysteps": "`pip install 'specbuild[pysteps]'`, rain in mm/h",
}


def page() -> str:
    """Return the page with fresh tables."""
    text = _with_table(PAGE.read_text("utf-8"), "scores", HEAD + "".join(map(_row, SCORES)))
    rows = (
        f"| `{name}` | {baseline.forecast} | {NEEDS[baseline.needs]} | {baseline.source} |\n"
        for name, baseline in BASELINES.items()
    )
    return _with_table(text, "baselines", BASELINE_HEAD + "".join(rows))


def _with_table(text: str, module: str, table: str) -> str:
    mark = MARK.format(module)
    before, _, after = text.partition(mark)
    rest = re.sub(r"\A\s*(\|[^\n]*\n)*\s*", "", after)
    return f"{before}{mark}\n{table}\n{rest}"


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
    if math.isnan(value):
        return "that of another score"
    return "∞" if math.isinf(value) else f"{value:g}".replace("-", "−")


if __name__ == "__main__":
    if "--write" in sys.argv:
        PAGE.write_text(page(), "utf-8")
    elif PAGE.read_text("utf-8") != page():
        sys.exit("docs/scores.md is stale: run python tools/score_docs.py --write")
