"""Whether bfloat16 costs a shipped spec anything in its scores: both precisions, several seeds, the same data.

    nice python benchmarks/precision_scores.py [--specs specs/next_frame.yaml …] [--seeds 1 2 3] [--json FILE]

Each spec is trained unchanged but for seed and precision. Printed are the error over all lead times of the test split
by precision (mean over the seeds, and the range between them), the mean of the differences between the precisions, and
its 95 % interval by Student's t over the seeds.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from statistics import mean, stdev

from scipy.stats import t as student

from specbuild.catalog.scores import SCORES
from specbuild.evaluation.result import MODEL
from specbuild.training import train

ROOT = Path(__file__).parent.parent
SPECS = ("era5_temperature", "radar_half_hour", "radar_nowcast")
PRECISIONS = ("float32", "bfloat16")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--specs", nargs="+", default=[str(ROOT / "specs" / f"{name}.yaml") for name in SPECS])
    parser.add_argument("--set", nargs="*", default=[], help="overrides, as in specbuild train --set")
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--score", default="rmse")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    found = []
    for spec in given.specs:
        results: dict[str, list[float]] = {precision: [] for precision in PRECISIONS}
        seconds = dict.fromkeys(PRECISIONS, 0.0)
        for seed in given.seeds:
            for precision in PRECISIONS:
                began = time.perf_counter()
                results[precision].append(scored(spec, given.set, seed, precision, given.score))
                seconds[precision] += time.perf_counter() - began
        found.append({"spec": Path(spec).stem, "score": given.score, "seconds": seconds, **results})
        print(line(Path(spec).stem, results, seconds), flush=True)
        if given.json:
            given.json.write_text(json.dumps(found, indent=1), "utf-8")


def scored(spec: str, overrides: list[str], seed: int, precision: str, score: str) -> float:
    """Train a spec and return a score of the test split over all lead times."""
    with tempfile.TemporaryDirectory() as folder:
        own = [*overrides, f"train.seed={seed}", f"train.precision={precision}"]
        run = train(spec, overrides=own, out=folder, quiet=True)
        return float(run.scores.of(MODEL).column(SCORES[score].title).overall)


def line(name: str, results: dict[str, list[float]], seconds: dict[str, float]) -> str:
    """Return what was found of a spec, in one line."""
    parts = [
        f"{precision} {mean(values):.5g} ({min(values):.5g} to {max(values):.5g}, {seconds[precision]:.0f} s)"
        for precision, values in results.items()
    ]
    differences = [after - before for before, after in zip(results["float32"], results["bfloat16"], strict=True)]
    half = 0.0
    if len(differences) > 1:
        count = len(differences)
        half = float(student.ppf(0.975, count - 1)) * stdev(differences) / count**0.5
    return f"{name}: {', '.join(parts)}; bfloat16 - float32 {mean(differences):+.3g} ± {half:.2g}"


if __name__ == "__main__":
    main()
