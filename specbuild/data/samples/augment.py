"""Augmentation: training samples mirrored, turned and made noisy, all frames of a sample alike.

Shapes: `space` are the axes of space (L, H W or D H W), C channels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from specbuild.language.sections.augment import AXES, AugmentSection

Floats: TypeAlias = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Augmentation:
    """What `data.augment` asks for. `axes` are the letters of the axes of space, in the order of the frames."""

    section: AugmentSection
    axes: tuple[str, ...]

    def noisy(self, x: Floats, random: np.random.Generator) -> Floats:
        """Values as the model reads them, with Gaussian noise of the standard deviation `noise`; NaN stays NaN."""
        if not self.section.noise:
            return x
        return x + np.float32(self.section.noise) * random.standard_normal(x.shape, np.float32)

    def draw(self, random: np.random.Generator) -> Turn:
        """One way to mirror and turn a sample: each named axis with a chance of one half, each turn of one quarter."""
        flips = tuple(self.axes.index(AXES[name]) - len(self.axes) for name in self.section.flip if random.integers(2))
        return Turn(flips, int(random.integers(4)) if self.section.rotate else 0)


@dataclass(frozen=True, slots=True)
class Turn:
    """Axes to mirror, counted from the last axis of space as −1, and then quarter turns of the last two."""

    flips: tuple[int, ...] = ()
    quarters: int = 0

    def frames(self, values: Floats) -> Floats:
        """(…, *space, C), turned; a view of what is given."""
        return self._turned(values, 1)

    def weights(self, values: Floats) -> Floats:
        """(…, *space), turned in the same way."""
        return self._turned(values, 0)

    def _turned(self, values: Floats, behind: int) -> Floats:
        """With so many axes behind those of space."""
        if self.flips:
            values = np.flip(values, tuple(axis - behind for axis in self.flips))
        return np.rot90(values, self.quarters, (-2 - behind, -1 - behind)) if self.quarters else values
