"""The types of arrays that every part of the data stage shares."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float32]
"""Single precision: frames in physical units or transformed, weights, what the model reads and returns."""
Array: TypeAlias = npt.NDArray[Any]
"""Numbers of any type."""
