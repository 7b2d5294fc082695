"""Links of every page lead somewhere, as the pages are read on a code host or in an editor."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDERS = ("docs", "examples", "specs")
PAGES = sorted([*ROOT.glob("*.md"), *(page for folder in FOLDERS for page in (ROOT / folder).rglob("*.md"))])
_LINK = re.compile(r"\]\((?![a-z]+:)([^)#\s]*)(?:#([^)\s]+))?\)")


def anchors(page: Path) -> list[str]:
    """Return the names that the headings of a page have in links, as GitHub gives them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.M)
    return [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]


def links(page: Path) -> list[tuple[str, str]]:
    """Return the links of a page to other files, or to its own headings: a path and a heading, each perhaps empty."""
    text = re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.M | re.S)
    return _LINK.findall(text)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    missing = []
    for path, heading in links(page):
        target = page.parent / path if path else page
        if not target.exists() or (heading and heading not in anchors(target)):
            missing.append(f"{path}#{heading}" if heading else path)
    assert missing == []


def test_there_are_links() -> None:
    assert sum(len(links(page)) for page in PAGES) > 200
    assert [(path, heading) for path, heading in links(ROOT / "README.md") if heading]
