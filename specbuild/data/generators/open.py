"""From the settings of a generator to the array that it draws."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from specbuild.data.generators.digit_files import read_digits
from specbuild.data.generators.drawn import DrawnArray, Painter
from specbuild.data.generators.glyphs import glyphs
from specbuild.data.generators.moving_digits import MovingDigitsPainter
from specbuild.data.generators.moving_shapes import MovingShapesPainter
from specbuild.data.sources.base import FrameMetadata, FrameSource, Packing, SourceError, StoredArray
from specbuild.document import did_you_mean
from specbuild.language.sections.data import DataSection
from specbuild.language.sections.generator import GeneratorSection, MovingDigits, MovingShapes

Resolve = Callable[[str], Path]
"""From a path in the spec to the file."""


def open_generated(section: GeneratorSection, data: DataSection, resolve: Resolve) -> FrameSource:
    """The sequences of a generator as events of frames, in the units that the data section asks for.

    Raises:
        SourceError: a file that it needs is not there or does not fit.
    """
    stored = open_generator(section, resolve)
    packing = stored.packing.overridden(data.scale, data.offset, data.missing)
    return FrameSource(stored.array, FrameMetadata(section.generator, ("N", "T", "H", "W"), packing=packing))


def open_generator(section: GeneratorSection, resolve: Resolve) -> StoredArray:
    """The sequences of a generator, (N, T, H, W), whose physical values reach from 0 to 1.

    Raises:
        SourceError: a file that it needs is not there or does not fit.
    """
    painter = _PAINTERS[type(section)](section, resolve)
    shape = (section.sequences, section.frames, section.size, section.size)
    return StoredArray(DrawnArray(painter, shape), Packing(scale=1 / 255))


def _digits(section: GeneratorSection, resolve: Resolve) -> Painter:
    assert isinstance(section, MovingDigits)
    if section.images is None:
        pictures = glyphs(section.digit_size)
    else:
        path = resolve(section.images)
        if not path.is_file():
            hint = (
                did_you_mean(path.name, sorted(one.name for one in path.parent.iterdir()))
                if path.parent.is_dir()
                else ""
            )
            raise SourceError(
                "images", f"{section.images} does not exist", reason=f"looked in {path.parent}", help=hint
            )
        pictures = read_digits(path, section.images_key, section.size)
    return MovingDigitsPainter(pictures, section.size, section.digits, section.frames, section.speed, section.seed)


def _shapes(section: GeneratorSection, _resolve: Resolve) -> Painter:
    assert isinstance(section, MovingShapes)
    return MovingShapesPainter(section)


_PAINTERS: dict[type[GeneratorSection], Callable[[GeneratorSection, Resolve], Painter]] = {
    MovingDigits: _digits,
    MovingShapes: _shapes,
}
