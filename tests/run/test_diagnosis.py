"""Where the first number that is not finite comes from: a layer, the loss, a gradient, the data."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from specbuild.document import RunError
from specbuild.graph import build_graph
from specbuild.language import load_spec
from specbuild.model.backend import keras
from specbuild.model.build import build
from specbuild.runs.checkpoint import Position
from specbuild.training import train
from specbuild.training.diagnosis import Diverged, State, cause_in_training, cause_in_validation

TEXT = """\
specbuild: 1
inputs: {x: [4]}
layers:
  - {id: first, layer: Dense, units: 3}
  - {id: second, layer: Activation, activation: exponential}
  - {id: third, layer: Dense, units: 2}
"""


class Batches:
    """Batches of two samples, given as they are."""

    def __init__(self, *inputs: np.ndarray) -> None:
        self.inputs = inputs

    def __len__(self) -> int:
        return len(self.inputs)

    def numbers(self, epoch: int, index: int) -> list[int]:
        return [10 * epoch + index, 7]

    def batch(self, _epoch: int, index: int) -> tuple[np.ndarray, np.ndarray, None]:
        return self.inputs[index], np.zeros((2, 2), np.float32), None


GOOD = np.full((2, 4), 0.1, np.float32)


def model_of(rate: float = 0.01, scale: float = 1.0) -> keras.Model:
    keras.utils.set_random_seed(3)
    model = build(build_graph(load_spec(TEXT)))
    model.compile(keras.optimizers.SGD(rate), "mse", jit_compile=False)
    model.optimizer.build(model.trainable_variables)
    model.get_layer("first").kernel.assign(np.full((4, 3), scale, np.float32))
    return model


def cause(model: keras.Model, *inputs: np.ndarray) -> str:
    fault = Diverged("the loss became nan", "", Position(0, len(inputs)))
    return cause_in_training(model, Batches(*inputs), fault, Position(0))[0]


def test_a_layer_is_named_with_its_input_and_the_samples() -> None:
    found = cause(model_of(), GOOD, GOOD * 1e4, GOOD)
    assert found == (
        "the first number that is not finite comes out of second (Activation), whose input reaches 4e+03 in step 2, "
        "whose batch has the training samples 1, 7"
    )


def test_the_loss_is_named_where_all_layers_are_finite() -> None:
    found = cause(model_of(scale=1.5), GOOD * 77)
    assert re.match(r"every layer gives finite numbers, the output up to [\d.e+]+, but its loss is inf", found)


def test_a_gradient_is_named_where_the_loss_is_finite() -> None:
    model = model_of(scale=1.0)
    model.get_layer("third").kernel.assign(np.full((3, 2), 1e-37, np.float32))
    found = cause(model, np.full((2, 4), 22.0, np.float32))
    assert found.startswith("the loss and all outputs are finite, but the gradient of third/kernel is not in step 1")


def test_a_step_that_overflows_is_told_from_a_gradient() -> None:
    found = cause(model_of(rate=3e38), GOOD, GOOD)
    assert re.match(r"the gradients reach [\d.e+-]+, and the step of SGD overflows in step 1", found)


def test_data_that_are_not_finite_are_named() -> None:
    bad = GOOD.copy()
    bad[1, 2] = np.inf
    assert cause(model_of(), GOOD, bad).startswith("the input itself has 1 numbers that are not finite in step 2")
    assert cause_in_validation(model_of(), Batches(GOOD, bad)) == (
        "the input itself has 1 numbers that are not finite in batch 2 of validation"
    )


def test_a_search_that_would_take_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("specbuild.training.diagnosis.LONGEST", -1.0)
    assert cause(model_of(), GOOD, GOOD, GOOD) == "the cause was not traced: the last good weights are 3 steps back"


def test_a_state_is_put_back_whole() -> None:
    model = model_of()
    before = State.of(model)
    model.train_on_batch(GOOD, np.zeros((2, 2)))
    assert any(not np.array_equal(*pair) for pair in zip(before.values, State.of(model).values, strict=True))
    before.put_into(model)
    assert all(np.array_equal(*pair) for pair in zip(before.values, State.of(model).values, strict=True))


def test_the_weights_before_the_step_are_kept_where_there_is_no_checkpoint(plain: Path, tmp_path: Path) -> None:
    rate = "{name: PiecewiseConstantDecay, boundaries: [1], values: [0.01, 1e30]}"
    with pytest.raises(RunError) as error:
        train(plain, overrides=[f"train.optimizer.learning_rate={rate}"], out=tmp_path, quiet=True)
    (folder,) = tmp_path.glob("tiny-nowcast-*")
    assert f"the last good weights, before step 4, are in {folder}/last-good.keras" in error.value.help
    kept = keras.models.load_model(folder / "last-good.keras", compile=False)
    assert all(np.isfinite(weight).all() for weight in kept.get_weights())
    train(resume=folder, overrides=["train.optimizer.learning_rate=0.01", "train.epochs=1"], quiet=True)
    assert not (folder / "last-good.keras").exists()


def test_a_run_names_the_layer_and_keeps_the_last_good_weights(spec: Path, tmp_path: Path) -> None:
    overrides = ["layers.enc.activation=relu", "train.checkpoints={every: 2 steps}"]
    rate = "{name: ExponentialDecay, initial_learning_rate: 1e-3, decay_steps: 1, decay_rate: 1e10}"
    with pytest.raises(RunError) as error:
        train(spec, overrides=[*overrides, f"train.optimizer.learning_rate={rate}"], out=tmp_path, quiet=True)
    assert re.search(
        r"(the loss|the weights) .+ epoch 1, step \d+: .+ in step \d+, whose batch has the training samples \d",
        error.value.message,
    )
    assert re.search(r"comes out of (enc|dec|forecast) |the gradient of |overflows", error.value.message)
    (folder,) = tmp_path.glob("tiny-nowcast-*")
    assert "the last good weights, after step 2 in epoch 1, are in" in error.value.help
    assert (folder / "checkpoints" / "epoch-0001-step-000002.keras").is_file()
