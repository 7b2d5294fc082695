"""Draw `train` and `tune` sections at random, and check that training, resuming and what follows keep their promises.

    python tools/train_search.py [--cases N] [--seed N] [--minutes N] [--exported SHARE] [--keep FOLDER]

A case is a small spec with files and composite forms of its own, whose `train` section draws optimizers, averaged
weights, learning-rate schedules, callbacks, loggers, devices, precisions, losses and more (`tools/train_cases.py`).
What `check` accepts must train: the loss is finite, and the learning rate after each epoch is that of a second, naive
calculation. A run that is interrupted at a random moment and resumed has the files of one that was not, byte for byte;
its scores come out again from `evaluate`, and it makes forecasts. Every value that `tune` draws must pass the check and
train. A share of the runs is exported as ONNX files. `KERAS_BACKEND=jax` chooses the other framework. Findings go to
FOLDER with all of their files; the exit code is 1 if there are any.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import signal
import sys
import time
import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("SPECBUILD_CPU_DEVICES", "2")

import h5py
import keras
import numpy as np
from data_cases import DataCase
from data_records import Tree
from data_samples import Refused, opened
from data_search import Findings, count, leave_out_pictures, report_of
from findings import Wrong
from train_cases import generate, rates

from specbuild.document import ArgumentError, Diagnostic, Report, RunError, Source, Span, SpecError
from specbuild.evaluation import evaluate
from specbuild.exporting import export
from specbuild.graph import check
from specbuild.prediction import predict
from specbuild.training import Interrupted, Run, keeper, train
from specbuild.tuning import tune

TIMED = ("run.json", "history.jsonl")
"""Files of a run that have times."""
MOMENTS = ("on_train_batch_end", "on_test_batch_end", "on_epoch_end")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--exported", type=float, default=0.2, help="share of the cases that are exported")
    parser.add_argument("--minutes", type=float, default=1e9)
    parser.add_argument("--keep", type=Path, help="folder for the files of findings")
    options = parser.parse_args()
    leave_out_pictures()
    started, findings = time.perf_counter(), Findings()
    for number in range(options.first, options.first + options.cases):
        try_case(options.seed, number, findings, exported=options.exported, keep=options.keep)
        passed = time.perf_counter() - started
        if (number + 1) % 10 == 0:
            print(f"{number + 1:6,} {passed:5.0f} s  {dict(findings.counts)}; {list(findings.found)}", flush=True)
            keras.backend.clear_session()
        if passed > options.minutes * 60:
            break
    return report_of(findings)


def try_case(seed: int, number: int, findings: Findings, *, exported: float = 0.0, keep: Path | None = None) -> None:
    """Draw a case, and count its result."""
    random = Random(f"{seed}.{number}")
    case = generate(random)
    exports = random.random() < exported

    def judged(folder: Path) -> str:
        return judge(case, folder, random, findings.forms, exports=exports)

    count(case, number, findings, judged, keep)


def judge(case: DataCase, folder: Path, random: Random, forms: Counter[str], *, exports: bool) -> str:
    """Check the promises that a case must keep, and return what it counts as.

    Raises:
        Refused: it is refused, with a place for every error.
        Wrong: it breaks a promise.
    """
    path = case.write(folder)
    report = Report()
    graph = check(path, overrides=case.overrides, report=report)
    if graph is None:
        raise Refused("check", report.errors)
    section, windows = case.tree["train"], len(opened(graph).splits["train"])
    try:
        whole = train(path, overrides=case.overrides, out=folder / "runs", name="whole", quiet=True)
    except SpecError as error:
        raise Refused("train", error.diagnostics) from error
    except RunError as error:
        raise stopped("run", error) from error
    size = json.loads((whole.path / "run.json").read_text("utf-8"))["batch_size"]
    check_history(section, whole.history, section.get("steps_per_epoch") or -(-windows // size))
    before = contents(whole.path)
    interrupted = resumed(case, path, folder, random)
    forms["interrupted"] += interrupted
    if interrupted:
        after = contents(folder / "runs" / "part")
        different = [name for name in sorted({*before, *after}) if before.get(name) != after.get(name)]
        if different:
            raise Wrong(f"a resumed run differs: {', '.join(different)}")
    use(whole, folder)
    if exports:
        forms["exported"] += exported(whole, folder, forms)
    if "tune" in case.tree:
        check_study(path, case, folder)
    return "trained"


def stopped(stage: str, error: RunError) -> Refused:
    """Return an error without a place in the spec as a refusal, by its first words."""
    refused = Refused(stage, [Diagnostic(error.message, Span(Source("", ""), 1, 1, 1, 1), code="run")])
    refused.code = f"{stage}: {' '.join(error.message.split()[:5])}"
    return refused


def check_history(section: Tree, history: list[dict[str, float]], steps: int) -> None:
    """Compare the learning rate after each epoch with a second calculation; every value is finite.

    Args:
        section: how the run was trained.
        history: the row of each epoch.
        steps: steps in an epoch.
    """
    for row in history:
        if not all(np.isfinite(value) for value in row.values()):
            raise Wrong(f"the history is not finite: {row}")
    found = [row["learning_rate"] for row in history]
    expected = rates(section["optimizer"], section.get("callbacks", []), steps, history)
    if not np.allclose(found, expected, rtol=1e-5, atol=1e-9):
        raise Wrong(f"learning rates differ: {found}, not {expected}")


def resumed(case: DataCase, path: Path, folder: Path, random: Random) -> bool:
    """Train a second time, interrupted at a random moment and resumed; return whether that moment came."""
    with signalled(random.choice(MOMENTS), random.randint(1, 5)):
        try:
            train(path, overrides=case.overrides, out=folder / "runs", name="part", quiet=True)
        except Interrupted:
            pass
        else:
            return False
    train(resume=folder / "runs" / "part", quiet=True)
    return True


@contextmanager
def signalled(method: str, call: int) -> Iterator[None]:
    """Send SIGTERM to this process before the given call of a method of the callback that saves the run."""
    original = getattr(keeper.Keeper, method)
    calls = 0

    def sends(*arguments: Any, **keywords: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == call:
            os.kill(os.getpid(), signal.SIGTERM)
        original(*arguments, **keywords)

    setattr(keeper.Keeper, method, sends)
    try:
        yield
    finally:
        setattr(keeper.Keeper, method, original)


def contents(folder: Path) -> dict[str, Any]:
    """Return what the files of a run hold, by their names, without times.

    Of a `.keras` file it is the arrays and our record: Keras numbers the optimizers of a process in their names.
    """
    found: dict[str, Any] = {}
    for path in folder.rglob("*"):
        name = str(path.relative_to(folder))
        if path.suffix == ".keras":
            with zipfile.ZipFile(path) as archive:
                found[f"{name}: record"] = archive.read("specbuild.json")
                weights = io.BytesIO(archive.read("model.weights.h5"))
            with h5py.File(weights) as file:
                file.visititems(
                    lambda key, item, name=name: (
                        found.update({f"{name}: {key}": item[()].tobytes()}) if isinstance(item, h5py.Dataset) else None
                    )
                )
        elif path.is_file() and name not in TIMED and not name.startswith("tensorboard"):
            found[name] = path.read_bytes()
    return found


def use(run: Run, folder: Path) -> None:
    """Score a run again, and make it forecast."""
    if run.scores is not None and evaluate(run.path).to_dict() != run.scores.to_dict():
        raise Wrong("evaluate gives other scores than training did")
    try:
        forecast = predict(run.path, output=folder / "forecast.npz")
    except ArgumentError as error:
        # Another source ends before the forecast does, or the last frames have a gap.
        if "has nothing for" not in str(error) and " apart: " not in str(error):
            raise
        return
    if np.isinf(forecast).any():
        raise Wrong("a forecast is not finite")


def exported(run: Run, folder: Path, forms: Counter[str]) -> bool:
    """Export a run as an ONNX file, which is compared with the run, and return whether it can be."""
    try:
        export(run.path, format="onnx", shape="whole", output=folder / "model.onnx")
    except (ArgumentError, RunError) as error:
        forms[f"not exported: {str(error)[:60]}"] += 1
        return False
    return True


def check_study(path: Path, case: DataCase, folder: Path) -> None:
    """Search the space of a case: every trial is complete or refused, and the best spec is accepted."""
    try:
        study = tune(path, overrides=case.overrides, out=folder / "runs", name="study", quiet=True)
    except SpecError as error:
        raise Refused("tune", error.diagnostics) from error
    except RunError as error:
        raise stopped("tune", error) from error
    for trial in study.trials:
        if trial.state not in ("complete", "refused"):
            raise Wrong(f"a trial is {trial.state}: {trial.params}, {trial.reason}")
    assert study.best_spec is not None
    report = Report()
    if check(study.best_spec, report=report, roots=[folder]) is None:
        raise Wrong(f"the best spec is refused: {report.errors[0].message}")


if __name__ == "__main__":
    sys.exit(main())
