"""The memory of a training step, from the graph alone."""

from __future__ import annotations

import pytest

from specbuild.catalog.objects import keras_object
from specbuild.catalog.optimizers import slots
from specbuild.graph import build_graph
from specbuild.graph.memory import StepMemory, step_memory

SPEC = """\
specbuild: 1
inputs: {x: [4, 6, 3]}
layers: [{layer: Conv2D, filters: 5, kernel_size: 3, padding: same}]
train: {optimizer: adam}
"""
WEIGHTS = 3 * 3 * 3 * 5 + 5


def test_a_step_is_the_sum_of_its_parts() -> None:
    memory = step_memory(build_graph(SPEC), 2)
    kept, batch = 4 * 3 * WEIGHTS, 4 * 2 * 24 * (3 + 5)
    output = 4 * 2 * 24 * 5
    assert memory == StepMemory(2, kept, 4 * WEIGHTS, batch, activations=output, trained=output, passing=4 * output)
    assert memory.bytes == kept + 4 * WEIGHTS + batch + 5 * 960
    assert kept + batch < memory.least < memory.bytes < memory.most


def test_before_the_first_trained_weights_nothing_has_to_be_kept() -> None:
    frozen = SPEC.replace("padding: same}]", "padding: same, trainable: false}, {layer: Dense, units: 2}]")
    memory = step_memory(build_graph(frozen), 2)
    assert memory is not None
    assert (memory.activations, memory.trained) == (4 * 2 * 24 * 7, 4 * 2 * 24 * 2)
    assert memory.least == memory.kept + memory.batch + memory.trained // 5


def test_in_bfloat16_activations_are_half_as_large() -> None:
    whole, half = (step_memory(build_graph(SPEC), 2, bytes_per_number=number) for number in (4, 2))
    assert whole is not None
    assert half is not None
    assert 2 * half.activations == whole.activations
    assert half.kept == whole.kept


def test_remat_takes_less() -> None:
    layer = "layer: ConvLSTM2D, filters: 4, kernel_size: 3, padding: same, return_sequences: true"
    text = f"specbuild: 1\ninputs: {{x: [16, 8, 8, 1]}}\nlayers: [{{{layer}, remat: false}}]\n"
    plain, less = (step_memory(build_graph(each), 1) for each in (text, text.replace("false", "true")))
    assert plain is not None
    assert less is not None
    assert 2 * less.activations < plain.activations


def test_a_length_that_is_open_leaves_it_unknown() -> None:
    assert step_memory(build_graph(SPEC.replace("[4, 6, 3]", "[null, 6, 3]")), 2) is None


@pytest.mark.parametrize(
    ("optimizer", "numbers"),
    [
        ("sgd", 0),
        ({"name": "SGD", "momentum": 0.9}, 1),
        ({"name": "SGD", "momentum": 0.9, "use_ema": True}, 2),
        ({"name": "SGD", "gradient_accumulation_steps": 4}, 1),
        ("rmsprop", 1),
        ({"name": "RMSprop", "momentum": 0.9, "centered": True}, 3),
        ("Adam", 2),
        ({"name": "AdamW", "amsgrad": True}, 3),
        ({"name": "LossScaleOptimizer", "inner_optimizer": "Lion"}, 1),
        ("mine>Optimizer", 0),
    ],
)
def test_what_optimizers_keep(optimizer: object, numbers: int) -> None:
    assert slots(keras_object("optimizers", optimizer)) == numbers
