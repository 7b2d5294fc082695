"""Equations on nodes: their text, their names, and the places of their errors."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from specbuild import SpecError, build_graph, load_spec
from specbuild.catalog import ShapeError
from specbuild.catalog.equation import Equation, equation
from specbuild.document.arithmetic import written
from specbuild.document.calculation import ExpressionError
from specbuild.graph import Graph, Port

HEAD = "specbuild: 1\ninputs: {x: [4, 4, 3], y: [4, 4, 3], z: [3]}\n"


BLOCK = """\
  gate: {inputs: [a, b], do: [{id: g, equation: "sigmoid(a) * b"}]}
  double: {do: [{equation: input * 2}]}
"""


def graph(layers: str, head: str = HEAD) -> Graph:
    return build_graph(f"{head}layers:\n{layers}")


def fault(layers: str, head: str = HEAD) -> tuple[str, str, str]:
    """Return the only error, the text that it points at, and its help."""
    with pytest.raises(SpecError) as caught:
        graph(layers, head)
    (error,) = caught.value.diagnostics
    span = error.span
    assert span is not None
    return error.message, span.source.line(span.line)[span.column - 1 : span.end_column - 1], error.help


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("a*b+c", "a * b + c"),
        ("a*(b+c)", "a * (b + c)"),
        ("(a*b)+c", "a * b + c"),
        ("a-(b-c)", "a - (b - c)"),
        ("a-b-c", "a - b - c"),
        ("(a - b) - c", "(a - b) - c"),
        ("a/(b*c)", "a / (b * c)"),
        ("-a**2", "-a ** 2"),
        ("(-a)**2", "(-a) ** 2"),
        ("a**-0.5", "a ** -0.5"),
        ("-(a+b)", "-(a + b)"),
        ("--a + +b", "a + b"),
        ("a*-b", "a * -b"),
        ("(a+b)**2", "(a + b) ** 2"),
        ("tanh( a ) * maximum(b,1e-5)", "tanh(a) * maximum(b, 1e-05)"),
        ("enc.last + gates.f_1", "enc.last + gates.f_1"),
    ],
)
def test_text(text: str, canonical: str) -> None:
    tree = equation(text)
    assert written(tree) == canonical
    assert written(equation(canonical)) == canonical


parts = st.recursive(
    st.sampled_from(["a", "b.c", "2", "0.5"]),
    lambda inner: (
        st.tuples(inner, st.sampled_from("+-*/"), inner).map(lambda part: f"({part[0]} {part[1]} {part[2]})")
        | inner.map(lambda part: f"(-{part})")
        | inner.map(lambda part: f"({part} ** 2)")
    ),
    max_leaves=8,
)


@given(parts)
def test_text_without_spare_parentheses_means_the_same(text: str) -> None:
    with contextlib.suppress(ExpressionError):
        tree = equation(text)
        assert equation(written(tree)) == tree


@given(st.text(max_size=40) | st.text(alphabet="ab.1 +-*/()%<=,$'", max_size=40))
def test_no_text_breaks_the_parser(text: str) -> None:
    place = place_of_fault(text)
    assert place is None or 0 <= place[0] <= place[1] <= len(text)


def place_of_fault(text: str) -> tuple[int, int] | None:
    try:
        equation(text)
    except ExpressionError as error:
        return error.at or (-1, -1)
    return None


@pytest.mark.parametrize(
    ("text", "message", "at", "help"),
    [
        ("x + yy", "no node is called yy", "yy", "did you mean y?"),
        ("sigmod(x)", 'an equation has no function "sigmod"', "sigmod", "did you mean sigmoid?"),
        (
            "y * softmax(x)",
            'an equation has no function "softmax"',
            "softmax",
            "it works along an axis: write {id: …, layer: Softmax} as a separate node, and its id here",
        ),
        (
            "hadamard(x, y)",
            'an equation has no function "hadamard"',
            "hadamard",
            "write a * b, which multiplies element by element",
        ),
        ("maximum(x)", "maximum takes 2 arguments, got 1", "maximum", "write maximum(a, b)"),
        ("x + exp(1)", "exp(1) is a number", "exp(1)", "write its value as a number"),
        (
            "x ** y",
            "the exponent of ** is not a number",
            "y",
            "write x ** 2 or x ** 0.5; a power of two nodes is exp(b * log(a))",
        ),
        ("x // 2", "an equation has no //", "x // 2", ""),
        ("x + (y < 2)", "an equation has no comparisons", "y < 2", "it has + - * / ** and functions"),
        ("1 + 2", "an equation needs the id of a node to read", "1 + 2", ""),
        ("x * (1 / 0)", "division by zero", "1 / 0", ""),
        ("2 x", 'unexpected "x"', "x", "write * between two factors"),
        ("x +", "a number or the id of a node is missing at the end", "+", ""),
        ("tanh(x", 'a ")" is missing', "tanh", ""),
        (
            "x ⊙ y",
            '"⊙ y" cannot be part of an equation; it may have numbers, ids of nodes, functions, + - * / ** and ( )',
            "⊙",
            "write *",
        ),
    ],
)
def test_errors_point_at_the_part_that_is_wrong(text: str, message: str, at: str, help: str) -> None:
    found = fault(f'  - {{equation: "{text}"}}\n')
    assert found[:2] == (message, at)
    assert found[2].replace('"', "") == help


@pytest.mark.parametrize(
    ("node", "whole"),
    [
        ("{equation: maximum(x, x)}", "maximum(x, x)"),
        ("{id: a, equation: 2 * minimum(x, maximum(x, 0)), when: true}", "2 * minimum(x, maximum(x, 0))"),
    ],
)
def test_a_comma_in_braces_is_one_error(node: str, whole: str) -> None:
    message, at, help = fault(f"  - {node}\n")
    assert message == f'a comma ends the text of equation: "{at}"'
    assert help == f'in {{ }} a comma separates keys; put the text in quotes: "{whole}"'


def test_a_comma_in_the_braces_of_next_is_one_error() -> None:
    cell = "{states: {h: 3}, do: [{layer: Identity}], next: {h: maximum(h, input)}}"
    message, at, help = fault(f"  - {{id: m, from: x, recurrent: {cell}}}\noutputs: [m.sequence]\n")
    assert (message, at) == ('a comma ends the text of h: "maximum(h"', "maximum(h")
    assert help.endswith('put the text in quotes: "maximum(h, input)"')


def test_a_text_over_several_lines_points_at_its_words() -> None:
    folded = "  - id: a\n    equation: >-\n      x *\n      (y + w)\n"
    assert fault(folded)[:2] == ("no node is called w", "w")
    plain = "  - id: a\n    equation: x *\n      (y + w)\n"
    assert fault(plain)[:2] == ("no node is called w", "w")


def test_an_escape_in_the_text_leaves_the_whole_text() -> None:
    assert fault('  - {equation: "x\\x20+ w"}\n')[:2] == ("no node is called w", '"x\\x20+ w"')


def test_names_are_what_an_equation_reads() -> None:
    built = graph('  - {id: a, equation: "x + y * x - 2"}\n')
    (node,) = built.nodes
    assert node.layer == Equation(formula="x1 + x2 * x1 - 2")
    assert node.inputs == (Port("x"), Port("y"))


def test_variables_are_filled_in() -> None:
    head = f"{HEAD}vars: {{bias: -1.5, f: tanh, name: y, sum: x + y}}\n"
    built = graph('  - {equation: "$f(x) * $name ** $bias - 2 * $sum / ${bias * 2}"}\n', head)
    assert isinstance(built.nodes[0].layer, Equation)
    assert built.nodes[0].layer.text(["x", "y"]) == "tanh(x) * y ** -1.5 - 2 * (x + y) / -3.0"
    assert fault('  - {equation: "x + $w"}\n', head)[0] == "no variable is called $w"
    message, at, _ = fault('  - {equation: "$f(x) + w"}\n', head)
    assert (message, at) == ("no node is called w", "w")


def test_a_single_name_and_several_ranks() -> None:
    built = graph('  - {id: a, equation: x}\n  - {id: b, equation: "a * z"}\n')
    assert [node.flops for node in built.nodes] == [0, 48]
    assert [node.saved for node in built.nodes] == [0, 48]


def test_counts() -> None:
    built = graph('  - {equation: "sigmoid(x) * y + 2 * -z"}\n')
    (node,) = built.nodes
    assert node.shape == (4, 4, 3)
    assert node.flops == 3 + 3 + 48 + 48  # -z, 2 * -z, the product and the sum
    assert node.saved == 48 + 48 + 3 + 3 + 48


def test_operands_that_do_not_fit_are_named() -> None:
    with pytest.raises(SpecError) as caught:
        graph('  - {id: a, layer: Conv2D, filters: 5, kernel_size: 1, from: x}\n  - {equation: "tanh(a) * 2 + y"}\n')
    (error,) = caught.value.diagnostics
    assert error.message == "Equation cannot match tanh(a) * 2 and y on axis -1"
    assert error.reason == "it is 5 in tanh(a) * 2 (4 × 4 × 5) and 3 in y (4 × 4 × 3)"
    with pytest.raises(ShapeError, match=r"reads 2 inputs, got 1"):
        Equation(formula="x1 + x2").check((3,))


def test_an_id_with_a_hyphen() -> None:
    layers = "  - {id: enc-1, layer: ReLU, from: x}\n  - {id: enc, layer: ReLU, from: x}\n  - {equation: y * %s}\n"
    with pytest.raises(SpecError, match="which reads it as enc minus 1"):
        graph(layers.replace("id: enc,", "id: f,") % "enc-1")
    assert graph(layers % "enc-1").outputs[0].shape == (4, 4, 3)
    resolved = graph(
        layers % "enc - 1" + "  - {block: double, from: enc-1}\n", f"{HEAD}blocks:\n{BLOCK}"
    ).spec.resolved()
    assert "layer: Equation, formula: x1 * 2, from: enc-1}" in resolved
    text = "  - {id: a, layer: Equation, formula: x1 * 2, from: x, dtype: float32}\n"
    assert "{id: a, layer: Equation, dtype: float32, formula: x1 * 2, from: x}" in graph(text).spec.resolved()


def test_an_equation_stays_behind_its_layer_in_a_mirrored_decoder() -> None:
    built = graph(
        "  - encoder_decoder:\n"
        "      encoder:\n"
        "        - {time_distributed: {layer: Conv2D, filters: 2, kernel_size: 3, strides: 2, padding: same}, id: c}\n"
        "        - {equation: tanh(c) * 2}\n"
        "        - {layer: ConvLSTM2D, filters: 4, kernel_size: 3, padding: same}\n"
        "      horizon: 3\n",
        "specbuild: 1\ninputs: {x: [5, 8, 8, 2]}\n",
    )
    assert [node.layer.label for node in built.nodes][-3:] == [
        "ConvLSTM2D",
        "TimeDistributed(Conv2DTranspose)",
        "Equation",
    ]


def test_a_from_is_refused() -> None:
    help = 'write equation: "sigmoid(f) * c"'
    assert fault("  - {equation: -x, from: y}\n") == (
        "an equation reads the nodes that it names, and takes no from",
        "from",
        help,
    )
    assert fault("  - {equation: [x]}\n") == ("expected an equation on nodes, got a list", "[x]", help)


def test_inside_other_forms() -> None:
    built = graph(
        "  - {id: one, block: gate, from: [x, y]}\n"
        "  - {id: two, block: gate, from: [x, x]}\n"
        "  - {id: three, reuse: two, from: [one, y]}\n"
        "  - {for: {n: [1, 2]}, do: [{id: l_$n, equation: three * $n + one.g + two}]}\n"
        "  - {residual: [{block: double}]}\n",
        f"{HEAD}blocks:\n{BLOCK}",
    )
    texts = {node.id: node.layer.formula for node in built.nodes if isinstance(node.layer, Equation)}
    assert texts["two_g"] == texts["three_g"] == "sigmoid(x1) * x2"
    assert texts["l_2"] == "x1 * 2 + x2 + x3"
    resolved = built.spec.resolved()
    assert "{id: one_g, equation: sigmoid(x) * y}" in resolved
    assert "{id: two_g, layer: Equation, formula: sigmoid(x1) * x2, from: [x, x]}" in resolved
    again = load_spec(resolved)
    assert [(node.id, node.layer) for node in again.layers] == [(node.id, node.layer) for node in built.spec.layers]


def test_a_block_knows_only_its_own_names() -> None:
    gate = f'{HEAD}blocks: {{gate: {{inputs: [a, b], do: [{{equation: "a + x"}}]}}}}\n'
    assert fault("  - {block: gate, from: [x, y]}\n", gate)[:2] == ("the block gate has no node x", "x")
    several = f'{HEAD}blocks: {{gate: {{do: [{{equation: "input + 1"}}]}}}}\n'
    message, at, _ = fault("  - {block: gate, from: [x, y]}\n", several)
    assert (message, at) == ("input stands for 2 tensors, but one is needed here", "input")


def test_on_every_frame() -> None:
    built = graph(
        "  - {time_distributed: [{id: c, layer: Conv2D, filters: 3, kernel_size: 1}, {equation: tanh(c) * c}]}\n",
        "specbuild: 1\ninputs: {x: [5, 4, 4, 3]}\n",
    )
    assert built.nodes[-1].layer.label == "Equation"
    assert built.outputs[0].shape == (5, 4, 4, 3)
