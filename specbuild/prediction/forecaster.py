"""`Forecaster`: forecasts from a live sensor, whose frames come one at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from specbuild.catalog import show
from specbuild.data.arrays import Floats
from specbuild.data.time.calendars import placed
from specbuild.document import RunError
from specbuild.language.interval import Interval
from specbuild.prediction.forecast import Forecast, make_forecast
from specbuild.prediction.members import check_members
from specbuild.prediction.past import check_finite, live_past
from specbuild.runs.likeness import broken
from specbuild.runs.trained import TrainedRun


class Forecaster:
    """A trained model for a live sensor, whose frames come one at a time.

        forecaster = Forecaster("runs/radar-nowcast-20260131-142501")
        for frame in sensor:                       # (height, width), physical units, NaN where missing
            forecast = forecaster.update(frame)    # (future, height, width, channels), or None at first

    The model and its weights are loaded with the first forecast. Frames must come at the interval that the model was
    trained with.
    """

    def __init__(
        self,
        run: str | Path,
        *,
        horizon: int | None = None,
        members: int | None = None,
        seed: int = 0,
        overrides: Mapping[str, Any] | Iterable[str] = (),
        plugins: Iterable[str] = (),
    ) -> None:
        """
        Args:
            run: the folder of a trained run.
            horizon: number of frames to forecast, if not as in training.
            members: number of members to draw with each forecast, which `last.members` then has.
            seed: of the members of the first forecast; each later one has the next number.
            overrides: changes of the run's spec that leave its weights unchanged.
            plugins: modules to import, which register custom layers.

        Raises:
            SpecError: it is not a run folder.
            RunError: the run has no trained model or classifies clips, or an override changes its weights; an input
                reads frames of another source; the model cannot draw an ensemble.
        """
        self._trained = TrainedRun.open(run, plugins, overrides=overrides, horizon=horizon)
        if self._trained.data.target is not None:
            raise RunError(f"the model of {run} gives classes of clips, not forecasts", help="score it with evaluate")
        for name, feed in self._trained.data.inputs.items():
            if feed.needs_files:
                raise RunError(
                    f"the input {name} of the model reads frames of another source, which Forecaster does not get",
                    help="forecast with specbuild predict, which reads the files of every input",
                )
        if members is not None:
            check_members(self._trained, members)
        self._members, self._seed = members or 0, seed
        windows = self._trained.data.windows
        reach = max((feed.reach for feed in self._trained.data.inputs.values()), default=0)
        # A single frame does not tell its motion.
        self._needed = max((windows.past - 1) * windows.step + 1, min(reach, 2))
        self._frames: deque[npt.NDArray[Any]] = deque(maxlen=max(self._needed, reach))
        self._times: deque[np.datetime64] = deque(maxlen=self._frames.maxlen)
        self.last: Forecast | None = None
        """The last forecast, with its lead times, coordinates and units."""

    @property
    def missing(self) -> int:
        """Number of frames still needed for the first forecast."""
        return max(0, self._needed - len(self._frames))

    def update(self, frame: npt.ArrayLike, time: Any = None) -> Floats | None:
        """Take the newest frame.

        Args:
            frame: (*space) or (*space, C), in physical units with NaN where missing.
            time: when it was, as anything that `numpy.datetime64` takes, or a `cftime.datetime` in the calendar of the
                training data. With times given, frames from before a gap are forgotten, since the model never saw one;
                the usual interval is that of the training.

        Returns:
            The forecast (F, *space, C) in physical units; None as long as `missing` frames are missing. Where every
            value of every past frame is missing, so is all of the forecast.

        Raises:
            SpecError: the frame does not fit the model, or has infinite values.
            RunError: the frame is of another size than those before; its time is not after the one before, or
                less than half the interval after it.
        """
        newest = np.asarray(frame)
        if self._frames and newest.shape != self._frames[-1].shape:
            raise RunError(f"the frame is {show(newest.shape)}, those before are {show(self._frames[-1].shape)}")
        if newest.dtype.kind == "f":
            check_finite(newest[np.newaxis], "the frame")
        self._note(time)
        self._frames.append(newest)
        if self.missing:
            return None
        frames, times = list(self._frames), np.array(self._times)
        timed = len(times) >= self._needed
        past = np.stack(frames[-len(times) :] if timed else frames)
        given = live_past(past, self._trained, times if timed else None)
        self.last = make_forecast(self._trained, given, self._members, self._seed)
        self._seed += 1
        return self.last.frames

    def reset(self) -> None:
        """Discard all frames, as at the start of another event."""
        self._frames.clear()
        self._times.clear()

    def _note(self, time: Any) -> None:
        if time is None:
            self._times.clear()
            return
        now = placed(time) if hasattr(time, "calendar") else np.datetime64(time, "s")
        interval = self._trained.data.interval
        if self._times and now <= self._times[-1]:
            raise RunError(f"the frame of {now} came after that of {self._times[-1]}")
        if self._times and interval is not None and broken(np.array([self._times[-1], now]), interval):
            if (now - self._times[-1]) / np.timedelta64(1, "s") < Interval.parse(interval).mean_seconds:
                raise RunError(
                    f"the frame of {now} came too soon after that of {self._times[-1]}",
                    help=f"give frames that are {interval} apart, as those of the training are",
                )
            self.reset()
        self._times.append(now)
