"""Generators: sources whose frames are drawn when they are read, by the painter that their section names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from pkgutil import resolve_name
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from specbuild.data.sources.base import FrameMetadata, FrameSource
from specbuild.data.sources.lazy_arrays import Index, LazyArray
from specbuild.data.sources.packing import Packing
from specbuild.language.sections.data import DataSection

Brightness: TypeAlias = npt.NDArray[np.uint8]
"""Gray frames or pictures, from 0 to 255."""
Positions: TypeAlias = npt.NDArray[np.float64]
"""Coordinates and distances, in pixels or in shares of a side."""
Resolve: TypeAlias = Callable[[str], Path]
"""From a path in the spec to the file."""
Painter: TypeAlias = Callable[[int, range], Brightness]
"""Draws frames (frames, H, W) of a sequence, from the sequence's number alone. Several threads may use it."""


def open_generated(data: DataSection, resolve: Resolve) -> FrameSource:
    """Return the sequences of a generator as events of frames (N, T, H, W), in the units that the section asks for.

    Unless it says otherwise, physical values reach from 0 to 1.

    Raises:
        SourceError: a file that the generator needs is not there or does not fit.
    """
    section = data.source.generator
    assert section is not None
    painter: Painter = resolve_name(section.painter)(section, resolve)

    def read(index: Index) -> Brightness:
        sequence, frames, *part = index
        assert isinstance(sequence, int)
        assert isinstance(frames, slice)
        return painter(sequence, range(*frames.indices(section.frames)))[:, *part]

    array = LazyArray((section.sequences, section.frames, section.size, section.size), np.dtype(np.uint8), read)
    packing = Packing(scale=1 / 255).overridden(data.scale, data.offset, data.missing)
    return FrameSource(array, FrameMetadata(section.generator, data.source.axes, packing=packing))
