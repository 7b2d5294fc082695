"""`reuse` of composites: the same ports, outputs and members as the original, and the same weights."""

from __future__ import annotations

import pytest

from specbuild.document import SpecError
from specbuild.graph import Graph, build_graph

HEAD = "specbuild: 1\ninputs: {x: [8], y: [8]}\n"
FRAMES = "specbuild: 1\ninputs: {x: [4, 8, 8, 2], y: [4, 8, 8, 2]}\n"


def wires(graph: Graph) -> dict[str, list[str]]:
    """What each node reads."""
    return {node.id: [str(port) for port in node.inputs] for node in graph.nodes}


def ends(graph: Graph) -> list[str]:
    return [str(output.port) for output in graph.outputs]


def shares(graph: Graph) -> dict[str, str | None]:
    return {node.id: node.shares for node in graph.nodes}


def refusal(text: str) -> tuple[str, str]:
    """The message and the reason of the only error."""
    with pytest.raises(SpecError) as caught:
        build_graph(text)
    (fault,) = caught.value.diagnostics
    return fault.message, fault.reason


def test_the_output_of_a_block() -> None:
    graph = build_graph(
        HEAD
        + """
blocks:
  two:
    do: [{id: a, layer: Dense, units: 4}, {id: b, layer: Dense, units: 5}, {id: c, layer: Add, from: [a, a]}]
    output: a
layers:
  - {id: one, block: two, from: x}
  - {id: again, reuse: one, from: y}
  - {id: third, reuse: again, from: x, expect: [4]}
outputs: [one, again, third]
"""
    )
    assert ends(graph) == ["one_a", "again_a", "third_a"]
    assert shares(graph) == {"one_a": None, "again_a": "one_a", "third_a": "one_a"}
    assert wires(graph) == {"one_a": ["x"], "again_a": ["y"], "third_a": ["x"]}


def test_the_named_outputs_of_a_block() -> None:
    graph = build_graph(
        HEAD
        + """
blocks:
  three: {do: [{id: a, layer: Dense, units: 4}, {id: b, layer: Dense, units: 5}], output: {p: a, q: b}}
layers:
  - {id: one, block: three, from: x}
  - {id: again, reuse: one, from: y}
outputs: [again.p, again.q, again.a]
"""
    )
    assert ends(graph) == ["again_a", "again_b", "again_a"]
    assert wires(graph)["again_a"] == ["y"]


def test_the_paths_of_a_branch() -> None:
    text = (
        HEAD
        + "layers:\n"
        + "  - {id: fork, from: x, branch: {p: [{layer: Dense, units: 2}], q: [{layer: Dense, units: 3}]}}\n"
        + "  - {id: again, reuse: fork, from: y}\n"
    )
    graph = build_graph(text + "outputs: [again.q, again.p]\n")
    assert [output.shape for output in graph.outputs] == [(3,), (2,)]
    assert [wires(graph)[end] for end in ends(graph)] == [["y"], ["y"]]
    message, _ = refusal(text + "  - {layer: ReLU}\n")
    assert message == "the branch before has no merge, so this node must say what it reads"


def test_a_list_on_every_frame() -> None:
    graph = build_graph(
        FRAMES
        + """
layers:
  - id: look
    from: x
    time_distributed:
      - {layer: Conv2D, filters: 3, kernel_size: 3}
      - {layer: Conv2D, filters: 4, kernel_size: 3}
  - {id: again, reuse: look, from: y}
outputs: [look, again]
"""
    )
    (first, look, again_first, again) = graph.nodes
    assert (again_first.shares, again.shares) == (first.id, "look")
    assert [str(port) for port in (*again_first.inputs, *again.inputs)] == ["y", again_first.id]
    assert look.shapes == again.shapes


def test_an_encoder_decoder() -> None:
    graph = build_graph(
        FRAMES
        + """
layers:
  - id: net
    from: x
    encoder_decoder:
      encoder: [{id: enc, layer: ConvLSTM2D, filters: 3, kernel_size: 3, padding: same}]
      decoder: [{id: dec, layer: ConvLSTM2D, filters: 3, kernel_size: 3, padding: same}]
      horizon: 2
  - {id: again, reuse: net, from: y}
outputs: [net, again, again.enc.last, again.encoder.last, again.dec.state.h, again.decoder]
"""
    )
    assert ends(graph) == [
        "dec.sequence",
        "again_dec.sequence",
        "again_enc.last",
        "again_enc.last",
        "again_dec.state.h",
        "again_dec.sequence",
    ]
    states = {node.id: [str(port) for port in node.initial_state] for node in graph.nodes}
    assert states["again_dec"] == ["again_enc.state.h", "again_enc.state.c"]


