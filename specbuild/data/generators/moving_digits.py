"""Moving digits: the sequences of Moving MNIST, from any pictures of digits."""

from __future__ import annotations

from functools import lru_cache, partial

import numpy as np
import numpy.typing as npt

from specbuild.data.generators.base import Brightness, Painter, Positions, Resolve
from specbuild.data.generators.digit_files import read_digits
from specbuild.data.generators.glyphs import glyphs
from specbuild.data.sources.files import missing_file
from specbuild.language.sections.generator import MovingDigits


def painter(section: MovingDigits, resolve: Resolve) -> Painter:
    """Return the painter of a section.

    Raises:
        SourceError: its file of digits is not there or does not fit.
    """
    if section.images is None:
        pictures = glyphs(section.digit_size)
    else:
        path = resolve(section.images)
        if not path.exists() or path.is_dir():
            raise missing_file("images", path, section.images)
        pictures = read_digits(path, section.images_key, section.size)
    return partial(_draw, section, pictures)


def _draw(section: MovingDigits, pictures: Brightness, sequence: int, frames: range) -> Brightness:
    """Draw a sequence as the code of Srivastava et al. (2015, arXiv 1502.04681) does, of pictures (n, h, w).

    A digit starts at a position and in a direction drawn from uniform distributions. Its position is a fraction, from 0
    to 1, of the distance it can move (frame size minus digit size), and each frame moves it by `speed`; a step beyond 0
    or 1 ends there and reverses that component of the direction. The first frame shows the position after the first
    step. Positions are truncated to whole pixels, and where digits overlap, the brighter pixel is shown.
    """
    size, (count, height, width) = section.size, pictures.shape
    digits, places = _drawn(section, sequence, count)
    corners = (places * (size - height, size - width)).astype(int)
    canvas = np.zeros((len(frames), size, size), np.uint8)
    for number, frame in enumerate(frames):
        for digit, (top, left) in zip(digits, corners[frame].tolist(), strict=True):
            part = canvas[number, top : top + height, left : left + width]
            np.maximum(part, pictures[digit], out=part)
    return canvas


@lru_cache(maxsize=1024)
def _drawn(section: MovingDigits, sequence: int, pictures: int) -> tuple[npt.NDArray[np.int64], Positions]:
    """Draw the pictures of a sequence and their places; cached, since windows and statistics read frame after frame."""
    random, digits = np.random.default_rng((section.seed, sequence)), section.digits
    return random.integers(0, pictures, digits), trajectory(random, digits, section.frames, section.speed)


def trajectory(random: np.random.Generator, digits: int, frames: int, speed: float) -> Positions:
    """Draw where digits are in each frame (frames, digits, 2): y and x from 0 to 1."""
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
