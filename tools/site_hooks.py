"""What MkDocs does to the pages besides rendering them; mkdocs.yml names this file as its hook.

Pages link to files of the repository outside of `docs/`: specs, examples, CONTRIBUTING.md. On the site each of these is
a page under `repository/`, and the links are changed to lead there. The pages themselves stay as they are read on a
code host or in an editor.
"""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parent.parent
DOCS = PurePosixPath("docs")
PLACE = PurePosixPath("repository")
"""Where the pages of other files are, among the pages of the site."""
ALWAYS = (PurePosixPath("CHANGELOG.md"), PurePosixPath("CONTRIBUTING.md"))
"""Files that get a page whether or not one links to them: mkdocs.yml names them."""
LANGUAGES = {
    ".cff": "yaml",
    ".html": "html",
    ".json": "json",
    ".py": "python",
    ".sbatch": "bash",
    ".sh": "bash",
    ".toml": "toml",
    ".txt": "text",
    ".yaml": "yaml",
    ".yml": "yaml",
    "": "text",
}
"""How text files are highlighted, by suffix. Other files, such as data, get no page."""
MOST_HEADINGS = 200
"""A page with more headings lists only those of the second level beside it."""

_LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#|/)([^)\s#]+)")
_FENCE = re.compile(r"^(```\w+) [\w ]+$", re.M)
"""The first line of a block of code that has words after its language, which only tests read."""


def on_files(files: Files, config: Any) -> Files:
    """Add a page for each file outside of `docs/` that a page links to, directly or through other such pages."""
    waiting = [*ALWAYS]
    for uri in files.src_uris:
        if uri.endswith(".md"):
            waiting += _links(DOCS / uri)
    written = set()
    while waiting:
        path = waiting.pop()
        if path not in written:
            written.add(path)
            waiting += _links(path)
            page = _page_of(path)
            files.append(File.generated(config, str(page), content=_relinked(_text(path), path, page)))
    return files


def on_page_markdown(markdown: str, *, page: Page, **_: Any) -> str:
    """Return the text of a page with its links to other files changed, and blocks of code as MkDocs reads them."""
    place = PurePosixPath(page.file.src_uri)
    if not place.is_relative_to(PLACE):
        markdown = _relinked(markdown, DOCS / place, place)
    return _FENCE.sub(r"\1", markdown)


def on_page_context(context: Any, *, page: Page, **_: Any) -> Any:
    """Leave the headings of the third level out of a list of headings that would be very long."""
    chapters = [chapter for title in page.toc.items for chapter in title.children]
    if sum(len(chapter.children) for chapter in chapters) > MOST_HEADINGS:
        for chapter in chapters:
            chapter.children = []
    return context


def _text(path: PurePosixPath) -> str:
    """Return a file or folder of the repository as Markdown, with links relative to it."""
    here = ROOT / path
    if path.suffix == ".md":
        return here.read_text("utf-8")
    if here.is_dir():
        entries = sorted(entry for entry in here.iterdir() if not entry.name.startswith((".", "__")))
        items = (f"- [{entry.name}]({entry.name})" if _has_page(entry) else f"- {entry.name}" for entry in entries)
        text = "\n".join(items)
    else:
        text = f"````{LANGUAGES[path.suffix]}\n{here.read_text('utf-8')}\n````"
    return f"---\nsearch:\n  exclude: true\n---\n\n# {path}\n\n{text}\n"


def _has_page(file: Path) -> bool:
    return file.is_dir() or file.suffix == ".md" or file.suffix in LANGUAGES


def _page_of(path: PurePosixPath) -> PurePosixPath:
    """Return the place among the pages of the site of a file or folder outside of `docs/`."""
    if (ROOT / path).is_dir():
        return PLACE / path / "index.md"
    if path.suffix == ".md":
        return PLACE / path.with_name(path.name.lower())
    return PLACE / path.with_name(f"{path.name}.md")


def _links(path: PurePosixPath) -> Iterator[PurePosixPath]:
    """Yield the files and folders outside of `docs/` that a page links to."""
    for match in _LINK.finditer(_text(path)):
        target = _target(match[1], path)
        if target is not None and not target.is_relative_to(DOCS):
            yield target


def _target(link: str, path: PurePosixPath) -> PurePosixPath | None:
    """Return what a link on the page of a file or folder leads to, if it is a page of the site."""
    folder = path if (ROOT / path).is_dir() else path.parent
    target = PurePosixPath(posixpath.normpath(folder / link))
    return target if (ROOT / target).exists() and _has_page(ROOT / target) else None


def _relinked(text: str, path: PurePosixPath, place: PurePosixPath) -> str:
    """Return the text of a file with its links changed to those of its page at `place`."""

    def changed(match: re.Match[str]) -> str:
        target = _target(match[1], path)
        if target is None:
            return match[1]
        page = target.relative_to(DOCS) if target.is_relative_to(DOCS) else _page_of(target)
        return os.path.relpath(page, place.parent).replace(os.sep, "/")

    return _LINK.sub(changed, text)
