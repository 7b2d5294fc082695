"""Reading a report as a browser would before it draws anything."""

from __future__ import annotations

import json
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

VOID = {"br", "img", "input", "link", "meta"}
EVIL = '<script>alert("1")</script> & </title>'
"""A name that would run as a script if it were not escaped."""
LOADING = {"src", "href", "srcset", "data", "poster", "action", "formaction", "background"}


def copied(run: Path, target: Path, **changes: object) -> Path:
    """Return a copy of a run folder, with changes of run.json."""
    shutil.copytree(run, target)
    manifest = json.loads((target / "run.json").read_text("utf-8"))
    (target / "run.json").write_text(json.dumps(manifest | changes), "utf-8")
    return target


class ReportPage(HTMLParser):
    """The elements and the text of a page; fails where an element is not closed in order, or an id occurs twice."""

    def __init__(self, path: Path) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: list[tuple[str, str]] = []
        self.codes: list[str] = []
        self.source = path.read_text("utf-8")
        self.feed(self.source)
        self.close()
        assert self.open == []
        ids = [attributes["id"] for _, attributes in self.elements if "id" in attributes]
        assert len(set(ids)) == len(ids)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attributes}) == len(attributes)
        self.elements.append((tag, {name: value or "" for name, value in attributes}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, text: str) -> None:
        if "pre" in self.open:
            self.codes.append(text)
        if self.open and self.open[-1] not in ("script", "style"):
            self.texts.append((self.open[-1], text))
        elif self.open and self.open[-1] == "script" and self.elements[-1][1].get("id") == "payload":
            self.payload: dict[str, Any] = json.loads(text)

    @property
    def text(self) -> str:
        """All that is shown, on one line."""
        return " ".join(" ".join(text for _, text in self.texts).split())

    def of(self, tag: str) -> list[str]:
        """The texts directly in elements of a kind."""
        return [text for name, text in self.texts if name == tag and text.strip()]

    @property
    def code(self) -> str:
        """The specs of the page."""
        return "".join(self.codes)

    @property
    def loaded(self) -> list[str]:
        """What the page would load, or lead to, outside itself."""
        places = (value for _, attributes in self.elements for name, value in attributes.items() if name in LOADING)
        return [place for place in places if not place.startswith(("data:", "#"))]
