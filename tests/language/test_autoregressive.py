"""`autoregressive`: what its body comes to, its shapes, weights and costs. Its faults are in `docs/errors.md`."""

from __future__ import annotations

from pathlib import Path

import pytest

from specbuild import SpecError, build_graph, load_spec
from specbuild.graph.drawing.diagram import diagram
from specbuild.graph.receptive_field import receptive_fields
from specbuild.graph.summary import summarize
from specbuild.graph.tables import summary_cells

SMALL = """specbuild: 1
vars: {past: 4, horizon: 6}
inputs: {rain: [$past, 12, 12, 1]}
layers:
  - id: forecast
    autoregressive:
      horizon: $horizon
      do:
        - {layer: SpaceToDepth, block_size: 2}
        - {repeat: 2, do: [{layer: ConvLSTM2D, filters: 3, kernel_size: 3, padding: same}]}
        - {id: head, time_distributed: {layer: Conv2D, filters: 4, kernel_size: 1}}
        - {layer: DepthToSpace, block_size: 2}
"""
OPENSTL = """specbuild: 1
vars: {filters: 128}
inputs: {frames: [10, 64, 64, 1]}
layers:
  - id: forecast
    autoregressive:
      horizon: 10
      give: all
      sampling: {schedule: linear, start: 1.0, end: 0.0, steps: 50000}
      do:
        - {layer: SpaceToDepth, block_size: 4}
        - {repeat: 4, do: [{layer: ConvLSTM2D, filters: $filters, kernel_size: 5, padding: same, use_bias: false}]}
        - {time_distributed: {layer: Conv2D, filters: 16, kernel_size: 1, use_bias: false}}
        - {layer: DepthToSpace, block_size: 4}
"""


def test_the_body_has_ids_under_its_node_and_reads_its_input() -> None:
    (node,) = build_graph(SMALL).nodes
    assert node.body is not None
    assert [(inner.id, [str(port) for port in inner.inputs], inner.shape) for inner in node.body.given.nodes] == [
        ("forecast_space_to_depth", ["forecast_input"], (4, 6, 6, 4)),
        ("forecast_conv_lstm2d", ["forecast_space_to_depth"], (4, 6, 6, 3)),
        ("forecast_conv_lstm2d_1", ["forecast_conv_lstm2d.sequence"], (4, 6, 6, 3)),
        ("forecast_head", ["forecast_conv_lstm2d_1.sequence"], (4, 6, 6, 4)),
        ("forecast_depth_to_space", ["forecast_head"], (4, 12, 12, 1)),
    ]
    assert [inner.shape[0] for inner in node.body.step.nodes] == [1] * 5
    assert [inner.state for inner in node.body.step.nodes][1] == {"h": (6, 6, 3), "c": (6, 6, 3)}


@pytest.mark.parametrize(
    ("give", "past", "horizon", "shape"),
    [
        ("horizon", 4, 6, (6, 12, 12, 1)),
        ("all", 4, 6, (9, 12, 12, 1)),
        ("all", 4, 1, (4, 12, 12, 1)),
        ("horizon", "null", 6, (6, 12, 12, 1)),
        ("all", "null", 6, (None, 12, 12, 1)),
    ],
)
def test_shape(give: str, past: object, horizon: int, shape: object) -> None:
    text = SMALL.replace("$past", str(past))
    graph = build_graph(text, overrides=[f"vars.horizon={horizon}", f"layers.forecast.autoregressive.give={give}"])
    assert graph.outputs[0].shape == shape


@pytest.mark.parametrize(("filters", "parameters"), [(128, 11_675_648), (192, 26_115_072)])
def test_openstl_counts(filters: int, parameters: int) -> None:
    graph = build_graph(OPENSTL, overrides={"vars.filters": filters})
    assert graph.parameters == graph.trainable_parameters == parameters
    assert graph.outputs[0].shape == (19, 64, 64, 1)


def test_costs_are_those_of_the_frames_given_and_of_single_steps() -> None:
    (node,) = build_graph(SMALL).nodes
    assert node.body is not None
    given, step = node.body.given, node.body.step
    assert given.flops is not None
    assert step.flops is not None
    assert node.flops == given.flops + 5 * step.flops
    (cheap,) = build_graph(SMALL, overrides={"layers.forecast.autoregressive.remat": True}).nodes
    kept = [sum(inner.saved or 0 for inner in graph.nodes) for graph in (given, step)]
    assert node.saved == kept[0] + 5 * kept[1]
    assert cheap.saved == kept[0] + 5 * (144 + 4 * 108) + kept[1]
    assert (cheap.flops, cheap.weights) == (node.flops, node.weights)


def test_a_forecast_sees_further_with_every_step() -> None:
    text = SMALL.replace("12, 12", "80, 80")
    seen = [
        [
            str(extent)
            for extent in receptive_fields(build_graph(text, overrides={"vars.horizon": horizon}))["forecast"]["rain"]
        ]
        for horizon in (1, 2, 3)
    ]
    assert [one[0] for one in seen] == ["4", "4", "4"]
    assert [one[1] for one in seen] == ["22", "30", "38"]


def test_what_an_output_gives_ahead_is_no_look_into_the_future() -> None:
    data = (
        "data:\n  source: {path: rain.npz, key: rain, layout: T H W}\n"
        "  windows: {past: 4, future: 6, target: next}\n  split: {train: 0.6, validation: 0.2, test: 0.2}\n"
    )
    graph = build_graph(SMALL.replace("horizon: $horizon", "horizon: $horizon\n      give: all") + data)
    assert graph.warnings == ()


