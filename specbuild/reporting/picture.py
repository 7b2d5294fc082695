"""Pictures whose bytes are part of the page."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture with its bytes in its URI, and what it shows."""

    uri: str
    words: str


def png_uri(data: bytes) -> str:
    """Return the URI of a PNG, which holds its bytes."""
    return f"data:image/png;base64,{base64.b64encode(data).decode('ascii')}"


def encoded(image: Image) -> str:
    """Return the URI of an image as a PNG."""
    stream = BytesIO()
    image.save(stream, "PNG", optimize=True)
    return png_uri(stream.getvalue())
