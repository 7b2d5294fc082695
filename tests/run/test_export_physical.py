"""Graphs in physical units compute what `predict` does: transforms, gaps, masks, tiles, heads, anomalies."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.special import gammaincinv

from specbuild import export
from specbuild.catalog.heads import LEVELS
from specbuild.data.transforms import Transform
from specbuild.data.transforms.kinds import STEPS, ClipStep, Log1pStep, LogStep, ScaleStep
from specbuild.data.transforms.step import Step
from specbuild.document import ArgumentError
from specbuild.exporting.interface import opened
from specbuild.exporting.physical import PhysicalPlan, physical
from specbuild.exporting.samples import Samples, physical_samples
from specbuild.exporting.stepped import stepped_samples
from specbuild.exporting.steps import Unchecked, limits
from specbuild.exporting.streaming import streaming
from specbuild.exporting.tracing import gamma_quantile
from specbuild.model.backend import keras
from specbuild.prediction.forecast import Past, make_forecast
from specbuild.runs.trained import TrainedRun
from specbuild.training import train
from tests.backends import not_on_jax, passes_on_jax
from tests.run.conftest import blobs
from tests.tools import ROOT

QUICK = ["train.epochs=1", "train.steps_per_epoch=2"]
GAPS = """
  - {id: forecast, time_distributed: {layer: Conv2D, filters: 2, kernel_size: 3, padding: same}}
data:
  source: {path: gaps.npy, layout: T H W C, coarsen: 2}
  mask: true
  crop: 4
  windows: {past: 2, future: 2, step: 2}
  transform: [{name: clip, min: 0}, {name: dbz, minimum: 0.1, channels: [1]}, {name: log1p, channels: [0]}, standardize]
"""
QUANTILES = """
  - {id: forecast, time_distributed: {layer: Conv2D, filters: 3, kernel_size: 3, padding: same}}
data:
  source: {path: blobs.npy, layout: T H W}
  crop: 8
  windows: {past: 2, future: 2}
  transform: [{name: anomaly, period: 6}, standardize]
"""


def compared(trained: TrainedRun, atol: float = 1e-5) -> tuple[PhysicalPlan, Samples, dict[str, np.ndarray]]:
    """Compare the graph of a run with its forecasts, and return what goes in and comes out."""
    exported = physical(trained)
    (graph,) = exported.graphs
    samples = physical_samples(trained)
    given = [samples.inputs[each.name] for each in graph.inputs]
    flat = graph.model.predict_on_batch(given if len(given) > 1 else given[0])
    outputs = dict(zip((each.name for each in graph.outputs), flat if isinstance(flat, list) else [flat], strict=True))
    assert outputs.keys() == samples.outputs.keys()
    for name, values in outputs.items():
        np.testing.assert_allclose(values, samples.outputs[name], rtol=1e-5, atol=atol)
    return PhysicalPlan(trained, opened(trained)), samples, outputs


def run_of(spec: Path, text: str, past: str, loss: str) -> TrainedRun:
    """Return a run that was trained for two steps."""
    spec.write_text(
        f"specbuild: 1\nname: small\ninputs: {{rain: {past}}}\nlayers:{text}"
        f"  split: {{train: 0.6, validation: 0.2, test: 0.2}}\ntrain: {{loss: {loss}, seed: 3, batch_size: 4}}\n",
        encoding="utf-8",
    )
    return TrainedRun.open(train(spec, overrides=QUICK, out=spec.parent / "runs", quiet=True, score=False).path)


def test_only_values_that_a_step_can_be_given_are_noted() -> None:
    def noted(*steps: Step) -> list[str]:
        return list(limits(Transform(steps, (0.0,))))

    note = "log1p needs values above -1; other values count as missing"
    assert noted(Log1pStep()) == [note]
    assert noted(ClipStep(0, None), Log1pStep()) == []
    assert noted(ClipStep(-1, None), Log1pStep()) == [note]
    assert noted(ClipStep(None, 5), Log1pStep()) == [note]
    assert noted(ClipStep(0, None), ScaleStep(2.0, -5.0), Log1pStep()) == [note]


def test_gaps_tiles_boxes_and_a_mask(spec: Path) -> None:
    values = np.stack([blobs(size=16), 2 * blobs(size=16)], axis=-1)
    values[:, :4, :4] = np.nan  # never known
    values[20:30, 8:, :, 1] = np.nan
    np.save(spec.parent / "gaps.npy", values)
    plan, samples, outputs = compared(run_of(spec, GAPS, "[2, 4, 4, 3]", "mse"))
    assert samples.inputs["rain"].shape[1:] == (2, 16, 16, 2)
    forecast = outputs["forecast"]
    assert forecast.shape[1:] == (2, 8, 8, 2)
    assert np.isnan(forecast[0, :, :2, :2]).all()
    assert np.isnan(forecast[-1]).all()
    assert np.isfinite(forecast[2, :, 2:]).all()
    notes = " ".join(plan.notes())
    assert "coarsens them by 2 x 2 (mean)" in notes
    assert "log1p needs values above -1" in notes
    assert "cut into 9 overlapping tiles" in notes


def test_anomalies_and_quantiles(spec: Path) -> None:
    loss = "{name: pinball, quantiles: [0.1, 0.5, 0.9]}"
    trained = run_of(spec, QUANTILES, "[2, 8, 8, 1]", loss)
    plan, samples, outputs = compared(trained)
    assert [each.name for each in plan.inputs] == ["rain", "slot"]
    assert plan.inputs[1].description == "the first past frame, in frames of its event"
    assert samples.inputs["slot"].tolist()[:2] == [49, 56]
    quantiles = outputs["forecast_quantiles"]
    assert quantiles.shape[1:] == (3, 2, 12, 12, 1)
    assert (np.diff(quantiles[:2], axis=1) >= 0).all()
    np.testing.assert_allclose(quantiles[:, 1], outputs["forecast"], atol=1e-5)


GAMMA = """
  - {id: forecast, time_distributed: {layer: Conv2D, filters: 3, kernel_size: 3, padding: same}}
