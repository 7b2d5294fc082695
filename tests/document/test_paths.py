"""The path of a place in a document, found from its span alone."""

import pytest

from specbuild.document import Diagnostic, Span, SpecError, dotted, parse, path_of
from specbuild.graph import build_graph
from specbuild.language import load_spec

TEXT = """\
vars: {sizes: &sizes [3, 5]}
layers:
  - {id: enc, layer: Conv2D, filters: 8, kernel_size: *sizes}
  - time_distributed:
      layer: Conv2D
      filters: many
data:
  source: {path: [a.npy, b.npy]}
  empty:
"""


def path(line: int, word: str, text: str = TEXT) -> str:
    column = text.splitlines()[line - 1].index(word) + 1
    root = parse(text)
    return dotted(path_of(Span(root.span.source, line, column, line, column + len(word))))


@pytest.mark.parametrize(
    ("line", "word", "expected"),
    [
        (1, "5", "vars.sizes.1"),
        (2, "layers", "layers"),
        (3, "filters", "layers.enc.filters"),
        (3, "8", "layers.enc.filters"),
        (3, "enc", "layers.enc.id"),
        (3, "Conv2D", "layers.enc"),
        (4, "time_distributed", "layers.1.time_distributed"),
        (5, "Conv2D", "layers.1.time_distributed"),
        (6, "many", "layers.1.time_distributed.filters"),
        (8, "b.npy", "data.source.path.1"),
        (8, "source", "data.source"),
        (9, "empty", "data.empty"),
    ],
)
def test_path(line: int, word: str, expected: str) -> None:
    assert path(line, word) == expected


def test_document_and_text_that_is_no_document() -> None:
    root = parse(TEXT)
    assert path_of(root.span) == ()
    with pytest.raises(SpecError) as caught:
        parse("a: [")
    assert caught.value.diagnostics[0].path == ""


def test_contents_of_an_alias_have_the_path_of_their_anchor() -> None:
    assert path(3, "[1, 2]", "a: 1\nx: {y: 2}\nb: &b [1, 2]\nc: {d: *b}\n") == "b"


def test_path_in_words_goes_before_that_of_the_span() -> None:
    span = parse("a: b").span
    assert Diagnostic("wrong", span).path == ""
    assert Diagnostic("wrong", span, "data").path == "data"


def test_overrides() -> None:
    spec = {"specbuild": 1, "inputs": {"x": [8, 8, 1]}, "layers": [{"id": "a", "layer": "Conv2D", "kernel_size": 3}]}
    with pytest.raises(SpecError) as caught:
        load_spec(spec, overrides=["layers.a.filters=-1", "train.epochs.x=1", "train.lurning_rate=1"])
    paths = {error.path for error in caught.value.diagnostics}
    assert paths == {"layers.a.filters", "train.lurning_rate", "train.epochs"}


LOOP = """\
specbuild: 1
inputs: {x: [4, 4]}
blocks: {unit: {parameters: {f: int}, do: [{id: dense_$f, layer: Dense, units: $f}]}}
layers:
  - for: {i: [1, 2]}
    do:
"""
"""The first round is right, the second wrong."""


@pytest.mark.parametrize(
    ("node", "expected"),
    [
        ("layer: Dense, units: 2 - $i", "layers.0.do.c_2.units"),
        ("layer: Dense, units: 4, expect: [4, $i + 3]", "layers.0.do.c_2.expect"),
        ("layer: Reshape, target_shape: [16 // $i]", "layers.0.do.c_2.target_shape"),
        ("residual: [{id: d_$i, layer: Dense, units: $i + 3}]", "layers.0.do.c_2"),
        ("residual: [{id: 'd_${i + 5}', layer: ReLU, from: nowhere}]", "layers.0.do.c_1.residual.d_6.from"),
        ("time_distributed: [{id: d_$i, layer: Dense, units: 2 - $i}]", "layers.0.do.c_2.time_distributed.d_2.units"),
        ("autoregressive: {horizon: 2, do: [{layer: GRU, units: $i + 3}]}", "layers.0.do.c_2.autoregressive"),
        ("block: unit, with: {f: 2 - $i}", "blocks.unit.do.dense_0.units"),
    ],
)
def test_ids_in_a_loop_are_those_of_the_round(node: str, expected: str) -> None:
    with pytest.raises(SpecError) as caught:
        build_graph(f"{LOOP}      - {{id: c_$i, from: x, {node}}}\n")
    assert [error.path for error in caught.value.diagnostics] == [expected]


def test_ids_after_a_loop_are_as_they_are_written() -> None:
    with pytest.raises(SpecError) as caught:
        load_spec(f"{LOOP}      - {{id: c_$i, layer: ReLU}}\n  - {{id: last, layer: Dense, units: 0}}\n")
    assert [error.path for error in caught.value.diagnostics] == ["layers.last.units"]
