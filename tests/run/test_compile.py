"""What `train:` becomes in `model.compile`: losses, weights and metrics, one for all outputs or one for each."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from specbuild import SpecError, build_graph, build_model
from specbuild.training.compile import compile_model

TWO = """\
specbuild: 1
inputs: {x: [4]}
layers:
  - {id: a, layer: Dense, units: 1, from: x}
  - {id: b, layer: Dense, units: 2, activation: sigmoid, from: x}
"""
LOSSES = "{%s: mae, %s: binary_crossentropy}"
X = np.random.default_rng(0).normal(size=(8, 4)).astype("float32")
A = np.ones((8, 1), "float32")
B = np.eye(2, dtype="float32")[[0, 1] * 4]


def compiled(text: str, *, weighted: bool = False) -> Any:
    graph, model = build_graph(text), build_model(text)
    outputs = [output.name for output in graph.outputs]
    compile_model(model, graph.spec, weighted=weighted, outputs=outputs)
    return model


def by_hand(model: Any) -> tuple[float, float]:
    """MAE of the first output, cross-entropy of the second."""
    given = model.predict(X, verbose=0)
    a, b = (given["first"], given["second"]) if isinstance(given, dict) else given
    return float(np.abs(a - A).mean()), float(-(B * np.log(b) + (1 - B) * np.log(1 - b)).mean())


@pytest.mark.parametrize("weighted", [False, True])
def test_named_outputs_have_their_own_losses(weighted: bool) -> None:
    text = TWO + f"outputs: {{first: a, second: b}}\ntrain: {{loss: {LOSSES % ('first', 'second')}, "
    text += "loss_weights: {second: 0.5}, metrics: {first: [mse]}}\n"
    model = compiled(text, weighted=weighted)
    mae, entropy = by_hand(model)
    found = model.evaluate(X, {"first": A, "second": B}, verbose=0, return_dict=True)
    assert found["loss"] == pytest.approx(mae + 0.5 * entropy, rel=1e-4)
    assert "first_mse" in found
    assert not any(name.startswith("second_") and name != "second_loss" for name in found)


def test_listed_outputs_have_their_own_losses() -> None:
    model = compiled(TWO + f"outputs: [a, b]\ntrain: {{loss: {LOSSES % ('a', 'b')}}}\n")
    mae, entropy = by_hand(model)
    assert model.evaluate(X, [A, B], verbose=0, return_dict=True)["loss"] == pytest.approx(mae + entropy, rel=1e-4)


def test_an_output_without_a_loss_adds_none() -> None:
    model = compiled(TWO + "outputs: [a, b]\ntrain: {loss: {a: mae}}\n")
    mae, _ = by_hand(model)
    assert model.evaluate(X, [A, B], verbose=0, return_dict=True)["loss"] == pytest.approx(mae, rel=1e-4)


def test_one_loss_and_its_metrics_are_for_every_output() -> None:
    model = compiled(TWO + "outputs: [a, b]\ntrain: {loss: mae, metrics: [mse]}\n")
    given = model.predict(X, verbose=0)
    found = model.evaluate(X, [A, B], verbose=0, return_dict=True)
    assert found["loss"] == pytest.approx(float(np.abs(given[0] - A).mean() + np.abs(given[1] - B).mean()), rel=1e-4)
    assert {"a_mse", "b_mse"} <= found.keys()


def test_a_single_output_may_be_named() -> None:
    text = TWO.replace("  - {id: b, layer: Dense, units: 2, activation: sigmoid, from: x}\n", "")
    model = compiled(text + "outputs: [a]\ntrain: {loss: {a: mae}}\n")
    found = model.evaluate(X, A, verbose=0, return_dict=True)
    assert found["loss"] == pytest.approx(float(np.abs(model.predict(X, verbose=0) - A).mean()), rel=1e-4)


@pytest.mark.parametrize(
    ("section", "words", "marked"),
    [
        ("loss: 'mine>Loss'", 'mine>Loss is unknown: no plugin has registered the package "mine"', "'mine>Loss'"),
        ("optimizer: {name: SGD, momentum: 7}", "SGD expects a number from 0 to 1 for momentum, got 7", "7"),
        ("metrics: {b: [mse, {name: AUC, num_labels: 3}]}", "Keras cannot make AUC as written", "{name: AUC"),
    ],
)
def test_what_keras_cannot_make_is_an_error_at_its_place(section: str, words: str, marked: str) -> None:
    text = TWO + f"outputs: [a, b]\ntrain: {{{section}}}\n"
    with pytest.raises(SpecError) as caught:
        compiled(text)
    (found,) = caught.value.diagnostics
    assert found.message == words
    assert found.span is not None
    assert text.splitlines()[found.span.line - 1][found.span.column - 1 :].startswith(marked)


def test_a_layer_says_which_argument_keras_cannot_make() -> None:
    text = TWO.replace("activation: sigmoid", "activation: 'mine>Act'") + "outputs: [a, b]\n"
    with pytest.raises(SpecError) as caught:
        build_model(text)
    assert caught.value.diagnostics[0].path == "layers.b.activation"
