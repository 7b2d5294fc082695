"""LSTM, GRU and SimpleRNN against their equations in NumPy: every option next to masks, and states from batch to batch.

One model holds a node for each combination of options, so that few are compiled.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from specbuild import build_model
from specbuild.model import save
from specbuild.model.backend import keras
from specbuild.model.importing import import_model
from tests.backends import not_on_jax, passes_on_jax
from tests.model.recurrences import numbers

KINDS = {
    "LSTM": "layer: LSTM",
    "GRU": "layer: GRU",
    "GRU before": "layer: GRU, reset_after: false",
    "SimpleRNN": "layer: SimpleRNN",
}
WIDTH = 3
STATES = {"LSTM": ("h", "c"), "GRU": ("h",), "SimpleRNN": ("h",)}
MERGES = {
    "concat": lambda one, other: np.concatenate([one, other], axis=-1),
    "sum": np.add,
    "ave": lambda one, other: (one + other) / 2,
    "mul": np.multiply,
}
States = list[np.ndarray]


def sigmoid(x: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-x)))


def step(kind: str, weights: Sequence[np.ndarray], x: np.ndarray, states: States) -> States:
    """The states after a step, the output first."""
    kernel, recurrent, bias = weights
    h = states[0]
    if kind == "SimpleRNN":
        return [np.tanh(x @ kernel + h @ recurrent + bias)]
    if kind == "LSTM":
        i, f, g, o = np.split(x @ kernel + h @ recurrent + bias, 4, axis=-1)
        c = sigmoid(f) * states[1] + sigmoid(i) * np.tanh(g)
        return [sigmoid(o) * np.tanh(c), c]
    of_x, of_h = bias if bias.ndim == 2 else (bias, np.zeros_like(bias))
    x_z, x_r, x_g = np.split(x @ kernel + of_x, 3, axis=-1)
    h_z, h_r, h_g = np.split(h @ recurrent + of_h, 3, axis=-1)
    z, r = sigmoid(x_z + h_z), sigmoid(x_r + h_r)
    after = r * h_g if bias.ndim == 2 else (r * h) @ np.split(recurrent, 3, axis=-1)[2]
    return [z * h + (1 - z) * np.tanh(x_g + after)]


def run(
    kind: str, weights: Sequence[np.ndarray], x: np.ndarray, mask: np.ndarray, states: States, *, zero: bool = False
) -> tuple[np.ndarray, States]:
    """The outputs of all steps, and the last states. A masked step keeps the states and repeats the output."""
    outputs, output = [], np.zeros_like(states[0])
    for at in range(x.shape[1]):
        here = mask[:, at, None]
        after = step(kind, weights, x[:, at], states)
        output = np.where(here, after[0], 0 if zero else output)
        states = [np.where(here, new, old) for new, old in zip(after, states, strict=True)]
        outputs.append(output)
    return np.stack(outputs, axis=1), states


def filled(model: Any) -> None:
    """Weights that no symmetry hides."""
    random = np.random.default_rng(3)
    model.set_weights([random.normal(size=weight.shape) * 0.5 for weight in model.weights])


def series(samples: int, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Vectors, and where they are not masked: the first and the last step of a sample are, and all of the last one."""
    random = np.random.default_rng(samples)
    mask = random.random((samples, steps)) > 0.3
    mask[0, [0, -1]] = False
    mask[-1, :] &= samples == 1
    x = random.normal(size=(samples, steps, 2)) * mask[..., None]
    return x.astype("float32"), mask


OPTIONS = ("back", "zero", "start", "unroll")


