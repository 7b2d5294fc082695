"""Lints: what is warned of, and above all what is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from specbuild.document import Report
from specbuild.graph import check
from specbuild.graph.lints import LINTS

ROOT = Path(__file__).parent.parent.parent
SPECS = sorted((ROOT / "specs").glob("*.yaml"))

HEAD = "specbuild: 1\ninputs: {rain: [%s, 16, 16, 1]}\nlayers:\n"
RECURRENT = "  - {layer: ConvLSTM2D, filters: 4, kernel_size: 3, padding: same, return_sequences: true}\n"
CAUSAL = (
    "  - {layer: ZeroPadding3D, padding: [[2, 0], [1, 1], [1, 1]]}\n"
    "  - {id: next, layer: Conv3D, filters: 1, kernel_size: 3}\n"
)
NEXT = """\
data:
  source: {path: rain.npz, layout: T H W}
  windows: {past: 8, future: 1, target: next}
"""


def warnings(text: str | Path) -> list[tuple[str, str]]:
    """The code and the message of each warning about a spec without errors."""
    report = Report()
    check(text if isinstance(text, str) else str(text), report=report)
    assert not report.errors, report.errors
    return [(one.code, one.message) for one in report.warnings]


def test_every_lint_is_documented() -> None:
    page = (ROOT / "docs" / "language.md").read_text("utf-8")
    table = page.partition("## Warnings\n")[2].partition("\n## ")[0]
    rows = [line for line in table.splitlines() if line.startswith("| `")]
    assert rows == [f"| `{lint.code}` | {lint.about} |" for lint in LINTS] + [
        "| `unused-node` | a node that nothing reads |",
        "| `unused-allow` | an entry of `allow` that accepts no warning |",
    ]


def test_the_shipped_specs_have_none() -> None:
    assert {path.stem: found for path in SPECS if (found := warnings(path))} == {}


@pytest.mark.parametrize("time", ["8", "null"])
@pytest.mark.parametrize(
    ("head", "sees"),
    [
        ("  - {id: next, layer: Conv3D, filters: 1, kernel_size: 3, padding: same}\n", True),
        ("  - {id: next, layer: Conv3D, filters: 1, kernel_size: [2, 3, 3], padding: same}\n", True),
        ("  - {id: next, layer: Conv3D, filters: 1, kernel_size: [1, 3, 3], padding: same}\n", False),
        ("  - {id: next, time_distributed: {layer: Conv2D, filters: 1, kernel_size: 3, padding: same}}\n", False),
        (CAUSAL, False),
    ],
)
def test_a_kernel_over_time(time: str, head: str, sees: bool) -> None:
    found = warnings(HEAD % time + RECURRENT + head + NEXT)
    assert found == ([("sees-the-future", "next sees the frame that it must forecast")] if sees else [])


def test_a_causal_layer_after_a_leak_does_not_hide_it() -> None:
    text = HEAD % 8 + "  - {id: mean, layer: AveragePooling3D, pool_size: [3, 1, 1], strides: 1, padding: same}\n"
    assert warnings(text + RECURRENT.replace("filters: 4", "filters: 1") + NEXT) == [
        ("sees-the-future", "mean sees the frame that it must forecast")
    ]


@pytest.mark.parametrize("encoded", ["rain", "early"])
@pytest.mark.parametrize("form", ["recurrence", "feedback"])
def test_a_state_that_has_seen_every_frame(form: str, encoded: str) -> None:
    cell = "layer: ConvLSTM2D, filters: 1, kernel_size: 3, padding: same"
    node = f"{cell}, return_sequences: true"
    if form == "feedback":
        node = f"autoregressive: {{horizon: 1, give: all, do: [{{{cell}}}]}}"
    text = (
        HEAD % 8
        + "  - {id: early, layer: Slice, axis: 1, start: 0, stop: 1}\n"
        + f"  - {{id: enc, from: {encoded}, {cell}}}\n"
        + f"  - {{id: next, from: rain, initial_state: enc, {node}}}\n"
        + NEXT
    )
    found = [(code, message) for code, message in warnings(text) if code == "sees-the-future"]
    sees = encoded == "rain"
    assert found == ([("sees-the-future", "next sees the frame that it must forecast")] if sees else [])


def test_a_future_that_no_input_holds_cannot_be_seen() -> None:
    """Windows of target: future end before what is forecast, so a layer may look at all of them, both ways."""
    text = HEAD % 8 + "  - bidirectional: {layer: ConvLSTM2D, filters: 4, kernel_size: 3, padding: same}\n"
    text += "  - {id: forecast, layer: Conv3D, filters: 1, kernel_size: 3, padding: same}\n"
    assert warnings(text + NEXT.replace("future: 1, target: next", "future: 8")) == []


@pytest.mark.parametrize(
    "layers",
    [
        "  - {id: out, layer: Conv3D, filters: 1, kernel_size: 3, padding: same}\n",
        RECURRENT + "  - {id: out, layer: Conv3D, filters: 3, kernel_size: 3, padding: same}\n",
        RECURRENT + "  - {id: out, layer: Conv3D, filters: 1, kernel_size: 3, padding: same}\n",
        "  - bidirectional: {layer: ConvLSTM2D, filters: 1, kernel_size: 3, padding: same, return_sequences: true}\n",
    ],
    ids=["volumes", "segmentation", "frames", "both directions"],
)
def test_without_a_data_section_a_model_is_no_forecast(layers: str) -> None:
    assert warnings(HEAD % 8 + layers) == []


def test_images_have_no_time_to_look_ahead_in() -> None:
    text = """\
