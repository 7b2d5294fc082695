"""Pictures of graphs: what is on them, that nothing overlaps, and that the same graph gives the same file."""

from __future__ import annotations

from itertools import combinations, pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from specbuild.graph import build_graph
from specbuild.graph.drawing import Box, Edge, diagram, folded, mermaid
from specbuild.graph.drawing.labels import place_labels
from specbuild.graph.drawing.layout import MARGIN, Layout, layout
from specbuild.graph.drawing.picture import draw

SPEC = """\
specbuild: 1
name: forecaster
inputs: {rain: [4, 8, 8, 1]}
layers:
  - {id: enc, layer: ConvLSTM2D, filters: 2, kernel_size: 3, padding: same}
  - {id: first, layer: RepeatFrame, from: enc.last, times: 3}
  - {id: dec, layer: ConvLSTM2D, filters: 2, kernel_size: 3, padding: same, initial_state: enc}
  - id: mixed
    layer: ConvLSTM2D
    filters: 2
    kernel_size: 3
    padding: same
    initial_state: {h: dec.last, c: enc.state.c}
  - {id: head, time_distributed: {layer: Conv2D, filters: 1, kernel_size: 1}}
  - {id: sum, layer: Add, from: [head, head]}
outputs: {forecast: sum}
"""


def test_boxes_and_edges() -> None:
    drawn = diagram(build_graph(SPEC))
    assert drawn.boxes[:2] == (
        Box("rain", "Input", "4 × 8 × 8 × 1", "", "input"),
        Box("enc", "ConvLSTM2D", "8 × 8 × 2", "h, c: 8 × 8 × 2", "recurrent"),
    )
    assert drawn.boxes[-2:] == (
        Box("head", "TimeDistributed(Conv2D)", "3 × 8 × 8 × 1", "", "convolution"),
        Box("sum", "Add", "3 × 8 × 8 × 1", "", "merging", ("forecast",)),
    )
    assert drawn.edges == (
        Edge("rain", "enc"),
        Edge("enc", "first", "last"),
        Edge("first", "dec"),
        Edge("enc", "dec", "state", state=True),
        Edge("dec", "mixed"),
        Edge("dec", "mixed", "h", state=True),
        Edge("enc", "mixed", "c", state=True),
        Edge("mixed", "head"),
        Edge("head", "sum"),
    )


def test_an_equation_is_a_box_with_its_text() -> None:
    text = "specbuild: 1\ninputs: {x: [4]}\nlayers: [{id: p, split: [a, b]}, {id: c, equation: p.a * tanh(p.b)}]\n"
    boxes = diagram(build_graph(text)).boxes
    assert [(box.id, box.layer, box.family) for box in boxes[1:]] == [
        ("p_a", "split", "reshaping"),
        ("p_b", "split", "reshaping"),
        ("c", "= p_a * tanh(p_b)", "merging"),
    ]


def test_a_node_that_runs_others_says_how_many() -> None:
    text = """\
specbuild: 1
inputs: {rain: [4, 8, 8, 1]}
layers:
  - id: memory
    recurrent:
      states: {h: 2, c: 3}
      do: [{id: a, layer: Dense, units: 2}, {id: b, layer: Dense, from: c, units: 3}]
      next: {h: tanh(a + h), c: b}
  - id: forecast
    from: memory.sequence
    autoregressive:
      horizon: 2
      do: [{recurrent: {states: {h: 2}, do: [], next: {h: tanh(input + h)}}}]
"""
    memory, forecast = diagram(build_graph(text)).boxes[1:]
    assert (memory.layer, memory.state) == ("Recurrence, 3 layers inside", "h: 8 × 8 × 2; c: 8 × 8 × 3")
    assert forecast.layer == "Autoregressive, 2 layers inside"