def test_resolved_it_is_the_same_graph() -> None:
    text = SMALL.replace("horizon: $horizon", "horizon: $horizon\n      sampling: {steps: 9}\n      remat: true")
    spec = load_spec(text.replace("  - id: forecast", "  - id: forecast\n    trainable: false"))
    again = load_spec(spec.resolved())
    assert again.resolved() == spec.resolved()
    first, second = build_graph(spec), build_graph(again)
    assert [(n.id, n.shapes, n.weights, n.flops, n.saved) for n in first.nodes] == [
        (n.id, n.shapes, n.weights, n.flops, n.saved) for n in second.nodes
    ]
    assert first.trainable_parameters == second.trainable_parameters == 0
    assert first.nodes[0].body is not None
    assert second.nodes[0].body is not None
    assert [n.id for n in first.nodes[0].body.given.nodes] == [n.id for n in second.nodes[0].body.given.nodes]


def test_a_layer_inside_is_set_by_its_id() -> None:
    (node,) = build_graph(
        SMALL.replace("filters: 4", "filters: 8"), overrides={"layers.head.time_distributed.filters": 4}
    ).nodes
    assert node.shape == (6, 12, 12, 1)


def test_blocks_loops_and_shared_layers_inside() -> None:
    text = """specbuild: 1
inputs: {x: [3, 8, 8, 2]}
blocks:
  unit:
    parameters: {f: int}
    do: [{residual: [{id: rnn, layer: ConvGRU2D, filters: $f, kernel_size: 3, padding: same}]}]
layers:
  - autoregressive:
      horizon: 2
      do:
        - {id: a, block: unit, with: {f: 2}}
        - {for: {f: [2, 2]}, do: [{block: unit, with: {f: $f}}]}
        - {id: again, reuse: a}
        - {layer: Concatenate, from: [again, a]}
        - {time_distributed: {layer: Conv2D, filters: 2, kernel_size: 1}}
"""
    (node,) = build_graph(text).nodes
    assert node.id == "autoregressive"
    assert node.body is not None
    assert sum(inner.shares is not None for inner in node.body.given.nodes) == 2
    again = build_graph(load_spec(text)).nodes[0]
    assert again.weights == node.weights


def test_before_it_a_bare_recurrent_node_means_every_step() -> None:
    text = """specbuild: 1
inputs: {x: [3, 8, 8, 2]}
layers:
  - {id: enc, layer: ConvLSTM2D, filters: 4, kernel_size: 3, padding: same}
  - {autoregressive: {horizon: 2, do: [{layer: ConvLSTM2D, filters: 4, kernel_size: 3, padding: same}]}}
"""
    assert [str(port) for port in build_graph(text).nodes[1].inputs] == ["enc.sequence"]


def test_warnings_of_the_body_are_located_in_it() -> None:
    (warning,) = build_graph(SMALL.replace("padding: same}]}", "padding: same, activation: relu}]}")).warnings
    assert warning.message == "relu inside the recurrence of forecast_conv_lstm2d can grow without bound"
    assert warning.span is not None
    assert warning.span.line == 10


def test_the_loss_is_held_against_the_head_inside() -> None:
    text = (
        SMALL.replace("kernel_size: 1}}", "kernel_size: 1, activation: tanh}}") + "train: {loss: binary_crossentropy}\n"
    )
    (warning,) = build_graph(text).warnings
    assert warning.code == "loss-and-output"


def test_faults_inside_are_all_named() -> None:
    text = SMALL.replace("padding: same}]}", "padding: same, stateful: true}]}")
    with pytest.raises(SpecError) as caught:
        build_graph(text.replace("{layer: DepthToSpace", "{layer: DephtToSpace"))
    assert [one.message for one in caught.value.diagnostics] == [
        "forecast_conv_lstm2d would keep its state from batch to batch",
        "forecast_conv_lstm2d_1 would keep its state from batch to batch",
        'no layer is called "DephtToSpace"',
    ]


def test_the_summary_shows_the_layers_inside_and_the_plot_one_box() -> None:
    graph = build_graph(SMALL)
    summary = summarize(graph, batch=2)
    _, rows = summary_cells(summary)
    assert [row[0] for row in rows] == [
        *("rain", "forecast", "  forecast_space_to_depth", "  forecast_conv_lstm2d", "  forecast_conv_lstm2d_1"),
        *("  forecast_head", "  forecast_depth_to_space"),
    ]
    inside = [row for row in summary.rows if row.inside]
    assert sum(row.parameters for row in inside) == summary.parameters == summary.rows[1].parameters
    assert sum(row.flops or 0 for row in inside) == summary.rows[1].flops
    assert sum(row.activation_bytes or 0 for row in inside) == summary.rows[1].activation_bytes
    boxes = diagram(graph).boxes
    assert [(box.id, box.layer) for box in boxes][1] == ("forecast", "Autoregressive, 5 layers inside")
    assert boxes[1].family == "recurrent"


def test_a_check_of_it_loads_no_framework(tmp_path: Path) -> None:
    import subprocess
    import sys

    (tmp_path / "spec.yaml").write_text(SMALL, "utf-8")
    code = (
        "import sys, specbuild\n"
        f"specbuild.build_graph({str(tmp_path / 'spec.yaml')!r})\n"
        "assert not {'keras', 'tensorflow', 'jax'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
