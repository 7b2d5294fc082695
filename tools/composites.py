"""Nest composite forms at random, and compare the resulting model with a second, naive reading of the text.

    python tools/composites.py [--cases N] [--seed N] [--minutes N] [--keep FOLDER]

A case is a small spec whose items are loops, branches, residuals, blocks, files, reuses, encoder_decoders, cells and
autoregressive nodes inside each other. Every layer draws its weights from a seed of its own, which depends on the
variables of the loops around it, so two models of one text have the same weights without any mapping of them. What
`check` passes must build, and give what `tools/naive.py` gives: the same outputs, shapes and counts of weights, before
and after the spec is resolved. Findings go to FOLDER, shortened; the exit code is 1 if there are any.
"""

from __future__ import annotations

import argparse
import copy
import os
import re
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import naive
import numpy as np
from composite_case import Case, nodes_of, written
from composite_drawing import generate
from findings import Wrong, place_of
from naive_things import Unsure

from specbuild.document import Report
from specbuild.graph import Graph, check
from specbuild.model.build import build


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=5_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--disturbed", type=float, default=0.3, help="share of cases that are changed at random")
    parser.add_argument("--minutes", type=float, default=1e9)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--refusals", action="store_true", help="print a case for each message that refuses one")
    options = parser.parse_args()
    started = time.perf_counter()
    findings = Findings()
    for number in range(options.first, options.first + options.cases):
        random = Random(f"{options.seed}.{number}")
        case = generate(random)
        if random.random() < options.disturbed:
            disturb(random, case)
        try_case(case, number, findings, shorten=True)
        passed = time.perf_counter() - started
        if (number + 1) % 100 == 0:
            print(f"{number + 1:6,} {passed:5.0f} s  {findings.summary()}", flush=True)
            keras.backend.clear_session()
        if passed > options.minutes * 60:
            break
    for where, (number, case, what) in findings.found.items():
        print(f"\n--- case {number}: {where} ({findings.places[where]} times)\n{what}\n{case.text()}")
        if options.keep:
            options.keep.mkdir(parents=True, exist_ok=True)
            name = re.sub(r"[^a-z0-9]+", "-", where.lower())[:80]
            (options.keep / f"{name}.yaml").write_text(f"# case {number}\n{case.text()}", "utf-8")
    if options.refusals:
        for code, cases in findings.refused.items():
            for number, message in cases:
                print(f"{code:16} case {number}: {message}")
    print(f"\n{findings.summary()}")
    print(f"refused by code: {dict(findings.codes.most_common())}")
    print(f"forms: {dict(findings.forms.most_common())}")
    print(f"pairs of nested forms: {len(findings.pairs)}")
    return 1 if findings.found else 0


# Comparing a case with its second reading


@dataclass
class Findings:
    """The results of a run."""

    counts: Counter[str] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    forms: Counter[str] = field(default_factory=Counter)
    pairs: set[tuple[str, str]] = field(default_factory=set)
    refused: dict[str, list[tuple[int, str]]] = field(default_factory=dict)
    """For each error code, the refused cases and the first message."""
    places: Counter[str] = field(default_factory=Counter)
    found: dict[str, tuple[int, Case, str]] = field(default_factory=dict)
    """For each place that a finding comes from, the first case that shows it, and what happened."""

    def summary(self) -> str:
        total = max(1, sum(self.counts.values()))
        share = (self.counts["compared"] + self.counts["unsure"]) / total
        return f"{dict(self.counts)}; {share:.0%} accepted; {len(self.found)} findings, {len(self.pairs)} pairs"


class Refused(Exception):
    """The errors of a spec that the check refuses."""

    def __init__(self, errors: list[Any]) -> None:
        super().__init__(errors[0].message)
        self.errors = errors


def try_case(case: Case, number: int, findings: Findings, *, shorten: bool = False) -> None:
    """Count the result of a case."""
    findings.forms += case.forms
    try:
        judge(case)
        findings.counts["compared"] += 1
        findings.pairs |= case.pairs
    except Refused as refused:
        findings.counts["refused"] += 1
        codes = sorted({error.code for error in refused.errors})
        findings.codes.update(codes)
        findings.refused.setdefault(codes[0], []).append((number, str(refused)))
    except Unsure as unsure:
        findings.counts["unsure"] += 1
        findings.refused.setdefault("unsure", []).append((number, str(unsure)))
    except Exception as fault:  # anything at all is a finding
        where, _ = place_of(fault)
        findings.counts["wrong"] += 1
        findings.places[where] += 1
        if where not in findings.found:
            small = shortened(case, where) if shorten else case
            findings.found[where] = (number, small, "".join(traceback.format_exception(fault)[-3:]))


