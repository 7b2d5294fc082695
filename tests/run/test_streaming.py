"""A model taken apart along time gives, frame by frame, what the whole model gives."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from specbuild import export
from specbuild.document import SpecError
from specbuild.exporting.stepped import step_through, stepped_samples
from specbuild.exporting.stream.graphs import stream_graphs
from specbuild.exporting.stream.models import StreamModels, stream_models
from specbuild.exporting.stream.timing import When
from specbuild.exporting.streaming import streaming
from specbuild.graph import Graph, build_graph
from specbuild.model import build_model
from specbuild.model.backend import keras
from specbuild.model.build import build
from specbuild.prediction.forecast import Past, make_forecast
from specbuild.runs.trained import TrainedRun
from specbuild.training import Run
from tests.backends import not_on_jax, passes_on_jax
from tests.tools import ROOT, tool

HEAD = "specbuild: 1\ninputs: {x: [4, 5, 6, 2]}\nlayers:\n"
CONV = "time_distributed: {layer: Conv2D, filters: 2, kernel_size: 3, padding: same}"


def cell(kind: str = "ConvLSTM2D", more: str = "") -> str:
    return f"layer: {kind}, filters: 2, kernel_size: 3{', padding: same' if kind != 'STLSTM2D' else ''}{more}"


SPECS = {
    "a frame for each": f"{HEAD}  - {{{cell()}}}\n  - {{layer: BatchNormalization}}\n  - {{{CONV}}}\n",
    "the last frame": f"{HEAD}  - {{{cell()}}}\n  - {{layer: Conv2D, filters: 1, kernel_size: 1}}\n",
    "an encoder-decoder": f"""\
{HEAD}  - {{id: enc, {cell("ConvGRU2D")}}}
  - {{layer: RepeatFrame, from: enc.last, times: 3}}
  - {{id: dec, {cell("ConvGRU2D", ", initial_state: enc")}}}
  - {{{CONV}}}
""",
    "a decoder without input": f"""\
{HEAD}  - encoder_decoder: {{encoder: [{{{cell()}}}], feed: none, horizon: 4, head: [{{{CONV}}}]}}
""",
    "a decoder that reads its own frames": f"""\
{HEAD}  - encoder_decoder: {{encoder: [{{{cell()}}}], feed: feedback, horizon: 3, head: [{{{CONV}}}]}}
""",
    "a decoder over a smoothed sequence": f"""\
{HEAD}  - encoder_decoder: {{encoder: [{{{cell()}}}], feed: last, horizon: 3}}
  - {{layer: Conv3D, filters: 1, kernel_size: 3, padding: same}}
""",
    "feedback": f"""\
{HEAD}  - {{layer: Rescaling, scale: 0.5}}
  - {{id: ar, autoregressive: {{do: [{{{cell("STLSTM2D")}}}, {{{CONV}}}], horizon: 3, give: all}}}}
  - {{layer: Rescaling, scale: 2.0}}
""",
    "feedback with covariates": f"""\
specbuild: 1
inputs: {{x: [4, 5, 6, 2], sun: [6, 5, 6, 1], place: [5, 6, 1]}}
layers:
  - id: ar
    from: x
    autoregressive:
      covariates: {{sun: sun}}
      static: {{place: place}}
      do: [{{layer: Concatenate, from: [input, sun, place]}}, {{{cell()}}}]
      horizon: 3
""",
    "a recurrence of one's own": f"""\
{HEAD}  - id: r
    recurrent:
      states: {{h: {{shape: 2, initial: learned}}, n: {{shape: [1], initial: 3}}}}
      do:
        - {{layer: Concatenate, from: [input, h]}}
        - {{layer: Conv2D, filters: 2, kernel_size: 3, padding: same}}
        - {{id: next, equation: "tanh(conv2d) + n * 0.1"}}
      next: {{h: next, n: n + 1}}
outputs: [r.sequence, r.state.n]
""".replace("        - {layer: Conv2D,", "        - {id: conv2d, layer: Conv2D,"),
    "causal convolutions": """\
