"""Splits: the frames, events or files that train, validate and test, with an embargo between them in time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from itertools import pairwise
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from specbuild.data.samples.windows import Stretch, WindowSet
from specbuild.data.section import data_section
from specbuild.data.sources.base import FilePart, FrameSource
from specbuild.data.time.times import between, show, unbroken
from specbuild.document import RunError, did_you_mean, listed
from specbuild.language.sections.split import SplitSection

if TYPE_CHECKING:
    from specbuild.language import Spec

Splits: TypeAlias = dict[str, tuple[Stretch, ...]]
Split = TypeVar("Split")


def open_splits(spec: Spec, source: FrameSource) -> dict[str, WindowSet]:
    """The windows of each split of the spec's data section, in the order train, validation, test.

    Raises:
        SpecError: ranges, dates or files that do not exist; files in two splits; a split that is left without a window.
    """
    data = data_section(spec)
    section, windows, by, embargo = data.split, data.windows, data.split_by, data.embargo
    _check_ranges(spec, source)
    if source.length < windows.span:
        raise spec.error(
            ("data", "windows"),
            f"a window needs {windows.span} frames, {source.name} has {source.length}",
            reason=_window(spec),
            help="forecast fewer frames, or use a longer record",
            code="too-few-frames",
        )
    if by == "file":
        asked = kept = _by_file(spec, source)
    elif section.dates:
        asked = kept = _by_dates(spec, source)
    else:
        asked = kept = make_splits(section, by, source.lengths, embargo)
    if by == "file" or section.dates:
        kept = keep_apart(asked, embargo)
    unbroken_in = [unbroken(source.times(event), length) for event, length in enumerate(source.lengths)]
    found = {
        name: WindowSet(
            windows,
            tuple(part for one in stretches for part in _within(unbroken_in[one.event], one)),
            _count(asked[name]) - _count(stretches),
        )
        for name, stretches in kept.items()
    }
    _check_windows(spec, source, kept, found, sum(len(one) - 1 for one in unbroken_in))
    return found


def split_called(splits: Mapping[str, Split], name: str) -> Split:
    """The split of a name.

    Raises:
        RunError: there is none.
    """
    if name not in splits:
        hint = did_you_mean(name, splits) or f"the data has {', '.join(splits)}"
        raise RunError(f"the data has no {name} split", f"{hint}; splits are set under data.split")
    return splits[name]


def make_splits(section: SplitSection, by: str, lengths: Sequence[int], embargo: int) -> Splits:
    """The splits of events of so many frames, by shares or by ranges of numbers.

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


def keep_apart(splits: Splits, embargo: int) -> Splits:
    """The splits with at least the embargo between them: where two come closer, the earlier one ends sooner.

    So what is scored stays as it was asked for. Stretches of one split that follow one another become one.
    """
    found: dict[str, list[Stretch]] = {name: [] for name in splits}
    by_event: dict[int, list[tuple[range, str]]] = {}
    for name, stretches in splits.items():
        for one in stretches:
            by_event.setdefault(one.event, []).append((one.frames, name))
    for event, spans in sorted(by_event.items()):
        joined: list[tuple[range, str]] = []
        for frames, name in sorted(spans, key=lambda span: span[0].start):
            if joined and joined[-1][1] == name and joined[-1][0].stop == frames.start:
                joined[-1] = (range(joined[-1][0].start, frames.stop), name)
            elif frames:
                joined.append((frames, name))
        for (frames, name), (after, other) in pairwise([*joined, (range(0), "")]):
            close = after and other != name
            end = min(frames.stop, max(frames.start, after.start - embargo)) if close else frames.stop
            found[name].append(Stretch(event, range(frames.start, end)))
    return {name: tuple(stretches) for name, stretches in found.items()}


def _ranges(section: SplitSection, total: int, embargo: int) -> dict[str, range]:
    parts = section.parts
    ranges = section.ranges
    usable = max(total - embargo * (len(parts) - 1), 0)
    found, shares, first = {}, 0.0, 0
    for number, (name, part) in enumerate(parts.items()):
        if name in ranges:
            found[name] = range(*ranges[name])
            continue
        assert isinstance(part, float)
        shares += part
        end = min(int(shares * usable + 0.5), usable)
        found[name] = range(first + number * embargo, end + number * embargo)
        first = end
    return found


def _by_dates(spec: Spec, source: FrameSource) -> Splits:
    data = data_section(spec)
    clocks = [source.times(event) for event in range(source.events)]
    found = {}
    for name, dates in data.split.dates.items():
        stretches = []
        for event, times in enumerate(clocks):
            if times is None:
                raise spec.error(
                    ("data", "split", name),
                    f"dates split frames by their times, and {source.name} has none",
                    help="say where its times are with data.source.time, or use shares or ranges of frame numbers",
                    code="bad-data",
                )
            stretches.append(Stretch(event, range(*between(times, dates))))
        if not _count(stretches):
            known = [times for times in clocks if times is not None]
            first, last = min(times[0] for times in known), max(times[-1] for times in known)
            raise spec.error(
                ("data", "split", name),
                f"no frame of {source.name} lies from {dates[0]} to {dates[1]}",
                reason=f"its frames are from {show(first)} to {show(last)}",
                code="too-few-frames",
            )
        found[name] = tuple(stretches)
    return found