def nodes(kind: str, layer: str, *, unrolled: bool) -> dict[str, str]:
    """Nodes by a name whose words are the port that is read and the options.

    Looped: every combination of the first three. Unrolled: two, as every step is compiled.
    """
    chosen = [(*three, False) for three in product((False, True), repeat=3)]
    if unrolled:
        chosen = [(True, True, True, True), (False, False, False, True)]
    written = {}
    for flags in chosen:
        back, zero, start, unroll = flags
        keys = f"go_backwards: {back}, zero_output_for_mask: {zero}, unroll: {unroll}".lower()
        keys += f", initial_state: {{{', '.join(f'{state}: {state}' for state in STATES[kind])}}}" * start
        for port in ("sequence", "last"):
            name = "_".join([port, *(word for word, on in zip(OPTIONS, flags, strict=True) if on)])
            written[name] = f"{{id: {name}, from: masked, {layer}, units: {WIDTH}, {keys}}}"
    for merge in MERGES if unrolled else ("concat",):
        inside = f"{{{layer}, units: {WIDTH}, unroll: {str(unrolled).lower()}}}"
        written[f"both_{merge}"] = f"{{id: both_{merge}, from: masked, bidirectional: {inside}, merge_mode: {merge}}}"
    return written


def expected(name: str, kind: str, weights: list[np.ndarray], x: np.ndarray, mask: np.ndarray, start: States) -> Any:
    """What the ports of a node give. Keras's Bidirectional sets the outputs of masked steps to zero."""
    words = name.split("_")
    zeros = [np.zeros_like(state) for state in start]
    if words[0] == "both":
        forward, _ = run(kind, weights[:3], x, mask, zeros, zero=True)
        backward, _ = run(kind, weights[3:], x[:, ::-1], mask[:, ::-1], zeros, zero=True)
        return [MERGES[words[1]](forward, backward[:, ::-1])]
    if "back" in words:
        x, mask = x[:, ::-1], mask[:, ::-1]
    every, states = run(kind, weights, x, mask, start if "start" in words else zeros, zero="zero" in words)
    return [every, *states] if words[0] == "sequence" else [every[:, -1]]


@pytest.mark.parametrize(
    ("name", "steps", "batches"),
    [
        *((name, 5, [WIDTH]) for name in KINDS),
        ("LSTM", 40, [1, 2, WIDTH, 5]),
        ("GRU", 33, [WIDTH]),
        ("SimpleRNN", 33, [WIDTH]),
    ],
)
def test_every_option_next_to_a_mask(name: str, steps: int, batches: Sequence[int]) -> None:
    """With as many samples as the state is wide as well, which Keras's loop on JAX once took for each other."""
    kind = name.split()[0]
    written = nodes(kind, KINDS[name], unrolled=steps == 5)
    ports = {node: [f"{node}.{'last' if node.startswith('last') else 'sequence'}"] for node in written}
    for node in written:
        if node.startswith("sequence"):
            ports[node] += [f"{node}.state.{state}" for state in STATES[kind]]
    inputs = "".join(f", {state}: [{WIDTH}]" for state in STATES[kind])
    layers = "".join(f"  - {node}\n" for node in ("{id: masked, layer: Masking, from: x}", *written.values()))
    outputs = ", ".join(port for each in ports.values() for port in each)
    model = build_model(f"specbuild: 1\ninputs: {{x: [{steps}, 2]{inputs}}}\nlayers:\n{layers}outputs: [{outputs}]\n")
    filled(model)
    for samples in batches:
        x, mask = series(samples, steps)
        random = np.random.default_rng(7)
        start = [random.normal(size=(samples, WIDTH)).astype("float32") for _ in STATES[kind]]
        given = iter(model.predict([x, *start], verbose=0, batch_size=samples))
        for node, read in ports.items():
            weights = [numbers(weight) for weight in model.get_layer(node).weights]
            wanted = expected(node, kind, weights, x, mask, start)
            for port, one in zip(read, wanted, strict=True):
                np.testing.assert_allclose(next(given), one, atol=2e-5, err_msg=f"{port}, {samples} samples")


