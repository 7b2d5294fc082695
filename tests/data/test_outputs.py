"""What several outputs are compared with: `data.targets`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from specbuild.data import Dataset, Transform, open_data
from specbuild.data.samples.views import seen_by
from specbuild.data.sources.base import FrameMetadata, FrameSource
from specbuild.data.transforms.fit import fit
from specbuild.document import SpecError
from specbuild.graph.model import Graph, Input, Output, Port
from specbuild.language.sections.data import DataSection
from specbuild.language.sections.outputs import OutputSection
from tests.data.samples import frames, message, write_spec

VARIABLES = {"path": "wind.npz", "variables": ["u10", "v10"], "layout": "T H W"}


def opened(folder: Path, targets: dict[str, tuple[Any, tuple[int | None, ...]]], **data: Any) -> Dataset:
    """The data of frames (40, 6, 6) of two variables, for a model whose outputs, of these shapes, are compared so."""
    values = frames(2, 40, 6, 6)
    values[0, 5, 2:4, 2] = np.nan
    np.savez(folder / "wind.npz", u10=values[0], v10=values[1])
    section = {"source": VARIABLES, "targets": {name: target for name, (target, _) in targets.items()}, **data}
    section = {"units": "m/s", "variable": "wind", **section}
    outputs = dict.fromkeys(targets, "forecast")
    spec = write_spec(folder, section, inputs={"rain": [2, None, None, 2]}, outputs=outputs)
    inputs = (Input("rain", (2, None, None, 2), "float32", None),)
    shapes = tuple(Output(name, Port("forecast"), shape) for name, (_, shape) in targets.items())
    graph = Graph("test", inputs, (), shapes, spec)
    return open_data(spec, graph)


BOTH = ("future", (3, None, None, 2))
EAST = ({"variables": ["v10"]}, (3, None, None, 1))
STRONG = ({"above": 2, "variables": ["u10"]}, (3, None, None, 1))
LATER = ({"frames": [1, 3]}, (2, None, None, 2))
END = ({"frames": [3], "variables": ["u10"]}, (None, None, 1))


def test_each_output_has_its_target_and_its_weights(tmp_path: Path) -> None:
    targets = {"both": BOTH, "east": EAST, "strong": STRONG, "later": LATER, "end": END}
    transform = ["standardize", {"name": "scale", "factor": 2, "channels": ["u10"]}]
    data = opened(tmp_path, targets, transform=transform, crop=4, augment={"flip": ["width"]})
    x, y, weight = data.sampler("train", 2, seed=1, shuffle=False).batch(0, 1)
    assert x.shape == (2, 2, 4, 4, 2)
    assert {name: part.shape for name, part in y.items()} == {
        "both": (2, 3, 4, 4, 2),
        "east": (2, 3, 4, 4, 1),
        "strong": (2, 3, 4, 4, 1),
        "later": (2, 2, 4, 4, 2),
        "end": (2, 4, 4, 1),
    }
    assert {name: part.shape for name, part in weight.items()} == {name: part.shape[:-1] for name, part in y.items()}
    np.testing.assert_array_equal(y["east"], y["both"][..., 1:])
    np.testing.assert_array_equal(y["later"], y["both"][:, [0, 2]])
    known = weight["strong"] > 0
    physical = data.transform.invert(y["both"])[..., :1]
    np.testing.assert_array_equal(y["strong"][known], (physical >= 2)[known])
    assert (~known).any()
    assert (y["strong"][~known] == 0).all()
    assert (weight["east"] == 1).all()
    np.testing.assert_array_equal(y["end"], y["both"][:, 2, ..., :1])


def test_forecasts_are_in_the_units_of_their_output(tmp_path: Path) -> None:
    targets = {"east": EAST, "strong": STRONG, "later": LATER, "end": END}
    data = opened(tmp_path, targets, transform=["standardize", "minmax"])
    window = data.window(0, 0)

    def perfect(_: np.ndarray) -> dict[str, np.ndarray]:
        return {name: samples.batch(0, 0)[1][name] for name in targets}

    samples = data.sampler("train", 1, seed=1, shuffle=False)
    for name, view in data.views.items():
        seen = view.window(0, 0)
        forecast = view.forecast(window.past, perfect)
        np.testing.assert_allclose(
            forecast, np.nan_to_num(seen.future, nan=0) if name == "strong" else seen.future, rtol=1e-4
        )
    np.testing.assert_array_equal(
        data.forecast(window.past, perfect), data.views["east"].forecast(window.past, perfect)
    )
    assert data.views["later"].lead_labels == ("+1", "+3")
    assert data.views["end"].window(0, 3).future_frames == (7,)
    assert (data.views["strong"].section.variable, data.views["strong"].section.units) == (
        "probability of u10 >= 2 m/s",
        "",
    )


@pytest.mark.parametrize(
    ("variables", "units"),
    [(["t2m"], ["K"]), (["wind"], [""]), (["t2m", "wind"], ["K", ""]), (["wind", "msl"], ["", "Pa"])],
)
def test_a_variable_without_units_does_not_get_those_of_another(variables: list[str], units: list[str]) -> None:
    of_each = {"t2m": "K", "msl": "Pa"}
    names = ("t2m", "wind", "msl")
    metadata = FrameMetadata("x.nc", ("T", "H", "W", "C"), variables=names, units="K, Pa", units_of=of_each)
    source = FrameSource(np.zeros((4, 3, 3, 3), np.float32), metadata)
    seen = seen_by(OutputSection(variables=tuple(variables)), source).metadata
    assert [seen.units_of_variable(name) for name in variables] == units
    assert seen.common_units == (units[0] if len(units) == 1 else "")


def test_without_missing_values_there_are_no_weights(tmp_path: Path) -> None:
    np.save(tmp_path / "rain.npy", np.arange(40 * 36, dtype=np.uint16).reshape(40, 6, 6))
    section = {"targets": {"wet": {"above": 90}}, "source": {"path": "rain.npy", "layout": "T H W"}}
    spec = write_spec(tmp_path, section, outputs={"wet": "forecast"})
    inputs, outputs = Input("rain", (2, 6, 6, 1), "float32", None), Output("wet", Port("forecast"), (3, 6, 6, 1))
    data = open_data(spec, Graph("test", (inputs,), (), (outputs,), spec))
    _, y, weight = data.sampler("train", 1, seed=1, shuffle=False).batch(0, 0)
    assert weight is None
    np.testing.assert_array_equal(y["wet"].ravel(), np.arange(72, 180) >= 90)


@pytest.mark.parametrize(
    "steps",
    [
        ["standardize"],
        [{"name": "minmax", "channels": [2]}, "log1p"],
        [{"name": "standardize", "channels": [0, 2]}, {"name": "clip", "min": 0.1, "channels": [1]}],
    ],
)
def test_the_transform_of_some_channels_is_that_of_all(steps: list[Any]) -> None:
    values = frames(50, 4, 3) + 0.2
    base = {"source": {"path": "x.npy", "layout": "T C"}, "windows": {"past": 1, "future": 1}}
    sections = DataSection.model_validate({**base, "transform": steps}).transform
    whole: Transform = fit(sections, lambda: iter([(values, None)]), 3)
    for channels in [(2,), (0, 1), (2, 0)]:
        part = whole.selected(channels)
        np.testing.assert_allclose(part.apply(values[..., list(channels)]), whole.apply(values)[..., list(channels)])
        back = part.invert(part.apply(values[..., list(channels)]))
        np.testing.assert_allclose(back, whole.invert(whole.apply(values))[..., list(channels)])


@pytest.mark.parametrize(
    ("targets", "source", "said"),
    [
        ({"a": ({"variables": ["w10"]}, (3, None, None, 1))}, {}, "data.source reads no variable w10"),
        ({"a": ({"variables": ["u1"]}, (3, None, None, 1))}, {"variables": None, "key": "u10"}, "has no variable u1"),
        ({"a": ({"above": True}, (3, None, None, 2))}, {}, "above: expected a number, got true"),
        ({"a": ({"frames": [0]}, (1, None, None, 2))}, {}, "frames"),
        ({"a": ({"frames": [2]}, (3, None, None, 2))}, {}, "the output a has 3 frames, data.targets.a names 1"),
        ({"a": ("past", (3, None, None, 2))}, {}, 'expected "future", got "past"'),
        ({"a": BOTH, "b": ({"variables": ["u10"]}, (3, None, None, 2))}, {}, "b has 2 channels, its target has 1"),
    ],
)
def test_what_does_not_fit_is_named(targets: dict[str, Any], source: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        opened(tmp_path, targets, source={**VARIABLES, **source})
    assert said in message(caught.value)