def _by_file(spec: Spec, source: FrameSource) -> Splits:
    data = data_section(spec)
    parts = source.metadata.parts
    if not parts:
        raise spec.error(
            ("data", "split", "by"),
            f"{source.name} is one file, which cannot be split by file",
            help="name several with a pattern such as path: 'radar_*.nc', or split by time",
            code="bad-data",
        )
    if data.split.names:
        chosen = _named(spec, source)
    else:
        chosen = {
            name: [parts[n] for n in span if n < len(parts)]
            for name, span in _ranges(data.split, len(parts), 0).items()
        }
    return {
        name: tuple(
            Stretch(event, range(part.frames.start, min(part.frames.stop, source.lengths[event])))
            for part in files
            for event in part.events
        )
        for name, files in chosen.items()
    }


def _named(spec: Spec, source: FrameSource) -> dict[str, list[FilePart]]:
    """The files of each split, by their names or patterns of these.

    Raises:
        SpecError: a name that is no file's, or a file in two splits.
    """
    data = data_section(spec)
    found: dict[str, list[FilePart]] = {}
    owner: dict[str, str] = {}
    parts = source.metadata.parts
    names = [part.name for part in parts]
    for split, patterns in data.split.names.items():
        chosen = [part for part in parts if any(fnmatchcase(part.name, pattern) for pattern in patterns)]
        for number, pattern in enumerate(patterns):
            if not any(fnmatchcase(name, pattern) for name in names):
                raise spec.error(
                    ("data", "split", split, number),
                    f'no file of {source.name} is called "{pattern}"',
                    help=did_you_mean(pattern, names) or f"there are {listed(names)}",
                    code="bad-data",
                )
        for part in chosen:
            if part.name in owner:
                raise spec.error(
                    ("data", "split", split),
                    f"{part.name} is in {owner[part.name]} and in {split}",
                    help="a file belongs to one split: write narrower patterns",
                    code="leak",
                )
            owner[part.name] = split
        found[split] = chosen
    return found


def _check_ranges(spec: Spec, source: FrameSource) -> None:
    data = data_section(spec)
    unit, total = {
        "time": ("frame", source.length),
        "event": ("event", source.events),
        "file": ("file", len(source.metadata.parts)),
    }[data.split_by]
    for name, (first, end) in data.split.ranges.items():
        if end > total:
            years = data.split_by == "time" and 1000 < first < end < 3000 and source.times(0) is not None
            raise spec.error(
                ("data", "split", name),
                f"{name} ends before {unit} {end}, {source.name} has {total} {unit}s",
                help=f'for years write ["{first}", "{end}"]'
                if years
                else f"the last range that exists is [{min(first, total - 1)}, {total}]",
                code="too-few-frames",
            )


def _check_windows(spec: Spec, source: FrameSource, splits: Splits, found: dict[str, WindowSet], broken: int) -> None:
    data = data_section(spec)
    empty = [name for name, one in found.items() if not len(one)]
    if not empty:
        return
    whole = data.split_by == "event"
    unit = "events" if whole else "frames"
    sizes = ", ".join(f"{name} {len(one) if whole else _count(one)}" for name, one in splits.items())
    gaps = f"; the times have {broken} gaps" if broken else ""
    kept = f", with {data.embargo} between splits" if data.embargo and len(splits) > 1 else ""
    total = source.events if whole else sum(source.lengths)
    short = whole and source.length > min(source.lengths)
    needs = "1 event" if whole and not short else f"{data.windows.span} frames ({_window(spec)})"
    raise spec.error(
        ("data", "split"),
        f"no window fits into {' and '.join(empty)}",
        reason=f"each needs at least {needs}; of {total} {unit} there are {sizes}{kept}{gaps}",
        help="use fewer past and future frames, give that split a larger part, or use a longer record",
        code="too-few-frames",
    )


def _count(stretches: Sequence[Stretch]) -> int:
    return sum(len(one.frames) for one in stretches)


def _within(unbroken: tuple[range, ...], stretch: Stretch) -> Iterator[Stretch]:
    """The parts of a stretch that no gap breaks."""
    for one in unbroken:
        part = range(max(one.start, stretch.frames.start), min(one.stop, stretch.frames.stop))
        if part:
            yield Stretch(stretch.event, part)


def _window(spec: Spec) -> str:
    data = data_section(spec)
    w = data.windows
    lead = f" + lead {w.lead}" if w.lead else ""
    step = f", every {w.step} frames" if w.step > 1 else ""
    return f"a window spans {w.span} frames: past {w.past}{lead} + future {w.future}{step}"
