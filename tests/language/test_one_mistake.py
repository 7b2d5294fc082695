"""One mistake is one error: what follows from it is not reported as well."""

from __future__ import annotations

import pytest

from specbuild.document import Report
from specbuild.graph import check

HEAD = "specbuild: 1\ninputs: {x: [4, 8, 8, 1]}\nlayers:\n"
MEMORY = """\
  - id: m
    recurrent: {states: {h: [8, 8, 1]}, do: [{id: s, layer: Add, from: [x, h]}], next: {h: s}, output: s}
"""
LOOP = "  - {autoregressive: {horizon: 3, do: [{layer: ConvLSTM2D, filters: 1, kernel_size: 3, padding: same}]}}\n"
LOGGERS = (
    "  - {layer: Flatten}\ntrain: {optimizer: Adam, loss: mse, loggers: [tensorboard, {wandb: {project: rain}}]}\n"
)
ENDS = {MEMORY: "outputs: [m.last]\n"}


@pytest.mark.parametrize(
    ("node", "written", "message", "advice"),
    [
        (MEMORY, ("next: {h:", "next: {hh:"), "no state is called hh", 'did you mean "h"?'),
        (MEMORY, ("states:", "state:"), 'unknown key "state"', 'did you mean "states"?'),
        (MEMORY, ("next:", "nxt:"), 'unknown key "nxt"', 'did you mean "next"?'),
        (LOOP, ("horizon:", "horizons:"), 'unknown key "horizons"', 'did you mean "horizon"?'),
        (LOGGERS, ("project:", "projekt:"), 'unknown key "projekt"', 'did you mean "project"?'),
    ],
)
def test_a_misspelt_key(node: str, written: tuple[str, str], message: str, advice: str) -> None:
    report = Report()
    assert check(HEAD + node.replace(*written) + ENDS.get(node, ""), report=report) is None
    assert [(one.message, one.help) for one in report] == [(message, advice)]


def test_a_node_with_the_name_of_a_state() -> None:
    report = Report()
    check(HEAD + MEMORY.replace("id: s", "id: h") + ENDS[MEMORY], report=report)
    assert report.errors[0].message == "two nodes are called m_h"
    assert report.errors[0].reason == "a state has that name"
