"""Whether the values that `specbuild tune` tries fit the spec, each checked with the whole of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice, product
from typing import TypeAlias

from specbuild.catalog.values import written
from specbuild.document import Diagnostic, Report
from specbuild.language import normalize
from specbuild.language.tuning import Dimension

Faults: TypeAlias = Callable[[tuple[str, ...]], tuple[Diagnostic, ...]]
"""Gives the errors of the spec with some overrides."""
_COMBINATIONS = 32
"""Combinations of other values that a value is tried with before it is refused."""


def check_space(space: tuple[Dimension, ...], faults: Faults, report: Report, *, what: str = "spec") -> None:
    """Report every choice, and every end of a range, that does not fit the spec.

    A value is refused if it fits neither the values that the spec has nor any tried combination of those that the other
    paths may take: `groups: 8` may fit none but 16 filters.

    Args:
        space: what trials vary.
        faults: gives the errors of the spec with some overrides.
        report: takes the errors.
        what: what a value does not fit if there are errors.
    """
    for dimension in space:
        refused = []
        for value, place in dimension.extremes:
            first = _why_refused(dimension, value, space, faults)
            if first is not None:
                refused.append((value, place, first))
        messages = {first.message for _, _, first in refused}
        if len(refused) == len(dimension.extremes) and len(messages) == 1:  # the path is at fault, not the values
            first = refused[0][2]
            report.error(first.message, dimension.key, reason=first.reason, help=first.help, code=first.code)
            continue
        for value, place, first in refused:
            message = f"{dimension.path} = {written(value)} does not fit the {what}"
            where = f", at {first.path}" if first.path and first.path != dimension.path else ""
            report.error(message, place, reason=f"{first.message}{where}", help=first.help, code="bad-choice")


def _why_refused(
    dimension: Dimension, value: object, space: tuple[Dimension, ...], faults: Faults
) -> Diagnostic | None:
    """Return the first error of the spec with a value; None where the value fits."""
    (override,) = normalize({dimension.path: value})
    found = faults((override,))
    if not found:
        return None
    others = [other for other in space if other is not dimension]
    fits = any(not faults((*normalize(dict(chosen)), override)) for chosen in _combinations(others))
    return None if fits else found[0]


def _combinations(others: list[Dimension]) -> Iterator[tuple[tuple[str, object], ...]]:
    """Yield combinations of the values of other dimensions, each value in one of them at least."""
    if not others:
        return
    values = [[(other.path, value) for value, _ in other.extremes] for other in others]
    for number in range(max(map(len, values))):
        yield tuple(each[number % len(each)] for each in values)
    yield from islice(product(*values), _COMBINATIONS)
