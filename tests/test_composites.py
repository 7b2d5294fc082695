"""A short run of `tools/composites.py`, and the specs with which longer runs found defects."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
import yaml

from specbuild.catalog import Layer
from specbuild.model import make
from tests.tools import tool

naive = tool("naive")
composites = tool("composites")

HEAD = "specbuild: 1\ninputs: {x: [4], y: [4]}\n"
FRAMES = "specbuild: 1\ninputs: {x: [3, 6, 6, 2], y: [3, 6, 6, 2]}\n"


def seeded(number: int | str, *names: str) -> str:
    """Arguments of a layer whose weights are the same in every model."""
    value = f"{{name: RandomNormal, stddev: 0.4, seed: {number}}}"
    return ", ".join(f"{name}_initializer: {value}" for name in ("kernel", *names))


def gru(number: int | str) -> str:
    return f"layer: ConvGRU2D, filters: 2, kernel_size: 1, {seeded(number, 'recurrent')}"


FOUND = {
    "a composite reused in every round of a loop, without an id": f"""\
{HEAD}layers:
  - {{id: two, from: x, for: {{n: [1, 2]}}, do: [{{id: l_$n, layer: Dense, units: 4, {seeded(1)}}}]}}
  - {{repeat: 2, do: [{{reuse: two}}]}}
""",
    "a state for every round of a loop inside a cell": f"""\
specbuild: 1
inputs: {{x: [3, 4]}}
blocks:
  level:
    inputs: [x, h]
    do:
      - {{id: a, layer: Dense, from: x, units: 4, {seeded("$i")}}}
      - {{id: b, layer: Dense, from: h, units: 4, {seeded("$i + 10")}}}
      - {{id: new, equation: tanh(a + b)}}
      - {{id: out, equation: new * 2}}
    output: {{h: new, o: out}}
    parameters: {{i: int}}
layers:
  - id: memory
    recurrent:
      states: {{h: {{shape: 4, copies: 2}}}}
      do: [{{id: levels, repeat: 2, as: i, do: [{{block: level, with: {{i: $i}}, from: [input, h$i]}}]}}]
      next: {{h: levels.rounds.h}}
      output: h2
outputs: [memory.sequence]
""",
    "weights reused inside a frozen composite": f"""\
{HEAD}layers:
  - {{id: one, layer: Dense, from: x, units: 4, {seeded(1)}}}
  - {{id: frozen, residual: [{{reuse: one}}], trainable: false}}
outputs: [one, frozen]
""",
    "weights reused inside a frozen composite of an autoregressive node": f"""\
{FRAMES}layers:
  - from: x
    autoregressive:
      do:
        - {{id: one, {gru(1)}}}
        - {{residual: [{{reuse: one}}], trainable: false}}
      horizon: 2
""",
    "a reused node that is itself left out of the model": f"""\
{HEAD}layers:
  - {{layer: Dense, from: x, units: 4, {seeded(1)}}}
  - {{id: one, layer: Dense, units: 3, {seeded(2)}}}
  - {{id: again, reuse: one, from: y}}
  - {{id: third, reuse: one, from: x}}
outputs: [again, third]
""",
    "a recurrent layer reused twice, read by different ports": f"""\
specbuild: 1
inputs: {{x: [3, 4], y: [3, 4]}}
layers:
  - {{id: one, layer: LSTM, from: x, units: 2, {seeded(1, "recurrent")}}}
  - {{id: two, reuse: one, from: y}}
  - {{id: three, reuse: one, from: y}}
outputs: [one.last, two.last, three.state.c, three.sequence]
""",
    "the reuse of a composite with expect on a port": f"""\
{FRAMES}blocks:
  last: {{do: [{{id: r, {gru(1)}}}], output: r.last}}
layers:
  - {{id: one, block: last, from: x, expect: [6, 6, 2]}}
  - {{id: two, reuse: one, from: y, expect: [6, 6, null]}}
  - {{id: three, reuse: two, from: x}}
outputs: [one, two, three]
""",
    "the path of a branch that ends in a port": f"""\
{FRAMES}layers:
  - id: fork
    from: x
    branch:
      a: [{{encoder_decoder: {{encoder: [{{{gru(1)}}}], horizon: 2}}}}]
      b: []
outputs: [fork.a, fork.b]
""",
    "paths whose names are no ids": f"""\
{HEAD}layers:
  - {{id: fork, from: x, branch: {{1x1: [{{layer: ReLU}}], a-b: []}}}}
outputs: [fork.1x1, fork.a-b]
""",
    "levels by ids that contain a variable": f"""\
{FRAMES}layers:
  - from: x
    for: {{n: [1, 2]}}
    do:
      - encoder_decoder:
          encoder: [{{id: e_$n, {gru("$n")}}}]
          decoder: [{{id: d_$n, {gru("$n + 2")}}}]
          states: {{d_$n: e_$n}}
          horizon: 2
""",
    "covariates that are the input of a block": f"""\
specbuild: 1
inputs: {{x: [3, 4]}}
blocks:
  fed:
    do:
      - autoregressive:
          do:
            - {{layer: Concatenate, from: [input, w]}}
            - {{layer: LSTM, units: 3, {seeded(1, "recurrent")}}}
            - {{time_distributed: {{layer: Dense, units: 4, {seeded(2)}}}}}
          horizon: 1
          covariates: {{w: input}}
layers: [{{block: fed}}]
""",
    "a cell whose output is a state as it was before the step": f"""\