def judge(case: Case) -> None:
    """Check the promises that a case must keep.

    Raises:
        Refused: the check refuses it, with a place for every error.
        Wrong: two readings of it differ.
    """
    graph = checked(case)
    model = build(graph)
    second = naive.interpret(case.tree, case.files)
    for each in (model, second):
        fill_learned(each)
    compare(graph, model, second)
    report = Report()
    again = check(graph.spec.resolved(), report=report)
    if again is None:
        raise Wrong(f"the resolved spec is refused, {report.errors[0].code}: {report.errors[0].message}")
    rebuilt = build(again)
    fill_learned(rebuilt)
    values = inputs_of(model)
    hold("the resolved spec", outputs_of(model, values), outputs_of(rebuilt, values))
    if counts(rebuilt) != counts(model):
        raise Wrong(f"the resolved spec has other weights: {counts(rebuilt)}, not {counts(model)}")


def checked(case: Case) -> Graph:
    """Return the graph of a case."""
    with tempfile.TemporaryDirectory() as folder:
        for name, tree in {**case.files, "main.yaml": case.tree}.items():
            (Path(folder) / name).write_text(written(tree), "utf-8")
        report = Report()
        graph = check(Path(folder) / "main.yaml", report=report)
    for error in report:
        if error.span is None or error.span.line < 1 or error.span.column < 1:
            raise Wrong(f"no place: {error.message}")
    if (graph is None) != report.failed:
        raise Wrong("neither a graph nor errors, or both")
    if graph is None:
        raise Refused(list(report.errors))
    return graph


def compare(graph: Graph, model: Any, second: Any) -> None:
    """Compare a built model with the graph and with a second model of the same spec."""
    if graph.parameters != second.count_params():
        raise Wrong(f"graph parameters differ: {graph.parameters}, not {second.count_params()}")
    if counts(model) != counts(second):
        raise Wrong(f"weights differ: {counts(model)}, not {counts(second)}")
    trained = sum(int(np.prod(weight.shape)) for weight in second.trainable_weights)
    if graph.trainable_parameters != trained:
        raise Wrong(f"trainable parameters differ: {graph.trainable_parameters}, not {trained}")
    stated = [tuple(output.shape) for output in sorted(graph.outputs, key=_by_name(graph))]
    shapes = [tuple(tensor.shape[1:]) for tensor in listed(second.output)]
    if stated != shapes:
        raise Wrong(f"shapes differ: {stated}, not {shapes}")
    values = inputs_of(model)
    hold("the naive reading", outputs_of(model, values), outputs_of(second, values))


def fill_learned(model: Any) -> None:
    """Set the learned initial states, which start as zeros, to other values."""
    for weight in model.weights:
        if weight.name.startswith("initial_"):
            weight.assign(np.linspace(-1, 1, int(np.prod(weight.shape))).reshape(weight.shape))


def counts(model: Any) -> tuple[int, int, int]:
    """Return the numbers of parameters, of weights, and of those that are trained."""
    return model.count_params(), len(model.weights), len(model.trainable_weights)


def _by_name(graph: Graph) -> Callable[[Any], str]:
    return lambda output: output.name if graph.spec.named_outputs else ""


def listed(outputs: Any) -> list[Any]:
    """Return outputs as a list; those of a dict in the order of their names."""
    if isinstance(outputs, dict):
        return [outputs[name] for name in sorted(outputs)]
    return outputs if isinstance(outputs, list) else [outputs]


def inputs_of(model: Any) -> list[Any]:
    random = np.random.default_rng(1)
    return [random.normal(size=(2, *tensor.shape[1:])).astype("float32") for tensor in model.inputs]


def outputs_of(model: Any, values: list[Any]) -> list[Any]:
    return [np.asarray(output) for output in listed(model(values if len(values) > 1 else values[0], training=False))]


