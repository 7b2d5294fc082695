"""Generators: sources whose frames are drawn when they are read, by the painter that their section names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from pkgutil import resolve_name
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from specbuild.data.sources.base import FrameMetadata, FrameSource, Packing, StoredArray
from specbuild.language.sections.data import DataSection
from specbuild.language.sections.generator import GeneratorSection

Brightness: TypeAlias = npt.NDArray[np.uint8]
"""Grey frames or pictures, from 0 to 255."""
Positions: TypeAlias = npt.NDArray[np.float64]
"""Coordinates and distances, in pixels or in shares of a side."""
Resolve: TypeAlias = Callable[[str], Path]
"""From a path in the spec to the file."""


class Painter(Protocol):
    """Draws sequences, each from its number alone. Several threads may use it."""

    def draw(self, sequence: int, frames: range) -> Brightness:
        """Return the frames (frames, H, W) of a sequence."""


@dataclass(frozen=True)
class DrawnArray:
    """Sequences as an array (N, T, H, W) of brightness from 0 to 255, drawn when it is sliced."""

    painter: Painter
    shape: tuple[int, int, int, int]

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(np.uint8)

    def __getitem__(self, index: tuple[int | slice, ...], /) -> Brightness:
        sequence, frames, *part = index
        assert isinstance(sequence, int)
        assert isinstance(frames, slice)
        return self.painter.draw(sequence, range(*frames.indices(self.shape[1])))[:, *part]


def open_generated(section: GeneratorSection, data: DataSection, resolve: Resolve) -> FrameSource:
    """Return the sequences of a generator as events of frames, in the units that the data section asks for.

    Raises:
        SourceError: a file that it needs is not there or does not fit.
    """
    stored = open_generator(section, resolve)
    packing = stored.packing.overridden(data.scale, data.offset, data.missing)
    return FrameSource(stored.array, FrameMetadata(section.generator, tuple(section.layout.split()), packing=packing))


def open_generator(section: GeneratorSection, resolve: Resolve) -> StoredArray:
    """Return the sequences of a generator, (N, T, H, W), whose physical values reach from 0 to 1.

    Raises:
        SourceError: a file that it needs is not there or does not fit.
    """
    painter: Painter = resolve_name(section.painter)(section, resolve)
    shape = (section.sequences, section.frames, section.size, section.size)
    return StoredArray(DrawnArray(painter, shape), Packing(scale=1 / 255))
