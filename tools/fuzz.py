"""Break valid specs at random, and verify that the static check always gives a graph or located errors, in time.

    python tools/fuzz.py [--cases N] [--seconds N] [--seed N] [--edits] [--build-every N] [--keep FOLDER]

A spec is broken as a tree (keys, values and branches go, come, change and move) or as text. With `--edits` it is one of
those that are shipped, and is changed as a user might change it: arguments get values that they have elsewhere, layers
get other kinds and arguments, move, and are wrapped; much of that is sound.

Whatever comes out, the check must give a graph that can be summarized and written out again, or errors that each stand
inside the text and can be rendered. Of the graphs that are accepted every N-th is built in Keras, which must agree with
its shapes and weights, and must run a batch. Findings go to FOLDER, one for each place that they come from; the exit
code is 1 if there are any.
"""

from __future__ import annotations

import argparse
import math
import os
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import yaml
from findings import Wrong, place_of

from specbuild.catalog.registry import kind_named, kind_names
from specbuild.document import Diagnostic, Report, SpecError, parse, plain
from specbuild.document.render import render_github, render_json, render_text
from specbuild.facade import check
from specbuild.graph import Graph
from specbuild.graph.summary import summarize

ROOT = Path(__file__).parent.parent
SLOW = 2.0
"""Seconds of the processor after which a check counts as a finding."""
MAX_BUILT = 2_000_000
"""Parameters, and numbers in any tensor, of the largest graph that is built in Keras."""

WORDS = (
    *(0, 1, -1, 2, 3, 7, 64, 2**31, 2**63, 10**40, 0.5, -0.0, 1e-300, 1e300, float("inf"), float("nan")),
    *(
        True,
        False,
        None,
        "",
        "~",
        " ",
        "same",
        "valid",
        "relu",
        "nope",
        "Conv2D",
        "ConvLSTM2D",
        "Add",
        "$x",
        "$$",
        "${",
    ),
    *("$x * 2", "${1/0}", "a.b", "enc.last", "enc.state.h", "\u202e", "0x10", "é" * 90, "channels_first", "float16"),
    *("x * 2 - x", "tanh(enc.last) ** $x", "maximum(x, 1 / 0)", "-(x"),
    *([], {}, [1], [[]], [1, 2, 3, 4], {"layer": "ReLU"}, {"name": "nope"}, [None], {"a": {}}),
)


@dataclass
class Findings:
    """What a run came to: how many specs were accepted, refused and built, and what should not have happened."""

    counts: Counter[str] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    found: dict[str, tuple[str, str]] = field(default_factory=dict)
    """By the place that it comes from: the first spec that shows it, and what happened."""
    cases: int = 0


class Corpus:
    """Specs as text and as trees."""

    def __init__(self, texts: Iterator[str]) -> None:
        self.texts = list(texts)
        self.trees = [plain(parse(text)) for text in self.texts]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=math.inf, help="Stop after so long, whatever --cases says.")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--edits", action="store_true", help="Change shipped specs as a user might.")
    parser.add_argument("--build-every", type=int, default=500)
    parser.add_argument("--keep", type=Path)
    options = parser.parse_args()
    started = time.perf_counter()
    generator = edits if options.edits else breaks

    def found(where: str, text: str, what: str) -> None:
        print(f"--- {where}\n{what}", flush=True)
        if options.keep:
            options.keep.mkdir(parents=True, exist_ok=True)
            name = re.sub(r"[^a-z0-9]+", "-", where.lower())[:80]
            (options.keep / f"{name}.yaml").write_text(text, "utf-8", "replace")

    findings = fuzz(options.cases, options.seed, options.build_every, generator(), options.seconds, found)
    rate = findings.cases / (time.perf_counter() - started)
    print(f"{findings.cases:,} cases, {rate:.0f} a second; {len(findings.found)} findings; {dict(findings.counts)}")
    print(f"errors by code: {dict(findings.codes.most_common())}")
    return 1 if findings.found else 0


