"""Keras layers of our own, by what they do. Each is registered under `specbuild>` so that saved models load again."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from specbuild.catalog.registry import OURS
from specbuild.model.layers.autoregressive import Autoregressive
from specbuild.model.layers.held import Held
from specbuild.model.layers.recurrence import Recurrence

LAYERS: dict[str, type[Any]] = {
    kind: getattr(import_module(f"specbuild.model.layers.{module}"), kind)
    for module, kinds in OURS.items()
    for kind in kinds.split()
}
"""The Keras class of each kind that we have one for."""
ADDED: dict[str, type[Any]] = {"Held": Held}
"""The same of kinds that no spec can name."""

__all__ = ["LAYERS", "Autoregressive", "Recurrence"]


def __getattr__(name: str) -> type[Any]:
    """Return the Keras class of a kind: `from specbuild.model.layers import ConvGRU2D`."""
    if name in LAYERS:
        return LAYERS[name]
    raise AttributeError(f"module {__name__} has no attribute {name}")
