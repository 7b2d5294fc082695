"""Reading what a checkpoint holds, without Keras in between."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np


def stored(path: Path) -> dict[str, np.ndarray]:
    """Every array in a `.keras` file by its name there: weights and the optimizer's variables."""
    found: dict[str, np.ndarray] = {}

    def visit(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            found[name] = item[()]

    with zipfile.ZipFile(path) as archive, h5py.File(io.BytesIO(archive.read("model.weights.h5"))) as file:
        file.visititems(visit)
    return found


def assert_identical(one: Path, other: Path) -> None:
    """Whether two `.keras` files hold the same arrays, bit for bit."""
    ours, theirs = stored(one), stored(other)
    assert ours.keys() == theirs.keys()
    assert any(name.startswith("optimizer/") for name in ours)
    for name, array in ours.items():
        assert array.tobytes() == theirs[name].tobytes(), name
