"""The interval of time that a frame stands for, such as the hour of a sum of rain (CF conventions 7.1)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from specbuild.data.time.times import Times


@dataclass(frozen=True, slots=True)
class TimeCell:
    """How the interval of each frame lies around its time: two distances in seconds; None: it is the calendar month."""

    ends: tuple[int, int] | None

    @classmethod
    def of(cls, times: Times, bounds: Times) -> TimeCell | None:
        """Return how bounds (T, 2) lie around the times (T,) of frames; None where it is not the same for all."""
        if not len(times) or bounds.shape != (len(times), 2):
            return None
        away = (bounds - times[:, np.newaxis]).astype("timedelta64[s]").astype(np.int64)
        if (away == away[0]).all():
            return cls((int(away[0, 0]), int(away[0, 1])))
        return cls(None) if np.array_equal(bounds, _months(times)) else None

    def around(self, times: Times) -> Times:
        """Return the bounds of frames at other times, (F, 2)."""
        if self.ends is None:
            return _months(times)
        bounds: Times = times.astype("datetime64[s]")[:, np.newaxis] + np.array(self.ends, "timedelta64[s]")
        return bounds


def _months(times: Times) -> Times:
    """Return the beginnings of the months of times and of the months after them."""
    months = times.astype("datetime64[M]")
    return np.stack([months, months + 1], axis=1).astype("datetime64[s]")
