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
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import naive
import numpy as np
import yaml
from findings import Wrong, place_of

from specbuild.document import Report
from specbuild.graph import Graph, check
from specbuild.model.build import build

Tree = dict[str, Any]
Shape = tuple[int, ...]

FRAME, VECTOR = (6, 6, 2), (4,)
STEPS = 3


@dataclass
class Case:
    """A spec with the files that it names, and the forms in it."""

    tree: Tree
    files: dict[str, Tree]
    forms: Counter[str] = field(default_factory=Counter)
    pairs: set[tuple[str, str]] = field(default_factory=set)
    """A form, and a form inside it."""

    def text(self) -> str:
        parts = [f"# {name}\n{written(tree)}" for name, tree in self.files.items()]
        return "\n".join([*parts, written(self.tree)])


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
    except naive.Unsure as unsure:
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


def written(tree: Tree) -> str:
    return yaml.safe_dump(tree, sort_keys=False, default_flow_style=None, width=110)


# Shortening a finding


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
    except (Refused, naive.Unsure):
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


def nodes_of(tree: Any) -> list[Tree]:
    """Return every mapping in a tree."""
    inside = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ()
    return [*([tree] if isinstance(tree, dict) else []), *(node for each in inside for node in nodes_of(each))]


def lists_of(tree: Any) -> list[list[Any]]:
    """Return every list in a tree."""
    inside = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ()
    return [*([tree] if isinstance(tree, list) else []), *(node for each in inside for node in lists_of(each))]


# Drawing a case


@dataclass(frozen=True)
class Spot:
    """The output of a list of nodes so far.

    `shape` is that of every step where `last` is not None: then it ends in a recurrent node whose port is left open.
    """

    shape: Shape
    last: Shape | None = None
    reference: str = ""
    """Its name, if it has one."""


@dataclass(frozen=True)
class Again:
    """A node that may be reused."""

    id: str
    inputs: tuple[Shape, ...]
    result: Spot
    members: dict[str, Shape] = field(default_factory=dict)


@dataclass
class Place:
    """Where nodes are drawn: what they may read, and what surrounds them."""

    names: dict[str, Shape] = field(default_factory=dict)
    again: list[Again] = field(default_factory=list)
    rounds: list[tuple[str, int, Shape]] = field(default_factory=list)
    """Id, number of rounds and shape of each of loops whose rounds may be read."""
    states: list[tuple[str, str, int, Shape]] = field(default_factory=list)
    """Id, kind, filters and shape of the state of recurrent nodes."""
    loops: tuple[str, ...] = ()
    """Variables of the loops around."""
    seeds: tuple[str, ...] = ()
    """Terms of every seed."""
    depth: int = 0
    feedback: bool = False
    """Whether nodes must work on one frame at a time, and nothing may end in a single step."""
    inside: str = "spec"
    """The form around."""
    blocks: tuple[str, ...] = ()
    """The blocks that may be used."""


def generate(random: Random) -> Case:
    """Draw a case."""
    return Drawing(random).case()


@dataclass(frozen=True)
class Contents:
    """A block or a file: what it reads and what it gives."""

    name: str
    inputs: tuple[Shape, ...]
    result: Spot | None
    members: dict[str, Shape]
    parameters: dict[str, int] = field(default_factory=dict)
    body: Shape | None = None
    """The shape that the nodes handed over to a block read and end in, if it takes any."""