specbuild: 1
inputs: {x: [null, 5, 6, 2]}
layers:
  - {layer: ZeroPadding3D, padding: [[2, 0], [1, 1], [1, 1]]}
  - {layer: Conv3D, filters: 2, kernel_size: 3}
  - {layer: ReLU}
""",
    "a change of the last frame": f"""\
{HEAD}  - {{id: enc, {cell()}}}
  - {{layer: RepeatFrame, from: enc.last, times: 3}}
  - {{id: dec, {cell(more=", initial_state: enc")}}}
  - {{id: change, {CONV}}}
  - {{layer: Cropping3D, from: x, cropping: [[3, 0], [0, 0], [0, 0]]}}
  - {{id: persistence, layer: UpSampling3D, size: [3, 1, 1]}}
  - {{layer: Add, from: [persistence, change]}}
""",
    "vectors": """\
specbuild: 1
inputs: {x: [6, 3]}
layers:
  - {layer: Conv1D, filters: 4, kernel_size: 3, dilation_rate: 2, padding: causal}
  - {id: one, layer: LSTM, units: 3}
  - {id: two, layer: GRU, units: 3, reset_after: false}
  - {layer: SimpleRNN, units: 2}
outputs: [one.state.c, two.sequence, simple_rnn.last]
""".replace("{layer: SimpleRNN", "{id: simple_rnn, layer: SimpleRNN"),
    "a state from a map": f"""\
specbuild: 1
inputs: {{x: [4, 5, 6, 2], place: [5, 6, 1]}}
layers:
  - {{id: first, layer: Conv2D, from: place, filters: 2, kernel_size: 1}}
  - {{{cell("ConvGRU2D")}, from: x, initial_state: first}}
  - {{id: map, layer: RepeatFrame, from: place, times: 4}}
  - {{layer: Concatenate, from: [conv, map]}}
""".replace("- {layer: ConvGRU2D", "- {id: conv, layer: ConvGRU2D").replace("[conv,", "[conv.sequence,"),
    "the latest frames": f"""\
{HEAD}  - {{id: every, {CONV}}}
  - {{layer: Permute, dims: [2, 3, 1, 4]}}
  - {{layer: Reshape, target_shape: [5, 6, 8]}}
  - {{layer: Conv2D, filters: 1, kernel_size: 3, padding: same}}
""",
    "masked steps": """\
specbuild: 1
inputs: {x: [8, 3]}
layers:
  - {layer: Masking}
  - {layer: Dense, units: 3}
  - {id: one, layer: LSTM, units: 3}
  - {id: zero, layer: GRU, units: 2, zero_output_for_mask: true}
  - {id: two, layer: SimpleRNN, units: 2, from: one.sequence}
  - id: own
    from: one.sequence
    recurrent:
      states: {h: 2}
      do: [{id: next, layer: Dense, units: 2, from: input}, {id: sum, equation: next + h}]
      next: {h: sum}
outputs: [one.last, one.state.c, zero.sequence, two.last, own.last, own.sequence]
""",
    "masked frames": f"""\
{HEAD}  - {{layer: Masking}}
  - {{id: enc, {cell()}}}
  - {{layer: RepeatFrame, from: enc.last, times: 2}}
  - {{{cell("ConvGRU2D", ", initial_state: {h: enc.state.h}, return_sequences: true")}}}
""",
    "masked numbers": """\
specbuild: 1
inputs: {x: {shape: [6], dtype: int32}}
layers:
  - {layer: Embedding, input_dim: 3, output_dim: 2, mask_zero: true}
  - {layer: GRU, units: 2, return_sequences: false}
""",
    "motion with each frame": """\
specbuild: 1
inputs: {x: [4, 5, 6, 1], flow: [5, 6, 2]}
layers:
  - {id: same, layer: RepeatFrame, from: flow, times: 4}
  - {layer: Concatenate, from: [x, same]}
  - {layer: ConvLSTM2D, filters: 1, kernel_size: 3, padding: same, return_sequences: false}
