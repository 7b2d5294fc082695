"""Exported files give, in their own runtimes and without specbuild, what the run itself forecasts."""

from __future__ import annotations

import importlib.util
import io
import json
import re
import subprocess
import sys
import zipfile
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from click.testing import CliRunner

from specbuild import build_graph, build_model, export
from specbuild.cli import main
from specbuild.data.sources.coarsen import reduced
from specbuild.document import ArgumentError, RunError, SpecError
from specbuild.exporting import ExportResult, runtimes
from specbuild.exporting.convert import WRITERS, convert, unrolled
from specbuild.exporting.description import Axis, ExportedGraph, Shape, TensorDescription
from specbuild.exporting.differences import difference_of
from specbuild.exporting.formats import FORMATS
from specbuild.exporting.plain_keras import check_plain_keras
from specbuild.exporting.stepped import called
from specbuild.exporting.tracing import Traced
from specbuild.exporting.worker import exported_as
from specbuild.model.backend import keras
from specbuild.model.keras_internals import layers_inside
from specbuild.prediction.forecast import make_forecast
from specbuild.prediction.past import given_past
from specbuild.runs.trained import TrainedRun
from specbuild.training import Run, train
from tests.backends import not_on_jax
from tests.run.conftest import CONVOLUTION, SPEC, blobs
from tests.run.report_page import copied
from tests.run.test_serve import FOLDER, asked, npy, running

for _package in ("onnx", "onnxruntime", "tf2onnx"):
    pytest.importorskip(_package, reason="needs specbuild[onnx]: pip install 'specbuild[onnx]'")


@pytest.fixture(scope="module")
def rain(trained: Run, tmp_path_factory: pytest.TempPathFactory) -> ExportResult:
    """The run as an ONNX file in physical units."""
    return export(trained.folder.path, format="onnx", output=tmp_path_factory.mktemp("exported") / "rain.onnx")


def test_an_onnx_file_in_physical_units_is_the_run(trained: Run, rain: ExportResult) -> None:
    result = rain
    assert result.difference.relative < 1e-5
    assert result.batch is None
    assert result.tried_on == "windows of the data, some with missing values"
    manifest = json.loads(result.manifest.read_text("utf-8"))
    (graph,) = manifest["graphs"]
    (past,), (forecast,) = graph["inputs"], graph["outputs"]
    assert (past["name"], past["units"], past["missing"]) == ("rain", "mm/h", "NaN")
    assert (forecast["steps"], forecast["shape"]) == (["+5 min", "+10 min"], [None, 2, 12, 12, 1])
    assert (manifest["interval"], graph["file"]) == ("5 min", "rain.onnx")

    import onnxruntime

    session = onnxruntime.InferenceSession(str(rain.files[0]), providers=["CPUExecutionProvider"])
    assert [port.name for port in session.get_inputs()] == ["rain"]
    assert session.get_inputs()[0].shape == ["batch", 3, 12, 12, 1]
    window = TrainedRun.open(trained.folder.path).dataset.window(0, 50)
    (given,) = session.run(["forecast"], {"rain": window.past[np.newaxis]})
    assert np.corrcoef(given.ravel(), window.future.ravel())[0, 1] > 0.3


@pytest.mark.parametrize(
    ("format", "package", "suffix"), [("litert", "ai_edge_litert", ".tflite"), ("openvino", "openvino", ".xml")]
)
def test_other_formats_give_the_same(trained: Run, tmp_path: Path, format: str, package: str, suffix: str) -> None:
    pytest.importorskip(package, reason=f"needs specbuild[{format}]: pip install 'specbuild[{format}]'")
    result = export(trained.folder.path, format=format, output=tmp_path / f"rain{suffix}")
    assert result.difference.relative < 1e-5
    assert (result.batch, result.files) == (None, (tmp_path / f"rain{suffix}",))
    written = {path.name for path in tmp_path.iterdir()}
    assert written == {f"rain{part}" for part in (*FORMATS[format].parts, f"{suffix}.json")}