specbuild: 1
inputs: {{x: [3, 4]}}
layers:
  - id: memory
    recurrent:
      states: {{h: {{shape: 2, initial: 0.5}}, c: 2}}
      do:
        - {{id: a, layer: Dense, units: 2, from: h, {seeded(1)}}}
        - {{id: same, from: h, branch: {{p: [], q: [{{layer: ReLU}}]}}}}
      next: {{h: tanh(a + h), c: a}}
      output: same.p
outputs: [memory.sequence]
""",
    "a frozen cell in both directions, of which only the last output is read": f"""\
specbuild: 1
inputs: {{x: [3, 4]}}
layers:
  - id: memory
    trainable: false
    bidirectional:
      recurrent:
        states: {{h: 2, c: {{shape: 2, initial: learned}}}}
        do: [{{id: a, layer: Dense, units: 2, from: h, {seeded(1)}}}, {{id: b, layer: Dense, units: 2, {seeded(2)}}}]
        next: {{h: tanh(a + b), c: b * c}}
outputs: [memory.last]
""",
    "a cell in feedback that starts from a number and from a learned state": f"""\
specbuild: 1
inputs: {{x: [3, 4]}}
layers:
  - id: forecast
    autoregressive:
      horizon: 2
      do:
        - recurrent:
            states: {{h: {{shape: 4, initial: -1}}, m: {{shape: 4, initial: learned}}}}
            do: [{{id: a, layer: Dense, units: 4, {seeded(1)}}}]
            next: {{h: 0.5 * h + a + m, m: m}}
""",
    "a Dense on every step of an LSTM, which has one vector more than its last output": f"""\
specbuild: 1
inputs: {{x: [3, 4]}}
layers:
  - {{layer: LSTM, units: 2, {seeded(1, "recurrent")}}}
  - {{time_distributed: {{layer: Dense, units: 2, {seeded(2)}}}}}
""",
}
"""Specs that were refused, that Keras refused, or that became another model than the text says."""

REFUSED = {
    "a merge that is not a layer": (
        "[{id: one, layer: ReLU, from: x}, {branch: {a: [], b: []}, merge: {reuse: one}}]",
        "merge: expected a layer",
    ),
    "an expect that the copy of an empty block does not hold": (
        "[{id: one, from: x, repeat: 0, do: [], expect: [4]}, {id: two, reuse: one, expect: [3]}]",
        "two gives 4, not 3",
    ),
}
"""The layers of specs that came to neither a graph nor an error, or to another error, and the right one."""

LEVELS = f"""\
{FRAMES}layers:
  - from: x
    encoder_decoder:
      encoder:
        - {{{gru(1)}}}
        - {{{gru(2)}}}
      horizon: 2
"""

ROUNDS = f"""\
specbuild: 1
inputs: {{x: [4]}}
layers:
  - {{repeat: 2, as: n, do: [{{residual: [{{layer: Dense, units: 4, {seeded("$n")}}}]}}]}}
  - {{layer: ReLU}}
"""


def test_composites_do_what_their_text_says() -> None:
    findings = composites.Findings()
    for number in range(40):
        composites.try_case(composites.generate(Random(f"2026.{number}")), number, findings)
    assert {where: case.text() for where, (_, case, _) in findings.found.items()} == {}
    assert findings.counts["compared"] > 30
    assert len(findings.forms) == len(naive.FORMS)
    assert len(findings.pairs) > 50


@pytest.mark.parametrize("text", FOUND.values(), ids=FOUND)
def test_what_was_found_stays_mended(text: str) -> None:
    composites.judge(composites.Case(yaml.safe_load(text), {}))


@pytest.mark.parametrize(("layers", "message"), REFUSED.values(), ids=REFUSED)
def test_what_is_wrong_is_refused(layers: str, message: str) -> None:
    with pytest.raises(composites.Refused) as caught:
        composites.checked(composites.Case(yaml.safe_load(f"{HEAD}layers: {layers}"), {}))
    assert [error.message for error in caught.value.errors] == [message]


def judge_levels() -> None:
    composites.judge(composites.Case(yaml.safe_load(LEVELS), {}))


def test_other_outputs_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    judge_levels()
    monkeypatch.setattr(tool("naive_coders"), "passed", lambda *given: given[1].levels[given[3]].tensors)
    with pytest.raises(composites.Wrong, match="the naive reading gives other outputs"):
        judge_levels()


def share_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give all rounds of a loop one place in the text, and so the same weights."""
    within = naive.Env.within

    def wrong(env: Any, *steps: Any, **changes: Any) -> Any:
        return within(env, *(("do",) if steps[0] == "do" else steps), **changes)

    monkeypatch.setattr(naive.Env, "within", wrong)


def test_other_weights_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    share_rounds(monkeypatch)
    with pytest.raises(composites.Wrong, match="graph parameters differ"):
        composites.judge(composites.Case(yaml.safe_load(ROUNDS), {}))


def test_a_layer_of_another_kind_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    right = make._class_of

    def wrong(layer: Layer, *arguments: Any, **keywords: Any) -> Any:
        return make.keras.layers.Multiply if layer.kind == "Add" else right(layer, *arguments, **keywords)

    monkeypatch.setattr(make, "_class_of", wrong)
    with pytest.raises(composites.Wrong, match="the naive reading gives other outputs"):
        composites.judge(composites.Case(yaml.safe_load(ROUNDS), {}))


def test_a_finding_is_shortened(monkeypatch: pytest.MonkeyPatch) -> None:
    share_rounds(monkeypatch)
    findings = composites.Findings()
    composites.try_case(composites.Case(yaml.safe_load(ROUNDS), {}), 7, findings, shorten=True)
    ((number, case, _),) = findings.found.values()
    assert number == 7
    assert len(case.text()) < len(composites.written(yaml.safe_load(ROUNDS)))