specbuild: 1
inputs: {image: [32, 32, 1]}
layers:
  - {id: conv, layer: Conv2D, filters: 4, kernel_size: 3, padding: same}
  - {layer: Stack, from: [conv, conv], axis: 1}
  - {id: memory, layer: ConvLSTM2D, filters: 4, kernel_size: 3, padding: same}
  - {layer: Conv2D, from: memory.last, filters: 1, kernel_size: 3, padding: same}
"""
    assert warnings(text) == []


@pytest.mark.parametrize("activation", ["relu", "elu", "linear", "softplus", "null", "{name: leaky_relu}"])
@pytest.mark.parametrize("layer", ["ConvLSTM2D, filters: 4, kernel_size: 3, padding: same", "wrapped"])
def test_a_recurrence_without_bounds(activation: str, layer: str) -> None:
    cell = f"{{layer: ConvLSTM2D, filters: 4, kernel_size: 3, activation: {activation}, return_sequences: true}}"
    node = f"  - bidirectional: {cell}\n" if layer == "wrapped" else f"  - {cell}\n"
    assert [code for code, _ in warnings(HEAD % 8 + node)] == ["unbounded-recurrence"]


def test_leaky_relu_where_it_is_published() -> None:
    node = "  - {id: r, layer: TrajGRU2D, filters: 4, kernel_size: 3, %sreturn_sequences: true}\n"
    assert warnings(HEAD % 8 + node % "") == []
    assert [code for code, _ in warnings(HEAD % 8 + node % "activation: relu, ")] == ["unbounded-recurrence"]


@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "hard_sigmoid", "softsign", "relu6"])
def test_a_recurrence_with_bounds(activation: str) -> None:
    node = f"  - {{layer: LSTM, units: 4, activation: {activation}}}\n  - {{layer: Dense, units: 1}}\n"
    text = "specbuild: 1\ninputs: {x: [8, 2]}\nlayers:\n" + node.replace(
        "units: 4", "units: 4, return_sequences: false"
    )
    assert warnings(text) == []


CELL = (
    "  - id: r\n    recurrent:\n      states: {h: 4, c: 4}\n      do:\n"
    "        - {id: a, layer: Conv2D, from: input, filters: 4, kernel_size: 3, padding: same}\n"
    "        - {id: b, layer: Conv2D, from: h, filters: 4, kernel_size: 3, padding: same}\n"
)
"""The first nodes of a cell, with weights on what it reads and on a state."""


@pytest.mark.parametrize(
    ("more", "becomes"),
    [
        ("", "{c: relu(a + b), h: sigmoid(a) * c_next}"),
        ("", "{c: c + sigmoid(a) * relu(a + b), h: sigmoid(a) * c_next}"),
        ("        - {id: d, layer: ReLU}\n", "{c: c, h: d}"),
        ("        - {id: d, layer: Dense, units: 4, activation: softplus}\n", "{c: d, h: c}"),
        (
            "        - {id: d, split: [i, f], from: b}\n        - {id: e, layer: Concatenate, from: [d.f, d.i]}\n",
            "{c: a, h: gelu(e)}",
        ),
        ("", "{h: a + c, c: relu(b)}"),
    ],
    ids=["equation", "added", "layer", "argument", "parts", "through another state"],
)
def test_a_cell_without_bounds(more: str, becomes: str) -> None:
    codes = [code for code, _ in warnings(HEAD % 8 + CELL + more + f"      next: {becomes}\n" + READ)]
    assert [code for code in codes if code != "unused-node"] == ["unbounded-recurrence"]


READ = "outputs: [r.sequence]\n"


@pytest.mark.parametrize(
    "becomes",
    [
        "{c: c + relu(a), h: tanh(b + c)}",
        "{c: sigmoid(a) * c + sigmoid(b) * tanh(a), h: tanh(c_next) * sigmoid(b)}",
        "{c: relu(tanh(b) + c + a), h: c_next / (1 + c_next)}",
        "{c: a, h: 'minimum(relu(b), 6) + c'}",
        "{c: a, h: leaky_relu(b)}",
        "{c: a, h: a + b}",
    ],
    ids=["of the input", "LSTM", "behind a bound", "up to 6", "leaky", "linear"],
)
def test_a_cell_with_bounds_or_not_certainly_without(becomes: str) -> None:
    assert warnings(HEAD % 8 + CELL + f"      next: {becomes}\n" + READ) == []


def test_a_layer_in_a_cell_bounds_its_state() -> None:
    after = "        - {layer: ReLU}\n        - {id: d, layer: %s}\n      next: {h: d, c: a}\n"
    assert warnings(HEAD % 8 + CELL + after % "LayerNormalization" + READ) == []
    assert warnings(HEAD % 8 + CELL + after.replace("ReLU", "ReLU, max_value: 6") % "Identity" + READ) == []
    message = "relu inside the recurrence of r can grow without bound"
    assert warnings(HEAD % 8 + CELL + after % "Identity" + READ) == [("unbounded-recurrence", message)]


def test_what_nothing_reads_inside_a_cell() -> None:
    more = "        - {id: d, layer: Dense, units: 4, from: a}\n      next: {h: tanh(a + b), c: c}\n"
    text = HEAD % 8 + CELL + more + READ
    assert warnings(text) == [("unused-node", "nothing reads r_d, and it is not an output")]
    text = text.replace("1]}", "1], map: [16, 16, 1]}").replace("  - id: r\n", "  - id: r\n    from: rain\n")
    text = text.replace("      do:", "      static: {relief: map}\n      do:").replace(
        "units: 4, from: a", "units: 4, from: b"
    )
    assert warnings(text.replace("tanh(a + b)", "tanh(a + d)")) == [("unused-node", "nothing inside r reads relief")]


@pytest.mark.parametrize(
    ("node", "how"),
    [
        (CELL + "      next: {h: tanh(a + b), c: c}\n", ""),
        (
            CELL + "      next: {h: tanh(a + b), c: c}\n      go_backwards: true\n",
            "go_backwards starts it from the last frame",
        ),
        (
            "  - id: r\n    bidirectional: {recurrent: {states: {h: 1}, do: [{id: d, layer: Conv2D, filters: 1, "
            "kernel_size: 1}], next: {h: tanh(d + h)}}}\n",
            "its backward half starts from the last frame",
        ),
    ],
    ids=["forwards", "backwards", "both"],
)
def test_cells_that_see_the_future(node: str, how: str) -> None:
    report = Report()
    forecast = "  - {id: forecast, from: r.sequence, time_distributed: {layer: Conv2D, filters: 1, kernel_size: 1}}\n"
    check(HEAD % 8 + node + forecast + NEXT, report=report)
    assert not report.errors
    assert [warning.code for warning in report.warnings] == ["sees-the-future"] * bool(how)
    assert all(warning.reason.startswith(how) for warning in report.warnings)


def test_the_rounds_of_a_loop_are_warned_of_once() -> None:
    loop = f"  - {{repeat: 3, do: [{RECURRENT[4:-2]}, activation: relu}}]}}\n"
    assert len(warnings(HEAD % 8 + loop)) == 1


@pytest.mark.parametrize(
    ("activation", "channels", "loss"),
    [
        ("sigmoid", 1, "binary_crossentropy"),
        ("sigmoid", 3, "BinaryFocalCrossentropy"),
        ("softmax", 3, "categorical_crossentropy"),
        ("softmax", 3, "SparseCategoricalCrossentropy"),
        ("null", 1, "{name: BinaryCrossentropy, from_logits: true}"),
        ("null", 3, "{name: CategoricalCrossentropy, from_logits: true}"),
        ("null", 1, "mse"),
        ("sigmoid", 1, "mse"),
        ("relu", 1, "mae"),
        ("softplus", 1, "poisson"),
        ("gelu", 1, "binary_crossentropy"),
    ],
)
def test_losses_that_fit_or_cannot_be_judged(activation: str, channels: int, loss: str) -> None:
    node = f"  - time_distributed: {{layer: Conv2D, filters: {channels}, kernel_size: 1, activation: {activation}}}\n"
    assert warnings(HEAD % 8 + RECURRENT + node + f"train: {{loss: {loss}}}\n") == []


def test_a_loss_that_nobody_wrote_or_trains_with_is_not_judged() -> None:
    text = "specbuild: 1\ninputs: {x: [4]}\nlayers:\n  - {layer: Dense, units: 3, activation: softmax}\n"
    assert warnings(text) == []
    assert warnings(text + "train: {epochs: 3}\n") == []


def test_the_activation_is_found_behind_layers_that_move_values() -> None:
    text = "specbuild: 1\ninputs: {x: [8, 8, 1]}\nlayers:\n  - {layer: Conv2D, filters: 1, kernel_size: 3}\n"
    text += "  - {layer: Cropping2D, cropping: 1}\n  - {layer: Reshape, target_shape: [4, 4]}\n"
    assert [code for code, _ in warnings(text + "train: {loss: binary_crossentropy}\n")] == ["loss-and-output"]
    sound = text + "  - {layer: Activation, activation: sigmoid}\ntrain: {loss: binary_crossentropy}\n"
    assert warnings(sound) == []


CLASSES = """\
specbuild: 1
inputs: {clip: [3, 8, 8, 1]}
layers:
  - {id: end, layer: LastFrame}
  - {layer: GlobalAveragePooling2D}
  - {id: class, layer: Dense, units: 4, activation: softmax}
