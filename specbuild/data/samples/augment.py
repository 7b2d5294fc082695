"""Augmentation: flips, rotations and noise for training samples; all frames of a sample are changed together.

Shapes: `space` are the spatial axes (L, H W or D H W), C channels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from specbuild.data.arrays import Floats
from specbuild.language.sections.augment import AXES, AugmentSection


@dataclass(frozen=True, slots=True)
class Augmentation:
    """The augmentation of `data.augment`. `axes` are the letters of the spatial axes, in the order of the frames."""

    section: AugmentSection
    axes: tuple[str, ...]

    def noisy(self, x: Floats, random: np.random.Generator) -> Floats:
        """Add Gaussian noise of the standard deviation `noise` to values as the model reads them; NaN stays NaN."""
        if not self.section.noise:
            return x
        return x + np.float32(self.section.noise) * random.standard_normal(x.shape, np.float32)

    def draw(self, random: np.random.Generator) -> Turn:
        """Draw how a sample is mirrored (each named axis with a chance of 1/2) and turned (each angle with 1/4)."""
        flips = tuple(self.axes.index(AXES[name]) - len(self.axes) for name in self.section.flip if random.integers(2))
        return Turn(flips, int(random.integers(4)) if self.section.rotate else 0)


@dataclass(frozen=True, slots=True)
class Turn:
    """Axes to mirror, counted from the last spatial axis as −1, and then quarter turns of the last two."""

    flips: tuple[int, ...] = ()
    quarters: int = 0

    def frames(self, values: Floats) -> Floats:
        """Turn frames (…, *space, C); the result is a view."""
        return self._turned(values, 1)

    def weights(self, values: Floats) -> Floats:
        """Turn weights (…, *space) in the same way."""
        return self._turned(values, 0)

    def _turned(self, values: Floats, behind: int) -> Floats:
        """Turn values with `behind` axes after those of space."""
        if self.flips:
            values = np.flip(values, tuple(axis - behind for axis in self.flips))
        return np.rot90(values, self.quarters, (-2 - behind, -1 - behind)) if self.quarters else values
