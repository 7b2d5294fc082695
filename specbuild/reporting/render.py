"""A report as HTML: the template, its style and its scripts, all in one text.

The page forbids itself to load anything (a Content-Security-Policy), so that what it shows is what the file holds.
Everything that comes from a run is escaped by the template, or in the tables of `specbuild/document/html.py`.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

from specbuild.document.printable import printable
from specbuild.reporting.content import Content
from specbuild.version import __version__


def rendered(content: Content) -> str:
    """Return the page."""
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    def shown(value: Any) -> Any:
        return printable(value) if type(value) is str else value

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, finalize=shown, trim_blocks=True, lstrip_blocks=True
    )
    environment.policies["json.dumps_kwargs"] = {"ensure_ascii": True, "allow_nan": False, "separators": (",", ":")}
    template = environment.from_string(_asset("report.html.j2"))
    return template.render(
        page=content,
        version=__version__,
        style=Markup(_asset("report.css")),
        script=Markup(_asset("report.js")),
        plotly=Markup(_plotly() if any(content.payload.values()) else ""),
    )


def _asset(name: str) -> str:
    return (files("specbuild.reporting") / "page" / name).read_text("utf-8")


@cache
def _plotly() -> str:
    """Return Plotly's script, as its Python package brings it."""
    from plotly.offline import get_plotlyjs

    script: str = get_plotlyjs()
    return script
