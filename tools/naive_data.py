"""A second, naive reading of data sections: what every window gives a model, worked out frame by frame.

It is written from docs/data.md and shares no code with specbuild, apart from optical flow itself: it takes the frames
of a record as they are meant (`data_records.py`), reads by index, in double precision, and computes every statistic
from all training frames at once.
"""

from __future__ import annotations

import fnmatch
from typing import Any

import numpy as np
from data_records import Record, Tree
from naive_frames import Array, Fitted, Region, Source

from specbuild.data.motion import advect, motion


class NaiveData:
    """The samples of a spec."""

    def __init__(self, tree: Tree, records: dict[str, Record]) -> None:
        self.tree, self.data = tree, tree["data"]
        self.windows = {"step": 1, "lead": 0, "stride": 1, "target": "future", **self.data["windows"]}
        self.source = Source(self.data["source"], records[self.data["source"].get("path", "generated")])
        w = self.windows
        self.reach = (w["past"] + w["lead"] + w["future"] - 1) * w["step"]
        self.splits = self.frames_by_split()
        training = [(event, frames) for event, frames in self.splits["train"].items() if frames]
        self.names = self.source.record.variables if self.source.record.events[0].shape[-1] > 1 else ()
        pieces = [(self.source.events[event][frames], self.source.slots(event)[frames]) for event, frames in training]
        self.fitted = Fitted(self.data, pieces, self.names)
        self.feeds = {
            name: Other(self, feed, records[feed["source"]["path"]], training)
            for name, feed in self.data.get("inputs", {}).items()
            if isinstance(feed, dict) and "source" in feed
        }

    # Which frames are whose

    def frames_by_split(self) -> dict[str, dict[int, list[int]]]:
        """Return the frames of each split, by event."""
        section = self.data.get("split", {"train": 0.6, "validation": 0.2, "test": 0.2})
        parts = {name: section[name] for name in ("train", "validation", "test") if name in section}
        lengths = [len(frames) for frames in self.source.events]
        first = next(iter(parts.values()))
        dated = isinstance(first, list) and isinstance(first[0], str) and section.get("by") != "file"
        layout, source = self.data["source"].get("layout", "N T"), self.data["source"]
        has_events = "N" in layout or source.get("by") == "file"
        by = section.get("by") or ("event" if has_events and not dated else "time")
        if by == "event":
            chosen = numbers_of(parts, len(lengths), 0)
            return {name: {event: list(range(lengths[event])) for event in chosen[name]} for name in parts}
        if by == "file":
            return self.apart(self.by_file(parts, first))
        if dated:
            return self.apart(self.by_date(parts))
        found: dict[str, dict[int, list[int]]] = {name: {} for name in parts}
        for event, length in enumerate(lengths):
            for name, frames in numbers_of(parts, length, self.reach).items():
                found[name][event] = frames
        return found

    def by_file(self, parts: Tree, first: Any) -> dict[str, dict[int, list[int]]]:
        files = self.source.record.parts
        if isinstance(first, list) and isinstance(first[0], str):
            chosen = {
                name: [
                    at for at, (file, _, _) in enumerate(files) if any(fnmatch.fnmatch(file, each) for each in names)
                ]
                for name, names in parts.items()
            }
        else:
            chosen = numbers_of(parts, len(files), 0)
        found: dict[str, dict[int, list[int]]] = {name: {} for name in parts}
        for name, numbers in chosen.items():
            for number in sorted(numbers):
                _, event, frames = files[number]
                found[name].setdefault(event, []).extend(frames)
        return found

    def by_date(self, parts: Tree) -> dict[str, dict[int, list[int]]]:
        assert self.source.times is not None
        days = [times.astype("datetime64[D]").astype(str) for times in self.source.times]
        return {
            name: {
                event: [at for at, day in enumerate(each) if first <= day <= last] for event, each in enumerate(days)
            }
            for name, (first, last) in parts.items()
        }

    def apart(self, splits: dict[str, dict[int, list[int]]]) -> dict[str, dict[int, list[int]]]:
        """Shorten the earlier of two splits that come closer to each other than the embargo."""
        owner = {(event, at): name for name, events in splits.items() for event, ats in events.items() for at in ats}
        kept: dict[str, dict[int, list[int]]] = {name: {} for name in splits}
        for (event, at), name in sorted(owner.items()):
            after = range(at + 1, at + self.reach + 1)
            if all(owner.get((event, later), name) == name for later in after):
                kept[name].setdefault(event, []).append(at)
        return kept

    def starts(self, split: str) -> list[tuple[int, int]]:
        """Return event and first frame of the windows of a split."""
        found = []
        for event, frames in sorted(self.splits[split].items()):
            for run in self.source.runs(event):
                for part in successive([at for at in frames if at in set(run)]):
                    found += [(event, at) for at in part[:: self.windows["stride"]] if at + self.reach <= part[-1]]
        return found

    # What a window gives

    def numbers(self, start: int, part: str) -> list[int]:
        """Return the frames of a part of a window."""
        w = self.windows
        past = [start + at * w["step"] for at in range(w["past"])]
        if part == "past":
            return past
        if part == "target" and w["target"] == "next":
            return [start + at * w["step"] for at in range(1, w["past"] + w["future"])]
        future = [past[-1] + (w["lead"] + at + 1) * w["step"] for at in range(w["future"])]
        return past + future if part == "all" else future

    def frames(self, event: int, numbers: list[int], region: Region) -> Array:
        return self.source.events[event][numbers][(slice(None), *region)]

    def whole(self) -> Region:
        return tuple(slice(0, length) for length in self.source.events[0].shape[1:-1])

    def transformed(self, frames: Array, event: int, numbers: list[int], region: Region) -> Array:
        return self.fitted.apply(frames, self.source.slots(event)[numbers], region=region)

    def inputs(self, event: int, start: int, region: Region) -> dict[str, Array]:
        """Return what each input reads, with its axis of frames if it has any."""
        feeds = self.data.get("inputs") or {next(iter(self.tree["inputs"])): "past"}
        return {name: self.read(name, feed, event, start, region) for name, feed in feeds.items()}

    def read(self, name: str, feed: Any, event: int, start: int, region: Region) -> Array:
        past = self.numbers(start, "past")
        if feed == "past":
            values = self.transformed(self.frames(event, past, region), event, past, region)
            known = ~np.isnan(values).any(axis=-1, keepdims=True)
            values = np.where(np.isnan(values), self.fitted.fill, values)
            return np.concatenate([values, known], axis=-1) if self.data.get("mask") else values
        if "source" in feed:
            return self.feeds[name].read(event, start, region)
        if "cycles" in feed:
            return self.cycles(name, feed, event, start, region)
        if "coordinates" in feed:
            return self.places(feed, event, start, region)
        flow = self.flow(feed, event, past)
        if "motion" in feed:
            return flow[region]
        last = self.source.events[event][past[-1]].astype(np.float32)
        steps = [self.windows["lead"] + at + 1 for at in range(self.windows["future"])]
        moved = [advect(last[..., c], flow[..., 2 * c : 2 * c + 2], steps) for c in range(last.shape[-1])]
        ahead = np.stack(moved, axis=-1).astype(float)[(slice(None), *region)]
        values = self.transformed(ahead, event, self.numbers(start, "future"), region)
        return np.where(np.isnan(values), self.fitted.fill, values)

    def times(self, event: int, start: int, part: str) -> Array:
        assert self.source.times is not None
        return self.source.times[event][self.numbers(start, part)]

    def cycles(self, name: str, feed: Tree, event: int, start: int, region: Region) -> Array:
        times = self.times(event, start, feed.get("frames", "future"))
        waves = []
        for cycle in feed["cycles"]:
            if cycle == "year":
                first = times.astype("datetime64[Y]")
                length = ((first + 1).astype("datetime64[s]") - first.astype("datetime64[s]")).astype(float)
                phase = (times - first.astype("datetime64[s]")).astype(float) / length
            else:
                seconds = (times - np.datetime64("2001-01-01", "s")).astype(float)  # a Monday
                phase = seconds / {"day": 86400, "week": 7 * 86400}[cycle]
            waves += [np.sin(2 * np.pi * phase), np.cos(2 * np.pi * phase)]
        values = np.stack(waves, axis=-1)
        space, shape = tuple(part.stop - part.start for part in region), self.tree["inputs"][name]
        if shape[-1 - len(space) : -1] != [*space] or (len(shape) == 2 == 1 + len(space) and len(values) > 1):
            return values
        ones = np.ones((1, *space, 1))
        return values.reshape(len(values), *(1,) * len(space), -1) * ones

    def places(self, feed: Tree, event: int, start: int, region: Region) -> Array:
        lat = self.source.coordinates["H"][region[0]][:, None]
        lon = self.source.coordinates["W"][region[1]][None]
        times = self.times(event, start, feed["frames"]) if "frames" in feed else None
        parts = []
        for each in feed["coordinates"]:
            if each == "latitude":
                parts.append(lat / 90 + 0 * lon)
            elif each == "longitude":
                parts += [np.sin(np.radians(lon)) + 0 * lat, np.cos(np.radians(lon)) + 0 * lat]
            else:
                assert times is not None
                parts.append(np.stack([sun(time, lat, lon) for time in times]))
        if times is None:
            return np.stack(parts, axis=-1)
        return np.stack([part if part.ndim == 3 else np.stack([part] * len(times)) for part in parts], axis=-1)

    def flow(self, feed: Tree, event: int, past: list[int]) -> Array:
        """Return the motion of whole frames in pixels per step of the window, two channels for each variable."""
        frames, distance = past, self.windows["step"]
        if "latest" in feed:
            run = next(run for run in self.source.runs(event) if past[-1] in run)
            frames = [at for at in run if past[-1] - feed["latest"] < at <= past[-1]]
            distance = 1
        values = self.source.events[event][frames].astype(np.float32)
        apart = min(feed.get("apart", distance) // distance, len(frames) - 1)
        step = self.windows["step"] // distance
        if not apart:
            return np.zeros((*values.shape[1:-1], 2 * values.shape[-1]))
        return np.concatenate([step * motion(values[..., c], apart) for c in range(values.shape[-1])], axis=-1)

    def as_declared(self, inputs: dict[str, Array]) -> dict[str, Array]:
        """Return inputs without an axis of frames where the model has none for a single one."""
        shapes = self.tree["inputs"]
        return {name: each[0] if each.ndim > len(shapes[name]) else each for name, each in inputs.items()}

    def compared(self, target: Any, frames: Array) -> Array:
        """Return physical frames (F, *space, C) of a window's future as an output is compared with them."""
        target = target if isinstance(target, dict) else {}
        if "above" in target:
            frames = np.where(np.isnan(frames), np.nan, frames >= target["above"])
        if "variables" in target:
            frames = frames[..., [self.names.index(each) for each in target["variables"]]]
        return frames[[number - 1 for number in target["frames"]]] if "frames" in target else frames

    def physical(self, target: Any, output: Array, event: int, start: int) -> Array:
        """Return what a model gives for an output, (F, *space, C), in physical units."""
        target = target if isinstance(target, dict) else {}
        if "above" in target:
            return output
        numbers = self.numbers(start, "future")
        numbers = [numbers[each - 1] for each in target["frames"]] if "frames" in target else numbers
        names = target.get("variables")
        chosen = [self.names.index(each) for each in names] if names else list(range(output.shape[-1]))
        whole = np.ones((*output.shape[:-1], self.source.events[0].shape[-1]))
        whole[..., chosen] = output
        return self.fitted.inverted(whole, self.source.slots(event)[numbers])[..., chosen]

    def targets(self, event: int, start: int, region: Region) -> dict[str, tuple[Array, Array]]:
        """Return what each output is compared with, and the weight of each pixel."""
        numbers = self.numbers(start, "target")
        whole = self.frames(event, numbers, region)
        past = self.frames(event, self.numbers(start, "past"), region)
        skipped = np.isnan(past).all() or np.isnan(whole).all()
        transformed = self.transformed(whole, event, numbers, region)
        found = {}
        for name, written in (self.data.get("targets") or {"out": "future"}).items():
            target = written if isinstance(written, dict) else {}
            values = transformed
            if "above" in target:
                values = np.where(np.isnan(whole), np.nan, whole >= target["above"])
            if "variables" in target:
                values = values[..., [self.names.index(each) for each in target["variables"]]]
            if "frames" in target:
                values = values[[number - 1 for number in target["frames"]]]
            known = ~np.isnan(values).any(axis=-1)
            found[name] = values, np.where(skipped, 0.0, known)
        return found


class Other:
    """Frames of another source, or a field that does not change, as an input."""

    def __init__(self, naive: NaiveData, feed: Tree, record: Record, training: list[tuple[int, list[int]]]) -> None:
        self.naive, self.feed = naive, feed
        self.source = Source(feed["source"], record)
        self.known: dict[int, Array] = {}
        if "T" not in record.letters:
            used = [0]
        elif record.times is None:
            used = [at for _, frames in training for at in frames]
        else:
            assert naive.source.times is not None
            times = [time for event, frames in training for time in naive.source.times[event][frames]]
            used = [at for at in map(self.partner, times) if at is not None]
        used = sorted(set(used))
        frames = np.concatenate([self.placed(at) for at in used])
        self.fitted = Fitted(feed, [(frames, self.source.slots(0)[used])], ())

    def partner(self, time: Any, latest: Any = None) -> int | None:
        """Return the frame that goes with a time, of those up to `latest`."""
        assert self.source.times is not None
        own = self.source.times[0]
        join = self.feed.get("join", "exact")
        step = float(np.median(np.diff(own).astype(int)))
        tolerance = {"exact": 0.0, "forward": step, "nearest": step / 2}[join]
        if "tolerance" in self.feed:
            tolerance = 60.0 * int(self.feed["tolerance"].split()[0])
        best = None
        for at, each in enumerate(own):
            away = abs((each - time).astype(int))
            if (latest is not None and each > latest) or (join == "forward" and each > time) or away > tolerance:
                continue
            if best is None or away < best[0] or join == "forward":
                best = away, at
        return None if best is None else best[1]

    def read(self, event: int, start: int, region: Region) -> Array:
        if "frames" not in self.feed:
            return self.filled(self.placed(0), np.zeros(1, int), region)[0]
        numbers = self.naive.numbers(start, self.feed["frames"])
        if self.source.times is None:
            partners: list[int | None] = list(numbers)
            slots = np.array(numbers)
        else:
            assert self.naive.source.times is not None
            times = self.naive.source.times[event]
            last = times[self.naive.numbers(start, "past")[-1]]
            partners = [self.partner(times[at], last if times[at] <= last else None) for at in numbers]
            slots = self.source.slots_of(times[numbers])
        nothing = np.full_like(self.placed(0), np.nan)
        frames = np.concatenate([nothing if at is None else self.placed(at) for at in partners])
        return self.filled(frames, slots, region)

    def placed(self, at: int) -> Array:
        """Return a frame on the grid of the record, (1, *space, C)."""
        if at not in self.known:
            frame = self.source.events[0][at : at + 1]
            self.known[at] = on_grid(frame, self, self.naive.source) if "regrid" in self.feed else frame
        return self.known[at]

    def filled(self, frames: Array, slots: Array, region: Region) -> Array:
        values = self.fitted.apply(frames, slots)[(slice(None), *region)]
        return np.where(np.isnan(values), self.fitted.fill, values)


def on_grid(frame: Array, other: Other, record: Source) -> Array:
    """Interpolate a frame (1, *space, C) to the grid of a record, pixel by pixel."""
    letters, kind = record.record.space, other.feed["regrid"]
    along = [neighbours(other.source.coordinates[letter], record.coordinates[letter], kind) for letter in letters]
    found = np.full((1, *map(len, along), frame.shape[-1]), np.nan)
    for place in np.ndindex(*found.shape[1:-1]):
        corners = [((), 1.0)]
        for axis, at in zip(along, place, strict=True):
            corners = [((*corner, n), weight * share) for corner, weight in corners for n, share in axis[at]]
        for channel in range(frame.shape[-1]):
            values = [(frame[(0, *corner, channel)], weight) for corner, weight in corners]
            known = [(value, weight) for value, weight in values if not np.isnan(value) and weight]
            total = sum(weight for _, weight in known)
            if total >= 0.5 - 1e-7 and known:
                found[(0, *place, channel)] = sum(value * weight for value, weight in known) / total
    return found


def neighbours(axis: Array, places: Array, kind: str) -> list[list[tuple[int, float]]]:
    """Return the neighbors of each place on an axis with their weights; none more than half a step outside."""
    order = np.argsort(axis)
    values, found = axis[order], []
    for place in places:
        above = int(np.clip(np.searchsorted(values, place), 1, len(values) - 1))
        share = (place - values[above - 1]) / (values[above] - values[above - 1])
        if not -0.5 <= share <= 1.5:
            found.append([])
            continue
        share = float(np.clip(share, 0, 1))
        share = round(share) if kind == "nearest" else share
        found.append([(int(order[above - 1]), 1 - share), (int(order[above]), share)])
    return found


def sun(time: Any, lat: Array, lon: Array) -> Array:
    """Return the sine of the solar elevation, by the formulas of the Astronomical Almanac, within 0.01°."""
    days = (time - np.datetime64("2000-01-01T12:00", "s")).astype(float) / 86400
    anomaly = np.radians(357.528 + 0.9856003 * days)
    ecliptic = np.radians(280.460 + 0.9856474 * days + 1.915 * np.sin(anomaly) + 0.020 * np.sin(2 * anomaly))
    tilt = np.radians(23.439 - 4e-7 * days)
    ascension = np.arctan2(np.cos(tilt) * np.sin(ecliptic), np.cos(ecliptic))
    declination = np.arcsin(np.sin(tilt) * np.sin(ecliptic))
    sidereal = np.radians(15 * (18.697374558 + 24.06570982441908 * days))
    hour, phi = sidereal + np.radians(lon) - ascension, np.radians(lat)
    return np.sin(phi) * np.sin(declination) + np.cos(phi) * np.cos(declination) * np.cos(hour)


def numbers_of(parts: Tree, total: int, embargo: int) -> dict[str, list[int]]:
    """Return the numbers that shares or ranges stand for."""
    usable, share, first, found = max(total - embargo * (len(parts) - 1), 0), 0.0, 0, {}
    for number, (name, part) in enumerate(parts.items()):
        if isinstance(part, list):
            found[name] = list(range(*part))
            continue
        share += part
        end = min(int(share * usable + 0.5), usable)
        found[name] = list(range(first + number * embargo, end + number * embargo))
        first = end
    return found


def successive(numbers: list[int]) -> list[list[int]]:
    """Return rising numbers, parted where one is left out."""
    found: list[list[int]] = []
    for number in numbers:
        if found and found[-1][-1] == number - 1:
            found[-1].append(number)
        else:
            found.append([number])
    return found
