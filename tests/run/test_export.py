"""Exported files give, in their own runtimes and without specbuild, what the run itself forecasts."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from specbuild import export
from specbuild.cli import main
from specbuild.document import ArgumentError, RunError
from specbuild.exporting import formats
from specbuild.runs.trained import TrainedRun
from specbuild.training import Run

for _package in ("onnx", "onnxruntime", "tf2onnx"):
    pytest.importorskip(_package, reason="needs specbuild[onnx]: pip install 'specbuild[onnx]'")


def test_an_onnx_file_in_physical_units_is_the_run(trained: Run, tmp_path: Path) -> None:
    result = export(trained.folder.path, format="onnx", output=tmp_path / "rain.onnx")
    assert result.difference.relative < 1e-5
    assert result.batch is None
    assert result.tried_on == "windows of the data, some with missing values"
    manifest = json.loads(result.manifest.read_text("utf-8"))
    (graph,) = manifest["graphs"]
    (rain,), (forecast,) = graph["inputs"], graph["outputs"]
    assert (rain["name"], rain["units"], rain["missing"]) == ("rain", "mm/h", "NaN")
    assert (forecast["steps"], forecast["shape"]) == (["+5 min", "+10 min"], [None, 2, 12, 12, 1])
    assert (manifest["interval"], graph["file"]) == ("5 min", "rain.onnx")

    import onnxruntime

    session = onnxruntime.InferenceSession(str(tmp_path / "rain.onnx"), providers=["CPUExecutionProvider"])
    assert [port.name for port in session.get_inputs()] == ["rain"]
    assert session.get_inputs()[0].shape == ["batch", 3, 12, 12, 1]
    window = TrainedRun.open(trained.folder.path).dataset.window(0, 50)
    (given,) = session.run(["forecast"], {"rain": window.past[np.newaxis]})
    assert np.corrcoef(given.ravel(), window.future.ravel())[0, 1] > 0.3


def test_a_file_is_not_overwritten_and_has_the_suffix_of_its_format(trained: Run, tmp_path: Path) -> None:
    (tmp_path / "rain.onnx").write_text("mine")
    with pytest.raises(ArgumentError, match=r"rain\.onnx exists"):
        export(trained.folder.path, format="onnx", output=tmp_path / "rain.onnx")
    with pytest.raises(ArgumentError, match=r"does not end in \.tflite"):
        export(trained.folder.path, format="litert", output=tmp_path / "rain.onnx")
    assert (tmp_path / "rain.onnx").read_text() == "mine"


def test_layers_of_ours_are_not_for_plain_keras(trained: Run, tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="plain Keras cannot load this model: it has layers of specbuild: Rep"):
        export(trained.folder.path, format="keras", shape="whole", output=tmp_path / "rain.keras")
    assert list(tmp_path.iterdir()) == []


def test_a_difference_beyond_the_tolerance_leaves_no_file(trained: Run, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="gives another forecast than the run") as caught:
        export(trained.folder.path, format="onnx", output=tmp_path / "rain.onnx", tolerance=1e-12)
    assert caught.value.exit_code == 1
    assert "--tolerance" in caught.value.help
    assert list(tmp_path.iterdir()) == []


def test_a_missing_package_is_named_with_how_to_install_it(trained: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats.importlib.util, "find_spec", lambda name: None if name == "openvino" else name)
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
