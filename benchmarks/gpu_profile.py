"""What a piece of work on JAX spends its time in, as a table of kernels."""

from __future__ import annotations

import re
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from contenders import Work

STEPS = 3
SHOWN = 25


def of_steps(work: Work) -> tuple[str, list[dict[str, Any]]]:
    """Return the most expensive kernels of some steps as a table in Markdown, and as values.

    Times are milliseconds of one step, summed over the device's streams. On a CPU, where the operations of one step run
    side by side on several threads, their sum can exceed the time of the step.
    """
    import jax

    work()
    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder):
            for _ in range(STEPS):
                work()
        (path,) = Path(folder).rglob("*.xplane.pb")
        events = list(_events(jax.profiler.ProfileData.from_file(str(path))))
    spent: dict[tuple[str, str], list[float]] = defaultdict(list)
    for kernel, operation, nanoseconds in events:
        spent[_shortened(kernel), _shortened(operation)].append(nanoseconds / 1e6)
    total = sum(map(sum, spent.values())) or 1.0
    rows = [
        {
            "milliseconds": sum(times) / STEPS,
            "share": sum(times) / total,
            "calls": len(times) / STEPS,
            "kernel": kernel,
            "operation": operation,
        }
        for (kernel, operation), times in sorted(spent.items(), key=lambda item: -sum(item[1]))[:SHOWN]
    ]
    lines = ["| ms per step | share | calls | kernel | operation |", "| --: | --: | --: | --- | --- |"]
    for row in rows:
        lines.append(
            f"| {row['milliseconds']:.3f} | {row['share']:.1%} | {row['calls']:.4g} | {row['kernel']} | "
            f"{row['operation']} |"
        )
    lines.append(f"| {total / STEPS:.3f} | | {len(events) / STEPS:.4g} | all | |")
    return "\n".join(lines), rows


def _events(profile: Any) -> Iterator[tuple[str, str, float]]:
    """Yield kernel, operation of XLA and nanoseconds of everything that ran on a GPU, or else on the CPU's threads."""
    planes = list(profile.planes)
    devices = [plane for plane in planes if plane.name.startswith("/device:GPU")]
    for plane in devices or [plane for plane in planes if plane.name.startswith("/host:CPU")]:
        for line in plane.lines:
            for event in line.events:
                stats = {name: value for name, value in event.stats if name is not None}
                operation = stats.get("hlo_op")
                if (devices and line.name.startswith("Stream")) or (not devices and operation is not None):
                    yield event.name, str(operation or ""), event.duration_ns


def _shortened(name: str) -> str:
    """A name without the numbers that tell equal operations apart, as far as a table has room for it."""
    return re.sub(r"(\.\d+|_\d+)+$", "", name)[:90].replace("|", "/")
