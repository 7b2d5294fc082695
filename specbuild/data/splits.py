"""Splits: the frames or events that train, validate and test, with an embargo between them in time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from specbuild.data.sources.base import FrameSource
from specbuild.data.sources.times import unbroken
from specbuild.data.windows import WindowSet
from specbuild.spec.split_section import SplitSection

if TYPE_CHECKING:
    from specbuild.spec import Spec


@dataclass(frozen=True, slots=True)
class Split:
    """The frames `frames` of each of the events `events`."""

    name: str
    events: range
    frames: range


def make_splits(section: SplitSection, by: str, events: int, length: int, embargo: int) -> dict[str, Split]:
    """The splits of `events` events of `length` frames, in the order train, validation, test.

    Shares are of the frames left after every embargo. They may come out empty; ranges may reach beyond what there is.
    """
    if by == "event":
        ranges = _ranges(section, events, 0)
        return {name: Split(name, span, range(length)) for name, span in ranges.items()}
    ranges = _ranges(section, length, embargo)
    return {name: Split(name, range(events), span) for name, span in ranges.items()}


def open_splits(spec: Spec, source: FrameSource) -> dict[str, WindowSet]:
    """The windows of each split of the spec's data section.

    Raises:
        SpecError: ranges that do not exist; a split that is left without a window.
    """
    data = spec.data
    assert data is not None
    section, windows, by = data.split, data.windows, data.split_by
    embargo = 0 if by == "event" else windows.reach if section.embargo is None else section.embargo
    splits = make_splits(section, by, source.events, source.length, embargo)
    _check_ranges(spec, splits, source)
    if source.length < windows.span:
        raise spec.error(
            ("data", "windows"),
            f"a window needs {windows.span} frames, {source.name} has {source.length}",
            reason=_window(spec),
            help="forecast fewer frames, or use a longer record",
            code="too-few-frames",
        )
    stretches = unbroken(source.times, source.length)
    found = {name: WindowSet(windows, split.events, _within(stretches, split.frames)) for name, split in splits.items()}
    empty = [name for name, one in found.items() if not len(one)]
    if empty:
        unit = "events" if by == "event" else "frames"
        sizes = ", ".join(f"{name} {len(_span(split, by))}" for name, split in splits.items())
        gaps = f"; the times have {len(stretches) - 1} gaps" if len(stretches) > 1 else ""
        kept = f", with {embargo} between splits" if embargo and len(splits) > 1 else ""
        total = source.events if by == "event" else source.length
        needs = "1 event" if by == "event" else f"{windows.span} frames ({_window(spec)})"
        raise spec.error(
            ("data", "split"),
            f"no window fits into {' and '.join(empty)}",
            reason=f"each needs at least {needs}; of {total} {unit} there are {sizes}{kept}{gaps}",
            help="use fewer past and future frames, give that split a larger part, or use a longer record",
            code="too-few-frames",
        )
    return found


def _ranges(section: SplitSection, total: int, embargo: int) -> dict[str, range]:
    parts = section.parts
    usable = max(total - embargo * (len(parts) - 1), 0)
    found, shares, first = {}, 0.0, 0
    for number, (name, part) in enumerate(parts.items()):
        if isinstance(part, tuple):
            found[name] = range(*part)
            continue
        shares += part
        end = min(int(shares * usable + 0.5), usable)
        found[name] = range(first + number * embargo, end + number * embargo)
        first = end
    return found


def _check_ranges(spec: Spec, splits: dict[str, Split], source: FrameSource) -> None:
    data = spec.data
    assert data is not None
    if not isinstance(data.split.train, tuple):
        return
    by = data.split_by
    unit, total = ("event", source.events) if by == "event" else ("frame", source.length)
    for name, split in splits.items():
        span = _span(split, by)
        if span.stop > total:
            raise spec.error(
                ("data", "split", name),
                f"{name} ends before {unit} {span.stop}, {source.name} has {total} {unit}s",
                help=f"the last range that exists is [{min(span.start, total - 1)}, {total}]",
                code="too-few-frames",
            )


def _span(split: Split, by: str) -> range:
    return split.events if by == "event" else split.frames


def _within(stretches: tuple[range, ...], frames: range) -> tuple[range, ...]:
    found = (range(max(s.start, frames.start), min(s.stop, frames.stop)) for s in stretches)
    return tuple(stretch for stretch in found if stretch)


def _window(spec: Spec) -> str:
    data = spec.data
    assert data is not None
    w = data.windows
    lead = f" + lead {w.lead}" if w.lead else ""
    step = f", every {w.step} frames" if w.step > 1 else ""
    return f"a window spans {w.span} frames: past {w.past}{lead} + future {w.future}{step}"
