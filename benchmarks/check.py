"""How fast `specbuild check` is: against importing Keras, and on specs of up to 10,000 layers.

    python benchmarks/check.py [SPEC …] [--repeats N] [--layers N …]

The first table gives the processor time of whole processes, run in turns, so that other load on the machine affects
both alike; the best of each counts. The second times the check itself, without starting Python, on generated specs: its
time per layer stays the same if the time of a check grows in proportion to the spec.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
_ROUND = """\
  - {{id: enc{n}, layer: ConvLSTM2D, filters: $filters, return_sequences: true}}
  - {{layer: BatchNormalization}}
  - {{time_distributed: {{layer: Conv2D, filters: $filters * 2, kernel_size: 3, padding: same, activation: relu}}}}
  - {{layer: Dropout, rate: 0.1}}
  - {{id: dec{n}, layer: ConvLSTM2D, filters: $filters, initial_state: enc{n}, return_sequences: true}}
"""
"""Five layers of the kinds that forecasting models stack."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("specs", nargs="*", type=Path, default=sorted((ROOT / "specs").glob("*.yaml")))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--layers", nargs="*", type=int, default=[100, 1_000, 10_000])
    options = parser.parse_args()
    print(f"{'spec':<20} {'check':>10} {'import keras':>14} {'ratio':>7}")
    for spec in options.specs:
        ours, theirs = against_keras(spec, options.repeats)
        print(f"{spec.stem:<20} {ours:>8.3f} s {theirs:>12.3f} s {theirs / ours:>6.1f}×")
    print(f"\n{'layers':>7} {'check':>10} {'per layer':>14}")
    for layers in options.layers:
        taken = in_process(layers, options.repeats)
        print(f"{layers:>7,} {taken:>8.3f} s {taken / layers * 1e6:>11,.0f} µs")


def against_keras(spec: Path, repeats: int) -> tuple[float, float]:
    """Return the seconds of the fastest `specbuild check` and `import keras`, of `repeats` processes each."""
    runs = [
        (
            seconds([sys.executable, "-m", "specbuild", "check", str(spec)]),
            seconds([sys.executable, "-c", "import keras"]),
        )
        for _ in range(repeats)
    ]
    return min(ours for ours, _ in runs), min(theirs for _, theirs in runs)


def seconds(command: list[str]) -> float:
    """Return the processor time of a process. Python may keep bytecode, as it does wherever a package is installed."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    before = os.times()
    subprocess.run(command, check=True, capture_output=True, env=environment | {"TF_CPP_MIN_LOG_LEVEL": "3"})
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def in_process(layers: int, repeats: int) -> float:
    """Return the seconds of the fastest check of a generated spec in this process."""
    from specbuild.graph import build_graph

    text = generated(layers)
    taken = []
    for _ in range(repeats):
        start = time.perf_counter()
        graph = build_graph(text)
        taken.append(time.perf_counter() - start)
        assert len(graph.nodes) == layers
    return min(taken)


def generated(layers: int) -> str:
    """Return a spec of so many layers, a multiple of five, each on a line of its own."""
    head = "specbuild: 1\nvars: {filters: 8}\ndefaults:\n  ConvLSTM2D: {kernel_size: 3, padding: same}\n"
    head += "inputs:\n  rain: [4, 16, 16, 1]\nlayers:\n"
    return head + "".join(_ROUND.format(n=n) for n in range(layers // 5))


if __name__ == "__main__":
    main()