Generator = Callable[[Random], str]
"""Makes the text of a spec; the working directory is then the folder that it may name files of."""


def fuzz(
    cases: int,
    seed: int,
    build_every: int = 0,
    generator: Generator | None = None,
    seconds: float = math.inf,
    found: Callable[[str, str, str], None] = lambda *_: None,
) -> Findings:
    """Judges so many specs, or as many as fit into so many seconds; 0 for `build_every` builds none.

    `found` hears of the first spec of each finding: where it comes from, the text, and what happened.
    """
    generator = generator or breaks()
    findings = Findings()
    end = time.monotonic() + seconds
    home = Path.cwd()
    for number in range(cases):
        if time.monotonic() > end:
            break
        findings.cases += 1
        text = generator(Random(f"{seed}.{number}"))
        try:
            graph = judged(text, findings)
            if graph is not None:
                accepted(graph, findings, build_every)
        except Exception as fault:  # anything at all is a finding
            where, what = place_of(fault, 3)
            findings.counts["wrong"] += 1
            if where not in findings.found:
                findings.found[where] = text, what
                found(where, text, what)
        finally:
            os.chdir(home)
    return findings


def breaks() -> Generator:
    """Return what breaks sound specs, and specs that are broken already."""
    right, wrong = Corpus(sound()), Corpus(unsound())
    return lambda random: broken(random, wrong if random.random() < 0.25 else right)


def sound() -> Iterator[str]:
    """Specs to break: those that are shipped and those written after real models."""
    for folder in ("specs", "tests/real_models"):
        for path in sorted((ROOT / folder).glob("*.yaml")):
            yield path.read_text("utf-8")


def unsound() -> Iterator[str]:
    """Specs to break further: those of the page of errors, which between them hold all of the language."""
    for text in re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / "errors.md").read_text("utf-8"), re.DOTALL):
        try:
            if isinstance(plain(parse(text)), dict):
                yield text
        except SpecError:
            pass


# Judging


def judged(text: str, findings: Findings) -> Graph | None:
    """The graph of a text, if it is sound, after holding what the check says against the text."""
    report = Report()
    started = time.process_time()
    graph = check(text if "\n" in text else f"{text}\n", report=report)
    taken = time.process_time() - started
    for one in report:
        located(one)
    render_json(report)
    if (graph is None) != report.failed:
        raise Wrong("neither a graph nor errors, or both")
    findings.counts["refused" if graph is None else "accepted"] += 1
    findings.codes.update({one.code for one in report.errors})
    if taken > SLOW:
        raise Wrong(f"the check took {taken:.1f} s")
    return graph


def located(one: Diagnostic) -> None:
    """Holds one finding to its form."""
    if not one.message or "\n" in one.message:
        raise Wrong(f"a message is empty or of several lines: {one.message!r}")
    render_text(one)
    render_text(one, color=True)
    render_github(one)
    span = one.span
    if span is None:
        raise Wrong(f"no place: {one.message}")
    lines = span.source.text.split("\n")
    starts, ends = (span.line, span.column), (span.end_line, span.end_column)
    for line, column in (starts, ends):
        if not (1 <= line <= len(lines) and 1 <= column <= len(lines[line - 1]) + 1):
            raise Wrong(f"line {line}, column {column} is outside the text: {one.message}")
    if starts > ends:
        raise Wrong(f"it ends before it starts: {one.message}")


def accepted(graph: Graph, findings: Findings, build_every: int) -> None:
    """Holds a graph to what follows from it."""
    count = findings.counts["accepted"]
    if count % 10 == 0:
        findings.counts["written out"] += 1
        summarize(graph, batch=2)
        written_out(graph)
    if build_every and count % build_every == 0 and is_modest(graph):
        findings.counts["built"] += 1
        built(graph)


