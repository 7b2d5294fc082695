"""Whether float32, in which frames are read, can tell the values of a file apart."""

from __future__ import annotations

import math
from contextlib import suppress

import numpy as np

from specbuild.data.samples.windows import Stretch, pieces
from specbuild.data.sources import FrameSource
from specbuild.data.sources.checked import UNREADABLE
from specbuild.data.transforms.running_statistics import RunningStatistics
from specbuild.document import SpecError
from specbuild.language import Spec

FRAMES = 8
"""Frames that are looked at."""
COARSE = 0.1
"""The largest step between numbers of float32, as a share of the standard deviation of the values."""


def check_precision(spec: Spec, source: FrameSource, stretches: tuple[Stretch, ...]) -> None:
    """Check that float32 can tell the values of some frames apart, which fails far from 0 if they vary little.

    Raises:
        SpecError: it does not, located at `data.offset`, which moves the values closer to 0.
    """
    if not _may_lose(source):
        return
    statistics = [RunningStatistics() for _ in range(source.size("C"))]
    for event, frames in pieces(stretches, FRAMES, FRAMES):
        with suppress(*UNREADABLE):  # a fault of its own, where frames are read
            for running, values in zip(statistics, np.moveaxis(source.exact(event, frames), -1, 0), strict=True):
                running.add(values)
    for channel, running in enumerate(statistics):
        if _loses(running):
            raise _lost(spec, source, channel, running)


def _may_lose(source: FrameSource) -> bool:
    """Whether any number that the file can hold is not one of float32, apart from rounding far below its own step."""
    dtype, packing = source.dtype, source.metadata.packing
    packed = bool(packing.scale != 1 or packing.offset)
    if dtype.kind not in "iu" or dtype.itemsize > 2:
        return packed or dtype.itemsize > (4 if dtype.kind == "f" else 2)
    bounds = np.iinfo(dtype)
    greatest = max(abs(bound * packing.scale + packing.offset) for bound in (bounds.min, bounds.max))
    return _step(greatest) > COARSE * abs(packing.scale)


def _loses(running: RunningStatistics) -> bool:
    greatest = max(abs(running.least), abs(running.greatest))
    noise = 100 * np.finfo(np.float64).eps * greatest  # of values that are meant to be equal
    return running.count > 0 and bool(running.std > noise) and _step(greatest) > COARSE * running.std


def _step(value: float) -> float:
    """Return how far apart the numbers of float32 are at a value."""
    with np.errstate(over="ignore"):
        return float(np.spacing(np.float32(value)))


def _lost(spec: Spec, source: FrameSource, channel: int, running: RunningStatistics) -> SpecError:
    names = source.metadata.variables
    which = (
        source.name
        if source.size("C") == 1
        else f"{names[channel] if names else f'channel {channel}'} of {source.name}"
    )
    step = _step(max(abs(running.least), abs(running.greatest)))
    moved = round(running.mean, -3 - math.floor(math.log10(running.std)))  # near enough, and short
    offset = source.metadata.packing.offset - moved
    return spec.error(
        ("data", "offset"),
        f"{which} varies by only {running.std:.2g} around {running.mean:.6g}, which float32 cannot represent",
        reason=f"float32 numbers are {step:.2g} apart there",
        help=f"write offset: {offset:.15g}; values are then relative to {moved:.15g}"
        if source.size("C") == 1
        else "subtract a value near its mean in the file",
        code="bad-data",
    )
