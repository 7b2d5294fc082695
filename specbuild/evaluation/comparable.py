"""Whether runs can be compared: they forecast the same values, at moments that all of them have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from specbuild.data import Dataset
from specbuild.data.arrays import Floats
from specbuild.data.samples.windows import past_frames
from specbuild.document import ArgumentError
from specbuild.runs.provenance import data_files
from specbuild.runs.trained import TrainedRun


def forecast_view(trained: TrainedRun) -> Dataset:
    """Return what a run forecasts: its data, or the first of several outputs.

    Raises:
        ArgumentError: it is a classifier.
    """
    if trained.data.target is not None:
        raise ArgumentError(
            f"{trained.folder.path} classifies clips, and only forecasts can be compared",
            help=f"its scores are those of specbuild evaluate {trained.folder.path}",
        )
    return next(iter(trained.dataset.views.values()), trained.dataset)


def check_alike(first: TrainedRun, ours: Dataset, second: TrainedRun, theirs: Dataset) -> None:
    """Raise an ArgumentError unless two runs forecast the same values of the same frames."""
    parts: dict[str, list[Any]] = {
        "data": [_checksums(trained) for trained in (first, second)],
        "frames": [view.source.lengths for view in (ours, theirs)],
        "grid": [view.source.space for view in (ours, theirs)],
        "variables": [view.source.metadata.variables or (view.source.channels,) for view in (ours, theirs)],
        "units": [view.labels.units for view in (ours, theirs)],
        "kind of output": ["an event" if view.is_event else "a value" for view in (ours, theirs)],
    }
    for what, (one, other) in parts.items():
        if one != other:
            shown = "" if what == "data" else f": {one} and {other}"
            raise ArgumentError(
                f"{first.folder.path} and {second.folder.path} do not have the same {what}{shown}",
                help="scores can be compared on the same frames alone; name some with --data"
                if what == "data"
                else "compare runs that forecast the same values",
            )


def _checksums(trained: TrainedRun) -> list[object]:
    """Return what identifies the frames that a run reads, which may be others than those of its training."""
    files = data_files(trained.spec) if trained.other_data else trained.folder.manifest()["data"]
    return [files[0].get("sha256") or files[0].get("sampled_sha256") or files[0].get("bytes")] if files else []


def common_moments(opened: Sequence[TrainedRun], views: Sequence[Dataset], split: str) -> list[tuple[int, int]]:
    """Return the event and the last past frame of the windows that every run has in a split."""
    found = [set(moments_of(view, split)) for view in views]
    common = sorted(set.intersection(*found))
    if not common:
        raise ArgumentError(
            f"the runs have no window in common in the {split} split: "
            + listed(opened, [f"{len(moments)} windows" for moments in found]),
            help="give them the same data.split",
        )
    return common


def moments_of(view: Dataset, split: str) -> dict[tuple[int, int], tuple[int, int]]:
    """Return the event and the first frame of each window, by its event and its last past frame."""
    windows = view.split(split)
    starts = (windows[number] for number in range(len(windows)))
    return {(event, past_frames(start, windows.section)[-1]): (event, start) for event, start in starts}


def check_same_frames(opened: Sequence[TrainedRun], observed: Sequence[Floats]) -> None:
    """Raise an ArgumentError unless the frames (F, *space, C) that runs forecast are the same wherever they are known.

    Runs may read the same files in other ways: another region, other dates, another generator, another event.
    """
    first = observed[0]
    for trained, other in zip(opened[1:], observed[1:], strict=True):
        if (
            first.shape == other.shape
            and np.isclose(first, other, rtol=1e-4, equal_nan=True)[~np.isnan(first + other)].all()
        ):
            continue
        paths = opened[0].folder.path, trained.folder.path
        raise ArgumentError(
            f"{paths[0]} and {paths[1]} do not forecast the same frames, though they read the same files",
            help=f"what differs in their data: specbuild diff {paths[0]} {paths[1]}",
        )


def listed(opened: Sequence[TrainedRun], values: Sequence[object]) -> str:
    return ", ".join(f"{trained.folder.path.name} {value}" for trained, value in zip(opened, values, strict=True))
