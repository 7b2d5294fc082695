"""Runs on data at URLs: trained, scored, forecast, resumed."""

import http.server
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from specbuild import SpecError, evaluate, load_spec, predict, train
from specbuild.runs.provenance import data_difference, data_files
from tests.run.conftest import blobs

SPEC = """\
specbuild: 1
name: remote
inputs: {{rain: [2, 12, 12, 1], ground: [12, 12, 1]}}
layers:
  - {{id: steps, layer: RepeatFrame, from: ground, times: 2}}
  - {{layer: Concatenate, from: [rain, steps]}}
  - {{id: forecast, time_distributed: {{layer: Conv2D, filters: 1, kernel_size: 1}}}}
data:
  source: {{path: "{server}/rain.zarr", layout: {{T: time, H: lat, W: lon}}}}
  windows: {{past: 2, future: 2}}
  inputs:
    rain: past
    ground: {{source: {{path: "{ground}", layout: H W}}}}
train: {{epochs: 1}}
evaluate: {{baselines: []}}
"""


class Silent(http.server.SimpleHTTPRequestHandler):
    """Files of a folder, without a line for each request."""

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("SPECBUILD_CACHE", str(tmp_path / "cache"))
    frames = xr.Dataset({"rain": (("time", "lat", "lon"), blobs(40, 12))}, {"time": np.arange(40)})
    frames.to_zarr(tmp_path / "rain.zarr", zarr_format=2, consolidated=True)
    for name in ("ground.npy", "other.npy"):
        np.save(tmp_path / name, np.arange(144.0 + 12 * (name == "other.npy")).reshape(-1, 12)[-12:])
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Silent, directory=str(tmp_path))) as served:
        threading.Thread(target=served.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{served.server_port}"
        served.shutdown()


def test_a_file_in_place_of_a_url_is_compared_with_its_own_input(tmp_path: Path, server: str) -> None:
    """Files come before URLs among the fingerprints, so that they are paired by the inputs that read them."""
    (tmp_path / "spec.yaml").write_text(SPEC.format(server=server, ground=f"{server}/ground.npy"), encoding="utf-8")
    spec = load_spec(tmp_path / "spec.yaml")
    recorded = data_files(spec)
    assert [entry.get("input") for entry in recorded] == [None, "ground"]
    changed = load_spec(tmp_path / "spec.yaml", overrides={"data.inputs.ground.source.path": "other.npy"})
    assert data_difference(changed, recorded).startswith("what the input ground reads differs: ")
    assert data_difference(changed, recorded, ["ground"]) == ""
    for entry in recorded:  # as a run of an earlier version has them
        entry.pop("input", None)
    assert data_difference(spec, recorded) == ""


@pytest.mark.parametrize("ground", ["ground.npy", "{}/ground.npy"], ids=["a file", "another URL"])
def test_a_run_on_a_store_at_a_url(tmp_path: Path, server: str, ground: str) -> None:
    place = ground.format(server)
    (tmp_path / "spec.yaml").write_text(SPEC.format(server=server, ground=place), encoding="utf-8")
    run = train(load_spec(tmp_path / "spec.yaml"), out=tmp_path / "runs", quiet=True)
    again = evaluate(run.path)
    assert again.of("model").column("MSE") == run.scores.of("model").column("MSE")
    notes: list[str] = []
    assert predict(run.path, note=notes.append).shape == (2, 12, 12, 1)
    other = f"{server}/other.npy" if "/" in place else tmp_path / "other.npy"
    predict(run.path, sources={"ground": other}, note=notes.append)
    assert notes == []
    assert train(resume=run.path, overrides={"train.epochs": 2}, quiet=True).path == run.path
    np.save(tmp_path / "ground.npy", np.ones((12, 12), "f4"))
    with pytest.raises(SpecError, match="what the input ground reads differs: ") as caught:
        train(resume=run.path, overrides={"train.epochs": 3}, quiet=True)
    assert caught.value.diagnostics[0].path == "data.inputs.ground.source.path"