def hold(what: str, ours: list[Any], theirs: list[Any]) -> None:
    """Compare outputs."""
    for mine, other in zip(ours, theirs, strict=True):
        if mine.shape != other.shape:
            raise Wrong(f"{what} gives other shapes: {other.shape}, not {mine.shape}")
        if not np.isfinite(mine).all() and not np.isfinite(other).all():
            continue  # too many products
        if np.abs(mine).max(initial=0) > 1e6:
            continue  # squares of squares, which make much of the last digit
        if not np.allclose(mine, other, rtol=1e-5, atol=1e-6):
            raise Wrong(f"{what} gives other outputs: up to {np.abs(mine - other).max():.3g} apart")


def shortened(case: Case, where: str, tries: int = 60) -> Case:
    """Return a case with fewer items and keys that fails in the same place."""
    changed = True
    while changed and tries > 0:
        changed = False
        for smaller in smaller_cases(case):
            tries -= 1
            if fails_at(smaller) == where:
                case, changed = smaller, True
                break
            if tries <= 0:
                break
    return case


def fails_at(case: Case) -> str:
    try:
        judge(case)
    except (Refused, Unsure):
        return ""
    except Exception as fault:
        return place_of(fault)[0]
    return ""


def smaller_cases(case: Case) -> Iterator[Case]:
    """Yield the case with one thing less, the large things first."""
    trees = {"": case.tree, **case.files}
    for name, tree in trees.items():
        for path in paths(tree):
            whole = copy.deepcopy(trees)
            holder = whole[name]
            for step in path[:-1]:
                holder = holder[step]
            if isinstance(holder, list) and len(holder) == 1 and path[0] in ("layers", "inputs") and len(path) == 2:
                continue
            del holder[path[-1]]
            yield Case(whole[""], {key: value for key, value in whole.items() if key})


def paths(tree: Any) -> list[tuple[Any, ...]]:
    """Return the items of lists of nodes, and the keys that may be left out."""
    found: list[tuple[Any, ...]] = []

    def walk(node: Any, path: tuple[Any, ...]) -> None:
        if isinstance(node, list):
            for index, item in enumerate(node):
                if isinstance(item, dict):
                    found.append((*path, index))
                walk(item, (*path, index))
        elif isinstance(node, dict):
            for key, value in node.items():
                if key in OPTIONAL or (path == ("blocks",)) or (path and path[-1] in ("vars", "inputs", "defaults")):
                    found.append((*path, key))
                walk(value, (*path, key))

    walk(tree, ())
    return sorted(found, key=len)


OPTIONAL = (
    *("id", "expect", "trainable", "outputs", "output", "from", "head", "head_input", "shortcut", "merge", "blocks"),
    *("defaults", "vars", "feed", "initial_state", "bias_initializer", "recurrent_initializer", "give"),
    *("go_backwards", "remat", "return_sequences", "initial", "merge_mode", "projection"),
)


# Changing a case


def disturb(random: Random, case: Case) -> None:
    """Change what nodes read, and what stands beside them: what comes of it is sound often enough."""
    for _ in range(random.choice((1, 1, 2))):
        tree = random.choice([case.tree, *case.files.values()])
        items = [node for node in nodes_of(tree) if any(form in node for form in naive.FORMS)]
        if not items:
            continue
        item = random.choice(items)
        names = [node["id"] for node in items if "id" in node and "$" not in node["id"]]
        names += [*tree["inputs"], "input"]
        name = random.choice(names) + random.choice(("", "", "", ".last", ".sequence"))
        change = random.choice(("from", "from", "two", "drop", "state", "frozen", "again", "swap", "twice"))
        if change == "from":
            item["from"] = name
        elif change == "two":
            item["from"] = [name, random.choice(names)]
        elif change == "drop":
            item.pop(random.choice(("from", "id", "expect", "merge", "return_sequences", "initial_state")), None)
        elif change == "state":
            item["initial_state"] = name
        elif change == "frozen":
            item["trainable"] = False
        elif change == "again":
            target = random.choice(names)
            item.clear()
            item["reuse"] = target
        else:
            lists = [node for node in lists_of(tree) if node and isinstance(node[0], dict)]
            nodes = random.choice(lists)
            if change == "twice":
                nodes.insert(0, {key: copy.deepcopy(value) for key, value in nodes[-1].items() if key != "id"})
            else:
                random.shuffle(nodes)


def lists_of(tree: Any) -> list[list[Any]]:
    """Return every list in a tree."""
    inside = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ()
    return [*([tree] if isinstance(tree, list) else []), *(node for each in inside for node in lists_of(each))]


if __name__ == "__main__":
    sys.exit(main())
