"""TrajGRU: its equations, the paths that it reads its state along, and what a layer has to survive."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from specbuild import build_graph, build_model
from specbuild.model.backend import jit_compile, keras
from specbuild.model.layers import ConvGRU2D, TrajGRU2D, conv_recurrent
from specbuild.model.layers.traj_gru import warp
from tests.model import reference
from tests.model.recurrences import EXACT, NEAR, NEAR_SLOPE, clip, filled, gradients, numbers, numerical
from tests.model.saving import saved_and_loaded

SHAPE = (2, 3, 5, 4, 2)  # (N, T, H, W, C)
OPTIONS: dict[str, dict[str, Any]] = {
    "three links": {"links": 3},
    "one link": {"links": 1, "flow_kernel_size": [1, 3], "kernel_size": 1},
    "no bias": {"use_bias": False},
    "without input": {"use_input": False},
}


def made(filters: int = 2, kernel_size: Any = 3, **more: Any) -> Any:
    own = {"links": 2, "flow_kernel_size": 3, "flow_filters": 2, "return_sequences": True}
    return TrajGRU2D(filters, kernel_size, **{**own, "data_format": "channels_last", **more})


def near_paths(layer: Any, shape: tuple[int, ...] = SHAPE) -> dict[str, np.ndarray]:
    """Weights that no symmetry hides, whose paths mostly end within the frame."""
    weights = filled(layer, shape)
    weights["flow_kernel"] *= 0.2
    layer.cell.flow_kernel.assign(weights["flow_kernel"])
    return weights


@pytest.mark.parametrize("arguments", OPTIONS.values(), ids=OPTIONS)
def test_outputs_and_gradients_are_those_of_the_equations(arguments: dict[str, Any]) -> None:
    layer = made(**arguments, dtype=EXACT)
    weights, x = near_paths(layer), clip(*SHAPE)
    np.testing.assert_allclose(numbers(layer(x)), reference.traj_gru(x, weights), rtol=NEAR, atol=NEAR)

    found, rng = gradients(layer, x), np.random.default_rng(3)
    assert found.keys() == weights.keys()
    for name, gradient in found.items():
        direction = rng.normal(size=gradient.shape)
        expected = numerical(lambda w: float(np.mean(reference.traj_gru(x, w) ** 2)), weights, name, direction)
        # Bilinear reading bends at every pixel, which a finite difference may step across.
        assert np.sum(gradient * direction) == pytest.approx(expected, rel=10 * NEAR_SLOPE, abs=NEAR), name


def test_warping_moves_by_whole_pixels_and_lets_nothing_in() -> None:
    h = clip(1, 4, 5, 2)
    u, v = np.full((1, 4, 5), 2.0), np.full((1, 4, 5), -1.0)  # two columns to the right, one row up
    moved = numbers(warp(keras.ops.convert_to_tensor(h), keras.ops.convert_to_tensor(np.stack([u, v], -1))))
    expected = np.zeros_like(h)
    expected[:, :-1, 2:] = h[:, 1:, :-2]
    np.testing.assert_allclose(moved, expected, atol=NEAR)


def test_warping_mixes_between_pixels_for_every_link() -> None:
    h, flows = clip(2, 4, 5, 3), 2.5 * clip(2, 4, 5, 4, seed=1)
    flows[0, 0, 0] = [1e9, -1e9, 4, -4]
    moved = numbers(warp(keras.ops.convert_to_tensor(h), keras.ops.convert_to_tensor(flows)))
    links = [reference.warped(h, flows[..., 2 * link], flows[..., 2 * link + 1]) for link in range(2)]
    np.testing.assert_allclose(moved, np.concatenate(links, -1), atol=NEAR)


def test_without_flows_it_is_a_conv_gru_with_a_kernel_of_one_pixel() -> None:
    """As it starts: all paths lead nowhere, and the links add up."""
    layer, gru = made(links=2), ConvGRU2D(2, 3, recurrent_kernel_size=1, padding="same", activation="leaky_relu")
    layer.build(SHAPE)
    assert not numbers(layer.cell.flow_kernel).any()
    gru.build(SHAPE)
    kernel, recurrent, bias = layer.cell.kernel, layer.cell.recurrent_kernel, layer.cell.bias
    gru.set_weights([kernel, recurrent[..., :2, :] + recurrent[..., 2:, :], bias])
    x = clip(*SHAPE)
    np.testing.assert_allclose(numbers(layer(x))[:, -1], numbers(gru(x)), atol=1e-6)


def test_channels_first_runs_everywhere() -> None:
    last = made(3, return_state=True)
    first = TrajGRU2D.from_config({**last.get_config(), "data_format": "channels_first"})
    x, state = clip(*SHAPE), clip(2, 5, 4, 3)
    near_paths(last)
    first.build(np.moveaxis(x, -1, 2).shape)
    first.set_weights(last.get_weights())
    found = first(np.moveaxis(x, -1, 2), initial_state=[np.moveaxis(state, -1, 1)])
    for one, other in zip(found, last(x, initial_state=[state]), strict=True):
        np.testing.assert_allclose(np.moveaxis(numbers(one), -3, -1), numbers(other), atol=1e-6)
    assert [tuple(one.shape) for one in found] == list(first.compute_output_shape((2, 3, 2, 5, 4)))


def test_frame_by_frame_a_stateful_layer_gives_the_whole_sequence() -> None:
    whole, steps = made(), made(return_sequences=False, stateful=True)
    near_paths(whole)
    near_paths(steps, (2, 1, *SHAPE[2:]))
    x = clip(*SHAPE)
    for _ in range(2):
        outputs = [numbers(steps(x[:, at : at + 1])) for at in range(SHAPE[1])]
        np.testing.assert_allclose(np.stack(outputs, 1), numbers(whole(x)), atol=1e-6)
        steps.reset_state()


def test_a_sequence_in_two_parts_and_from_its_end() -> None:
    layer, backward = made(return_state=True), made(go_backwards=True)
    near_paths(layer)
    near_paths(backward)
    x = clip(*SHAPE)
    whole, last = layer(x)
    _, half = layer(x[:, :2])
    np.testing.assert_allclose(numbers(layer(x[:, 2:], initial_state=[half])[1]), numbers(last), atol=1e-6)
    np.testing.assert_allclose(numbers(backward(x[:, ::-1])), numbers(whole), atol=1e-6)


def test_a_long_sequence_of_large_frames_is_convolved_step_by_step(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = made()
    near_paths(layer)
    expected = numbers(layer(clip(*SHAPE)))
    monkeypatch.setattr(conv_recurrent, "LARGEST_PROJECTION", 3 * 5 * 4 * (3 * 2 + 2) - 1)
    assert not layer._fits(3, SHAPE[2:])
    np.testing.assert_allclose(numbers(layer(clip(*SHAPE))), expected, atol=1e-6)


def test_an_open_number_of_steps_and_a_mask() -> None:
    frames = keras.Input((None, *SHAPE[2:]))
    layer = made()
    model = keras.Model(frames, layer(frames))
    near_paths(layer)
    x = clip(*SHAPE)
    np.testing.assert_allclose(model.predict(x[:, :1], verbose=0), numbers(layer(x))[:, :1], atol=1e-6)
    masked = numbers(layer(x, mask=np.array([[True, False, True]] * 2)))
    np.testing.assert_allclose(masked[:, 2], numbers(layer(x[:, [0, 2]]))[:, 1], atol=1e-6)


def test_half_precision_stays_near() -> None:
    full, half = made(), made(dtype="mixed_bfloat16")
    near_paths(full)
    near_paths(half)
    y = half(0.3 * clip(*SHAPE))
    assert keras.backend.standardize_dtype(y.dtype) == "bfloat16"
    np.testing.assert_allclose(numbers(keras.ops.cast(y, "float32")), numbers(full(0.3 * clip(*SHAPE))), atol=0.1)


def test_penalties() -> None:
    names = ("kernel", "recurrent", "bias", "activity")
    layer = made(**{f"{name}_regularizer": "l2" for name in names}, kernel_constraint="non_neg")
    layer.build(SHAPE)
    assert len(layer.losses) == 2 + 3 + 3
    layer(clip(*SHAPE))
    assert len(layer.losses) == 2 + 3 + 3 + 1


def test_wrong_arguments() -> None:
    with pytest.raises(ValueError, match="links: expected a positive whole number, got 0"):
        TrajGRU2D(2, 3, links=0)
    with pytest.raises(ValueError, match="flow_kernel_size: expected a positive whole number or a list of 2"):
        TrajGRU2D(2, 3, flow_kernel_size=[3])


SPEC: dict[str, Any] = {
    "specbuild": 1,
    "inputs": {"x": list(SHAPE[1:])},
    "layers": [
        {"id": "enc", "layer": "TrajGRU2D", "filters": 2, "kernel_size": 3, "links": 2},
        {"layer": "RepeatFrame", "from": "enc.last", "times": 2},
        {
            "id": "dec",
            "layer": "TrajGRU2D",
            "filters": 2,
            "kernel_size": 3,
            "links": 1,
            "flow_initializer": "glorot_uniform",
            "use_input": False,
            "initial_state": "enc",
            "return_sequences": True,
        },
    ],
}


def test_a_spec_with_passed_states_saved_and_loaded(tmp_path: Path) -> None:
    graph, model = build_graph(SPEC), build_model(SPEC)
    assert model.count_params() == sum(node.parameters for node in graph.nodes)
    x = clip(*SHAPE)
    loaded = saved_and_loaded(model, tmp_path)
    np.testing.assert_allclose(numbers(loaded(x)), numbers(model(x)), atol=1e-6)


def test_it_learns_its_paths() -> None:
    """From paths that lead nowhere: the gradient reaches them, and the loss falls."""
    frames = keras.Input(SHAPE[1:])
    layer = made()
    model = keras.Model(frames, layer(frames))
    model.compile(keras.optimizers.Adam(0.02), "mse", jit_compile=jit_compile())
    x, y = clip(*SHAPE), 0.1 * clip(*SHAPE, seed=1)
    losses = [float(model.train_on_batch(x, y)) for _ in range(3)]
    assert losses == sorted(losses, reverse=True)
    assert np.abs(numbers(layer.cell.flow_kernel)).max() > 0
