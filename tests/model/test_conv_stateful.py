"""Stateful inference frame by frame is the whole sequence at once: one layer and a stack, from specs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from specbuild import build_model
from tests.model.recurrences import clip, numbers

ONE: list[dict[str, Any]] = [{"layer": "ConvLSTM2D"}]
STACKS: dict[str, list[dict[str, Any]]] = {
    "ConvLSTM": ONE,
    "two, one with peepholes": [{"layer": "ConvLSTM2D", "peephole": "per_pixel"}, {"layer": "ConvLSTM2D"}],
    "two of two kinds": [{"layer": "ConvGRU2D", "activation": "leaky_relu"}, {"layer": "ConvLSTM2D"}],
}
STEPS = 4


def built(layers: list[dict[str, Any]], steps: int, *, stateful: bool) -> Any:
    nodes = [
        {"id": f"r{at}", "filters": 3, "kernel_size": 3, "padding": "same", "stateful": stateful, **layer}
        for at, layer in enumerate(layers)
    ]
    inputs = {"x": {"shape": [steps, 5, 4, 2], "batch": 2 if stateful else None}}
    return build_model(
        {"specbuild": 1, "inputs": inputs, "layers": nodes, "outputs": [f"r{len(layers) - 1}.sequence", "r0.state.h"]}
    )


def reset(model: Any) -> None:
    for layer in model.layers:
        if hasattr(layer, "reset_states"):
            layer.reset_states()


@pytest.mark.parametrize("layers", STACKS.values(), ids=STACKS)
def test_frame_by_frame_is_the_whole_sequence(layers: list[dict[str, Any]]) -> None:
    whole, steps = built(layers, STEPS, stateful=False), built(layers, 1, stateful=True)
    steps.set_weights(whole.get_weights())
    x = clip(2, STEPS, 5, 4, 2).astype("float32")
    expected, state = (numbers(one) for one in whole(x))
    for _ in range(2):
        outputs = [steps.predict_on_batch(x[:, at : at + 1]) for at in range(STEPS)]
        np.testing.assert_allclose(np.concatenate([one for one, _ in outputs], 1), expected, atol=1e-5)
        np.testing.assert_allclose(outputs[-1][1], state, atol=1e-5)
        np.testing.assert_allclose(numbers(steps.get_layer("r0").states[0]), state, atol=1e-5)
        reset(steps)


def test_after_training_a_state_is_kept_until_it_is_reset() -> None:
    model = built(ONE, 2, stateful=True)
    model.compile("sgd", ["mse", None])
    x = clip(2, 2, 5, 4, 2).astype("float32")
    y = clip(2, 2, 5, 4, 3, seed=1).astype("float32")
    model.train_on_batch(x, y)
    reset(model)
    first, second = (model.predict_on_batch(x)[0] for _ in range(2))
    assert not np.allclose(first, second)
    reset(model)
    again, h = model.predict_on_batch(x)
    np.testing.assert_allclose(again, first, atol=1e-6)
    np.testing.assert_allclose(numbers(model.get_layer("r0").states[0]), h, atol=1e-6)


def test_an_unknown_batch_is_refused() -> None:
    with pytest.raises(Exception, match="batch"):
        build_model(
            {
                "specbuild": 1,
                "inputs": {"x": [1, 5, 4, 2]},
                "layers": [{"layer": "ConvGRU2D", "filters": 1, "kernel_size": 3, "stateful": True}],
            }
        )
