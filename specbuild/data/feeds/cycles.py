"""The hour and the season as an input: the sine and the cosine of cycles."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from specbuild.data.arrays import Floats
from specbuild.data.feeds.base import Feed, FeedContext
from specbuild.data.sources import FrameSource
from specbuild.data.time.times import Times
from specbuild.document import SpecError
from specbuild.language import Spec
from specbuild.language.sections.feeds import CyclesFeed


def open_cycles(spec: Spec, name: str, feed: CyclesFeed, record: FrameSource) -> Cycles:
    """Return the cycles of an input.

    Raises:
        SpecError: the record does not say when its frames are.
    """
    if record.times(0) is None:
        raise no_times(spec, name, "cycles", record)
    return Cycles(name, feed)


def no_times(spec: Spec, name: str, key: str, record: FrameSource) -> SpecError:
    """Return the error for an input that depends on times, where the record has none."""
    return spec.error(
        ("data", "inputs", name, key),
        f"{key} depend on the times of the frames, and {record.name} has none",
        help="name the array with the times in data.source.time, or give files with a time coordinate",
        code="no-times",
    )


@dataclass(frozen=True)
class Cycles(Feed[CyclesFeed]):
    """For each cycle sin 2πφ and cos 2πφ of its phase φ, in this order, at each frame: (frames, …, 2 · cycles).

    φ is the part of the day, of the week (from Monday) or of the calendar year that has passed, in UTC as the record
    gives its times. Where the input has spatial axes, every pixel has the same values.
    """

    def read(self, context: FeedContext) -> Floats:
        times = context.times(self.section.frames)
        if times is None:
            raise self.unknown("cycles, which depend on the times of the frames", "give past frames with times")
        return self.of_phases(phases_of(self.section.cycles, times), context.past.shape[1:-1])

    def of_phases(self, phases: npt.NDArray[np.floating], space: tuple[int, ...]) -> Floats:
        """Return what the model reads where the frames are at given phases, (frames, cycles) from 0 to 1."""
        angles = [2 * np.pi * phases[..., cycle] for cycle in range(len(self.section.cycles))]
        values = np.stack([wave(angle) for angle in angles for wave in (np.sin, np.cos)], axis=-1).astype(np.float32)
        values = values if self.layout.time else values[0]
        if not self.layout.space:
            return values
        *time, channels = values.shape
        return np.broadcast_to(values.reshape((*time, *(1,) * len(space), channels)), (*time, *space, channels))


def _of_day(times: Times) -> npt.NDArray[np.float64]:
    return _seconds(times - times.astype("datetime64[D]")) / 86400


def _of_week(times: Times) -> npt.NDArray[np.float64]:
    monday = np.datetime64("1970-01-05", "s")
    return _seconds(times - monday) / (7 * 86400) % 1


def _of_year(times: Times) -> npt.NDArray[np.float64]:
    years = times.astype("datetime64[Y]")
    first, next_first = years.astype("datetime64[s]"), (years + 1).astype("datetime64[s]")
    return _seconds(times - first) / _seconds(next_first - first)


def _seconds(length: npt.NDArray[np.timedelta64]) -> npt.NDArray[np.float64]:
    return length.astype("timedelta64[s]").astype(np.float64)


PHASES: dict[str, Callable[[Times], npt.NDArray[np.float64]]] = {"day": _of_day, "week": _of_week, "year": _of_year}
"""The fraction of each cycle that has passed, from 0 to below 1."""


def phases_of(cycles: Sequence[str], times: Times) -> npt.NDArray[np.float64]:
    """Return the fraction of each cycle that has passed at each time, (frames, cycles)."""
    return np.stack([PHASES[cycle](times) for cycle in cycles], axis=-1)
