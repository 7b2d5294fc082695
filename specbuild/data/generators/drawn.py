"""What every generator is: an array whose frames are drawn when it is sliced."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]


class Painter(Protocol):
    """Draws sequences, each from its number alone. Several threads may use it."""

    def draw(self, sequence: int, frames: range) -> Bytes:
        """The frames (frames, H, W) of a sequence."""
        ...


@dataclass(frozen=True)
class DrawnArray:
    """Sequences as an array (N, T, H, W) of brightness from 0 to 255."""

    painter: Painter
    shape: tuple[int, int, int, int]

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(np.uint8)

    def __getitem__(self, index: tuple[int | slice, ...], /) -> Bytes:
        sequence, frames, *part = index
        assert isinstance(sequence, int)
        assert isinstance(frames, slice)
        return self.painter.draw(sequence, range(*frames.indices(self.shape[1])))[:, *part]
