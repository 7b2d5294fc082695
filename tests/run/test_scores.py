"""Scores: by hand, against plain loops, and the persistence of the shipped radar record."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from specbuild.data import open_data
from specbuild.evaluation.baselines import baselines
from specbuild.evaluation.result import Evaluation
from specbuild.evaluation.scores import Scores
from specbuild.evaluation.scores.events import csi, far, frequency_bias, hss, pod
from tests.data.samples import MRMS, model, write_spec


def counts(*numbers: float) -> np.ndarray:
    return np.array(numbers, float)[:, np.newaxis]


def test_contingency_by_hand() -> None:
    """Finley's tornado forecasts of 1884: 28 hits, 23 misses, 72 false alarms, 2680 correct negatives."""
    table = counts(28, 23, 72, 2680)
    found = [round(float(score(table)[0]), 3) for score in (csi, pod, far, frequency_bias, hss)]
    assert found == [0.228, 0.549, 0.72, 1.961, 0.355]


def test_undefined_scores_are_nan() -> None:
    table = counts(0, 0, 0, 9)
    assert all(math.isnan(score(table)[0]) for score in (csi, pod, far, frequency_bias, hss))


def test_counts_and_sums_by_hand() -> None:
    observed = np.array([[0.5, 0.4], [2.0, np.nan]], np.float32)[..., np.newaxis]  # (F, L, C)
    forecast = np.array([[0.5, 0.6], [0.0, 9.0]], np.float32)[..., np.newaxis]
    scores = Scores(2, (0.5,))
    scores.add(forecast, observed)
    hits, misses, false_alarms, correct_negatives = scores.sums("csi", 0.5).tolist()
    assert (hits, misses) == ([1, 0], [0, 1])
    assert (false_alarms, correct_negatives) == ([1, 0], [0, 0])
    assert scores.sums("mse")[0].tolist() == [2, 1]
    result = scores.table("model", ("5 min", "10 min"))
    assert result.column("bias").values == pytest.approx((0.1, -2.0))
    assert result.column("MSE").overall == pytest.approx((0.04 + 4) / 3)
    assert result.column("CSI", 0.5).values == (0.5, 0.0)
    assert result.column("FAR", 0.5).label == "FAR ≥ 0.5"
    with pytest.raises(KeyError):
        result.column("CSI", 2.0)


def test_a_threshold_is_reached_by_the_nearest_float32() -> None:
    scores = Scores(1, (0.7,))
    values = np.full((1, 1), np.float32(0.7))
    scores.add(values, values)
    assert scores.sums("csi", 0.7)[0].tolist() == [1]


fields = arrays(np.float32, (3, 4, 1), elements=st.sampled_from([0.0, 0.5, 1.0, 3.0, math.nan]))


@given(st.lists(st.tuples(fields, fields), min_size=1, max_size=4))
@settings(deadline=None, max_examples=40)
def test_counts_are_pooled_over_samples_and_pixels(pairs: list[tuple[np.ndarray, np.ndarray]]) -> None:
    scores = Scores(3, (1.0,))
    for forecast, observed in pairs:
        scores.add(forecast, observed)
    hits, misses, false_alarms, correct_negatives = scores.sums("csi", 1.0)
    count, _, absolute, _ = scores.sums("mse")
    for lead in range(3):
        pixels = [(f, o) for one, other in pairs for f, o in zip(one[lead].ravel(), other[lead].ravel(), strict=True)]
        known = [(f, o) for f, o in pixels if not (math.isnan(f) or math.isnan(o))]
        assert count[lead] == len(known)
        assert hits[lead] == sum(f >= 1 and o >= 1 for f, o in known)
        assert misses[lead] == sum(f < 1 and o >= 1 for f, o in known)
        assert false_alarms[lead] == sum(f >= 1 and o < 1 for f, o in known)
        assert correct_negatives[lead] == sum(f < 1 and o < 1 for f, o in known)
        assert absolute[lead] == pytest.approx(sum(abs(float(f) - float(o)) for f, o in known))


def test_shapes_must_agree() -> None:
    with pytest.raises(ValueError, match=r"expected 2 frames of one shape, got \(3, 1\) and \(3, 1\)"):
        Scores(2).add(np.zeros((3, 1)), np.zeros((3, 1)))


def test_table_as_json_and_csv() -> None:
    scores = Scores(1, (5,))
    scores.add(np.ones((1, 2, 1)), np.zeros((1, 2, 1)))
    result = scores.table("persistence", ("10 min",))
    as_json = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert as_json["scores"][0] == {"score": "MSE", "threshold": None, "values": [1.0], "overall": 1.0}
    assert as_json["scores"][4] == {"score": "CSI", "threshold": 5, "values": [None], "overall": None}
    lines = Evaluation("x", "test", 1, "value", "", (result,), ()).to_csv().splitlines()
    assert lines[:3] == [
        "forecast,lead,score,threshold,window,value",
        "persistence,10 min,MSE,,,1.0",
        "persistence,all,MSE,,,1.0",
    ]
    assert "persistence,10 min,CSI,5,," in lines


def test_persistence_of_the_radar_record(tmp_path: Path) -> None:
    """CSI at 0.5 mm/h of three starts, four minutes apart, at 10, 30 and 60 minutes."""
    data = {
        "source": {"path": str(MRMS), "key": "precip_rate_x100", "layout": "T H W", "time": "time"},
        "scale": 0.01,
        "missing": 65535,
        "interval": "2 min",
        "windows": {"past": 2, "future": 30, "stride": 2},
        "split": {"train": 1},
    }
    spec = write_spec(tmp_path, data)
    dataset = open_data(spec, model(spec))
    assert [window.start for window in dataset.forecasts("train")] == [0, 2, 4]
    scores = Scores(30, (0.5,))
    persistence, *_ = baselines(dataset)
    for window in dataset.forecasts("train"):
        scores.add(persistence.forecast(window), window.future)
    found = scores.table("persistence", dataset.lead_labels)
    at = dict(zip(found.leads, found.column("CSI", 0.5).values, strict=True))
    assert [round(at[lead], 3) for lead in ("+10 min", "+30 min", "+60 min")] == [0.782, 0.644, 0.549]
