"""A picture of what a model is trained on: the past and the future of one window of the data."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from specbuild.data.samples.dataset import timed
from specbuild.data.samples.windows import WindowSet, future_frames, lead_frames, past_frames
from specbuild.data.sources import FrameSource
from specbuild.data.time.times import show
from specbuild.document import RunError
from specbuild.language import DataSection
from specbuild.prediction.pictures import DRAW, Scene
from specbuild.prediction.scene import first_channel, past_labels, plane

LOOKED_AT = 16
"""Windows of which the one whose frames vary most is drawn."""


def draw_sample(data: DataSection, source: FrameSource, windows: WindowSet, path: Path, title: str) -> None:
    """Draws, of a few windows evenly spread over a split, the one whose future varies most.

    Raises:
        RunError: frames without height and width, or a file that is no picture.
    """
    if path.suffix not in DRAW:
        raise RunError(f"a sample is drawn as {' or '.join(DRAW)}, not as {path}")
    if len(data.source.space) < 2:
        raise RunError("only frames with height and width can be drawn")
    numbers = np.unique(np.linspace(0, len(windows) - 1, min(LOOKED_AT, len(windows))).round().astype(int))
    number = max(numbers.tolist(), key=lambda one: _variation(source, *windows[one]))
    event, start = windows[number]
    past, future = past_frames(start, data.windows), future_frames(start, data.windows)
    times = source.times(event)
    when = "" if times is None else f", {show(times[past[-1]])}"
    data = timed(data, source)
    variable, units = first_channel(data, source.metadata)
    scene = Scene(
        past=plane(source.read(event, past)),
        forecast=plane(source.read(event, future)),
        past_labels=past_labels(data),
        lead_labels=tuple(map(data.lead_label, lead_frames(data.windows))),
        variable=variable,
        units=units,
        title=f"{title}: window {number + 1} of {len(windows)}{when}",
        called="future",
    )
    DRAW[path.suffix](scene, path)


def _variation(source: FrameSource, event: int, start: int) -> float:
    frame = source.read(event, range(start, start + 1))
    known = frame[~np.isnan(frame)]
    return float(known.std()) if known.size else 0.0
