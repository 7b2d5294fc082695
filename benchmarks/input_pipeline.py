"""The input pipeline: frames per second that it delivers, beside what a model takes, and the memory that it needs.

    python benchmarks/input_pipeline.py [--seconds 3] [--only files|model|memory]

Three tables:

files   what the sampler delivers from each kind of file, whole frames and crops: radar-like frames of 256 × 256, of
        which a tenth of the values is missing, windows of 10 past and 10 future frames, batches of 8, log1p and
        standardize. What is read is in the page cache after the statistics were gathered, so the numbers are those of
        the pipeline, not of the disk.
model   what the sampler of specs/radar_convlstm.yaml delivers with 1, 2 and 4 threads, beside what training its model
        takes on this machine: the first must be at least ten times the second.
memory  peak memory of training that model on a sparse file of 2 GiB and on one of 20 GiB, and of reading all of
        them for the statistics; each in a process of its own. Linux only.

The load of the machine is printed before and after, because other work on it makes both numbers of a ratio smaller.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import xarray

from specbuild.data import Sampler, open_data
from specbuild.graph import build_graph
from specbuild.language import load_spec

FRAMES, SIDE, PAST, FUTURE, BATCH = 400, 256, 10, 10, 8
RADAR = Path(__file__).parent.parent / "specs" / "radar_convlstm.yaml"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3, help="time spent on each row")
    parser.add_argument("--only", choices=TABLES, help="one table of the three")
    options = parser.parse_args()
    print(f"{os.cpu_count()} cores, load {_load()}\n")
    for name, table in TABLES.items():
        if options.only in (None, name):
            table(options.seconds)
            print()
    print(f"load {_load()}")


def files(seconds: float) -> None:
    """Frames per second from each kind of file."""
    print(f"{'file':<16}{'crop':>6}{'frames/s':>12}{'samples/s':>12}{'MB/s (float32)':>16}")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["SPECBUILD_CACHE"] = folder
        for name, write in FILES.items():
            write(Path(folder) / name)
            for crop in (None, 64):
                sampler = _sampler(Path(folder) / name, crop)
                samples = _rate(sampler, seconds, 1)
                frames = samples * (PAST + FUTURE)
                megabytes = frames * (crop or SIDE) ** 2 * 4 / 1e6
                print(f"{name:<16}{crop or 'no':>6}{frames:>12,.0f}{samples:>12,.1f}{megabytes:>16,.0f}")


def model(seconds: float) -> None:
    """Frames per second that the radar model takes, and that its sampler delivers."""
    from specbuild.model.backend import device_name, keras
    from specbuild.model.build import build
    from specbuild.training.compile import compile_model

    graph = build_graph(load_spec(RADAR))
    spec, data = graph.spec, open_data(graph.spec, graph)
    assert spec.data is not None
    per_sample = spec.data.windows.past + spec.data.windows.future
    sampler = data.sampler("train", spec.train.batch_size, spec.train.seed, steps=10_000)
    keras.utils.set_random_seed(1)
    network = build(graph, "float32")
    compile_model(network, spec, weighted=True, outputs=["forecast"], transform=data.transform)
    x, y, weight = sampler.batch(0, 0)
    for _ in range(3):
        network.train_on_batch(x, y, weight)
    steps, start = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - start) < 3 * seconds:
        network.train_on_batch(x, y, weight)
        steps += 1
    taken = steps * len(x) * per_sample / elapsed
    print(
        f"training takes {taken:,.0f} frames/s ({1000 * elapsed / steps:,.0f} ms for a batch of {len(x)}) on", end=" "
    )
    print(f"{device_name()}, float32")
    for threads in (1, 2, 4):
        frames = _rate(sampler, seconds, threads) * per_sample
        print(f"{threads} threads deliver {frames:>10,.0f} frames/s: {frames / taken:,.0f} times as many")


def memory(_seconds: float) -> None:
    """Peak memory of training on sparse files of two sizes, and of a pass over every frame."""
    print(f"{'what':<50}{'frames':>10}{'peak':>12}{'time':>10}")
    with tempfile.TemporaryDirectory() as folder:
        for size, what, script in (
            (2, "training, statistics of 200 frames", TRAIN),
            (20, "training, statistics of 200 frames", TRAIN),
            (2, "opening alone, statistics of 200 frames", OPEN),
            (20, "opening alone, statistics of 200 frames", OPEN),
            (2, "opening alone, statistics of every frame", OPEN.replace("200", "null")),
            (20, "opening alone, statistics of every frame", OPEN.replace("200", "null")),
        ):
            path = Path(folder) / "rain.npy"
            count = size * 2**30 // (2 * SIDE * SIDE)
            with path.open("wb") as file:
                header = {"descr": "<u2", "fortran_order": False, "shape": (count, SIDE, SIDE)}
                np.lib.format.write_array_header_2_0(file, header)
                file.truncate(file.tell() + size * 2**30)
            start = time.perf_counter()
            done = subprocess.run(
                [sys.executable, "-c", script, str(RADAR), str(path), folder],
                stdout=subprocess.PIPE,
                text=True,
                check=True,
            )
            peak = int(done.stdout.split()[-1]) / 1024
            seconds = time.perf_counter() - start
            print(f"{f'{size} GiB: {what}':<50}{count:>10,}{peak:>8,.0f} MiB{seconds:>8.1f} s", flush=True)


OVERRIDES = """
import re, sys
from pathlib import Path

