"""Custom cells against Keras's own layers, and against their steps run one by one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from specbuild import build_graph, build_model, load_spec
from specbuild.document import SpecError
from specbuild.model import save
from specbuild.model.importing import import_model

ops = keras.ops

CELLS = Path(__file__).parents[2] / "specs" / "cells"
SMALL = {"vars.frames": 4, "vars.size": 6, "vars.channels": 2, "vars.filters": 3}
CELL = (
    "recurrent: {states: {h: 3, c: 3}, do: ["
    "{id: a, layer: Conv2D, from: input, filters: 3, kernel_size: 3, padding: same}, "
    "{id: b, layer: Conv2D, from: h, filters: 3, kernel_size: 3, padding: same}, "
    "{id: s, layer: Add, from: [a, b, c]}, {id: t, layer: Activation, activation: tanh}], next: {h: t, c: s}"
)
"""A cell whose mapping is still open, for further keys."""
NOISY = CELL.replace(
    "{id: s, layer: Add, from: [a, b, c]}",
    "{layer: BatchNormalization, from: b}, {id: n, layer: Dropout, rate: 0.5}, {id: s, layer: Add, from: [a, n, c]}",
)
"""The same with layers that behave otherwise in training."""


def numbers(model: Any, *, samples: int = 2, steps: int = 7) -> list[np.ndarray]:
    """Random inputs of a model."""
    random = np.random.default_rng(0)
    shapes = [[steps if n is None else n for n in x.shape[1:]] for x in model.inputs]
    return [random.normal(size=(samples, *shape)).astype("float32") for shape in shapes]


def step_by_step(layer: Any, frames: list[Any], constants: list[Any], states: list[Any]) -> tuple[Any, list[Any]]:
    """Every output of a layer and its last states, its two models called once for each step."""
    outputs = []
    frames, constants, states = (
        [ops.convert_to_tensor(x, "float32") for x in xs] for xs in (frames, constants, states)
    )
    for step in range(frames[0].shape[1]):
        given = [*(each[:, step] for each in frames), *constants]
        first = [] if layer.at_once is None else listed(layer.at_once(given if len(given) > 1 else given[0]))
        output, *states = listed(layer.step([*first, *given, *states]))
        outputs.append(output)
    return ops.stack(outputs, axis=1), states


def listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def close(one: Any, other: Any, tolerance: float = 1e-6) -> None:
    np.testing.assert_allclose(np.asarray(one), np.asarray(other), atol=tolerance, rtol=tolerance)


def text(layers: str, outputs: str = "memory.sequence", inputs: str = "x: [4, 6, 5, 2]") -> str:
    return f"specbuild: 1\ninputs: {{{inputs}}}\nlayers:\n{layers}outputs: [{outputs}]\n"


KNOWN = {
    "conv_lstm": (
        "layer: ConvLSTM2D",
        {"kernel": ("x/kernel",), "recurrent_kernel": ("u/kernel",), "bias": ("x/bias",)},
    ),
    "conv_gru": (
        "layer: ConvGRU2D, reset_after: false",
        {"kernel": ("x/kernel",), "recurrent_kernel": ("u/kernel", "g_u/kernel"), "bias": ("x/bias",)},
    ),
}
"""For each custom cell the layer that it equals, and the weights of the cell that make up each weight of the layer."""


@pytest.mark.parametrize("cell", KNOWN)
def test_a_custom_cell_equals_the_layer(cell: str) -> None:
    """Outputs, states and gradients, to rounding."""
    layer, joined = KNOWN[cell]
    written = build_model(CELLS / f"{cell}.yaml", overrides=SMALL)
    (x,) = numbers(written)
    ports = ", ".join(f"{name}: memory.state.{name}" for name in written(x) if name != "every")
    known = build_model(
        f"""specbuild: 1
