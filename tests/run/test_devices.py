"""Several devices share each step: two made of the processor. What a run learns does not depend on their number."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from specbuild.document import RunError, SpecError
from specbuild.language import load_spec
from specbuild.model import backend
from specbuild.model.backend import backend_name, keras
from specbuild.runs import checkpoint
from specbuild.training import Run, train
from specbuild.training import devices as devices_module
from specbuild.training.devices import chosen
from tests.backends import not_on_jax, passes_on_jax
from tests.run.conftest import blobs

TF = backend_name() == "tensorflow"
SPEC = """\
specbuild: 1
name: shared
inputs: {rain: [2, 12, 12, 1]}
layers:
  - {time_distributed: {layer: Conv2D, filters: 3, kernel_size: 3, padding: same, use_bias: false}}
  - {layer: BatchNormalization}
  - {layer: ConvLSTM2D, filters: 2, kernel_size: 3, padding: same, remat: true, return_sequences: true}
  - {layer: Dropout, rate: %s}
  - {id: near, time_distributed: {layer: Conv2D, filters: 1, kernel_size: 1}}
  - {id: far, time_distributed: {layer: Conv2D, filters: 1, kernel_size: 1}, from: near}
outputs: {near: near, far: far}
data:
  source: {path: blobs.npy, layout: T H W}
  windows: {past: 2, future: 2}
  split: {train: 0.5, validation: 0.3}
  transform: [standardize]
  targets: {near: future, far: future}
train:
  loss: {near: mse, far: mae}
  lead_weights: {near: [1, 2]}
  metrics: {near: [mae]}
  optimizer: {name: Adam, learning_rate: 0.01, global_clipnorm: 0.1, use_ema: true}
  epochs: 2
  batch_size: 4
"""


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """A spec whose last batches have 1 window of 4, and whose data are missing in places."""
    rain = blobs(48)
    rain[::3, :4] = np.nan
    np.save(tmp_path / "blobs.npy", rain)
    (tmp_path / "shared.yaml").write_text(SPEC % (0 if TF else 0.2), encoding="utf-8")
    return tmp_path / "shared.yaml"


def learned(run: Run) -> dict[str, Any]:
    """The last weights, the state of the optimizer and the history."""
    last = keras.models.load_model(run.folder.checkpoint(len(run.history)), compile=True)
    values = [*last.variables, *last.optimizer.variables]
    rows = {f"{name} {row['epoch']:g}": value for row in run.history for name, value in row.items()}
    return rows | {f"variable {index}": keras.ops.convert_to_numpy(each) for index, each in enumerate(values)}


def test_two_devices_learn_what_one_learns(shared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two from the beginning, and two that continue after an epoch of one."""
    runs = shared.parent / "runs"
    alone = train(shared, out=runs, quiet=True)
    one = learned(alone)
    run = train(shared, out=runs, overrides=["train.devices=2"])
    others = [learned(run)]
    said = capsys.readouterr().out
    assert "on cpu:0, cpu:1, into" in said
    assert run.folder.manifest()["machine"]["device"] == "cpu:0, cpu:1"
    assert "\n4 windows per step, 2 on each of 2 devices\n" in said
    alone.folder.checkpoint(2).unlink()
    again, shares = ("[1, 0]", "2 on each of 2 devices")
    if not TF:
        again, shares = ("{height: 2}", "4 on each of 2 devices, 1/2 of their height")
    others.append(learned(train(resume=alone.path, overrides=[f"train.devices={again}"])))
    assert f"\n4 windows per step, {shares}\n" in capsys.readouterr().out
    for other in others:
        assert one.keys() == other.keys()
        for name, value in one.items():
            np.testing.assert_allclose(other[name], value, rtol=1e-4, atol=1e-6, err_msg=name)


@not_on_jax
def test_row_by_row_equals_all_rows_at_once() -> None:
    """What layers give, lose and learn, in parts of 3 and 2 rows and in one part of 5, and of 1 and 0 rows."""
    import tensorflow as tf

    from specbuild.training.divided import Divided

    layers = keras.layers
    frames, month = keras.Input((4, 6, 2), name="frames"), keras.Input((), dtype="int32", name="month")
    masked = layers.Masking()(layers.Reshape((4, 12))(frames))
    x = layers.LSTM(5, return_sequences=True, activity_regularizer="l2")(masked)
    x = layers.BatchNormalization(momentum=0.5)(x)
    x = layers.Add()([x, layers.Reshape((1, 5))(layers.Embedding(12, 5)(month))])
    x = layers.SpectralNormalization(layers.Dense(3, kernel_regularizer="l2"))(x)
    y = layers.BatchNormalization(momentum=0.5)(layers.Conv2D(3, 1, use_bias=False)(frames))
    model = keras.Model([frames, month], {"x": x, "y": y})
    before = [np.array(each) for each in model.variables]
    given = [np.random.rand(5, 4, 6, 2).astype("float32"), np.arange(5, dtype="int32")]
    given[0][1, 2:] = 0  # masked

    def step(rows: int, call: Any) -> list[Any]:
        for variable, value in zip(model.variables, before, strict=True):
            variable.assign(value)
        model.call = call
        with tf.GradientTape() as tape:
            outputs = model([each[:rows] for each in given], training=True)
            loss = sum(tf.reduce_sum(tf.sin(each)) for each in outputs.values()) + sum(model.losses)
        gradients = tape.gradient(loss, [each.value for each in model.trainable_variables])
        return [*outputs.values(), loss, *map(tf.convert_to_tensor, gradients), *model.variables]

    whole, parts = model.call, Divided(model, ("cpu:0", "cpu:1"))
    for rows in (5, 1):
        expected = [np.array(each) for each in step(rows, whole)]
        for index, (value, each) in enumerate(zip(expected, step(rows, parts), strict=True)):
            np.testing.assert_allclose(each, value, rtol=1e-4, atol=1e-5, err_msg=f"{index} of {rows} rows")
    graph = tf.function(lambda: [tf.convert_to_tensor(each) for each in step(5, parts)]).get_concrete_function().graph
    backwards = [op.device[-5:] for op in graph.get_operations() if op.type == "Conv2DBackpropFilter"]
    assert sorted(backwards) == ["CPU:0", "CPU:1"]


