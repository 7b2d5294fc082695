"""A short run of `tools/fuzz.py`, and the specs by which longer ones have found a defect."""

from __future__ import annotations

from pathlib import Path

import pytest

from specbuild.document import Diagnostic, Source, Span
from tests.tools import tool

ROOT = Path(__file__).parent.parent
fuzz = tool("fuzz")

HEAD = "specbuild: 1\ninputs: {x: [4, 8, 8, 3]}\n"
FOUND = {
    "a loop variable that is a mapping": "layers: [{for: {f: [{layer: ReLU}]}, do: [{layer: $f}]}]",
    "no layers": "layers: []",
    "no outputs": "layers: [{layer: ReLU}]\noutputs: {}",
    "branches that end apart": "layers: [{branch: {a: [{layer: ReLU}], b: [{layer: ReLU}]}}]",
    "a recurrent node with the id of an input": """\
layers:
  - {id: a, layer: ConvLSTM2D, filters: 2, kernel_size: 3}
  - {id: x, layer: ConvLSTM2D, filters: 2, kernel_size: 3, from: a.sequence}
  - {layer: Flatten, from: x}
""",
}
"""The rest of each spec, after its inputs."""


def test_broken_specs_are_refused_at_their_place() -> None:
    findings = fuzz.fuzz(cases=1_500, seed=2026)
    assert findings.found == {}
    assert findings.counts["accepted"] > 100
    assert len(findings.codes) > 25


@pytest.mark.parametrize("rest", FOUND.values(), ids=FOUND)
def test_what_was_found_stays_mended(rest: str) -> None:
    findings = fuzz.Findings()
    assert fuzz.judged(HEAD + rest, findings) is None


def test_a_model_without_layers_is_written_out() -> None:
    graph = fuzz.judged(HEAD + "layers: []\noutputs: [x]", fuzz.Findings())
    assert graph is not None
    fuzz.written_out(graph)


def test_a_broken_promise_is_found() -> None:
    source = Source("f", "a: 1")
    with pytest.raises(fuzz.Wrong, match="is outside the text"):
        fuzz.located(Diagnostic("wrong", Span(source, 1, 9, 1, 10)))
    with pytest.raises(fuzz.Wrong, match="no place"):
        fuzz.located(Diagnostic("wrong"))
