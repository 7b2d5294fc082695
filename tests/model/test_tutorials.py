"""What the tutorials of this field show, as specs: the shapes that they print and what they say of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from specbuild import build_graph, build_model
from specbuild.document import Report
from specbuild.graph import Graph, check
from specbuild.graph.summary import summarize
from specbuild.model.backend import keras
from tests.model.recurrences import numbers

FOLDER = Path(__file__).parents[2] / "specs" / "tutorials"


@dataclass(frozen=True)
class Shown:
    """What a tutorial prints: its batch size and the shapes of the outputs, by the name that the model gives them.

    `smaller` are the overrides, and `run` the batch size, under which the test computes where the original is large.
    """

    batch: int
    outputs: dict[str, tuple[int | None, ...]]
    smaller: dict[str, Any] = field(default_factory=dict)
    run: int | None = None


def every_layer(sequence: tuple[int, ...], state: tuple[int, ...], axis: int) -> dict[str, tuple[int | None, ...]]:
    """The shapes of three layers of 16, 16 and 30 filters; `axis` is where the channels stand in a state."""
    shapes: dict[str, tuple[int | None, ...]] = {}
    for layer, filters in enumerate((16, 16, 30)):
        frame = (*state[:axis], filters, *state[axis:])
        shapes[f"layer{layer}"] = (*sequence, *frame)
        shapes[f"layer{layer}_h"] = shapes[f"layer{layer}_c"] = frame
    return shapes


def both_ways(*lead: int) -> dict[str, tuple[int | None, ...]]:
    """The shapes of the outputs of two directions with 12 filters, joined and as a pair."""
    return {"both": (*lead, 24), "forward": (*lead, 12), "backward": (*lead, 12)}


SHOWN: dict[str, Shown] = {
    "stacked_valid": Shown(4, {"one": (6, 26, 26, 1), "two": (6, 22, 22, 2), "three": (6, 18, 18, 3)}),
    "stacked_valid_channels_first": Shown(4, {"one": (6, 1, 26, 26), "two": (6, 2, 22, 22), "three": (6, 3, 18, 18)}),
    "return_state": Shown(4, {"output": (26, 26, 1), "h": (26, 26, 1), "c": (26, 26, 1)}),
    "return_state_channels_first": Shown(4, {"output": (1, 26, 26), "h": (1, 26, 26), "c": (1, 26, 26)}),
    "per_frame_conv": Shown(4, {"memory": (6, 252, 252, 1)}, run=1),
    "per_frame_conv_by_hand": Shown(4, {"memory": (6, 252, 252, 1)}, run=1),
    "encoder_decoder": Shown(32, {"map": (32, 32, 1)}, run=2),
    "channels_first": Shown(64, {"h": (30, 64, 64)}, run=1),
    "channels_last": Shown(64, {"h": (64, 64, 30)}, run=1),
    "all_states": Shown(64, every_layer((20,), (64, 64), 0), {"vars.frames": 3}, run=1),
    "all_states_channels_last": Shown(64, every_layer((20,), (64, 64), 2), {"vars.frames": 3}, run=1),
    "line_bidirectional": Shown(32, both_ways(100, 100), {"vars.steps": 10}, run=2),
    "volume_bidirectional": Shown(32, both_ways(100, 50, 50, 50), {"vars.steps": 2}, run=1),
    "long_clip": Shown(32, {"memory": (100, 640, 480, 12)}, {"vars.frames": 2}, run=1),
    "long_clip_gru": Shown(32, {"memory": (100, 640, 480, 12)}, {"vars.frames": 2}, run=1),
    "stateful": Shown(2, {"output": (10, 10, 3), "h": (10, 10, 3)}),
    "regularized": Shown(2, {"memory": (6, 6, 2)}),
    "next_frame": Shown(4, {"next": (40, 40, 1)}),
    "frames_to_frames": Shown(4, {"frames": (10, 40, 40, 1)}),
    "memory_as_features": Shown(4, {"map": (40, 40, 8), "class": (5,)}),
}
"""Every spec of the folder. Keras gives all of these shapes; clips of 100 steps are computed with 2 or 10 of them."""

WARNED = {"stacked_valid", "stacked_valid_channels_first"}
"""Tutorials with relu inside the recurrence."""
OPEN_LENGTH = 5
"""Steps given to a model whose inputs are of any length."""

tutorials = pytest.mark.parametrize("name", SHOWN)


def spec(name: str) -> Path:
    return FOLDER / f"{name}.yaml"


def frames(graph: Graph, batch: int) -> Any:
    """Random numbers for every input; a list where there are several."""
    rng = np.random.default_rng(0)
    shapes = [(batch, *(OPEN_LENGTH if length is None else length for length in one.shape)) for one in graph.inputs]
    given = [rng.normal(size=shape).astype("float32") for shape in shapes]
    return given if len(given) > 1 else given[0]


def named(model: Any, results: Any) -> dict[str, Any]:
    """A model's results by output, as arrays where they have values."""
    if not isinstance(results, dict):
        results = dict(zip(model.output_names, [results] if len(model.outputs) == 1 else results, strict=True))
    return {name: one if isinstance(one, keras.KerasTensor) else numbers(one) for name, one in results.items()}