def peak():  # of this process alone: what getrusage gives is at least that of the process that started it
    return re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]

overrides = [
    f"data.source.path={sys.argv[2]}", "data.source.key=null", "data.source.time=null", "data.statistics=200",
    "data.split.train=1", "data.split.test=null", "train.epochs=1", "train.steps_per_epoch=10",
    "train.precision=float32",
]
"""
TRAIN = f"""{OVERRIDES}
from specbuild.training import train
train(sys.argv[1], overrides=overrides, out=sys.argv[3], quiet=True)
print(peak())
"""
OPEN = f"""{OVERRIDES}
from specbuild.data import open_data
from specbuild.graph import build_graph
from specbuild.language import load_spec
spec = load_spec(sys.argv[1], overrides=overrides)
data = open_data(spec, build_graph(spec))
print(peak())
"""


def _sampler(path: Path, crop: int | None) -> Sampler:
    """Training batches of the file's frames, as a spec would have them."""
    key = None if path.suffix == ".npy" else "rain"
    spec = load_spec(
        {
            "specbuild": 1,
            "inputs": {"rain": [PAST, crop or SIDE, crop or SIDE, 1]},
            "layers": [{"layer": "Conv3D", "filters": 1, "kernel_size": 1}],
            "data": {
                "source": {"path": str(path), "key": key, "layout": "T H W"},
                "scale": 0.01,
                "missing": 65535,
                "windows": {"past": PAST, "future": FUTURE},
                "split": {"train": 1},
                "transform": ["log1p", "standardize"],
                "crop": crop,
            },
        }
    )
    return open_data(spec, build_graph(spec)).sampler("train", BATCH, seed=1, steps=10_000)


def _rate(sampler: Sampler, seconds: float, threads: int) -> float:
    """Samples per second."""
    sampler.batch(0, 0)
    start, made = time.perf_counter(), 0
    with ThreadPoolExecutor(threads) as pool:
        while (elapsed := time.perf_counter() - start) < seconds:
            indices = [(made + number) % len(sampler) for number in range(threads)]
            made += sum(1 for _ in pool.map(lambda index: sampler.batch(0, index), indices))
    return made * sampler.batch_size / elapsed


def _load() -> str:
    return ", ".join(f"{value:.1f}" for value in os.getloadavg())


def _values() -> np.ndarray:
    generator = np.random.default_rng(0)
    rain = generator.gamma(0.2, 400, (FRAMES, SIDE, SIDE)).astype(np.uint16)
    rain[generator.random(rain.shape) < 0.1] = 65535
    return rain


def _hdf5(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file.create_dataset("rain", data=_values(), chunks=(1, SIDE, SIDE))


def _grid(path: Path) -> None:
    grid = xarray.Dataset({"rain": (("time", "lat", "lon"), _values())})
    chunks = {"rain": {"chunksizes": (1, SIDE, SIDE)}}
    if path.suffix == ".nc":
        grid.to_netcdf(path, engine="netcdf4", encoding=chunks)
    else:
        grid.to_zarr(path, consolidated=False, encoding={"rain": {"chunks": (1, SIDE, SIDE)}})


FILES: dict[str, Callable[[Path], Any]] = {
    "rain.npy": lambda path: np.save(path, _values()),
    "stored.npz": lambda path: np.savez(path, rain=_values()),
    "packed.npz": lambda path: np.savez_compressed(path, rain=_values()),
    "rain.h5": _hdf5,
    "rain.nc": _grid,
    "rain.zarr": _grid,
}
TABLES: dict[str, Callable[[float], None]] = {"files": files, "model": model, "memory": memory}


if __name__ == "__main__":
    main()
