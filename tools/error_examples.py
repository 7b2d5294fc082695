"""Checks the examples of `docs/errors.md`, or writes anew what each spec there makes specbuild say.

    python tools/error_examples.py            exit code 1 and a diff if a message has changed
    python tools/error_examples.py --write    put the present messages into the page

The page is the table of errors: for people the documentation, for the tests the expected wording.
"""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from specbuild.document import Report
from specbuild.document.render import render_text
from specbuild.graph import check

PAGE = Path(__file__).parent.parent / "docs" / "errors.md"
_EXAMPLE = re.compile(
    r"^### (?P<title>.+?)\n\n(?:`(?P<flags>--set [^`]+)`\n\n)?```yaml\n(?P<spec>.*?)```\n\n```text\n(?P<said>.*?)```\n",
    re.M | re.S,
)


@dataclass(frozen=True)
class Example:
    """One malformed spec of the page and what specbuild says about it."""

    title: str
    overrides: tuple[str, ...]
    spec: str
    said: str


def examples(page: str) -> Iterator[Example]:
    for match in _EXAMPLE.finditer(page):
        flags = match["flags"] or ""
        yield Example(match["title"], tuple(re.findall(r"--set (\S+)", flags)), match["spec"], match["said"])


def messages(example: Example) -> str:
    """Everything that `specbuild check` finds in an example, as the page shows it."""
    report = Report()
    check(example.spec, overrides=example.overrides, report=report)
    found = (*report.sorted_errors(), *report.warnings)
    return "\n\n".join(render_text(one).replace("<text>", "spec.yaml") for one in found) + "\n"


def rewritten(page: str) -> str:
    """The page with every message as it is now."""

    def one(match: re.Match[str]) -> str:
        example = next(examples(match[0]))
        return match[0].replace(f"```text\n{match['said']}```", f"```text\n{messages(example)}```")

    return _EXAMPLE.sub(one, page)


def main() -> int:
    page = PAGE.read_text("utf-8")
    now = rewritten(page)
    if "--write" in sys.argv:
        PAGE.write_text(now, "utf-8")
        return 0
    sys.stdout.writelines(difflib.unified_diff(page.splitlines(True), now.splitlines(True), "docs/errors.md", "now"))
    return int(page != now)


if __name__ == "__main__":
    sys.exit(main())
