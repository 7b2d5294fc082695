"""Feedback as Keras computes it: against a loop written by hand, further than trained, with and without the truth."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from specbuild import build_graph, build_model
from specbuild.model import save
from specbuild.model.backend import keras
from specbuild.model.layers import autoregressive

layers = keras.layers
Floats = npt.NDArray[Any]

SPEC = """specbuild: 1
vars: {past: 3, horizon: 3}
inputs: {rain: [$past, 6, 6, 1]}
layers:
  - id: forecast
    autoregressive:
      horizon: $horizon
      do:
        - {id: one, layer: ConvLSTM2D, filters: 2, kernel_size: 3, padding: same}
        - {id: two, layer: ConvLSTM2D, filters: 2, kernel_size: 3, padding: same}
        - {id: head, time_distributed: {layer: Conv2D, filters: 1, kernel_size: 1}}
"""
SETTINGS = "layers.forecast.autoregressive"
RAIN = np.random.default_rng(5).normal(size=(2, 3, 6, 6, 1)).astype("float32")
TRUTH = np.random.default_rng(6).normal(size=(2, 3, 6, 6, 1)).astype("float32")


EAGER = keras.backend.backend() == "tensorflow"
"""Where a few steps take less time than their compilation."""


def model(teacher: bool = False, **settings: Any) -> Any:
    """The model of SPEC with settings of its node, and the weights that it always has here."""
    overrides = {f"{SETTINGS}.{name}": value for name, value in settings.items() if name not in ("past", "horizon")}
    overrides |= {f"vars.{name}": value for name, value in settings.items() if name in ("past", "horizon")}
    made = build_model(SPEC, overrides=overrides, teacher=teacher)
    generator = np.random.default_rng(1)
    made.set_weights([generator.normal(scale=0.5, size=one.shape) for one in made.get_weights()])
    return made


def run(made: Any, *inputs: Floats, training: bool = False) -> Floats:
    given = list(inputs) if len(inputs) > 1 else inputs[0]
    return np.asarray(keras.ops.convert_to_numpy(made(given, training=training)))


def by_hand() -> Any:
    """The same with Keras layers, every step written out."""
    one, two = (layers.ConvLSTM2D(2, 3, padding="same", return_sequences=True, return_state=True) for _ in range(2))
    head = layers.TimeDistributed(layers.Conv2D(1, 1))
    x = frames = keras.Input((3, 6, 6, 1))
    first: Any = None
    second: Any = None
    forecasts = []
    for _ in range(3):
        hidden, *first = one(frames, initial_state=first)
        hidden, *second = two(hidden, initial_state=second)
        frames = head(hidden)[:, -1:]
        forecasts.append(frames)
    return keras.Model(x, layers.Concatenate(axis=1)(forecasts))


def after_a_step(made: Any) -> list[Floats]:
    """The weights after one step of gradient descent, which show the gradient."""
    made.compile(keras.optimizers.SGD(1.0), "mse", run_eagerly=EAGER, jit_compile="auto")
    made.train_on_batch(RAIN, TRUTH)
    return list(made.get_weights())


@pytest.mark.parametrize("way", ["written out", "looped", "remat"])
def test_outputs_and_gradients_are_those_of_a_loop_by_hand(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if way == "looped":
        monkeypatch.setattr(autoregressive, "LONGEST_UNROLLED", 0)
    ours, theirs = model(remat=way == "remat"), by_hand()
    theirs.set_weights(ours.get_weights())
    np.testing.assert_allclose(run(ours, RAIN), run(theirs, RAIN), atol=1e-6)
    for got, wanted in zip(after_a_step(ours), after_a_step(theirs), strict=True):
        np.testing.assert_allclose(got, wanted, atol=2e-6)


def test_every_step_can_be_given() -> None:
    every, ahead = run(model(give="all"), RAIN), run(model(), RAIN)
    assert every.shape == (2, 5, 6, 6, 1)
    np.testing.assert_array_equal(every[:, 2:], ahead)
    np.testing.assert_allclose(every[:, 1:2], run(model(past=2, horizon=1), RAIN[:, :2]), atol=1e-6)


def test_a_longer_horizon_begins_with_the_same_frames() -> None:
    near, far = model(), model(horizon=9)
    far.set_weights(near.get_weights())
    np.testing.assert_array_equal(run(far, RAIN)[:, :3], run(near, RAIN))
    assert far.count_params() == near.count_params() == build_graph(SPEC).parameters


def test_the_frames_given_are_read_one_by_one_as_at_once() -> None:
    """Feedback from the true frames is the same as reading them at first."""
    taught = model(teacher=True, sampling={"schedule": "constant"})
    whole = model(past=5, horizon=1, give="all")
    frames = np.concatenate([RAIN, TRUTH[:, :2]], axis=1)
    np.testing.assert_allclose(run(taught, RAIN, TRUTH, training=True), run(whole, frames)[:, 2:], atol=1e-6)


def test_one_frame_given_needs_no_state() -> None:
    text = SPEC.replace("past: 3", "past: 1").split("        - {id: one")[0] + (
        "        - residual:\n"
        "            - {id: head, time_distributed: {layer: Conv2D, filters: 1, kernel_size: 3, padding: same}}\n"
    )
    made, head = build_model(text), layers.Conv2D(1, 3, padding="same")
    frame = RAIN[:, :1]
    expected = [frame[:, 0]]
    head.build(expected[0].shape)
    made.set_weights(head.get_weights())
    for _ in range(3):
        expected.append(expected[-1] + keras.ops.convert_to_numpy(head(expected[-1])))
    np.testing.assert_allclose(run(made, frame), np.stack(expected[1:], axis=1), rtol=1e-5, atol=1e-5)


def test_with_probability_0_the_truth_is_not_read() -> None:
    free = model(teacher=True, sampling={"schedule": "constant", "start": 0})
    np.testing.assert_allclose(run(free, RAIN, TRUTH, training=True), run(model(), RAIN), atol=1e-6)


def test_outside_of_training_the_truth_cannot_enter() -> None:
    taught = model(teacher=True, sampling={"schedule": "constant"})
    nothing = np.full_like(TRUTH, np.nan)
    np.testing.assert_array_equal(run(taught, RAIN, nothing), run(model(), RAIN))
    assert [one.name for one in taught.inputs] == ["rain", "forecast_teacher"]
    assert len(model(sampling={"schedule": "constant"}).inputs) == 1


def test_each_sample_and_step_draws_for_itself() -> None:
    taught = model(teacher=True, sampling={"schedule": "constant", "start": 0.5})
    copies = np.repeat(RAIN[:1], 64, axis=0), np.repeat(TRUTH[:1], 64, axis=0)
    given = run(taught, *copies, training=True).reshape(64, 3, -1)
    first, second, third = (len(np.unique(given[:, step].round(5), axis=0)) for step in range(3))
    assert (first, second, third) == (1, 2, 4)


@pytest.mark.parametrize(
    ("schedule", "wanted"),
    [
        ({"schedule": "linear", "steps": 4}, [1, 0.75, 0.5, 0.25, 0, 0]),
        ({"schedule": "linear", "steps": 2, "start": 0.8, "end": 0.2}, [0.8, 0.5, 0.2, 0.2, 0.2, 0.2]),
        ({"schedule": "exponential", "k": 0.5}, [1, 0.5, 0.25, 0.125, 0.0625, 0.03125]),
        ({"schedule": "inverse_sigmoid", "k": 2.0}, [2 / (2 + np.exp(i / 2)) for i in range(6)]),
        ({"schedule": "constant", "start": 0.3}, [0.3] * 6),
    ],
)
def test_schedule(schedule: dict[str, Any], wanted: list[float]) -> None:
    layer = model(sampling=schedule).get_layer("forecast")
    found = [float(keras.ops.convert_to_numpy(layer.probability(i))) for i in range(6)]
    np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_training_counts_its_iterations_and_the_file_keeps_them(tmp_path: Path) -> None:
    taught = model(teacher=True, sampling={"steps": 2})
    given = [run(taught, RAIN, TRUTH, training=True) for _ in range(3)]
    np.testing.assert_allclose(given[2], run(model(), RAIN), atol=1e-6)
    assert np.abs(given[0] - given[2]).max() > 1e-3
    run(taught, RAIN, TRUTH)
    assert iterations(taught) == 3
    assert taught.count_params() == build_graph(SPEC).parameters
    save(taught, tmp_path / "taught.keras")
    assert iterations(keras.models.load_model(tmp_path / "taught.keras")) == 3
    alone = model(sampling={"steps": 2})
    alone.load_weights(tmp_path / "taught.keras")
    assert iterations(alone) == 3
    np.testing.assert_array_equal(run(alone, RAIN), run(taught, RAIN, TRUTH))


def iterations(made: Any) -> int:
    return int(keras.ops.convert_to_numpy(made.get_layer("forecast").seed_generator.state)[1])


def test_a_saved_model_gives_the_same_in_another_process(tmp_path: Path) -> None:
    made = model()
    save(made, tmp_path / "model.keras")
    np.savez(tmp_path / "frames.npz", x=RAIN, y=run(made, RAIN))
    code = (
        "import numpy, specbuild.model\n"
        "from specbuild.model.backend import keras\n"
        f"model = keras.models.load_model({str(tmp_path / 'model.keras')!r})\n"
        f"file = numpy.load({str(tmp_path / 'frames.npz')!r})\n"
        "inner = model.get_layer('forecast').body.layers\n"
        "assert [type(one).__module__.split('.')[0] for one in inner if 'ConvLSTM' in type(one).__name__] == "
        "['specbuild'] * 2\n"
        "numpy.testing.assert_array_equal(keras.ops.convert_to_numpy(model(file['x'])), file['y'])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "body",
    [
        "[{layer: LSTM, units: 3}, {layer: GRU, units: 2}, {layer: Dense, units: 4}]",
        "[{residual: [{layer: GRU, units: 4}]}, {layer: BatchNormalization}, {layer: Dropout, rate: 0.1}]",
    ],
    ids=["vectors", "statistics and noise"],
)
def test_other_bodies_train(body: str) -> None:
    """Every weight is trained; with the same seed the losses of training are the same, dropout included."""
    text = f"specbuild: 1\ninputs: {{x: [3, 4]}}\nlayers:\n  - {{id: f, autoregressive: {{horizon: 3, do: {body}}}}}\n"
    x, y = (np.random.default_rng(seed).normal(size=(8, 3, 4)).astype("float32") for seed in (1, 2))

    def trained() -> tuple[list[float], list[np.ndarray], list[np.ndarray]]:
        keras.utils.set_random_seed(7)
        model = build_model(text)
        model.compile(keras.optimizers.Adam(0.02), "mse", run_eagerly=EAGER, jit_compile="auto")
        before = [np.array(weight) for weight in model.get_weights()]
        return [float(np.ravel(model.train_on_batch(x, y))[0]) for _ in range(4)], before, model.get_weights()

    losses, before, after = trained()
    assert np.isfinite(losses).all()
    assert all(np.abs(a - b).max() > 0 for a, b in zip(before, after, strict=True))
    assert trained()[0] == losses


def test_the_loss_of_a_body_without_noise_falls() -> None:
    body = "[{layer: LSTM, units: 3}, {layer: GRU, units: 2}, {layer: Dense, units: 4}]"
    text = f"specbuild: 1\ninputs: {{x: [3, 4]}}\nlayers:\n  - {{id: f, autoregressive: {{horizon: 3, do: {body}}}}}\n"
    x = np.random.default_rng(1).normal(size=(8, 3, 4)).astype("float32")
    model = build_model(text)
    model.compile(keras.optimizers.SGD(1e-2), "mse", run_eagerly=EAGER, jit_compile="auto")
    losses = [float(np.ravel(model.train_on_batch(x, np.ones_like(x)))[0]) for _ in range(4)]
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < losses[0]


def test_mixed_precision_gives_float32() -> None:
    made = build_model(SPEC, precision="mixed_bfloat16")
    body = made.get_layer("forecast").body
    assert {keras.backend.standardize_dtype(one.dtype) for one in body.outputs[1:]} == {"bfloat16"}
    given = made(RAIN)
    assert keras.backend.standardize_dtype(given.dtype) == "float32"


def test_one_node_read_twice_has_its_weights_once() -> None:
    text = SPEC.replace("{rain: [$past, 6, 6, 1]}", "{rain: [$past, 6, 6, 1], snow: [$past, 6, 6, 1]}")
    text = (
        text.replace("id: forecast", "id: forecast\n    from: rain") + "  - {id: other, reuse: forecast, from: snow}\n"
    )
    made = build_model(text + "outputs: [forecast, other]\n")
    first, second = (np.asarray(one) for one in made.predict_on_batch([RAIN, RAIN]))
    np.testing.assert_allclose(first, second, atol=1e-6)
    assert made.count_params() == build_graph(SPEC).parameters
