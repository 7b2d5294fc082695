"""Check the table of losses in `docs/losses.md`, or write it from the catalog.

python tools/loss_docs.py            exit code 1 if the page is stale
python tools/loss_docs.py --write
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from specbuild.catalog.losses import LOSSES

PAGE = Path(__file__).parent.parent / "docs" / "losses.md"
MARK = "<!-- Table written by tools/loss_docs.py from specbuild/catalog/losses.py; change it there. -->\n"
HEAD = "| loss | class | what it is | source |\n|---|---|---|---|\n"


def page() -> str:
    """Return the page with a fresh table."""
    before, _, after = PAGE.read_text("utf-8").partition(MARK)
    rest = re.sub(r"\A\s*(\|[^\n]*\n)*\s*", "", after)
    return before + MARK + "\n" + HEAD + "".join(map(_row, LOSSES)) + "\n" + rest


def _row(name: str) -> str:
    loss = LOSSES[name]
    return f"| {', '.join(f'`{alias}`' for alias in loss.names)} | `{name}` | {loss.formula} | {loss.source} |\n"


def main() -> int:
    fresh = page()
    if "--write" in sys.argv:
        PAGE.write_text(fresh, "utf-8")
        return 0
    return int(PAGE.read_text("utf-8") != fresh)


if __name__ == "__main__":
    sys.exit(main())
