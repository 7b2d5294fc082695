"""Moving digits: the sequences of Moving MNIST, from any pictures of digits."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from specbuild.data.generators.drawn import Bytes


@dataclass(frozen=True)
class MovingDigitsPainter:
    """Draws sequences as the code of Srivastava et al. (2015, arXiv 1502.04681) does.

    A digit begins at a uniformly drawn place in a uniformly drawn direction. Its place is counted from 0 to 1 over the
    room it has (frame less digit), and every frame it goes `speed` further; a step beyond 0 or 1 ends there and turns
    that part of the direction round. The first frame shows the place after the first step. Places are cut down to whole
    pixels, and where digits overlap the brighter pixel shows.
    """

    pictures: Bytes
    """(n, h, w)"""
    size: int
    digits: int
    frames: int
    speed: float
    seed: int

    def draw(self, sequence: int, frames: range) -> Bytes:
        count, height, width = self.pictures.shape
        chosen, places = _drawn(self.seed, sequence, count, self.digits, self.frames, self.speed)
        corners = (places * (self.size - height, self.size - width)).astype(int)
        canvas = np.zeros((len(frames), self.size, self.size), np.uint8)
        for number, frame in enumerate(frames):
            for digit, (top, left) in zip(chosen, corners[frame].tolist(), strict=True):
                part = canvas[number, top : top + height, left : left + width]
                np.maximum(part, self.pictures[digit], out=part)
        return canvas


@lru_cache(maxsize=1024)
def _drawn(
    seed: int, sequence: int, pictures: int, digits: int, frames: int, speed: float
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """The pictures of a sequence and where they are; kept, for windows and statistics read frame after frame."""
    random = np.random.default_rng((seed, sequence))
    return random.integers(0, pictures, digits), trajectory(random, digits, frames, speed)


def trajectory(random: np.random.Generator, digits: int, frames: int, speed: float) -> npt.NDArray[np.float64]:
    """Where digits are in each frame (frames, digits, 2): y and x from 0 to 1."""
    place = random.random((digits, 2))
    angle = random.random(digits) * 2 * np.pi
    step = np.stack([np.sin(angle), np.cos(angle)], axis=-1) * speed
    places = np.empty((frames, digits, 2))
    for frame in range(frames):
        place = place + step
        beyond = (place <= 0) | (place >= 1)
        step = np.where(beyond, -step, step)
        place = np.clip(place, 0, 1)
        places[frame] = place
    return places
