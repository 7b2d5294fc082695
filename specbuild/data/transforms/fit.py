"""Fit a transform on the training frames: on all of them, or on some that are spread over them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from specbuild.data.arrays import Floats
from specbuild.data.samples.windows import Stretch, frames_at_once, pieces
from specbuild.data.sources import FrameSource
from specbuild.data.time.clock import Clock, Phases, Slots
from specbuild.data.transforms.kinds import STEPS, Only
from specbuild.data.transforms.pipeline import Transform
from specbuild.data.transforms.precision import check_precision
from specbuild.data.transforms.running_statistics import RunningStatistics, phase_means, running_statistics
from specbuild.data.transforms.step import FrameContext, Step, StepError
from specbuild.document import did_you_mean
from specbuild.language import Spec
from specbuild.language.sections.data import DataSection
from specbuild.language.sections.transform import TransformSection

Piece: TypeAlias = tuple[Floats, FrameContext | None]
"""Frames (…, C), with their context if a step needs that: then (T, *space, C)."""


def fit_transform(
    spec: Spec, section: DataSection, source: FrameSource, train: tuple[Stretch, ...], *, in_time: bool = True
) -> Transform:
    """Return the transform of `data.transform` with statistics of the training frames.

    Frames are read in pieces, so that memory does not grow with their number; time does, unless `data.statistics`
    limits it.

    Args:
        in_time: whether samples are frames that follow each other in time, as anomalies need them.

    Raises:
        SpecError: a training value that a step cannot take, located at the step; values that float32 cannot tell apart.
    """
    check_precision(spec, source, train)
    phases = Phases(source, 1)

    def frames() -> Iterator[Piece]:
        for event, piece in pieces(train, section.statistics, frames_at_once(source)):
            context = FrameContext(phases.slots(event)[piece.start : piece.stop]) if in_time else None
            yield source.read(event, piece), context

    try:
        return fit(
            section.transform,
            frames,
            source.channels,
            fill=section.fill,
            may_miss=source.may_miss,
            clock=phases.clock,
            variables=source.metadata.variables,
        )
    except StepError as error:
        place = ("data", "transform", error.number)
        raise spec.error(place, error.message, help=error.help, code="bad-data") from error


def fit(
    sections: Sequence[TransformSection],
    frames: Callable[[], Iterator[Piece]],
    channels: int,
    *,
    fill: float | None = None,
    may_miss: bool = True,
    clock: Clock | None = None,
    variables: Sequence[str] = (),
) -> Transform:
    """Return the steps of `sections` with statistics of `frames()`, which is read once per step that needs any.

    Args:
        frames: yields the training frames piece by piece each time it is called, in physical units with NaN where
            missing: (…, channels), with the context of each piece if `clock` is given.
        fill: physical value of missing values; None is the mean of what the model reads in training.
        may_miss: whether anything can be missing; if not, no pass is spent on that mean.
        clock: what counts the slots of the pieces.
        variables: names of the channels.

    Raises:
        StepError: a training value that a step cannot take, a channel without any, or one that does not exist.
    """

    def training(selection: tuple[int, ...] | None) -> TrainingFrames:
        return TrainingFrames(Transform(steps, ()), frames, channels, clock or Clock(), selection)

    steps: tuple[Step, ...] = ()
    mean: npt.NDArray[np.float64] | None = None  # of what reaches the next step, where it is known
    for number, section in enumerate(sections):
        selection = _selection(number, section, channels, variables)
        reached = training(selection)
        step = STEPS[section.name].fit(section, reached)
        step = step if selection is None else Only(step, selection)
        mean = mean if reached.mean is None else reached.mean
        mean = step.apply(mean) if section.affine and selection is None and mean is not None else None
        steps = (*steps, step)
    if fill is not None:
        periodic = next((number for number, section in enumerate(sections) if section.periodic), None)
        if periodic is not None:
            raise StepError(
                periodic,
                "an anomaly has no one value for what is missing",
                help="leave data.fill out: missing values become the mean anomaly",
            )
        filled = Transform(steps, ()).apply(np.full((1, channels), fill, np.float32))[0]
    elif not may_miss:
        filled = np.zeros(channels, np.float32)
    else:
        filled = mean if mean is not None else np.array([channel.mean for channel in training(None).statistics()])
    return Transform(steps, tuple(float(value) for value in filled))


@dataclass
class TrainingFrames:
    """The training frames as they reach a step: after the steps `before` it, in the channels that it changes."""

    before: Transform
    frames: Callable[[], Iterator[Piece]]
    channels: int
    clock: Clock
    """What counts their slots."""
    selection: tuple[int, ...] | None
    mean: npt.NDArray[np.float64] | None = None
    """The mean of each channel, selected or not, once `statistics` knows it."""

    def statistics(self) -> list[RunningStatistics]:
        """Return the statistics of each selected channel.

        Raises:
            StepError: a channel without a value.
        """
        statistics = running_statistics((values for values, _ in self._pieces()), self.channels)
        for channel, running in enumerate(statistics):
            if not running.count:
                of = f" of channel {channel}" if self.channels > 1 else ""
                raise self._error(f"every training value{of} is missing", "check data.missing and data.split.train")
        self.mean = np.array([running.mean for running in statistics])
        return statistics if self.selection is None else [statistics[channel] for channel in self.selection]

    def climatology(self, period: int) -> Floats:
        """Return the mean of each pixel at each phase, (period, *space, C); NaN where nothing is known.

        Raises:
            StepError: frames without a time, or a phase without a frame.
        """
        means = phase_means(self._timed(), period).means
        for phase, frame in enumerate(means):
            if np.isnan(frame).all():
                raise self._error(
                    f"no training frame has phase {phase} of {period}",
                    "choose a shorter period, or train on at least one whole cycle",
                )
        return means

    def _timed(self) -> Iterator[tuple[Floats, Slots]]:
        for values, context in self._pieces():
            if context is None:
                raise self._error("an anomaly needs frames that follow each other in time")
            yield values if self.selection is None else values[..., list(self.selection)], context.slots

    def _pieces(self) -> Iterator[Piece]:
        for values, context in self.frames():
            yield self.before.apply(values, context), context

    def _error(self, message: str, help: str = "") -> StepError:
        return StepError(len(self.before.steps), message, help)


def _selection(
    number: int, section: TransformSection, channels: int, variables: Sequence[str]
) -> tuple[int, ...] | None:
    """Return the numbers of the channels that a step changes; None: all."""
    if section.channels is None:
        return None
    names = list(variables)
    for channel in section.channels:
        if isinstance(channel, str) and channel not in names:
            help = did_you_mean(channel, names) or (f"they are {', '.join(names)}" if names else "number them from 0")
            raise StepError(number, f"no channel of the data is called {channel}", help=help)
        if isinstance(channel, int) and channel >= channels:
            raise StepError(number, f"there is no channel {channel}", help=f"the data has {channels}, counted from 0")
    return tuple(names.index(channel) if isinstance(channel, str) else channel for channel in section.channels)
