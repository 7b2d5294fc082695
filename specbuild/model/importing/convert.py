"""`import_model`: convert a Keras file to the text of a spec, which is verified by loading and comparing it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from specbuild.catalog import Recurrent, show
from specbuild.catalog.autoregressive import Autoregressive
from specbuild.catalog.recurrence import Recurrence
from specbuild.catalog.shapes import fits
from specbuild.catalog.wrappers import innermost
from specbuild.document import Diagnostic, SpecError
from specbuild.graph import Graph, Node, Port, build_graph
from specbuild.graph.model import OUTPUT
from specbuild.graph.ports import demands, fitting_outputs, needed_ranks
from specbuild.language import NodeSpec, load_spec
from specbuild.model.importing.files import read_config
from specbuild.model.importing.flatten import flatten
from specbuild.model.importing.records import Malformed, Network, Record, read_network, read_record
from specbuild.model.importing.steps import Findings, FlatModel, Ref, Step
from specbuild.model.importing.text import made_up, port, write_spec
from specbuild.model.resolve import KerasResolver


@dataclass(frozen=True, slots=True)
class Imported:
    """A spec as text, and notes on what it leaves out, which are also in its comments."""

    text: str
    notes: tuple[str, ...]


def import_model(path: str | Path) -> Imported:
    """Return the spec of a saved Keras model: the same layers, weights' shapes and outputs, under their names.

    Nothing in the file is run. The weights stay where they are: `build_model(spec).load_weights(path)` loads them,
    unless the file holds models inside models, which the spec flattens.

    Args:
        path: a `.keras` file, a whole model in `.h5`, or the JSON of `model.to_json()` or `model.get_config()`.

    Raises:
        SpecError: with every layer that a spec cannot say, by name; or why the file is not a model.
    """
    stored = read_config(path)
    findings = Findings(str(path), stored.keras_version)
    try:
        network = _network(stored.config, findings)
        model = flatten(network, findings)
    except Malformed as fault:
        raise SpecError([_broken(path, str(fault))]) from None
    except RecursionError:
        raise SpecError([_broken(path, "it is nested too deeply")]) from None
    _check_ports(model, findings)
    findings.report.raise_errors()
    return Imported(_text(network.name, model, findings), findings.notes)


def _network(config: Any, findings: Findings) -> Network:
    if isinstance(config, Mapping) and "class_name" not in config and "layers" in config:
        config = {"class_name": "Functional" if "input_layers" in config else "Sequential", "config": config}
    record = read_record(config)
    if isinstance(record.config.get("layers"), list) and not record.is_network:
        record = Record(record.name, "Sequential", record.module, record.registered, record.config)
    if not record.is_network:
        kind = record.registered or record.kind
        findings.refuse(
            record.name,
            f"the model is a {kind}, whose layers are not in the file",
            reason="a subclassed model keeps its wiring in Python code",
            help="build the model with keras.Sequential or keras.Model(inputs, outputs), and save it again",
        )
        findings.report.raise_errors()
    if record.kind not in ("Functional", "Model", "Sequential"):
        findings.note(f"the class {record.registered or record.kind} is left out; its layers are here")
    network = read_network(record)
    if not network.inputs or not network.outputs:
        raise Malformed("the model has no inputs or no outputs")
    return network


def _broken(path: str | Path, reason: str) -> Diagnostic:
    return Diagnostic(f"{path} holds no model that Keras wrote", reason=reason, code="import")


def _check_ports(model: FlatModel, findings: Findings) -> None:
    """Refuse to read outputs that a node of a spec does not have: all but the first of a layer without a state."""
    for step in model.steps:
        if step.body is not None:
            _check_ports(step.body, findings)
    steps = {step.id: step for step in model.steps}
    read = [ref for step in model.steps for ref in (*step.sources, *step.state)] + list(model.outputs)
    for ref in dict.fromkeys(Ref(ref.step, ref.index) for ref in read):
        source = steps.get(ref.step)
        if ref.index and source is not None and source.layer is not None and port(source, ref.index) is None:
            message = f"output {ref.index + 1} of {source.id} is read; a node of a spec gives one, or a state"
            findings.refuse(source.id, message)


def _text(name: str, model: FlatModel, findings: Findings) -> str:
    """The shortest text that means the model: first all is written out, then what follows by itself is left out.

    Raises:
        SpecError: with every tensor whose shape in the file is not what the spec makes of it.
    """
    resolver = KerasResolver()
    full = write_spec(name, findings.notes, model, bare=(), unnamed=())
    graph = build_graph(full, resolver=resolver)
    if differences := dict.fromkeys(_differences(model, graph)):
        raise SpecError(differences)
    bare = _bare(model, graph)
    unnamed = _unnamed(name, model, bare)
    text = write_spec(name, findings.notes, model, bare=bare, unnamed=unnamed)
    short = build_graph(text, resolver=resolver)
    return text if _wiring(short) == _wiring(graph) and short.parameters == graph.parameters else full


def _wiring(graph: Graph) -> list[Any]:
    """What every node reads, those inside others included, and what is read of all."""
    inside = {node.id: _graph_inside(node) for node in graph.nodes}
    nodes = [(n.id, n.inputs, n.initial_state, (own := inside[n.id]) and _wiring(own)) for n in graph.nodes]
    return [*nodes, [output.port for output in graph.outputs]]


def _graph_inside(node: Node) -> Graph | None:
    """What an autoregressive or a recurrent node runs."""
    if node.step is not None:
        return node.step.graph
    return node.body.open if node.body is not None else None


def _differences(model: FlatModel, graph: Graph) -> Iterator[Diagnostic]:
    steps = {step.id: step for step in model.steps}
    nodes = {node.id: node for node in graph.nodes}
    shapes = graph.shapes
    given = {x.id: own.shape for x, own in zip(model.inputs, graph.inputs, strict=False)}
    for step in model.steps:
        if step.id not in nodes:
            continue
        for ref in (*step.sources, *step.state):
            name = port(steps[ref.step], ref.index) if ref.step in steps else None
            shape = given[ref.step] if ref.step in given else shapes[Port(ref.step, name or OUTPUT)]
            if ref.shape is not None and not fits(ref.shape, shape):
                message = f"{ref.step} gives {show(ref.shape)} in the file and {show(shape)} as a spec"
                yield Diagnostic(message, where=f"layers.{ref.step}", code="import")
        if step.body is not None and (inside := _graph_inside(nodes[step.id])) is not None:
            yield from _differences(step.body, inside)


def _bare(model: FlatModel, graph: Graph) -> frozenset[tuple[str, Ref]]:
    """Recurrent outputs whose reader takes only one of `sequence` and `last`, so that the node's id says enough.

    Inside an autoregressive node that is each of them: bare ids mean every step there.
    """
    wanted = demands(graph.spec)
    nodes = {node.id: node for node in graph.nodes}
    steps = {step.id: step for step in model.steps}
    bare: set[tuple[str, Ref]] = set()
    for step in model.steps:
        inside = _graph_inside(nodes[step.id]) if step.id in nodes else None
        if step.body is not None and inside is not None:
            bare |= _bare(step.body, inside)
            every = step.body.steps if isinstance(step.layer, Autoregressive) else ()
            bare |= {(inner.id, ref) for inner in every for ref in inner.sources if not ref.index}
    for step in model.steps:
        node = nodes.get(step.id)
        for ref in step.sources if node is not None else ():
            source = steps.get(ref.step)
            if source is None or not isinstance(source.layer, Recurrent) or ref.index or node is None:
                continue
            ranks = needed_ranks(node.layer, wanted.get(node.id))
            if source.sequences and isinstance(innermost(node.layer), Recurrence):
                bare.add((step.id, ref))
            if fitting_outputs(nodes[ref.step].shapes, ranks) == [port(source, 0)]:
                bare.add((step.id, ref))
    return frozenset(bare)


def _unnamed(name: str, model: FlatModel, bare: frozenset[tuple[str, Ref]]) -> frozenset[str]:
    """Ids that nobody reads and that a spec makes up just so."""
    steps = list(model.all_steps())
    written = _read_by_name(model.steps, bare) | {ref.step for ref in model.outputs}
    written |= {step.id for step in model.steps if step.body is not None or not step.id.startswith(made_up(step))}
    while True:
        unnamed = frozenset(step.id for step in steps if step.id not in written)
        try:
            layers = load_spec(write_spec(name, (), model, bare=bare, unnamed=unnamed)).layers
        except SpecError:  # a made-up id is also a written one further down
            return frozenset()
        nodes = [node for layer in layers for node in (layer, *_inside(layer))]
        other = {step.id for step, node in zip(steps, nodes, strict=True) if step.id != node.id} & unnamed
        if not other:
            return unnamed
        written |= other


def _inside(node: NodeSpec) -> tuple[NodeSpec, ...]:
    """The nodes written inside one that runs others; a reuse of it writes none."""
    if node.body is None or node.shares is not None:
        return ()
    return tuple(each for inner in node.body.nodes for each in (inner, *_inside(inner)))


def _read_by_name(steps: tuple[Step, ...], bare: frozenset[tuple[str, Ref]]) -> set[str]:
    """Ids used in a `from`, an `initial_state` or a `reuse`."""
    read = {step.shares for step in steps if step.shares is not None}
    before: Step | None = None
    for step in steps:
        read |= {ref.step for ref in step.state}
        sources = {ref.step for ref in step.sources}
        named = step.layer is not None and step.layer.kind == "Equation"
        follows = before is not None and not named and [ref.step for ref in step.sources] == [before.id]
        if not follows or (isinstance(before and before.layer, Recurrent) and (step.id, step.sources[0]) not in bare):
            read |= sources
        if step.body is not None:
            read |= _read_by_name(step.body.steps, bare)
            read |= set() if isinstance(step.layer, Autoregressive) else {ref.step for ref in step.body.outputs}
            read |= set(step.body.carried) if any(x.levels for x in steps) else set()
        before = step
    return read
