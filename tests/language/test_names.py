"""What ids stand for: ports of composites, lists of inputs, ids given twice, and the ids of nodes inside others."""

from __future__ import annotations

from pathlib import Path

import pytest

from specbuild import SpecError, build_graph
from specbuild.document import Diagnostic

HEAD = "specbuild: 1\ninputs: {x: [3, 8], y: [3, 8]}\n"
MEMORY = "{id: m, layer: LSTM, units: 8}"


def error(text: str | Path) -> Diagnostic:
    with pytest.raises(SpecError) as caught:
        build_graph(text)
    (found,) = caught.value.diagnostics
    return found


PORTS = {
    "a block that ends in a port": (
        f"blocks: {{b: {{do: [{MEMORY}], output: m.last}}}}\nlayers: [{{id: b, block: b, from: x}}]\n",
        "b.sequence",
        ("b is one tensor and has no sequence", "it stands for b_m.last"),
    ),
    "one of several outputs": (
        f"blocks: {{b: {{do: [{MEMORY}], output: {{a: m.last, s: m.state}}}}}}\n"
        "layers: [{id: b, block: b, from: x}]\n",
        "b.s.last",
        ("b.s is one state and has no last", "it stands for b_m.state"),
    ),
    "a path that passes a port on": (
        f"layers: [{{{MEMORY[1:-1]}, from: x}}, {{id: fork, branch: {{a: [], c: []}}, from: m.last}}]\n",
        "fork.a.sequence",
        ("fork.a is one tensor and has no sequence", "it stands for m.last"),
    ),
}


@pytest.mark.parametrize(("text", "read", "expected"), PORTS.values(), ids=PORTS)
def test_a_member_that_is_one_port_has_no_other(text: str, read: str, expected: tuple[str, str]) -> None:
    found = error(f"{HEAD}{text}outputs: [{read}]\n")
    assert (found.message, found.reason) == expected
    assert found.help == f"write {read.rpartition('.')[0]}"


def test_the_input_of_a_block_is_not_another_port_of_what_it_reads() -> None:
    text = f"""{HEAD}blocks: {{b: {{do: [{{layer: LSTM, units: 8, from: input.sequence}}]}}}}
layers: [{{{MEMORY[1:-1]}, from: x}}, {{block: b, from: m.last}}]
"""
    assert error(text).message == "input is one tensor and has no sequence"


def test_a_state_has_its_parts_and_a_port_is_itself() -> None:
    graph = build_graph(f"""{HEAD}blocks:
  memory: {{do: [{MEMORY}], output: m.state}}
  end: {{do: [{MEMORY}], output: {{last: m.last}}}}
layers:
  - {{id: a, block: memory, from: x}}
  - {{id: b, block: end, from: x}}
outputs: [a.state.c, b.last, b.last.last]
""")
    assert [str(output.port) for output in graph.outputs] == ["a_m.state.c", "b_m.last", "b_m.last"]


def test_a_bare_recurrence_at_the_end_of_a_block_has_every_port() -> None:
    graph = build_graph(f"""{HEAD}blocks: {{b: {{do: [{MEMORY}]}}}}
layers: [{{id: b, block: b, from: x}}]
outputs: [b.sequence, b.last, b.state.h]
""")
    assert [str(output.port) for output in graph.outputs] == ["b_m.sequence", "b_m.last", "b_m.state.h"]


JOIN = "blocks: {join: {%sdo: [{layer: Concatenate, from: %s}]}}\n"


@pytest.mark.parametrize(("sources", "length"), [("x", 8), ("[x]", 8), ("[x, y]", 16)])
def test_all_inputs_of_a_block_are_a_list_however_many(sources: str, length: int) -> None:
    text = f"{HEAD}{JOIN % ('', 'input')}layers: [{{block: join, from: {sources}}}]\n"
    graph = build_graph(text)
    assert graph.outputs[0].shape == (3, length)
    assert build_graph(graph.spec.resolved()).outputs[0].shape == (3, length)


@pytest.mark.parametrize(
    "text",
    [
        f"{JOIN % ('inputs: [left], ', 'left')}layers: [{{block: join, from: x}}]\n",
        "blocks: {b: {do: [{id: r, layer: ReLU}], output: {rounds: r}}}\n"
        "layers: [{id: b, block: b, from: x}, {layer: Concatenate, from: b.rounds}]\n",
    ],
    ids=["one named input", "an output called rounds"],
)
def test_a_single_tensor_is_no_list(text: str) -> None:
    assert error(HEAD + text).message == "Concatenate joins several inputs, got 1"


