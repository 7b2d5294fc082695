"""Check the examples of `docs/errors.md`, or update the message of each spec there.

    python tools/error_examples.py            exit code 1 and a diff if a message has changed
    python tools/error_examples.py --write    put the present messages into the page

The page is the table of errors: for people the documentation, for the tests the expected wording. An example is a
heading, perhaps a line of `--set` flags, a spec, perhaps files beside it, each under its name, and what is said:

    ### A base that is wrong

    ```yaml
    extends: base.yaml
    ```

    `base.yaml`

    ```yaml
    …
    ```

    ```text
    error: …
    ```
"""

from __future__ import annotations

import difflib
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from specbuild.document import Diagnostic, Report
from specbuild.document.render import render_text
from specbuild.graph import check

PAGE = Path(__file__).parent.parent / "docs" / "errors.md"
_EXAMPLE = re.compile(
    r"^### (?P<title>.+?)\n\n"
    r"(?:`(?P<flags>--set [^`]+)`\n\n)?"
    r"```yaml\n(?P<spec>.*?)```\n\n"
    r"(?P<files>(?:`[^`\n]+`\n\n```yaml\n.*?```\n\n)*)"
    r"```text\n(?P<said>.*?)```\n",
    re.M | re.S,
)
_FILE = re.compile(r"`(?P<name>[^`\n]+)`\n\n```yaml\n(?P<text>.*?)```\n\n", re.S)


@dataclass(frozen=True)
class Example:
    """One malformed spec of the page and what specbuild says about it."""

    title: str
    overrides: tuple[str, ...]
    spec: str
    files: tuple[tuple[str, str], ...]
    said: str


def examples(page: str) -> Iterator[Example]:
    for match in _EXAMPLE.finditer(page):
        overrides = tuple(one for one in re.split(r"(?:^|\s+)--set\s+", match["flags"] or "") if one)
        files = tuple((one["name"], one["text"]) for one in _FILE.finditer(match["files"]))
        yield Example(match["title"], overrides, match["spec"], files, match["said"])


def findings(example: Example) -> tuple[Diagnostic, ...]:
    """Everything that `specbuild check` finds in an example."""
    report = Report()
    if not example.files:
        check(example.spec, overrides=example.overrides, report=report)
        return (*report.sorted_errors(), *report.warnings)
    here = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        for name, text in (("spec.yaml", example.spec), *example.files):
            Path(folder, name).write_text(text, "utf-8")
        os.chdir(folder)
        try:
            check("spec.yaml", overrides=example.overrides, report=report)
        finally:
            os.chdir(here)
    return (*report.sorted_errors(), *report.warnings)


def messages(example: Example) -> str:
    """What `specbuild check` prints for an example, as the page shows it."""
    return "\n\n".join(render_text(one).replace("<text>", "spec.yaml") for one in findings(example)) + "\n"


def rewritten(page: str) -> str:
    """Return the page with the current messages."""

    def one(match: re.Match[str]) -> str:
        (example,) = examples(match[0])
        return match[0].removesuffix(f"```text\n{match['said']}```\n") + f"```text\n{messages(example)}```\n"

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
