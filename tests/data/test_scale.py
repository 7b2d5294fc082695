"""Records larger than memory: what is held does not grow with them, and statistics may come from some of the frames."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from specbuild.data.samples.windows import Stretch, pieces
from specbuild.data.transforms.running_statistics import running_statistics
from tests.data.samples import dataset, frames

GIB = 2**30
FRAME = (512, 512)
"""Numbers of two bytes: half a MiB."""

READ = """
import json, re, sys
from pathlib import Path
from specbuild.data import open_data
from specbuild.graph import build_graph
from specbuild.language import load_spec

spec = load_spec(json.loads(sys.argv[1]))
data = open_data(spec, build_graph(spec))
sampler = data.sampler("train", 4, seed=1)
for index in range(6):
    x, y, _ = sampler.batch(0, index * (len(sampler) // 6))
window = next(data.forecasts("test"))
print(json.dumps({"frames": data.source.length, "windows": len(data.splits["train"]), "shape": x.shape,
                  "peak": int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024}))
"""


def write_npy(path: Path, size: int) -> str:
    with path.open("wb") as file:
        np.lib.format.write_array_header_2_0(
            file, {"descr": "<u2", "fortran_order": False, "shape": (size // (2**19), *FRAME)}
        )
        file.truncate(file.tell() + size)
    return ""


def write_hdf5(path: Path, size: int) -> str:
    with h5py.File(path, "w") as file:
        file.create_dataset("rain", (size // 2**19, *FRAME), "u2", chunks=(1, *FRAME), fillvalue=7)
    return "rain"


def write_zarr(path: Path, size: int) -> str:
    store = zarr.open_group(path, mode="w")
    store.create_array(
        "rain",
        shape=(size // 2**19, *FRAME),
        dtype="u2",
        chunks=(1, *FRAME),
        fill_value=7,
        dimension_names=("time", "y", "x"),
    )
    return "rain"


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux tells the peak memory of one process")
@pytest.mark.parametrize(("name", "write"), [("a.npy", write_npy), ("a.h5", write_hdf5), ("a.zarr", write_zarr)])
def test_memory_does_not_grow_with_the_record(name: str, write: Any, tmp_path: Path) -> None:
    """Sparse files of 2 and of 20 GiB: opened, statistics of 50 frames fitted, batches of crops and a window read."""
    small, large = (peak(tmp_path / f"{size}", name, write, size * GIB) for size in (2, 20))
    assert (large["frames"], large["shape"]) == (40960, [4, 2, 64, 64, 1])
    assert large["windows"] > 9 * small["windows"]
    assert large["peak"] - small["peak"] < 24 * 2**20


def peak(folder: Path, name: str, write: Any, size: int) -> dict[str, Any]:
    """What a fresh process says of the data, with its peak memory in bytes."""
    folder.mkdir()
    key = write(folder / name, size)
    source = {"path": str(folder / name), "layout": "T H W"} | ({"key": key} if key else {})
    spec = {
        "specbuild": 1,
        "inputs": {"rain": [2, 64, 64, 1]},
        "layers": [{"layer": "Conv3D", "filters": 1, "kernel_size": 1}],
        "data": {
            "source": source,
            "windows": {"past": 2, "future": 2},
            "crop": 64,
            "transform": ["standardize"],
            "statistics": 50,
        },
    }
    done = subprocess.run([sys.executable, "-c", READ, json.dumps(spec)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


stretches = st.lists(st.tuples(st.integers(0, 50), st.integers(1, 40)), min_size=1, max_size=5).map(
    lambda found: tuple(Stretch(event, range(first, first + count)) for event, (first, count) in enumerate(found))
)


@given(stretches, st.integers(1, 60), st.integers(1, 7))
@settings(deadline=None, max_examples=60)
def test_some_frames_are_spread_over_all(found: tuple[Stretch, ...], most: int, at_once: int) -> None:
    every = [(one.event, frame) for one in found for frame in one.frames]
    chosen = [(event, frame) for event, piece in pieces(found, most, at_once) for frame in piece]
    if len(every) <= most:
        assert chosen == every
        return
    assert len(chosen) == most
    places = [every.index(one) for one in chosen]
    assert all(len(every) * n // most <= place < len(every) * (n + 1) // most for n, place in enumerate(places))


def test_statistics_of_some_frames(tmp_path: Path) -> None:
    values = frames(400, 6, 6)
    exact = dataset(tmp_path, values, transform=["standardize"]).transform.state()["steps"][0]
    some = dataset(tmp_path, values, transform=["standardize"], statistics=60).transform.state()["steps"][0]
    again = dataset(tmp_path, values, transform=["standardize"], statistics=60).transform.state()["steps"][0]
    assert some == again != exact
    assert some["mean"][0] == pytest.approx(exact["mean"][0], rel=0.1)
    assert dataset(tmp_path, values, transform=["standardize"], statistics=9999).transform.state()["steps"][0] == exact


def test_statistics_are_read_in_pieces_that_do_not_change_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    values = np.where(np.random.default_rng(1).random((60, 6, 6)) < 0.2, np.nan, 1e5 + frames(60, 6, 6))
    whole = dataset(tmp_path, values, transform=["standardize"]).transform.state()["steps"][0]
    monkeypatch.setattr("specbuild.data.samples.windows.PIECE", 50)
    monkeypatch.setattr("specbuild.data.transforms.running_statistics.PART", 17)
    parts = dataset(tmp_path, values, transform=["standardize"]).transform.state()["steps"][0]
    assert parts["std"] == pytest.approx(whole["std"], rel=1e-9)
    assert parts["mean"] == pytest.approx(whole["mean"], rel=1e-12)


def test_statistics_leave_missing_values_out() -> None:
    values = np.where(np.random.default_rng(2).random((9, 50, 2)) < 0.3, np.nan, frames(9, 50, 2))
    statistics = running_statistics(values, 2)
    for channel in range(2):
        known = values[..., channel][~np.isnan(values[..., channel])].astype(np.float64)
        assert statistics[channel].count == known.size
        assert (statistics[channel].mean, statistics[channel].std) == pytest.approx(
            (known.mean(), known.std()), rel=1e-12
        )
        assert (statistics[channel].least, statistics[channel].greatest) == (known.min(), known.max())
