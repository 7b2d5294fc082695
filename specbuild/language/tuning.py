"""The section `tune`: its options, whose keys are words, and the space to search, whose keys are paths with a dot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from specbuild.document import Entry, Mapping, Report, Sequence, Span, did_you_mean, locate, plain
from specbuild.language.declarations import KEYS
from specbuild.language.sections.tune import RANGES, LogRange, Range, TuneSection, WholeRange
from specbuild.language.validation import has_known_faults, validate

MOST_VALUES = 200
"""The most choices and ends of ranges in a search space: each is checked with the whole spec."""
_VARIED = ("vars", "defaults", "blocks", "inputs", "layers", "outputs", "data", "train")
"""The sections whose values a trial may vary."""
_UNITS = "the validation losses of the trials could not be compared"
_FIXED = {
    "train.backend": "a process uses one framework",
    "data.source": _UNITS,
    "data.split": _UNITS,
    "data.target": _UNITS,
    "data.targets": _UNITS,
    "data.transform": _UNITS,
}
"""What no trial may vary, and why."""
_LOSS = ("train.loss", "train.loss_weights", "train.lead_weights")
"""What determines the loss: it may vary if another value is monitored."""


@dataclass(frozen=True, slots=True)
class Dimension:
    """One value of the spec that trials vary: a list of choices, or a range."""

    path: str
    choices: tuple[Any, ...]
    """Plain values; empty for a range."""
    range: Range | None
    places: tuple[Span, ...]
    """Where each choice stands, or the two ends of the range."""
    key: Span
    """Where the path stands."""

    @property
    def log(self) -> bool:
        """Whether it is a range of numbers that are drawn evenly over their logarithm."""
        return isinstance(self.range, LogRange)

    @property
    def step(self) -> int | None:
        """The distance between two neighbors of a range of whole numbers; None for anything else."""
        return self.range.step if isinstance(self.range, WholeRange) else None

    @property
    def extremes(self) -> tuple[tuple[Any, Span], ...]:
        """The values that stand for all others, each with its place: every choice, or the ends that can be drawn."""
        if self.range is None:
            return tuple(zip(self.choices, self.places, strict=True))
        low, high = self.range.ends
        if self.step is not None:
            high = low + (high - low) // self.step * self.step
        return tuple(zip((low, high), self.places, strict=True))

    def __str__(self) -> str:
        if self.range is None:
            return f"{len(self.choices)} choices"
        low, high = self.range.ends
        return f"{low:g} to {high:g}"


@dataclass(frozen=True, slots=True)
class Tuning:
    """What the section `tune` says."""

    options: TuneSection
    space: tuple[Dimension, ...]
    span: Span
    """Where the section stands."""
    whole: bool = True
    """Whether the values of every path could be read."""

    def varies(self, path: str) -> bool:
        """Return whether trials vary the value of a path, or one within it."""
        return any(f"{dimension.path}.".startswith(f"{path}.") for dimension in self.space)


def read_tuning(entry: Entry, report: Report) -> Tuning | None:
    """Read as much of the section `tune` as is right, and report the faults; None where it is no section.

    Whether the paths and values fit the spec is checked with the graph (`specbuild.graph.space`).
    """
    node = entry.value
    if not isinstance(node, Mapping):
        help = "write tune: {vars.filters: [16, 32, 64]}"
        report.wrong_type("tune must be a mapping of paths to the values to try", node, help=help)
        return None
    paths = [inner for inner in node.entries if "." in inner.name]
    sections = [inner for inner in node.entries if inner.name in KEYS]
    for inner in sections:
        help = f"write the path of a value as one key, such as {_example(inner)}"
        report.error(f'tune has no option "{inner.name}"', inner.key.span, help=help, code="unknown-key")
    rest = node.without(*(inner.name for inner in (*paths, *sections)))
    options = validate(TuneSection, rest, report, owner="tune", at=entry.key)
    if options is None:  # those that are right serve to check the paths
        faulty = [each.name for each in rest.entries if has_known_faults(each.value, report)]
        options = validate(TuneSection, rest.without(*faulty), Report(), owner="tune", at=entry.key) or TuneSection()
    space = [dimension for inner in paths if (dimension := _dimension(inner, report)) is not None]
    wrong = _check_paths(paths, options, report)
    if not paths and not sections:
        help = "add the path of a value and what to try, such as vars.filters: [16, 32, 64]"
        report.error("tune names no value to vary", entry.key.span, help=help, code="missing-key")
    if sum(len(dimension.places) for dimension in space) > MOST_VALUES:
        message = f"the search space has more than {MOST_VALUES} choices, too many to check; use ranges"
        report.error(message, entry.key.span, code="too-large")
        return None
    known = tuple(dimension for dimension in space if dimension.key not in wrong)
    return Tuning(options, known, entry.key.span, len(space) == len(paths))


def _example(entry: Entry) -> str:
    inside = next(iter(entry.value.names()), "") if isinstance(entry.value, Mapping) else ""
    return f"{entry.name}.{inside or 'filters'}: [16, 32, 64]"


def _check_paths(paths: list[Entry], options: TuneSection, report: Report) -> set[Span]:
    """Report paths that no trial may vary, and those that name a value twice; return the places of these."""
    known: dict[tuple[str, ...], str] = {}
    wrong: set[Span] = set()

    def refuse(entry: Entry, message: str, code: str, *, reason: str = "", help: str = "") -> None:
        report.error(message, entry.key.span, reason=reason, help=help, code=code)
        wrong.add(entry.key.span)

    for entry in paths:
        parts = _parts(entry.name)
        if parts[0] not in _VARIED:
            help = did_you_mean(parts[0], _VARIED) or f"trials vary values of {', '.join(_VARIED)}"
            refuse(entry, f"tune cannot vary {entry.name}", "bad-path", help=help)
        elif reason := _why_fixed(parts, options):
            refuse(entry, f"tune cannot vary {entry.name}", "bad-path", reason=reason)
        for other, name in known.items():
            if other == parts[: len(other)] or parts == other[: len(parts)]:
                message = f"{entry.name} is varied twice" if other == parts else f"{entry.name} and {name} overlap"
                refuse(entry, message, "duplicate-key", help="keep one of them")
        known.setdefault(parts, entry.name)
    return wrong


def _why_fixed(parts: tuple[str, ...], options: TuneSection) -> str:
    """Return why a path cannot be varied; empty where it can."""

    def within(path: str) -> bool:
        keys = _parts(path)
        return parts[: len(keys)] == keys

    if any(map(within, _LOSS)) and options.monitor in (None, "val_loss"):
        return "losses of different kinds cannot be compared; monitor a metric, such as val_mae, to vary it"
    return next((reason for path, reason in _FIXED.items() if within(path)), "")


def _parts(path: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in path.split("."))


def _dimension(entry: Entry, report: Report) -> Dimension | None:
    path, node = ".".join(_parts(entry.name)), entry.value
    if isinstance(node, Sequence):
        return _choices(path, entry, node, report)
    kind = next((name for name in node.names() if name in RANGES), None) if isinstance(node, Mapping) else None
    if not isinstance(node, Mapping) or kind is None:
        near = did_you_mean(next(iter(node.names()), ""), RANGES) if isinstance(node, Mapping) else ""
        help = near or "write choices, as [16, 32, 64], or a range: {log: [0.0001, 0.01]}, {uniform: …} or {int: …}"
        report.wrong_type(f"{path}: expected the values to try", node, help=help)
        return None
    range = validate(RANGES[kind], node, report, owner=path, at=entry.key)
    if range is None:
        return None
    places = tuple(locate(node, (kind, end)) for end in (0, 1))
    return Dimension(path, (), range, places, entry.key.span)


def _choices(path: str, entry: Entry, node: Sequence, report: Report) -> Dimension | None:
    if has_known_faults(node, report):
        return None
    choices = tuple(plain(item) for item in node.items)
    if len(choices) < 2:
        help = f"to set one value, write it in the spec or use --set {path}=…"
        report.error(f"{path}: expected at least two choices", node.span, help=help, code="bad-value")
    keys = [(type(choice).__name__, repr(choice)) for choice in choices]
    twice = [item for at, (item, key) in enumerate(zip(node.items, keys, strict=True)) if key in keys[:at]]
    for item in twice:
        report.error(f"{path}: a choice is listed twice", item.span, code="bad-value")
    return Dimension(path, choices, None, tuple(item.span for item in node.items), entry.key.span)
