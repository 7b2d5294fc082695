"""Steps as the YAML of a spec: names of tensors, and the layout of the page."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from specbuild.catalog import Bidirectional, Recurrent
from specbuild.catalog.plumbing import SplitPart
from specbuild.catalog.recurrence import Recurrence
from specbuild.catalog.registry import kind_named
from specbuild.catalog.wrappers import innermost
from specbuild.graph import Input
from specbuild.language.forms import snake
from specbuild.language.resolved import block, equation_of, flow
from specbuild.model.importing.recurrence import written_beside
from specbuild.model.importing.steps import FlatModel, Ref, Step, each_layer

WIDTH = 118
"""The length that a line of a node is filled to."""
SHARED = 3
"""How many layers of a kind make what they have in common a default."""
_BETWEEN = re.compile(r", (?=[A-Za-z_]+: )")
"""Between two entries of a mapping in flow style."""


def write_spec(
    name: str, notes: tuple[str, ...], model: FlatModel, *, bare: Collection[tuple[str, Ref]], unnamed: Collection[str]
) -> str:
    """Return the spec of a model.

    Args:
        name: of the model.
        notes: written as comments above everything.
        model: what to write.
        bare: readers and the recurrent outputs that they read without naming the port, as they can mean only one.
        unnamed: ids that are left out.
    """
    page = _Page(model, bare, unnamed)
    comments = "".join(f"# {note}\n" for note in notes)
    layers = page.nodes()
    common = "".join(f"  {kind}: {flow(arguments)}\n" for kind, arguments in page.defaults.items())
    defaults = f"defaults:\n{common}\n" if common else ""
    inputs = "".join(f"  {flow({x.id: _input(x)})[1:-1]}\n" for x in model.inputs)
    outputs: Any = [page.ref(ref) for ref in model.outputs]
    if model.names:
        outputs = dict(zip(model.names, outputs, strict=True))
    head = block({"specbuild": 1, "name": name.replace("$", "$$")})
    return f"{comments}{head}\n{defaults}inputs:\n{inputs}\nlayers:\n{layers}\noutputs: {flow(outputs)}\n"


def port(step: Step, index: int) -> str | None:
    """Return the name of an output of a recurrent step: sequence or last, then its states; None where there is none."""
    if not isinstance(step.layer, Recurrent):
        return None
    if index == 0:
        return "sequence" if step.sequences else "last"
    names = state_names(step)
    return f"state.{names[index - 1]}" if index <= len(names) else None


def parts_from(steps: Sequence[Step], index: int) -> int:
    """Return how many steps from one on are all the parts of a tensor, in their order; 0 where they are not."""
    first = steps[index]
    if not isinstance(first.layer, SplitPart):
        return 0
    run = steps[index : index + first.layer.count]
    wanted = [first.layer.model_copy(update={"index": place}) for place in range(first.layer.count)]
    alike = [step.layer for step in run] == wanted and all(step.sources == first.sources for step in run)
    return len(run) if alike and len(run) > 1 and not any(step.shares for step in run) else 0


def state_names(step: Step) -> list[str]:
    """Return the names of a recurrent step's state, in Keras's order."""
    if step.layer is None:
        return []
    names: list[str] = list(getattr(innermost(step.layer), "state_names", ()))
    if isinstance(step.layer, Bidirectional):
        return [f"{way}_{name}" for way in ("forward", "backward") for name in names]
    return names


def made_up(step: Step) -> str:
    """Return the start of a generated id of a step: Keras's spelling of the innermost layer."""
    layer = _layer(step.keys)
    return snake(str(layer["layer"])) if layer else step.id


