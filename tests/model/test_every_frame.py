"""Composites on every frame give what they give on each frame alone."""

from __future__ import annotations

import numpy as np
import pytest

from specbuild import SpecError, build_graph, build_model, load_spec

BLOCKS = """
vars: {f: 3}
blocks:
  conv:
    parameters: {f: int}
    do: [{layer: Conv2D, filters: $f, kernel_size: 3, padding: same}, {layer: BatchNormalization}, {layer: ReLU}]
"""
NODES = """\
{pad}- {{id: first, block: conv, with: {{f: 4}}}}
{pad}- {{residual: [{{for: {{k: [1, 3]}}, do: [{{layer: Conv2D, filters: 4, kernel_size: $k, padding: same}}]}}]}}
{pad}- id: fork
{pad}  branch: {{a: [{{layer: Conv2D, filters: $f, kernel_size: 1, expect: [6, 6, 3]}}], b: []}}
{pad}  merge: {{layer: Concatenate, axis: 3}}
{pad}- {{layer: MaxPooling2D}}
"""


def frames(options: str = "") -> str:
    head = f"specbuild: 1\ninputs: {{x: [4, 6, 6, 2]}}{BLOCKS}layers:\n"
    return f"{head}  - id: look\n{options}    time_distributed:\n{NODES.format(pad='      ')}"


def test_each_frame_alone() -> None:
    one = build_model(f"specbuild: 1\ninputs: {{x: [6, 6, 2]}}{BLOCKS}layers:\n{NODES.format(pad='  ')}")
    every = build_model(frames("    expect: [4, 3, 3, 7]\n"))
    assert every.count_params() == one.count_params()
    every.set_weights(one.get_weights())
    x = np.random.default_rng(5).normal(size=(2, 4, 6, 6, 2)).astype("float32")
    alone = np.stack([one(x[:, step]) for step in range(4)], axis=1)
    np.testing.assert_allclose(every(x), alone, rtol=1e-5, atol=1e-6)
    again = build_model(load_spec(frames()).resolved())
    again.set_weights(one.get_weights())
    np.testing.assert_array_equal(again(x), every(x))


def test_the_same_weights_on_other_frames() -> None:
    text = frames("    trainable: false\n").replace(
        "inputs: {x: [4, 6, 6, 2]}", "inputs: {x: [4, 6, 6, 2], y: [5, 6, 6, 2]}"
    )
    text = text.replace("  - id: look\n", "  - id: look\n    from: x\n")
    graph = build_graph(text + "  - {id: again, reuse: look, from: y}\noutputs: [look, again]\n")
    assert [output.shape for output in graph.outputs] == [(4, 3, 3, 7), (5, 3, 3, 7)]
    assert graph.trainable_parameters == 0
    assert graph.parameters == build_graph(frames()).parameters


@pytest.mark.parametrize(
    ("inner", "message"),
    [
        ("{block: conv, with: {f: 3}, initial_state: x}", "initial_state belongs on a recurrent node"),
        ("{repeat: 1, do: [{layer: ReLU, from: nowhere}]}", "no node is called nowhere"),
        ("{repeat: 1, do: [{layer: GRU, units: 2}]}", "time_distributed cannot run GRU on every frame"),
        (
            "{repeat: 1, do: [{id: a, layer: ReLU}, {layer: Dot, axes: 1, from: [a, a]}]}",
            r"cannot run Dot on every frame",
        ),
        (
            "{residual: [{layer: ReLU}], merge: {layer: Concatenate, axis: -4}}",
            "along axis -4, which is the batch axis",
        ),
        ("{autoregressive: {do: [{layer: GRU, units: 2}], horizon: 2}}", "cannot run Autoregressive on every frame"),
    ],
)
def test_what_runs_on_no_frame(inner: str, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        build_graph(f"specbuild: 1\ninputs: {{x: [4, 6, 6, 2]}}{BLOCKS}layers:\n  - {{time_distributed: [{inner}]}}\n")


def test_the_weights_of_one_frame_do_not_run_on_every_frame() -> None:
    text = "specbuild: 1\ninputs: {x: [4, 6, 6, 2]}\nlayers:\n  - {id: a, time_distributed: {layer: ReLU}}\n"
    with pytest.raises(SpecError, match="time_distributed cannot reuse a, which is outside"):
        build_graph(text + "  - {time_distributed: [{reuse: a}], from: x}\n")


NODES_OF_A_BLOCK = """specbuild: 1
inputs: {x: [4, 6, 6, 2]}
blocks:
  frames: {parameters: {body: nodes}, do: [{time_distributed: $body}]}
layers:
  - {block: frames, with: {body: [{layer: Conv2D, filters: 2, kernel_size: 3}, {residual: [{layer: ReLU}]}]}}
  - {time_distributed: [{when: false, layer: Flatten}, {id: b, layer: ReLU}, {layer: Add, from: [b, b]}]}
"""


def test_nodes_of_a_block_and_keys_of_nodes() -> None:
    assert build_graph(NODES_OF_A_BLOCK).outputs[0].shape == (4, 4, 4, 2)


@pytest.mark.parametrize("inner", ["[{residual: [{layer: ReLU}]}]", "[{layer: ReLU}]", "{residual: [{layer: ReLU}]}"])
def test_frames_of_frames(inner: str) -> None:
    nodes = f"  - {{time_distributed: [{{time_distributed: {inner}}}]}}\n"
    graph = build_graph(f"specbuild: 1\ninputs: {{x: [2, 4, 6, 6, 2]}}\nlayers:\n{nodes}")
    assert graph.outputs[0].shape == (2, 4, 6, 6, 2)
