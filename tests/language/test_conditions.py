"""Nodes with a condition, nodes as parameters of a block, and blocks that pass states on."""

from __future__ import annotations

import re
from typing import Any

import pytest

from specbuild.document import SpecError
from specbuild.graph import Graph, build_graph
from specbuild.language import load_spec
from specbuild.model import build_model

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


IMAGE = "specbuild: 1\ninputs: {x: [8, 8, 3]}\n"
UNIT = """blocks:
  unit:
    parameters: {f: int, s: 1, around: nodes}
    do:
      - residual:
          - {layer: Conv2D, filters: $f, kernel_size: 3, padding: same, strides: $s}
          - {layer: Conv2D, filters: $f, kernel_size: 3, padding: same}
        %s: $around
"""


def units(key: str, *filters_and_strides: tuple[int, int], around: set[int]) -> str:
    """Residuals, with a shortcut where their numbers are given."""
    lines = []
    for number, (filters, strides) in enumerate(filters_and_strides):
        conv = f"{{id: c, layer: Conv2D, filters: {filters}, kernel_size: 1, strides: {strides}}}"
        nodes = f"[{conv}, {{id: n, layer: BatchNormalization}}]" if number in around else "[]"
        lines.append(f"  - {{id: u{number}, block: unit, with: {{f: {filters}, s: {strides}, around: {nodes}}}}}\n")
    return f"{IMAGE}{UNIT % key}layers:\n{''.join(lines)}"


def measured(graph: Graph) -> list[tuple[Any, ...]]:
    return [(node.id, node.layer.kind, node.inputs, node.shapes, node.parameters) for node in graph.every_node]


SIZES = ((3, 1), (8, 1), (8, 1), (8, 2), (8, 1))


def test_a_projection_is_a_shortcut_where_shapes_differ() -> None:
    graph = build_graph(units("projection", *SIZES, around={0, 1, 2, 3, 4}))
    assert measured(graph) == measured(build_graph(units("shortcut", *SIZES, around={1, 3})))
    assert wires(graph)["u2_add"] == ["u2_conv2d_1", "u1_add"]
    assert graph.spec.resolved() == build_graph(graph.spec.resolved()).spec.resolved()
    undecided = load_spec(units("projection", *SIZES, around={0, 1, 2, 3, 4})).resolved()
    assert undecided.count("shapes_differ") == 2 * 5
    assert measured(build_graph(undecided)) == measured(graph)


EVERYWHERE = {
    "on every frame": (
        "{x: [4, 8, 8, 3]}",
        "[{time_distributed: [{residual: [{layer: Dense, units: %d}], projection: [{layer: Dense, units: %d}]}]}]",
    ),
    "in a loop and a branch": (
        "{x: [8]}",
        "[{branch: {a: [{repeat: 1, do: [{residual: [{layer: Dense, units: %d}], "
        "projection: [{layer: Dense, units: %d}]}]}]}, merge: Add}]",
    ),
    "around a recurrence": (
        "{x: [4, 8]}",
        "[{residual: [{layer: GRU, units: %d}], projection: [{layer: Dense, units: %d}]}, "
        "{layer: GRU, units: 2, return_sequences: false}]",
    ),
    "inside feedback": (
        "{x: [4, 8]}",
        "[{autoregressive: {do: [{residual: [{layer: GRU, units: %d}], "
        "projection: [{layer: Dense, units: %d}]}, {id: out, layer: Dense, units: 8}], horizon: 2}}]",
    ),
    "inside a step": (
        "{x: [4, 8]}",
        "[{id: r, recurrent: {states: {h: 8}, return_sequences: true, do: [{residual: [{layer: Dense, units: %d}], "
        "projection: [{layer: Dense, units: %d}]}, {id: d, layer: Dense, units: 8}], next: {h: h + d}}}]",
    ),
}


@pytest.mark.parametrize(("inputs", "layers"), EVERYWHERE.values(), ids=EVERYWHERE)
def test_a_projection_stands_anywhere(inputs: str, layers: str) -> None:
    width = int(re.findall(r"\d+", inputs)[-1])
    for units in (width, width + 1):
        text = f"specbuild: 1\ninputs: {inputs}\nlayers: {layers % (units, units)}\n"
        graph = build_graph(text)
        plain = text.replace(f", projection: [{{layer: Dense, units: {units}}}]", "")
        expected = build_graph(plain if units == width else text.replace("projection", "shortcut"))
        assert measured(graph) == measured(expected)
        assert measured(build_graph(load_spec(text).resolved())) == measured(graph)
        assert build_model(text).count_params() == graph.parameters


def test_what_reads_a_projection_that_is_left_out_reads_the_input() -> None:
    layers = """layers:
  - {id: a, layer: Dense, from: x, units: %d}
  - {id: b, layer: Dense, from: x, units: 8, when: {shapes_differ: [x, a]}}
  - {id: sum, layer: Add, from: [b, y]}
outputs: [sum, b]
"""
    assert wires(build_graph(HEAD + layers % 4))["sum"] == ["b", "y"]
    left_out = build_graph(HEAD + layers % 8)
    assert wires(left_out)["sum"] == ["x", "y"]
    assert [str(output.port) for output in left_out.outputs] == ["sum", "x"]


def test_a_condition_on_shapes_has_no_mirror_image() -> None:
    with pytest.raises(SpecError) as caught:
        build_graph("""specbuild: 1
inputs: {x: [3, 6, 2]}
layers:
  - encoder_decoder:
      encoder:
        - {id: a, layer: ConvGRU1D, filters: 2, kernel_size: 1}
        - {time_distributed: {layer: Conv1D, filters: 4, kernel_size: 1}, when: {shapes_differ: [x, a]}}
      horizon: 2
""")
    (error,) = caught.value.diagnostics
    assert error.reason == "whether it is there follows from shapes"
