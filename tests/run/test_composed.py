"""Runs of specs in several files need none of these files once they have started."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np

from specbuild.evaluation import evaluate
from specbuild.prediction import predict
from specbuild.training import train
from tests.run.conftest import CONVOLUTION, SPEC, blobs

BASE = SPEC.replace("past: 3", "past: 2").replace("epochs: 3", "epochs: 1")
PART = """\
specbuild: 1
inputs: {x: [null, 12, 12, 1]}
layers:
  - {id: relief, time_distributed: {layer: Constant, path: relief.npy}}
  - {layer: Add, from: [x, relief]}
  - {time_distributed: {layer: Conv2D, filters: 1, kernel_size: 3, padding: same}}
"""


def composed(folder: Path) -> Path:
    """A spec in a folder of its own, its base and a part of the model in others, and its data beside it."""
    for name in ("specs", "shared/parts"):
        (folder / name).mkdir(parents=True)
    layers = BASE[BASE.index("layers:") : BASE.index("data:")]
    (folder / "shared/base.yaml").write_text(BASE.replace(layers, CONVOLUTION + "\n"), "utf-8")
    (folder / "shared/parts/part.yaml").write_text(PART, "utf-8")
    np.save(folder / "shared/parts/relief.npy", np.zeros((12, 12, 1), "float32"))
    np.save(folder / "specs/blobs.npy", blobs())
    spec = folder / "specs/mine.yaml"
    spec.write_text(
        "specbuild: 1\nextends: ../shared/base.yaml\nlayers: [{model: ../shared/parts/part.yaml}]\n", "utf-8"
    )
    return spec


def test_a_run_holds_every_file_that_its_spec_was_read_from(tmp_path: Path) -> None:
    run = train(composed(tmp_path), out=tmp_path / "runs", quiet=True)
    names = {path.relative_to(run.path / "spec").as_posix() for path in (run.path / "spec").rglob("*.*")}
    assert names == {"specs/spec.yaml", "shared/base.yaml", "shared/parts/part.yaml", "shared/parts/relief.npy"}
    shutil.rmtree(tmp_path / "shared")
    moved = Path(shutil.move(run.path, tmp_path / "moved"))
    (moved / "scores.json").unlink()
    evaluate(moved)
    assert (moved / "scores.json").is_file()
    assert np.isfinite(predict(moved)).all()
    again = train(resume=moved, overrides={"train.epochs": 2}, quiet=True)
    assert len(again.history) == 2
    assert json.loads((again.path / "run.json").read_text("utf-8"))["spec"] == "spec/specs/spec.yaml"


PLUGIN = """\
import keras

@keras.saving.register_keras_serializable(package="halving")
class Halve(keras.layers.Layer):
    def call(self, x):
        return x / 2
"""


def test_a_composed_spec_with_a_plugin_and_data_elsewhere_is_moved_and_forecasts_further(tmp_path: Path) -> None:
    base, specs, data = (tmp_path / name for name in ("base", "base/specs", "data"))
    for folder in (specs, data):
        folder.mkdir(parents=True)
    np.save(data / "blobs.npy", blobs())
    (tmp_path / "halving.py").write_text(PLUGIN, "utf-8")
    text = SPEC.replace("path: blobs.npy", f"path: {data}/blobs.npy").replace("epochs: 3", "epochs: 1")
    (base / "base.yaml").write_text(text, "utf-8")
    (base / "part.yaml").write_text(
        "specbuild: 1\ninputs: {x: [null, 12, 12, 3]}\nlayers:\n"
        "  - {layer: halving>Halve}\n  - {time_distributed: {layer: Conv2D, filters: 1, kernel_size: 1}}\n",
        "utf-8",
    )
    layers = text[text.index("layers:") : text.index("  - {id: forecast")]
    (specs / "mine.yaml").write_text(
        f"specbuild: 1\nextends: ../base.yaml\nset: {{vars.past: 2}}\n{layers}  - {{model: ../part.yaml}}\n",
        "utf-8",
    )
    sys.path.insert(0, str(tmp_path))
    try:
        run = train(specs / "mine.yaml", out=tmp_path / "runs", plugins=["halving"], quiet=True)
    finally:
        sys.path.remove(str(tmp_path))
    shutil.rmtree(base)
    moved = Path(shutil.move(run.path, tmp_path / "elsewhere"))
    assert predict(moved, horizon=5).shape[0] == 5
    evaluate(moved, horizon=3)
    assert (moved / "scores-horizon-3.json").is_file()
    assert len(train(resume=moved, overrides={"train.epochs": 2}, quiet=True).history) == 2
