"""Runs of specs in several files need none of these files once they have started."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from specbuild.document import RunError
from specbuild.evaluation import evaluate
from specbuild.prediction import predict
from specbuild.runs.folder import RunFolder
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


def test_a_run_is_moved_together_with_its_data_and_its_damaged_model_is_written_again(plain: Path) -> None:
    project = plain.parent / "project"
    project.mkdir()
    for name in ("nowcast.yaml", "blobs.npy"):
        (plain.parent / name).rename(project / name)
    run = train(project / "nowcast.yaml", overrides=["train.epochs=1"], out=project / "runs", quiet=True)
    moved = project.rename(plain.parent / "moved") / "runs" / run.path.name
    forecast = predict(moved)
    model = moved / "model.keras"
    whole = model.read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1
    for damaged in (b"", whole[:100], whole[: len(whole) // 2], whole[:-10], bytes(flipped), b"no model" * 100):
        model.write_bytes(damaged)
        with pytest.raises(RunError) as error:
            predict(moved)
        assert error.value.message.startswith(f"the model {model} is damaged: ")
        assert error.value.help == f"write it again from its checkpoint with: specbuild train --resume {moved}"
    train(resume=moved, quiet=True)
    np.testing.assert_array_equal(predict(moved), forecast)
    assert RunFolder(moved).manifest()["directory"] == str(moved.parents[1].resolve())
