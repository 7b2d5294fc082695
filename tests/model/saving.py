"""Models written to a file and read back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from specbuild.model.backend import keras


def saved_and_loaded(model: Any, folder: Path) -> Any:
    """Return what Keras loads from the file of a model, which is left in the folder as `model.keras`."""
    model.save(folder / "model.keras")
    return keras.models.load_model(folder / "model.keras")
