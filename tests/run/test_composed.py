"""Runs of specs in several files need none of these files once they have started."""

from __future__ import annotations

import json
import shutil
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
