"""Warnings that a spec accepts, and how they are reported."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from specbuild import build_graph
from specbuild.cli import main
from specbuild.document import Report
from specbuild.graph import check
from specbuild.graph.accepted import WARNINGS

RELU = "{layer: ConvLSTM2D, filters: 1, kernel_size: 3, padding: same, activation: relu, return_sequences: true%s}"
ALLOW = ", allow: {unbounded-recurrence: as published}"
HEAD = "specbuild: 1\ninputs: {x: [4, 8, 8, 1]}\n"
NEXT = "data: {source: {path: rain.npz, layout: T H W}, windows: {past: 4, future: 1, target: next}}\n"


def found(text: str) -> tuple[list[str], list[str]]:
    """The codes of the warnings that stand, and of those that are accepted."""
    report = Report()
    check(text, report=report)
    assert not report.errors, report.errors
    return [one.code for one in report.warnings], [one.code for one in report.accepted]


PLACES = {
    "layer": f"layers: [{RELU % ALLOW}]\n",
    "whole spec": f"layers: [{RELU % ''}]\nallow: {{unbounded-recurrence: as published}}\n",
    "both": f"layers: [{RELU % ALLOW}]\nallow: {{unbounded-recurrence: as published}}\n",
    "bidirectional": f"layers: [{{bidirectional: {RELU % ''}{ALLOW}}}]\n",
    "loop": f"layers: [{{repeat: 2, do: [{RELU % ''}]{ALLOW}}}]\n",
    "inside a loop": f"layers: [{{repeat: 2, do: [{RELU % ALLOW}]}}]\n",
    "residual": f"layers: [{{residual: [{RELU % ''}]{ALLOW}}}]\n",
    "branch": f"layers: [{{branch: {{a: [{RELU % ''}], b: []}}, merge: {{layer: Add}}{ALLOW}}}]\n",
    "block": f"blocks: {{b: {{do: [{RELU % ''}]}}}}\nlayers: [{{block: b{ALLOW}}}]\n",
    "inside a block": f"blocks: {{b: {{do: [{RELU % ALLOW}]}}}}\nlayers: [{{block: b}}, {{block: b}}]\n",
    "reuse": f"layers: [{RELU.replace('{layer', '{id: a, layer') % ALLOW}, {{reuse: a}}]\n",
    "autoregressive": f"layers: [{{autoregressive: {{horizon: 2, do: [{RELU % ''}]}}{ALLOW}}}]\n",
    "inside autoregressive": f"layers: [{{autoregressive: {{horizon: 2, do: [{RELU % ALLOW}]}}}}]\n",
    "encoder decoder": (
        f"layers: [{{encoder_decoder: {{encoder: [{RELU % ''}], decoder: mirrored, horizon: 2}}{ALLOW}}}]\n"
    ),
}


@pytest.mark.parametrize("layers", PLACES.values(), ids=PLACES)
def test_a_warning_is_accepted_where_it_stands(layers: str) -> None:
    text = HEAD + layers
    standing, accepted = found(text)
    assert standing == []
    assert set(accepted) == {"unbounded-recurrence"}
    assert found(text.replace("allow: {unbounded-recurrence: as published}", ""))[1] == []


@pytest.mark.parametrize("layers", PLACES.values(), ids=PLACES)
def test_the_resolved_spec_accepts_the_same(layers: str) -> None:
    graph = build_graph(HEAD + layers)
    assert graph.warnings == ()
    assert found(graph.spec.resolved())[0] == []


def test_every_warning_can_be_accepted() -> None:
    text = (
        HEAD
        + """\
layers:
  - {id: unread, layer: ReLU, allow: {unused-node: for later}}
  - {id: cell, layer: ConvLSTM2D, from: x, filters: 2, kernel_size: 3, padding: same, activation: relu}
  - {id: out, layer: Conv3D, filters: 1, kernel_size: 3, padding: same, activation: relu, from: cell.sequence}
allow: {sees-the-future: a, unbounded-recurrence: b, output-range: c, loss-and-output: d, learns-nothing: e}
train: {loss: binary_crossentropy, optimizer: {name: SGD, learning_rate: 0}}
"""
    )
    text += NEXT.replace("windows:", "transform: [standardize], windows:").replace("path: rain", "key: x, path: rain")
    standing, accepted = found(text)
    assert standing == []
    more = """\
