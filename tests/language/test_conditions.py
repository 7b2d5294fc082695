"""Nodes with a condition, nodes as parameters of a block, and blocks that pass states on."""

from __future__ import annotations

from typing import Any

import pytest

from specbuild.document import SpecError
from specbuild.graph import Graph, build_graph

HEAD = "specbuild: 1\ninputs: {x: [8], y: [8]}\n"


def wires(graph: Graph) -> dict[str, list[str]]:
    return {node.id: [str(port) for port in node.inputs] for node in graph.nodes}


@pytest.mark.parametrize(
    ("condition", "value", "there"),
    [
        ("$v != 2", 2, False),
        ("$v != 2", 3, True),
        ("$v * 2 >= 6", 3, True),
        ("$v < 1.5", 2, False),
        ("${v == 2}", 2, True),
        ("$v == 'batch'", "batch", True),
        ('$v == "batch"', "layer", False),
        ("${v != 'batch'}", "batch", False),
        ("$v", True, True),
        ("$v", False, False),
        ("$v == (2 > 1)", True, True),
        ("not $v", True, False),
        ("$v == false", False, True),
        ("$v >= 1 and not ($v == 3 or $v > 4)", 2, True),
        ("1 == 1", 0, True),
    ],
)
def test_a_condition(condition: str, value: Any, there: bool) -> None:
    layers: list[dict[str, Any]] = [
        {"id": "a", "layer": "Dense", "units": 3, "from": "x"},
        {"id": "b", "when": condition, "layer": "Dense", "units": 4},
        {"id": "c", "layer": "Dense", "units": 5},
    ]
    graph = build_graph({"specbuild": 1, "vars": {"v": value}, "inputs": {"x": [8]}, "layers": layers})
    assert wires(graph)["c"] == (["b"] if there else ["a"])
    assert ("b" in wires(graph)) == there


@pytest.mark.parametrize("condition", ["$v == 'a'", "$v < 'a'", "1 < $v < 3", "'a' + $v"])
def test_what_cannot_be_compared(condition: str) -> None:
    layers = [{"when": condition, "layer": "Dense", "units": 4}]
    with pytest.raises(SpecError, match="cannot compute"):
        build_graph({"specbuild": 1, "vars": {"v": 2}, "inputs": {"x": [8]}, "layers": layers})


@pytest.mark.parametrize(
    "form", ["repeat: 2, do: [{layer: ReLU}]", "residual: [{layer: ReLU}]", "block: b", "reuse: d"]
)
def test_every_form_has_a_condition(form: str) -> None:
    text = HEAD + "vars: {on: false}\nblocks: {b: {do: [{layer: ReLU}]}}\nlayers:\n"
    text += f"  - {{id: d, layer: Dense, units: 8, from: x}}\n  - {{when: $on, {form}}}\n"
    assert list(wires(build_graph(text))) == ["d"]
    assert len(build_graph(text, overrides={"vars.on": True}).nodes) > 1


BLOCK = """
vars: {f: 3}
blocks:
  twice:
    parameters: {body: nodes, f: 7}
    do: [{repeat: 2, do: $body}, {residual: $body}]
layers:
"""


def test_nodes_as_a_parameter() -> None:
    graph = build_graph(
        HEAD
        + BLOCK
        + "  - {block: twice, from: x, with: {body: [{for: {k: [$f, 8]}, do: [{layer: Dense, units: $k}]}]}}\n"
    )
    assert [node.shape for node in graph.nodes] == [(3,), (8,), (3,), (8,), (3,), (8,), (8,)]
    assert wires(graph)["twice_add"] == ["twice_dense_5", "twice_dense_3"]


def test_nodes_handed_on_to_another_block() -> None:
    text = BLOCK.replace(
        "layers:", "  outer: {parameters: {body: nodes}, do: [{block: twice, with: {body: $body}}]}\nlayers:"
    )
    graph = build_graph(HEAD + text + "  - {block: outer, from: x, with: {body: [{layer: Dense, units: 8}]}}\n")
    assert len(graph.nodes) == 4


def test_nodes_stand_only_where_nodes_stand() -> None:
    text = BLOCK.replace("{residual: $body}", "{layer: Dense, units: $body}")
    with pytest.raises(SpecError, match="it is a list of nodes, to be used where nodes are expected"):
        build_graph(HEAD + text + "  - {block: twice, from: x, with: {body: [{layer: ReLU}]}}\n")
    with pytest.raises(SpecError, match="body: expected a list of nodes, got 3"):
        build_graph(HEAD + BLOCK + "  - {block: twice, from: x, with: {body: 3}}\n")


HEAD_OF_BLOCKS = """specbuild: 1
inputs: {x: [8, 8, 2]}
blocks:
  unit: {parameters: {body: nodes}, do: [{residual: $body}]}
  all: {parameters: {body: nodes}, do: $body}
layers:
"""


def test_passed_nodes_use_the_same_block() -> None:
    inner = "{block: unit, with: {body: [{layer: ReLU}]}}"
    text = (
        f"{HEAD_OF_BLOCKS}  - {{block: unit, with: {{body: [{inner}, {{block: all, with: {{body: [{inner}]}}}}]}}}}\n"
    )
    assert [node.layer.kind for node in build_graph(text).nodes] == ["ReLU", "Add", "ReLU", "Add", "Add"]


def test_a_block_in_its_own_passed_nodes_contains_itself() -> None:
    block = (
        "circle: {parameters: {body: nodes}, do: [{block: unit, with: {body: [{block: circle, with: {body: $body}}]}}]}"
    )
    text = HEAD_OF_BLOCKS.replace("layers:", f"  {block}\nlayers:")
    with pytest.raises(SpecError, match="the block circle contains itself"):
        build_graph(f"{text}  - {{block: circle, with: {{body: [{{layer: ReLU}}]}}}}\n")


@pytest.mark.parametrize(
    ("node", "message"),
    [
        ("{branch: {a: [], b: []}, merge: {layer: Add, when: false}}", "when belongs on the branch node"),
        (
            "{residual: [{layer: ReLU}], merge: {layer: Add, allow: {unused-node: a}}}",
            "allow belongs on the residual node",
        ),
        ("{bidirectional: {layer: LSTM, units: 2, when: true}}", "when belongs on the bidirectional node"),
        ("{for: {i: [1]}, as: i, do: [{layer: ReLU}]}", "the loop has two variables i"),
    ],
)
def test_keys_without_an_effect(node: str, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        build_graph(f"{HEAD_OF_BLOCKS}  - {node}\n")


def test_reuse_of_a_node_that_is_left_out() -> None:
    with pytest.raises(SpecError, match="its when is false on line 3"):
        build_graph(HEAD + "layers: [{id: a, when: false, layer: ReLU}, {reuse: a}]\n")
