"""Splits: the frames or events that train, validate and test, with an embargo between them in time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from specbuild.data.sources.base import FrameSource
from specbuild.data.sources.times import unbroken
from specbuild.data.windows import Stretch, WindowSet
from specbuild.spec.split_section import SplitSection

if TYPE_CHECKING:
    from specbuild.spec import Spec


def make_splits(section: SplitSection, by: str, lengths: Sequence[int], embargo: int) -> dict[str, tuple[Stretch, ...]]:
    """The splits of events of so many frames, in the order train, validation, test.

    Shares are of the frames of each event left after every embargo. They may come out empty; ranges may reach beyond
    what there is.
    """
    if by == "event":
        ranges = _ranges(section, len(lengths), 0)
        return {
            name: tuple(Stretch(event, range(lengths[event] if event < len(lengths) else 0)) for event in span)
            for name, span in ranges.items()
        }
    found: dict[str, list[Stretch]] = {name: [] for name in section.parts}
    for event, length in enumerate(lengths):
        for name, span in _ranges(section, length, embargo).items():
            found[name].append(Stretch(event, span))
    return {name: tuple(stretches) for name, stretches in found.items()}


def open_splits(spec: Spec, source: FrameSource) -> dict[str, WindowSet]:
    """The windows of each split of the spec's data section.

    Raises:
        SpecError: ranges that do not exist; a split that is left without a window.
    """
    data = spec.data
    assert data is not None
    section, windows, by = data.split, data.windows, data.split_by
    embargo = 0 if by == "event" else windows.reach if section.embargo is None else section.embargo
    _check_ranges(spec, source)
    if source.length < windows.span:
        raise spec.error(
            ("data", "windows"),
            f"a window needs {windows.span} frames, {source.name} has {source.length}",
            reason=_window(spec),
            help="forecast fewer frames, or use a longer record",
            code="too-few-frames",
        )
    splits = make_splits(section, by, source.lengths, embargo)
    unbroken_in = [unbroken(source.times(event), length) for event, length in enumerate(source.lengths)]
    found = {
        name: WindowSet(windows, tuple(part for one in stretches for part in _within(unbroken_in[one.event], one)))
        for name, stretches in splits.items()
    }
    empty = [name for name, one in found.items() if not len(one)]
    if empty:
        unit = "events" if by == "event" else "frames"
        sizes = ", ".join(f"{name} {_size(stretches, by)}" for name, stretches in splits.items())
        broken = sum(len(one) - 1 for one in unbroken_in)
        gaps = f"; the times have {broken} gaps" if broken else ""
        kept = f", with {embargo} between splits" if embargo and len(splits) > 1 else ""
        total = source.events if by == "event" else sum(source.lengths)
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


def _check_ranges(spec: Spec, source: FrameSource) -> None:
    data = spec.data
    assert data is not None
    by = data.split_by
    unit, total = ("event", source.events) if by == "event" else ("frame", source.length)
    for name, (first, end) in data.split.ranges.items():
        if end > total:
            raise spec.error(
                ("data", "split", name),
                f"{name} ends before {unit} {end}, {source.name} has {total} {unit}s",
                help=f"the last range that exists is [{min(first, total - 1)}, {total}]",
                code="too-few-frames",
            )


def _size(stretches: Sequence[Stretch], by: str) -> int:
    return len(stretches) if by == "event" else sum(len(one.frames) for one in stretches)


def _within(unbroken: tuple[range, ...], stretch: Stretch) -> Iterator[Stretch]:
    """The parts of a stretch that no gap breaks."""
    for one in unbroken:
        part = range(max(one.start, stretch.frames.start), min(one.stop, stretch.frames.stop))
        if part:
            yield Stretch(stretch.event, part)


def _window(spec: Spec) -> str:
    data = spec.data
    assert data is not None
    w = data.windows
    lead = f" + lead {w.lead}" if w.lead else ""
    step = f", every {w.step} frames" if w.step > 1 else ""
    return f"a window spans {w.span} frames: past {w.past}{lead} + future {w.future}{step}"