def test_mermaid() -> None:
    assert mermaid(diagram(build_graph(SPEC))) == (
        "flowchart TD\n"
        '  n0(["rain<br/>Input<br/>4 × 8 × 8 × 1"]):::input\n'
        '  n1["enc<br/>ConvLSTM2D<br/>8 × 8 × 2<br/>h, c: 8 × 8 × 2"]:::recurrent\n'
        '  n2["first<br/>RepeatFrame<br/>3 × 8 × 8 × 2"]:::reshaping\n'
        '  n3["dec<br/>ConvLSTM2D<br/>3 × 8 × 8 × 2<br/>h, c: 8 × 8 × 2"]:::recurrent\n'
        '  n4["mixed<br/>ConvLSTM2D<br/>3 × 8 × 8 × 2<br/>h, c: 8 × 8 × 2"]:::recurrent\n'
        '  n5["head<br/>TimeDistributed(Conv2D)<br/>3 × 8 × 8 × 1"]:::convolution\n'
        '  n6["sum<br/>Add<br/>3 × 8 × 8 × 1<br/>→ forecast"]:::merging\n'
        "  n0 --> n1\n"
        '  n1 -- "last" --> n2\n'
        "  n2 --> n3\n"
        '  n1 -. "state" .-> n3\n'
        "  n3 --> n4\n"
        '  n3 -. "h" .-> n4\n'
        '  n1 -. "c" .-> n4\n'
        "  n4 --> n5\n"
        "  n5 --> n6\n"
        "  classDef input fill:#e9e9e9,stroke:#888,color:#222\n"
        "  classDef recurrent fill:#fde3cf,stroke:#888,color:#222\n"
        "  classDef reshaping fill:#eef1e4,stroke:#888,color:#222\n"
        "  classDef convolution fill:#d9e7f7,stroke:#888,color:#222\n"
        "  classDef merging fill:#dcefdc,stroke:#888,color:#222\n"
        "  linkStyle 3,5,6 stroke:#c2410c\n"
    )


@st.composite
def graphs(draw: st.DrawFn) -> tuple[list[tuple[float, float]], list[tuple[int, int]]]:
    """Boxes of any size, each but the first ones reading up to three before it."""
    count = draw(st.integers(1, 12))
    sizes = [(draw(st.floats(20, 200)), draw(st.floats(10, 60))) for _ in range(count)]
    edges = [
        (source, target)
        for target in range(1, count)
        for source in draw(st.lists(st.integers(0, target - 1), max_size=3, unique=True))
    ]
    return sizes, edges


@given(graphs())
@settings(max_examples=60, deadline=None)
def test_nothing_overlaps_and_edges_run_down(graph: tuple[list[tuple[float, float]], list[tuple[int, int]]]) -> None:
    sizes, edges = graph
    placed = layout(sizes, edges)
    boxes = [border(placed, sizes, box) for box in range(len(sizes))]
    for left, top, right, bottom in boxes:
        assert left >= MARGIN - 1e-6
        assert right <= placed.width - MARGIN + 1e-6
        assert top >= MARGIN - 1e-6
        assert bottom <= placed.height - MARGIN + 1e-6
    for a, b in combinations(boxes, 2):
        assert a[2] < b[0] or b[2] < a[0] or a[3] < b[1] or b[3] < a[1]
    for (source, target), route in zip(edges, placed.routes, strict=True):
        assert boxes[source][0] <= route[0][0] <= boxes[source][2]
        assert boxes[target][0] <= route[-1][0] <= boxes[target][2]
        assert [y for _, y in route] == sorted(y for _, y in route)
        for x, y in route[1:-1]:
            assert not any(left <= x <= right and top <= y <= bottom for left, top, right, bottom in boxes)


@given(graphs(), st.floats(10, 120))
@settings(max_examples=60, deadline=None)
def test_labels_stand_on_their_edges(
    graph: tuple[list[tuple[float, float]], list[tuple[int, int]]], width: float
) -> None:
    sizes, edges = graph
    placed = layout(sizes, edges)
    boxes = [border(placed, sizes, box) for box in range(len(sizes))]
    labels = [(width, 8.0) if index % 2 else None for index in range(len(edges))]
    centres = place_labels(labels, placed.routes, boxes, placed.width)
    assert [centre is None for centre in centres] == [label is None for label in labels]
    for centre, route in zip(centres, placed.routes, strict=True):
        if centre is not None:
            assert route[0][1] <= centre[1] <= route[-1][1]
            assert min(x for x, _ in route) <= centre[0] <= max(x for x, _ in route)