inputs: {{rain: [4, 6, 6, 2]}}
layers: [{{id: memory, {layer}, filters: 3, kernel_size: 3, padding: same}}]
outputs: {{every: memory.sequence, {ports}}}
"""
    )
    random = np.random.default_rng(1)
    for weight in written.weights:
        weight.assign(random.normal(size=weight.shape) * 0.3)

    def as_the_layer(values: list[Any]) -> list[np.ndarray]:
        """The weights of the custom cell, joined as those of the layer."""
        named = {w.path.removeprefix("memory_"): np.asarray(v) for w, v in zip(written.weights, values, strict=True)}
        return [np.concatenate([named[part] for part in joined[weight.name]], axis=-1) for weight in known.weights]

    known.set_weights(as_the_layer(written.get_weights()))
    mine, theirs = written(x), known(x)
    assert mine.keys() == theirs.keys()
    for name in mine:
        close(mine[name], theirs[name])
    before, targets = known.get_weights(), {name: np.zeros(np.shape(value), "float32") for name, value in mine.items()}
    for model in (written, known):
        model.compile(keras.optimizers.SGD(1.0), dict.fromkeys(targets, "mse"))
        model.train_on_batch(x, targets)
    for old, stepped, expected in zip(before, as_the_layer(written.get_weights()), known.get_weights(), strict=True):
        assert np.abs(expected - old).max() > 1e-3
        close(stepped, expected)


def test_nodes_without_a_state_run_for_all_steps_at_once() -> None:
    step = next(node for node in build_graph(CELLS / "conv_gru.yaml").nodes if node.id == "memory").step
    assert step is not None
    names = {"memory_x", "memory_z_x", "memory_r_x", "memory_g_x"}
    assert {node.id for node in step.at_once.nodes} == names
    layer = build_model(CELLS / "conv_gru.yaml", overrides=SMALL).get_layer("memory")
    assert [inner.name for inner in layer.at_once.layers if inner.weights] == ["memory_x"]


@pytest.mark.parametrize("more", ["", ", go_backwards: true"])
@pytest.mark.parametrize("steps", ["4", "40", "null"], ids=["written out", "looped", "open"])
def test_the_loop_equals_the_steps(steps: str, more: str) -> None:
    model = build_model(text(f"  - {{id: memory, {CELL}{more}}}}}\n", inputs=f"x: [{steps}, 4, 3, 2]"))
    (x,) = numbers(model)
    zeros = [np.zeros((2, 4, 3, 3), "float32")] * 2
    frames = x[:, ::-1] if more else x
    every, _ = step_by_step(model.get_layer("memory"), [frames], [], zeros)
    close(model.predict(x, verbose=0), every)
    last = build_model(text(f"  - {{id: memory, {CELL}{more}}}}}\n", "memory.last", f"x: [{steps}, 4, 3, 2]"))
    last.set_weights(model.get_weights())
    close(last.predict(x, verbose=0), every[:, -1])


def test_steps_read_sequences_and_constants_from_outside() -> None:
    layers = """\
  - id: memory
    from: x
    recurrent:
      states: {h: 3, m: {shape: [6, 5, 2], initial: learned}, n: {shape: [6, 5, 1], initial: -2}}
      static: {relief: map}
      do:
        - {id: all, layer: Concatenate, from: [input, wind, relief, n]}
        - {id: a, layer: Conv2D, filters: 3, kernel_size: 3, padding: same}
        - {id: b, layer: Concatenate, from: [h, m]}
        - {id: c, layer: Conv2D, filters: 3, kernel_size: 3, padding: same}
        - {id: t, layer: Add, from: [a, c]}
        - {id: m_new, layer: Conv2D, filters: 2, kernel_size: 1}
      next: {h: t, m: m_new, n: n}
      output: all
"""
    model = build_model(text(layers, inputs="x: [4, 6, 5, 2], wind: [4, 6, 5, 1], map: [6, 5, 1]"))
    layer = model.get_layer("memory")
    learned = np.random.default_rng(2).normal(size=(6, 5, 2)).astype("float32")
    layer.learned["m"].assign(learned)
    x, wind, relief = numbers(model)
    states = [np.zeros((2, 6, 5, 3)), np.broadcast_to(learned, (2, 6, 5, 2)), np.full((2, 6, 5, 1), -2.0)]
    every, _ = step_by_step(layer, [x, wind], [relief], states)
    close(model([x, wind, relief]), every)
    assert layer.learned["m"].path in {weight.path for weight in model.trainable_weights}


@pytest.mark.parametrize("written", ["by hand", "in a loop"])
def test_a_memory_passes_through_the_levels_and_on_to_the_next_step(written: str) -> None:
    """The zigzag of PredRNN: the memory of the top level enters the lowest one in the next step."""
    spec = """\
