"""Wrong states: refused with their place, where Keras builds the model all the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from specbuild import SpecError, build_graph, build_model
from specbuild.model.backend import keras

SPEC = """\
specbuild: 1
inputs: {{x: [4, 16, 16, 1], y: [4, {size}, {size}, 1]}}
layers:
  - {{id: enc, layer: ConvLSTM2D, filters: {filters}, kernel_size: 3, padding: same, from: x}}
  - {{id: dec, layer: ConvLSTM2D, filters: 8, kernel_size: 3, padding: same, from: y, initial_state: {state}}}
outputs: [dec.last]
"""

WRONG = {
    "channels": ({"filters": 12}, "enc carries a state of 16 × 16 × 12 (height, width, filters); dec has 16 × 16 × 8"),
    "height and width": (
        {"size": 32},
        "enc carries a state of 16 × 16 × 8 (height, width, filters); dec has 32 × 32 × 8",
    ),
    "one tensor": ({"state": "{h: enc.state.h}"}, "dec (ConvLSTM2D) has h and c"),
}


def spec(**changes: Any) -> str:
    return SPEC.format(**({"size": 16, "filters": 8, "state": "enc"} | changes))


@pytest.mark.parametrize(("changes", "reason"), WRONG.values(), ids=WRONG)
def test_refused_with_its_place(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(SpecError) as caught:
        build_graph(spec(**changes))
    (error,) = caught.value.diagnostics
    assert error.reason == reason
    assert error.path == "layers.dec.initial_state"
    assert error.span is not None
    assert (error.span.line, error.span.column) == (5, 101)


def keras_built(enc: int, size: int, states: Callable[[list[Any]], list[Any]]) -> Any:
    x, y = keras.Input((4, 16, 16, 1)), keras.Input((4, size, size, 1))
    _, *state = keras.layers.ConvLSTM2D(enc, 3, padding="same", return_state=True)(x)
    return keras.Model([x, y], keras.layers.ConvLSTM2D(8, 3, padding="same")(y, initial_state=states(state)))


@pytest.mark.parametrize(("enc", "size"), [(12, 16), (8, 32)], ids=["channels", "height and width"])
def test_keras_builds_it_and_fails_inside_the_first_batch(enc: int, size: int) -> None:
    model = keras_built(enc, size, list)
    frames = [np.zeros((1, 4, 16, 16, 1), "float32"), np.zeros((1, 4, size, size, 1), "float32")]
    with pytest.raises(Exception, match=r"(?i)shape|dimension|incompatible"):
        model(frames)


def test_keras_runs_swapped_states_in_silence() -> None:
    right, swapped = keras_built(8, 16, list), keras_built(8, 16, lambda state: state[::-1])
    swapped.set_weights(right.get_weights())
    rng = np.random.default_rng(0)
    frames = [rng.normal(size=(1, 4, 16, 16, 1)).astype("float32") for _ in range(2)]
    assert not np.allclose(right(frames), swapped(frames))


def test_a_passed_state_is_used() -> None:
    model = build_model(spec())
    reference = keras_built(8, 16, list)
    reference.set_weights(model.get_weights())
    rng = np.random.default_rng(0)
    frames = [rng.normal(size=(2, 4, 16, 16, 1)).astype("float32") for _ in range(2)]
    np.testing.assert_allclose(model(frames), reference(frames), atol=1e-6)
    changed = [frames[0] + 1, frames[1]]
    assert not np.allclose(model(frames), model(changed))


def test_named_tensors_reach_the_state_they_name() -> None:
    swapped = build_model(spec(state="{c: enc.state.h, h: enc.state.c}"))
    reference = keras_built(8, 16, lambda state: state[::-1])
    reference.set_weights(swapped.get_weights())
    rng = np.random.default_rng(0)
    frames = [rng.normal(size=(2, 4, 16, 16, 1)).astype("float32") for _ in range(2)]
    np.testing.assert_allclose(swapped(frames), reference(frames), atol=1e-6)


def test_a_reuse_starts_from_the_named_tensors_of_its_original() -> None:
    cell = "layer: ConvLSTM2D, filters: 2, kernel_size: 3, padding: same"
    text = f"""specbuild: 1
inputs: {{x: [3, 4, 4, 1]}}
layers:
  - {{id: enc, {cell}}}
  - {{id: one, from: x, {cell}, initial_state: {{h: enc.state.c, c: enc.state.h}}}}
  - {{id: two, from: x, reuse: one}}
outputs: [one.last, two.last]
"""
    one, two = (node.initial_state for node in build_graph(text).nodes[1:])
    assert [str(port) for port in two] == [str(port) for port in one] == ["enc.state.c", "enc.state.h"]
    first, second = build_model(text).predict_on_batch(np.ones((1, 3, 4, 4, 1), "float32"))
    np.testing.assert_allclose(np.asarray(first), np.asarray(second), atol=1e-6)
