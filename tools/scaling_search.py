"""Train small models on one device, on two, with the height divided, and in two processes, and compare the weights.

    KERAS_BACKEND=jax python tools/scaling_search.py [NAME …] [--ways devices height hosts]

Each model combines forms that share work in ways of their own: feedback with scheduled sampling, several outputs,
quantiles, states passed to a decoder. Prints the largest difference of a weight relative to one device, or what refused
the spec; the exit code is 1 where a difference is above rounding.

No model has a weight whose gradient is zero but for rounding, such as the offset of a normalization that another one
takes away again: Adam divides by the size of the gradient, and turns rounding into steps.
"""

from __future__ import annotations

import argparse
import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("SPECBUILD_CPU_DEVICES", "2")

import numpy as np

ROOT = Path(__file__).parents[1]
ROUNDING = 1e-4
"""Largest difference of a weight, relative to the largest value in its array, that rounding explains."""
CONV = "{time_distributed: {layer: Conv2D, filters: 1, kernel_size: 3, padding: same}}"
CODER = """\
  - id: forecast
    encoder_decoder:
      encoder: [{id: e1, layer: ConvLSTM2D, filters: 2}, {id: e2, layer: ConvGRU2D, filters: 3}]
      decoder: [{id: d1, layer: ConvGRU2D, filters: 3}, {id: d2, layer: ConvLSTM2D, filters: 2}]
      horizon: 2
      FEED
      head: [HEAD]
""".replace("HEAD", CONV)
MODELS = {
    "coder": CODER.replace("FEED", "feed: none"),
    "feedback": CODER.replace("FEED", "feed: feedback"),
    "sampling": CODER.replace("FEED", "feed: feedback\n      sampling: {schedule: linear, steps: 8}"),
    "remat": CODER.replace("FEED", "feed: feedback\n      remat: true"),
    "outputs": f"  - {{layer: ConvLSTM2D, filters: 2, return_sequences: true}}\n  - {{id: near, {CONV[1:-1]}}}\n"
    f"  - {{id: far, {CONV[1:-1]}, from: near}}\noutputs: {{near: near, far: far}}\n",
    "quantiles": "  - {layer: ConvLSTM2D, filters: 2, return_sequences: true}\n"
    "  - {time_distributed: {layer: Conv2D, filters: 3, kernel_size: 3, padding: same}}\n",
    "norm": "  - {layer: ConvLSTM2D, filters: 2, return_sequences: true, dropout: 0.2}\n"
    "  - {layer: BatchNormalization}\n"
    "  - {time_distributed: {layer: GroupNormalization, groups: 1}}\n"
    f"  - {CONV}\n",
}
LOSSES = {"outputs": "{near: mse, far: mae}", "quantiles": "{name: pinball, quantiles: [0.1, 0.5, 0.9]}"}
WAYS = {"devices": "train.devices=2", "height": "train.devices={height: 2}"}


def spec(name: str) -> str:
    targets = "  targets: {near: future, far: future}\n" if name == "outputs" else ""
    return (
        "specbuild: 1\ninputs: {rain: [2, 12, 12, 1]}\ndefaults:\n  ConvLSTM2D: {kernel_size: 3, padding: same}\n"
        f"  ConvGRU2D: {{kernel_size: 3, padding: same}}\nlayers:\n{MODELS[name]}"
        "data:\n  source: {path: frames.npy, layout: T H W}\n  windows: {past: 2, future: 2}\n"
        f"  split: {{train: 0.6, validation: 0.2}}\n  transform: [standardize]\n{targets}"
        f"train: {{loss: {LOSSES.get(name, 'mse')}, epochs: 2, batch_size: 4, workers: 0, "
        "optimizer: {name: Adam, learning_rate: 0.01, global_clipnorm: 0.5}}\n"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", default=list(MODELS), help="models to train; default: all")
    parser.add_argument("--ways", nargs="+", default=[*WAYS, "hosts"], choices=[*WAYS, "hosts"])
    parser.add_argument("--process", nargs=3, metavar=("FOLDER", "COORDINATOR", "INDEX"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.process:
        return join(options.names, Path(options.process[0]), options.process[1], int(options.process[2]))
    with tempfile.TemporaryDirectory() as name:
        return search(options.names, options.ways, Path(name))


def search(names: list[str], ways: list[str], folder: Path) -> int:
    prepare(names, folder)
    hosts = trained_in_two_processes(names, folder) if "hosts" in ways else {}
    worst = 0.0
    for name in names:
        one = weights(folder / name / "spec.yaml")
        row = []
        for way in ways:
            try:
                other = hosts[name] if way == "hosts" else weights(folder / name / "spec.yaml", [WAYS[way]])
            except Exception as error:
                row.append(f"{way}: {type(error).__name__}: {' '.join(str(error).split())[:90]}")
                continue
            difference = max(np.abs(a - b).max() / max(np.abs(a).max(), 1e-3) for a, b in zip(one, other, strict=True))
            worst = max(worst, difference)
            row.append(f"{way}: {difference:.1e}")
        print(f"{name:10} {'; '.join(row)}", flush=True)
    return int(worst > ROUNDING)


def prepare(names: list[str], folder: Path) -> None:
    random = np.random.default_rng(3)
    frames = np.cumsum(random.normal(size=(51, 12, 12)), axis=0).astype("float32")
    frames[::7, :3] = np.nan
    for name in names:
        (folder / name).mkdir()
        np.save(folder / name / "frames.npy", frames)
        (folder / name / "spec.yaml").write_text(spec(name), encoding="utf-8")


def weights(path: Path, overrides: list[str] | None = None, **options: Any) -> list[np.ndarray]:
    """Train and return the model's last weights."""
    from specbuild import train
    from specbuild.model.backend import keras

    run = train(path, overrides=overrides or [], out=path.parent / "runs", quiet=True, **options)
    model = keras.models.load_model(run.folder.checkpoint(len(run.history)), compile=False)
    return [np.array(each) for each in model.get_weights()]


def trained_in_two_processes(names: list[str], folder: Path) -> dict[str, list[np.ndarray]]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        coordinator = f"127.0.0.1:{free.getsockname()[1]}"
    command = [sys.executable, __file__, *names, "--process", str(folder), coordinator]
    environ = os.environ | {"SPECBUILD_CPU_DEVICES": "1", "KERAS_BACKEND": "jax"}
    processes = [subprocess.Popen([*command, str(index)], env=environ) for index in (0, 1)]
    for process in processes:
        process.wait(timeout=1200)
    found = {}
    for name in names:
        file = folder / name / "hosts.npz"
        if file.exists():
            stored = np.load(file)
            found[name] = [stored[key] for key in stored.files]
    return found


def join(names: list[str], folder: Path, coordinator: str, index: int) -> int:
    """Train each model together with the other process."""
    for name in names:
        place: dict[str, Any] = {"coordinator": coordinator, "processes": 2, "process_id": index}
        try:
            found = weights(folder / name / "spec.yaml", **place)
        except Exception as error:
            print(f"{name} in process {index}: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
            continue
        if index == 0:
            np.savez(folder / name / "hosts.npz", *found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