def test_every_tutorial_has_its_shapes_here() -> None:
    assert {path.stem for path in FOLDER.glob("*.yaml")} == set(SHOWN)


@tutorials
def test_check_has_nothing_to_say(name: str) -> None:
    report = Report()
    check(spec(name), report=report)
    assert {one.code for one in report} == ({"unbounded-recurrence"} if name in WARNED else set())


@tutorials
def test_the_summary_shows_the_shapes(name: str) -> None:
    shown, graph = SHOWN[name], build_graph(spec(name))
    assert {one.name: one.shape for one in graph.outputs} == shown.outputs
    rows = {row.id: row for row in summarize(graph, batch=shown.batch).rows}
    for one in graph.outputs:
        row = rows[one.port.node]
        assert one.shape in (row.shape, *row.state.values())


@tutorials
def test_keras_gives_them_for_the_batch_shown(name: str) -> None:
    shown, graph = SHOWN[name], build_graph(spec(name))
    model = build_model(graph)
    weights = [weight.shape for node in graph.nodes for weight in node.weights]
    assert sorted(tuple(one.shape) for one in model.weights if "seed" not in one.path) == sorted(weights)
    given = [keras.KerasTensor((shown.batch, *(n or OPEN_LENGTH for n in one.shape[1:]))) for one in model.inputs]
    results = named(model, model(given if len(given) > 1 else given[0]))
    assert {key: tuple(one.shape) for key, one in results.items()} == {
        key: (shown.batch, *shape) for key, shape in shown.outputs.items()
    }


@tutorials
def test_keras_computes_them(name: str) -> None:
    shown = SHOWN[name]
    graph = build_graph(spec(name), overrides=shown.smaller)
    model, batch = build_model(graph), shown.run or shown.batch
    results = named(model, model(frames(graph, batch)))
    assert {key: one.shape for key, one in results.items()} == {one.name: (batch, *one.shape) for one in graph.outputs}
    assert all(np.isfinite(one).all() for one in results.values())


# What they say


def test_the_output_is_h() -> None:
    for name in ("return_state", "return_state_channels_first"):
        graph = build_graph(spec(name))
        model = build_model(graph)
        results = named(model, model(frames(graph, 4)))
        np.testing.assert_array_equal(results["output"], results["h"])
        assert not np.allclose(results["output"], results["c"])


def test_channels_first_is_channels_last_turned() -> None:
    pairs = {
        "stacked_valid_channels_first": "stacked_valid",
        "return_state_channels_first": "return_state",
        "channels_first": "channels_last",
        "all_states": "all_states_channels_last",
    }
    for first, last in pairs.items():
        small = {"vars.frames": 3, "vars.size": 12} if first == "all_states" else {}
        graph = build_graph(spec(first), overrides=small)
        model, turned = build_model(graph), build_model(spec(last), overrides=small)
        turned.set_weights(model.get_weights())
        clip = frames(graph, 1)
        expected = named(turned, turned(np.moveaxis(clip, 2, -1)))
        for key, result in named(model, model(clip)).items():
            np.testing.assert_allclose(np.moveaxis(result, -3, -1), expected[key], atol=2e-6)


def test_a_convolution_on_every_frame_is_split_convolve_stack() -> None:
    graph = build_graph(spec("per_frame_conv"))
    model, by_hand = build_model(graph), build_model(spec("per_frame_conv_by_hand"))
    by_hand.set_weights(model.get_weights())
    clip = frames(graph, 1)
    np.testing.assert_allclose(by_hand(clip), model(clip), atol=1e-6)


