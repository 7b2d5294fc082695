"""Splits: the frames, events or files that train, validate and test, with an embargo between them in time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from itertools import pairwise
from typing import TypeAlias

from specbuild.data.samples.windows import Stretch, WindowSet
from specbuild.data.sources.base import FilePart, FrameSource
from specbuild.data.time.intervals import unbroken
from specbuild.data.time.times import between, show
from specbuild.document import did_you_mean, listed
from specbuild.language import Spec
from specbuild.language.sections.data import DataSection
from specbuild.language.sections.split import SplitSection

Splits: TypeAlias = dict[str, tuple[Stretch, ...]]


def open_splits(spec: Spec, section: DataSection, source: FrameSource) -> dict[str, WindowSet]:
    """Return the windows of each split of the spec's data section, in the order train, validation, test.

    Raises:
        SpecError: ranges, dates or files that do not exist; files in two splits; a split that is left without a window.
    """
    windows, by, embargo = section.windows, section.split_by, section.embargo
    _check_ranges(spec, section, source)
    if source.length < windows.span:
        raise spec.error(
            ("data", "windows"),
            f"a window needs {windows.span} frames, {source.name} has {source.length}",
            reason=_window(section),
            help="forecast fewer frames, or use a longer record",
            code="too-few-frames",
        )
    if by == "file":
        asked = _by_file(spec, section, source)
    elif section.split.dates:
        asked = _by_dates(spec, section, source)
    else:
        asked = make_splits(section.split, by, source.lengths, embargo)
    kept = keep_apart(asked, embargo) if by == "file" or section.split.dates else asked
    runs = [unbroken(source.times(event), length) for event, length in enumerate(source.lengths)]
    splits = {
        name: WindowSet(
            windows,
            tuple(part for stretch in stretches for part in _within(runs[stretch.event], stretch)),
            _count(asked[name]) - _count(stretches),
        )
        for name, stretches in kept.items()
    }
    _check_windows(spec, section, source, splits, sum(len(parts) - 1 for parts in runs))
    return splits


def make_splits(section: SplitSection, by: str, lengths: Sequence[int], embargo: int) -> Splits:
    """Return the splits of events of these lengths, by shares or by ranges of numbers.

    Shares are of the frames of each event left after every embargo. They may come out empty; ranges may reach beyond
    what there is.
    """
    if by == "event":
        return {
            name: tuple(Stretch(event, range(lengths[event] if event < len(lengths) else 0)) for event in events)
            for name, events in _ranges(section, len(lengths), 0).items()
        }
    ranges = [_ranges(section, length, embargo) for length in lengths]
    return {name: tuple(Stretch(event, parts[name]) for event, parts in enumerate(ranges)) for name in section.parts}


def keep_apart(splits: Splits, embargo: int) -> Splits:
    """Return the splits with at least the embargo between them: where two come closer, the earlier one ends sooner.

    So what is scored stays as it was asked for. Stretches of one split that follow one another become one.
    """
    apart: dict[str, list[Stretch]] = {name: [] for name in splits}
    by_event: dict[int, list[tuple[range, str]]] = {}
    for name, stretches in splits.items():
        for stretch in stretches:
            by_event.setdefault(stretch.event, []).append((stretch.frames, name))
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
            apart[name].append(Stretch(event, range(frames.start, end)))
    return {name: tuple(stretches) for name, stretches in apart.items()}


def _ranges(section: SplitSection, total: int, embargo: int) -> dict[str, range]:
    usable = max(total - embargo * (len(section.parts) - 1), 0)
    ranges, shares, first = {}, 0.0, 0
    for number, (name, part) in enumerate(section.parts.items()):
        if name in section.ranges:
            ranges[name] = range(*section.ranges[name])
            continue
        assert isinstance(part, float)
        shares += part
        end = min(int(shares * usable + 0.5), usable)
        ranges[name] = range(first + number * embargo, end + number * embargo)
        first = end
    return ranges


def _by_dates(spec: Spec, section: DataSection, source: FrameSource) -> Splits:
    how = source.metadata.how_to_time
    from_names = how and f": {how.removeprefix('time: ')}"
    times = [event for event in map(source.times, range(source.events)) if event is not None]
    splits = {}
    for name, dates in section.split.dates.items():
        if len(times) < source.events:
            raise spec.error(
                ("data", "split", name),
                f"dates split frames by their times, and {source.name} has none",
                help=f"say where its times are with data.source.time{from_names}, or use shares or ranges of frame "
                "numbers",
                code="bad-data",
            )
        stretches = tuple(Stretch(event, range(*between(known, dates))) for event, known in enumerate(times))
        if not _count(stretches):
            first, last = min(known[0] for known in times), max(known[-1] for known in times)
            raise spec.error(
                ("data", "split", name),
                f"no frame of {source.name} lies from {dates[0]} to {dates[1]}",
                reason=f"its frames are from {show(first)} to {show(last)}",
                code="too-few-frames",
            )
        splits[name] = stretches
    return splits


def _by_file(spec: Spec, section: DataSection, source: FrameSource) -> Splits:
    parts = source.metadata.parts
    if not parts:
        raise spec.error(
            ("data", "split", "by"),
            f"{source.name} is one file, which cannot be split by file",
            help="name several with a pattern such as path: 'radar_*.nc', or split by time",
            code="bad-data",
        )
    if section.split.names:
        files = _named_files(spec, section, source)
    else:
        ranges = _ranges(section.split, len(parts), 0)
        files = {name: [parts[number] for number in numbers if number < len(parts)] for name, numbers in ranges.items()}
    return {
        name: tuple(
            Stretch(event, range(part.frames.start, min(part.frames.stop, source.lengths[event])))
            for part in files[name]
            for event in part.events
        )
        for name in files
    }


def _named_files(spec: Spec, section: DataSection, source: FrameSource) -> dict[str, list[FilePart]]:
    """Return the files of each split, by their names or patterns of these.

    Raises:
        SpecError: a name that matches no file, or a file in two splits.
    """
    files: dict[str, list[FilePart]] = {}
    owner: dict[str, str] = {}
    names = [part.name for part in source.metadata.parts]
    for split, patterns in section.split.names.items():
        chosen: set[str] = set()
        for number, pattern in enumerate(patterns):
            fitting = [name for name in names if fnmatchcase(name, pattern)]
            if not fitting:
                raise spec.error(
                    ("data", "split", split, number),
                    f'no file of {source.name} is called "{pattern}"',
                    help=did_you_mean(pattern, names) or f"there are {listed(names)}",
                    code="bad-data",
                )
            chosen.update(fitting)
        files[split] = [part for part in source.metadata.parts if part.name in chosen]
        for name in (name for name in names if name in chosen and name in owner):
            raise spec.error(
                ("data", "split", split),
                f"{name} is in {owner[name]} and in {split}",
                help="a file belongs to one split: write narrower patterns",
                code="leak",
            )
        owner |= dict.fromkeys(chosen, split)
    return files


def _check_ranges(spec: Spec, section: DataSection, source: FrameSource) -> None:
    unit, total = {
        "time": ("frame", source.length),
        "event": ("event", source.events),
        "file": ("file", len(source.metadata.parts)),
    }[section.split_by]
    for name, (first, end) in section.split.ranges.items():
        if end > total:
            years = section.split_by == "time" and 1000 < first < end < 3000 and source.times(0) is not None
            raise spec.error(
                ("data", "split", name),
                f"{name} ends before {unit} {end}, {source.name} has {total} {unit}s",
                help=f'for years write ["{first}", "{end}"]'
                if years
                else f"the last range that exists is [{min(first, total - 1)}, {total}]",
                code="too-few-frames",
            )


def _check_windows(
    spec: Spec, section: DataSection, source: FrameSource, splits: dict[str, WindowSet], gaps: int
) -> None:
    empty = [name for name, windows in splits.items() if not len(windows)]
    if not empty:
        return
    whole = section.split_by == "event"
    unit = "events" if whole else "frames"
    sizes = ", ".join(f"{name} {len(split.events) if whole else split.frames}" for name, split in splits.items())
    broken = f"; the times have {gaps} gaps" if gaps else ""
    kept = f", with {section.embargo} between splits" if section.embargo and len(splits) > 1 else ""
    total = source.events if whole else sum(source.lengths)
    short = whole and source.length > min(source.lengths)
    needs = "1 event" if whole and not short else f"{section.windows.span} frames ({_window(section)})"
    raise spec.error(
        ("data", "split"),
        f"no window fits into {' and '.join(empty)}",
        reason=f"each needs at least {needs}; of {total} {unit} there are {sizes}{kept}{broken}",
        help="use fewer past and future frames, give that split a larger part, or use a longer record",
        code="too-few-frames",
    )


def _count(stretches: Sequence[Stretch]) -> int:
    return sum(len(stretch.frames) for stretch in stretches)


def _within(runs: tuple[range, ...], stretch: Stretch) -> Iterator[Stretch]:
    """Yield the parts of a stretch that no gap breaks."""
    for run in runs:
        part = range(max(run.start, stretch.frames.start), min(run.stop, stretch.frames.stop))
        if part:
            yield Stretch(stretch.event, part)


def _window(section: DataSection) -> str:
    w = section.windows
    lead = f" + lead {w.lead}" if w.lead else ""
    step = f", every {w.step} frames" if w.step > 1 else ""
    return f"a window spans {w.span} frames: past {w.past}{lead} + future {w.future}{step}"
