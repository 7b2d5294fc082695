"""What training reports of each epoch: the names that are known without Keras are those that Keras gives."""

from __future__ import annotations

import numpy as np
import pytest

from specbuild import build_model, load_spec
from specbuild.graph.monitors import reported_values
from specbuild.training.compile import compile_model

HEAD = """\
specbuild: 1
inputs: {x: [6, 1]}
layers:
  - {id: enc, layer: LSTM, units: 4, return_sequences: true}
  - {id: level, layer: Dense, units: 3}
  - {id: share, from: enc, layer: Dense, units: 2, activation: softmax}
"""
BOTH = "loss: {level: mse, share: categorical_crossentropy}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "outputs: level\ntrain: {metrics: [mae, MAE, acc, RootMeanSquaredError, AUC, {name: AUC, curve: PR}]}\n",
            "loss mae mean_absolute_error acc root_mean_squared_error auc auc_1",
        ),
        (
            f"outputs: [level, share]\ntrain: {{{BOTH}, metrics: {{share: [AUC, LogCoshError]}}}}\n",
            "loss level_loss share_loss share_auc share_logcosh",
        ),
        (
            "outputs: {rain: level, mask: share}\ntrain: {loss: mse, metrics: [AUC]}\n",
            "loss rain_loss rain_auc mask_loss mask_auc",
        ),
        ("outputs: [level, share]\ntrain: {loss: {share: mse}, metrics: [mse]}\n", "loss level_mse share_mse"),
    ],
)
def test_the_names_are_those_of_keras(text: str, expected: str) -> None:
    spec, model = load_spec(HEAD + text), build_model(HEAD + text)
    names = [output.name for output in spec.outputs]
    weighted = not spec.named_outputs
    compile_model(model, spec, weighted=weighted, outputs=names)
    ones = {name: np.ones((2, 6, units), np.float32) for name, units in zip(names, (3, 2), strict=False)}
    weights = {name: np.ones((2, 6), np.float32) for name in names}

    def arranged(values: dict[str, np.ndarray]) -> object:
        return values if spec.named_outputs else list(values.values()) if len(values) > 1 else values[names[0]]

    said = model.test_on_batch(
        np.ones((2, 6, 1), np.float32), arranged(ones), arranged(weights) if weighted else None, return_dict=True
    )
    known = reported_values(spec)
    assert known is not None
    assert [name for name in known if not name.startswith("val_")] == expected.split()
    assert set(said) == set(expected.split())


def test_names_that_only_a_plugin_knows_are_not_judged() -> None:
    assert reported_values(load_spec(f"{HEAD}train: {{callbacks: ['mine>Extra']}}\n")) is None
    assert reported_values(load_spec(f"{HEAD}train: {{metrics: ['mine>Score']}}\n")) is None
    assert reported_values(load_spec(f"{HEAD}outputs: [enc.last, level]\n")) is None
