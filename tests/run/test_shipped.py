"""Every shipped spec with data is trained, scored, used for a forecast and resumed, as small as it can be made."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from specbuild import load_spec
from specbuild.evaluation import evaluate
from specbuild.evaluation.result import Evaluation
from specbuild.prediction import predict
from specbuild.training import train
from specbuild.training.session import Session

SPECS = Path(__file__).parent.parent.parent / "specs"
RADAR_SPLIT = "data.split={train: [0, 12], test: [16, 22]}"
TINY: dict[str, tuple[str, ...]] = {
    "era5_temperature": ("vars.future=2", "data.split={train: [0, 60], test: [92, 128]}"),
    "moving_digits": ("vars.filters=2", "vars.past=3", "vars.future=2", "data.source.sequences=40"),
    "next_frame": ("vars.filters=1",),
    "radar_half_hour": ("vars.filters=1", "vars.size=64"),
    "radar_convlstm": ("vars.filters=1", "vars.past=2", "vars.future=2", RADAR_SPLIT),
    "radar_nowcast": ("vars.filters=1", "vars.size=64", "vars.past=2", "vars.future=2", RADAR_SPLIT),
    "radar_quantiles": ("vars.filters=1", "vars.past=2", "vars.future=2", RADAR_SPLIT),
    "sea_surface_temperature": (
        "vars.filters=1",
        "data.split={train: [2010-01, 2011-12], test: [2018-07, 2019-04]}",
    ),
    "static_map": ("vars.filters=1", "vars.future=2", "data.split={train: [0, 60], test: [92, 128]}"),
    "two_heads": ("vars.filters=1", "data.split={train: [0, 12], test: [22, 34]}"),
}
"""Overrides that make a spec small."""
SHORT = ("train.epochs=1", "train.steps_per_epoch=2", "train.batch_size=2")
WITHOUT_DATA = {"bidirectional_segmenter", "clip_classifier", "unet_convlstm"}
"""Specs of models alone, for data of the user's own; `tests/model/test_shipped.py` builds them."""


def test_every_shipped_spec_is_here() -> None:
    specs = {path.stem: load_spec(path) for path in SPECS.glob("*.yaml")}
    assert {name for name, spec in specs.items() if spec.data is not None} == set(TINY)
    assert {name for name, spec in specs.items() if spec.data is None} == WITHOUT_DATA


@pytest.mark.parametrize("name", TINY)
def test_a_shipped_spec_is_trained_scored_used_and_resumed(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Session, "_score", lambda *_: None)  # once, by evaluate, is enough
    run = train(SPECS / f"{name}.yaml", overrides=[*TINY[name], *SHORT], out=tmp_path / "runs", quiet=True)
    assert run.folder.status().state == "finished"
    path = Path(shutil.move(run.path, tmp_path / "moved"))
    scores = evaluate(path)
    assert isinstance(scores, Evaluation)
    assert np.isfinite(scores.tables[0].columns[0].overall)
    assert (path / "scores.json").is_file()
    forecast = predict(path, output=path / "forecast.npz")
    assert forecast.ndim == 4
    assert np.isfinite(forecast).any()
    resumed = train(resume=path, overrides=["train.epochs=2"], quiet=True)
    assert len(resumed.history) == 2
    assert resumed.history[0] == run.history[0]
