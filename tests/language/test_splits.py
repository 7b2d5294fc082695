"""`split`: parts of an axis by name, their shapes, and how they are read."""

from __future__ import annotations

import pytest

from specbuild import SpecError, build_graph
from specbuild.catalog.plumbing import SplitPart
from specbuild.graph import Graph

HEAD = "specbuild: 1\ninputs: {x: [4, 6, 8]}\n"


def graph(layers: str, head: str = HEAD) -> Graph:
    return build_graph(f"{head}layers:\n{layers}")


def faults(layers: str, head: str = HEAD) -> list[tuple[str, str, str]]:
    """Return the errors, the texts that they point at, and their help."""
    with pytest.raises(SpecError) as caught:
        graph(layers, head)
    found = []
    for error in caught.value.diagnostics:
        assert error.span is not None
        line = error.span.source.line(error.span.line)
        found.append((error.message, line[error.span.column - 1 : error.span.end_column - 1], error.help))
    return found


def test_equal_parts_are_members() -> None:
    built = graph('  - {id: gates, split: [i, f, g, o]}\n  - {equation: "gates.i * gates.f + gates.g * gates.o"}\n')
    parts = [node for node in built.nodes if isinstance(node.layer, SplitPart)]
    assert [node.id for node in parts] == ["gates_i", "gates_f", "gates_g", "gates_o"]
    assert [node.layer for node in parts] == [SplitPart(parts=4, index=index, axis=-1) for index in range(4)]
    assert [(node.shape, node.flops, node.saved) for node in parts] == [((4, 6, 2), 0, 48)] * 4


def test_parts_of_given_lengths_are_ids() -> None:
    built = graph("  - {split: {top: 1, rest: 3}, axis: 1}\n  - {layer: Concatenate, axis: 1, from: [rest, top]}\n")
    assert {node.id: node.shape for node in built.nodes} == {
        "top": (1, 6, 8),
        "rest": (3, 6, 8),
        "concatenate": (4, 6, 8),
    }


def test_an_axis_of_unknown_length() -> None:
    head = "specbuild: 1\ninputs: {x: [null, 8]}\n"
    built = graph("  - {split: [a, b], axis: 1}\n  - {layer: Concatenate, axis: 1, from: [b, a]}\n", head)
    assert [node.shape for node in built.nodes] == [(None, 8)] * 3


@pytest.mark.parametrize(
    ("node", "found"),
    [
        (
            "{id: p, split: [a, b, c]}",
            ("split cannot cut axis -1, of length 8, into 3 equal parts", "[a, b, c]", "a length of 6 or 9 fits"),
        ),
        ("{id: p, split: {a: 3, b: 4}}", ("split needs 7 entries on axis -1, got 8", "{a: 3, b: 4}", "")),
        ("{id: p, split: [a, b], axis: 4}", ("split has no axis 4 to use", "4", "")),
        ("{id: p, split: [a, b], axis: 0}", ("split cannot use the batch axis", "0", "")),
        (
            "{id: p, split: 2}",
            (
                "expected the names of the parts, got a number",
                "2",
                "write split: [i, f, g, o], or with lengths split: {i: 32, f: 64}",
            ),
        ),
        (
            "{id: p, split: []}",
            (
                "expected the names of the parts, got none",
                "[]",
                "write split: [i, f, g, o], or with lengths split: {i: 32, f: 64}",
            ),
        ),
        ("{id: p, split: [a, a]}", ("two parts are called a", "[a, a]", "give each its own name")),
        (
            "{id: p, split: [a, b.c]}",
            ('"b.c" cannot name a part', "[a, b.c]", "use letters, digits, _ and -, not starting with a digit"),
        ),
        (
            "{id: p, split: {a: 3, b: no}}",
            (
                "the length of b is not a positive whole number",
                "{a: 3, b: no}",
                "write split: [i, f, g, o], or with lengths split: {i: 32, f: 64}",
            ),
        ),
    ],
)
def test_errors(node: str, found: tuple[str, str, str]) -> None:
    ((message, at, help),) = faults(f"  - {node}\n  - {{equation: p.a + p.b}}\n")
    assert (message.removeprefix("split: "), at, help) == found


def test_what_reads_a_split_names_a_part() -> None:
    message = "the split above has several parts, so this node must name the one it reads"
    assert faults("  - {id: p, split: [a, b]}\n  - {layer: ReLU}\n")[0][0] == message
    assert faults("  - {id: p, split: [a, b]}\n  - {layer: ReLU, from: p}\n")[0][::2] == (
        "p has no output of its own",
        "write one of p.a, p.b",
    )
    assert faults("  - {id: p, split: [a, b]}\n  - {layer: ReLU, from: p.c}\n")[0][0] == "p has no output c"
    several = "  - {id: a, layer: ReLU}\n  - {split: [b, c], from: [a, x]}\n  - {equation: b + c}\n"
    assert faults(several) == [("split reads one input, got 2", "[a, x]", "join them first, or split each")]
    assert faults("  - {split: [a, x]}\n  - {layer: ReLU, from: a}\n")[0][0] == "two nodes are called x"


def test_inside_other_forms() -> None:
    block = "blocks: {glu: {do: [{id: h, split: [a, b]}, {equation: h.a * sigmoid(h.b)}]}}\n"
    built = graph(
        "  - {id: one, block: glu}\n"
        "  - {id: two, reuse: one, from: x}\n"
        "  - {for: {n: [1, 2]}, from: two, do: [{id: s_$n, split: [p_$n, q]}, {equation: s_$n.p_$n}]}\n"
        "  - {layer: Concatenate, from: [one, one.h.a, two.h.b]}\n",
        f"{HEAD}{block}",
    )
    parts = {node.id: node.layer.index for node in built.nodes if isinstance(node.layer, SplitPart)}
    assert parts == {"one_h_a": 0, "one_h_b": 1, "two_h_b": 1}
    again = build_graph(built.spec.resolved())
    nodes = [[(node.id, node.layer.kind, node.inputs, node.shape) for node in each.nodes] for each in (built, again)]
    assert nodes[0] == nodes[1]


def test_on_every_frame_an_axis_is_that_of_a_frame() -> None:
    head = "specbuild: 1\ninputs: {x: [5, 4, 6, 8]}\n"
    built = graph(
        "  - {time_distributed: [{split: [top, low], axis: 1}, {id: c, split: [a, b], from: top}, "
        "{equation: c.a + c.b}]}\n",
        head,
    )
    assert built.outputs[0].shape == (5, 2, 6, 4)
    frames = "  - {time_distributed: [{split: [a, b], axis: -4}, {equation: a + b}]}\n"
    assert faults(frames, head)[0][0] == "split cannot use the batch axis"


def test_one_of_two_parts_may_be_unread() -> None:
    assert graph("  - {split: [a, b]}\n  - {equation: 2 * a}\n").warnings == ()
    (warning,) = graph("  - {id: p, split: [a, b]}\n  - {layer: ReLU, from: x}\n").warnings[:1]
    assert warning.message == "nothing reads p_a, and it is not an output"