class _Page:
    """The nodes of a model, or those inside another node, whose ids begin with `prefix`.

    `outside` has the names of inputs that stand outside of a recurrent node.
    """

    def __init__(
        self,
        model: FlatModel,
        bare: Collection[tuple[str, Ref]],
        unnamed: Collection[str],
        defaults: dict[str, dict[str, Any]] | None = None,
        prefix: str = "",
        outside: Mapping[str, str] | None = None,
    ) -> None:
        self.model, self.bare, self.unnamed, self.prefix = model, bare, unnamed, prefix
        self.outside = outside
        self.steps = {step.id: step for step in model.steps}
        self.parts = {index: count for index, _ in enumerate(model.steps) if (count := parts_from(model.steps, index))}
        self.within = {index + place for index, count in self.parts.items() for place in range(1, count)}
        self.defaults = _defaults(model.all_steps()) if defaults is None else defaults

    def nodes(self, indent: str = "  ", count: int | None = None) -> str:
        """The first `count` nodes, or all; the parts of a tensor are one node."""
        total = len(self.model.steps) if count is None else count
        return "".join(
            self.split(index, indent) if index in self.parts else self.node(index, indent)
            for index in range(total)
            if index not in self.within
        )

    def ref(self, ref: Ref) -> str:
        """Return a tensor as a spec names it."""
        step = self.steps.get(ref.step)
        named = port(step, ref.index) if step is not None else None
        return self.short(ref.step) if named is None else f"{self.short(ref.step)}.{named}"

    def short(self, identity: str) -> str:
        """An id as it is written here."""
        return (self.outside or {}).get(identity, identity.removeprefix(self.prefix))

    def node(self, index: int, indent: str) -> str:
        step = self.model.steps[index]
        keys: dict[str, Any] = {} if step.id in self.unnamed else {"id": self.short(step.id)}
        if step.layer is not None and (text := equation_of(step.layer, self.names(step))):
            return _filled(flow({**keys, "equation": text}), indent)
        (form, value), *arguments = each_layer(step.keys, self.needed).items()
        keys[form] = self.short(value) if form == "reuse" else value
        if (source := self.source(step, index)) is not None:
            keys["from"] = source
        keys.update(arguments)
        first = self.steps.get(step.shares or step.id, step)
        if first.body is not None and not _is_cell(step):
            if step.levels or first.levels:
                keys["initial_state"] = self.inner_states(step, first.body)
        elif step.state:
            keys["initial_state"] = self.state(state_names(step), step.state)
        if step.body is None:
            return _filled(flow(keys), indent)
        write = self.recurrent if _is_cell(step) else self.autoregressive
        return write(keys, step, step.body, indent)

    def split(self, index: int, indent: str) -> str:
        """All parts of a tensor, as one node with their ids."""
        first, names = self.model.steps[index], []
        layer = first.layer
        assert isinstance(layer, SplitPart)
        names = [self.short(step.id) for step in self.model.steps[index : index + self.parts[index]]]
        parts = names if isinstance(layer.parts, int) else dict(zip(names, layer.parts, strict=True))
        keys: dict[str, Any] = {"split": parts}
        if (source := self.source(first, index)) is not None:
            keys["from"] = source
        return _filled(flow(keys | ({} if layer.axis == -1 else {"axis": layer.axis})), indent)

    def needed(self, keys: Mapping[str, Any]) -> dict[str, Any]:
        """The keys of a layer without those that the defaults give it."""
        given = self.defaults.get(str(keys.get("layer")), {})
        return {key: value for key, value in keys.items() if key not in given}

    def autoregressive(self, keys: dict[str, Any], step: Step, body: FlatModel, indent: str) -> str:
        """An autoregressive node, with a line for each of its keys and nodes."""
        settings = dict(keys.pop("autoregressive"))
        for key in settings.keys() & {"covariates", "static"}:
            settings[key] = {name: self.ref(step.sources[index]) for name, index in settings[key].items()}
        inside = _Page(body, self.bare, self.unnamed, self.defaults, f"{step.id}_").nodes(f"{indent}      ")
        lines = [
            *(f"{flow({key: value})[1:-1]}\n" for key, value in keys.items()),
            f"autoregressive:\n{indent}    do:\n{inside}",
            *(f"  {flow({key: value})[1:-1]}\n" for key, value in settings.items()),
        ]
        return f"{indent}- " + f"{indent}  ".join(lines)

    def recurrent(self, keys: dict[str, Any], step: Step, body: FlatModel, indent: str) -> str:
        """A recurrent node, with a line for each of its keys and nodes."""
        both = keys.pop("bidirectional", {})
        settings = dict(both.get("recurrent") or keys.pop("recurrent"))
        read = self.names(step)
        static = {name: read[index] for name, index in settings.pop("static", {}).items()}
        stepped = len(read) - len(static)
        outside = {x.id: name for x, name in zip(body.inputs[1:stepped], read[1:stepped], strict=True)}
        page = _Page(body, self.bare, self.unnamed, self.defaults, f"{step.id}_", outside)
        states = settings.pop("states")
        becomes, output, nodes = page.ends(step.id, [*states])
        depth = f"{indent}      " if both else f"{indent}    "
        inside = page.nodes(f"{depth}  ", nodes)
        further = {"next": becomes, **({"output": output} if output else {}), **settings}
        lines = [
            f"{depth}{line}\n"
            for line in (
                flow({key: value})[1:-1] for key, value in {"states": states, "static": static}.items() if value
            )
        ]
        lines += [f"{depth}do:\n{inside}" if inside else f"{depth}do: []\n"]
        lines += [_block(key, value, depth) for key, value in further.items()]
        head = "".join(f"{flow({key: value})[1:-1]}\n{indent}  " for key, value in self.before(keys).items())
        form = f"bidirectional:\n{indent}    recurrent:\n" if both else "recurrent:\n"
        tail = "".join(f"{indent}  {flow({key: value})[1:-1]}\n" for key, value in keys.items())
        return f"{indent}- {head}{form}{''.join(lines)}{tail}"

    def before(self, keys: dict[str, Any]) -> dict[str, Any]:
        """Take out what is written above the nodes of a recurrent node."""
        return {key: keys.pop(key) for key in ("id", "from", "initial_state") if key in keys}

    def ends(self, name: str, states: Sequence[str]) -> tuple[dict[str, str], str, int]:
        """What the states of a recurrent node become, its output if that is not the first of them, the nodes before."""
        equations = {}
        for step in reversed(written_beside(name, self.model, states)):
            if step.layer is None or not (text := equation_of(step.layer, self.names(step))):
                break
            equations[step.id] = text
        output, *after = self.model.outputs
        texts = [equations.get(ref.step) or self.ref(ref) for ref in after]
        becomes = dict(zip(states, texts, strict=True))
        order = [f"{name}_{state}_next" for state in states]
        given = [identity for identity in reversed(equations) if identity in order]
        if given != [identity for identity in order if identity in given]:
            places = {identity: place for place, identity in enumerate(given)}
            by_place = sorted(zip(states, order, strict=True), key=lambda pair: places.get(pair[1], -1))
            becomes = {state: becomes[state] for state, _ in by_place}
        ends = [(ref.step, ref.index) for ref in after]
        if (output.step, output.index) in ends:
            at = ends.index((output.step, output.index))
            said = states[at] if at else ""
        else:
            said = equations.get(output.step) or self.ref(output)
        return becomes, said, len(self.model.steps) - len(equations)

    def source(self, step: Step, index: int) -> Any:
        """What `from` says; None where it is the node before, or the only input."""
        names = self.names(step) if step.body is None and not _is_cell(step) else self.names(step)[:1]
        inputs = self.model.inputs
        only = len(inputs) == 1 or self.outside is not None
        before = self.model.steps[index - 1].id if index else inputs[0].id if only else None
        if index - 1 in self.within:
            before = None  # a split that names its parts has no end
        if before is not None and names == [self.short(before)]:
            return None
        return names[0] if len(names) == 1 else names

    def names(self, step: Step) -> list[str]:
        """What a step reads, by name."""
        return [self.short(ref.step) if (step.id, ref) in self.bare else self.ref(ref) for ref in step.sources]

    def inner_states(self, step: Step, body: FlatModel) -> dict[str, Any]:
        """The states that the recurrent steps inside an autoregressive one start from, by their ids."""
        prefix = body.inputs[0].id.removesuffix("input")
        states: dict[str, Any] = {}
        for inner in body.steps:
            refs = tuple(ref for level, ref in zip(step.levels, step.state, strict=True) if level == inner.id)
            if inner.id in body.carried:
                states[inner.id.removeprefix(prefix)] = self.state(state_names(inner), refs) if refs else "none"
        return states

    def state(self, names: list[str], refs: Sequence[Ref]) -> Any:
        """A whole state by its owner; its tensors by name where they come from several nodes, or in another order."""
        owner = self.steps.get(refs[0].step)
        if owner is not None and state_names(owner) == names:
            whole = [(owner.id, 1 + position) for position in range(len(names))]
            if [(ref.step, ref.index) for ref in refs] == whole:
                return owner.id
        return {name: self.ref(ref) for name, ref in zip(names, refs, strict=False)}


