"""The contents of a picture: the frames of a window or a forecast, their labels and their color scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from specbuild.catalog.baselines import PERSISTENCE
from specbuild.data.samples.dataset import timed
from specbuild.data.samples.windows import WindowSet, future_frames, lead_frames, past_frames
from specbuild.data.sources import FrameSource
from specbuild.data.sources.base import FrameMetadata
from specbuild.data.time.times import Times, show
from specbuild.data.units import labelled
from specbuild.language.sections.data import DataSection
from specbuild.pictures.plane import Plane

Planes: TypeAlias = npt.NDArray[np.floating[Any]]
"""Frames for a picture: (T, H, W)."""

_SAMPLED_WINDOWS = 16
"""Windows of a split among which the one to draw is chosen."""


@dataclass(frozen=True, slots=True)
class ColourScale:
    """What the colors mean: from `low` to `high` in physical units, by square roots if `skewed`."""

    low: float
    high: float
    skewed: bool


@dataclass(frozen=True, slots=True)
class Scene:
    """One forecast and what it is compared with, in physical units; NaN is missing.

    `past` is (P, H, W); `truth`, `forecast` and `baseline` are (F, H, W), of which truth and baseline may be absent.
    `past_labels` and `lead_labels` name the frames: `-4 min`, `+10 min`. `scale` None: the scene's own.
    """

    past: Planes
    forecast: Planes
    past_labels: tuple[str, ...]
    lead_labels: tuple[str, ...]
    truth: Planes | None = None
    baseline: Planes | None = None
    rival: str = PERSISTENCE
    """The name of the baseline."""
    variable: str = "value"
    units: str = ""
    title: str = ""
    scale: ColourScale | None = None
    called: str = "forecast"
    """The name of the row of `forecast`; `future` in a picture of data."""
    past_times: tuple[str, ...] = ()
    """When the past frames are, in words; empty where that is not known."""
    lead_times: tuple[str, ...] = ()
    """When the others are."""
    bounds: Mapping[str, Planes] = field(default_factory=dict)
    """Quantiles of the forecast, (F, H, W) each, by the names of their rows."""
    map: Plane | None = None
    """Which way is north, and the coordinates along the edges, where they are known."""

    @property
    def futures(self) -> dict[str, Planes]:
        """The rows below the past, by name."""
        rows = {"observed": self.truth, self.called: self.forecast, **self.bounds, self.rival: self.baseline}
        return {name: frames for name, frames in rows.items() if frames is not None}

    @property
    def reference(self) -> Planes:
        """The known values of the past and of the truth, or of the forecast where there is no truth."""
        shown = [self.past, self.forecast if self.truth is None else self.truth]
        values = np.concatenate([frames[np.isfinite(frames)] for frames in shown])
        return values if values.size else np.zeros(1)


def scale_of(scene: Scene) -> ColourScale:
    """Return the scale of what was observed, so that a wild forecast does not change it; a few outliers are cut.

    A quantity that is zero almost everywhere and large in places, as rain is, gets a square-root scale.
    """
    values = scene.reference
    low, high = float(values.min()), float(np.quantile(values, 0.998))
    if high <= low:
        high = float(values.max()) if values.max() > low else low + 1.0
    skewed = low >= 0 and float(np.median(values)) <= 0.05 * high
    return ColourScale(0.0 if skewed else low, high, skewed)


def forecast_scene(
    data: DataSection,
    metadata: FrameMetadata,
    past: Planes,
    forecast: Planes,
    truth: Planes | None = None,
    baseline: Planes | None = None,
    past_times: Times | None = None,
    times: Times | None = None,
    bounds: Mapping[str, Planes] | None = None,
    **more: Any,
) -> Scene:
    """Return the scene of one forecast.

    Args:
        data: says how frames are called.
        metadata: names the channels of the frames.
        past, forecast, truth: (T, *space, C) in physical units.
        baseline: what the forecast is compared with; None: persistence where there is a truth.
        past_times, times: when the past frames and the others are, where that is known.
        bounds: quantiles of the forecast, (T, *space, C) each, by the names of their rows.
        more: the title, the scale and what the forecast and the baseline are called, as `Scene` has them.
    """
    variable, units = first_channel(data, metadata)
    windows = data.windows
    rival = None if baseline is None else plane(baseline)
    if rival is None and truth is not None:
        rival = np.repeat(plane(past)[-1:], len(forecast), axis=0)
    return Scene(
        past=plane(past),
        forecast=plane(forecast),
        past_labels=tuple(
            data.lead_label((number + 1 - windows.past) * windows.step) for number in range(windows.past)
        ),
        lead_labels=tuple(map(data.lead_label, lead_frames(windows))),
        truth=None if truth is None else plane(truth),
        baseline=rival,
        bounds={name: plane(frames) for name, frames in (bounds or {}).items()},
        variable=variable,
        units=units,
        past_times=() if past_times is None else _written(past_times, times),
        lead_times=() if times is None else _written(times, past_times),
        map=Plane.of(metadata, *forecast.shape[1:3]) if metadata.space[-2:] == ("H", "W") else None,
        **more,
    )


def sample_scene(data: DataSection, source: FrameSource, windows: WindowSet, title: str) -> Scene:
    """Return the scene of the window whose first frame varies most, among a few evenly spread over a split."""
    numbers = np.unique(np.linspace(0, len(windows) - 1, min(_SAMPLED_WINDOWS, len(windows))).round().astype(int))

    def first_frame(number: int) -> Planes:
        event, start = windows[number]
        return source.read(event, range(start, start + 1))

    number = max(numbers.tolist(), key=lambda number: variation(first_frame(number)))
    event, start = windows[number]
    past, future = past_frames(start, data.windows), future_frames(start, data.windows)
    times = source.times(event)
    when = "" if times is None else f", {show(times[past[-1]])}"
    return forecast_scene(
        timed(data, source),
        source.metadata,
        source.read(event, past),
        source.read(event, future),
        title=f"{title}: window {number + 1} of {len(windows)}{when}",
        called="future",
        past_times=None if times is None else times[list(past)],
        times=None if times is None else times[list(future)],
    )


def _written(times: Times, others: Times | None) -> tuple[str, ...]:
    """Return times in few letters: within a day by the hour alone, without the year where there are hours."""
    every = times if others is None else np.concatenate([times, others])
    texts = np.datetime_as_string(times, unit="m").tolist()
    if (every.astype("datetime64[M]") == every).all():
        return tuple(text[:7] for text in texts)
    if (every.astype("datetime64[D]") == every).all():
        return tuple(text[:10] for text in texts)
    within_a_day = every.max() - every.min() < np.timedelta64(1, "D")
    return tuple(text[11:] if within_a_day else text[5:].replace("T", " ") for text in texts)


def first_channel(data: DataSection, metadata: FrameMetadata) -> tuple[str, str]:
    """Return name and units of the first channel, which is what pictures show."""
    name = metadata.variables[0] if len(metadata.variables) > 1 else data.variable
    return name, labelled(metadata, data.units).units_of_variable(name)


def plane(frames: Planes) -> Planes:
    """(T, *space, C) → (T, H, W): the first channel, and the middle level of frames with more than two axes."""
    plane = frames[..., 0]
    while plane.ndim > 3:
        plane = plane[:, plane.shape[1] // 2]
    return plane.reshape(len(plane), *((1,) * (3 - plane.ndim)), *plane.shape[1:])


def quantile_rows(levels: Sequence[float], quantiles: Planes) -> dict[str, Planes]:
    """Return the least and the greatest of quantiles (levels, T, *space, C) by the names of their rows."""
    ends = (0, -1) if len(levels) > 1 else ()
    return {f"{100 * levels[end]:g} % quantile": quantiles[end] for end in ends}


def member_rows(members: Planes) -> dict[str, Planes]:
    """Return the deciles at both ends of members (M, T, *space, C), missing where a member is."""
    levels = (0.1, 0.9)
    return quantile_rows(levels, np.quantile(members, levels, axis=0))


def variation(frames: Planes) -> float:
    """Return the standard deviation of the known values; 0 where none is known."""
    known = frames[~np.isnan(frames)]
    return float(known.std()) if known.size else 0.0