def test_labels_cover_no_box_and_no_other_label() -> None:
    """Two long labels on neighbouring lanes that pass a wide box: they stand between the rows, one below the other."""
    sizes = [(120.0, 40.0), (200.0, 40.0), (200.0, 40.0), (120.0, 40.0)]
    edges = [(0, 1), (1, 2), (2, 3), (0, 3), (0, 3)]
    placed = layout(sizes, edges)
    boxes = [border(placed, sizes, box) for box in range(len(sizes))]
    centres = place_labels([None, None, None, (90.0, 11.0), (90.0, 11.0)], placed.routes, boxes, placed.width)
    labels = [(x - 45, y - 5.5, x + 45, y + 5.5) for x, y in filter(None, centres)]
    assert len(labels) == 2
    for a, b in [(labels[0], labels[1]), *((label, box) for label in labels for box in boxes)]:
        assert a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]


def border(placed: Layout, sizes: list[tuple[float, float]], box: int) -> tuple[float, float, float, float]:
    (x, y), (width, height) = placed.centres[box], sizes[box]
    return x - width / 2, y - height / 2, x + width / 2, y + height / 2


def test_a_chain_is_straight_and_a_long_edge_too() -> None:
    chain = layout([(80, 40), (120, 40), (60, 40)], [(0, 1), (1, 2)])
    assert len({round(x, 6) for x, _ in chain.centres.values()}) == 1
    around = layout([(80, 40)] * 5, [(0, 1), (1, 2), (2, 3), (3, 4), (0, 4)])
    assert len({x for x, _ in around.routes[-1][1:-1]}) == 1


@pytest.mark.parametrize(("suffix", "start"), [(".svg", b"<?xml"), (".png", b"\x89PNG")])
def test_the_same_graph_gives_the_same_file(tmp_path: Path, suffix: str, start: bytes) -> None:
    drawn = diagram(build_graph(SPEC))
    files = [tmp_path / f"{name}{suffix}" for name in "ab"]
    for file in files:
        draw(drawn, file)
    first, second = (file.read_bytes() for file in files)
    assert first.startswith(start)
    assert first == second


UNET = Path(__file__).parents[2] / "specs" / "unet_convlstm.yaml"


@pytest.mark.parametrize("path", [UNET, *sorted((UNET.parent / "zoo").glob("*.yaml"))], ids=lambda path: path.stem)
def test_a_folded_graph_has_every_layer_once_and_every_edge_between_chains(path: Path) -> None:
    drawn = diagram(build_graph(path))
    short = folded(drawn)
    parts = {part.id: box for box in short.boxes for part in (*box.above, box)}
    assert list(parts) == sorted(parts, key=[box.id for box in drawn.boxes].index)
    assert len(parts) == len(drawn.boxes) == sum(len(box.above) + 1 for box in short.boxes)
    between = [edge for edge in drawn.edges if parts[edge.source] is not parts[edge.target]]
    assert [(parts[edge.source].id, parts[edge.target].id, edge.label, edge.state) for edge in between] == [
        (edge.source, edge.target, edge.label, edge.state) for edge in short.edges
    ]
    for box in short.boxes:
        chain = [*(part.id for part in box.above), box.id]
        assert [edge for edge in drawn.edges if edge.source in chain[:-1] or edge.target in chain[1:]] == [
            Edge(source, target) for source, target in pairwise(chain)
        ]
    assert folded(short).boxes == tuple(short.boxes)


def test_a_u_net_fits_a_screen_or_two(tmp_path: Path) -> None:
    drawn = diagram(build_graph(UNET))
    for name, fold, heights in (("auto", None, (1000, 4000)), ("whole", False, (8000, 12_000))):
        draw(drawn, tmp_path / f"{name}.png", fold=fold)
        with Image.open(tmp_path / f"{name}.png") as picture:
            assert heights[0] < picture.height < heights[1]
    assert "d1_full" in mermaid(folded(drawn))
    assert "d1_conv2d: TimeDistributed(Conv2D)<br/>" in mermaid(folded(drawn))