def _defaults(steps: Iterable[Step]) -> dict[str, dict[str, Any]]:
    """What all layers of a kind have in common, by kind, where that shortens the page."""
    by_kind: dict[str, list[dict[str, Any]]] = {}
    for layer in filter(None, (_layer(step.keys) for step in steps)):
        by_kind.setdefault(layer["layer"], []).append(layer)
    defaults = {}
    for kind, layers in by_kind.items():
        shared = {
            key: value
            for key, value in layers[0].items()
            if _may_be_shared(kind, key) and all(key in layer and layer[key] == value for layer in layers)
        }
        if shared and len(layers) >= SHARED:
            defaults[kind] = shared
    return defaults


def _may_be_shared(kind: str, key: str) -> bool:
    """Whether a reader can do without an argument on the layer itself: not its filters, units or rate."""
    cls = kind_named(kind)
    field = cls.model_fields.get(key) if cls is not None else None
    return key == "kernel_size" or (field is not None and not field.is_required())


def _layer(keys: dict[str, Any]) -> dict[str, Any] | None:
    """The layer of a node, which stands inside its wrappers; None for a reuse or a form without one."""
    inner = keys.get("time_distributed") or keys.get("bidirectional")
    if isinstance(inner, dict):
        return _layer(inner)
    return keys if "layer" in keys else None


