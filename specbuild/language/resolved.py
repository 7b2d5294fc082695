"""The resolved spec as YAML: no variables, defaults, loops or implied inputs left, and the same graph."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import yaml
from pydantic import BaseModel

from specbuild.catalog import Bidirectional, KerasObject, Layer, TimeDistributed
from specbuild.catalog.recurrence import Recurrence
from specbuild.catalog.wrappers import innermost
from specbuild.document.arithmetic import NAME
from specbuild.document.scalars import UnreadableNumber, resolve
from specbuild.language.forms.values import SHAPES_DIFFER
from specbuild.language.references import Reference
from specbuild.language.sections.inputs import InputSection
from specbuild.language.spec import BodySpec, InitialState, NodeSpec, Spec, every_node


def dump(spec: Spec) -> str:
    """Return YAML that loads to the same graph, every node with its id and its inputs written out."""
    head: dict[str, Any] = {"specbuild": 1, "name": spec.name}
    if spec.description:
        head["description"] = spec.description
    lines = [block(head)]
    lines.append("inputs:\n" + "".join(f"  {flow({input.id: _input(input.section)})[1:-1]}\n" for input in spec.inputs))
    lines.append("layers:\n" + ("".join(f"  - {flow(written_node(node))}\n" for node in spec.layers) or "  []\n"))
    if spec.named_outputs:
        lines.append(block({"outputs": {output.name: str(output.source) for output in spec.outputs}}))
    else:
        lines.append(f"outputs: {flow([str(output.source) for output in spec.outputs])}\n")
    if allow := _allowed(spec):
        lines.append(block({"allow": allow}))
    placed = with_absolute_paths(spec)
    for name, section in (("data", placed.data), ("train", placed.train), ("evaluate", placed.evaluate)):
        if section is not None and section.model_fields_set:
            lines.append(block({name: _plain(section)}))
    return "\n".join(lines)


def _allowed(spec: Spec) -> dict[str, str]:
    """Return every accepted warning with its reasons; the whole spec accepts what a part of it did."""
    reasons: dict[str, list[str]] = {}
    for accepted in (*spec.allow, *(each for node in every_node(spec.layers) for each in node.allow)):
        known = reasons.setdefault(accepted.code, [])
        if accepted.reason not in known:
            known.append(accepted.reason)
    return {code: _plain("; ".join(known)) for code, known in reasons.items()}


def with_absolute_paths(spec: Spec) -> Spec:
    """Return a spec whose paths, of data and of the weights to start from, name the same files in any folder."""

    def absolute(path: str) -> str:
        return str(spec.resolve_path(path).absolute())

    data, train = spec.data, spec.train
    if data is not None:
        data = data.with_paths(absolute)
    if train.init_from is not None:
        train = train.model_copy(update={"init_from": absolute(train.init_from)})
    return replace(spec, data=data, train=train)


def written_node(node: NodeSpec) -> dict[str, Any]:
    """Return an item of `layers:` with its id and its inputs written out."""
    sources = [str(source) for source in node.sources]
    if (text := equation_of(node.layer, sources)) and node.shares is None:
        entry: dict[str, Any] = {"id": node.id, "equation": text}
    else:
        entry = {"id": node.id, **_form(node)}
        every = node.body is None or (node.shares is not None and not node.body.is_step)
        sources = sources if every else sources[:1]
        entry["from"] = sources[0] if len(sources) == 1 and not node.collects else sources
    if node.initial_state:
        entry["initial_state"] = _state(node.initial_state)
    elif node.inner_states and node.body is not None:
        levels = [node.body.name_inside(inner.id) for inner in node.body.recurrent]
        entry["initial_state"] = dict(zip(levels, map(_state, node.inner_states), strict=True))
    if node.expect is not None:
        entry["expect"] = list(node.expect)
    if node.differ is not None:
        entry["when"] = {SHAPES_DIFFER: list(map(str, node.differ))}
    return entry


def equation_of(layer: Layer, sources: Sequence[str]) -> str:
    """Return an equation with the names of what it reads; empty for another layer, or where a name cannot stand in it.

    No id with a hyphen can, nor an id that it reads as two inputs, which would become one; nor has an equation a dtype.
    """
    fits = layer.dtype is None and all(map(NAME.fullmatch, sources)) and len(set(sources)) == len(sources)
    return layer.text(sources) if fits else ""


def _state(state: InitialState | None) -> Any:
    if isinstance(state, Reference):
        return str(state)
    return "none" if state is None else {name: str(source) for name, source in state.items()}


def _form(node: NodeSpec) -> dict[str, Any]:
    """Return the form of a node: a layer of its own, that of another node again, or nodes that it runs."""
    if node.shares is not None:
        return {"reuse": node.shares}
    if node.body is None:
        return _layer(node.layer)
    return _cell(node, node.body) if node.body.is_step else _loop(node, node.body)


def _loop(node: NodeSpec, body: BodySpec) -> dict[str, Any]:
    """Return an autoregressive node; reading it again prefixes the ids of the nodes inside with its own."""
    last = next((index for index, inner in enumerate(body.nodes) if inner.id == body.end.id), len(body.nodes))
    nodes = [written_node(inner.renamed(body.name_inside)) for inner in body.nodes[: last + 1]]
    return {"autoregressive": {**_settings(node.layer), **_read_beside(node, body), "do": nodes}, **_frozen(node.layer)}


def _read_beside(node: NodeSpec, body: BodySpec) -> dict[str, Any]:
    """Return what a node reads beside its frames, by the names inside."""
    names = map(body.name_inside, body.inputs)
    more = [(name, str(source)) for name, source in zip(names, node.sources, strict=True)][1:]
    moving, still = more[: body.sequences - 1], more[body.sequences - 1 :]
    return {key: dict(pairs) for key, pairs in (("covariates", moving), ("static", still)) if pairs}


def _cell(node: NodeSpec, body: BodySpec) -> dict[str, Any]:
    """Return a recurrent node; what it reads step by step outside has the names from there again."""
    layer = innermost(node.layer)
    outside = dict(zip(body.inputs[1 : body.sequences], node.sources[1 : body.sequences], strict=True))

    def named(source: Reference) -> Reference:
        if source.id in outside:
            return outside[source.id]
        return source.renamed(body.name_inside)

    nodes = [written_node(inner.reading(named).renamed(body.name_inside)) for inner in body.nodes]
    static = {key: names for key, names in _read_beside(node, body).items() if key == "static"}
    assert isinstance(layer, Recurrence)
    becomes = {name: str(named(state.next)) for name, state in zip(layer.states, body.states, strict=True)}
    output = str(named(body.end))
    if output in becomes and output != becomes[output]:  # the state before the step: as an output it is the one after
        kept = next(name for name in _numbered("before") if name not in {each["id"] for each in nodes})
        nodes.append({"id": kept, "layer": "Identity", "from": output})
        output = kept
    inside = {**_settings(layer), **static, "do": nodes, "next": becomes, "output": output}
    if not isinstance(node.layer, Bidirectional):
        return {"recurrent": inside, **_frozen(layer)}
    return {"bidirectional": {"recurrent": inside}, **_settings(node.layer), **_frozen(node.layer)}


def _numbered(name: str) -> Iterator[str]:
    yield name
    yield from (f"{name}_{count}" for count in itertools.count(2))


def _settings(layer: Layer) -> dict[str, Any]:
    return {name: _plain(getattr(layer, name)) for name in _written(layer) if name not in ("trainable", "layer")}


def _frozen(layer: Layer) -> dict[str, Any]:
    return {"trainable": layer.trainable} if "trainable" in layer.model_fields_set else {}


def _layer(layer: Layer) -> dict[str, Any]:
    if isinstance(layer, TimeDistributed):
        return {"time_distributed": _layer(layer.layer)}
    if isinstance(layer, Bidirectional):
        own = {name: _plain(getattr(layer, name)) for name in _written(layer) if name != "layer"}
        return {"bidirectional": _layer(layer.layer), **own}
    if layer.asks_keras:
        from specbuild.catalog.generic import AskedLayer

        assert isinstance(layer, AskedLayer)
        form = "application" if layer.package == "applications" else "layer"
        return {form: layer.kind, **{name: _plain(value) for name, value in layer.said().items()}}
    return {"layer": layer.kind, **{name: _plain(getattr(layer, name)) for name in _written(layer)}}


def _written(model: BaseModel) -> list[str]:
    """Return the names of the fields that were set, in the order of the class."""
    return [name for name in type(model).model_fields if name in model.model_fields_set]


def _input(section: InputSection) -> Any:
    entry = _plain(section)
    return entry["shape"] if set(entry) == {"shape"} else entry


def _plain(value: Any) -> Any:
    if isinstance(value, KerasObject):
        return _plain(value.written())
    if isinstance(value, BaseModel):
        fields = type(value).model_fields
        return {fields[name].alias or name: _plain(getattr(value, name)) for name in _written(value)}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return value.replace("$", "$$") if isinstance(value, str) else value


class _Dumper(yaml.SafeDumper):
    """Writes YAML 1.2, where PyYAML writes 1.1: quotes no more than needed, and floats that 1.2 reads as floats.

    1.1 knows no `1e-05` without a point, and would put a tag before it.
    """


def _float(dumper: yaml.SafeDumper, value: float) -> yaml.ScalarNode:
    text = repr(value)
    if "e" in text and "." not in text:
        text = text.replace("e", ".0e")
    return dumper.represent_scalar(
        "tag:yaml.org,2002:float", {"inf": ".inf", "-inf": "-.inf", "nan": ".nan"}.get(text, text)
    )


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    """Quoted where YAML 1.2 reads more than text, as in `1e3`, which is text in 1.1; escaped where it is invisible."""
    try:
        style = None if isinstance(resolve(value), str) else "'"
    except UnreadableNumber:
        style = "'"
    escaped = any(not character.isprintable() for line in value.split("\n") for character in line)
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, '"' if escaped else style)


_Dumper.add_representer(float, _float)
_Dumper.add_representer(str, _text)


def inline(value: Any) -> str:
    """Return a value of a section on one line, as a spec writes it: `{name: Adam, learning_rate: 0.01}`, `mse`."""
    return flow(_plain(value)).removesuffix("...").rstrip()


def flow(value: Any) -> str:
    """Return a value on one line, as YAML 1.2 reads it: `{id: enc, filters: 32}`."""
    return yaml.dump(
        value, Dumper=_Dumper, default_flow_style=True, sort_keys=False, width=2**20, allow_unicode=True
    ).strip()


def block(value: Any) -> str:
    """Return a value with a line for each key."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, width=100, allow_unicode=True)