def built(graph: Graph) -> None:
    """What the check lets pass is built, and gives outputs of the shapes that it says."""
    from specbuild.model.backend import keras
    from specbuild.model.build import build

    keras.backend.clear_session()
    try:
        model = build(graph, "float32")
        if any(None in x.shape for x in graph.inputs):  # the lengths that fit together are unknown
            return
        batch = [np.zeros((x.batch or 2, *(length or 8 for length in x.shape)), x.dtype) for x in graph.inputs]
        given = model(batch[0] if len(batch) == 1 else batch)
    except Exception as fault:
        raise Wrong(f"the check passed, the build failed {place_of(fault, 3)[0]}: {fault}") from fault
    given = given if isinstance(given, dict | list | tuple) else [given]
    for number, output in enumerate(graph.outputs):
        tensor = given[output.name if isinstance(given, dict) else number]
        if any(said not in (None, length) for said, length in zip(output.shape, tensor.shape[1:], strict=True)):
            raise Wrong(f"an output has another shape: {output.shape}, {tensor.shape}")


def written_out(graph: Graph) -> None:
    """The resolved spec gives the same graph."""
    report = Report()
    again = check(graph.spec.resolved(), report=report, roots=[graph.spec.here])
    if again is None:
        raise Wrong(f"the resolved spec is refused, {report.errors[0].code}: {report.errors[0].message}")
    if [(node.id, node.shapes, node.parameters) for node in graph.nodes] != [
        (node.id, node.shapes, node.parameters) for node in again.nodes
    ]:
        raise Wrong("the resolved spec gives another graph")


def is_modest(graph: Graph) -> bool:
    sizes = [graph.parameters, *(weight.size for node in graph.nodes for weight in node.weights)]
    shapes = [one.shape for one in graph.inputs] + [shape for node in graph.nodes for shape in node.shapes.values()]
    for shape in shapes:
        total = 1
        for length in shape:
            total *= length or 1
        sizes.append(total)
    return max(sizes) <= MAX_BUILT and len(graph.nodes) <= 200


# Breaking


def broken(random: Random, corpus: Corpus) -> str:
    """One of the specs, broken in one to four places."""
    if random.random() < 0.3:
        return _broken_text(random, random.choice(corpus.texts))
    tree = _copy(random.choice(corpus.trees))
    for _ in range(random.choice((1, 1, 1, 2, 3, 4))):
        random.choice(TREE)(random, tree, corpus.trees)
    style = random.choice((None, False))
    text = yaml.dump(tree, Dumper=_DUMPER, sort_keys=False, allow_unicode=True, default_flow_style=style)
    return _broken_text(random, text) if random.random() < 0.1 else text


_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)

Place = tuple[Any, Any]
"""A container and a key or an index into it."""


def _places(node: Any) -> list[Place]:
    """Every place of a tree."""
    found: list[Place] = []
    waiting = [node]
    while waiting:
        node = waiting.pop()
        keys = list(node) if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ()
        found += [(node, key) for key in keys]
        waiting += [node[key] for key in keys]
    return found


def _delete(random: Random, tree: Any, _: list[Any]) -> None:
    if places := _places(tree):
        holder, key = random.choice(places)
        del holder[key]


def _duplicate(random: Random, tree: Any, _: list[Any]) -> None:
    if places := [place for place in _places(tree) if isinstance(place[0], list)]:
        holder, index = random.choice(places)
        holder.insert(index, _copy(holder[index]))


def _swap(random: Random, tree: Any, _: list[Any]) -> None:
    if places := [place for place in _places(tree) if isinstance(place[0], list)]:
        holder, index = random.choice(places)
        other = random.randrange(len(holder))
        holder[index], holder[other] = holder[other], holder[index]


def _change(random: Random, tree: Any, _: list[Any]) -> None:
    places = _places(tree)
    leaves = [(holder, key) for holder, key in places if not isinstance(holder[key], dict | list)]
    if places:
        holder, key = random.choice(leaves if leaves and random.random() < 0.7 else places)
        holder[key] = _copy(random.choice(WORDS))


