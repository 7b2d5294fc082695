"""Steps as the YAML of a spec: names of tensors, and the layout of the page."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from typing import Any

from specbuild.catalog import Recurrent
from specbuild.catalog.registry import kind_named
from specbuild.language.forms import snake
from specbuild.language.resolved import block, flow
from specbuild.model.importing.steps import Input, Ref, Step, Walked

WIDTH = 118
"""The length that a line of a node is filled to."""
SHARED = 3
"""How many layers of a kind make what they have in common a default."""
_BETWEEN = re.compile(r", (?=[A-Za-z_]+: )")
"""Between two entries of a mapping in flow style."""


def write(
    name: str, notes: tuple[str, ...], walked: Walked, *, bare: Collection[tuple[str, Ref]], unnamed: Collection[str]
) -> str:
    """The spec of a walked model.

    Args:
        name: of the model.
        notes: written as comments above everything.
        walked: what to write.
        bare: readers and the recurrent outputs that they read without naming the port, as they can mean only one.
        unnamed: ids that are left out.
    """
    page = _Page(walked, bare, unnamed)
    comments = "".join(f"# {note}\n" for note in notes)
    layers = page.nodes()
    common = "".join(f"  {kind}: {flow(arguments)}\n" for kind, arguments in page.defaults.items())
    defaults = f"defaults:\n{common}\n" if common else ""
    inputs = "".join(f"  {flow({one.id: _input(one)})[1:-1]}\n" for one in walked.inputs)
    outputs: Any = [page.ref(one) for one in walked.outputs]
    if walked.names:
        outputs = dict(zip(walked.names, outputs, strict=True))
    head = block({"specbuild": 1, "name": name.replace("$", "$$")})
    return f"{comments}{head}\n{defaults}inputs:\n{inputs}\nlayers:\n{layers}\noutputs: {flow(outputs)}\n"


def port(step: Step, index: int) -> str | None:
    """The name of an output of a recurrent step: sequence or last, then its states; None where there is none."""
    if not isinstance(step.layer, Recurrent):
        return None
    if index == 0:
        return "sequence" if step.sequences else "last"
    names = state_names(step)
    return f"state.{names[index - 1]}" if index <= len(names) else None


def state_names(step: Step) -> list[str]:
    """The tensors of a recurrent step's state, in Keras's order."""
    layer = step.layer
    names: list[str] = list(getattr(getattr(layer, "layer", layer), "state_names", ()))
    if layer is not None and layer.kind == "Bidirectional":
        return [f"{way}_{name}" for way in ("forward", "backward") for name in names]
    return names


def made_up(step: Step) -> str:
    """What the id begins with that a spec makes up for a step: Keras's spelling of the innermost layer."""
    return next((snake(str(keys["layer"])) for keys in _layers(step.keys)), step.id)