data:
  source: {path: blobs.npy, layout: T H W}
  windows: {past: 2, future: 2}
  transform: [{name: scale, factor: 0.5}]
"""


def test_quantiles_of_a_censored_gamma_distribution(spec: Path) -> None:
    shapes, levels = np.geomspace(0.02, 1e5, 999), [0.05, 0.5, 0.99]
    for level in levels:
        exact = gammaincinv(shapes, level)
        table = keras.ops.convert_to_numpy(gamma_quantile(shapes.astype(np.float32), level))
        np.testing.assert_allclose(table, exact, rtol=3e-6, atol=3e-6)
    _, samples, outputs = compared(run_of(spec, GAMMA, "[2, 12, 12, 1]", "censored_gamma"), atol=1e-4)
    assert outputs["forecast_quantiles"].shape[1:] == (len(LEVELS), 2, 12, 12, 1)
    assert samples.outputs["forecast_quantiles"][0].max() > 1


MOVING = """
  - {id: enc, layer: ConvGRU2D, from: rain, filters: 2, kernel_size: 3, padding: same}
  - {id: known, layer: RepeatFrame, from: enc.last, times: 2}
  - {id: same, layer: RepeatFrame, from: flow, times: 2}
  - {layer: Concatenate, from: [known, same, moved]}
  - {id: dec, layer: ConvGRU2D, filters: 2, kernel_size: 3, padding: same, initial_state: enc}
  - {id: forecast, time_distributed: {layer: Conv2D, filters: 1, kernel_size: 3, padding: same}}
data:
  source: {path: gaps.npy, layout: T H W}
  units: mm/h
  inputs:
    rain: past
    flow: {motion: true, latest: 7, apart: 3}
    moved: {baseline: extrapolation}
  crop: 8
  windows: {past: 2, future: 2, step: 2}
  transform: [{name: anomaly, period: 6}, standardize]
  split: {test: [0, 14], train: [20, 60]}