data:
  source: {path: clips, layout: N T H W}
  target: class
  windows: {past: 3}
  split: {train: 0.6, test: 0.4}
  transform: [standardize]
train: {loss: sparse_categorical_crossentropy}
"""
EVENTS = """specbuild: 1
inputs: {x: [3, 8, 8, 1]}
layers: [{id: rain, layer: Activation, activation: sigmoid}]
data:
  source: {path: x.npy, layout: T H W}
  windows: {past: 3, future: 3}
  targets: {rain: {above: 0.5}}
  split: {train: 0.6, test: 0.4}
  transform: [standardize]
train: {loss: binary_crossentropy}
"""


@pytest.mark.parametrize("text", [CLASSES, EVENTS])
def test_classes_and_events_need_not_reach_the_frames(text: str) -> None:
    assert warnings(text) == []


def test_frames_must_be_reached() -> None:
    frames = EVENTS.replace("  targets: {rain: {above: 0.5}}\n", "").replace("binary_crossentropy", "mse")
    assert [code for code, _ in warnings(frames)] == ["output-range"]


FED = """\
specbuild: 1
inputs: {frames: [5, 8, 8, 1], truth: [%s, 8, 8, 1]}
layers:
  - {id: embedded, from: truth, time_distributed: {layer: Conv2D, filters: 4, kernel_size: 1}}
  - {id: end, layer: LastFrame, from: frames}
  - {id: first, layer: ExpandDims, axis: 1}
  - {id: before, layer: Slice, from: truth, axis: 1, stop: -1}
  - {id: shifted, layer: Concatenate, from: [first, before], axis: 1}
  - id: nowcast
    from: frames
    encoder_decoder:
      encoder: [{id: enc, layer: ConvLSTM2D, filters: 4, kernel_size: 3, padding: same}]
      decoder: [{id: dec, layer: ConvLSTM2D, filters: 4, kernel_size: 3, padding: same}]
      feed: %s
      head: [{time_distributed: {layer: Conv2D, filters: %s, kernel_size: 1}}]
