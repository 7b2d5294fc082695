"""`repeat` and `for`: the same nodes several times, one after the other."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from specbuild.document import Mapping, Node, Scalar, Sequence, plain
from specbuild.language.forms.expansion import MAX_STEPS, Expansion, Path_
from specbuild.language.forms.scope import Scope
from specbuild.language.variables import NAME


def repeat_form(walk: Expansion, item: Mapping, scope: Scope, path: Path_) -> None:
    """`{repeat: 3, as: i, do: […]}`: `$i` counts the rounds from 1, where `as` names it."""
    item = walk.resolve(item, scope, path, leave=("do",))
    walk.only(item, ("repeat", "as", "do", "trainable"), path)
    count, name = item.get("repeat"), item.get("as")
    valid = isinstance(count, Scalar) and isinstance(count.value, int) and not isinstance(count.value, bool)
    if not isinstance(count, Scalar) or not valid or not 0 <= int(count.value or 0) <= MAX_STEPS:
        if count is not None and not walk.report.is_known(count.span):
            got = f", got {count.raw}" if isinstance(count, Scalar) else ""
            walk.report.error(
                f"repeat: expected a whole number from 0 to {MAX_STEPS:,}{got}",
                count.span,
                path=(*path, "repeat"),
                code="bad-value",
            )
        walk.fail(item, scope, path)
        return
    if name is not None and not _is_name(walk, plain(name), name, (*path, "as")):
        walk.fail(item, scope, path)
        return
    rounds = ({str(plain(name)): number} if name else {} for number in range(1, int(count.value or 0) + 1))
    _run(walk, item, scope, path, rounds)


def for_form(walk: Expansion, item: Mapping, scope: Scope, path: Path_) -> None:
    """`{for: {f: [32, 64]}, do: […]}`: one round for each value; several variables go in step."""
    item = walk.resolve(item, scope, path, leave=("do",))
    walk.only(item, ("for", "do", "trainable"), path)
    variables = item.get("for")
    assert variables is not None
    if not isinstance(variables, Mapping) or not variables.entries:
        if not walk.report.is_known(variables.span):
            walk.report.error(
                "for: expected variables and their values",
                variables.span,
                path=(*path, "for"),
                help="write for: {f: [32, 64, 128]}",
                code="wrong-type",
            )
        walk.fail(item, scope, path)
        return
    columns: dict[str, list[Any]] = {}
    for entry in variables.entries:
        where = (*path, "for", entry.name)
        if not _is_name(walk, entry.name, entry.key, where):
            walk.fail(item, scope, path)
            return
        if not isinstance(entry.value, Sequence):
            if not walk.report.is_known(entry.value.span):
                help = f"write {entry.name}: [1, 2, 3]"
                walk.report.error(
                    f"{entry.name}: expected a list of values",
                    entry.value.span,
                    path=where,
                    help=help,
                    code="wrong-type",
                )
            walk.fail(item, scope, path)
            return
        columns[entry.name] = plain(entry.value)
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) > 1:
        walk.report.error(
            "the variables of a loop need lists of one length",
            variables.span,
            path=(*path, "for"),
            reason=", ".join(f"{name} has {length}" for name, length in lengths.items()),
            code="bad-value",
        )
        walk.fail(item, scope, path)
        return
    rounds = (dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True))
    _run(walk, item, scope, path, rounds)


def _run(walk: Expansion, item: Mapping, scope: Scope, path: Path_, rounds: Iterator[dict[str, Any]]) -> None:
    body = item.get("do")
    if body is None:
        walk.report.error("a loop needs do: and a list of nodes", item.span, path=path, code="missing-key")
        walk.fail(item, scope, path)
        return
    with walk.composite(item, scope, path, open_start=True):
        for values in rounds:
            walk.spend(item.span, path)
            inner = replace(scope, values=ChainMap(values, scope.values))
            walk.items(body, inner, (*path, "do"))


def _is_name(walk: Expansion, name: Any, at: Node, path: Path_) -> bool:
    """Whether a loop's variable can be written as `$name`; reports one that cannot."""
    if isinstance(name, str) and NAME.fullmatch(name):
        return True
    if not walk.report.is_known(at.span):
        walk.report.error(
            f'"{name}" cannot name a variable',
            at.span,
            path=path,
            help="use letters, digits and _, not starting with a digit",
            code="bad-name",
        )
    return False
