"""Transforms: they invert, leave missing values missing, and know nothing but the training frames."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pydantic import Field

from specbuild.catalog.values import PositiveNumber
from specbuild.data.transforms.fit import fit
from specbuild.data.transforms.kinds import STEPS
from specbuild.data.transforms.pipeline import Transform
from specbuild.data.transforms.running_statistics import running_statistics
from specbuild.data.transforms.step import Step, StepError
from specbuild.document import RunError, SpecError
from specbuild.language.sections.transform import TRANSFORMS, TransformSection, transform
from tests.data.samples import dataset, frames, message

rain = arrays(np.float32, (5, 3, 2), elements=st.floats(0.125, 300, width=32))

CHAINS: list[list[Any]] = [
    [],
    ["standardize"],
    ["minmax"],
    [{"name": "minmax", "min": -1, "max": 1}],
    ["log1p"],
    ["log"],
    [{"name": "log", "offset": 0.01}],
    ["dbz"],
    [{"name": "rain", "minimum": -20}],
    [{"name": "scale", "factor": 0.5, "offset": 3}],
    ["log1p", "standardize"],
    ["dbz", "minmax", {"name": "scale", "factor": 2}],
    [{"name": "clip", "min": 0}, "log1p", "standardize", "minmax"],
]


def fitted(chain: list[Any], values: np.ndarray, **arguments: Any) -> Transform:
    sections = [transform(step) for step in chain]
    return fit(sections, lambda: iter([(values[:2], None), (values[2:], None)]), values.shape[-1], **arguments)


def test_every_transform_has_a_step() -> None:
    assert list(STEPS) == list(TRANSFORMS)


@pytest.mark.parametrize("chain", CHAINS, ids=str)
@given(values=rain)
@settings(deadline=None, max_examples=25)
def test_transforms_invert(chain: list[Any], values: np.ndarray) -> None:
    chosen = fitted(chain, values)
    transformed = chosen.apply(values)
    assert transformed.dtype == np.float32
    assert chosen.invert(transformed).dtype == np.float32
    np.testing.assert_allclose(chosen.invert(transformed), values, rtol=2e-4, atol=2e-4)


@pytest.mark.parametrize("chain", CHAINS, ids=str)
@given(values=rain)
@settings(deadline=None, max_examples=5)
def test_transforms_come_back_from_json(chain: list[Any], values: np.ndarray) -> None:
    chosen = fitted(chain, values)
    assert Transform.from_state(json.loads(json.dumps(chosen.state()))) == chosen


@pytest.mark.parametrize("chain", CHAINS, ids=str)
def test_missing_stays_missing_and_out_of_the_statistics(chain: list[Any]) -> None:
    values = frames(6, 4, 2)
    holes = np.concatenate([values, np.full((2, 4, 2), np.nan, np.float32)])
    assert fitted(chain, holes).steps == fitted(chain, values).steps
    chosen = fitted(chain, holes)
    transformed = chosen.apply(holes)
    np.testing.assert_array_equal(np.isnan(transformed), np.isnan(holes))
    np.testing.assert_array_equal(np.isnan(chosen.invert(transformed)), np.isnan(holes))
    np.testing.assert_allclose(chosen.fill, np.nanmean(transformed, axis=(0, 1), dtype=float), atol=1e-5)
    assert not np.isnan(chosen.fill_missing(transformed)).any()


def test_standardize() -> None:
    values = frames(50, 4, 2) * np.array([1, 100], np.float32) + 1000
    transformed = fitted(["standardize"], values).apply(values).astype(float)
    np.testing.assert_allclose(transformed.mean(axis=(0, 1)), 0, atol=1e-3)
    np.testing.assert_allclose(transformed.std(axis=(0, 1)), 1, atol=1e-3)
    constant = np.full((3, 4, 1), 7, np.float32)
    np.testing.assert_array_equal(fitted(["standardize"], constant).apply(constant), 0)
    np.testing.assert_array_equal(fitted(["minmax"], constant).apply(constant), 0)


def test_dbz_is_marshall_palmer() -> None:
    chosen = fitted(["dbz"], np.ones((2, 1), np.float32))
    rates = np.array([[0], [0.05], [1], [10], [100]], np.float32)
    np.testing.assert_allclose(chosen.apply(rates).ravel(), [7.01, 7.01, 23.01, 39.01, 55.01], atol=0.01)
    np.testing.assert_allclose(chosen.invert(chosen.apply(rates)).ravel(), [0, 0, 1, 10, 100], rtol=1e-5)


def test_rain_is_the_inverse_of_dbz() -> None:
    reflectivities = np.array([[-30], [7], [23.0103], [39.0103]], np.float32)
    chosen = fitted(["rain"], reflectivities)
    rates = chosen.apply(reflectivities)
    np.testing.assert_allclose(rates.ravel(), [0, 0, 1, 10], rtol=1e-5)
    np.testing.assert_allclose(fitted(["dbz"], rates).apply(rates[2:]), reflectivities[2:], rtol=1e-6)
    np.testing.assert_allclose(chosen.invert(rates).ravel(), [7, 7, 23.0103, 39.0103], rtol=1e-6)
    np.testing.assert_array_equal(chosen.invert(np.array([[-1.0]], np.float32)), 7)


def test_clip_and_minmax() -> None:
    values = np.array([[-5], [0], [5], [90]], np.float32)
    chosen = fitted([{"name": "clip", "min": 0, "max": 10}, "minmax"], values)
    np.testing.assert_allclose(chosen.apply(values).ravel(), [0, 0, 0.5, 1])
    np.testing.assert_allclose(chosen.invert(chosen.apply(values)).ravel(), [0, 0, 5, 10])


def test_a_forecast_is_held_to_the_range_that_clip_declares() -> None:
    values = frames(6, 4, 1)
    chosen = fitted([{"name": "clip", "min": 0, "max": 60}, "log1p", "standardize"], values)
    far = np.array([[-9], [0], [9], [np.nan]], np.float32)
    found = chosen.invert(far).ravel()
    assert found[0] == 0
    assert 0 < found[1] < found[2] == 60
    assert np.isnan(found[3])
    assert fitted(["log1p", "standardize"], values).invert(far)[0] < 0


def test_fill_is_in_physical_units() -> None:
    chosen = fitted(["log1p"], frames(4, 2, 1), fill=0)
    assert chosen.fill == (0.0,)
    assert fitted([{"name": "scale", "offset": 3}], frames(4, 2, 1), fill=1).fill == (4.0,)


@given(st.lists(arrays(np.float64, (4, 2), elements=st.floats(-1e3, 1e3) | st.just(np.nan)), min_size=1, max_size=4))
@settings(deadline=None, max_examples=100)
def test_statistics_of_pieces_are_those_of_the_whole(pieces: list[np.ndarray]) -> None:
    statistics, whole = running_statistics(pieces, 2), np.concatenate(pieces)
    for channel in range(2):
        known = whole[~np.isnan(whole[:, channel]), channel]
        assert statistics[channel].count == known.size
        if known.size:
            np.testing.assert_allclose(statistics[channel].mean, known.mean(), atol=1e-9)
            np.testing.assert_allclose(statistics[channel].std, known.std(), atol=1e-6)
            assert (statistics[channel].least, statistics[channel].greatest) == (known.min(), known.max())


def test_statistics_stay_accurate_far_from_zero() -> None:
    values = np.random.default_rng(0).normal(1e6, 1.0, (1000, 1))
    np.testing.assert_allclose(running_statistics([values[:300], values[300:]], 1)[0].std, values.std(), rtol=1e-9)


def test_statistics_depend_on_training_frames_alone(tmp_path: Path) -> None:
    values = frames(40, 3, 3)
    chain = {"transform": ["log1p", "standardize", "minmax"]}
    before = dataset(tmp_path, values, **chain)
    train = before.split("train").stretches[0].frames
    changed = values.copy()
    changed[train.stop :] += 50
    assert dataset(tmp_path, changed, **chain).transform == before.transform
    changed[train.stop - 1] += 50
    assert dataset(tmp_path, changed, **chain).transform != before.transform


def test_values_outside_the_domain(tmp_path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        dataset(tmp_path, frames(40, 3, 3) - 9, transform=["standardize", "log1p"])
    assert message(caught.value).startswith("data.transform.1 | log1p needs values above -1, found -1.")
    chosen = Transform((STEPS["log"](0.5),), (0.0,))
    with pytest.raises(StepError, match=r"^log needs values above -0.5, found -0.5\n  = help: clip them first"):
        chosen.apply(np.array([[-0.5]], np.float32))


def test_a_channel_without_values() -> None:
    values = frames(4, 2, 2)
    values[..., 1] = np.nan
    with pytest.raises(StepError, match="every training value of channel 1 is missing"):
        fitted(["log1p", "standardize"], values)


@pytest.mark.parametrize(
    "state", [{}, {"steps": [{"name": "gone"}], "fill": []}, {"steps": [{"name": "log"}], "fill": []}]
)
def test_broken_state(state: dict[str, Any]) -> None:
    with pytest.raises(RunError, match="the saved transform cannot be read"):
        Transform.from_state(state)


def test_a_transform_is_added_by_a_section_and_a_step(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The worked example of CONTRIBUTING: nothing else knows the names of transforms."""

    class Power(TransformSection):
        """x ** exponent, for values above 0."""

        name: Literal["power"] = "power"
        exponent: PositiveNumber = Field(0.5, description="The exponent.")

    @dataclass(frozen=True, slots=True)
    class PowerStep(Step):
        name: ClassVar[str] = "power"
        exponent: float

        @property
        def above(self) -> float:
            return 0.0

        def apply(self, x: np.ndarray) -> np.ndarray:
            return x**self.exponent

        def invert(self, y: np.ndarray) -> np.ndarray:
            return y ** (1 / self.exponent)

    monkeypatch.setitem(TRANSFORMS, "power", Power)
    monkeypatch.setitem(STEPS, "power", PowerStep)
    values = frames(40, 3, 3) + 1
    data = dataset(tmp_path, values, transform=["power", "standardize"])
    roots = np.sqrt(values[data.split("train").stretches[0].frames])
    assert data.transform.steps[0] == PowerStep(0.5)
    assert data.transform.steps[1].mean[0] == pytest.approx(roots.mean(), rel=1e-5)
    assert Transform.from_state(json.loads(json.dumps(data.transform.state()))) == data.transform
    with pytest.raises(SpecError) as caught:
        dataset(tmp_path, values - 99, transform=["power"])
    assert message(caught.value).startswith("data.transform.0 | power needs values above 0, found ")
    with pytest.raises(SpecError) as caught:
        dataset(tmp_path, values, transform=[{"name": "power", "exponnt": 2}])
    assert 'power has no argument "exponnt"; did you mean "exponent"?' in message(caught.value)