@not_on_jax
def test_layers_of_one_device_alone_are_named(plain: Path) -> None:
    spec = load_spec(plain, overrides=["train.devices=2"])
    x = keras.Input((4, 6), batch_size=2)
    y = keras.layers.BatchNormalization()(keras.layers.LSTM(2, stateful=True, name="kept", return_sequences=True)(x))
    (note,) = chosen(spec).notes(keras.Model(x, y))
    assert note.startswith("kept: computed on cpu:0 alone in training")
    assert chosen(spec).notes(keras.Model(x, keras.layers.Dense(3)(x))) == []


@not_on_jax
def test_every_device_draws_its_own_noise() -> None:
    """Seeds change as on one device, so that a schedule by their count does, too."""
    from specbuild.training.divided import Divided

    x = keras.Input((50,))
    model = keras.Model(x, keras.layers.Dropout(0.5, seed=3)(x))
    model(np.ones((4, 50)), training=True)
    (one,) = (np.array(each) for each in checkpoint.seeds(model))
    model.layers[1].seed_generator.state.assign([3, 0])
    model.call = Divided(model, ("cpu:0", "cpu:1"))
    first = np.array(model(np.ones((4, 50)), training=True))
    (two,) = (np.array(each) for each in checkpoint.seeds(model))
    np.testing.assert_array_equal(one, two)
    assert (first[:2] != first[2:]).any()
    assert (first != np.array(model(np.ones((4, 50)), training=True))).any()


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["train.devices=3"], "train.devices asks for 3, and this machine has 2: cpu:0, cpu:1"),
        (["train.devices=[0, 5]"], "train.devices asks for [0, 5], and this machine has 2: cpu:0, cpu:1"),
        (["train.devices=2", "train.batch_size=1"], "2 devices are too many for a batch_size of 1"),
        (
            ["train.devices={batch: 2, height: 11}"],
            "{batch: 2, height: 11}, 22 devices, and this machine has 2",
        ),
        (["train.devices={height: 2}"], "a height of 11 pixels does not divide into 2 equal parts"),
    ],
)
def test_devices_that_cannot_be_had(plain: Path, overrides: list[str], said: str) -> None:
    shape = "inputs.rain=[2, 11, 12, 1]"
    np.save(plain.parent / "blobs.npy", blobs()[:, :11])
    with pytest.raises(SpecError) as caught:
        train(plain, out=plain.parent / "runs", overrides=[shape, *overrides], quiet=True)
    assert said in str(caught.value)
    assert "train.devices" in str(caught.value)
    assert not (plain.parent / "runs").exists()


@not_on_jax
def test_tensorflow_divides_no_height(plain: Path) -> None:
    with pytest.raises(SpecError, match="tensorflow does not divide the height of frames"):
        chosen(load_spec(plain, overrides=["train.devices={height: 2}"]))


def test_devices_of_a_processor_are_made_by_dividing_it(plain: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SpecError, match="leave devices out: there is no accelerator; SPECBUILD_CPU_DEVICES=6 divides"):
        chosen(load_spec(plain, overrides=["train.devices=[0, 5]"]))
    monkeypatch.setattr(devices_module, "has_accelerator", lambda: True)
    with pytest.raises(SpecError, match="write devices: auto, which uses all devices"):
        chosen(load_spec(plain, overrides=["train.devices=3"]))


def test_auto_takes_accelerators_alone(plain: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = load_spec(plain, overrides=["train.devices=auto"])
    assert chosen(spec).names == ("cpu:0",)
    monkeypatch.setattr(devices_module, "devices", lambda: ("gpu:0", "gpu:1", "gpu:2"))
    monkeypatch.setattr(devices_module, "has_accelerator", lambda: True)
    taken = chosen(spec)
    assert (taken.names, taken.per_device(8)) == (("gpu:0", "gpu:1", "gpu:2"), 3)
    assert taken.words(8) == "8 windows per step, at most 3 on each of 3 devices"
    monkeypatch.setattr(devices_module, "backend_name", lambda: "torch")
    with pytest.raises(SpecError, match="torch trains on one device"):
        chosen(spec)


def test_processor_is_divided_by_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(backend.CPU_DEVICES, "two")
    with pytest.raises(RunError, match="SPECBUILD_CPU_DEVICES is 'two', not a whole number from 1 to 64"):
        backend._divide_cpu()


@not_on_jax
def test_on_jax() -> None:
    passes_on_jax(__file__, "-k", "learn_what or cannot_be_had")
