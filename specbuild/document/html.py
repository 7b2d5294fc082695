"""HTML for notebooks: tables and text, with everything that comes from outside escaped."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable, Sequence
from pathlib import Path

from specbuild.document.printable import printable
from specbuild.document.text_table import Column


def escaped(text: str) -> str:
    """Return text as HTML shows it, control characters as escapes."""
    return html.escape(printable(text)).replace("\n", "<br>")


def html_table(columns: Sequence[Column], rows: Iterable[Sequence[str]], caption: str = "") -> str:
    """Return a table, numbers aligned to the right. The first cell of each row is its heading."""
    aligned = ["right" if column.number else "left" for column in columns]
    head = "".join(
        f'<th scope="col" style="text-align:{side}">{escaped(column.name)}</th>'
        for column, side in zip(columns, aligned, strict=True)
    )
    body = []
    for row in rows:
        first, *rest = (f'style="text-align:{side}">{escaped(cell)}' for cell, side in zip(row, aligned, strict=True))
        cells = "".join(f"<td {cell}</td>" for cell in rest)
        body.append(f'<tr><th scope="row" {first}</th>{cells}</tr>')
    above = f"<caption>{escaped(caption)}</caption>" if caption else ""
    return f"<table>{above}<thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table>"


def paragraph(text: str) -> str:
    return f"<p>{escaped(text)}</p>"


def preformatted(text: str) -> str:
    return f"<pre>{html.escape(printable(text))}</pre>"


def picture(file: Path, description: str) -> str:
    """Return a PNG with its bytes inside; nothing where it is not there."""
    if not file.is_file():
        return ""
    data = base64.b64encode(file.read_bytes()).decode("ascii")
    return f'<img alt="{html.escape(description)}" style="max-width:100%" src="data:image/png;base64,{data}">'