@pytest.mark.parametrize("both", [False, True], ids=["forward", "both directions"])
@pytest.mark.parametrize("name", KINDS)
def test_a_kept_state_survives_compiled_calls(name: str, both: bool) -> None:
    """Two batches of a series are the whole series, masks included; and the state of before after `reset_state`."""
    kind = name.split()[0]
    layer = f"{KINDS[name]}, units: {WIDTH}, stateful: true"
    node = f"bidirectional: {{{layer}}}" if both else layer
    model = build_model(
        f"""specbuild: 1
inputs: {{x: {{shape: [4, 2], batch: 2}}}}
layers:
  - {{layer: Masking}}
  - {{id: r, {node}}}
outputs: [r.sequence]
"""
    )
    filled(model)
    (x, mask), zeros = series(2, 8), [np.zeros((2, WIDTH))] * len(STATES[kind])
    weights = [numbers(weight) for weight in model.get_layer("r").weights]
    for _ in range(2):
        forward, backward, wanted = zeros, zeros, []
        for at in (0, 4):
            here, known = x[:, at : at + 4], mask[:, at : at + 4]
            every, forward = run(kind, weights[:3], here, known, forward, zero=both)
            if both:
                again, backward = run(kind, weights[3:], here[:, ::-1], known[:, ::-1], backward, zero=True)
                every = np.concatenate([every, again[:, ::-1]], axis=-1)
            wanted.append(every)
        given = [model.predict(x[:, at : at + 4], verbose=0, batch_size=2) for at in (0, 4)]
        np.testing.assert_allclose(np.concatenate(given, 1), np.concatenate(wanted, 1), atol=2e-5)
        layer_of = model.get_layer("r")
        for each in (layer_of.forward_layer, layer_of.backward_layer) if both else (layer_of,):
            each.reset_state()


def test_each_frame_of_a_masked_sequence_of_sequences() -> None:
    """The mask of the series in each frame, `(N, T, S)`, reaches the recurrence over them."""
    model = build_model(
        f"""specbuild: 1
inputs: {{x: [3, 5, 2]}}
layers:
  - {{layer: Masking}}
  - {{id: r, time_distributed: {{layer: LSTM, units: {WIDTH}}}}}
outputs: [r]
"""
    )
    filled(model)
    x, mask = series(6, 5)
    (weights,) = [[numbers(weight) for weight in model.get_layer("r").weights]]
    every, _ = run("LSTM", weights, x, mask, [np.zeros((6, WIDTH))] * 2)
    given = model.predict(x.reshape(2, 3, 5, 2), verbose=0)
    np.testing.assert_allclose(given, every[:, -1].reshape(2, 3, WIDTH), atol=2e-5)


@pytest.mark.parametrize("masked", [False, True], ids=["plain", "masked"])
def test_the_file_gives_the_same_outputs(masked: bool, tmp_path: Path) -> None:
    """It names Keras's layers, but for those behind a mask: with one, Keras's give other numbers on JAX."""
    keys = f"units: {WIDTH}, return_sequences: true, zero_output_for_mask: true"
    layers = f"  - {{layer: {'Masking' if masked else 'Identity'}, from: x}}\n"
    layers += "".join(f"  - {{{layer}, {keys}}}\n" for layer in KINDS.values())
    layers += f"  - {{id: end, layer: LSTM, units: {WIDTH}, initial_state: {{h: h, c: c}}}}\n"
    spec = f"specbuild: 1\ninputs: {{x: [5, 2], h: [{WIDTH}], c: [{WIDTH}]}}\nlayers:\n{layers}outputs: [end.last]\n"
    model = build_model(spec)
    filled(model)
    save(model, tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    recurrent = [layer for layer in again.layers if hasattr(layer, "cell")]
    packages = {type(layer).__module__.partition(".")[0] for layer in recurrent}
    assert packages == ({"specbuild"} if masked else {"keras"})
    given = [series(2, 5)[0], np.ones((2, WIDTH), "float32"), np.ones((2, WIDTH), "float32")]
    np.testing.assert_allclose(model.predict(given, verbose=0), again.predict(given, verbose=0), atol=1e-6)
    imported = build_model(import_model(tmp_path / "model.keras").text)
    assert [getattr(layer, "zero_output_for_mask", None) for layer in imported.layers if hasattr(layer, "cell")] == [
        *[True] * len(KINDS),
        False,
    ]
    imported.set_weights(model.get_weights())
    np.testing.assert_allclose(model.predict(given, verbose=0), imported.predict(given, verbose=0), atol=1e-6)


@not_on_jax
def test_on_jax() -> None:
    passes_on_jax(__file__, "-k", "every_option or kept_state")
