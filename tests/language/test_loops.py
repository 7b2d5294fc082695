"""Loops whose rounds are collected or stand side by side."""

from __future__ import annotations

import pytest

from specbuild.document import SpecError
from specbuild.graph import Graph, build_graph
from specbuild.language import load_spec

HEAD = "specbuild: 1\nvars: {n: 3}\ninputs: {x: [8], y: [8]}\nlayers:\n"


def wires(graph: Graph) -> dict[str, list[str]]:
    return {node.id: [str(port) for port in node.inputs] for node in graph.nodes}


@pytest.mark.parametrize("rounds", [1, 3])
def test_rounds_side_by_side(rounds: int) -> None:
    text = (
        HEAD + "  - {id: h, from: x, repeat: $n, as: i, merge: Stack, do: [{id: d$i, layer: Dense, units: 4 * $i}]}\n"
    )
    text = text.replace("4 * $i", "4")
    graph = build_graph(text, overrides={"vars.n": rounds})
    ids = [f"d{number}" for number in range(1, rounds + 1)]
    assert wires(graph) == {**{name: ["x"] for name in ids}, "h": ids}
    assert graph.outputs[0].shape == (rounds, 4)
    again = build_graph(load_spec(text, overrides={"vars.n": rounds}).resolved())
    assert wires(again) == wires(graph)


@pytest.mark.parametrize("rounds", [1, 3])
def test_rounds_one_after_the_other(rounds: int) -> None:
    text = (
        HEAD
        + "  - {id: steps, from: x, repeat: $n, as: i, do: [{id: d$i, layer: Dense, units: 8}]}\n"
        + "  - {id: all, layer: Concatenate, from: steps.rounds}\n"
        + "  - {id: again, reuse: steps, from: y}\n"
        + "  - {id: sum, layer: Add, from: again.rounds}\n"
        + "outputs: [steps, all, sum]\n"
    )
    graph = build_graph(text, overrides={"vars.n": rounds})
    ids = [f"d{number}" for number in range(1, rounds + 1)]
    assert wires(graph)["all"] == ids
    assert wires(graph)["sum"] == [f"again_{name}" for name in ids]
    assert [output.shape for output in graph.outputs] == [(8,), (8 * rounds,), (8,)]


def test_rounds_of_for_are_counted() -> None:
    graph = build_graph(
        HEAD
        + "  - {for: {f: [5, 6]}, as: i, from: x, merge: Concatenate, "
        + "do: [{id: 'd${i + 1}', layer: Dense, units: $f}]}\n"
    )
    assert [node.id for node in graph.nodes] == ["d2", "d3", "concatenate"]
    assert graph.outputs[0].shape == (11,)


def test_a_merge_of_one_that_is_no_list() -> None:
    with pytest.raises(SpecError, match="Add joins several inputs, got 1"):
        build_graph(HEAD + "  - {layer: Add, from: x}\n")


FRAMES = "specbuild: 1\ninputs: {x: [4, 8, 8, 2]}\nlayers:\n"
MEMORY = "id: m, layer: ConvLSTM2D, filters: 3, kernel_size: 3, padding: same"


@pytest.mark.parametrize(("shape", "port"), [("4, 8, 8, 3", "m.sequence"), ("null, 8, 3", "m.last")])
def test_expect_settles_a_port(shape: str, port: str) -> None:
    graph = build_graph(FRAMES + f"  - {{{MEMORY}, expect: [{shape}]}}\n  - {{layer: ReLU}}\n")
    assert wires(graph)["re_lu"] == [port]
    assert str(build_graph(FRAMES + f"  - {{{MEMORY}, expect: [{shape}]}}\n").outputs[0].port) == port


@pytest.mark.parametrize(
    "inner", ["Flatten", "Dropout, rate: 0.5", "Dense, units: 2", "Reshape, target_shape: [8, 24]"]
)
def test_every_frame_is_a_frame_of_the_sequence(inner: str) -> None:
    graph = build_graph(FRAMES + f"  - {{{MEMORY}}}\n  - {{id: t, time_distributed: {{layer: {inner}}}}}\n")
    assert wires(graph)["t"] == ["m.sequence"]


def test_what_runs_on_every_frame_can_be_frozen() -> None:
    frozen = (
        "time_distributed: [{layer: Conv2D, filters: 2, kernel_size: 3}, {layer: Conv2D, filters: 1, kernel_size: 3}]"
    )
    graph = build_graph(FRAMES + f"  - {{trainable: false, {frozen}}}\n")
    assert (graph.parameters, graph.trainable_parameters) == (57, 0)


def test_one_error_for_all_rounds() -> None:
    node = "{id: c_$i, layer: Conv3D, filters: 2, kernel_size: 1, from: x, expect: [4, 8, 8, $i]}"
    with pytest.raises(SpecError) as caught:
        build_graph(FRAMES + f"  - {{repeat: 31, as: i, do: [{node}]}}\n")
    (error,) = caught.value.diagnostics
    assert error.message == "c_1 gives 4 × 8 × 8 × 2, not 4 × 8 × 8 × 1"
    assert error.why == "found 30 times, in rounds of a loop or uses of a block"


@pytest.mark.parametrize("count", [1, 2])
def test_rounds_are_collected_by_a_port(count: int) -> None:
    loop = f"{{id: l, repeat: {count}, do: [{{layer: ConvLSTM2D, filters: 2, kernel_size: 1}}]}}"
    graph = build_graph(FRAMES + f"  - {loop}\n  - {{layer: Concatenate, from: l.rounds.last}}\n")
    assert graph.outputs[0].shape[-1] == 2 * count


def test_no_rounds_are_collected() -> None:
    text = FRAMES + "  - {id: l, repeat: 0, do: [{layer: ReLU}]}\n  - {layer: Concatenate, from: l.rounds}\n"
    with pytest.raises(SpecError, match=r"l\.rounds has no output of its own"):
        build_graph(text)
