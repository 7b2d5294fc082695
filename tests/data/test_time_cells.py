"""The intervals that frames stand for."""

from __future__ import annotations

import numpy as np
import pytest

from specbuild.data.time.cells import TimeCell

HOURS = np.datetime64("2019-03-01T01", "s") + np.arange(6) * np.timedelta64(1, "h")
MONTHS = np.arange("2019-01", "2019-07", dtype="datetime64[M]")
LATER = np.array(["2020-02-15T06:00"], "datetime64[s]")


@pytest.mark.parametrize(
    ("times", "bounds", "later"),
    [
        (HOURS, np.stack([HOURS - np.timedelta64(1, "h"), HOURS], axis=1), ["2020-02-15T05:00", "2020-02-15T06:00"]),
        (HOURS[:1], np.stack([HOURS, HOURS + np.timedelta64(60, "s")], axis=1)[:1], [LATER[0], "2020-02-15T06:01"]),
        (MONTHS + np.timedelta64(14, "D"), np.stack([MONTHS, MONTHS + 1], axis=1), ["2020-02-01", "2020-03-01"]),
        (HOURS, np.stack([HOURS[:1].repeat(6), HOURS], axis=1), None),
        (HOURS, np.stack([HOURS, HOURS], axis=1)[:5], None),
        (HOURS[:0], np.stack([HOURS, HOURS], axis=1)[:0], None),
    ],
    ids=["an hour before", "a single frame", "months", "growing sums", "too few", "none"],
)
def test_other_frames_stand_for_intervals_alike(times: np.ndarray, bounds: np.ndarray, later: list[str] | None) -> None:
    cell = TimeCell.of(times.astype("datetime64[s]"), bounds.astype("datetime64[s]"))
    if later is None:
        assert cell is None
    else:
        assert cell is not None
        np.testing.assert_array_equal(cell.around(LATER), np.array([later], "datetime64[s]"))