specbuild: 1
blocks:
  level:
    inputs: [x, h, m]
    do:
      - {id: read, layer: Concatenate, from: [x, h, m]}
      - {id: new, layer: Dense, units: 3, activation: tanh}
      - {id: kept, layer: Dense, units: 3, activation: tanh, from: [m]}
      - {id: memory, layer: Add, from: [kept, new]}
    output: {h: new, m: memory}
inputs: {x: [5, 2]}
layers:
  - id: stack
    recurrent:
      states: {h1: 3, h2: 3, m: 3}
      do:
        - {id: cell1, block: level, from: [input, h1, m]}
        - {id: cell2, block: level, from: [cell1.h, h2, cell1.m]}
      next: {h1: cell1.h, h2: cell2.h, m: cell2.m}
      output: h2
outputs: [stack.sequence]
"""
    if written == "in a loop":
        do = """\
        - id: levels
          repeat: 2
          as: i
          do:
            - {when: $i == 1, id: cell1, block: level, from: [input, h1, m]}
            - {when: $i > 1, id: cell$i, block: level, from: ["cell${i - 1}.h", h$i, "cell${i - 1}.m"]}
"""
        spec = spec.replace("h1: 3, h2: 3", "h: {shape: 3, copies: 2}").replace(
            "h1: cell1.h, h2: cell2.h", "h: levels.rounds.h"
        )
        spec = f"{spec[: spec.index('        - {id: cell1')]}{do}{spec[spec.index('      next:') :]}"
    model = build_model(spec)
    layer = model.get_layer("stack")
    (x,) = numbers(model)

    def dense(name: str, value: Any) -> Any:
        inner = layer.step.get_layer(f"stack_{name}")
        return np.tanh(value @ np.asarray(inner.kernel) + np.asarray(inner.bias))

    h1 = h2 = m = np.zeros((2, 3))
    every = []
    for step in range(5):
        h1 = dense("cell1_new", np.concatenate([x[:, step], h1, m], axis=-1))
        m = dense("cell1_kept", m) + h1
        h2 = dense("cell2_new", np.concatenate([h1, h2, m], axis=-1))
        m = dense("cell2_kept", m) + h2
        every.append(h2)
    close(model(x), np.stack(every, axis=1))


def test_a_state_may_become_a_number() -> None:
    """Such as one that says whether a step is the first."""
    layers = """\
  - id: memory
    recurrent:
      states: {before: 2, started: {shape: [1]}, sign: {shape: [1], initial: 3}}
      do: [{id: change, equation: started * (input - before) + sign}]
      next: {before: input, started: 1, sign: -0.5}
      output: change
"""
    model = build_model(text(layers, inputs="x: [5, 2]"))
    (x,) = numbers(model)
    close(model(x), np.concatenate([np.full((2, 1, 2), 3.0), x[:, 1:] - x[:, :-1] - 0.5], axis=1))
    again = build_model(load_spec(text(layers, inputs="x: [5, 2]")).resolved())
    close(again(x), model(x))


def test_masked_steps_change_nothing() -> None:
    layers = """\
  - {layer: Masking}
  - id: memory
    recurrent:
      states: {h: 3}
      do: [{id: a, layer: Dense, units: 3}, {id: b, layer: Dense, units: 3, from: h}, {id: t, layer: Add, from: [a, b]}]
      next: {h: t}
