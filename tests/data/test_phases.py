"""Phases of a cycle follow the clock: over gaps, from event to event, through months of unequal length."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from specbuild.data import open_data
from specbuild.data.sources.base import FrameMetadata, FrameSource
from specbuild.data.time.clock import Phases
from specbuild.evaluation.baselines import baselines
from tests.data.samples import RECORDS, model, write_spec

ERA5 = RECORDS / "era5_t2m_uk_2019-03.nc"
HOURS = np.datetime64("2020-01-01T00", "s") + np.arange(100) * np.timedelta64(3600, "s")


def source(*clocks: np.ndarray) -> FrameSource:
    """One number per frame: the frame's index."""
    lengths = tuple(map(len, clocks))
    values = np.tile(np.arange(max(lengths), dtype=np.float32), (len(clocks), 1))
    return FrameSource(values, FrameMetadata("test", ("N", "T"), clocks=clocks, lengths=lengths))


def test_without_times_frames_are_counted_from_the_start_of_the_event() -> None:
    plain = FrameSource(np.zeros((2, 9)), FrameMetadata("test", ("N", "T")))
    assert Phases(plain, 4).slots(1).tolist() == list(range(9))
    assert [Phases(plain, 4).of(1, frame) for frame in range(6)] == [0, 1, 2, 3, 0, 1]


def test_a_gap_does_not_shift_the_hour_of_the_day() -> None:
    kept = np.delete(np.arange(100), range(30, 41))
    phases = Phases(source(HOURS[kept]), 24)
    assert phases.slots(0).tolist() == kept.tolist()
    at = {int(hour): frame for frame, hour in enumerate(kept)}
    assert phases.of(0, at[49]) == 1
    assert phases.earlier(0, at[49], at[48]) == at[25]
    assert phases.earlier(0, at[54], at[53]) == at[6]  # hour 30 lies in the gap
    assert phases.earlier(0, at[20], at[19]) is None


def test_events_that_begin_at_another_hour_keep_the_hour() -> None:
    phases = Phases(source(HOURS[:30], HOURS[5:30]), 24)
    assert [phases.of(event, 0) for event in (0, 1)] == [0, 5]


def test_months_are_counted_by_the_calendar() -> None:
    months = np.arange("1990-01", "2020-01", dtype="datetime64[M]").astype("datetime64[s]")
    phases = Phases(source(np.delete(months, 7)), 12)
    assert phases.slots(0).tolist() == [0, 1, 2, 3, 4, 5, 6, *range(8, 360)]


@pytest.mark.skipif(not ERA5.exists(), reason="the record is not there")
@pytest.mark.parametrize(("lead", "persistence", "same"), [(1, 0.57, 1.50), (12, 3.57, 1.50)])
def test_temperature_baselines(tmp_path: Path, lead: int, persistence: float, same: float) -> None:
    """RMSE in K of the last seven days of March 2019, over the British Isles."""
    source = {"path": str(ERA5), "key": "t2m", "layout": "T H W", "time": "time"}
    windows = {"past": 1, "future": 1, "lead": lead - 1}
    spec = write_spec(
        tmp_path, {"source": source, "windows": windows, "split": {"train": [0, 500], "test": [576 - lead, 744]}}
    )
    data = open_data(spec, model(spec))
    errors: dict[str, list[np.ndarray]] = {}
    for window in data.forecasts("test"):
        for baseline in baselines(data, 24):
            if baseline.name in ("persistence", "same phase"):
                errors.setdefault(baseline.name, []).append(baseline.forecast(window) - window.future)
    found = {name: round(float(np.sqrt(np.mean(np.square(one, dtype=float)))), 2) for name, one in errors.items()}
    assert found == {"persistence": persistence, "same phase": same}