def _nudge(random: Random, tree: Any, _: list[Any]) -> None:
    """A number a little larger or smaller: the specs that come of it are often sound."""
    if places := [(holder, key) for holder, key in _places(tree) if type(holder[key]) in (int, float)]:
        holder, key = random.choice(places)
        holder[key] = holder[key] * random.choice((1, 1, 2, -1)) + random.choice((-2, -1, 0, 1, 2))


def _rename(random: Random, tree: Any, trees: list[Any]) -> None:
    if places := [place for place in _places(tree) if isinstance(place[0], dict)]:
        holder, key = random.choice(places)
        others = [name for one, name in _places(random.choice(trees)) if isinstance(one, dict)]
        name = random.choice([*others, f"{key}s", str(key)[:-1], random.choice(WORDS)])
        value = holder.pop(key)
        holder[name if isinstance(name, str) else str(name)] = value


def _move(random: Random, tree: Any, trees: list[Any]) -> None:
    """A branch of this tree or of another, put into another place."""
    sources, targets = _places(random.choice((tree, random.choice(trees)))), _places(tree)
    if sources and targets:
        (source, name), (target, key) = random.choice(sources), random.choice(targets)
        branch = _copy(source[name])
        if isinstance(target, list) and random.random() < 0.5:
            target.insert(key, branch)
        else:
            target[name if isinstance(target, dict) and isinstance(name, str) and random.random() < 0.5 else key] = (
                branch
            )


def _wrap(random: Random, tree: Any, _: list[Any]) -> None:
    if places := _places(tree):
        holder, key = random.choice(places)
        value = holder[key]
        wrappers = (
            [value],
            {"layer": value},
            {"repeat": 2, "do": value},
            {"residual": value},
            {"time_distributed": value},
            {"bidirectional": value},
            {"branch": {"a": value, "b": []}, "merge": {"layer": "Concatenate"}},
            {"name": value},
            {"block": value},
            {"reuse": value},
        )
        holder[key] = random.choice(wrappers)


TREE = (_delete, _duplicate, _swap, _change, _change, _nudge, _nudge, _rename, _move, _move, _wrap)


# Editing


def edits() -> Generator:
    """Return what changes shipped specs as a user might, with the working directory at their folder."""
    specs = [(path, plain(parse(path.read_text("utf-8")))) for path in sorted((ROOT / "specs").rglob("*.yaml"))]
    editor = Editor([tree for _, tree in specs])

    def edited(random: Random) -> str:
        path, tree = random.choice(specs)
        os.chdir(path.parent)
        tree = _copy(tree)
        for _ in range(random.choice((1, 1, 1, 2, 2, 3, 5))):
            random.choice(editor.kinds)(random, tree)
        return yaml.dump(tree, Dumper=_DUMPER, sort_keys=False, allow_unicode=True)

    return edited