@pytest.fixture(scope="module")
def convolution(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose model is one convolution."""
    folder = tmp_path_factory.mktemp("convolution")
    np.save(folder / "blobs.npy", blobs())
    text = re.sub(r"layers:\n(  .*\n)+", CONVOLUTION, SPEC).replace("past: 3", "past: 2")
    (folder / "spec.yaml").write_text(text, "utf-8")
    quick = ["train.epochs=1", "train.steps_per_epoch=1"]
    return train(folder / "spec.yaml", overrides=quick, out=folder / "runs", quiet=True, score=False).path


@not_on_jax
@pytest.mark.parametrize("shape", get_args(Shape))
def test_every_format_holds_every_shape(convolution: Path, tmp_path: Path, shape: Shape) -> None:
    (graph,) = exported_as(TrainedRun.open(convolution), shape).graphs
    random = np.random.default_rng(0)
    inputs = {
        each.name: random.random([length or 2 for length in each.shape]).astype(each.dtype) for each in graph.inputs
    }
    expected = called(graph, inputs)
    for format in FORMATS.values():
        if format.backend == "torch" or not all(importlib.util.find_spec(name) for name in format.packages):
            continue
        path = tmp_path / f"{format.name}{format.suffix}"
        convert(graph, format, path, None)
        outputs = runtimes.LOAD[format.name](str(path), list(inputs), list(expected))(inputs)
        for name, given in zip(expected, outputs, strict=True):
            assert difference_of(np.asarray(given), expected[name]).relative < 1e-5, (format.name, name)


@pytest.mark.parametrize("shape", get_args(Shape))
def test_pytorch_holds_every_shape(convolution: Path, tmp_path: Path, shape: Shape) -> None:
    pytest.importorskip("torch", reason="needs PyTorch: pip install torch")
    result = export(convolution, format="torch", shape=shape, output=tmp_path / "rain.pt2")
    assert result.difference.relative < 1e-5


def test_the_server_of_the_examples_serves_an_export(trained: Run, rain: ExportResult) -> None:
    past = TrainedRun.open(trained.folder.path).dataset.window(0, 50).past[np.newaxis].copy()
    past[0, :, 3, 3] = np.nan
    command = [sys.executable, "-I", str(FOLDER / "server.py"), str(rain.files[0]), "--port", "0"]
    with running(command, rain.files[0].parent) as printed:
        place = printed.rpartition("/")[2].strip()
        status, answer = asked(place, "POST", "/forecast", npy(past))
        manifest = json.loads(asked(place, "GET", "/manifest")[1])
    assert (status, manifest["name"]) == (200, "tiny nowcast")
    np.testing.assert_allclose(np.load(io.BytesIO(answer))["forecast"][0], predicted(trained, past[0]), atol=1e-5)


def predicted(trained: Run, past: np.ndarray) -> np.ndarray:
    """Return the forecast of a run from past frames, by specbuild."""
    opened = TrainedRun.open(trained.folder.path)
    return make_forecast(opened, given_past(past, opened, "the past")).frames


def test_a_file_is_not_overwritten_and_has_the_suffix_of_its_format(trained: Run, tmp_path: Path) -> None:
    (tmp_path / "rain.onnx").write_text("mine")
    with pytest.raises(ArgumentError, match=r"rain\.onnx exists"):
        export(trained.folder.path, format="onnx", output=tmp_path / "rain.onnx")
    with pytest.raises(ArgumentError, match=r"does not end in \.tflite"):
        export(trained.folder.path, format="litert", output=tmp_path / "rain.onnx")
    assert (tmp_path / "rain.onnx").read_text() == "mine"
    for name, options in {
        "other.onnx.json": {},
        "other.forecast.onnx": {"shape": "streaming"},
        "other.bin": {"format": "openvino", "output": tmp_path / "other.xml"},
    }.items():
        (tmp_path / name).write_text("mine")
        with pytest.raises(ArgumentError, match=rf"{re.escape(name)} exists"):
            export(trained.folder.path, **{"format": "onnx", "output": tmp_path / "other.onnx", **options})  # type: ignore[arg-type]
        (tmp_path / name).unlink()


def test_plain_keras_loads_an_encoder_decoder_in_physical_units(trained: Run, tmp_path: Path) -> None:
    result = export(trained.folder.path, format="keras", output=tmp_path / "rain.keras")
    assert result.difference.relative < 1e-5
    assert json.loads(result.manifest.read_text("utf-8"))["format"] == "keras"


def test_layers_of_ours_with_weights_are_not_for_plain_keras(
    trained: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are named before anything is computed."""
    copy = copied(trained.path, tmp_path / "copy", name="gates")
    text = (copy / "spec.yaml").read_text("utf-8")
    (copy / "spec.yaml").write_text(text.replace("ConvLSTM2D", "ConvGRU2D"), "utf-8")
    monkeypatch.setattr(
        import_module("specbuild.exporting.export"), "do", lambda *_: pytest.fail("a forecast was computed")
    )
    for shape in ("physical", "streaming"):
        with pytest.raises(SpecError) as caught:
            export(copy, format="keras", shape=shape)
        assert str(caught.value).count("plain Keras cannot load ConvGRU2D") == 2
        assert "spec.yaml:9:" in str(caught.value)
        assert "Keras has no such layer" in str(caught.value)


def test_which_layers_plain_keras_has_is_known_without_it() -> None:
    def refused(*layers: str) -> list[tuple[str, str]]:
        output = "" if "id: f" in layers[-1] else "outputs: [last.last]\n"
        text = f"specbuild: 1\ninputs: {{x: [3, 4, 4, 1]}}\nlayers: [{', '.join(layers)}]\n{output}"
        try:
            check_plain_keras((build_graph(text),))
        except SpecError as error:
            return [(each.message.rpartition(" ")[2], each.reason) for each in error.diagnostics]
        return []

    lstm = "id: last, layer: ConvLSTM2D, filters: 1, kernel_size: 3, padding: same"
    assert not refused(
        "{time_distributed: {layer: Clip, min: 0}}", f"{{{lstm}}}", "{layer: Elementwise, function: exp}"
    )
    assert refused(f"{{{lstm}, peephole: per_pixel}}") == [("ConvLSTM2D", "Keras's layer lacks some of these options")]
    body = "{layer: ConvGRU2D, filters: 1, kernel_size: 1}"
    assert refused(f"{{id: f, autoregressive: {{do: [{body}], horizon: 2}}}}") == [
        ("Autoregressive", "it runs layers in a specbuild loop")
    ]


def test_what_the_graph_does_not_tell_is_refused_when_the_file_is_made(tmp_path: Path) -> None:
    """A mask reaches the recurrence, which Keras computes differently."""
    model = small_model("x: [3, 2]", "{layer: Masking}", "{id: out, layer: LSTM, units: 1}", output="out.last")
    with pytest.raises(ArgumentError, match="plain Keras cannot load this model: it has specbuild layers: LSTM"):
        convert(graph_of(model), FORMATS["keras"], tmp_path / "x.keras", None)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "layers",
    [
        ("{time_distributed: {layer: SpaceToDepth, block_size: 2}}", "{id: out, layer: DepthToSpace, block_size: 2}"),
        ("{id: out, layer: Warp, from: [x, flow], steps: 2}",),
    ],
)
def test_layers_without_weights_are_operations_for_plain_keras(tmp_path: Path, layers: tuple[str, ...]) -> None:
    inputs = "x: [4, 4, 1], flow: [4, 4, 2]" if "Warp" in layers[-1] else "x: [3, 4, 4, 1]"
    model = small_model(inputs, *layers)
    convert(graph_of(model), FORMATS["keras"], tmp_path / "x.keras", None)
    random = np.random.default_rng(0)
    given = {each.name: random.normal(size=(2, *each.shape[1:])).astype("float32") for each in model.inputs}
    (ours,) = runtimes.keras(str(tmp_path / "x.keras"), list(given), ["y0"])(given)
    arrays = list(given.values())
    np.testing.assert_allclose(ours, model.predict_on_batch(arrays if arrays[1:] else arrays[0]), atol=1e-6)