class _Page:
    """The nodes of a model, or those inside an autoregressive node, whose ids begin with `prefix`."""

    def __init__(
        self,
        walked: Walked,
        bare: Collection[tuple[str, Ref]],
        unnamed: Collection[str],
        defaults: dict[str, dict[str, Any]] | None = None,
        prefix: str = "",
    ) -> None:
        self.walked, self.bare, self.unnamed, self.prefix = walked, bare, unnamed, prefix
        self.steps = {step.id: step for step in walked.steps}
        self.defaults = _defaults(walked.all_steps()) if defaults is None else defaults

    def nodes(self, indent: str = "  ") -> str:
        return "".join(self.node(index, indent) for index in range(len(self.walked.steps)))

    def ref(self, ref: Ref) -> str:
        """A tensor as a spec names it."""
        step = self.steps.get(ref.step)
        named = port(step, ref.index) if step is not None else None
        return self.short(ref.step) if named is None else f"{self.short(ref.step)}.{named}"

    def short(self, identity: str) -> str:
        """An id as it is written here."""
        return identity.removeprefix(self.prefix)

    def node(self, index: int, indent: str) -> str:
        step = self.walked.steps[index]
        said: dict[str, Any] = {} if step.id in self.unnamed else {"id": self.short(step.id)}
        (form, value), *arguments = _without(step.keys, self.defaults).items()
        said[form] = self.short(value) if form == "reuse" else value
        if (source := self.source(step, index)) is not None:
            said["from"] = source
        said.update(arguments)
        if step.state:
            said["initial_state"] = self.state(step)
        return _filled(flow(said), indent) if step.body is None else self.loop(said, step, step.body, indent)

    def loop(self, said: dict[str, Any], step: Step, body: Walked, indent: str) -> str:
        """An autoregressive node, with a line for each of its keys and nodes."""
        settings = said.pop("autoregressive")
        inside = _Page(body, self.bare, self.unnamed, self.defaults, f"{step.id}_").nodes(f"{indent}      ")
        lines = [
            *(f"{flow({key: value})[1:-1]}\n" for key, value in said.items()),
            f"autoregressive:\n{indent}    do:\n{inside}",
            *(f"  {flow({key: value})[1:-1]}\n" for key, value in settings.items()),
        ]
        return f"{indent}- " + f"{indent}  ".join(lines)

    def source(self, step: Step, index: int) -> Any:
        """What `from` says; None where it is the node before, or the only input."""
        names = [
            ref.step.removeprefix(self.prefix) if (step.id, ref) in self.bare else self.ref(ref) for ref in step.sources
        ]
        inputs = self.walked.inputs
        before = self.walked.steps[index - 1].id if index else inputs[0].id if len(inputs) == 1 else None
        if before is not None and names == [self.short(before)]:
            return None
        return names[0] if len(names) == 1 else names

    def state(self, step: Step) -> Any:
        """A whole state by its owner; its tensors by name where they come from several nodes, or in another order."""
        names = state_names(step)
        owner = self.steps.get(step.state[0].step)
        if owner is not None and state_names(owner) == names:
            whole = [(owner.id, 1 + position) for position in range(len(names))]
            if [(ref.step, ref.index) for ref in step.state] == whole:
                return owner.id
        return {name: self.ref(ref) for name, ref in zip(names, step.state, strict=False)}


def _defaults(steps: Iterable[Step]) -> dict[str, dict[str, Any]]:
    """What all layers of a kind have in common, by kind, where that shortens the page."""
    by_kind: dict[str, list[dict[str, Any]]] = {}
    for step in steps:
        for keys in _layers(step.keys):
            by_kind.setdefault(keys["layer"], []).append(keys)
    found = {}
    for kind, many in by_kind.items():
        shared = {
            key: value
            for key, value in many[0].items()
            if _may_be_shared(kind, key) and all(key in one and one[key] == value for one in many)
        }
        if shared and len(many) >= SHARED:
            found[kind] = shared
    return found


def _may_be_shared(kind: str, key: str) -> bool:
    """Whether a reader can do without an argument on the layer itself: not its filters, units or rate."""
    cls = kind_named(kind)
    field = cls.model_fields.get(key) if cls is not None else None
    return key == "kernel_size" or (field is not None and not field.is_required())


def _layers(keys: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The layer of a node, which stands inside its wrappers."""
    inner = keys.get("time_distributed") or keys.get("bidirectional")
    if isinstance(inner, dict):
        yield from _layers(inner)
    elif "layer" in keys:
        yield keys


def _without(keys: dict[str, Any], defaults: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The keys of a node without those that the defaults give its layer."""
    given = defaults.get(str(keys.get("layer")), {})
    inside = ("time_distributed", "bidirectional")
    return {
        key: _without(one, defaults) if key in inside and isinstance(one, dict) else one
        for key, one in keys.items()
        if key not in given
    }


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


def _input(one: Input) -> Any:
    said: dict[str, Any] = {"shape": list(one.shape)}
    if one.dtype != "float32":
        said["dtype"] = one.dtype
    if one.batch is not None:
        said["batch"] = one.batch
    return said["shape"] if len(said) == 1 else said
