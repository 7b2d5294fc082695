"""Frames per second that the sampler delivers, from each kind of file, with and without crops.

    python benchmarks/input_pipeline.py [--seconds 3] [--threads 1]

Radar-like frames of 256 × 256 (uint16, a tenth of them missing), windows of 10 past and 10 future frames, batches of 8,
transformed by log1p and standardize. What is read is in the page cache after the statistics were gathered, so the
numbers are those of the pipeline, not of the disk.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from specbuild.data import Sampler, open_data
from specbuild.graph import build_graph
from specbuild.spec import load_spec

FRAMES, SIDE, PAST, FUTURE, BATCH = 400, 256, 10, 10, 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3, help="time spent on each row")
    parser.add_argument("--threads", type=int, default=1, help="threads that make batches")
    options = parser.parse_args()
    print(f"{'file':<16}{'crop':>6}{'frames/s':>12}{'samples/s':>12}{'MB/s (float32)':>16}")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["SPECBUILD_CACHE"] = folder
        for name, write in FILES.items():
            write(Path(folder) / name)
            for crop in (None, 64):
                sampler = open_sampler(Path(folder) / name, crop)
                samples = measure(sampler, options.seconds, options.threads)
                frames = samples * (PAST + FUTURE)
                megabytes = frames * (crop or SIDE) ** 2 * 4 / 1e6
                print(f"{name:<16}{crop or 'no':>6}{frames:>12,.0f}{samples:>12,.1f}{megabytes:>16,.0f}")


def open_sampler(path: Path, crop: int | None) -> Sampler:
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


def measure(sampler: Sampler, seconds: float, threads: int) -> float:
    """Samples per second."""
    sampler.batch(0, 0)
    start, made = time.perf_counter(), 0
    with ThreadPoolExecutor(threads) as pool:
        while (elapsed := time.perf_counter() - start) < seconds:
            for x, _, _ in pool.map(lambda index: sampler.batch(0, index), range(made, made + threads)):
                made += len(x) // BATCH
    return made * BATCH / elapsed


def _values() -> np.ndarray:
    generator = np.random.default_rng(0)
    rain = generator.gamma(0.2, 400, (FRAMES, SIDE, SIDE)).astype(np.uint16)
    rain[generator.random(rain.shape) < 0.1] = 65535
    return rain


def _hdf5(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file.create_dataset("rain", data=_values(), chunks=(1, SIDE, SIDE))


FILES: dict[str, Callable[[Path], Any]] = {
    "rain.npy": lambda path: np.save(path, _values()),
    "stored.npz": lambda path: np.savez(path, rain=_values()),
    "packed.npz": lambda path: np.savez_compressed(path, rain=_values()),
    "rain.h5": _hdf5,
}


if __name__ == "__main__":
    main()