def test_what_the_inside_reads_from_outside_stays() -> None:
    graph = build_graph(
        HEAD
        + "layers:\n"
        + "  - {id: base, layer: Dense, units: 8, from: x}\n"
        + "  - {id: loop, from: base, repeat: 2, as: i, "
        + "do: [{id: d$i, layer: Dense, units: 8}, {layer: Add, from: [d$i, base]}]}\n"
        + "  - {id: again, reuse: loop, from: y}\n"
    )
    assert wires(graph)["again_d1"] == ["y"]
    assert wires(graph)["again_add"] == ["again_d1", "base"]
    assert wires(graph)["again_d2"] == ["again_add"]


def test_one_node_read_twice() -> None:
    graph = build_graph(
        HEAD
        + """
blocks:
  sum: {inputs: [a, b], do: [{layer: Add, from: [a, b]}, {id: end, layer: Dense, units: 3}]}
layers:
  - {id: one, block: sum, from: [x, x]}
  - {id: two, reuse: one, from: [x, y]}
"""
    )
    assert wires(graph)["two_add"] == ["x", "y"]


def test_a_state_for_a_composite_is_refused() -> None:
    message, _ = refusal(
        FRAMES
        + """
defaults: {ConvGRU2D: {filters: 2, kernel_size: 3, padding: same}}
blocks:
  stack: {do: [{layer: ConvGRU2D}, {layer: ConvGRU2D}]}
layers:
  - {id: one, block: stack, from: x}
  - {id: start, layer: ConvGRU2D, from: y}
  - {id: two, reuse: one, from: y, initial_state: start}
outputs: [two.last]
"""
    )
    assert message == "initial_state belongs on a recurrent node, not on a composite one"


@pytest.mark.parametrize(
    ("layers", "message", "reason"),
    [
        (
            "[{repeat: 2, do: [{layer: ReLU}], from: z}, {id: z, layer: ReLU, from: x}]",
            "z is below this repeat, which reads it",
            "nodes run in the order they are written; z is on line 3",
        ),
        (
            "[{id: r, repeat: 2, do: [{id: a$i, layer: ReLU}], as: i, from: z}, {id: z, layer: ReLU}]",
            "z is below r, which reads it",
            "they form a cycle: a2 → z → a2",
        ),
        (
            "[{id: p, layer: Add, from: [x, q]}, {id: q, layer: ReLU}]",
            "q is below p, which reads it",
            "they form a cycle: p → q → p",
        ),
        ("[{repeat: 0, do: [{layer: ReLU}], from: nope}, {layer: ReLU}]", "no node is called nope", ""),
        ("[{repeat: 2, do: [{layer: ReLU}], from: nope}, {layer: ReLU}]", "no node is called nope", ""),
    ],
)
def test_what_stands_below(layers: str, message: str, reason: str) -> None:
    assert refusal(f"specbuild: 1\ninputs: {{x: [8]}}\nlayers: {layers}") == (message, reason)


def test_expect_holds_the_output_of_a_composite() -> None:
    block = "blocks: {two: {do: [{id: a, layer: Dense, units: 4}, {id: b, layer: Dense, units: 5}], output: a}}\n"
    assert build_graph(HEAD + block + "layers: [{block: two, from: x, expect: [4]}]\n").outputs[0].shape == (4,)
    for node in ("{id: one, block: two, from: x, expect: [5]}", "{id: one, repeat: 0, do: [], from: x, expect: [5]}"):
        message, _ = refusal(HEAD + block + f"layers: [{node}, {{layer: ReLU}}]\n")
        assert message.endswith("not 5")
    fork = "{branch: {p: [{layer: Dense, units: 2}], q: []}, from: x, expect: [2]}"
    message, reason = refusal(HEAD + f"layers: [{fork}, {{layer: Dense, units: 1, from: x}}]\n")
    assert (message, reason.startswith("the branch before")) == (
        "expect: there is no single output to compare with it",
        True,
    )


def test_the_variables_of_the_original_hold() -> None:
    graph = build_graph(
        HEAD
        + "layers:\n"
        + "  - {for: {f: [3, 4]}, from: x, do: [{id: in_$f, repeat: 1, do: [{layer: Dense, units: $f}]}]}\n"
        + "  - {id: again, reuse: in_3, from: y}\n"
        + "outputs: [again, in_4]\n"
    )
    assert [output.shape for output in graph.outputs] == [(3,), (4,)]


@pytest.mark.parametrize("outputs", ["[a, b]", "[b]"])
def test_weights_frozen_where_they_are_declared_stay_frozen(outputs: str) -> None:
    text = "specbuild: 1\ninputs: {x: [4]}\nlayers:\n  - {id: a, layer: Dense, units: 4, trainable: false}\n"
    reuse = "  - {id: b, from: x, trainable: true, residual: [{reuse: a}]}\n"
    assert build_graph(f"{text}{reuse}outputs: {outputs}\n").trainable_parameters == 0