"""
    model = build_model(text(layers, "memory.sequence, memory.state.h", "x: [5, 2]"))
    (x,) = numbers(model)
    x[0, 2:4] = x[1, 0] = 0
    every, h = model(x)
    left = np.delete(x[:1], [2, 3], axis=1)
    kept, last = step_by_step(model.get_layer("memory"), [left], [], [np.zeros((1, 3), "float32")])
    close(every[:1], np.asarray(kept)[:, [0, 1, 1, 1, 2]])
    close(h[:1], last[0])
    close(every[1, 0], np.zeros(3))


@pytest.mark.parametrize("steps", [5, 40], ids=["written out", "looped"])
@pytest.mark.parametrize("layer", ["layer: ConvLSTM2D", "layer: ConvGRU2D", CELL])
def test_a_masked_frame_is_skipped(layer: str, steps: int) -> None:
    """For every number of samples: Keras's loop on JAX mixes up that number and the state's width."""
    known = f"{layer}, filters: 3, kernel_size: 3, padding: same"
    node = f"  - {{id: memory, {layer + '}' if layer == CELL else known}}}\n"
    model = build_model(text("  - {layer: Masking}\n" + node, inputs=f"x: [{steps}, 3, 3, 2]"))
    for samples in (1, 3):
        (x,) = numbers(model, samples=samples)
        x[0, 2] = 0
        every = model.predict(x, verbose=0)
        left = np.asarray(listed(model.get_layer("memory")(np.delete(x[:1], 2, axis=1)))[0])
        close(every[0, 2], every[0, 1])
        close(np.delete(every[:1], 2, axis=1), left, 1e-5)  # compiled and not, over forty steps


@pytest.mark.parametrize("layer", ["layer: ConvLSTM2D", CELL])
def test_a_masked_frame_is_skipped_from_a_given_state_too(layer: str) -> None:
    """Keras hands the mask on by itself only to a layer with a single input."""
    known = f"{layer}, filters: 3, kernel_size: 3, padding: same"
    node = f"{layer + '}' if layer == CELL else known}, initial_state: {{h: h, c: c}}"
    inputs = "x: [5, 3, 3, 2], h: [3, 3, 3], c: [3, 3, 3]"
    model = build_model(text(f"  - {{layer: Masking, from: x}}\n  - {{id: memory, {node}}}\n", inputs=inputs))
    x, *states = numbers(model)
    x[0, 2] = 0
    every = model.predict([x, *states], verbose=0)
    first = [state[:1] for state in states]
    left = listed(model.get_layer("memory")(np.delete(x[:1], 2, axis=1), initial_state=first))[0]
    close(every[0, 2], every[0, 1])
    close(np.delete(every[:1], 2, axis=1), left)


def test_the_output_of_a_masked_frame_may_be_zero(tmp_path: Path) -> None:
    """In every recurrence over frames; the text that `import` writes says so too."""
    kinds = [f"layer: {kind}, filters: 3, kernel_size: 3" for kind in ("TrajGRU2D", "STLSTM2D")]
    kinds += [f"layer: {kind}, filters: 3, kernel_size: 3, padding: same" for kind in ("ConvLSTM2D", "ConvGRU2D")]
    kinds = [f"{{id: r{at}, from: masked, {kind}, zero_output_for_mask: true}}" for at, kind in enumerate(kinds)]
    kinds.append(f"{{id: r4, from: masked, {CELL}, zero_output_for_mask: true}}}}")
    layers = "".join(f"  - {node}\n" for node in ("{id: masked, layer: Masking, from: x}", *kinds))
    outputs = ", ".join(f"r{at}.sequence" for at in range(len(kinds)))
    model = build_model(text(layers, outputs, "x: [4, 5, 5, 2]"))
    (x,) = numbers(model)
    x[0, 2] = 0
    for output in model(x):
        assert not np.any(np.asarray(output)[0, 2])
        assert np.all(np.any(np.asarray(output)[:, [0, 1, 3]], axis=(2, 3, 4)))
    save(model, tmp_path / "model.keras")
    again = import_model(tmp_path / "model.keras").text
    assert again.count("zero_output_for_mask: true") == len(kinds)


def test_both_directions() -> None:
    cell = f"  - {{id: memory, bidirectional: {{{CELL}}}}}, merge_mode: sum}}\n"
    model = build_model(text(cell, "memory.sequence, memory.last, memory.state.backward_c"))
    layer = model.get_layer("memory")
    (x,) = numbers(model)
    zeros = [np.zeros((2, 6, 5, 3), "float32")] * 2
    forward, _ = step_by_step(layer.forward_layer, [x], [], zeros)
    backward, states = step_by_step(layer.backward_layer, [x[:, ::-1]], [], zeros)
    every, last, c = model(x)
    close(every, np.asarray(forward) + np.asarray(backward)[:, ::-1])
    close(last, np.asarray(forward)[:, -1] + np.asarray(backward)[:, -1])
    close(c, states[1])


def test_remat_changes_no_result_and_no_gradient() -> None:
    """Nine steps, so that the last of three segments is whole."""
    layers = "  - {{id: memory, {cell}, remat: {remat}}}}}\n"
    changed = []
    for remat in ("false", "true"):
        model = build_model(text(layers.format(cell=CELL, remat=remat), "memory.sequence", "x: [9, 4, 3, 2]"))
        (x,) = numbers(model)
        random = np.random.default_rng(3)
        model.set_weights([random.normal(size=weight.shape) * 0.3 for weight in model.weights])
        model.compile(keras.optimizers.SGD(1.0), "mse")
        loss = model.train_on_batch(x, np.zeros((2, 9, 4, 3, 3), "float32"))
        changed.append([np.asarray(loss), *model.get_weights()])
    for mine, theirs in zip(*changed, strict=True):
        close(mine, theirs)


def test_a_stateful_cell_continues_from_the_batch_before() -> None:
    layers = f"  - {{id: memory, {CELL}, stateful: true}}}}\n"
    model = build_model(text(layers, inputs="x: {shape: [4, 6, 5, 2], batch: 2}"))
    whole = build_model(text(f"  - {{id: memory, {CELL}}}}}\n", inputs="x: [8, 6, 5, 2]"))
    whole.set_weights(model.get_weights())
    (x,) = numbers(whole)
    halves = [model.predict(half, verbose=0, batch_size=2) for half in (x[:, :4], x[:, 4:])]
    close(np.concatenate(halves, axis=1), whole.predict(x, verbose=0))
    model.get_layer("memory").reset_state()
    close(model.predict(x[:, :4], verbose=0, batch_size=2), halves[0])


COMBINED = {
    "a level of an encoder_decoder": f"""\
  - encoder_decoder:
      horizon: 3
      feed: last
      encoder: [{{id: enc, {CELL}}}}}]
      decoder: [{{id: dec, {CELL}}}}}]
      remat: true
    id: memory