def test_a_member_of_a_composite_may_be_the_rounds_of_a_loop() -> None:
    graph = build_graph(f"""{HEAD}blocks:
  steps: {{parameters: {{n: int}}, do: [{{id: l, repeat: $n, do: [{{layer: ReLU}}]}}]}}
layers:
  - {{id: s, block: steps, with: {{n: 1}}, from: x}}
  - {{layer: Concatenate, from: s.l.rounds}}
""")
    assert graph.outputs[0].shape == (3, 8)


def test_two_nodes_with_the_same_id(tmp_path: Path) -> None:
    block = "blocks: {b: {do: [{id: r, layer: ReLU}]}}\n"
    twice = error(f"{HEAD}{block}layers:\n  - {{id: one, block: b, from: x}}\n  - {{id: one, block: b}}\n")
    assert (twice.message, twice.reason) == ("two nodes are called one", "the first is on line 5")
    rounds = error(f"{HEAD}{block}layers: [{{repeat: 2, from: x, do: [{{id: one, block: b}}]}}]\n")
    assert (rounds.message, rounds.reason) == ("two nodes are called one", "each round of a loop makes it again")

    (tmp_path / "part.yaml").write_text("specbuild: 1\ninputs: {x: [3, 8]}\nlayers:\n  - {id: r, layer: ReLU}\n")
    spec = tmp_path / "spec.yaml"
    spec.write_text(f"{HEAD}layers:\n  - {{id: p, model: part.yaml, from: x}}\n  - {{id: p_r, layer: ReLU}}\n")
    found = error(spec)
    assert found.message == "two nodes are called p_r"
    assert found.reason.startswith("the first is on line 4 of ")
    assert found.reason.endswith("part.yaml")


ENCODER = "{encoder_decoder: {encoder: [{layer: ConvGRU1D, filters: 2, kernel_size: 1}], horizon: 2}}"


@pytest.mark.parametrize(
    "inside",
    [
        f"[{ENCODER}]",
        f"[{{layer: ReLU}}, {{residual: [{ENCODER}]}}]",
        "[{block: forecast}]",
        f"[{{id: a, {ENCODER[1:-1]}}}, {{layer: ReLU, from: a}}, {{reuse: a}}]",
    ],
)
def test_an_encoder_and_a_decoder_on_every_frame_are_one_error(inside: str) -> None:
    text = f"""specbuild: 1
inputs: {{x: [4, 3, 6, 2]}}
blocks: {{forecast: {{do: [{ENCODER}]}}}}
layers: [{{time_distributed: {inside}}}]
"""
    assert error(text).message == "time_distributed cannot run an encoder_decoder on every frame"


def test_only_blocks_files_and_steps_change_the_ids_inside(tmp_path: Path) -> None:
    (tmp_path / "part.yaml").write_text("specbuild: 1\ninputs: {x: [3, 8]}\nlayers:\n  - {id: r, layer: ReLU}\n")
    (tmp_path / "spec.yaml").write_text(f"""{HEAD}blocks: {{b: {{do: [{{id: r, layer: ReLU}}]}}}}
layers:
  - {{id: loop, from: x, repeat: 1, do: [{{id: a, layer: ReLU}}]}}
  - {{id: sum, residual: [{{id: c, layer: ReLU}}]}}
  - {{id: frames, time_distributed: [{{residual: [{{id: d, layer: ReLU}}]}}]}}
  - {{id: block, block: b}}
  - {{id: file, model: part.yaml}}
  - {{id: memory, encoder_decoder: {{encoder: [{{id: e, layer: LSTM, units: 8}}], feed: last, horizon: 3}}}}
  - {{id: cell, recurrent: {{states: {{h: 8}}, do: [{{id: g, equation: tanh(input + h)}}], next: {{h: g}}}}}}
  - {{id: feedback, autoregressive: {{do: [{{id: f, layer: LSTM, units: 8}}], horizon: 2}}}}
""")
    graph = build_graph(tmp_path / "spec.yaml")
    made = {"add", "memory_frame", "memory_steps", "e_mirror", "file_x"}
    assert [node.id for node in graph.every_node if node.id not in made] == [
        *("a", "c", "sum", "d", "block_r", "file_r", "e", "cell", "cell_g", "feedback", "feedback_f")
    ]
