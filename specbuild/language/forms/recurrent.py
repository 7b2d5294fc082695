"""`recurrent`: a custom cell, nodes that run once for each step of a sequence and carry declared states."""

from dataclasses import replace
from typing import Annotated, ClassVar

from pydantic import Field

from specbuild.catalog import Layer
from specbuild.catalog.recurrence import Recurrence
from specbuild.document import (
    Entry,
    Mapping,
    Node,
    Report,
    Scalar,
    plain,
    shown,
)
from specbuild.language.forms.base import Expansion, Part, PlainForm
from specbuild.language.forms.keys import Keys
from specbuild.language.forms.recurrent_step import EXAMPLE, Cell, RecurrentStep
from specbuild.language.forms.scope import Scope
from specbuild.language.forms.values import Located, Trainable
from specbuild.language.forms.walk import MAX_STEPS, Walk
from specbuild.language.validation import validate
from specbuild.language.variables import substitute


class RecurrentForm(PlainForm):
    """A custom recurrent cell: {recurrent: {states: {h: 64}, do: […], next: {h: …}}}.

    Its nodes run once for each step of a sequence. They become the body of one node, with ids under its own.
    """

    KEY: ClassVar[str] = "recurrent"
    INSIDE: ClassVar[type[Keys]] = Cell

    trainable: Trainable = None
    recurrent: Annotated[Node, Located("recurrent cell", "a mapping", unbound=True)] = Field(
        description="The states, the nodes of one step, and the new values of the states."
    )

    def expand(self, walk: Walk, item: Mapping, scope: Scope) -> Expansion:
        return expand_cell(self, walk, item[self.KEY], item, scope)


def expand_cell(
    form: PlainForm, walk: Walk, entry: Entry, item: Mapping, scope: Scope, wrapper: type[Layer] | None = None
) -> Expansion:
    """Return the node of the custom cell under `entry`, in a `wrapper` if one is given."""
    if not isinstance(entry.value, Mapping):
        walk.report.wrong_type("recurrent must be a mapping", entry.value, EXAMPLE)
        return walk.failed(item, scope)
    inner = replace(entry.value, span=entry.key.span)
    inner = substitute(inner, scope.values, walk.report, leave=Cell.unbound())
    written = _written_out(inner, walk.report)
    if written is None:
        return walk.failed(item, scope)
    inner, copied = written
    cell = Cell.read(inner, walk.report, at=entry.key)
    if cell is None:
        return walk.failed(item, scope)
    own = [item.entry("trainable")] if wrapper is None else []
    known = (*(each for each in inner.entries if each.name not in Cell.model_fields), *filter(None, own))
    arguments = replace(inner, entries=tuple(each for each in known if each.name in Cell.key_names()))
    layer = validate(Recurrence, arguments, walk.report, owner=RecurrentForm.KEY, at=entry.key, meant=Cell.meant(inner))
    whole: Layer | None = layer
    if wrapper is not None and layer is not None:
        names = [name for name in wrapper.model_fields if name != "layer"]
        settings = Mapping(tuple(each for each in item.entries if each.name in names), item.span)
        whole = validate(wrapper, settings, walk.report, owner=wrapper.__name__, given={"layer": layer})
    expansion = form.chain(walk, [Part(whole, arguments, item, RecurrentForm.KEY)], item, scope)
    assert expansion.end is not None
    if any(len(node.sources) > 1 for node in expansion.nodes):
        message = f"{expansion.end.id} runs over one sequence, got {len(expansion.nodes[0].sources)}"
        help = "the nodes inside read other sequences by their ids"
        walk.report.error(message, item["from"].value.span, help=help, code="arity")
        walk.broken.add(expansion.end.id)
        return replace(expansion, nodes=(), complete=False)
    declared = inner.get("states")
    states = tuple(filter(str.isidentifier, declared.names())) if isinstance(declared, Mapping) else ()
    step = RecurrentStep(walk, cell, states, expansion.end.id, scope, copied)
    body = step.body()
    nodes = (replace(node, body=body, sources=(*node.sources, *step.read)) for node in expansion.nodes)
    return replace(expansion, nodes=tuple(nodes))


def _written_out(inner: Mapping, report: Report) -> tuple[Mapping, dict[str, tuple[str, ...]]] | None:
    """Return the keys of a recurrent node with each state that has `copies` written out, and the names of the copies.

    None after reporting an invalid number of copies.
    """
    states = inner.entry("states")
    if states is None or not isinstance(states.value, Mapping):
        return inner, {}
    entries: list[Entry] = []
    copied: dict[str, tuple[str, ...]] = {}
    for entry in states.value.entries:
        count = entry.value.get("copies") if isinstance(entry.value, Mapping) else None
        if count is None or not isinstance(entry.value, Mapping):
            entries.append(entry)
            continue
        number = count.value if isinstance(count, Scalar) else None
        if type(number) is not int or not 0 < number <= MAX_STEPS:
            message = f"copies: expected a positive whole number, got {shown(plain(count))}"
            report.error(message, count.span, code="bad-value")
            return None
        names = copied[entry.name] = tuple(f"{entry.name}{at}" for at in range(1, number + 1))
        value = entry.value.without("copies")
        entries += [replace(entry, key=replace(entry.key, value=name, raw=name), value=value) for name in names]
    if not copied:
        return inner, {}
    return inner.with_value("states", replace(states.value, entries=tuple(entries))), copied