def test_a_model_of_several_inputs_inside_of_another_is_for_plain_keras(tmp_path: Path) -> None:
    """Keras calls it with a list of masks, of which there is none."""
    inside = small_model(
        "x: [2, 4, 4, 1], y: [2, 4, 4, 1]",
        "{id: a, layer: ConvLSTM2D, from: x, filters: 1, kernel_size: 1}",
        "{id: b, layer: ConvLSTM2D, from: y, filters: 1, kernel_size: 1, initial_state: a}",
        output="b.last",
    )
    inputs = [keras.Input(each.shape[1:], name=each.name) for each in inside.inputs]
    convert(graph_of(keras.Model(inputs, inside(inputs))), FORMATS["keras"], tmp_path / "x.keras", None)
    assert b"specbuild" not in zipfile.ZipFile(tmp_path / "x.keras").read("config.json")


def small_model(inputs: str, *layers: str, output: str = "out") -> Any:
    """Return a model of some layers one after the other."""
    text = f"specbuild: 1\ninputs: {{{inputs}}}\nlayers: [{', '.join(layers)}]\noutputs: [{output}]\n"
    return build_model(text)


def graph_of(model: Any) -> ExportedGraph:
    """Return a model as a graph that can be converted."""

    def described(name: str, port: Any) -> TensorDescription:
        axes = (Axis("batch" if not number else f"axis_{number}", length) for number, length in enumerate(port.shape))
        return TensorDescription(name, "frame", tuple(axes), dtype=str(port.dtype))

    inputs = tuple(described(each.name, each) for each in model.inputs)
    return ExportedGraph(model, inputs, tuple(described(f"y{n}", each) for n, each in enumerate(model.outputs)))