def _is_cell(step: Step) -> bool:
    """Whether a step runs the nodes of a recurrent node, its own or those of the one that it uses again."""
    return step.layer is not None and isinstance(innermost(step.layer), Recurrence)


def _block(key: str, value: Any, indent: str) -> str:
    """A key, with a line for each entry of its mapping where one line is too short for them."""
    line = f"{indent}{flow({key: value})[1:-1]}\n"
    if len(line) <= WIDTH or not isinstance(value, dict):
        return line
    entries = (f"{indent}  {flow({name: each})[1:-1]}\n" for name, each in value.items())
    return f"{indent}{key}:\n{''.join(entries)}"


def _filled(text: str, indent: str) -> str:
    """A node in flow style, over as many lines as it needs, none broken inside a list."""
    lines = [f"{indent}- "]
    for part in _BETWEEN.split(text):
        joined = f"{lines[-1]}{', ' if lines[-1].strip(' -') else ''}{part}"
        if len(joined) < WIDTH or not lines[-1].strip(" -"):
            lines[-1] = joined
        else:
            lines[-1] += ","
            lines.append(f"{indent}   {part}")
    return "\n".join(lines) + "\n"


def _input(x: Input) -> Any:
    section = {"shape": list(x.shape), "dtype": x.dtype, "batch": x.batch}
    section = {key: value for key, value in section.items() if value not in ("float32", None)}
    return section["shape"] if len(section) == 1 else section
