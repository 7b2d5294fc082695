"""Coverage: the pixels that are ever known. A forecast is missing at all others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from specbuild.data.arrays import Floats
from specbuild.data.samples.windows import Stretch, frames_at_once, pieces
from specbuild.data.sources import FrameSource


@dataclass(frozen=True, slots=True)
class Coverage:
    """The pixels that some training frame knows, (*space, C)."""

    known: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, source: FrameSource, train: tuple[Stretch, ...], most: int | None = None) -> Coverage:
        """Return the coverage of the training frames, which are read only as long as some pixel is still unknown.

        Args:
            most: how many frames to read, spread over them; None: as many as it takes.
        """
        shape = (*source.space, source.channels)
        if not source.may_miss:
            return cls(np.ones(shape, bool))
        known = np.zeros(shape, bool)
        for event, frames in pieces(train, most, frames_at_once(source)):
            known |= ~np.isnan(source.read(event, frames)).all(axis=0)
            if known.all():
                break
        return cls(known)

    def elsewhere(self) -> Coverage:
        """Return the coverage of another place, of which the training knew nothing."""
        return Coverage(np.zeros_like(self.known))

    def masked(self, forecast: Floats, past: Floats) -> Floats:
        """Return a forecast (F, *space, C) in physical units that is missing where nothing was ever known.

        Those are the pixels that are missing in every training frame and in every past frame, (P, *space, C). Training
        says nothing of frames of another size or place, so that for these the past alone counts.
        """
        known = ~np.isnan(past).all(axis=0)
        if known.shape == self.known.shape:
            known |= self.known
        if known.shape[-1] != forecast.shape[-1]:
            known = known.any(axis=-1, keepdims=True)
        return np.where(known, forecast, np.float32(np.nan))
