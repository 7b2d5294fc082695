"""How much slower `specbuild train` is than a bare loop on JAX over the same training step.

    KERAS_BACKEND=jax python benchmarks/training_loop.py [SPEC] [--set KEY=VALUE …] [--steps 80] [--turns 2]

Three rows, in seconds per step:

bare    the compiled step alone, again and again on one batch that is on the device already
loop    the training of `specbuild train` over one batch in memory: transfer, losses, metrics, checkpoints
train   the same over the spec's data, which are read, transformed and gathered into batches meanwhile

The rows take turns, and the fastest epoch of each counts; the first epoch of a training, which compiles, does not. On a
CPU the threads that prepare batches take time from the step itself, so that `train` is slower there by what the batches
cost. The processor time of a step, over all threads, shows what a row costs there even where other work on the machine
makes the elapsed time useless.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from contenders import ModelStep, policy

from specbuild.data.samples.base import Samples
from specbuild.data.samples.sampler import EVERY
from specbuild.graph import Graph, build_graph
from specbuild.training.batches import BatchSource, for_outputs, with_true_frames
from specbuild.training.interrupt import Signals
from specbuild.training.opened import open_for_training
from specbuild.training.progress import Display
from specbuild.training.session import Session

SPEC = Path(__file__).parent.parent / "specs" / "moving_digits.yaml"
EPOCHS = 4
"""Epochs of one training; the first does not count."""


class Seconds(NamedTuple):
    """Elapsed time, and that of the processor over all threads."""

    elapsed: float
    processor: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("spec", nargs="?", default=str(SPEC), help="default: specs/moving_digits.yaml")
    parser.add_argument("--set", dest="overrides", action="append", default=[], help="a change of the spec, KEY=VALUE")
    parser.add_argument("--steps", type=int, default=80, help="steps of an epoch")
    parser.add_argument("--turns", type=int, default=2, help="how often each row is measured")
    parser.add_argument("--json", type=Path, help="file to write the numbers to")
    options = parser.parse_args()
    print(f"load {os.getloadavg()[0]:.2f} before")
    best = measured(options.spec, options.overrides, options.steps, options.turns)
    for name in ("bare", "loop", "train"):
        for kind, words in (("", "elapsed"), ("_processor", "of the processor")):
            seconds, least = best[name + kind], best["bare" + kind]
            print(f"{name:<6} {seconds * 1e3:9.3f} ms a step {words:<16}  {seconds / least:6.3f} of bare")
    print(f"load {os.getloadavg()[0]:.2f} after")
    if options.json:
        options.json.write_text(json.dumps(best, indent=1) + "\n", encoding="utf-8")


def measured(spec: str, overrides: list[str], steps: int, turns: int) -> dict[str, float]:
    """Return the least seconds per step of each row by its name, and as `bare_processor` those of the processor."""
    changes = {"train.epochs": str(EPOCHS), "train.steps_per_epoch": str(steps), "data.split": '{"train": 1.0}'}
    graph = build_graph(spec, overrides=[*(f"{key}={value}" for key, value in changes.items()), *overrides])
    best: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder, _compilations_kept(Path(folder) / "compiled"):
        dataset = open_for_training(graph)
        for _ in range(turns):
            rows = {
                "bare": bare(graph, dataset, steps),
                "loop": trained(graph, dataset, folder, kept=True),
                "train": trained(graph, dataset, folder, kept=False),
            }
            for name, (elapsed, spent) in rows.items():
                for key, seconds in ((name, elapsed), (f"{name}_processor", spent)):
                    best[key] = min(seconds / steps, best.get(key, math.inf))
    return best


def bare(graph: Graph, dataset: Samples, steps: int) -> Seconds:
    """Return the time that the steps of an epoch take in a loop that does nothing else."""
    train = graph.spec.train
    source = prepared(graph, dataset.sampler("train", graph.spec.batch_size, train.seed))
    step = ModelStep.of(graph, policy(train.precision), source.batch(0, 0), dataset)
    step()
    clock = Clock()
    clock.end()
    for _ in range(EPOCHS - 1):
        for _ in range(steps):
            step.begin()
        step.wait()
        clock.end()
    return clock.least()


def trained(graph: Graph, dataset: Samples, out: str, *, kept: bool) -> Seconds:
    """Return the time of an epoch of `specbuild train`; with `kept`, over one batch that stays in memory."""
    clock = Clock()
    session = Session(graph, dataset, clock)
    if kept:
        session.training = Kept(session.training, session.training.batch(0, 0))
    with Signals() as signals:
        session.run(out, signals)
    return clock.least()


def prepared(graph: Graph, source: BatchSource) -> BatchSource:
    """Return the batches as the training model reads them."""
    return for_outputs(graph, with_true_frames(graph, source))


class Clock(Display):
    """Notes when each epoch ended."""

    def __init__(self) -> None:
        self.ends: list[Seconds] = []

    def epoch(self, row: Mapping[str, float], seconds: float, best: bool) -> None:  # noqa: ARG002 - the time is enough
        self.end()

    def end(self) -> None:
        self.ends.append(Seconds(time.perf_counter(), time.process_time()))

    def least(self) -> Seconds:
        """Return the least time between two ends."""
        pairs = list(pairwise(self.ends))
        return Seconds(*(min(after[each] - before[each] for before, after in pairs) for each in (0, 1)))


@dataclass(frozen=True)
class Kept:
    """One batch of a source, again and again."""

    source: BatchSource
    kept: tuple[Any, Any, Any]

    def __len__(self) -> int:
        return len(self.source)

    def batch(self, epoch: int, index: int, rows: slice = EVERY) -> tuple[Any, Any, Any]:  # noqa: ARG002 - always the same
        return self.kept

    def numbers(self, epoch: int, index: int) -> list[int]:
        return self.source.numbers(epoch, index)

    def sized(self, batch_size: int) -> BatchSource:
        return self.source.sized(batch_size)


@contextmanager
def _compilations_kept(folder: Path) -> Iterator[None]:
    """Let JAX keep what it compiles, so that only the first of several equal trainings waits for it."""
    import jax
    from jax.experimental.compilation_cache import compilation_cache

    settings = {"jax_compilation_cache_dir": str(folder), "jax_persistent_cache_min_compile_time_secs": 0}
    before = {name: getattr(jax.config, name) for name in settings}
    if before["jax_compilation_cache_dir"] is not None:
        yield
        return
    for name, value in settings.items():
        jax.config.update(name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            jax.config.update(name, value)
        compilation_cache.reset_cache()


if __name__ == "__main__":
    main()
