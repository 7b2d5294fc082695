"""How fast a ConvLSTM2D runs: Keras's, ours and a custom cell, which give the same, and one for PyTorch.

    python benchmarks/recurrent.py [--case 4x10x32x32x8,16,3 …] [--precision float32 bfloat16] [--json FILE]

A case is a batch N × T × H × W × C, filters, the extent of both kernels, and how many such layers follow each other if
it is not one; a layer pads to the same size and returns every step. The text is specs/cells/conv_lstm.yaml. A training
step is mean squared error and plain gradient descent. Keras runs on the backend that KERAS_BACKEND names, PyTorch where
it is installed, both on a GPU where there is one. All rows of a case take turns, and the fastest of each counts, so
that what else the machine does hurts all of them alike. On a busy machine, `--processor-time` on one core
(`taskset -c 0 python benchmarks/recurrent.py --processor-time`) counts only the time in which the process computes.

FLOP/s are those of the catalog's count, training taken as three times inference. The share is that of the rate of a
large matrix product in the same framework and precision, measured in the same turns.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

from contenders import LAYERS, PRECISIONS, Case, Contender, contenders, machine, reason, seconds

from specbuild.model.backend import device_name

PATIENCE = 30.0
"""Seconds after which a contender takes no more turns."""


class Row(NamedTuple):
    """What is measured of a contender: seconds, and operations per second as a share of the matrix product's."""

    name: str
    precision: str
    inference: float
    training: float
    matrix_rate: float


def main() -> None:
    options = arguments()
    clock = time.process_time if options.processor_time else time.perf_counter
    report: dict[str, Any] = {"machine": machine(device_name()), "date": date.today().isoformat(), "cases": []}
    print(", ".join(f"{key} {value}" for key, value in report["machine"].items()))
    for case in options.case:
        load = os.getloadavg()[0]
        rows = measured(list(contenders(case, options.precision, options.layers)), options.repeats, clock)
        print(f"\n{case}: {case.flops / 1e9:.2f} GFLOP forward; load {load:.2f} before\n")
        print(table(case, rows), flush=True)
        report["cases"].append(
            {"case": str(case), "flops": case.flops, "load": load, "rows": [r._asdict() for r in rows]}
        )
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    cases = [Case((4, 10, 32, 32, 8), 16, 3), Case((2, 10, 64, 64, 16), 64, 5)]
    parser.add_argument("--case", nargs="+", type=Case.parse, default=cases, help="NxTxHxWxC,filters,kernel[,layers]")
    parser.add_argument("--precision", nargs="+", choices=PRECISIONS, default=["float32", "bfloat16"])
    parser.add_argument("--layers", nargs="+", choices=LAYERS, default=LAYERS)
    parser.add_argument("--repeats", type=int, default=5, help="turns after the one that compiles")
    parser.add_argument(
        "--processor-time", action="store_true", help="count the time of the cores, not that of a clock"
    )
    parser.add_argument("--json", type=Path, help="file to write the numbers to")
    return parser.parse_args()


def measured(found: list[Contender], repeats: int, clock: Callable[[], float]) -> list[Row]:
    """The fastest turn of each, after one that compiles; a contender that fails is named and left out."""
    ready = [one for one in found if starts(one)]
    best, spent = [[math.inf] * 3 for _ in ready], [0.0] * len(ready)
    for _ in range(repeats):
        for place, one in enumerate(ready):
            if spent[place] < PATIENCE:
                turn = [seconds(run, clock) for run in (one.infer, one.train, one.multiply)]
                best[place] = [min(pair) for pair in zip(best[place], turn, strict=True)]
                spent[place] += sum(turn)
    rates: dict[tuple[str, str], float] = {}
    for one, times in zip(ready, best, strict=True):
        key = one.framework, one.precision
        rates[key] = max(rates.get(key, 0.0), 2 * one.matrix**3 / times[2])
    return [
        Row(one.name, one.precision, times[0], times[1], rates[one.framework, one.precision])
        for one, times in zip(ready, best, strict=True)
    ]


def starts(one: Contender) -> bool:
    try:
        for run in (one.infer, one.train, one.multiply):
            run()
    except Exception as error:  # such as no C++ compiler for torch.compile
        print(f"{one.name}, {one.precision}: left out: {reason(error)}", file=sys.stderr)
        return False
    return True


def table(case: Case, rows: list[Row]) -> str:
    lines = [
        f"| {'layer':<22} | precision | inference | GFLOP/s | share | training  | GFLOP/s | share |",
        f"| {'-' * 22} | --------- | --------: | ------: | ----: | --------: | ------: | ----: |",
    ]
    for row in rows:
        cells = []
        for taken, times in ((row.inference, 1), (row.training, 3)):
            rate = times * case.flops / taken
            cells += [f"{taken * 1e3:>6.4g} ms", f"{rate / 1e9:>7.4g}", f"{rate / row.matrix_rate:>5.0%}"]
        lines.append(f"| {row.name:<22} | {row.precision:<9} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
