"""Suggestions for misspelled words: the nearest choice, and lists of all."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

CUTOFF = 0.6
MAX_LENGTH = 64
MAX_CHOICES = 1000


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """Return `did you mean "x"?` for the choice nearest to `word`, or "" when none is near."""
    near = nearest(word, choices)
    return f'did you mean "{near}"?' if near is not None else ""


def nearest(word: str, choices: Iterable[str]) -> str | None:
    """Return the choice nearest to `word`, or None.

    A choice that differs only in case, in `_`, `-` and spaces, or in a final s wins; otherwise the one with the
    highest difflib ratio, at least 0.6, the earlier of two equals. Words are compared up to 64 characters and choices
    up to the 1000th, so the cost is bounded.
    """
    known = list(islice(choices, MAX_CHOICES))
    for simplify in (_without_case, _without_separators, _without_plural):
        goal = simplify(word)
        for choice in known:
            if goal and simplify(choice) == goal:
                return choice
    return _most_similar(word, known)


def listed(words: Iterable[object], most: int = 12) -> str:
    """Return the words for a message, only the first of many: `a, b, c and 7 more`."""
    known = [str(word) for word in words]
    more = f" and {len(known) - most} more" if len(known) > most else ""
    return ", ".join(known[:most]) + more


def _without_case(word: str) -> str:
    return word[:MAX_LENGTH].casefold()


def _without_separators(word: str) -> str:
    return _without_case(word).replace("_", "").replace("-", "").replace(" ", "")


def _without_plural(word: str) -> str:
    return _without_separators(word).removesuffix("s")


def _most_similar(word: str, choices: list[str]) -> str | None:
    from difflib import SequenceMatcher  # imported when there is a mistake

    matcher = SequenceMatcher(autojunk=False)
    matcher.set_seq2(_without_case(word))
    best, best_ratio = None, 0.0
    for choice in choices:
        matcher.set_seq1(_without_case(choice))
        enough = max(CUTOFF, best_ratio)
        if matcher.real_quick_ratio() < enough or matcher.quick_ratio() < enough:
            continue
        ratio = matcher.ratio()
        if ratio >= CUTOFF and ratio > best_ratio:
            best, best_ratio = choice, ratio
    return best
