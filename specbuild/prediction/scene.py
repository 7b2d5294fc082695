"""A forecast as what pictures show of it."""

from __future__ import annotations

import numpy as np

from specbuild.data.arrays import Floats
from specbuild.data.samples.windows import lead_frames
from specbuild.data.sources.base import FrameMetadata
from specbuild.language import DataSection
from specbuild.prediction.forecast import Forecast
from specbuild.prediction.pictures import Scale, Scene
from specbuild.runs.inference import TrainedRun


def scene(
    trained: TrainedRun,
    data: DataSection,
    named: FrameMetadata | Forecast,
    past: Floats,
    forecast: Floats,
    truth: Floats | None = None,
    title: str = "",
    scale: Scale | None = None,
) -> Scene:
    """What pictures say of one forecast; frames are (T, *space, C), `named` names their channels."""
    variable, units = first_channel(data, named)
    return Scene(
        past=plane(past),
        forecast=plane(forecast),
        past_labels=past_labels(data),
        lead_labels=tuple(map(data.lead_label, lead_frames(data.windows))),
        truth=None if truth is None else plane(truth),
        persistence=None if truth is None else np.repeat(plane(past)[-1:], len(forecast), axis=0),
        variable=variable,
        units=units,
        title=title or f"{trained.spec.name}: forecast",
        scale=scale,
    )


def past_labels(data: DataSection) -> tuple[str, ...]:
    """What the past frames are called: `-4 min`, `-2 min`, `0 min`."""
    windows = data.windows
    return tuple(data.lead_label((number + 1 - windows.past) * windows.step) for number in range(windows.past))


def first_channel(data: DataSection, named: FrameMetadata | Forecast) -> tuple[str, str]:
    """Name and units of the first channel, which is what pictures show."""
    name = named.variables[0] if len(named.variables) > 1 else data.variable
    return name, data.units or named.units_of.get(name, "" if named.units_of else named.units)


def plane(frames: Floats) -> Floats:
    """(T, *space, C) → (T, H, W) for a picture: the first channel, and the middle of what has more than two axes."""
    plane = frames[..., 0]
    while plane.ndim > 3:
        plane = plane[:, plane.shape[1] // 2]
    return plane.reshape(len(plane), *((1,) * (3 - plane.ndim)), *plane.shape[1:])