train: {loss: mse, seed: 3, batch_size: 4}
"""


def test_motion_comes_from_the_file_beside_the_model(spec: Path) -> None:
    """The graph gets the motion of whole frames, of as many as there are at the beginning of the data."""
    values = blobs()
    values[:, :2, :2] = np.nan
    np.save(spec.parent / "gaps.npy", values)
    inputs = "{rain: [2, 8, 8, 1], flow: [8, 8, 2], moved: [2, 8, 8, 1]}"
    spec.write_text(f"specbuild: 1\nname: small\ninputs: {inputs}\nlayers:{MOVING}", "utf-8")
    trained = TrainedRun.open(train(spec, overrides=QUICK, out=spec.parent / "runs", quiet=True, score=False).path)
    plan, samples, _ = compared(trained)
    assert {name: [len(each) for each in frames] for name, frames in samples.frames.items()} == {
        "flow": [3, 7, 3, 3],
        "moved": [2, 2, 2, 2],
    }
    assert np.abs(samples.inputs["flow"]).max() > 1
    flow, moved = plan.inputs[2:]
    assert (flow.role, flow.units, flow.shape) == ("motion", "pixels per step", (None, 12, 12, 2))
    assert flow.computed is not None
    assert flow.computed.record() | {"steps": []} == {
        "file": "motion.py",
        "function": "motion_field",
        "of": "rain",
        "frames": 7,
        "fewer": True,
        "steps": [],
        "arguments": {"apart": 3, "scale": 2},
    }
    assert moved.computed is not None
    assert (plan.inputs[0].units, moved.units) == ("mm/h", "mm/h")
    assert moved.computed.arguments == {"steps": [1, 2], "apart": 1, "scale": 1}

    stepped, difference = stepped_samples(trained, streaming(trained), 1e-4)  # 9 tiles, frame by frame
    assert difference.relative < 1e-4
    assert [*stepped] == ["observe", "forecast"]
    assert [*stepped["observe"].frames] == ["flow"]
    assert stepped["forecast"].entries == {"moved": 1}
    np.testing.assert_array_equal(stepped["forecast"].inputs["moved"], samples.inputs["moved"][:, 1])


@not_on_jax
def test_the_example_forecasts_with_motion(tmp_path: Path) -> None:
    """The radar nowcast runs in ONNX Runtime; in the process that verifies it, its motion is computed by the copy."""
    for package in ("onnx", "onnxruntime", "tf2onnx"):
        pytest.importorskip(package, reason="needs specbuild[onnx]: pip install 'specbuild[onnx]'")
    np.save(tmp_path / "blobs.npy", blobs(size=16))
    small = ["vars.size=16", "vars.filters=2", "vars.past=3", "vars.future=2"]
    data = [f"data.source={{path: {tmp_path / 'blobs.npy'}, layout: T H W}}", "data.scale=1", "data.missing=-1"]
    run = train(
        ROOT / "specs" / "radar_nowcast.yaml", overrides=[*small, *data, *QUICK], out=tmp_path, quiet=True, score=False
    )
    result = export(run.path, format="onnx", output=tmp_path / "rain.onnx")
    assert result.difference.relative < 1e-4
    assert [path.name for path in result.files] == ["rain.onnx", "rain.onnx.motion.py"]
    assert "specbuild.data" not in result.files[1].read_text("utf-8")
    trained = TrainedRun.open(run.path)
    frames = trained.dataset.source.read(0, range(60))
    np.save(tmp_path / "frames.npy", frames)
    command = [sys.executable, "-I", str(ROOT / "examples" / "motion" / "forecast.py"), "rain.onnx.json", "frames.npy"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "mm/h in the next 2 frames" in done.stdout
    ours = make_forecast(trained, Past(frames[57:], trained.dataset, at=(0, 57))).frames
    np.testing.assert_allclose(np.load(tmp_path / "forecast.npy"), ours, rtol=1e-4, atol=1e-4)

    stepped, difference = stepped_samples(trained, streaming(trained), 1e-4)
    assert difference.relative < 1e-4
    assert [len(each) for each in stepped["observe"].frames["flow"]] == [12, 12, 12, 12]
    result.files[0].unlink()
    with pytest.raises(ArgumentError, match=r"rain\.onnx\.motion\.py exists"):
        export(run.path, format="onnx", output=tmp_path / "rain.onnx")


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="test_on_jax runs it")
def test_a_run_on_jax_is_converted_by_another_process(plain: Path, tmp_path: Path) -> None:
    run = train(plain, overrides=QUICK, out=tmp_path / "runs", quiet=True, score=False)
    result = export(run.path, format="onnx", output=tmp_path / "rain.onnx")
    assert result.difference.relative < 1e-5
    assert result.tried_on == "windows of the data, some with missing values"
    manifest = json.loads(result.manifest.read_text("utf-8"))
    assert manifest["graphs"][0]["inputs"][0]["units"] == "mm/h"
    assert run.folder.backend == "jax"


@not_on_jax
def test_on_jax() -> None:
    for package in ("onnx", "onnxruntime", "tf2onnx"):
        pytest.importorskip(package, reason="needs specbuild[onnx]: pip install 'specbuild[onnx]'")
    assert "skipped" not in passes_on_jax(__file__, "-k", "a_run_on_jax")


class ReversedStep(LogStep):
    """A step that no graph can compute."""

    name = "reversed"

    def apply(self, x: np.ndarray) -> np.ndarray:
        return np.flip(x, axis=-1)


def test_a_transform_that_no_graph_can_compute_is_named(spec: Path) -> None:
    trained = TrainedRun.open(train(spec, overrides=QUICK, out=spec.parent / "runs", quiet=True, score=False).path)
    dataset = trained.dataset
    assert ReversedStep.name not in STEPS
    broken = replace(dataset, transform=replace(dataset.transform, steps=(ReversedStep(1.0),)))
    with pytest.raises(ArgumentError, match="the transform reversed cannot be part of an exported graph: it uses flip"):
        PhysicalPlan(trained, broken).model()
    unchecked = Unchecked.of(dataset.transform)
    np.testing.assert_array_equal(unchecked.apply(np.ones((1, 1))), dataset.transform.apply(np.ones((1, 1))))