outputs: [nowcast, embedded, shifted]
"""


@pytest.mark.parametrize("steps", ["5", "7", "null"])
@pytest.mark.parametrize(
    ("feed", "filters", "warned"),
    [
        ("truth", 1, True),
        ("embedded", 1, True),
        ("shifted", 1, False),  # each step reads the frame before its own
        ("frames", 1, False),  # which the encoder has read already
        ("truth", 2, False),  # the output has other channels, so these are no frames of the target
    ],
)
def test_a_decoder_that_is_fed_its_target(steps: str, feed: str, filters: int, warned: bool) -> None:
    text = FED % (steps, feed, filters)
    message = "dec reads the frame of truth that it must forecast, if truth holds the true frames"
    assert warnings(text) == ([("feeds-the-target", message)] if warned else [])
    allowed = text + "allow: {feeds-the-target: these are the frames before}\n"
    assert [code for code, _ in warnings(allowed)] == ([] if warned else ["unused-allow"])


@pytest.mark.parametrize(
    ("keys", "warned"),
    [
        ("data_format: channels_first}", True),
        ("data_format: channels_first}, merge_mode: concat", True),
        ("data_format: channels_first}, merge_mode: sum", False),
        ("data_format: channels_last}", False),
    ],
)
def test_directions_that_are_joined_along_space(keys: str, warned: bool) -> None:
    node = f"  - {{id: both, bidirectional: {{layer: ConvLSTM2D, filters: 4, kernel_size: 1, {keys}}}\n"
    message = "both joins its two directions along the last axis, a spatial axis, which doubles"
    found = warnings(HEAD % 8 + node + "outputs: [both.last]\n")
    assert found == ([("concatenated-space", message)] if warned else [])