specbuild: 1
inputs: {frames: [5, 1, 8, 8], truth: [5, 1, 8, 8]}
defaults: {ConvLSTM2D: {filters: 1, kernel_size: 3, padding: same, data_format: channels_first}}
layers:
  - {id: both, bidirectional: {layer: ConvLSTM2D}, from: frames, allow: {concatenated-space: a}}
  - id: forecast
    from: frames
    encoder_decoder:
      encoder: [{id: enc, layer: ConvLSTM2D}]
      decoder: [{id: dec, layer: ConvLSTM2D}]
      feed: truth
    allow: {feeds-the-target: b}
outputs: [both.last, forecast]
"""
    standing, others = found(more)
    assert standing == []
    heavy = """\
specbuild: 1
inputs: {x: [2, 8, 8, 1]}
layers: [{layer: Conv3D, filters: 3, kernel_size: 1}]
data: {source: {path: x.npy, layout: T H W}, windows: {past: 2, future: 2}, transform: [log1p]}
train: {loss: censored_gamma}
allow: {heavy-tail: a}
"""
    standing, last = found(heavy)
    assert standing == []
    assert sorted([*accepted, *others, *last]) == sorted(WARNINGS)


def test_another_node_is_not_accepted_with_it() -> None:
    text = HEAD + f"layers:\n  - {RELU % ALLOW}\n  - {RELU % ''}\n"
    assert found(text) == (["unbounded-recurrence"], ["unbounded-recurrence"])


def test_an_override_is_accepted_where_it_lands() -> None:
    text = HEAD + f"layers: [{RELU.replace('{layer', '{id: a, layer').replace('relu', 'tanh') % ALLOW}]\n"
    assert found(text) == (["unused-allow"], [])
    assert build_graph(text, overrides={"layers.a.activation": "relu"}).warnings == ()


def test_another_spec_accepts_its_own_warnings(tmp_path: Path) -> None:
    inner = HEAD + f"layers: [{RELU % ''}]\nallow: {{unbounded-recurrence: as published, unused-node: never}}\n"
    (tmp_path / "inner.yaml").write_text(inner, "utf-8")
    (tmp_path / "spec.yaml").write_text(HEAD + "layers: [{model: inner.yaml}]\n", "utf-8")
    assert found(str(tmp_path / "spec.yaml")) == ([], ["unbounded-recurrence"])
    assert found(str(tmp_path / "inner.yaml")) == (["unused-allow"], ["unbounded-recurrence"])


def test_check_lists_what_is_accepted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("spec.yaml").write_text(HEAD + f"layers:\n  - {RELU % ALLOW}\n", "utf-8")
    result = CliRunner().invoke(main, ["check", "--strict"])
    assert result.exit_code == 0
    assert result.output == (
        "spec.yaml: ok (1 layer, 76 parameters)\naccepted: unbounded-recurrence at layers.0.activation (as published)\n"
    )
    (record,) = json.loads(CliRunner().invoke(main, ["check", "--format", "json"]).output)
    assert (record["severity"], record["code"], record["accepted"]) == (
        "accepted",
        "unbounded-recurrence",
        "as published",
    )
    github = CliRunner().invoke(main, ["check", "--format", "github"]).output
    assert github.startswith("::notice file=spec.yaml,line=4,")
    assert "accepted: as published" in github


def test_strict_fails_on_an_allow_that_accepts_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("spec.yaml").write_text(HEAD + f"layers:\n  - {RELU.replace('relu', 'tanh') % ALLOW}\n", "utf-8")
    result = CliRunner().invoke(main, ["check", "--strict"])
    assert result.exit_code == 2
    assert "error: allow: no unbounded-recurrence warning is given here" in result.output


def test_it_does_not_stand_inside_a_wrapper() -> None:
    report = Report()
    inner = "{time_distributed: {layer: ReLU, allow: {unused-node: for later}}}"
    check(HEAD + f"layers: [{inner}]\n", report=report)
    assert [one.message for one in report.errors] == [
        "allow belongs on the time_distributed node, not on a layer inside it"
    ]