def test_a_difference_beyond_the_tolerance_leaves_no_file(trained: Run, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="gives a different forecast than the run") as caught:
        export(trained.folder.path, format="onnx", output=tmp_path / "rain.onnx", tolerance=1e-12)
    assert caught.value.exit_code == 1
    assert "--tolerance" in caught.value.help
    assert list(tmp_path.iterdir()) == []


def test_a_missing_package_is_named_with_how_to_install_it(trained: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("specbuild.document.extras.find_spec", lambda name: None if name == "openvino" else name)
    done = CliRunner().invoke(main, ["export", str(trained.folder.path), "--format", "openvino"])
    assert done.exit_code == 1
    assert "OpenVINO needs openvino, which is not installed" in done.output
    assert "pip install 'specbuild[openvino]'" in done.output


def test_mistakes_in_the_arguments_are_named(trained: Run) -> None:
    with pytest.raises(ArgumentError, match="no format is called onxx") as caught:
        export(trained.folder.path, format="onxx")
    assert caught.value.help == 'did you mean "onnx"?'
    with pytest.raises(ArgumentError, match="no shape is called units"):
        export(trained.folder.path, shape="units")


def test_what_a_runtime_must_not_need_is_as_absent_as_if_not_installed() -> None:
    """PyTorch asks whether TensorFlow is there when it loads a program."""
    code = (
        "import runpy, sys; from importlib import metadata, util\n"
        "runpy.run_path(sys.argv[1])['hide'](['keras'])\n"
        "print(util.find_spec('keras'), util.find_spec('numpy') is not None, metadata.version('numpy') != '')\n"
        "import keras.layers"
    )
    done = subprocess.run([sys.executable, "-c", code, runtimes.__file__], capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["None", "True", "True"]
    assert "ModuleNotFoundError: No module named 'keras'" in done.stderr


def test_openvino_runs_in_full_precision(tmp_path: Path) -> None:
    openvino = pytest.importorskip("openvino", reason="needs specbuild[openvino]: pip install 'specbuild[openvino]'")
    operations = import_module("openvino.opset13")
    weights = np.random.default_rng(0).normal(size=(64, 8)).astype("float32")
    given = operations.parameter([-1, 64], np.float32, name="given")
    product = operations.matmul(given, weights, transpose_a=False, transpose_b=False)
    product.output(0).get_tensor().set_names({"product"})
    given.output(0).get_tensor().set_names({"given"})
    openvino.save_model(openvino.Model([product], [given]), str(tmp_path / "m.xml"), compress_to_fp16=False)
    (result,) = runtimes.openvino(str(tmp_path / "m.xml"), ["given"], ["product"])({"given": weights.T.copy()})
    np.testing.assert_allclose(result, weights.T @ weights, atol=1e-4)
    assert "bfloat16" in FORMATS["openvino"].note


@not_on_jax
def test_an_export_leaves_later_conversions_of_the_process_as_they_were(tmp_path: Path) -> None:
    import tensorflow as tf
    import tf2onnx
    from tf2onnx.handler import tf_op

    model = build_model("specbuild: 1\ninputs: {x: [4]}\nlayers: [{layer: Elementwise, function: log1p}]\n")
    tensor = TensorDescription("x", "frame", (Axis("batch", None), Axis("channel", 4)))
    graph = ExportedGraph(model, (tensor,), (replace(tensor, name="y"),))

    def registered() -> dict[str, list[set[str]]]:
        return {domain: [set(each) for each in versions if each] for domain, versions in tf_op.get_opsets().items()}

    signature = [tf.TensorSpec([None, 4], tf.float32, name="x")]
    choice = tf.function(lambda x: tf.where(x > 0, x, -x), input_signature=signature)
    before = [each.op_type for each in tf2onnx.convert.from_function(choice, signature, opset=17)[0].graph.node]
    known = registered()
    convert(graph, FORMATS["onnx"], tmp_path / "x.onnx", None)
    assert registered() == {**known, **{domain: [] for domain in registered().keys() - known.keys()}}
    after = [each.op_type for each in tf2onnx.convert.from_function(choice, signature, opset=17)[0].graph.node]
    assert after == before


@not_on_jax
def test_operations_that_tf2onnx_lacks_are_converted(tmp_path: Path) -> None:
    """GELU of Keras uses 1 − erf(x)."""
    model = small_model(
        "x: [4]",
        "{layer: Activation, activation: gelu}",
        "{layer: Elementwise, function: expm1}",
        "{id: out, layer: Elementwise, function: log1p}",
    )
    convert(graph_of(model), FORMATS["onnx"], tmp_path / "x.onnx", None)
    x = np.random.default_rng(0).normal(size=(5, 4)).astype("float32")
    (given,) = runtimes.onnx(str(tmp_path / "x.onnx"), ["x"], ["y0"])({"x": x})
    np.testing.assert_allclose(given, model.predict_on_batch(x), atol=1e-6)


def test_what_a_converter_says_is_told_without_places_in_its_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def convert_with_an_error(*_: object) -> None:
        place = 'loc(callsite(fused["SelectV2:", "rain_1/SelectV2@serve_1"] at fused["StatefulPartitionedCall_1"]))'
        raise ValueError(f"<unknown>:0: error: {place}: failed to legalize operation 'tfl.select_v2'\n\nmore")

    monkeypatch.setitem(WRITERS, "litert", convert_with_an_error)
    model = build_model("specbuild: 1\ninputs: {x: [2, 4, 4, 1]}\nlayers: [{layer: ReLU}]\n")
    tensor = TensorDescription("x", "frame", (Axis("batch", None),))
    with pytest.raises(RunError) as caught:
        convert(ExportedGraph(model, (tensor,), (tensor,)), FORMATS["litert"], tmp_path / "x.tflite", None)
    assert caught.value.message == "LiteRT cannot hold this model: failed to legalize operation 'tfl.select_v2'"


@not_on_jax
def test_what_litert_lacks_is_named_with_the_layer(tmp_path: Path) -> None:
    model = small_model("x: [2, 4, 4, 1]", "{id: out, layer: AveragePooling3D, pool_size: [1, 2, 2]}")
    with pytest.raises(RunError) as caught:
        convert(graph_of(model), FORMATS["litert"], tmp_path / "x.tflite", None)
    assert caught.value.message == "LiteRT cannot hold this model: it has no operation AvgPool3D, needed by out"


@not_on_jax
def test_boxes_of_frames_are_reduced_with_the_axes_that_litert_takes(tmp_path: Path) -> None:
    pytest.importorskip("ai_edge_litert", reason="needs specbuild[litert]: pip install 'specbuild[litert]'")
    port = keras.Input((3, 4, 6, 2), name="x")
    boxes = reduced(Traced(port), [1, 2, 3, 1], "mean")
    convert(graph_of(keras.Model(port, boxes.tensor)), FORMATS["litert"], tmp_path / "x.tflite", None)
    x = np.random.default_rng(0).normal(size=(2, 3, 4, 6, 2)).astype("float32")
    x[0, 0, :2, :3, 0] = np.nan
    (given,) = runtimes.litert(str(tmp_path / "x.tflite"), ["x"], ["y0"])({"x": x})
    expected = np.stack([reduced(each.astype("float64"), [1, 2, 3, 1], "mean") for each in x])
    np.testing.assert_allclose(given, expected, atol=1e-6)
    assert np.isnan(given).sum() == 1


def test_recurrences_whose_steps_are_unknown_are_not_unrolled() -> None:
    """The body of an autoregressive node is saved for any number of frames."""
    inner = {"id": "cell", "layer": "ConvLSTM2D", "filters": 1, "kernel_size": 3, "padding": "same"}
    layers = [
        {**inner, "id": "first", "return_sequences": True},
        {"id": "forecast", "autoregressive": {"do": [inner], "horizon": 3}},
    ]
    model = build_model({"specbuild": 1, "inputs": {"x": [2, 4, 4, 1]}, "layers": layers})
    recurrent = [layer for layer in layers_inside(model) if isinstance(layer, keras.layers.RNN)]
    first = model.get_layer("first")
    assert first in recurrent
    assert len(recurrent) == 2
    with unrolled(model, True):
        assert [layer.unroll for layer in recurrent] == [layer is first for layer in recurrent]
    assert not first.unroll


def test_a_channel_of_small_values_is_compared_by_itself() -> None:
    expected = np.random.default_rng(1).normal(size=(2, 3, 4, 4, 2)) * [1e4, 1e-3]
    given = expected + np.array([0.0, 1e-4])
    assert difference_of(given, expected).absolute == pytest.approx(1e-4)
    assert difference_of(given, expected).relative == pytest.approx(0.1, rel=0.3)
    assert difference_of(expected, expected).relative == 0
