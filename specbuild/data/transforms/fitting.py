"""The transform of a data set, fitted on its training frames: all of them, or some that are spread over them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from specbuild.data.arrays import Floats
from specbuild.data.samples.windows import Stretch, WindowSet
from specbuild.data.section import data_section
from specbuild.data.sources import FrameSource
from specbuild.data.time.phases import Phases
from specbuild.data.transforms.chain import StepError, Transform, fit
from specbuild.data.transforms.steps import Place

if TYPE_CHECKING:
    from specbuild.language import Spec


PIECE = 2**22
"""Numbers read at once."""


def fit_transform(spec: Spec, source: FrameSource, train: WindowSet) -> Transform:
    """The transform of `data.transform` with statistics of the training frames.

    Frames are read in pieces, so that memory does not grow with their number; time does, unless `data.statistics`
    limits it.

    Raises:
        SpecError: a training value that a step cannot take, located at the step.
    """
    section = data_section(spec)
    phases = Phases(source, 1)

    def frames() -> Iterator[tuple[Floats, Place]]:
        for event, piece in pieces(train.stretches, section.statistics, _at_once(source)):
            yield source.read(event, piece), Place(phases.slots(event)[piece.start : piece.stop])

    with located_step(spec):
        return fit(
            section.transform,
            frames,
            source.channels,
            fill=section.fill,
            may_miss=source.may_miss,
            clock=phases.clock,
            variables=source.variables,
        )


@contextmanager
def located_step(spec: Spec) -> Iterator[None]:
    """Locates what is raised inside over a value, at the step of the transform that cannot take it.

    Raises:
        SpecError: in place of StepError.
    """
    try:
        yield
    except StepError as error:
        place = ("data", "transform", error.number)
        raise spec.error(place, error.message, help=error.help, code="bad-data") from error


def pieces(stretches: tuple[Stretch, ...], most: int | None, at_once: int) -> Iterator[tuple[int, range]]:
    """The event and the frames of each piece to read.

    With more than `most` frames, one is drawn out of each of `most` equal parts: always the same ones, and not at one
    distance, which might be that of a day or a year.
    """
    ends = np.cumsum([len(stretch.frames) for stretch in stretches])
    if most is None or ends[-1] <= most:
        for stretch in stretches:
            for first in range(stretch.frames.start, stretch.frames.stop, at_once):
                yield stretch.event, range(first, min(first + at_once, stretch.frames.stop))
        return
    edges = np.arange(most + 1) * ends[-1] // most
    for number in np.random.default_rng(0).integers(edges[:-1], edges[1:]).tolist():
        at = int(np.searchsorted(ends, number, side="right"))
        stretch = stretches[at]
        frame = stretch.frames.stop - int(ends[at]) + number
        yield stretch.event, range(frame, frame + 1)


def _at_once(source: FrameSource) -> int:
    return max(1, PIECE // (int(np.prod(source.space, dtype=int)) * source.channels))
