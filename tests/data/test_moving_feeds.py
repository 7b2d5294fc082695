"""Motion and extrapolation as inputs: causal, of whole frames, and turned with the sample."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from specbuild.data import Dataset, open_data
from specbuild.data.motion import advect, motion
from specbuild.data.samples.augment import Turn
from specbuild.document import RunError, SpecError
from specbuild.graph.model import Graph, Input, Output, Port
from tests.data.samples import message, write_spec
from tests.data.test_motion import showers

PAST = ("past", (2, None, None, 1))
FLOW: dict[str, Any] = {"motion": True}


def opened(folder: Path, inputs: dict[str, Any], **data: Any) -> Dataset:
    """A shower (40, 48, 48) that moves by 0.75 pixels to the right and 0.25 downwards."""
    graph = graph_of(folder, inputs, **data)
    return open_data(graph.spec, graph)


def graph_of(folder: Path, inputs: dict[str, Any], **data: Any) -> Graph:
    np.savez(folder / "rain.npz", rain=showers(40, 48, 0.75, 0.25))
    section = {
        "source": {"path": "rain.npz", "key": "rain", "layout": "T H W"},
        "inputs": {name: feed for name, (feed, _) in inputs.items()},
        "windows": {"past": 2, "future": 3},
        "transform": ["log1p", "standardize"],
        **data,
    }
    spec = write_spec(folder, section, inputs={name: list(shape) for name, (_, shape) in inputs.items()})
    shapes = tuple(Input(name, shape, "float32", None) for name, (_, shape) in inputs.items())
    return Graph("test", shapes, (), (Output("forecast", Port("forecast"), (3, None, None, 1)),), spec)


def test_motion_is_that_of_whole_frames_before_the_forecast(tmp_path: Path) -> None:
    """A crop has its part of the motion of whole frames; with `latest` frames before the window count as well."""
    both = {"rain": PAST, "flow": (FLOW, (16, 16, 2)), "longer": ({**FLOW, "latest": 6, "apart": 3}, (16, 16, 2))}
    data = opened(tmp_path, both, crop=16)
    at, region = (0, 8), (slice(20, 36), slice(16, 32))
    frames = data.source.read(0, range(10))[..., 0]
    x = data.inputs(data.source.read(0, range(8, 10), region), at, region)
    assert isinstance(x, dict)
    np.testing.assert_array_equal(x["flow"], motion(frames[8:10])[region])
    np.testing.assert_array_equal(x["longer"], motion(frames[4:10], apart=3)[region])
    assert x["longer"][12, 10] == pytest.approx([0.75, 0.25], abs=0.2)
    first = data.inputs(data.source.read(0, range(2), region), (0, 0), region)
    assert isinstance(first, dict)
    np.testing.assert_array_equal(first["longer"], motion(frames[:2])[region])  # no more frames are known


def test_extrapolation_is_in_the_units_of_the_target(tmp_path: Path) -> None:
    data = opened(tmp_path, {"rain": PAST, "ahead": ({"baseline": "extrapolation"}, (3, 48, 48, 1))})
    window = data.window(0, 5)
    x = data.inputs(window.past, (0, 5))
    assert isinstance(x, dict)
    ahead = data.transform.invert(x["ahead"])[..., 0]
    np.testing.assert_allclose(
        ahead, advect(window.past[-1, ..., 0], motion(window.past[..., 0]), [1, 2, 3]), atol=1e-4
    )
    # What the future was does not matter.
    alone = data.inputs(window.past)
    assert isinstance(alone, dict)
    np.testing.assert_array_equal(alone["ahead"], x["ahead"])


def test_a_step_of_the_window_is_several_frames(tmp_path: Path) -> None:
    inputs: dict[str, Any] = {"rain": PAST, "flow": (FLOW, (48, 48, 2)), "fine": ({**FLOW, "latest": 3}, (48, 48, 2))}
    inputs["far"] = {**FLOW, "latest": 5, "apart": 2}, (48, 48, 2)
    inputs["same"] = {**FLOW, "apart": 2}, (48, 48, 2)
    inputs["ahead"] = {"baseline": "extrapolation"}, (3, 48, 48, 1)
    parts = {"train": 0.5, "test": 0.5}
    data = opened(tmp_path, inputs, windows={"past": 2, "future": 3, "step": 2}, split=parts)
    window = data.window(0, 2)
    x = data.inputs(window.past, (0, 2))
    assert isinstance(x, dict)
    for name in ("flow", "fine", "far"):
        assert x[name][32, 26] == pytest.approx([1.5, 0.5], abs=0.3)
    np.testing.assert_array_equal(x["same"], x["flow"])  # `apart` counts frames of the data, not steps of the window
    error = np.abs(data.transform.invert(x["ahead"]) - window.future).mean()
    assert error < np.abs(window.past[-1] - window.future).mean() / 3


@pytest.mark.parametrize("turn", [Turn((-1,)), Turn((-2,)), Turn((), 1), Turn((-2,), 3), Turn((-1, -2), 2)])
def test_turned_frames_move_along_the_turned_motion(turn: Turn, tmp_path: Path) -> None:
    data = opened(tmp_path, {"rain": PAST, "flow": (FLOW, (48, 48, 2))})
    flow = np.stack(np.meshgrid(np.linspace(-1, 2, 48), np.linspace(1, 3, 48)), axis=-1).astype(np.float32)
    frame = showers(1, 48)[0]
    turned = data.feeds["flow"].turned(flow, turn)
    moved = advect(turn.weights(frame), np.ascontiguousarray(turned), [1, 3])
    np.testing.assert_allclose(moved, turn.weights(advect(frame, flow, [1, 3])), atol=0.02)


def test_a_single_frame_that_is_given_does_not_tell_its_motion(tmp_path: Path) -> None:
    """In the data, frames before the window do; at their beginning nothing moves."""
    inputs = {"rain": ("past", (1, 48, 48, 1)), "flow": ({**FLOW, "latest": 4}, (48, 48, 2))}
    data = opened(tmp_path, inputs, windows={"past": 1, "future": 3})
    past = data.window(0, 6).past
    with pytest.raises(RunError, match="reads the motion of the latest 4 frames, but only one is given"):
        data.inputs(past)
    known, first = data.inputs(past, (0, 6)), data.inputs(past, (0, 0))
    assert isinstance(known, dict)
    assert isinstance(first, dict)
    assert known["flow"][32, 26] == pytest.approx([0.75, 0.25], abs=0.2)
    assert not first["flow"].any()


def test_motions_that_cannot_be_computed_are_refused(tmp_path: Path) -> None:
    for apart, step, said in (
        (2, 1, "data.inputs.flow.apart | flow needs past frames that are 2 frames apart | data.windows.past is 2"),
        (
            4,
            2,
            "data.inputs.flow.apart | flow needs past frames that are 4 frames apart | data.windows.past is 2, data",
        ),
        (3, 2, "data.inputs.flow.apart | expected a multiple of 2, how far apart the past frames are, got 3"),
    ):
        windows, parts = {"past": 2, "future": 3, "step": step}, {"train": 0.5, "test": 0.5}
        flow = ({**FLOW, "apart": apart}, (48, 48, 2))
        graph = graph_of(tmp_path, {"rain": PAST, "flow": flow}, windows=windows, split=parts)
        with pytest.raises(SpecError) as caught:
            open_data(graph.spec, graph)
        assert message(caught.value).startswith(said)
    with pytest.raises(SpecError, match="expected more than apart, which is 3, got 3"):
        graph_of(tmp_path, {"rain": PAST, "flow": ({**FLOW, "apart": 3, "latest": 3}, (48, 48, 2))})
    with pytest.raises(SpecError, match="motion needs frames with height and width"):
        opened(
            tmp_path,
            {"rain": ("past", (2, 48, 48)), "flow": (FLOW, (48, 2))},
            source={"path": "rain.npz", "key": "rain", "layout": "T L C"},
        )


def test_a_model_of_one_input_gets_an_array(tmp_path: Path) -> None:
    """Keras warns of a name for an only input."""
    data = opened(tmp_path, {"flow": (FLOW, (48, 48, 2))})
    x, _, _ = data.sampler("train", 2, seed=1).batch(0, 0)
    assert isinstance(x, np.ndarray)
    assert x.shape == (2, 48, 48, 2)