data:
  source: {path: x.npy, layout: T H W}
  windows: {past: 4, future: 1}
  inputs: {x: past, flow: {motion: true}}
""",
    "a stateful layer": f"""\
specbuild: 1
inputs: {{x: {{shape: [4, 5, 6, 2], batch: 2}}}}
layers:
  - {{{cell(more=", stateful: true, remat: true, return_sequences: true")}}}
""",
    "weights used twice": f"""\
specbuild: 1
inputs: {{x: [4, 5, 6, 2], y: [4, 5, 6, 2]}}
layers:
  - {{id: one, {cell()}, from: x}}
  - {{id: two, reuse: one, from: y}}
outputs: [one.sequence, two.last, two.state.c]
""",
}


def values(graph: Graph) -> dict[str, Any]:
    random = np.random.default_rng(1)
    shapes = {
        x.id: (2 if x.batch else 3, *(5 if length is None else length for length in x.shape)) for x in graph.inputs
    }
    drawn = {
        x.id: random.integers(0, 3, shapes[x.id]) if x.dtype == "int32" else random.normal(size=shapes[x.id])
        for x in graph.inputs
    }
    drawn = {x.id: drawn[x.id].astype(x.dtype) for x in graph.inputs}
    if any(node.layer.kind in ("Masking", "Embedding") for node in graph.nodes):  # whose masks begin and end sequences
        for x in drawn.values():
            x[0, :2] = x[1, 2] = x[1, -1] = x[2] = 0
    return drawn


def in_steps(models: StreamModels, inputs: dict[str, Any]) -> dict[str, Any]:
    """Return the outputs of the whole model frame by frame: all entries of sequences, the last of values."""
    streams = models.streams
    graphs, samples = {graph.name: graph for graph in streams.graphs}, len(next(iter(inputs.values())))
    past = next((inputs[name].shape[1] for name, when in streams.inputs.items() if when is When.PAST), 1)

    def run(name: str, number: int, state: dict[str, Any]) -> dict[str, Any]:
        given = []
        for each in graphs[name].inputs:
            values = state[each.name] if each.role == "state" else inputs[each.name]
            if each.role != "state" and each.frame:
                after = past if name == "forecast" and streams.inputs[each.name] is When.THROUGHOUT else 0
                values = values[:, min(after + number, values.shape[1] - 1)]
            given.append(values)
        outputs = keras.tree.flatten(models.models[name](given, training=False))
        taken = zip(graphs[name].outputs, map(keras.ops.convert_to_numpy, outputs), strict=True)
        return {each.name: output for each, output in taken}

    counts = {"start": 1, "observe": past, "forecast": streams.horizon}
    state = {name: np.broadcast_to(value, (samples, *value.shape)) for name, value in models.initial.items()}
    calls = step_through({name: counts[name] for name in graphs}, run, state).values()
    results = {name: [step[name] for steps in calls for step in steps if name in step] for name in streams.outputs}
    return {
        name: np.stack(each, axis=1) if streams.outputs[name].is_sequence else each[-1]
        for name, each in results.items()
    }


def compare(graph: Graph, model: Any) -> StreamModels:
    """Compare a model with its graphs of one step, and return those."""
    for weight in model.weights:
        if weight.name.startswith(("initial_", "kernel", "bias")) and not np.any(weight):  # zeros would tell nothing
            weight.assign(np.linspace(-1, 1, int(np.prod(weight.shape))).reshape(weight.shape))
    models = stream_models(graph, model)
    given = values(graph)
    listed = list(given.values())
    whole = keras.tree.flatten(model(listed if len(listed) > 1 else listed[0], training=False))
    stepped = in_steps(models, given)
    for name, output in zip(models.streams.outputs, map(keras.ops.convert_to_numpy, whole), strict=True):
        ours = stepped[name]
        if models.streams.outputs[name] is When.AHEAD:
            output = output[:, -models.streams.horizon :]  # give: all begins with frames of the past
        assert ours.shape == output.shape, name
        if np.isfinite(output).all() and np.abs(output).max(initial=0) < 1e6:  # else most digits are lost
            np.testing.assert_allclose(ours, output, rtol=1e-5, atol=1e-6, err_msg=name)
    return models


@pytest.mark.filterwarnings("ignore:Layer .* was passed an input with a mask attached")
@pytest.mark.parametrize("text", SPECS.values(), ids=SPECS)
def test_steps_give_what_the_whole_gives(text: str) -> None:
    graph = build_graph(text)
    compare(graph, build_model(graph))


def test_a_run_in_physical_units(trained: Run) -> None:
    run = TrainedRun.open(trained.path)
    exported = streaming(run)
    samples, _ = stepped_samples(run, exported, 1e-5)  # compares them with the run's own forecasts
    observe, forecast = exported.graphs
    assert (observe.name, observe.calls, forecast.name, forecast.calls) == ("observe", 3, "forecast", 2)
    assert np.isnan(samples["observe"].inputs["rain"]).any()
    assert np.isnan(samples["forecast"].outputs["forecast"][-1]).all()  # nothing was observed
    first, *states = observe.inputs
    assert (first.name, first.units, first.shape) == ("rain", "mm/h", (None, 12, 12, 1))
    assert [(state.name, state.initial, state.next) for state in states] == [
        ("enc_h", "zeros", "enc_h_next"),
        ("enc_c", "zeros", "enc_c_next"),
        ("seen", "zeros", "seen_next"),
    ]
    assert {state.initial for state in forecast.inputs} == {"observe"}
    assert forecast.outputs[0].description == (
        "forecast of rain rate: with the first call +5 min, with the second +10 min, and so on"
    )


@not_on_jax
def test_the_example_forecasts_with_onnxruntime(trained: Run, tmp_path: Path) -> None:
    for package in ("onnx", "onnxruntime", "tf2onnx"):
        pytest.importorskip(package, reason="needs specbuild[onnx]: pip install 'specbuild[onnx]'")
    result = export(trained.folder.path, format="onnx", shape="streaming", output=tmp_path / "rain.onnx")
    assert [path.name for path in result.files] == ["rain.observe.onnx", "rain.forecast.onnx"]
    assert result.difference.relative < 1e-5
    assert not any(word in path.read_bytes() for path in result.files for word in (b"Loop", b"Scan"))
    run = TrainedRun.open(trained.folder.path)
    past = run.dataset.window(0, 50).past
    np.save(tmp_path / "frames.npy", past.astype(np.float64))
    script = ROOT / "examples" / "streaming" / "frame_by_frame.py"
    command = [sys.executable, "-I", str(script), str(result.manifest), "frames.npy"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "after frame 3: up to " in done.stdout
    stepped = np.load(tmp_path / "forecast.npy")
    np.testing.assert_allclose(stepped, make_forecast(run, Past(past, run.dataset)).frames, rtol=1e-4, atol=1e-4)


@not_on_jax
def test_on_jax() -> None:
    assert "skipped" not in passes_on_jax(__file__, "-k", "whole_gives and (feedback or own)")


def test_drawn_specs_give_the_same_or_are_refused() -> None:
    composites, drawing = tool("composites"), tool("composite_drawing")
    results: Counter[str] = Counter()
    for number in range(12):
        case = drawing.generate(Random(f"1.{number}"))
        try:
            graph = composites.checked(case)
            streams = stream_graphs(graph)
        except composites.Refused:
            continue
        except SpecError as error:
            (refusal,) = error.diagnostics
            assert refusal.span is not None
            assert refusal.help
            results["refused"] += 1
            continue
        compare(graph, build(graph))
        results["+".join(each.name for each in streams.graphs)] += 1
    assert results["observe"] >= 2
    assert results["refused"] < sum(results.values())


def graphs_of(text: str) -> dict[str, tuple[list[str], list[str]]]:
    streams = stream_graphs(build_graph(text))
    return {each.name: ([x.name for x in each.inputs], [x.name for x in each.outputs]) for each in streams.graphs}


def test_a_frame_for_each_is_one_graph() -> None:
    states = ["conv_lstm2d_h", "conv_lstm2d_c"]
    expected = (["x", *states], ["conv2d", *(f"{state}_next" for state in states)])
    assert graphs_of(SPECS["a frame for each"]) == {"observe": expected}


def test_an_encoder_decoder_is_two_graphs() -> None:
    graphs = graphs_of(SPECS["an encoder-decoder"])
    assert graphs == {
        "observe": (["x", "enc_h"], ["enc_h_next", "repeat_frame_state_next", "dec_h_next"]),
        "forecast": (["repeat_frame_state", "dec_h"], ["conv2d", "dec_h_next"]),
    }
    assert stream_graphs(build_graph(SPECS["an encoder-decoder"])).horizon == 3
    assert [*graphs_of(SPECS["a change of the last frame"])] == ["observe", "forecast"]


def test_a_forecast_that_mixes_its_frames_comes_at_once() -> None:
    streams = stream_graphs(build_graph(SPECS["a decoder over a smoothed sequence"]))
    assert [each.name for each in streams.graphs] == ["observe"]
    assert [taken.outer for taken in streams.observe.outputs if taken.role == "frame"] == [(3, 5, 6, 1)]


def test_states_of_a_map_have_a_graph_of_their_own() -> None:
    graphs = graphs_of(SPECS["a state from a map"])
    assert graphs["start"] == (["place"], ["conv_h_next"])


def test_frames_before_the_newest_are_a_state() -> None:
    streams = stream_graphs(build_graph(SPECS["the latest frames"]))
    assert streams.needed == 4
    assert [given.outer for given in streams.observe.inputs] == [(5, 6, 2), (3, 5, 6, 2)]
    assert streams.notes == ("permute reads several frames of every at once; the 3 frames before it are a state",)


REFUSED = {
    "both directions": (
        f"{HEAD}  - {{id: both, bidirectional: {{{cell()}}}}}\n  - {{layer: Conv2D, filters: 1, kernel_size: 1}}\n",
        "both reads the frames from their end",
        4,
    ),
    "masks of several frames": (
        "specbuild: 1\ninputs: {x: [4, 3]}\nlayers:\n  - {layer: Masking}\n  - {id: seen, layer: LSTM, units: 2}\n"
        "  - {id: mean, from: seen.sequence, layer: GlobalAveragePooling1D}\n",
        "mean reads the masks of several frames at once",
        6,
    ),
    "an open sequence": (
        "specbuild: 1\ninputs: {x: [null, 5, 6, 2]}\nlayers:\n  - {id: every, " + CONV + "}\n"
        "  - {id: mixed, layer: Conv3D, filters: 1, kernel_size: 3, padding: same}\n",
        "mixed reads several frames at once, of a sequence of any length",
        5,
    ),
    "feedback used twice": (
        f"{HEAD}  - {{id: ar, autoregressive: {{do: [{{{cell('ConvGRU2D')}}}], horizon: 3}}}}\n"
        "  - {id: again, reuse: ar, from: x}\noutputs: [ar, again]\n",
        "again has the layers of ar, and both feed their frames back",
        4,  # where these layers are written
    ),
    "single images": (
        "specbuild: 1\ninputs: {x: [5, 6, 2]}\nlayers:\n  - {layer: Conv2D, filters: 1, kernel_size: 1}\n",
        "no input is a sequence of frames",
        2,
    ),
}


@pytest.mark.parametrize(("text", "message", "line"), REFUSED.values(), ids=REFUSED)
def test_refused_at_its_line(text: str, message: str, line: int) -> None:
    with pytest.raises(SpecError) as caught:
        stream_graphs(build_graph(text))
    (refusal,) = caught.value.diagnostics
    assert refusal.span is not None
    assert (refusal.message, refusal.span.line) == (message, line)
    assert "--shape physical" in refusal.help
