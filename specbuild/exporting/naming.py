"""Names of exported models and of their axes."""

from __future__ import annotations

import re

SPACE = {"D": "depth", "H": "height", "W": "width", "L": "length"}
"""What the spatial axes of a layout are called."""


def exported_name(name: str) -> str:
    """Return the name of a spec, as files and graphs are called."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.") or "model"