""",
    "a mirrored decoder": f"""\
  - {{id: memory, encoder_decoder: {{horizon: 3, feed: last, encoder: [{{id: e, {CELL}}}}}]}}}}
""",
    "a decoder on its state alone": f"""\
  - encoder_decoder:
      horizon: 3
      encoder: [{{id: enc, {CELL}}}}}]
      decoder: [{{id: dec, {CELL.replace("from: input", "from: c")}}}}}]
    id: memory
""",
    "feedback": f"""\
  - id: memory
    autoregressive:
      horizon: 3
      remat: true
      do: [{{id: e, {CELL}}}}}, {{time_distributed: {{layer: Conv2D, filters: 2, kernel_size: 1}}}}]
""",
    "feedback, with random numbers": f"""\
  - id: memory
    autoregressive:
      horizon: 3
      do:
        - {{id: e, {NOISY}}}}}
        - {{time_distributed: {{layer: Conv2D, filters: 2, kernel_size: 1}}}}
""",
    "used again": f"""\
  - {{id: first, {CELL}}}}}
  - {{id: memory, reuse: first, from: x, initial_state: first}}
""",
    "frozen, with random numbers": f"""\
  - {{time_distributed: {{layer: Conv2D, filters: 2, kernel_size: 1}}}}
  - {{id: memory, trainable: false, {CELL.replace("[{id: a", "[{layer: Dropout, rate: 0.5, from: h}, {id: a")}}}}}
""",
    "in a block, in a loop": f"""\
  - repeat: 2
    do: [{{block: inner}}]
  - {{id: memory, {CELL}}}}}
