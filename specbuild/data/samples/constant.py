"""Variables that never vary, from which nothing can be learned."""

from __future__ import annotations

import numpy as np

from specbuild.data.samples.windows import Stretch, frames_at_once, pieces
from specbuild.data.sources import FrameSource


def notes_on_constant(source: FrameSource, train: tuple[Stretch, ...], most: int | None = None) -> tuple[str, ...]:
    """Return a sentence on each variable that has a single value throughout the training frames.

    Frames are read only until every variable has varied.

    Args:
        most: how many frames to read, spread over them; None: as many as it takes.
    """
    least, greatest = np.full(source.channels, np.inf), np.full(source.channels, -np.inf)
    for event, frames in pieces(train, most, frames_at_once(source)):
        values = source.read(event, frames).reshape(-1, source.channels)
        known = ~np.isnan(values)
        least = np.minimum(least, np.where(known, values, np.inf).min(axis=0))
        greatest = np.maximum(greatest, np.where(known, values, -np.inf).max(axis=0))
        if (least < greatest).all():
            return ()
    names = source.metadata.variables if len(source.metadata.variables) == source.channels else ()
    return tuple(
        f"every known training value of {names[channel] if names else _numbered(source, channel)} is "
        f"{least[channel]:.6g}: there is nothing to learn from it"
        for channel in np.flatnonzero(least == greatest).tolist()
    )


def _numbered(source: FrameSource, channel: int) -> str:
    return source.name if source.channels == 1 else f"channel {channel} of {source.name}"
