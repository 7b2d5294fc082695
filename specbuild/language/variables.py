"""Variables: `$name` in any value is replaced by its value in `vars:`; messages name the place of its use."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Collection, Iterator
from collections.abc import Mapping as AnyMapping
from dataclasses import dataclass, replace
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from typing import Any, overload

from specbuild.document import Mapping, Node, Report, Scalar, Sequence, Span, did_you_mean, plain
from specbuild.document.calculation import ExpressionError
from specbuild.language.expressions import Unknown, UnknownUsed, evaluate, is_expression, names

NAME = re.compile(r"[A-Za-z_]\w*")
"""A variable's name."""
NAME_HELP = "use letters, digits and _, not starting with a digit"
_EMBEDDED = re.compile(r"\$\$|\$\{([^{}]*)\}|\$([A-Za-z_]\w*)")
_MAX_TEXT = 10_000
MAX_DEPTH = 64
"""Levels of lists that a variable may hold."""


def variables(node: Node | None, report: Report) -> dict[str, Any]:
    """Return the values of the `vars:` section, which may refer to each other in any order.

    Reports a name that is not an identifier, an unknown name, a cycle, and a value that is neither scalar nor list.
    """
    if node is None:
        return {}
    if not isinstance(node, Mapping):
        message = "vars: expected a mapping of names to values"
        report.error(message, node.span, help="write vars: {filters: 32}", code="wrong-type")
        return {}
    written: dict[str, Node] = {}
    for entry in node.entries:
        if not NAME.fullmatch(entry.name):
            report.error(f'"{entry.name}" cannot name a variable', entry.key.span, help=NAME_HELP, code="bad-name")
        elif isinstance(entry.value, Mapping):
            reason = "a variable holds a number, a word, a boolean or a list"
            report.error(f"the variable {entry.name} is a mapping", entry.value.span, reason=reason, code="wrong-type")
        else:
            written[entry.name] = entry.value
    order = TopologicalSorter({name: _names_in(value) & written.keys() for name, value in written.items()})
    try:
        ordered = list(order.static_order())
    except CycleError as cycle:
        circle = list(reversed(cycle.args[1]))
        message = "variables go round in a circle: " + " → ".join(f"${name}" for name in circle)
        report.error(message, written[circle[0]].span, help="give one of them a plain value", code="variable-cycle")
        return {name: Unknown() if _names_in(value) else plain(value) for name, value in written.items()}
    values: dict[str, Any] = {}
    for name in ordered:
        before = len(report.errors)
        resolved = substitute(written[name], values, report)
        failed = len(report.errors) > before or report.is_known(resolved.span)
        values[name] = Unknown() if failed else plain(resolved)
    return values


@overload
def substitute(
    node: Mapping, values: AnyMapping[str, Any], report: Report, *, leave: Collection[str] = ()
) -> Mapping: ...
@overload
def substitute(node: Node, values: AnyMapping[str, Any], report: Report) -> Node: ...
def substitute(node: Node, values: AnyMapping[str, Any], report: Report, *, leave: Collection[str] = ()) -> Node:
    """Return the node with every `$name` replaced, but for a mapping's keys in `leave`, which bring their own.

    Unchanged parts stay the same objects.
    """
    if isinstance(node, Mapping):
        report.spend(len(node.entries), node.span)
        entries = []
        for entry in node.entries:
            value = entry.value if entry.name in leave else substitute(entry.value, values, report)
            entries.append(entry if value is entry.value else replace(entry, value=value))
        return node if all(map(operator.is_, entries, node.entries)) else Mapping(tuple(entries), node.span)
    if isinstance(node, Sequence):
        report.spend(len(node.items), node.span)
        items = tuple(substitute(item, values, report) for item in node.items)
        return node if all(map(operator.is_, items, node.items)) else replace(node, items=items)
    if not isinstance(node.value, str) or "$" not in node.value:
        return node
    try:
        value = _value(node.value, values)
        if isinstance(value, PassedNodes):
            raise ExpressionError("it is a list of nodes, to be used where nodes are expected, such as do: $name")
        if isinstance(value, (list, tuple, dict)):
            report.spend(_size(value, MAX_DEPTH), node.span)
    except ExpressionError as error:
        _report(error, node, values, report)
        return replace(node, value=None, raw="")
    return located(value, node.span)


@dataclass(frozen=True)
class Filled:
    """A text with its variables filled in."""

    text: str
    node: Scalar
    """The text as written."""
    origins: tuple[tuple[int, int], ...]
    """For every character of `text` the part of the written text that it comes from."""

    def span(self, start: int, end: int) -> Span:
        """Return where `text[start:end]` comes from; the whole text where that is not told."""
        if not 0 <= start < end <= len(self.text):
            return self.node.span
        first, last = self._places.get(self.origins[start][0]), self._places.get(self.origins[end - 1][1] - 1)
        if first is None or last is None:
            return self.node.span
        return self.node.span.source.span(first, last + 1)

    @cached_property
    def _places(self) -> dict[int, int]:
        """For the characters of the written text but blanks their offsets in the source, where they are told."""
        inside = (at for at, character in enumerate(str(self.node.value)) if not character.isspace())
        return dict(zip(inside, self.node.places() or (), strict=False))