blocks: {{inner: {{do: [{{{CELL}}}}}, {{time_distributed: {{layer: Conv2D, filters: 2, kernel_size: 1}}}}]}}}}
""",
}


@pytest.mark.parametrize("layers", COMBINED.values(), ids=[*COMBINED])
def test_combined_with_other_forms(layers: str, tmp_path: Path) -> None:
    """It builds, trains, is saved and loaded, and means the same when resolved."""
    port = "memory" if "id: memory\n" in layers or "encoder_decoder" in layers else "memory.sequence"
    spec = text(layers, port)
    model = build_model(spec)
    (x,) = numbers(model)
    model.compile("sgd", "mse")
    loss = model.train_on_batch(x, np.zeros(model.compute_output_shape(x.shape), "float32"))
    assert np.isfinite(loss)
    expected = model.predict(x, verbose=0)
    model.save(tmp_path / "model.keras")
    close(keras.models.load_model(tmp_path / "model.keras").predict(x, verbose=0), expected)
    again = build_model(load_spec(spec).resolved())
    again.set_weights(model.get_weights())
    close(again.predict(x, verbose=0), expected)


def test_feedback_starts_a_cell_from_its_own_states() -> None:
    """Three frames of zeros: h = h / 2 + m from h = -1 with m = 3, then once more on the output."""
    layers = """\
  - id: memory
    autoregressive:
      horizon: 2
      do:
        - recurrent:
            states: {h: {shape: 2, initial: -1}, m: {shape: 2, initial: learned}}
            do: [{id: a, layer: Dense, units: 2, kernel_initializer: zeros}]
            next: {h: 0.5 * h + a + m, m: m}
"""
    model = build_model(text(layers, "memory", "x: [3, 2]"))
    (learned,) = [weight for weight in model.trainable_weights if weight.shape == (2,) and "initial_m" in weight.path]
    learned.assign(np.full(2, 3.0))
    forecast = model(np.zeros((1, 3, 2), "float32"))
    close(forecast, [[[5.125, 5.125], [5.5625, 5.5625]]])
    model.compile("sgd", "mse")
    model.train_on_batch(np.zeros((1, 3, 2), "float32"), np.zeros((1, 2, 2), "float32"))
    assert np.all(np.asarray(learned) < 3)


def test_a_cell_in_another_file_reads_the_inputs_of_that_file(tmp_path: Path) -> None:
    cell = "{states: {h: 2}, do: [{id: a, layer: Dense, from: y, units: 2}], next: {h: tanh(a) + h + input}}"
    part = f"specbuild: 1\ninputs: {{x: [3, 2], y: [3, 4]}}\nlayers: [{{id: memory, from: x, recurrent: {cell}}}]\n"
    (tmp_path / "part.yaml").write_text(part + "outputs: [memory.sequence]\n", "utf-8")
    whole = "specbuild: 1\ninputs: {x: [3, 2], y: [3, 4]}\nlayers: [{model: part.yaml, from: [x, y]}]\n"
    (tmp_path / "whole.yaml").write_text(whole, "utf-8")
    model, inside = build_model(tmp_path / "whole.yaml"), build_model(tmp_path / "part.yaml")
    model.set_weights(inside.get_weights())
    x = numbers(model)
    close(model(x), inside(x))


def test_a_state_that_changes_its_shape_is_named() -> None:
    spec = (CELLS / "conv_lstm.yaml").read_text("utf-8").replace("h: sigmoid(o) * tanh(c_next)", "h: sum")
    with pytest.raises(SpecError, match="the state h of memory changes shape") as fault:
        build_graph(spec)
    assert [error.span.line for error in fault.value.diagnostics if error.span is not None] == [24]


def test_the_receptive_field_grows_by_the_kernels_of_each_step() -> None:
    """Three frames back the first kernel has seen 3, and each of the three steps since 2 more."""
    from specbuild.graph.receptive_field import receptive_fields

    graph = build_graph(text(f"  - {{id: memory, {CELL}}}}}\n", "memory.last", "x: [4, 21, 21, 2]"))
    field = receptive_fields(graph)["memory"]["x"]
    assert [extent.length for extent in field] == [4, 9, 9, 2]
