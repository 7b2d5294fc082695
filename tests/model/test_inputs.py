"""Inputs of every kind: fixed batches, unknown lengths, whole numbers, and ones that nothing reads."""

from __future__ import annotations

import numpy as np
import pytest

from specbuild import SpecError, build_graph, build_model

CONV = "layer: ConvLSTM2D, filters: 2, kernel_size: 3, padding: same"


def spec(inputs: str, *layers: str, outputs: str = "") -> str:
    lines = "".join(f"  - {{{layer}}}\n" for layer in layers)
    return f"specbuild: 1\ninputs: {inputs}\nlayers:\n{lines}" + (f"outputs: {outputs}\n" if outputs else "")


def test_a_stateful_model_remembers_and_forgets() -> None:
    model = build_model(
        spec("{x: {shape: [3, 8, 8, 1], batch: 4}}", f"id: a, {CONV}, stateful: true", outputs="[a.last]")
    )
    assert model.input_shape == (4, 3, 8, 8, 1)
    x = np.random.default_rng(0).normal(size=(4, 3, 8, 8, 1)).astype("float32")
    first, second = model.predict(x, verbose=0), model.predict(x, verbose=0)
    assert not np.allclose(first, second)
    model.get_layer("a").reset_states()
    np.testing.assert_array_equal(model.predict(x, verbose=0), first)


def test_a_stateful_layer_needs_a_fixed_batch() -> None:
    with pytest.raises(SpecError) as caught:
        build_graph(spec("{x: [3, 8, 8, 1]}", f"id: a, {CONV}, stateful: true", outputs="[a.last]"))
    (error,) = caught.value.diagnostics
    assert error.message == "a stateful layer needs a fixed batch size"
    assert error.help == "write the input as x: {shape: [3, 8, 8, 1], batch: 4}"
    assert error.path == "layers.a.stateful"


def fault(text: str) -> tuple[str, str, str, str]:
    """Where the only error of a spec is, what it says, why, and what to write."""
    with pytest.raises(SpecError) as caught:
        build_graph(text)
    (error,) = caught.value.diagnostics
    return error.path, error.message, error.reason, error.help


GRU = "id: g, layer: GRU, from: m, units: 2, stateful: true"


def test_inputs_have_one_batch_size() -> None:
    text = spec("{x: {shape: [8], batch: 4}, y: {shape: [8], batch: 1}}", "layer: Concatenate, from: [x, y]")
    assert fault(text) == (
        "inputs.y.batch",
        "the inputs x and y have different batch sizes",
        "x has 4 samples, y has 1; a model reads the same number of samples of each input",
        "",
    )
    model = build_model(text.replace("batch: 1", "batch: 4"))
    assert model.output_shape == (4, 16)


def test_the_batch_size_of_training_is_that_of_the_inputs() -> None:
    text = spec("{x: {shape: [8], batch: 4}}", "layer: Dense, units: 2")
    assert build_graph(text).spec.batch_size == 4
    assert build_graph(text + "train: {batch_size: 4}\n").spec.batch_size == 4
    path, message, _, help = fault(text + "train: {batch_size: 8}\n")
    assert path == "train.batch_size"
    assert message == "the batch size 8 does not fit the input x, whose batch size is 4"
    assert help == "leave batch_size out, or remove batch: 4 from the input"


def test_a_stateful_layer_asks_only_the_inputs_it_depends_on() -> None:
    inputs = "{m: {shape: [3, 2], batch: 4}, y: [8]}"
    assert build_model(spec(inputs, GRU, outputs="[g.last]")).output_shape == (4, 2)
    inputs = "{x: {shape: [8], batch: 6}, m: {shape: [3, 2], dtype: float16}}"
    path, message, reason, help = fault(spec(inputs, GRU, outputs="[g.last]"))
    assert (path, message) == ("layers.g.stateful", "a stateful layer needs a fixed batch size")
    assert reason == "the input m takes any"
    assert help == "write the input as m: {shape: [3, 2], dtype: float16, batch: 6}"


def test_a_state_is_not_carried_between_windows() -> None:
    data = "data: {source: {path: a.npz, key: a, layout: T H W}, windows: {past: 3, future: 3}}\n"
    text = spec("{x: {shape: [3, 8, 8, 1], batch: 4}}", f"id: a, {CONV}, stateful: true", outputs="[a.sequence]")
    text = text.replace("filters: 2", "filters: 1")
    path, message, reason, _ = fault(text + data)
    assert (path, message) == ("layers.a.stateful", "a would keep its state from one batch of windows to the next")
    assert reason.startswith("windows are shuffled in training")


def test_any_number_of_frames() -> None:
    text = spec(
        "{x: [null, 8, 8, 1]}", f"id: a, {CONV}", "time_distributed: {layer: Conv2D, filters: 1, kernel_size: 1}"
    )
    graph, model = build_graph(text), build_model(text)
    assert graph.outputs[0].shape == (None, 8, 8, 1)
    for frames in (2, 5):
        assert model(np.zeros((1, frames, 8, 8, 1), "float32")).shape == (1, frames, 8, 8, 1)


def test_any_size_of_image() -> None:
    text = spec("{x: [null, null, 3]}", "layer: Conv2D, filters: 2, kernel_size: 3", "layer: GlobalAveragePooling2D")
    assert build_model(text)(np.zeros((1, 9, 7, 3), "float32")).shape == (1, 2)


def test_whole_numbers_and_booleans() -> None:
    text = spec(
        "{month: {shape: [1], dtype: int32}, flag: {shape: [4], dtype: bool}}",
        "layer: Embedding, from: month, input_dim: 12, output_dim: 4",
        "id: flat, layer: Flatten",
        outputs="[flat]",
    )
    model = build_model(text)
    assert {tensor.name: tensor.dtype for tensor in model.inputs} == {"month": "int32", "flag": "bool"}
    assert model([np.array([[3]], "int32"), np.zeros((1, 4), bool)]).shape == (1, 4)


def test_an_input_that_nothing_reads_stays_an_input() -> None:
    model = build_model(spec("{x: [8, 8, 1], spare: [3]}", "layer: Flatten, from: x"))
    assert [tensor.name for tensor in model.inputs] == ["x", "spare"]
    assert model([np.zeros((2, 8, 8, 1), "float32"), np.zeros((2, 3), "float32")]).shape == (2, 64)


def test_one_layer_in_another_precision() -> None:
    model = build_model(
        spec("{x: [8]}", "id: half, layer: Dense, units: 4, dtype: mixed_bfloat16", "id: full, layer: Dense, units: 2")
    )
    assert model.get_layer("half").compute_dtype == "bfloat16"
    assert model.get_layer("half").kernel.dtype == "float32"
    assert model.get_layer("full").compute_dtype == "float32"


def test_a_frozen_layer_has_nothing_to_train() -> None:
    text = spec("{x: [3, 8, 8, 1]}", f"id: a, {CONV}, trainable: false", "id: b, layer: Flatten, from: a.last")
    model = build_model(text)
    assert model.trainable_weights == []
    assert build_graph(text).trainable_parameters == 0


def test_named_outputs_come_as_a_dict() -> None:
    text = spec(
        "{x: [8]}",
        "id: a, layer: Dense, units: 2",
        "id: b, layer: Dense, units: 3, from: x",
        outputs="{one: a, two: b}",
    )
    out = build_model(text)(np.zeros((1, 8), "float32"))
    assert {name: tuple(tensor.shape) for name, tensor in out.items()} == {"one": (1, 2), "two": (1, 3)}