def fill(node: Scalar, values: AnyMapping[str, Any], report: Report, show: Callable[[Any], str]) -> Filled | None:
    """Return a text with every `$name` and `${…}` in it replaced by its value as `show` writes it.

    None after reporting a variable that does not exist, or a value for which `show` raises an ExpressionError.
    """
    text, origins = "", []
    try:
        for piece, start, end in _pieces(str(node.value), values, show):
            text += piece
            written = piece == str(node.value)[start:end]
            origins += [(start + at, start + at + 1) if written else (start, end) for at in range(len(piece))]
        _check_length(text)
    except ExpressionError as error:
        _report(error, node, values, report)
        return None
    return Filled(text, node, tuple(origins))


def _report(error: ExpressionError, node: Scalar, values: AnyMapping[str, Any], report: Report) -> None:
    """Report why a text has no value, unless that follows from what was reported."""
    if isinstance(error, UnknownUsed):
        report.mute(node.span)
        return
    message = str(error) if error.unknown else f'cannot compute "{node.value}": {error}'
    code = "unknown-variable" if error.unknown else "bad-expression"
    report.error(message, node.span, help=_help(error.unknown, values), code=code)


def condition(node: Node, values: AnyMapping[str, Any], report: Report) -> Node:
    """Return the value of a `when`, which is an expression even where it names no variable or holds words."""
    if not isinstance(node, Scalar) or not isinstance(node.value, str) or "{" in node.value:
        return node
    return substitute(replace(node, value=f"${{{node.value}}}"), values, report)


@dataclass(frozen=True)
class PassedNodes:
    """A list of nodes as the value of a block's parameter, with what is known at the place where it was written."""

    nodes: Node
    values: AnyMapping[str, Any]
    """The variables there."""
    calls: tuple[str, ...] = ()
    """The blocks that are being expanded there, outermost first."""


def passed(node: Node, values: AnyMapping[str, Any]) -> PassedNodes | None:
    """Return the nodes that `do: $name` stands for; None if it is not a variable that holds nodes."""
    match = re.fullmatch(r"\$(\w+)|\$\{\s*(\w+)\s*\}", str(node.value)) if isinstance(node, Scalar) else None
    value = values.get(match[1] or match[2]) if match is not None else None
    return value if isinstance(value, PassedNodes) else None


def located(value: Any, span: Span) -> Node:
    """Return a plain value as nodes that all stand at `span`."""
    if isinstance(value, (list, tuple)):
        return Sequence(tuple(located(item, span) for item in value), span)
    return Scalar(value, span, raw=str(value), quoted=isinstance(value, str))


def _size(value: Any, depth: int) -> int:
    """Return how many values a list holds, including those of nested lists."""
    if isinstance(value, dict):
        raise ExpressionError("it holds a mapping; a variable holds a number, a word, a boolean or a list")
    if not isinstance(value, (list, tuple)):
        return 1
    if depth == 0:
        raise ExpressionError(f"its lists are nested deeper than {MAX_DEPTH} levels")
    return sum(_size(item, depth - 1) for item in value)


def _value(text: str, values: AnyMapping[str, Any]) -> Any:
    if len(text) > _MAX_TEXT:
        raise ExpressionError(f"it is longer than {_MAX_TEXT:,} characters")
    whole = re.fullmatch(r"\$\{([^{}]*)\}", text.strip())
    if is_expression(text) or whole:
        return evaluate(_inner(whole[1]) if whole else text, values)
    return _interpolate(text, values)


def _interpolate(text: str, values: AnyMapping[str, Any]) -> str:
    result = "".join(piece for piece, _, _ in _pieces(text, values, _inside_text))
    _check_length(result)
    return result


def _pieces(text: str, values: AnyMapping[str, Any], show: Callable[[Any], str]) -> Iterator[tuple[str, int, int]]:
    """Yield a text with its variables filled in, piece by piece, each with its start and end in the text."""
    end = 0
    for match in _EMBEDDED.finditer(text):
        yield text[end : match.start()], end, match.start()
        end = match.end()
        if match[0] == "$$":
            yield "$", match.start(), end
        else:
            value = evaluate(_inner(match[1]) if match[1] is not None else match[0], values)
            yield show(value), match.start(), end
    yield text[end:], end, len(text)


def _inside_text(value: Any) -> str:
    if isinstance(value, (list, tuple, PassedNodes)):
        raise ExpressionError("a list cannot stand inside text")
    return str(value)


def _check_length(text: str) -> None:
    if len(text) > _MAX_TEXT:
        raise ExpressionError("the result is too long")


def _inner(text: str) -> str:
    """Add the `$` that names may omit inside `${f + 1}`."""
    words = r"'[^']*'|\"[^\"]*\"|\b(?:not|and|or|true|false)\b"
    return re.sub(rf"({words})|(?<![\w$.])([A-Za-z_]\w*)", lambda found: found[1] or f"${found[2]}", text)


def _names_in(node: Node) -> set[str]:
    if isinstance(node, Sequence):
        return set().union(*(_names_in(item) for item in node.items))
    if isinstance(node, Mapping):
        return set().union(*(_names_in(entry.value) for entry in node.entries))
    return names(node.value) if isinstance(node.value, str) else set()


def _help(unknown: str | None, values: AnyMapping[str, Any]) -> str:
    if unknown is None:
        return ""
    suggestion = did_you_mean(unknown, list(values))
    return suggestion or (
        f"declare it: vars: {{{unknown}: …}}" if not values else f"declared are {', '.join(sorted(values))}"
    )
