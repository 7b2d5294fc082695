"""Draw data sections at random, and compare what training reads with a second, naive reading of them.

    python tools/data_search.py [--cases N] [--seed N] [--minutes N] [--trained SHARE] [--keep FOLDER]

A case is a small spec with files of its own (`tools/data_cases.py`). What `check` accepts must open, give for every
window what `tools/naive_data.py` gives, and batches that the model takes; neither the frames of other splits nor those
after the forecast may change what training reads. A share of the cases is trained for one step, scored and made to
forecast: the scores of persistence are worked out a second time. What is refused must name a place. Findings go to
FOLDER with all of their files; the exit code is 1 if there are any.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from random import Random
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
from data_cases import DataCase, disturb, generate
from data_runs import run
from data_samples import Refused, check_batch, check_leaks, compare, opened, with_generated
from findings import place_of
from naive_data import NaiveData

from specbuild.data.samples.opening import open_samples
from specbuild.document import Diagnostic, Report, RunError, Source, Span, SpecError
from specbuild.graph import check
from specbuild.runs.files import write_text


@dataclass
class Findings:
    """The results of a run."""

    counts: Counter[str] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    forms: Counter[str] = field(default_factory=Counter)
    messages: dict[str, tuple[int, str]] = field(default_factory=dict)
    """For each code, the first case that it refuses and the message."""
    places: Counter[str] = field(default_factory=Counter)
    found: dict[str, tuple[int, DataCase, str]] = field(default_factory=dict)
    """For each place that a finding comes from, the first case that shows it, and what happened."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--trained", type=float, default=0.2, help="share of the cases that are trained")
    parser.add_argument("--disturbed", type=float, default=0.3, help="share of the cases that are changed at random")
    parser.add_argument("--minutes", type=float, default=1e9)
    parser.add_argument("--pictures", action="store_true", help="draw the pictures of every evaluation")
    parser.add_argument("--keep", type=Path, help="folder for the files of findings")
    options = parser.parse_args()
    if not options.pictures:
        leave_out_pictures()
    started, findings = time.perf_counter(), Findings()
    for number in range(options.first, options.first + options.cases):
        random = Random(f"{options.seed}.{number}")
        case = generate(random)
        trained, disturbed = random.random() < options.trained, random.random() < options.disturbed
        if disturbed:
            disturb(random, case)
        try_case(case, number, findings, trained=trained, disturbed=disturbed, keep=options.keep)
        passed = time.perf_counter() - started
        if (number + 1) % 50 == 0:
            print(
                f"{number + 1:6,} {passed:5.0f} s  {dict(findings.counts)}; {len(findings.found)} findings", flush=True
            )
            keras.backend.clear_session()
        if passed > options.minutes * 60:
            break
    return report_of(findings)


def report_of(findings: Findings) -> int:
    """Print the results of a run, and return the exit code."""
    for where, (number, case, what) in findings.found.items():
        print(f"\n--- case {number}: {where} ({findings.places[where]} times)\n{what}\n{case.text()}")
    for code, (number, message) in findings.messages.items():
        print(f"refused {findings.codes[code]} times: {code}, as in case {number}: {message}")
    print(f"{sum(findings.counts.values()):,} cases: {dict(findings.counts)}; {len(findings.found)} findings")
    print(f"drawn: {dict(findings.forms.most_common())}")
    return 1 if findings.found else 0


def leave_out_pictures(replace: Callable[[Any, str, Any], None] = setattr) -> None:
    """Write empty files in place of the pictures of an evaluation, which take longer than everything else."""
    evaluation = import_module("specbuild.evaluation.evaluate")
    for name in ("draw_scores", "draw_calibration", "draw_strip", "draw_animation"):
        replace(evaluation, name, lambda _, path: write_text(path, ""))


def try_case(
    case: DataCase,
    number: int,
    findings: Findings,
    *,
    trained: bool = False,
    disturbed: bool = False,
    keep: Path | None = None,
) -> None:
    """Count the result of a case. What a disturbed one means is not known, but it is read or refused at a place."""

    def judged(folder: Path) -> str:
        if disturbed:
            judge_disturbed(case, folder)
            return "disturbed"
        judge(case, folder, trained=trained)
        return "trained" if trained else "compared"

    count(case, number, findings, judged, keep)


def count(
    case: DataCase, number: int, findings: Findings, judged: Callable[[Path], str], keep: Path | None = None
) -> None:
    """Count the result of a case.

    Args:
        case: the case.
        number: its number.
        findings: the results so far.
        judged: checks the promises that the case must keep, given a folder for its files, and returns what it counts
            as; raises `Refused` where it is refused, and anything else where it is a finding.
        keep: folder for the files of findings.
    """
    findings.forms += case.forms
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)
                findings.counts[judged(folder)] += 1
        except Refused as refused:
            findings.counts["refused"] += 1
            findings.codes[refused.code] += 1
            findings.messages.setdefault(refused.code, (number, str(refused)))
        except Exception as fault:  # anything at all is a finding
            where, _ = place_of(fault)
            findings.counts["wrong"] += 1
            findings.places[where] += 1
            if where not in findings.found:
                findings.found[where] = number, case, "".join(traceback.format_exception(fault)[-4:])
                if keep is not None:
                    place = keep / re.sub(r"[^a-z0-9]+", "-", f"{number} {where}".lower())[:80]
                    shutil.copytree(folder, place, dirs_exist_ok=True, ignore=shutil.ignore_patterns("runs"))
                    (place / "finding.txt").write_text(f"{findings.found[where][2]}\n{case.text()}", "utf-8")


def judge(case: DataCase, folder: Path, *, trained: bool) -> None:
    """Check the promises that a case must keep.

    Raises:
        Refused: it is refused, with a place for every error.
        Wrong: two readings of it differ, or something is read that must not be.
    """
    path = case.write(folder)
    report = Report()
    graph = check(path, overrides=case.overrides, report=report)
    if graph is None:
        raise Refused("check", report.errors)
    data = opened(graph)
    records = with_generated(case, graph)
    naive = NaiveData(case.tree, records)
    compare(data, naive, graph)
    check_leaks(case, folder, data, naive)
    if trained:
        run(case, folder, path, data, naive)


def judge_disturbed(case: DataCase, folder: Path) -> None:
    """Check that a case is refused at a place, or opens and gives batches that the model takes.

    Raises:
        Refused: it is refused, with a place for every error.
        Wrong: the check passes and the model does not take what the data give.
    """
    report = Report()
    graph = check(case.write(folder), overrides=case.overrides, report=report)
    if graph is None:
        raise Refused("check", report.errors)
    try:
        data = open_samples(graph.spec, graph)
        for split, samples in data.splits.items():
            x, y, _ = data.sampler(split, min(3, len(samples)), 3).batch(0, 0)
            check_batch(graph, x, y)
    except SpecError as error:
        raise Refused("data", error.diagnostics) from error
    except RunError as error:  # of single frames and values, found as they are read
        raise Refused("batch", [Diagnostic(error.message, Span(Source("", ""), 1, 1, 1, 1), code="run")]) from error


if __name__ == "__main__":
    sys.exit(main())