class Editor:
    """Changes of specs, with the values that keys have in any of them."""

    def __init__(self, trees: list[Any]) -> None:
        self.trees = trees
        self.values: dict[Any, list[Any]] = {}
        self.nodes: list[Any] = []
        for tree in trees:
            for holder, key in _places(tree):
                if isinstance(holder, dict):
                    self.values.setdefault(key, []).append(holder[key])
                elif isinstance(holder[key], dict):
                    self.nodes.append(holder[key])
        self.kinds = (
            *(self.value, self.value, self.value, self.nudge, self.argument, self.argument, self.kind, self.shape),
            *(self.leave_out, self.move, self.insert, self.wrap, self.flip),
        )

    def value(self, random: Random, tree: Any) -> None:
        """A key gets a value that it has elsewhere."""
        if places := [place for place in _places(tree) if isinstance(place[0], dict)]:
            holder, key = random.choice(places)
            holder[key] = _copy(random.choice(self.values.get(key, WORDS)))

    def nudge(self, random: Random, tree: Any) -> None:
        _nudge(random, tree, self.trees)

    def flip(self, random: Random, tree: Any) -> None:
        if places := [(holder, key) for holder, key in _places(tree) if isinstance(holder[key], bool)]:
            holder, key = random.choice(places)
            holder[key] = not holder[key]

    def argument(self, random: Random, tree: Any) -> None:
        """A layer gets one more argument, or another value of one."""
        if layers := _layers(tree):
            layer = random.choice(layers)
            cls = kind_named(str(layer["layer"]))
            if cls is not None:
                name = random.choice([field.alias or name for name, field in cls.model_fields.items()])
                known = [
                    *self.values.get(name, ()),
                    True,
                    False,
                    None,
                    0,
                    1,
                    2,
                    3,
                    "same",
                    "valid",
                    [2, 2],
                    "tanh",
                    0.5,
                ]
                layer[name] = _copy(random.choice(known))

    def kind(self, random: Random, tree: Any) -> None:
        if layers := _layers(tree):
            random.choice(layers)["layer"] = random.choice([*kind_names(), *self.values["layer"]])

    def shape(self, random: Random, tree: Any) -> None:
        """An axis of an input gets another length, or is left open."""
        if places := [(holder, key) for holder, key in _places(tree.get("inputs", {})) if isinstance(holder, list)]:
            holder, key = random.choice(places)
            holder[key] = random.choice((None, 1, 2, 3, 4, 8, 9, 16))

    def leave_out(self, random: Random, tree: Any) -> None:
        _delete(random, tree, self.trees)

    def move(self, random: Random, tree: Any) -> None:
        _swap(random, tree, self.trees)

    def insert(self, random: Random, tree: Any) -> None:
        """A node of some spec stands in another place."""
        lists = [
            holder[key] for holder, key in _places(tree) if key in ("layers", "do") and isinstance(holder[key], list)
        ]
        if lists:
            chosen = random.choice(lists)
            chosen.insert(random.randint(0, len(chosen)), _copy(random.choice(self.nodes)))

    def wrap(self, random: Random, tree: Any) -> None:
        places = [
            (holder, key) for holder, key in _places(tree) if isinstance(holder, list) and isinstance(holder[key], dict)
        ]
        if places:
            holder, key = random.choice(places)
            node = holder[key]
            holder[key] = random.choice(
                (
                    {"repeat": 2, "do": [node]},
                    {"residual": [node]},
                    {"time_distributed": node},
                    {"bidirectional": node},
                    {"branch": {"a": [node], "b": []}, "merge": {"layer": "Concatenate"}},
                    {"for": {"k": [1, 2]}, "do": [node]},
                    {"time_distributed": {"do": [node]}},
                    {"autoregressive": {"horizon": 2, "do": [node]}},
                )
            )


def _layers(tree: Any) -> list[dict[str, Any]]:
    """Every mapping with a key `layer`."""
    return [holder[key] for holder, key in _places(tree) if isinstance(holder[key], dict) and "layer" in holder[key]]


def _broken_text(random: Random, text: str) -> str:
    for _ in range(random.choice((1, 1, 2, 3, 8))):
        start = random.randrange(len(text) + 1)
        end = min(len(text), start + random.choice((0, 0, 1, 1, 2, 5, 40)))
        piece = random.choice((text[start:end] * 2, "", random.choice(PIECES), chr(random.choice(CHARACTERS))))
        text = text[:start] + piece + text[end:]
    return text


PIECES = (
    "\n",
    "\n  - ",
    ": ",
    "- ",
    "{",
    "}",
    "[",
    "]",
    ", ",
    '"',
    "'",
    "#",
    "&a ",
    "*a",
    "!x ",
    "|",
    ">",
    "---\n",
    "\t",
    "? ",
)
CHARACTERS = (*range(32, 127), 0, 9, 13, 0x85, 0xA0, 0xE9, 0x202E, 0x2028, 0xFEFF, 0xFFFF, 0x1F600)


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copy(item) for key, item in value.items()}
    return [_copy(item) for item in value] if isinstance(value, list) else value


if __name__ == "__main__":
    sys.exit(main())
