"""How much faster `specbuild summary` is than a script that imports Keras and prints the same model's summary.

    python benchmarks/summary.py [SPEC …] [--repeats N]

Both run as whole processes, in turns, so that what else the machine does hits both alike; the best of each counts.
The other side is the shortest honest script: it loads a Keras model's JSON configuration, builds it and prints
`model.summary()`.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
_KERAS = """
import sys
from pathlib import Path
import keras
import specbuild.model.layers
keras.models.model_from_json(Path(sys.argv[1]).read_text()).summary()
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("specs", nargs="*", type=Path, default=sorted((ROOT / "specs").glob("*.yaml")))
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    print(f"{'spec':<20} {'specbuild':>10} {'Keras':>10} {'ratio':>7}")
    for spec in options.specs:
        ours, theirs = measure(spec, options.repeats)
        print(f"{spec.stem:<20} {ours:>8.3f} s {theirs:>8.3f} s {theirs / ours:>6.1f}×")


def measure(spec: Path, repeats: int) -> tuple[float, float]:
    """Seconds of the fastest run of each, of `repeats`."""
    from specbuild import build_model

    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "model.json"
        config.write_text(build_model(spec).to_json())
        runs = [
            (
                seconds([sys.executable, "-m", "specbuild", "summary", str(spec)]),
                seconds([sys.executable, "-c", _KERAS, str(config)]),
            )
            for _ in range(repeats)
        ]
    return min(ours for ours, _ in runs), min(theirs for _, theirs in runs)


def seconds(command: list[str]) -> float:
    """Wall-clock time of one process."""
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"})
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