class Drawing:
    """One case while it is drawn."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.number = 0
        self.forms: Counter[str] = Counter()
        self.pairs: set[tuple[str, str]] = set()
        self.blocks: dict[str, Contents] = {}
        self.files: dict[str, Contents] = {}
        self.vars: dict[str, int] = {}
        self.defaults: Tree = {}

    def chance(self, share: float) -> bool:
        return self.random.random() < share

    def pick(self, *choices: Any) -> Any:
        return self.random.choice(choices)

    def unique(self, prefix: str) -> str:
        self.number += 1
        return f"{prefix}{self.number}"

    # The whole

    def case(self) -> Case:
        tree: Tree = {"specbuild": 1}
        if self.chance(0.5):
            self.vars = {"f": self.pick(1, 2, 3), "k": self.pick(1, 3), "t": STEPS}
            tree["vars"] = {**self.vars, "g": "$f * 2"}
            self.vars["g"] = self.vars["f"] * 2
        if self.chance(0.4):
            self.defaults = {
                "Conv2D": {"padding": "same", "kernel_size": self.pick(1, 3)},
                "ConvLSTM2D": {"padding": "same", "kernel_size": 3},
                "Dense": {"activation": "tanh"},
            }
            tree["defaults"] = copy.deepcopy(self.defaults)
        files: dict[str, Tree] = {}
        if self.chance(0.3):
            files["part.yaml"] = self.file("part.yaml")
        blocks = {}
        for name in ("first", "second")[: self.pick(0, 1, 1, 2)]:
            blocks[name] = self.block(name)
        if blocks:
            tree["blocks"] = blocks
        names = ("x", "y")[: self.pick(1, 1, 2)]
        shapes = {name: self.input_shape() for name in names}
        tree["inputs"] = {name: [self.written(length) for length in shape] for name, shape in shapes.items()}
        place = Place(names=dict(shapes), blocks=tuple(blocks))
        spot = Spot(shapes["x"], reference="x")
        tree["layers"], end = self.nodes(place, spot, self.pick(2, 3, 4), start=len(names) > 1)
        while not end.shape:
            known = self.random.choice(sorted(place.names))
            more, end = self.nodes(place, Spot(place.names[known], reference=known), 2, start=True)
            tree["layers"] += more
        tree["layers"] += self.closing(end, place)
        self.outputs(tree, place)
        return Case(tree, files, self.forms, self.pairs)

    def input_shape(self) -> Shape:
        return self.pick((STEPS, *FRAME), (STEPS, *FRAME), FRAME, VECTOR, (STEPS, *VECTOR))

    def closing(self, spot: Spot, place: Place) -> list[Tree]:
        """Nodes after which nothing is left open."""
        if spot.last is None:
            return []
        return [self.ranked(spot, self.pick("sequence", "last"), place)[0]]

    def outputs(self, tree: Tree, place: Place) -> None:
        known = [name for name in place.names if name not in tree["inputs"]]
        if not known or self.chance(0.25):
            return
        chosen = self.random.sample(known, min(len(known), self.pick(1, 2, 3)))
        tree["outputs"] = chosen
        if self.chance(0.4):
            tree["outputs"] = {f"out{index}": name for index, name in enumerate(chosen)}

    def file(self, name: str) -> Tree:
        """Draw a spec to insert."""
        outer, self.vars, defaults, self.defaults = self.vars, {"w": 2}, self.defaults, {}
        shapes = tuple(self.input_shape() for _ in range(self.pick(1, 1, 2)))
        inputs = {f"in{index}": shape for index, shape in enumerate(shapes)}
        place = Place(names=dict(inputs), seeds=("$s",), depth=1, inside="model")
        layers, end = self.nodes(place, Spot(shapes[0], reference="in0"), self.pick(1, 2), start=len(shapes) > 1)
        layers += (closing := self.closing(end, place))
        if closing:
            end = self.closed_spot
        tree: Tree = {"specbuild": 1, "vars": {"s": 0, "w": 2}}
        tree["inputs"] = {key: list(shape) for key, shape in inputs.items()}
        tree["layers"] = layers
        known = {key: shape for key, shape in place.names.items() if key not in inputs}
        result: Spot | None = end
        members = {key: shape for key, shape in known.items() if "." not in key}
        if known and self.chance(0.5):
            chosen = self.random.sample(sorted(known), min(len(known), self.pick(1, 2)))
            named = {f"o{index}": key for index, key in enumerate(chosen)}
            tree["outputs"] = named
            members |= {key: known[each] for key, each in named.items()}
            result = Spot(known[chosen[0]]) if len(chosen) == 1 else None
        self.vars, self.defaults = outer, defaults
        self.files[name] = Contents(name, shapes, result, members)
        return tree

    def block(self, name: str) -> Tree:
        """Draw a block."""
        shapes = tuple(self.input_shape() for _ in range(self.pick(1, 1, 2)))
        outer, self.vars = self.vars, {**self.vars, "n": 2}
        place = Place(seeds=("$s",), depth=1, inside="block", blocks=tuple(self.blocks))
        tree: Tree = {"parameters": {"s": self.pick("int", {"type": "int"}, {"type": "int", "default": 5}), "n": 2}}
        start = len(shapes) > 1
        if start or self.chance(0.3):
            tree["inputs"] = [f"in{index}" for index in range(len(shapes))]
            place.names = dict(zip(tree["inputs"], shapes, strict=True))
            spot = Spot(shapes[0], reference="in0")
        else:
            place.names = {"input": shapes[0]}
            spot = Spot(shapes[0], reference="input")
        inputs = set(place.names)
        body = None if start or self.chance(0.6) else spot.shape
        tree["do"], end = self.nodes(place, spot, self.pick(1, 2), start=start)
        if body is not None:
            tree["parameters"]["body"] = "nodes"
            tree["do"].insert(0, {self.pick("residual", "residual", "handed"): "$body"})
            if "handed" in tree["do"][0]:
                tree["do"][0] = {"repeat": 1, "do": "$body"}
        known = {key: shape for key, shape in place.names.items() if key not in inputs}
        members = {key: shape for key, shape in known.items() if "${" not in key}
        result: Spot | None = end
        if known and self.chance(0.4):
            chosen = self.random.sample(sorted(known), min(len(known), self.pick(1, 2)))
            style = self.pick("one", "list", "mapping")
            if style == "one":
                tree["output"] = chosen[0]
                result = Spot(known[chosen[0]])
            elif style == "list" and not any("." in key for key in chosen):
                tree["output"] = chosen
                result = Spot(known[chosen[0]]) if len(chosen) == 1 else None
            else:
                tree["output"] = {f"o{index}": key for index, key in enumerate(chosen)}
                members |= {f"o{index}": known[key] for index, key in enumerate(chosen)}
                result = Spot(known[chosen[0]]) if len(chosen) == 1 else None
        self.vars = outer
        self.blocks[name] = Contents(name, shapes, result, members, body=body)
        return tree

    # Lists of nodes

    def nodes(
        self,
        place: Place,
        spot: Spot,
        count: int,
        *,
        start: bool = False,
        keep: bool = False,
        goal: Shape | None = None,
    ) -> tuple[list[Tree], Spot]:
        """Draw some nodes. `start`: the first must say what it reads; `keep`: only channels change; `goal`: the end."""
        items: list[Tree] = []
        for index in range(count):
            if self.chance(0.05):
                items.append({"when": "${2 < 1}", "layer": "Flatten"})
            item, spot = self.node(place, spot, keep=keep or goal is not None, start=start and index == 0)
            if self.chance(0.05):
                item["when"] = self.pick("${1 < 2}", "${3 == 3}", "${3 != 4}")
            items.append(item)
            if not spot.shape:
                break
        if goal is not None and (spot.last is not None or spot.shape != goal):
            item, spot = self.projected(spot, goal, place)
            items.append(item)
        return items, spot

    def node(self, place: Place, spot: Spot, *, keep: bool, start: bool) -> tuple[Tree, Spot]:
        """Draw one node after a spot."""
        source = ""
        if start or (spot.reference and self.chance(0.1)):
            source = spot.reference
        if spot.last is not None:
            port = "sequence" if keep or place.feedback else self.pick("sequence", "last")
            if spot.reference and self.chance(0.4):
                source = f"{spot.reference}.{port}"
                spot = Spot(spot.shape if port == "sequence" else spot.last, reference=source)
            elif self.chance(0.95):
                return self.ranked(spot, port, place)
        elif not keep and not place.feedback and place.names and self.chance(0.12):
            source = self.random.choice(sorted(place.names))
            spot = Spot(place.names[source], reference=source)
        draw = self.random.choice(self.choices(place, spot))
        item, result, members = draw(place, spot, keep)
        form = next(form for form in naive.FORMS if form in item)
        self.note(form, place)
        several = isinstance(item.get("from"), list)
        if source and "from" not in item and form != "equation":
            item["from"] = source
        if start and "from" not in item and form != "equation":
            item["from"] = spot.reference
        inputs, bare = item.pop("_inputs", (spot.shape,)), item.pop("_bare", False)
        reusable = item.pop("_again", True) and not (form == "repeat" and item["repeat"] == 0)
        composite = form in ("repeat", "for", "branch", "residual", "block", "model", "encoder_decoder", "recurrent")
        if composite and self.chance(0.08):
            item["trainable"] = False
        if result.shape and result.last is None and self.chance(0.12):
            item["expect"] = [self.pick(length, length, None) for length in result.shape]
            if place.feedback:
                item["expect"][0] = None
        if not bare and ("id" in item or self.chance(0.55) or not result.shape):
            name = item.get("id") or self.id(place, form[0])
            item = {"id": name, **item}
            result = replace(result, reference=name if result.shape else "")
            self.name(place, name, result, members)
            if form in ("repeat", "for") and "merge" not in item and result.shape and result.last is None:
                count = len(next(iter(item["for"].values()))) if form == "for" else item["repeat"]
                if isinstance(count, int) and count and "$" not in name:
                    place.rounds.append((name, count, result.shape))
            if reusable and (several or "from" not in item or isinstance(item["from"], str)):
                place.again.append(Again(name, inputs, replace(result, reference=""), members))
        else:
            result = replace(result, reference="")
        return item, result

    def note(self, form: str, place: Place) -> None:
        self.forms[form] += 1
        self.pairs.add((place.inside, form))

    def id(self, place: Place, prefix: str) -> str:
        name = self.unique(prefix)
        if len(place.loops) == 1 and self.chance(0.5):
            return f"{name}_${place.loops[0]}"
        return name + "".join(f"_${{{loop}}}" for loop in place.loops)

    def name(self, place: Place, name: str, spot: Spot, members: dict[str, Shape]) -> None:
        """Note what may be read by a name."""
        if spot.last is not None:
            place.names[f"{name}.sequence"] = spot.shape
            place.names[f"{name}.last"] = spot.last
        elif spot.shape:
            place.names[name] = spot.shape
        for member, shape in members.items():
            place.names[f"{name}.{member}"] = shape

    def choices(self, place: Place, spot: Spot) -> list[Callable[..., tuple[Tree, Spot, dict[str, Shape]]]]:
        """Return what can be drawn after a spot, as often as it should be."""
        steps = len(spot.shape) in (2, 4)
        drawn = [self.layer] * 3 + [self.split]
        if steps:
            drawn += [self.level] * 2 + [self.frames] * 2
            if place.depth < 3:
                drawn += [self.recurrent] * 4
            if not place.feedback:
                drawn += [self.both]
        if any(shape == spot.shape for shape in place.names.values()):
            drawn += [self.merge] + [self.equation] * 2
        if self.motions(place, spot):
            drawn += [self.warp] * 2
        if place.rounds:
            drawn += [self.collected] * 2
        if steps and place.depth < 3 and not place.feedback:
            drawn += [self.composites_on_frames] * 2
        if any(each.inputs == (spot.shape,) for each in place.again):
            drawn += [self.reuse] * 4
        if place.depth < 3:
            drawn += [self.loop] * 3 + [self.branch] * 2 + [self.residual] * 2
            if not place.feedback and any(name in place.blocks for name in self.blocks):
                drawn += [self.use] * 3
            if not place.feedback and self.files and place.inside not in ("block", "model"):
                drawn += [self.insert] * 2
            if steps and not place.feedback:
                drawn += [self.coder] * 3
            if steps and not place.feedback:
                drawn += [self.feedback] * 2
        return drawn

    # Plain layers

    def seed(self, place: Place) -> Any:
        self.number += 1
        terms = [*place.seeds, *(f"${loop} * {17 + 14 * index}" for index, loop in enumerate(place.loops))]
        return " + ".join([*terms, str(self.number * 100)]) if terms else self.number * 100

    def written(self, number: int) -> Any:
        """Return a number, maybe as an expression of variables."""
        if not self.vars or self.chance(0.7):
            return number
        name, value = self.random.choice(sorted(self.vars.items()))
        return f"${name}" if value == number else f"${name} + {number - value}" if number > value else number

    def initial(self, place: Place, *names: str) -> Tree:
        """Return initializers with seeds of their own."""
        return {
            f"{name}_initializer": {"name": "RandomNormal", "stddev": 0.4, "seed": self.seed(place)} for name in names
        }

    def convolution(self, place: Place, filters: int, kernel: int | None = None) -> Tree:
        """Return a convolution that keeps the size of a frame."""
        layer: Tree = {"layer": "Conv2D", "filters": self.written(filters)}
        if "Conv2D" not in self.defaults or kernel is not None:
            layer |= {"kernel_size": kernel or self.pick(1, 3)}
        if "Conv2D" not in self.defaults:
            layer["padding"] = "same"
        if self.chance(0.3):
            layer["activation"] = "tanh"
        return layer | self.initial(place, "kernel", "bias")

    def dense(self, place: Place, units: int) -> Tree:
        return {"layer": "Dense", "units": self.written(units), **self.initial(place, "kernel", "bias")}

    def weighted(self, place: Place, channels: int, rank: int) -> Tree:
        """Return a layer with weights on a frame or a vector."""
        return self.convolution(place, channels) if rank == 3 else self.dense(place, channels)

    def projected(self, spot: Spot, goal: Shape, place: Place) -> tuple[Tree, Spot]:
        """Return a node from a spot to a shape that differs in its channels."""
        if spot.last is not None and place.feedback is False and len(goal) == len(spot.last):
            return {**self.weighted(place, goal[-1], len(goal))}, Spot(goal)
        steps = len(spot.shape) in (2, 4)
        layer = self.weighted(place, goal[-1], len(spot.shape) - steps)
        self.note("time_distributed" if steps else "layer", place)
        return {"time_distributed": layer} if steps else layer, Spot(goal)

    def ranked(self, spot: Spot, port: str, place: Place) -> tuple[Tree, Spot]:
        """Return a node that tells by its number of axes which port of an open end it reads."""
        channels = self.pick(1, 2, 3)
        if port == "last" and spot.last is not None:
            if len(spot.last) == 3:
                item, shape = self.convolution(place, channels), (*spot.last[:-1], channels)
            else:
                item, shape = {"layer": "RepeatVector", "n": 2}, (2, *spot.last)
            self.note("layer", place)
            self.closed_spot = Spot(shape)
            return item, self.closed_spot
        if len(spot.shape) == 4:
            item = {"time_distributed": self.convolution(place, channels)}
            self.note("time_distributed", place)
            self.closed_spot = Spot((*spot.shape[:-1], channels))
            return item, self.closed_spot
        if place.feedback:
            item, result, _ = self.level(place, Spot(spot.shape), True)
            self.note("layer", place)
            return item, result
        self.note("layer", place)
        layer = {"layer": "Conv1D", "filters": channels, "kernel_size": 3, "padding": "same"}
        self.closed_spot = Spot((spot.shape[0], channels))
        return layer | self.initial(place, "kernel", "bias"), self.closed_spot

    def layer(self, place: Place, spot: Spot, keep: bool) -> tuple[Tree, Spot, dict[str, Shape]]:
        shape, channels = spot.shape, self.pick(1, 2, 3)
        plain: list[tuple[Tree, Shape]] = [
            ({"layer": "ReLU"}, shape),
            ({"layer": "Activation", "activation": "tanh"}, shape),
            ({"layer": "BatchNormalization", **self.initial(place, "gamma", "moving_mean")}, shape),
        ]
        if len(shape) in (1, 2):
            plain += [(self.dense(place, channels), (*shape[:-1], channels))] * 3
        if len(shape) == 3:
            plain += [(self.convolution(place, channels), (*shape[:-1], channels))] * 4
            if not keep:
                plain += [
                    ({"layer": "GlobalAveragePooling2D"}, shape[-1:]),
                    ({"layer": "RepeatFrame", "times": STEPS}, (STEPS, *shape)),
                ]
                if shape[0] == 6:
                    plain += [({"layer": "MaxPooling2D"}, (3, 3, shape[-1]))]
        if len(shape) == 1 and not keep:
            plain += [({"layer": "RepeatVector", "n": STEPS}, (STEPS, *shape))]
        if len(shape) in (2, 4) and not keep:
            plain += [({"layer": "LastFrame"}, shape[1:])]
        item, result = self.random.choice(plain)
        return dict(item), Spot(result), {}

    def merge(self, place: Place, spot: Spot, keep: bool) -> tuple[Tree, Spot, dict[str, Shape]]:
        """A merge of the spot, which must have a name, with something of its shape."""
        equal = sorted(name for name, shape in place.names.items() if shape == spot.shape)
        first = spot.reference if spot.reference and spot.last is None else self.random.choice(equal)
        if not spot.reference and keep:
            return self.layer(place, spot, keep)
        kind = self.pick("Add", "Multiply", "Average", "Subtract", "Concatenate")
        shape = spot.shape if kind != "Concatenate" else (*spot.shape[:-1], 2 * spot.shape[-1])
        item = {"layer": kind, "from": [first, self.random.choice(equal)], "_inputs": (spot.shape, spot.shape)}
        return item, Spot(shape), {}

    def motions(self, place: Place, spot: Spot) -> list[str]:
        """Return the nodes that can be a motion of the frames of a spot, constant or of every step."""
        if len(spot.shape) not in (3, 4) or not spot.reference or spot.last is not None or place.feedback:
            return []
        constant = (*spot.shape[-3:-1], 2)
        return sorted(name for name, shape in place.names.items() if shape in (constant, (STEPS, *constant)))

    def warp(self, place: Place, spot: Spot, keep: bool) -> tuple[Tree, Spot, dict[str, Shape]]:
        """Frames of a spot, moved along a node that can be a motion; the spot must have a name."""
        motion = self.random.choice(self.motions(place, spot))
        shape, single = spot.shape, len(spot.shape) == 3
        if (keep and single) or (not single and shape[0] != STEPS):
            return self.layer(place, spot, keep)
        steps = self.pick(STEPS, [1, 0, 2]) if single else self.pick(STEPS, [1, 0, 2], "to_last")
        item = {"layer": "Warp", "from": [spot.reference, motion], "steps": steps, "outside": self.pick("edge", 0)}
        return item | {"_inputs": (shape, place.names[motion])}, Spot((STEPS, *shape[-3:])), {}

    def equation(self, place: Place, spot: Spot, keep: bool) -> tuple[Tree, Spot, dict[str, Shape]]:
        """An equation on nodes whose shapes broadcast to that of the spot."""
        equal = sorted(name for name, shape in place.names.items() if shape == spot.shape)
        first = spot.reference if spot.reference and spot.last is None else self.random.choice(equal)
        if not spot.reference and keep:
            return self.layer(place, spot, keep)
        second, third = self.random.choice(equal), self.random.choice(equal)
        vectors = sorted(name for name, shape in place.names.items() if shape == spot.shape[-1:])
        if len(spot.shape) > 1 and vectors and self.chance(0.5) and not place.feedback:
            third = self.random.choice(vectors)
        number = self.pick("2", "0.5", *(f"${name}" for name in (*self.vars, *place.loops)))
        text = self.pick(
            f"tanh({first})",
            f"{first} * {number} - {second}",
            f"sigmoid({first} - {second}) / (1 + {number})",
            f"-maximum({first}, {second} * {third}) ** 2 + {third}",
            f"{third} - ({first} + {second}) * ({third} - {first})",
        )
        used = list(dict.fromkeys(name for name in (first, second, third) if name in text))
        inputs = tuple(place.names.get(name, spot.shape) for name in used)
        return {"equation": text, "_inputs": inputs}, Spot(spot.shape), {}

    def split(self, place: Place, spot: Spot, keep: bool) -> tuple[Tree, Spot, dict[str, Shape]]:
        """A split, whose parts are read by name or joined again."""
        first = 1 + (len(spot.shape) in (2, 4) and place.feedback)
        axes = [axis for axis in range(first, len(spot.shape) + 1) if spot.shape[axis - 1] > 1]
        if not axes or spot.last is not None:
            return self.layer(place, spot, keep)
        axis = self.random.choice(axes)
        length = spot.shape[axis - 1]
        cut = self.random.randrange(1, length)
        lengths = [length // 2] * 2 if length % 2 == 0 and self.chance(0.5) else [cut, length - cut]
        bare = not keep and self.chance(0.3) and (lengths[0] == lengths[1] or not place.loops)
        names = [self.id(place, "p") for _ in lengths] if bare else ["a", "b"]
        parts = (
            names if lengths[0] == lengths[1] and (bare or self.chance(0.7)) else dict(zip(names, lengths, strict=True))
        )
        item: Tree = {"split": parts}
        if axis != len(spot.shape) or self.chance(0.3):
            item["axis"] = self.pick(axis, axis - len(spot.shape) - 1)
        shapes = [(*spot.shape[: axis - 1], length, *spot.shape[axis:]) for length in lengths]
        if keep or (not bare and self.chance(0.4)):
            inner, gates = self.inner(place, "loop"), self.id(place, "s")
            self.note("split", inner)
            self.note("equation", inner)
            gated = self.id(place, "q")
            equation = {"id": gated, "equation": f"tanh({gates}.a) + {gates}.a * 0.5"}
            joined = {"layer": "Concatenate", "axis": axis, "from": [gated, f"{gates}.b"]}
            return {"repeat": 1, "do": [{"id": gates, **item}, equation, joined]}, Spot(spot.shape), {}
        if bare:
            place.names.update(zip(names, shapes, strict=True))
            return {**item, "_bare": True}, Spot(()), {}
        return item, Spot(()), dict(zip(names, shapes, strict=True))

    def collected(self, place: Place, spot: Spot, keep: bool) -> tuple[Tree, Spot, dict[str, Shape]]:
        """All rounds of a loop, joined."""
        fitting = [each for each in place.rounds if each[2] == spot.shape or not keep]
        if not fitting or place.feedback:
            return self.layer(place, spot, keep)
        name, rounds, shape = self.random.choice(fitting)
        kind = self.pick("Add", "Maximum", "Average") if keep else self.pick("Add", "Average", "Concatenate")
        channels = shape[-1] * (rounds if kind == "Concatenate" else 1)
        return {"layer": kind, "from": f"{name}.rounds", "_again": False}, Spot((*shape[:-1], channels)), {}

    def composites_on_frames(self, place: Place, spot: Spot, keep: bool) -> tuple[Tree, Spot, dict[str, Shape]]:
        """Composites that run on every frame."""
        changes: dict[str, Any] = {"names": {}, "again": [], "states": [], "rounds": [], "blocks": ()}
        inner = replace(place, depth=place.depth + 1, inside="time_distributed", **changes)
        frame = spot.shape[1:]
        draw = self.pick(self.loop, self.branch, self.residual)
        if draw == self.branch:
            item, result, _ = self.branch(inner, Spot(frame), True)
        else:
            item, result, _ = draw(inner, Spot(frame), keep)
        items = [item]
        if result.shape != frame and keep:
            more, result = self.projected(result, frame, inner)
            items.append(more)
        return {"time_distributed": items}, Spot((spot.shape[0], *result.shape)), {}

    def frames(self, place: Place, spot: Spot, keep: bool) -> tuple[Tree, Spot, dict[str, Shape]]:
        """Layers on every frame."""
        shape, channels = spot.shape, self.pick(1, 2, 3)
        first = self.weighted(place, channels, len(shape) - 1)
        result: Shape = (*shape[:-1], channels)
        if self.chance(0.5):
            frozen = {"trainable": False} if self.chance(0.1) else {}
            return {"time_distributed": first, **frozen}, Spot(result), {}
        stack = [first, self.pick({"layer": "ReLU"}, {"layer": "BatchNormalization", **self.initial(place, "gamma")})]
        if not keep and len(shape) == 4 and shape[1] == 6 and self.chance(0.3):
            stack.append({"layer": "AveragePooling2D", "pool_size": 2})
            result = (shape[0], 3, 3, channels)
        return {"time_distributed": stack}, Spot(result), {}

    def cell(self, place: Place, rank: int, filters: int, kind: str = "") -> Tree:
        """Return a recurrent layer over frames or vectors, or a custom cell."""
        if kind == "recurrent":
            return self.level_as_text(place, rank, filters)
        kind = kind or (self.pick("ConvLSTM2D", "ConvGRU2D") if rank == 4 else self.pick("LSTM", "GRU", "SimpleRNN"))
        layer: Tree = {"layer": kind, "filters" if rank == 4 else "units": self.written(filters)}
        if rank == 4 and kind not in self.defaults:
            layer |= {"kernel_size": self.pick(1, 3), "padding": "same"}
        return layer | self.initial(place, "kernel", "recurrent", "bias")

    def level(self, place: Place, spot: Spot, keep: bool) -> tuple[Tree, Spot, dict[str, Shape]]:
        """A recurrent layer, with or without a state that is passed to it."""
        steps, *frame, _ = spot.shape
        filters = self.pick(1, 2, 3)
        item = self.cell(place, len(spot.shape), filters)
        fitting = []
        for state in place.states:
            if state[1] == item["layer"] and state[3][:-1] == tuple(frame):
                fitting.append(state)
        if fitting and self.chance(0.7) and not place.feedback:
            name, kind, filters, _ = self.random.choice(fitting)
            item["filters" if len(spot.shape) == 4 else "units"] = filters
            item["initial_state"] = name
            if self.chance(0.4):
                item["initial_state"] = {part: f"{name}.state.{part}" for part in naive.STATES[kind]}
        last = (*frame, filters)
        members: dict[str, Shape] = {}
        if not place.feedback and self.chance(0.3):
            item["return_sequences"] = self.chance(0.6) or keep
            spot = Spot((steps, *last) if item["return_sequences"] else last)
        else:
            spot = Spot((steps, *last), last)
            members = {f"state.{part}": last for part in naive.STATES[item["layer"]]}
            if not place.feedback and self.chance(0.1):
                item["expect"] = list(self.pick(spot.shape, last))
        if not place.feedback and self.chance(0.7):
            item = {"id": self.id(place, "r"), **item}
            place.states.append((item["id"], item["layer"], filters, last))
        return item, spot, members

    def recurrent(self, place: Place, spot: Spot, keep: bool) -> tuple[Tree, Spot, dict[str, Shape]]:
        """A custom cell."""
        steps, *frame = spot.shape
        inner = self.within_cell(place, tuple(frame))
        body: Tree = {"states": {}}
        passed = [each for each in place.states if each[1] == "recurrent" and _fits(each[3], tuple(frame))]
        given = self.random.choice(passed) if passed and self.chance(0.6) and not place.feedback else None
        shapes: dict[str, Shape] = {}
        if given is not None:
            body["states"] = copy.deepcopy(given[3][0])
            shapes = given[3][1]
        else:
            for name in self.pick("h", "hc", "hm", "hcm", "m"):
                body["states"][name], shapes[name] = self.state_of_cell(tuple(frame))
        if still := self.still(place, tuple(frame)):
            body["static"] = still
            inner.names |= {name: place.names[source] for name, source in still.items()}
        read = [name for name, shape in place.names.items() if len(shape) > 1 and shape[0] == steps]
        if read and self.chance(0.4):
            inner.names |= {name: place.names[name][1:] for name in self.random.sample(read, min(len(read), 2))}
        inner.names |= {"input": tuple(frame), **shapes}
        body["do"], _ = self.nodes(inner, Spot(tuple(frame), reference="input"), self.pick(0, 1, 1, 2))
        after: dict[str, Shape] = {}
        body["next"] = {name: self.next_of(inner, name, shape, body["do"], after) for name, shape in shapes.items()}
        inner.names |= after
        result = shapes[next(iter(shapes))]
        if self.chance(0.5):
            body["output"], result = self.output_of_cell(inner, shapes)
        if keep and (len(result) != len(frame) or result[:-1] != tuple(frame)[:-1]):
            body["output"], result = self.adapted(inner, tuple(frame), body["do"]), tuple(frame)
        for flag, share in (("go_backwards", 0.15), ("remat", 0.1)):
            if self.chance(share) and not (place.feedback and flag == "go_backwards"):
                body[flag] = True
        item: Tree = {"recurrent": body}
        members: dict[str, Shape] = {}
        end = Spot((steps, *result), result)
        if not place.feedback and self.chance(0.2):
            body["return_sequences"] = self.chance(0.6) or keep
            end = Spot((steps, *result) if body["return_sequences"] else result)
        else:
            members = {f"state.{name}": shape for name, shape in shapes.items()}
        if given is not None:
            item["initial_state"] = given[0]
            if self.chance(0.3):
                item["initial_state"] = {name: f"{given[0]}.state.{name}" for name in shapes}
        if not place.feedback and self.chance(0.7):
            item = {"id": self.id(place, "r"), **item}
            place.states.append((item["id"], "recurrent", 0, (body["states"], shapes)))
        return item, end, members

    def within_cell(self, place: Place, frame: Shape) -> Place:
        """Return the place inside a cell, where names are those of one step."""
        return Place(
            names={"input": frame},
            loops=place.loops,
            seeds=place.seeds,
            depth=place.depth + 1,
            inside="recurrent",
            blocks=place.blocks,
        )

    def state_of_cell(self, frame: Shape) -> tuple[Any, Shape]:
        """Return a state as it is declared, and its shape."""
        channels = self.pick(1, 2, 3)
        shape = (*frame[:-1], channels)
        declared: Any = self.written(channels)
        if self.chance(0.3):
            shape = self.pick(shape, (channels,), (channels, 2))
            declared = list(shape)
        if self.chance(0.3):
            declared = {"shape": declared, "initial": self.pick(-1, 0.5, "learned", "learned")}
        return declared, shape

    def still(self, place: Place, frame: Shape) -> dict[str, str]:
        """Return the static maps, by the names inside."""
        names = [name for name, shape in place.names.items() if shape[:-1] == frame[:-1]]
        return {self.unique("w"): self.random.choice(names)} if names and self.chance(0.3) else {}

    def adapted(self, place: Place, goal: Shape, items: list[Tree], source: str = "") -> str:
        """Add a node that ends in a shape, from something inside a cell, and return its name."""
        fitting = sorted(name for name, shape in place.names.items() if shape[:-1] == goal[:-1])
        frames = sorted(name for name, shape in place.names.items() if len(shape) == 3)
        name = self.id(place, "n")
        if source or fitting:
            item = {"from": source or self.random.choice(fitting), **self.weighted(place, goal[-1], len(goal))}
        elif len(goal) == 1 and frames:
            pooled = self.id(place, "n")
            items.append({"id": pooled, "layer": "GlobalAveragePooling2D", "from": self.random.choice(frames)})
            item = {"from": pooled, **self.dense(place, goal[-1])}
        else:
            start = self.random.choice(sorted(place.names))
            flat, wide = self.id(place, "n"), self.id(place, "n")
            items.append({"id": flat, "layer": "Flatten", "from": start})
            items.append({"id": wide, "from": flat, **self.dense(place, int(np.prod(goal)))})
            item = {"from": wide, "layer": "Reshape", "target_shape": list(goal)}
        items.append({"id": name, **item})
        place.names[name] = goal
        return name

    def next_of(self, place: Place, state: str, shape: Shape, items: list[Tree], after: dict[str, Shape]) -> Any:
        """Add what a state becomes to the nodes of a cell, and return its name, an equation, or a number.

        `after` has the states that are known after the step.
        """
        before = [name for name, each in after.items() if each == shape]
        after[f"{state}_next"] = shape
        if self.chance(0.05):
            return self.pick(state, state, 0, -0.5)
        new = self.adapted(place, shape, items)
        kept = self.adapted(place, shape, items, state)
        if self.chance(0.5):
            more, end = self.nodes(place, Spot(shape, reference=kept), self.pick(1, 1, 2), start=True, goal=shape)
            kept = end.reference
            if not kept:
                kept = more[-1]["id"] = self.id(place, "n")
            items += more
        known = sorted(name for name, each in place.names.items() if each == shape and "." not in name)
        other = self.random.choice([*known, *before * 3])
        result: str = self.pick(
            f"tanh({new} + {kept})",
            f"tanh({new}) * 0.5 - {kept} * {other}",
            f"sigmoid({new}) * {state} + (1 - sigmoid({new})) * tanh({kept})",
            new,
        )
        if self.chance(0.3) or not result.isidentifier():
            return result
        items.append({"id": (name := self.id(place, "n")), "layer": "Add", "from": [new, kept]})
        place.names[name] = shape
        return name

    def output_of_cell(self, place: Place, states: dict[str, Shape]) -> tuple[str, Shape]:
        """Return the output of a cell, and its shape."""
        name = self.random.choice(sorted({*place.names} - {"input", *states}) or ["h"])
        shape = place.names.get(name, ())
        if not shape or self.chance(0.3):
            name = self.random.choice(sorted(states))
            return name, states[name]
        return self.pick(name, name, f"tanh({name}) * 2"), shape

    def level_as_text(self, place: Place, rank: int, channels: int, *, blind: bool = False) -> Tree:
        """Return a cell that can be a level, in one direction or both; `blind` reads its states alone."""
        frame = (6, 6, 1) if rank == 4 else (1,)
        inner = self.within_cell(place, frame)
        shape = (*frame[:-1], channels)
        inner.names = {"h": shape, "c": shape, **({} if blind else {"input": frame})}
        items: list[Tree] = []
        if not blind:
            inner.names[self.adapted(inner, shape, items, "input")] = shape
        self.forms["recurrent"] += 1
        states = {"h": self.written(channels), "c": self.written(channels)}
        after: dict[str, Shape] = {}
        becomes = {name: self.next_of(inner, name, shape, items, after) for name in states}
        return {"recurrent": {"states": states, "do": items, "next": becomes}}

    def both(self, place: Place, spot: Spot, keep: bool) -> tuple[Tree, Spot, dict[str, Shape]]:  # noqa: ARG002 - as all draws
        """A recurrent layer in both directions."""
        steps, *frame, _ = spot.shape
        filters = self.pick(1, 2)
        kind = "recurrent" if self.chance(0.3) else ""
        item: Tree = {"bidirectional": self.cell(place, len(spot.shape), filters, kind)}
        mode = self.pick("concat", "sum", "mul", "ave", None)
        if mode is not None:
            item["merge_mode"] = mode
        last = (*frame, filters * 2 if mode in ("concat", None) else filters)
        return item, Spot((steps, *last), last), {}

    # Composites

    def inner(self, place: Place, form: str, **changes: Any) -> Place:
        """Return the place inside a composite that reads what is outside."""
        return replace(
            place,
            names=dict(place.names),
            again=list(place.again),
            states=list(place.states),
            depth=place.depth + 1,
            inside=form,
            **changes,
        )

    def leave(self, place: Place, inner: Place) -> None:
        """Make what was named inside readable outside."""
        place.names.update(inner.names)
        place.again[:] = inner.again
        place.states[:] = inner.states

    def loop(self, place: Place, spot: Spot, keep: bool) -> tuple[Tree, Spot, dict[str, Shape]]:
        """A loop whose rounds end in the shape in which they begin, one after the other or side by side."""
        variable = f"v{len(place.loops)}{self.pick('', 'a')}"
        inner = self.inner(place, "loop", loops=(*place.loops, variable))
        if len(spot.shape) in (2, 4) and self.chance(0.25):
            item, result, _ = (
                self.both(inner, spot, True)
                if self.chance(0.2) and not place.feedback
                else self.level(inner, spot, True)
            )
            item.pop("initial_state", None)
            items, end = [item], result
        else:
            items, end = self.nodes(inner, Spot(spot.shape), self.pick(1, 2), goal=spot.shape)
        rounds = self.pick(1, 2, 2, 3)
        beside = end.last is None and self.chance(0.3)
        values = list(range(1, rounds + 1))
        if self.chance(0.5):
            item = {"repeat": self.written(rounds), "as": variable, "do": items}
            if self.chance(0.04) and not beside:
                item["repeat"], end = 0, Spot(spot.shape)
                return item, end, {}
        else:
            values = self.random.sample(range(1, 9), rounds)
            item = {"for": {variable: values}, "do": items}
            if self.chance(0.2):
                item["as"] = self.unique("count")
        if beside:
            item["merge"], channels = self.merging(spot.shape[-1], rounds, keep=keep)
            end = Spot((*spot.shape[:-1], channels))
        last = str(self.random.choice(values))
        for name, shape in inner.names.items():
            if name not in place.names:
                place.names[self.at(name, variable, last)] = shape
        for each in inner.again[len(place.again) :]:
            place.again.append(replace(each, id=self.at(each.id, variable, last)))
        for name, *rest in inner.states[len(place.states) :]:
            place.states.append((self.at(name, variable, last), *rest))
        return item, end, {}

    def at(self, name: str, variable: str, value: str) -> str:
        """Return a name inside a loop as it is called outside."""
        name = name.replace(f"${{{variable}}}", value)
        return re.sub(rf"\${variable}(?!\w)", value, name)

    def branch(self, place: Place, spot: Spot, keep: bool) -> tuple[Tree, Spot, dict[str, Shape]]:
        """Paths that end in one shape and are joined, or end anywhere and are read by name."""
        inner = self.inner(place, "branch")
        merged = keep or self.chance(0.6)
        paths: dict[str, list[Tree]] = {}
        members: dict[str, Shape] = {}
        for name in ("a", "b", "c")[: self.pick(1, 2, 2, 3) if not merged else self.pick(2, 2, 3)]:
            if self.chance(0.2):
                paths[name], end = [], Spot(spot.shape)
            else:
                goal = spot.shape if merged else None
                paths[name], end = self.nodes(inner, Spot(spot.shape), self.pick(1, 2), goal=goal, keep=keep)
            if end.last is None and end.shape:
                members[name] = end.shape
            elif end.last is not None:
                members |= {f"{name}.sequence": end.shape, f"{name}.last": end.last}
        self.leave(place, inner)
        if not merged:
            return {"branch": paths}, Spot(()), members
        merge, channels = self.merging(spot.shape[-1], len(paths))
        return {"branch": paths, "merge": merge}, Spot((*spot.shape[:-1], channels)), members

    def merging(self, channels: int, paths: int, *, keep: bool = False) -> tuple[Any, int]:
        """Return a layer that joins paths of one shape, and the channels that come of it."""
        kind = self.pick("Add", "Multiply", "Average", "Maximum", "Concatenate")
        if keep and kind == "Concatenate":
            kind = "Add"
        merge = kind if self.chance(0.6) else {"layer": kind}
        return merge, channels * paths if kind == "Concatenate" else channels

    def residual(self, place: Place, spot: Spot, keep: bool) -> tuple[Tree, Spot, dict[str, Shape]]:  # noqa: ARG002 - as all draws
        inner = self.inner(place, "residual")
        goal = spot.shape
        item: Tree = {}
        if self.chance(0.4):
            goal = (*spot.shape[:-1], self.pick(1, 2, 3))
        item["residual"], _ = self.nodes(inner, Spot(spot.shape), self.pick(1, 2), goal=goal)
        if goal != spot.shape or self.chance(0.2):
            around, _ = self.nodes(inner, Spot(spot.shape), 1, goal=goal)
            # What is left out has no names to read and no condition of its own; weights that it freezes stay frozen.
            plain = all({"id", "projection", "reuse"}.isdisjoint(node) for node in nodes_of({"layers": around}))
            item["projection" if plain and self.chance(0.5) else "shortcut"] = around
        channels = goal[-1]
        if self.chance(0.3):
            item["merge"], channels = self.merging(channels, 2)
        self.leave(place, inner)
        return item, Spot((*goal[:-1], channels)), {}

    def inlined(self, contents: Contents, place: Place, spot: Spot) -> tuple[Tree, Spot, dict[str, Shape]] | None:
        """Return what a block or a file reads here, and what it gives; None where nothing fits."""
        item: Tree = {}
        if contents.inputs != (spot.shape,):
            sources = []
            for shape in contents.inputs:
                fitting = sorted(name for name, each in place.names.items() if each == shape)
                if not fitting:
                    return None
                sources.append(self.random.choice(fitting))
            item["from"] = sources if len(sources) > 1 else sources[0]
            item["_inputs"] = contents.inputs
        return item, contents.result or Spot(()), contents.members

    def use(self, place: Place, spot: Spot, keep: bool) -> tuple[Tree, Spot, dict[str, Shape]]:
        """A block."""
        contents = self.blocks[self.random.choice(place.blocks)]
        found = self.inlined(contents, place, spot)
        if found is None or (keep and (found[1].last is not None or found[1].shape != spot.shape)):
            return self.layer(place, spot, keep)
        item, result, members = found
        item = {"block": contents.name, "with": {"s": self.seed(place)}, **item}
        if self.chance(0.3):
            item["with"]["n"] = 2
        if contents.body is not None:
            inner = Place(loops=place.loops, seeds=place.seeds, depth=place.depth + 1, inside="nodes of a block")
            item["with"]["body"], _ = self.nodes(inner, Spot(contents.body), self.pick(1, 2), goal=contents.body)
        return item, result, members

    def insert(self, place: Place, spot: Spot, keep: bool) -> tuple[Tree, Spot, dict[str, Shape]]:
        """Another spec."""
        (contents,) = self.files.values()
        found = self.inlined(contents, place, spot)
        if found is None or (keep and found[1].shape != spot.shape):
            return self.layer(place, spot, keep)
        item, result, members = found
        return {"model": contents.name, "vars": {"s": self.seed(place)}, **item}, result, members

    def reuse(self, place: Place, spot: Spot, keep: bool) -> tuple[Tree, Spot, dict[str, Shape]]:
        """An earlier node again."""
        fitting = [each for each in place.again if each.inputs == (spot.shape,)]
        if keep:
            fitting = [each for each in fitting if each.result.last is None and each.result.shape == spot.shape]
        if not fitting:
            return self.layer(place, spot, keep)
        chosen = self.random.choice(fitting)
        item: Tree = {"reuse": chosen.id}
        if not place.feedback and self.chance(0.4) and chosen.id in [state[0] for state in place.states]:
            item["initial_state"] = chosen.id
        return item, chosen.result, chosen.members

    def coder(self, place: Place, spot: Spot, keep: bool) -> tuple[Tree, Spot, dict[str, Shape]]:
        """An encoder and a decoder."""
        frame = spot.shape[1:-1]
        rank = len(spot.shape)
        inner = self.inner(place, "encoder_decoder")
        inner.again = []
        kind = self.pick("ConvLSTM2D", "ConvGRU2D") if rank == 4 else self.pick("LSTM", "GRU")
        if self.chance(0.35):
            kind = "recurrent"
        levels = self.pick(1, 2, 2)
        sizes = [self.pick(1, 2, 3) for _ in range(levels)]
        mirrored = rank == 4 and self.chance(0.35)
        feed: Any = self.pick("none", "none", "last", "last_frame", "repeat", "sequence", "feedback")
        if rank == 2 and feed == "none":
            feed = "last"
        modes = [self.pick("", "", "", "concat", "sum") for _ in range(levels)]
        encoder: list[Tree] = []
        names = []
        states = [size * 2 if mode == "concat" else size for size, mode in zip(sizes, modes, strict=True)]
        for size, mode in zip(sizes, modes, strict=True):
            if self.chance(0.4):
                layer = self.weighted(inner, self.pick(1, 2), rank - 1)
                if mirrored and self.chance(0.3) and tuple(frame) == (6, 6) and not encoder:
                    layer |= {"strides": 2, "padding": "same"}
                between: Tree = {"time_distributed": layer}
                if self.chance(0.3):
                    between = {"time_distributed": [layer, {"layer": "ReLU"}]}
                encoder.append(between)
            names.append(self.id(place, "e"))
            encoder.append(self.coded(names[-1], self.cell(inner, rank, size, kind), mode))
        if self.chance(0.15):
            encoder = self.wrapped(encoder, inner)
        body: Tree = {"encoder": encoder}
        horizon = self.pick(1, 2, 3)
        if feed == "none":
            if self.chance(0.3):
                body["feed"] = "none"
        elif feed == "repeat":
            wanted = [name for name, shape in place.names.items() if shape[:-1] == tuple(frame)]
            body["feed"] = {"repeat": self.random.choice(wanted)} if wanted else "last"
        elif feed == "sequence":
            wanted = [name for name, shape in place.names.items() if len(shape) == rank and shape[1:-1] == tuple(frame)]
            if wanted:
                body["feed"] = self.random.choice(wanted)
                horizon = place.names[body["feed"]][0]
            else:
                body["feed"] = "last_frame"
        else:
            body["feed"] = feed
        if feed != "sequence" or body["feed"] == "last_frame":
            body["horizon"] = self.written(horizon)
        members: dict[str, Shape] = {}
        last_frames: dict[str, Shape] = {}
        if mirrored:
            if self.chance(0.3):
                body["decoder"] = "mirrored"
            end = encoder[0] if isinstance(encoder[0], dict) else {}
            last = states[0]
            if "time_distributed" in end:
                layer = end["time_distributed"]
                layer = layer[0] if isinstance(layer, list) else layer
                last = self.value(layer["filters"])
        else:
            order = self.pick("mirrored", "mirrored", "in_order", "ids", "none" if feed != "feedback" else "ids")
            if order != "mirrored":
                body["states"] = order
            givers = list(range(levels)) if order == "in_order" else list(reversed(range(levels)))
            decoder: list[Tree] = []
            takers = []
            outputs = []
            written_states = {}
            for number, giver in enumerate(givers):
                if number > 0 and self.chance(0.3) and feed != "feedback":
                    decoder.append({"time_distributed": self.weighted(inner, self.pick(1, 2), rank - 1)})
                takers.append(self.id(place, "d"))
                both = modes[giver] and self.chance(0.4) and feed != "feedback"
                half = order == "none" and modes[giver] and not both
                size = sizes[giver] if both or half else states[giver]
                cell = self.cell(inner, rank, size, kind)
                if kind == "recurrent" and not number and feed == "none":
                    cell = self.level_as_text(inner, rank, size, blind=True)
                level = self.coded(takers[-1], cell, modes[giver] if both else "")
                if order == "none":
                    if half:
                        parts = naive.STATES.get(kind, ("h", "c"))
                        level["initial_state"] = {part: f"{names[giver]}.state.forward_{part}" for part in parts}
                    else:
                        level["initial_state"] = names[giver]
                decoder.append(level)
                written_states[takers[-1]] = names[giver]
                outputs.append(size * 2 if both and modes[giver] == "concat" else size)
            last = outputs[-1]
            if order == "ids":
                body["states"] = dict(written_states)
                if feed != "none" and self.chance(0.3):
                    body["states"][takers[-1]] = "none"
            if self.chance(0.25):
                channels = self.pick(1, 2)
                decoder.append({"time_distributed": self.weighted(inner, channels, rank - 1)})
                last = channels
            body["decoder"] = decoder
            for name, size in zip(takers, outputs, strict=True) if feed != "feedback" else ():
                last_frames[f"{name}.last"] = (*frame, size)
                if not place.loops:
                    members[f"{name}.sequence"] = (horizon, *frame, size)
        if self.chance(0.4) or keep or feed == "feedback":
            body["head"] = [{"time_distributed": self.weighted(inner, spot.shape[-1], rank - 1)}]
            last = spot.shape[-1]
            if self.chance(0.3):
                body["head_input"] = self.pick("all", "end")
        result = Spot((horizon, *frame, last))
        if keep and result.shape != spot.shape:
            return self.layer(place, spot, keep)
        place.names |= last_frames
        if self.chance(0.1) and rank == 4:
            body["remat"] = True
        members["decoder"] = (horizon, *frame, last) if "head" not in body else ()
        if feed == "feedback" and not mirrored and self.chance(0.4):
            self.covarying(place, spot, horizon, body)
        members = {name: shape for name, shape in members.items() if shape}
        item: Tree = {"encoder_decoder": body}
        if spot.reference and self.chance(0.5):
            item["from"] = spot.reference
        for each in ("time_distributed", "layer"):
            self.note(each, inner)
        return item, result, members

    def covarying(self, place: Place, spot: Spot, horizon: int, body: Tree) -> None:
        """Give a feedback decoder covariates and static maps, if any fit."""
        frame = Spot((1, *spot.shape[1:]))
        if read := self.covariates(place, frame, horizon, body):
            body["decoder"].insert(0, {"layer": "Concatenate", "from": ["input", *read]})

    def value(self, number: Any) -> int:
        """Return the value of a number that may be written with variables."""
        return int(naive.substituted(number, self.vars))

    def coded(self, name: str, cell: Tree, mode: str) -> Tree:
        """Return a level of an encoder or decoder."""
        if not mode:
            return {"id": name, **cell}
        self.forms["bidirectional"] += 1
        return {"id": name, "bidirectional": cell, "merge_mode": mode}

    def wrapped(self, items: list[Tree], place: Place) -> list[Tree]:
        """Return nodes inside a composite that changes nothing."""
        if self.chance(0.5):
            self.note("repeat", place)
            return [{"repeat": 1, "do": items}]
        self.note("branch", place)
        return [{"for": {"unused": [1]}, "do": items}]

    def feedback(self, place: Place, spot: Spot, keep: bool) -> tuple[Tree, Spot, dict[str, Shape]]:
        """Nodes that run on their own output."""
        inner = Place(
            names={"input": spot.shape},
            loops=place.loops,
            seeds=place.seeds,
            depth=place.depth + 1,
            feedback=True,
            inside="autoregressive",
        )
        horizon = self.pick(1, 2, 3)
        if keep:
            horizon = spot.shape[0]
        body: Tree = {"do": [], "horizon": self.written(horizon)}
        start = spot
        if read := self.covariates(place, spot, horizon, body):
            inner.names |= read
            body["do"].append({"layer": "Concatenate", "from": ["input", *read]})
            start = Spot((*spot.shape[:-1], spot.shape[-1] + sum(shape[-1] for shape in read.values())))
        first, spot_inside, _ = self.pick(self.level, self.recurrent)(inner, start, True)
        states = [each for each in place.states if each[3][:-1] == spot.shape[1:-1]]
        if states and self.chance(0.6):
            _, kind, filters, last = self.random.choice(states)
            first = self.cell(inner, len(spot.shape), filters, kind)
            spot_inside = Spot((spot.shape[0], *last), last)
        rest, _ = self.nodes(inner, spot_inside, self.pick(0, 1, 2), goal=spot.shape)
        body["do"] += [first, *rest]
        steps = horizon
        if self.chance(0.3):
            body["give"] = self.pick("all", "horizon") if not keep else "horizon"
            steps = spot.shape[0] - 1 + horizon if body["give"] == "all" else horizon
        if self.chance(0.1):
            body["remat"] = True
        item: Tree = {"autoregressive": body}
        if given := self.inner_states(body["do"], states):
            item["initial_state"] = given
        if read:
            item["_again"] = False
        return item, Spot((steps, *spot.shape[1:])), {}

    def inner_states(self, items: list[Tree], states: list[tuple[str, str, int, Shape]]) -> Any:
        """Return initial states for the recurrent layers among the items, if any fit."""
        if not all("layer" in item or "time_distributed" in item for item in items):
            return None  # Layers in composites have no names of their own here.
        given: dict[str, str] = {}
        levels = [item for item in items if item.get("layer") in naive.STATES and "when" not in item]
        for level in levels:
            size = self.value(level.get("filters", level.get("units")))
            fitting = [name for name, kind, filters, _ in states if (kind, filters) == (level["layer"], size)]
            if "id" not in level:
                level["id"] = self.unique("m")
            given[level["id"]] = self.random.choice(fitting) if fitting and self.chance(0.8) else "none"
        if set(given.values()) <= {"none"} or any("$" in name for name in given):
            return None
        return next(iter(given.values())) if len(given) == 1 and self.chance(0.5) else given

    def covariates(self, place: Place, spot: Spot, horizon: int, body: Tree) -> dict[str, Shape]:
        """Give feedback covariates and static maps, if any fit; return their shapes inside, by name."""
        wanted = (spot.shape[0] + horizon - 1, *spot.shape[1:-1])
        moving = sorted(name for name, shape in place.names.items() if shape[:-1] == wanted and shape != spot.shape[1:])
        still = sorted(name for name, shape in place.names.items() if shape[:-1] == spot.shape[1:-1])
        read: dict[str, Shape] = {}
        for key, names in (("covariates", moving), ("static", still)):
            if names and self.chance(0.5):
                source, name = self.random.choice(names), self.unique("w")
                body[key] = {name: source}
                read[name] = (*spot.shape[:-1], place.names[source][-1])
        return read


def _fits(cell: Any, frame: Shape) -> bool:
    """Whether the states of a cell, as declared and as shapes, are the same over other frames."""
    states, shapes = cell
    whole = {name: each["shape"] if isinstance(each, dict) else each for name, each in states.items()}
    return all(isinstance(each, list) or shapes[name][:-1] == frame[:-1] for name, each in whole.items())


if __name__ == "__main__":
    sys.exit(main())
