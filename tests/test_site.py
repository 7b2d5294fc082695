"""The documentation site: built strictly, complete, and read without any other host."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest

import specbuild

pytest.importorskip("mkdocs", reason="pip install 'specbuild[docs]' builds the site")

ROOT = Path(__file__).parent.parent
LOADED = {"script": "src", "link": "href", "img": "src", "iframe": "src", "source": "src"}
"""Elements that a browser loads something for, and the attribute that names it."""


class Page(HTMLParser):
    """What a page links to, what it loads, and the anchors that it has."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.anchors |= {value for name in ("id", "name") if (value := given.get(name))}
        if tag == "a" and (link := given.get("href")):
            self.links.append(link)
        if tag in LOADED and (link := given.get(LOADED[tag])):
            self.loaded.append(link)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1", "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, encoding="utf-8", check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    return folder


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    return {path: Page(path.read_text("utf-8")) for path in site.rglob("*.html")}


def test_every_page_of_the_documentation_is_on_it(site: Path) -> None:
    sources = [page.relative_to(ROOT / "docs") for page in (ROOT / "docs").rglob("*.md")]
    assert [str(page) for page in sources if not (site / page.with_suffix(".html")).exists()] == []
    for page in ("contributing.html", "changelog.html", "specs/zoo/predrnn.yaml.html", "examples/cluster/index.html"):
        assert (site / "repository" / page).exists()


def test_every_link_leads_to_a_file_and_a_heading_of_it(site: Path, pages: dict[Path, Page]) -> None:
    missing = set()
    for path, page in pages.items():
        for link in (*page.links, *page.loaded):
            if re.match(r"[a-z]+:|/", link) or path.name == "404.html":
                continue
            name, _, anchor = unquote(link).partition("#")
            target = (path.parent / name.partition("?")[0]).resolve() if name else path
            target = target / "index.html" if target.is_dir() else target
            if not target.is_file() or (anchor and target in pages and anchor not in pages[target].anchors):
                missing.add(f"{path.relative_to(site)}: {link}")
    assert sorted(missing) == []


def test_it_loads_nothing_from_other_hosts(site: Path, pages: dict[Path, Page]) -> None:
    loaded = {link for page in pages.values() for link in page.loaded}
    assert [link for link in sorted(loaded) if re.match(r"[a-z]+://|//", link)] == []
    styles = "".join(path.read_text("utf-8") for path in site.rglob("*.css"))
    assert re.findall(r"url\([\"']?(?:https?:)?//[^)]*", styles) == []


def test_words_are_found_without_a_server(site: Path) -> None:
    script = (site / "search" / "search_index.js").read_text("utf-8")
    index = json.loads(script.removeprefix("var __index = "))
    places = {entry["location"]: entry["text"] for entry in index["docs"]}
    assert "receptive field" in " ".join(places.values())
    assert any(place.startswith("tutorials/netcdf.html") for place in places)
    assert not any(place.startswith("repository/specs") for place in places)


def test_code_is_shown_as_code(site: Path) -> None:
    """Python-Markdown reads less of a fence's first line than code hosts do."""
    for path in site.rglob("*.html"):
        text = re.sub(r"<(code|script)\b.*?</\1>", "", path.read_text("utf-8"), flags=re.S)
        assert "```" not in text, path


def test_the_reference_shows_every_public_name_with_its_arguments_and_errors(site: Path) -> None:
    pages = [path.read_text("utf-8") for path in (site / "api").glob("*.html")]
    shown = {name for page in pages for name in re.findall(r"<h\d[^>]*>(?:<[^>]+>|\s)*([\w.]+)", page)}
    assert {f"specbuild.{name}" for name in specbuild.__all__ if not name.startswith("_")} - shown == set()
    text = " ".join(re.sub(r"<[^>]+>", "", "".join(pages)).split())
    assert "path of a YAML file, YAML text" in text
    assert "the spec or its data is wrong, which is noticed before a framework is loaded" in text
