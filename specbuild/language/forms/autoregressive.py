"""`autoregressive`: nodes that run over the frames given, and then on their own output, one frame at a time."""

from __future__ import annotations

from dataclasses import replace

from specbuild.document import Mapping, Node, kind_of
from specbuild.language.forms.expansion import Expansion, Path_
from specbuild.language.forms.scope import Group, Part, Scope
from specbuild.language.references import Reference
from specbuild.language.spec import BodySpec
from specbuild.language.validation import validate

SETTINGS = ("do", "horizon", "give", "sampling", "remat")
"""What stands inside `autoregressive:`."""
EXAMPLE = "write autoregressive: {do: […], horizon: 10}"


def autoregressive_form(walk: Expansion, item: Mapping, scope: Scope, path: Path_) -> None:
    """`{autoregressive: {do: […], horizon: 10, give: all, sampling: {steps: 50000}, remat: true}}`.

    The nodes of `do` become the body of one node, with ids under its own; they read `input` and each other.
    """
    from specbuild.catalog.autoregressive import Autoregressive

    item = walk.resolve(item, scope, path, leave=("autoregressive",))
    walk.only(item, ("autoregressive", "trainable"), path, help=_inside)
    entry, where = item.entry("autoregressive"), (*path, "autoregressive")
    assert entry is not None
    if not isinstance(entry.value, Mapping):
        if not walk.report.is_known(entry.value.span):
            message = f"autoregressive must be a mapping, got {kind_of(entry.value)}"
            walk.report.error(message, entry.value.span, path=where, help=EXAMPLE, code="wrong-type")
        walk.fail(item, scope, path)
        return
    settings = walk.resolve(replace(entry.value, span=entry.key.span), scope, where, leave=("do",))
    do = settings.get("do")
    if do is None:
        message = "autoregressive needs do: and a list of nodes"
        walk.report.error(message, entry.key.span, path=where, help=EXAMPLE, code="missing-key")
        walk.fail(item, scope, path)
        return
    frozen = tuple(one for one in item.entries if one.name == "trainable")
    own = (*(one for one in settings.entries if one.name != "do"), *frozen)
    arguments = replace(settings, entries=own)
    layer = validate(Autoregressive, arguments, where, walk.report, owner="autoregressive", at=entry.key)
    before = len(walk.nodes)
    walk.add([Part(layer, arguments, item, "autoregressive")], item, scope, path)
    end = walk.previous
    assert end is not None
    body = _body(walk, do, end.id, scope, (*where, "do"))
    if len(walk.nodes) > before:
        walk.nodes[-1] = replace(walk.nodes[-1], body=body)
    walk.previous = end


def _body(walk: Expansion, do: Node, name: str, scope: Scope, path: Path_) -> BodySpec:
    """The nodes of `do`, in a scope of their own."""
    given = f"{name}_input"
    for made_up in (given, f"{name}_teacher"):
        walk.ids.claim(made_up, do.span.line)
    start = Reference(given, None, do.span, implied=True)
    inner = Scope(scope.values, {"input": Group(start)}, prefix=f"{name}_", closed=name, kind="autoregressive node")
    with walk.apart() as nodes:
        walk.previous = start
        walk.items(do, inner, path)
        end, lost = walk.previous or start, set[str]()
        if walk.previous is None:
            lost.add(start.id)
            message = f"no node gives the frames of {name}"
            help = "end do: in one node, such as the merge of the branch"
            walk.report.error(message, do.span, path=path, reason=walk.no_previous, help=help, code="missing-key")
    return BodySpec(given, tuple(nodes), end, frozenset(walk.broken | lost))


def _inside(name: str) -> str:
    return "write it inside autoregressive: {…}" if name in SETTINGS else ""