def test_the_encoder_decoder_trains() -> None:
    model = build_model(spec("encoder_decoder"))
    model.compile(optimizer="adam", loss="mse")
    rng = np.random.default_rng(0)
    x = [rng.normal(size=(32, 5, 32, 32, channels)).astype("float32") for channels in (3, 4)]
    y = rng.uniform(size=(32, 32, 32, 1)).astype("float32")
    losses = [float(model.train_on_batch(x, y)) for _ in range(3)]
    assert losses == sorted(losses, reverse=True)


def test_the_encoder_decoder_takes_lengths_of_their_own() -> None:
    model = build_model(spec("encoder_decoder"), overrides={"vars.size": 8, "vars.filters": 2})
    rng = np.random.default_rng(0)
    result = model([rng.normal(size=(1, 7, 8, 8, 3)), rng.normal(size=(1, 3, 8, 8, 4))])
    assert tuple(result.shape) == (1, 8, 8, 1)


def test_a_stateful_layer_remembers_until_it_is_reset() -> None:
    graph = build_graph(spec("stateful"))
    model = build_model(graph)
    model.compile(optimizer="sgd", loss="mse")
    clip = frames(graph, 2)
    target = np.zeros((2, 10, 10, 3), "float32")
    model.train_on_batch(clip, {"output": target, "h": target})
    memory = model.get_layer("memory")
    memory.reset_states()
    first = model.predict(clip, batch_size=2, verbose=0)
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(memory.states[0]), first["h"])
    second = model.predict(clip, batch_size=2, verbose=0)
    assert not np.allclose(first["output"], second["output"])
    memory.reset_states()
    np.testing.assert_array_equal(model.predict(clip, batch_size=2, verbose=0)["output"], first["output"])


def test_three_losses_of_weights_and_one_of_the_output() -> None:
    graph = build_graph(spec("regularized"))
    memory = build_model(graph).get_layer("memory")
    layer = type(memory).from_config(memory.get_config())
    layer.build((None, *graph.inputs[0].shape))
    assert len(layer.losses) == 3
    layer(frames(graph, 2))
    assert len(layer.losses) == 4
    constraints = [layer.cell.kernel_constraint, layer.cell.recurrent_constraint, layer.cell.bias_constraint]
    assert all(isinstance(one, keras.constraints.MaxNorm) for one in constraints)


def test_every_layer_gives_its_states_on_request() -> None:
    graph = build_graph(spec("all_states"), overrides={"vars.frames": 3, "vars.size": 12})
    model = build_model(graph)
    results = named(model, model(frames(graph, 1)))
    for layer in range(3):
        np.testing.assert_array_equal(results[f"layer{layer}"][:, -1], results[f"layer{layer}_h"])


def test_the_parameters_of_the_long_clip() -> None:
    """Peepholes of every pixel; a kernel of input and state for each gate; gains and offsets of each normalization."""
    lstm, gru = build_graph(spec("long_clip")), build_graph(spec("long_clip_gru"))
    assert lstm.parameters == 3 * 640 * 480 * 12 + 9 * (3 + 12) * 4 * 12 + 5 * 2 * 12 == 11_065_800
    assert gru.parameters == 9 * (3 + 12) * 3 * 12 + 3 * 2 * 12 == 4_932
    plain = build_graph(spec("long_clip"), overrides={"vars.peephole": "none", "vars.normalization": "none"})
    assert plain.parameters == 9 * (3 + 12) * 4 * 12 + 4 * 12


def test_the_pair_of_directions_is_in_the_order_of_the_input() -> None:
    graph = build_graph(spec("line_bidirectional"), overrides={"vars.steps": 4, "vars.size": 6})
    model = build_model(graph)
    x = frames(graph, 2)
    results = named(model, model(x))
    layers = model.get_layer("both")
    np.testing.assert_allclose(results["forward"], numbers(layers.forward_layer(x)), atol=1e-6)
    np.testing.assert_allclose(results["backward"], numbers(layers.backward_layer(x))[:, ::-1], atol=1e-6)
    np.testing.assert_array_equal(np.concatenate([results["forward"], results["backward"]], -1), results["both"])


def test_the_volume_is_the_tensorflow1_cell() -> None:
    both = build_model(
        spec("volume_bidirectional"), overrides={"vars.steps": 2, "vars.normalization": "none"}
    ).get_layer("both")
    for layer in (both.forward_layer, both.backward_layer):
        assert layer.get_config()["reset_after"] is False
        bias = keras.ops.convert_to_numpy(next(w for w in layer.weights if w.name == "bias"))
        np.testing.assert_array_equal(bias, np.repeat([1, 1, 0], 12))
