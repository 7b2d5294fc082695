"""What differs between two specs."""

from __future__ import annotations

from pathlib import Path

import pytest

from specbuild import load_spec
from specbuild.language.difference import Difference, by_cause, differences

SPECS = Path(__file__).parents[2] / "specs"
SHIPPED = sorted(SPECS.glob("*.yaml")) + sorted(SPECS.glob("zoo/*.yaml"))
BASE = """
specbuild: 1
name: nowcast
vars: {past: 4, filters: 8}
inputs:
  rain: [$past, 16, 16, 1]
layers:
  - {id: enc, layer: ConvLSTM2D, filters: $filters, kernel_size: 3, padding: same}
  - {layer: RepeatFrame, from: enc.last, times: 2}
  - {id: dec, layer: ConvLSTM2D, filters: $filters, kernel_size: 3, padding: same, initial_state: enc}
  - {id: y, time_distributed: {layer: Conv2D, filters: 1, kernel_size: 1}}
train: {optimizer: {name: Adam, learning_rate: 0.01}}
"""


def found(*changes: tuple[str, str]) -> list[Difference]:
    text = BASE
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return list(differences(load_spec(BASE), load_spec(text)))


def test_what_means_the_same_does_not_differ() -> None:
    assert found(("padding: same}\n  - {layer", "strides: 1, padding: same}\n  - {layer")) == []
    assert found(("train: {", "train: {epochs: 10, batch_size: 8, ")) == []
    assert found(("filters: $filters", "filters: '${filters * 1}'")) == []


def test_what_follows_from_a_variable_is_told_with_it() -> None:
    changes = found(("filters: 8", "filters: 12"), ("learning_rate: 0.01", "learning_rate: 0.02"))
    assert [(cause.path, [each.path for each in following]) for cause, following in by_cause(changes)] == [
        ("vars.filters", ["layers.enc.filters", "layers.dec.filters"]),
        ("train.optimizer.learning_rate", []),
    ]
    assert (changes[0].before, changes[0].after) == ("8", "12")


def test_a_value_that_one_spec_writes_and_the_other_takes_from_a_variable_stands_for_itself() -> None:
    changes = found(("{id: enc, layer: ConvLSTM2D, filters: $filters", "{id: enc, layer: ConvLSTM2D, filters: 9"))
    assert [(each.path, each.before, each.after, each.variables) for each in changes] == [
        ("layers.enc.filters", "8", "9", ())
    ]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("enc", "encoder", ["layers.enc renamed"]),
        (
            "  - {id: y,",
            "  - {id: z, layer: Dropout, rate: 0.5}\n  - {id: y,",
            ["layers.y.from changed", "layers.z added"],
        ),
        ("initial_state: enc}", "}", ["layers.dec.initial_state removed"]),
        ("from: enc.last", "from: enc.h", ["layers.repeat_frame.from changed"]),
        (
            "kernel_size: 1}",
            "kernel_size: 3, padding: same}",
            ["layers.y.kernel_size changed", "layers.y.padding changed"],
        ),
        ("{name: Adam, learning_rate: 0.01}", "Adam", ["train.optimizer.learning_rate removed"]),
        ("{name: Adam, learning_rate: 0.01}", "sgd", ["train.optimizer changed"]),
        ("[$past, 16, 16, 1]", "{shape: [$past, 16, 16, 1], dtype: float64}", ["inputs.rain.dtype changed"]),
    ],
)
def test_single_changes(old: str, new: str, expected: list[str]) -> None:
    assert [f"{each.path} {each.kind}" for each in found((old, new))] == expected


def test_a_node_that_comes_in_between_shifts_no_generated_id() -> None:
    plain = BASE.replace("  - {id: y,", "  - {layer: LayerNormalization}\n  - {layer: Dropout, rate: 0.1}\n  - {id: y,")
    more = plain.replace("  - {layer: LayerNorm", "  - {layer: Dropout, rate: 0.3}\n  - {layer: LayerNorm")
    changes = differences(load_spec(plain), load_spec(more))
    assert [(each.path, each.kind) for each in changes] == [
        ("layers.layer_normalization.from", "changed"),
        ("layers.dropout", "added"),
    ]


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_spec_means_what_its_resolved_form_means(path: Path, tmp_path: Path) -> None:
    """Only the variables are gone from it, and with them what a variable is the cause of."""
    spec = load_spec(path)
    written = tmp_path / path.name
    written.write_text(spec.resolved(), encoding="utf-8")
    changes = differences(spec, load_spec(written, roots=[SPECS]))
    assert [each for each in changes if not each.path.startswith("vars.")] == []
    assert differences(spec, spec) == ()


def test_what_is_tuned_differs_by_path() -> None:
    tuned = ("train: {", "tune: {vars.filters: [4, 8], trials: 9}\ntrain: {")
    assert [(each.path, each.kind, each.after) for each in found(tuned)] == [
        ("tune.vars.filters", "added", "[4, 8]"),
        ("tune.trials", "added", "9"),
    ]
