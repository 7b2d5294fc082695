"""Covariates of feedback: read at the right step, before and after the last past frame, however it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from specbuild import build_graph, build_model, load_spec
from specbuild.model import save
from specbuild.model.backend import keras
from specbuild.model.importing import import_model
from specbuild.model.layers import autoregressive

layers = keras.layers
Floats = npt.NDArray[Any]
EAGER = keras.backend.backend() == "tensorflow"

SPEC = """specbuild: 1
inputs: {rain: [3, 6, 6, 1], uv: [6, 6, 6, 2], relief: [6, 6, 1]}
layers:
  - id: forecast
    from: rain
    autoregressive:
      horizon: 4
      covariates: {wind: uv}
      static: {height: relief}
      do:
        - {layer: Concatenate, from: [input, wind, height]}
        - {id: memory, layer: ConvLSTM2D, filters: 2, kernel_size: 3, padding: same}
        - {id: head, time_distributed: {layer: Conv2D, filters: 1, kernel_size: 1}}
"""
SETTINGS = "layers.forecast.autoregressive"
SHAPES = ((3, 6, 6, 1), (6, 6, 6, 2), (6, 6, 1))
GIVEN = [np.random.default_rng(seed).normal(size=(2, *shape)).astype("float32") for seed, shape in enumerate(SHAPES)]
TRUTH = np.random.default_rng(7).normal(size=(2, 4, 6, 6, 1)).astype("float32")


def model(text: str = SPEC, *, teacher: bool = False, **settings: Any) -> Any:
    """A model with reproducible weights."""
    overrides = {f"{SETTINGS}.{name}": value for name, value in settings.items()}
    made = build_model(text, overrides=overrides, teacher=teacher)
    generator = np.random.default_rng(1)
    made.set_weights([generator.normal(scale=0.5, size=weight.shape) for weight in made.get_weights()])
    return made


def with_layer(layer: str) -> str:
    """SPEC with a layer before its node."""
    return SPEC.replace("layers:\n", f"layers:\n  - {layer}\n")


def run(made: Any, *inputs: Floats, training: bool = False) -> Floats:
    return np.asarray(keras.ops.convert_to_numpy(made(list(inputs), training=training)))


def by_hand() -> Any:
    """The same with Keras layers, every step written out: step t reads frame t of the covariate."""
    memory = layers.ConvLSTM2D(2, 3, padding="same", return_sequences=True, return_state=True)
    head = layers.TimeDistributed(layers.Conv2D(1, 1))
    rain, wind, height = inputs = [keras.Input(shape) for shape in SHAPES]
    frames, state, forecasts = rain, None, []
    for first, after in ((0, 3), (3, 4), (4, 5), (5, 6)):
        map_ = layers.Concatenate(axis=1)([layers.Reshape((1, 6, 6, 1))(height)] * (after - first + 1))[:, 1:]
        hidden = layers.Concatenate()([frames, wind[:, first:after], map_])
        hidden, *state = memory(hidden, initial_state=state)
        frames = head(hidden)[:, -1:]
        forecasts.append(frames)
    return keras.Model(inputs, layers.Concatenate(axis=1)(forecasts))


def after_a_step(made: Any) -> list[Floats]:
    """The weights after one step of gradient descent, which show the gradient."""
    made.compile(keras.optimizers.SGD(1.0), "mse", run_eagerly=EAGER, jit_compile="auto")
    made.train_on_batch(GIVEN, TRUTH)
    return list(made.get_weights())


@pytest.mark.parametrize("way", ["written out", "looped", "remat"])
def test_outputs_and_gradients_are_those_of_a_loop_by_hand(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if way == "looped":
        monkeypatch.setattr(autoregressive, "LONGEST_UNROLLED", 0)
    ours, theirs = model(remat=way == "remat"), by_hand()
    theirs.set_weights(ours.get_weights())
    np.testing.assert_allclose(run(ours, *GIVEN), run(theirs, *GIVEN), atol=1e-5)
    for got, wanted in zip(after_a_step(ours), after_a_step(theirs), strict=True):
        np.testing.assert_allclose(got, wanted, atol=1e-5)


def test_its_receptive_field_is_all_inputs_but_no_future_covariate() -> None:
    (node,) = build_graph(SPEC, overrides={f"{SETTINGS}.give": "all"}).nodes
    rain, wind, height = node.layer.receptive_field(*SHAPES)
    assert [field.spans for field in (rain[0], wind[0]) if field is not None] == [
        ((0, 0), (0, 1), (0, 2), (0, 2), (0, 2), (0, 2)),
        ((0, 0), (0, 1), (0, 2), (0, 3), (0, 4), (0, 5)),
    ]
    assert [field.axis for field in height[:2] if field is not None] == [1, 2]


def test_only_the_steps_from_a_covariates_frame_on_depend_on_it() -> None:
    made, other = model(), GIVEN[1].copy()
    other[:, 4] += 1
    before, after = run(made, *GIVEN), run(made, GIVEN[0], other, GIVEN[2])
    changed = np.abs(before - after).max(axis=(0, 2, 3, 4)) > 0
    assert changed.tolist() == [False, False, True, True]


def test_scheduled_sampling_reads_true_frames_and_covariates() -> None:
    taught = model(teacher=True, sampling={"schedule": "constant"})
    frames = np.concatenate([GIVEN[0], TRUTH[:, :3]], axis=1)
    text = SPEC.replace("rain: [3,", "rain: [6,")
    whole = model(text, horizon=1, give="all")
    shown = run(taught, *GIVEN, TRUTH, training=True)
    np.testing.assert_allclose(shown, run(whole, frames, *GIVEN[1:])[:, 2:], atol=1e-5)
    taught.compile("sgd", "mse", run_eagerly=EAGER, jit_compile="auto")
    assert np.isfinite(taught.train_on_batch([*GIVEN, TRUTH], TRUTH))


def test_a_layer_before_a_covariate_is_trained() -> None:
    text = with_layer("{id: seen, from: uv, layer: ConvLSTM2D, filters: 2, kernel_size: 1}")
    text = text.replace("wind: uv", "wind: seen")
    made = model(text, remat=True)
    before = [np.array(weight) for weight in made.get_layer("seen").get_weights()]
    made.compile(keras.optimizers.SGD(1.0), "mse", run_eagerly=EAGER, jit_compile="auto")
    made.train_on_batch(GIVEN, TRUTH)
    for weight, old in zip(made.get_layer("seen").get_weights(), before, strict=True):
        assert np.abs(weight - old).max() > 0
    assert [str(port) for port in build_graph(text).nodes[1].inputs] == ["rain", "seen.sequence", "relief"]


def test_a_recurrent_node_is_static_by_its_last_step() -> None:
    text = with_layer("{id: seen, from: uv, layer: ConvLSTM2D, filters: 1, kernel_size: 1}")
    graph = build_graph(text.replace("height: relief", "height: seen"))
    assert [str(port) for port in graph.nodes[1].inputs] == ["rain", "uv", "seen.last"]


def test_whole_numbers_reach_an_embedding_exactly_in_half_precision() -> None:
    text = """specbuild: 1
