"""Equations on nodes: a text whose names are ids, read in the scope where it stands."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from specbuild.catalog.equation import Equation, equation, input_name
from specbuild.document import Entry, Mapping, Node, Report, Scalar, shown
from specbuild.document.arithmetic import Name, names_in, written
from specbuild.document.calculation import ExpressionError
from specbuild.language.references import ID, References
from specbuild.language.variables import fill

if TYPE_CHECKING:
    from specbuild.language.forms.scope import Scope
    from specbuild.language.forms.walk import Walk

_SIMPLE = re.compile(r"[A-Za-z0-9_.]+")
EXAMPLE = 'write equation: "sigmoid(f) * c"'


class ReadEquation(NamedTuple):
    """An equation with its names resolved."""

    layer: Equation
    """The layer of the catalog that computes it."""
    sources: References
    """What the layer reads, in the order of its inputs."""


def read_equation(node: Node, walk: Walk, scope: Scope) -> ReadEquation | None:
    """Return the equation that a node of the document holds; None after reporting why it is none.

    Variables in it are filled in, its names are those of `scope`. A name that it has several times is one input.

    Args:
        node: the text as written, its variables filled in or not.
        walk: for reports.
        scope: where the text stands.
    """
    if walk.report.is_known(node.span):
        return None
    if not isinstance(node, Scalar) or not isinstance(node.value, str):
        walk.report.wrong_type("expected an equation on nodes", node, EXAMPLE)
        return None
    filled = fill(node, scope.values, walk.report, _shown)
    if filled is None:
        return None
    try:
        tree = equation(filled.text)
    except ExpressionError as error:
        span = filled.span(*error.at) if error.at is not None else node.span
        walk.report.error(str(error), span, help=error.help, code="bad-equation")
        return None
    places: dict[str, Name] = {}
    for name in names_in(tree):
        places.setdefault(name.name, name)
        if (hyphenated := _hyphenated(name, filled.text, walk, scope)) is not None:
            rest = hyphenated.removeprefix(name.name)[1:]
            message = f"{hyphenated} cannot be used in an equation, which reads it as {name.name} minus {rest}"
            span, help = filled.span(name.at[0], name.at[0] + len(hyphenated)), "give it an id without a hyphen"
            walk.report.error(message, span, help=help, code="bad-equation")
            return None
    sources = []
    for name in places.values():
        span = filled.span(*name.at)
        source = scope.reference(Scalar(name.name, span, name.name), walk.report)
        if source is not None:
            sources.append(source)
    if len(sources) < len(places):
        return None
    names = {name: input_name(index) for index, name in enumerate(places)}
    return ReadEquation(Equation(formula=written(tree, names.__getitem__)), tuple(sources))


def refuse_cut(mapping: Mapping, entry: Entry, report: Report) -> bool:
    """Report a text in braces that its own comma has ended, as in `{equation: maximum(a, b)}`.

    Return whether `entry`, whose key is unknown, is the rest of one: `b)`.
    """
    entries = mapping.entries
    start = at = next(index for index, other in enumerate(entries) if other is entry)
    while start and _is_null(entries[start]):
        start -= 1
    begun = entries[start].value
    if start == at or not isinstance(begun, Scalar) or not isinstance(begun.value, str):
        return False
    for end in range(at, len(entries)):
        names = [other.name for other in entries[start + 1 : end + 1]]
        whole = ", ".join([begun.value, *names])
        if _is_null(entries[end]) and whole.count("(") == whole.count(")") > begun.value.count(")"):
            message = f'a comma ends the text of {entries[start].name}: "{begun.value}"'
            help = f'in {{ }} a comma separates keys; put the text in quotes: "{whole}"'
            report.error(message, begun.span, help=help, code="bad-equation")
            return True
    return False


def _is_null(entry: Entry) -> bool:
    return isinstance(entry.value, Scalar) and entry.value.value is None


def _hyphenated(name: Name, text: str, walk: Walk, scope: Scope) -> str | None:
    """Return the id with a hyphen that begins with a name that is no id."""
    match = ID.match(text, name.at[0])
    if match is None or "-" not in match[0] or name.name in (*scope.names, *walk.inputs):
        return None
    return match[0] if match[0] in (*scope.names, *walk.inputs) else None


def _shown(value: Any) -> str:
    """Return the value of a variable as an equation has it: what is more than a name or a number is in parentheses."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ExpressionError(
            f"a variable in an equation holds a number, a name or part of an equation, got {shown(value)}"
        )
    text = value if isinstance(value, str) else repr(value)
    return text if _SIMPLE.fullmatch(text) else f"({text})"
