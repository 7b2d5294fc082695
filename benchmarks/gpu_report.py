"""The results of the benchmark of a GPU as tables in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

Row = Mapping[str, Any]
TARGETS = """\
Targets for a training step of 128 filters 3 × 3 in bfloat16: 3 times as fast as Keras's layer, 1.5 times as compiled
PyTorch, 35 % of the matrix rate; and `specbuild train` within 2 % of the bare loop."""


def report(results: Mapping[str, Any]) -> str:
    """Return all tables, and what became of every case."""
    rows = [row for case in results["cases"] for row in case["rows"]]

    def of(*kinds: str) -> list[Row]:
        return [row for row in rows if row["kind"] in kinds]

    parts = [f"# GPU benchmark, {results['started']}, scale {results['scale']}", _machines(of("machine")), TARGETS]
    for title, kinds in (("Layers", ("layer",)), ("Models", ("model",)), ("Variants of our layer", ("variant",))):
        if found := of(*kinds):
            parts += [f"## {title}", _measured(found)]
    if found := of("layer"):
        parts += ["## Ours against the others, training", _ratios(found)]
    if found := of("loop"):
        parts += ["## Training loop", _loops(found)]
    for row in of("profile"):
        parts += [f"## Profile: {row['name']}", _profile(row["operations"][:12])]
    if found := of("failure"):
        parts += ["## Failed", _table(("what", "reason"), [(row["name"], row["reason"]) for row in found])]
    parts += ["## Cases", _cases(results["cases"])]
    return "\n\n".join(part for part in parts if part) + "\n"


def _machines(rows: Iterable[Row]) -> str:
    """One line for each machine and framework that cases ran on."""
    lines = {", ".join(f"{key} {value}" for key, value in row.items() if key != "kind" and value) for row in rows}
    return "\n".join(sorted(f"- {line}" for line in lines))


def _measured(rows: Iterable[Row]) -> str:
    head = (
        *("what", "precision", "forward ms", "TFLOP/s", "share", "step ms", "TFLOP/s", "share"),
        *("memory GB", "first forward s", "first step s"),
    )
    parts = []
    for case in dict.fromkeys(row["case"] for row in rows):
        lines = []
        for row in rows:
            if row["case"] == case:
                forward = (_ms(row.get("inference")), *_rate(row, "inference", 1))
                step = (_ms(row.get("training")), *_rate(row, "training", 3))
                first = (_number(row.get("inference_first"), 1), _number(row.get("training_first"), 1))
                memory = _number(row.get("training_memory"), 1e-9)
                lines.append((row["name"], row["precision"], *forward, *step, memory, *first))
        parts.append(f"{case}:\n\n{_table(head, lines)}")
    return "\n\n".join(parts)


def _rate(row: Row, what: str, times: int) -> tuple[str, str]:
    if not row.get(what) or not row["flops"]:
        return "", ""
    rate = times * row["flops"] / row[what]
    return f"{rate / 1e12:.3g}", f"{rate / row['matrix_rate']:.1%}"


def _ratios(rows: Iterable[Row]) -> str:
    """How many times faster a training step of ours is, for each case and precision."""
    times = {(row["case"], row["precision"], row["name"].split(" (")[0]): row.get("training") for row in rows}
    others = [name for name in dict.fromkeys(name for *_, name in times) if name != "specbuild"]
    lines = []
    for case, precision, name in times:
        if name == "specbuild" and (ours := times[case, precision, name]):
            ratios = [times.get((case, precision, other)) for other in others]
            lines.append((case, precision, *(f"{other / ours:.2f}" if other else "" for other in ratios)))
    return _table(("case", "precision", *others), lines)


def _loops(rows: Iterable[Row]) -> str:
    lines = [
        (
            *(row["name"], row["precision"], *(_ms(row[name]) for name in ("bare", "loop", "train"))),
            *(f"{row[name] / row['bare']:.3f}" for name in ("loop", "train")),
        )
        for row in rows
    ]
    head = ("spec", "precision", "bare ms", "loop ms", "train ms", "loop / bare", "train / bare")
    return _table(head, lines)


def _profile(operations: Iterable[Row]) -> str:
    lines = [
        (f"{row['milliseconds']:.3f}", f"{row['share']:.1%}", f"{row['calls']:.4g}", row["kernel"], row["operation"])
        for row in operations
    ]
    return _table(("ms per step", "share", "calls", "kernel", "operation"), lines)


def _cases(cases: Iterable[Mapping[str, Any]]) -> str:
    lines = []
    for case in cases:
        last = next((row["last"] for row in case["rows"] if row["kind"] == "tests"), "")
        lines.append((case["name"], case["status"], f"{case['seconds']:.1f}", last))
    return _table(("case", "became", "seconds", ""), lines)


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _ms(seconds: float | None) -> str:
    return _number(seconds, 1e3)


def _number(value: float | None, scale: float) -> str:
    return "" if value is None else f"{value * scale:.4g}"