inputs: {x: [2, 4], day: {shape: [4, 1], dtype: int32}}
layers:
  - id: forecast
    from: x
    autoregressive:
      horizon: 3
      covariates: {day: day}
      do:
        - {id: memory, layer: LSTM, units: 4}
        - id: season
          from: day
          time_distributed: [{layer: Embedding, input_dim: 400, output_dim: 4}, {layer: Flatten}]
        - {layer: Add, from: [memory, season]}
"""
    made = build_model(text, precision="mixed_bfloat16")
    x, day = np.zeros((1, 2, 4), "float32"), np.array([[[257], [258], [257], [258]]], "int32")
    seen = [run(made, x, np.where(day == 258, number, day)) for number in (258, 259, 260)]
    assert np.abs(seen[0] - seen[1]).max() > 0
    assert np.abs(seen[1] - seen[2]).max() > 0


def test_saved_and_imported_it_is_the_same(tmp_path: Path) -> None:
    made = model()
    save(made, tmp_path / "model.keras")
    wanted = run(made, *GIVEN)
    np.testing.assert_array_equal(run(keras.models.load_model(tmp_path / "model.keras"), *GIVEN), wanted)
    text = import_model(tmp_path / "model.keras").text
    assert "covariates: {wind: uv}\n      static: {height: relief}" in text
    again = build_model(text)
    again.load_weights(tmp_path / "model.keras")
    np.testing.assert_array_equal(run(again, *GIVEN), wanted)


def test_resolved_and_reused_it_reads_the_same() -> None:
    text = SPEC + "  - {id: again, reuse: forecast, from: [rain, uv, relief]}\noutputs: [forecast, again]\n"
    resolved = load_spec(text).resolved()
    assert load_spec(resolved).resolved() == resolved
    made = build_model(resolved)
    first, second = (np.asarray(part) for part in made.predict_on_batch(GIVEN))
    np.testing.assert_allclose(first, second, atol=1e-6)
    assert made.count_params() == build_graph(SPEC).parameters


def test_covariates_of_the_wrong_length_are_refused_when_the_layer_runs() -> None:
    text = SPEC.replace("rain: [3,", "rain: [null,").replace("uv: [6,", "uv: [null,")
    made = model(text)
    np.testing.assert_allclose(run(made, *GIVEN), run(model(), *GIVEN), atol=1e-6)
    with pytest.raises(ValueError, match=r"needs covariates of 3 frames given \+ horizon 4 - 1 frames, got 5"):
        run(made, GIVEN[0], GIVEN[1][:, 1:], GIVEN[2])
    made.compile(run_eagerly=False)
    with pytest.raises(Exception, match=r"reshape|covariates"):
        made.predict([GIVEN[0], GIVEN[1][:, 1:], GIVEN[2]], verbose=0)


def test_a_recurrence_inside_reads_them_step_by_step() -> None:
    text = """specbuild: 1
inputs: {x: [3, 4], wind: [5, 2], place: [3]}
layers:
  - id: forecast
    from: x
    autoregressive:
      horizon: 3
      covariates: {w: wind}
      static: {p: place}
      do:
        - id: memory
          recurrent:
            states: {h: 4}
            do: [{id: seen, layer: Concatenate, from: [input, w, p, h]}, {id: new, layer: Dense, units: 4}]
            next: {h: tanh(new)}
"""
    assert load_spec(load_spec(text).resolved()).resolved() == load_spec(text).resolved()
    made = build_model(text)
    x, wind, place = (
        np.random.default_rng(n).normal(size=(2, *s)).astype("float32") for n, s in enumerate(((3, 4), (5, 2), (3,)))
    )
    kernel, bias = (np.array(weight) for weight in made.get_weights())
    state, frame, forecasts = np.zeros((2, 4)), x[:, 0], []
    for step in range(5):
        frame = x[:, step] if step < 3 else state
        state = np.tanh(np.concatenate([frame, wind[:, step], place, state], axis=1) @ kernel + bias)
        forecasts.append(state)
    np.testing.assert_allclose(run(made, x, wind, place), np.stack(forecasts[2:], axis=1), atol=1e-5)
