"""Keras layers of our own, one a file. Each is registered under `specbuild>` so that saved models load again."""

from __future__ import annotations

from typing import Any

from specbuild.model.layers.repeat_frame import RepeatFrame

LAYERS: dict[str, type[Any]] = {"RepeatFrame": RepeatFrame}
"""The Keras class of each kind whose package is specbuild."""

__all__ = ["LAYERS", "RepeatFrame"]
