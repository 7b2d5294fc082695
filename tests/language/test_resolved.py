"""A resolved spec is the same model: what every spec here comes to is read again, and compared in all its parts."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from specbuild.document import parse, plain
from specbuild.graph import Graph, build_graph
from specbuild.language import Spec, load_spec
from specbuild.language.resolved import block, flow

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs" / "language.md").read_text("utf-8")
_BLOCK = re.compile(r"(?:^`(?P<file>[\w.]+)`\n\n)?^```yaml\n(?P<text>.*?)^```$", re.M | re.S)
FILES = [*(ROOT / "specs").rglob("*.yaml"), *(ROOT / "tests").glob("*/*.yaml")]


def facts(graph: Graph) -> dict[str, Any]:
    """Everything about a graph but where it was written."""
    return {
        "name": graph.name,
        "inputs": graph.inputs,
        "outputs": graph.outputs,
        "nodes": {
            node.id: {
                **{name: getattr(node, name) for name in _NODE},
                "layer": written(node.layer),
                "kind": node.layer.label,
                "expect": node.spec.expect,
                "body": facts(node.body.given) if node.body is not None else None,
            }
            for node in graph.nodes
        },
    }


_NODE = ("inputs", "initial_state", "shapes", "state", "weights", "flops", "saved", "used", "shares")


def written(value: Any) -> Any:
    """A model of pydantic as plain values, without what is recomputed each time."""
    if isinstance(value, BaseModel):
        return {name: written(getattr(value, name)) for name in type(value).model_fields}
    return value


def sections(spec: Spec) -> dict[str, Any]:
    """The sections that say nothing about layers, with the paths of files as they are on this machine."""
    data = written(spec.data)
    if spec.data is not None:
        data["source"] = written(spec.data.source.with_paths(lambda path: str(spec.resolve_path(path).absolute())))
    return {"data": data, "train": written(spec.train), "evaluate": written(spec.evaluate)}


def assert_resolved_is_the_same(spec: Spec) -> None:
    again = load_spec(spec.resolved())
    first, second = build_graph(spec), build_graph(again)
    assert facts(second) == facts(first)
    assert (second.parameters, second.trainable_parameters) == (first.parameters, first.trainable_parameters)
    assert sections(again) == sections(spec)
    assert (again.description, again.named_outputs) == (spec.description, spec.named_outputs)
    assert again.resolved() == spec.resolved()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_spec_of_the_repository(path: Path) -> None:
    assert_resolved_is_the_same(load_spec(path))


def test_every_spec_on_the_page_of_the_language(tmp_path: Path) -> None:
    blocks = list(_BLOCK.finditer(PAGE))
    for one in blocks:
        if one["file"]:
            (tmp_path / one["file"]).write_text(one["text"], "utf-8")
    for one in blocks:
        (tmp_path / "spec.yaml").write_text(one["text"], "utf-8")
        assert_resolved_is_the_same(load_spec(tmp_path / "spec.yaml"))
    assert len(blocks) >= 20


# What no shipped spec has


TRICKY = {
    "a layer shared, and shared again": """\
inputs: {a: [8, 8, 1], b: [8, 8, 1]}
layers:
  - {id: look, layer: Conv2D, from: a, filters: 4, kernel_size: 3}
  - {id: again, reuse: look, from: b}
  - {id: third, reuse: again, from: a}
  - {layer: Concatenate, from: [look, again, third]}
""",
    "a recurrence shared, with its states": """\
inputs: {a: [3, 8, 8, 2], b: [5, 8, 8, 2]}
layers:
  - {id: enc, layer: ConvGRU2D, from: a, filters: 2, kernel_size: 3, padding: same}
  - {id: dec, layer: ConvGRU2D, from: a, filters: 2, kernel_size: 3, padding: same, initial_state: enc}
  - {id: more, reuse: dec, from: b}
  - {id: most, reuse: dec, from: enc.sequence, initial_state: {h: more.last}}
  - {layer: Add, from: [more.last, most.last]}
""",
    "a block shared, and its parts": """\
blocks:
  two:
    do: [{id: first, layer: Conv2D, filters: 4, kernel_size: 3}, {layer: BatchNormalization}, {layer: ReLU}]
inputs: {a: [8, 8, 1], b: [8, 8, 1]}
layers:
  - {id: left, block: two, from: a, trainable: false}
  - {id: right, reuse: left, from: b, expect: [6, 6, 4]}
  - {reuse: left, from: b}
  - {layer: Add, from: [left, right]}
""",
    "blocks and residuals shared inside feedback": """\
blocks:
  cell:
    do: [{id: kept, layer: ConvGRU2D, filters: 3, kernel_size: 3, padding: same}, {layer: ReLU}]
inputs: {x: [4, 8, 8, 1]}
layers:
  - id: forecast
    autoregressive:
      horizon: 5
      sampling: {schedule: exponential, k: 0.5}
      do:
        - {id: wide, time_distributed: {layer: Conv2D, filters: 3, kernel_size: 1}}
        - {id: first, block: cell}
        - {id: second, residual: [{block: cell}, {time_distributed: {layer: Conv2D, filters: 3, kernel_size: 1}}]}
        - {reuse: first}
        - {id: end, reuse: second}
        - {time_distributed: {layer: Conv2D, filters: 1, kernel_size: 1}}
  - {id: once_more, reuse: forecast, from: x}
  - {layer: Average, from: [forecast, once_more]}
""",
    "a merge of one tensor with itself, of two when shared": """\
inputs: {a: [8], b: [8]}
layers:
  - {id: both, layer: Concatenate, from: [a, a]}
  - {id: other, reuse: both, from: [a, b]}
  - {layer: Add, from: [both, other]}
""",
    "wrappers frozen from outside": """\
inputs: {x: [4, 8, 8, 1]}
layers:
  - trainable: false
    residual:
      - time_distributed: [{layer: Conv2D, filters: 2, kernel_size: 1}, {layer: BatchNormalization}]
      - time_distributed: {time_distributed: {layer: Dense, units: 3}}
      - {bidirectional: {layer: ConvLSTM2D, filters: 1, kernel_size: 1, return_sequences: true}, merge_mode: sum}
  - {id: ends, bidirectional: {layer: ConvLSTM2D, filters: 1, kernel_size: 1}, trainable: false}
  - {layer: Flatten, from: ends.last}
""",
    "words that could be numbers": """\
name: 1e3
description: '$$0x10 costs: 5$$ {a}'
inputs: {"null": [4], "true": [4], no: [4]}
layers: [{layer: Add, from: ["null", "true", no], id: "on"}]
outputs: {1e3: "on", "012": "on", y: "on"}
train: {loss: {1e3: mse}}
""",
}


@pytest.mark.parametrize("rest", TRICKY.values(), ids=TRICKY)
def test_what_no_shipped_spec_has(rest: str) -> None:
    assert_resolved_is_the_same(load_spec(f"specbuild: 1\n{rest}"))


def test_shared_weights_are_counted_once() -> None:
    spec = load_spec(f"specbuild: 1\n{TRICKY['a layer shared, and shared again']}")
    assert "reuse: look" in spec.resolved()
    assert build_graph(load_spec(spec.resolved())).parameters == 40


@given(st.text(st.characters(exclude_categories=("Cs",)), max_size=20))
@settings(max_examples=200, deadline=None)
def test_any_text_comes_back(text: str) -> None:
    for written in (flow({"key": text}), block({"key": text})):
        assert plain(parse(written)) == {"key": text}
