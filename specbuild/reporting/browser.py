"""The forecasts of a report: for each window shown the observed, the forecast and the strongest baseline, as pictures.

Frames with height and width are maps, one for each lead time; of volumes the middle level is shown. Frames along one
axis are drawn as one picture, whose rows are lead times. Everything also has a line over time at one pixel, with the
outer quantiles of the forecast where it is a distribution.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from specbuild.data import Dataset, Window
from specbuild.data.arrays import Floats
from specbuild.evaluation.comparable import moments_of
from specbuild.evaluation.forecast_scores import with_nulls
from specbuild.evaluation.result import MODEL
from specbuild.pictures import ColourScale, Scene, scale_of
from specbuild.pictures.pixels import Pixels, Tick, edge_ticks, shrunk
from specbuild.pictures.plane import Edge
from specbuild.pictures.scene import Planes, forecast_scene
from specbuild.reporting.windows import Looker, ScoredWindow, rmse, spread

MOST_LEADS = 16
"""Lead times that are drawn; of longer forecasts, evenly spaced ones, first and last included."""
MOST_LAYERS = 6
"""Variables and outputs that are drawn."""
SIDE = 192
"""Pixels of a picture along its longer side; larger frames are averaged over boxes."""
_LEAST_SIDE = 24
OBSERVED, FORECAST = "observed", "forecast"


@dataclass(frozen=True, slots=True)
class Shown:
    """One run whose forecasts are shown: what forecasts its windows, and what its rows are called."""

    looker: Looker
    letter: str = ""
    """Empty where it is the only run."""

    def called(self, what: str) -> str:
        return f"{self.letter}: {what}" if self.letter else what


@dataclass(frozen=True, slots=True)
class Layer:
    """One variable of one output, in every window shown.

    Attributes:
        label: of the output and the variable.
        scenes: one for each window; their futures are the rows of pictures.
        points: the pixel (y, x) of each window whose line over time is drawn.
    """

    label: str
    scenes: tuple[Scene, ...]
    points: tuple[tuple[int, int], ...]
    kind: str
    """`map`, `section` of frames along one axis, or `point` of frames without one."""
    of_event: bool
    edge: Edge | None = None
    """The coordinates of frames along one axis."""

    @property
    def scale(self) -> ColourScale:
        """The one scale of all windows."""
        if self.of_event:
            return ColourScale(0.0, 1.0, False)
        first = self.scenes[0]
        observed = [scene.truth for scene in self.scenes if scene.truth is not None]
        return scale_of(
            Scene(
                np.concatenate([scene.past for scene in self.scenes]), first.forecast, (), (), np.concatenate(observed)
            )
        )


def layers(shown: Sequence[Shown], windows: Sequence[ScoredWindow]) -> list[Layer]:
    """Return what is to be drawn of some windows, which are those of the first run.

    Args:
        shown: the runs; all others forecast the windows of the first whose last past frame is the same.
    """
    found: list[Layer] = []
    first = shown[0].looker
    for view in first.views:
        channels = view.source.channels
        names = view.source.metadata.variables if len(view.source.metadata.variables) == channels > 1 else ()
        made = [_window(shown, view, window) for window in windows]
        for channel in range(min(channels, MOST_LAYERS - len(found))):
            name = names[channel] if names else view.section.variable
            scenes = tuple(_scene(view, name, channel, *each) for each in made)
            output = f"{view.output}: " if view.output else ""
            units = f" ({scenes[0].units})" if scenes[0].units else ""
            nameless = f", channel {channel + 1}" if channels > 1 and not names else ""
            space = view.source.metadata.space
            found.append(
                Layer(
                    f"{output}{name}{nameless}{units}",
                    scenes,
                    tuple(map(_point, scenes)),
                    "map"
                    if len(space) > 1
                    else "section"
                    if view.source.space and view.source.space[0] > 1
                    else "point",
                    view.is_event,
                    Edge.of(view.source.metadata.coordinates.get("L"), view.source.space[0])
                    if space == ("L",)
                    else None,
                )
            )
    return found


_Rows = tuple[Window, dict[str, Floats], dict[str, Floats]]
"""A window, the forecasts of it by name, and quantiles by name: (F, *space, C)."""


def _window(shown: Sequence[Shown], view: Dataset, window: ScoredWindow) -> _Rows:
    """Return one window of an output with the forecasts of all runs, and the baseline of the first."""
    seen = view.window(window.event, window.start)
    forecasts: dict[str, Floats] = {}
    bounds: dict[str, Floats] = {}
    moment = (window.event, seen.past_frames[-1])
    for number, each in enumerate(shown):
        theirs = view if not number else _same_output(each.looker, view)
        at = moments_of(theirs, each.looker.split).get(moment) if number else (window.event, window.start)
        if at is None:  # not in the split of this run
            forecasts[each.called(FORECAST)] = np.full_like(seen.future, np.nan)
            continue
        made = each.looker.forecast(theirs, *at)
        places = [theirs.leads.index(lead) if lead in theirs.leads else None for lead in view.leads]
        forecasts[each.called(FORECAST)] = _at(made.frames, places)
        if made.distribution is not None and len(shown) == 1:
            bounds = {name: np.asarray(rows, np.float32) for name, rows in made.distribution.rows.items()}
    name, rival = shown[0].looker.baseline(view, seen)
    return seen, {**forecasts, name: rival}, bounds


def _same_output(looker: Looker, view: Dataset) -> Dataset:
    """Return the view of the output of the same name; else of the first."""
    return next((other for other in looker.views if other.output == view.output), looker.views[0])


def _at(frames: Floats, places: Sequence[int | None]) -> Floats:
    """Return the frames at lead times, missing where there is none."""
    empty = np.full(frames.shape[1:], np.nan, np.float32)
    return np.stack([empty if place is None else frames[place] for place in places])


def _scene(
    view: Dataset,
    name: str,
    channel: int,
    window: Window,
    forecasts: Mapping[str, Floats],
    bounds: Mapping[str, Floats],
) -> Scene:
    """Return one channel of a window; the forecasts of further runs are among its bounds."""

    def one(frames: Floats) -> Floats:
        return frames[..., channel : channel + 1]

    (first, frames), *others, (rival, baseline) = forecasts.items()
    times = view.source.times(window.event)
    metadata = view.source.metadata
    scene = forecast_scene(
        view.section,
        metadata,
        one(window.past),
        one(frames),
        one(window.future),
        one(baseline),
        past_times=None if times is None else times[list(window.past_frames)],
        times=None if times is None else times[list(window.future_frames)],
        rival=rival,
        called=first,
        bounds={key: one(values) for key, values in (*others, *bounds.items())},
    )
    return replace(scene, lead_labels=view.lead_labels, variable=name, units=view.labels.units_of_variable(name))


def _point(scene: Scene) -> tuple[int, int]:
    """Return the pixel whose observed value varies most in time, among those always known; else the middle."""
    assert scene.truth is not None
    frames = np.concatenate([scene.past, scene.truth])
    deviation = np.where(np.isnan(frames).any(axis=0), -1.0, frames.std(axis=0))
    if deviation.max() <= 0:
        return frames.shape[1] // 2, frames.shape[2] // 2
    y, x = np.unravel_index(int(deviation.argmax()), deviation.shape)
    return int(y), int(x)


def drawn(
    found: Sequence[Layer], windows: Sequence[ScoredWindow], budget: int, named: str = "model"
) -> list[dict[str, Any]]:
    """Return the layers for JSON, with pictures of at most `budget` bytes in total if they can be made that small.

    Args:
        named: what the model whose errors the windows hold is called.
    """
    side = SIDE
    while True:
        made = [_drawn(layer, windows, side, named) for layer in found]
        size = sum(
            len(uri)
            for layer in made
            for window in layer["windows"]
            for uri in (window["past"], *(uri for lead in window["leads"] for uri in lead["images"]))
        )
        if size <= budget or side <= _LEAST_SIDE:
            return made
        side = max(_LEAST_SIDE, int(side * min(0.75, (budget / size) ** 0.5)))


def _drawn(layer: Layer, windows: Sequence[ScoredWindow], side: int, named: str) -> dict[str, Any]:
    first = layer.scenes[0]
    height, width = first.forecast.shape[1:]
    factor = -(-max(height, width) // side) if layer.kind == "map" else 1
    values = Pixels.of(layer.scale)
    differences = Pixels.of_differences(_greatest_difference(layer.scenes))
    leads = spread(len(first.lead_labels), MOST_LEADS)
    units = f" ({first.units})" if first.units else ""
    x, y = edge_ticks(first.map, height, width) if first.map is not None else ([], [])
    if layer.kind == "section":
        y = [
            Tick((place + 0.5) / len(first.lead_labels), first.lead_labels[place])
            for place in spread(len(first.lead_labels), 6)
        ]
        if layer.edge is not None:
            x = [Tick((at + 0.5) / width, text) for at, text in zip(*layer.edge.ticks(4), strict=True)]
    rows = [*_rows(first)]
    return {
        "label": layer.label,
        "kind": layer.kind,
        "panels": [{"name": name, "difference": difference} for name, _, difference in rows],
        "bars": [
            {"label": f"{first.variable}{units}", "image": values.bar(), "ticks": _ticks(values)},
            {"label": f"forecast − observed{units}", "image": differences.bar(), "ticks": _ticks(differences)},
        ],
        "skewed": layer.scale.skewed,
        "aspect": _aspect(layer, first, height, width),
        "x": [[tick.at, tick.text] for tick in x],
        "y": [[tick.at, tick.text] for tick in y],
        "words": "" if first.map is None else first.map.words,
        "boxes": factor,
        "windows": [
            _window_drawn(layer, at, windows[at], leads, factor, values, differences, named)
            for at in range(len(windows))
        ],
        "leads": [first.lead_labels[lead] for lead in leads] if layer.kind == "map" else ["all lead times"],
        "left_out": len(first.lead_labels) - len(leads),
        "units": first.units,
    }


def _window_drawn(
    layer: Layer,
    at: int,
    window: ScoredWindow,
    leads: Sequence[int],
    factor: int,
    values: Pixels,
    differences: Pixels,
    named: str,
) -> dict[str, Any]:
    scene = layer.scenes[at]
    rows = list(_rows(scene))
    assert scene.truth is not None
    pictures: list[dict[str, Any]] = []
    past = ""
    if layer.kind == "map":
        if not layer.of_event and scene.past.shape[1:] == scene.truth.shape[1:]:
            past = values.png(shrunk(scene.past[-1:], factor)[0], scene.map)
        small = [shrunk(frames, factor) for _, frames, _ in rows]
        for lead in leads:
            images = [
                (differences if difference else values).png(frames[lead], scene.map)
                for frames, (_, _, difference) in zip(small, rows, strict=True)
            ]
            texts = [_error(frames[lead], scene.truth[lead], name, difference) for name, frames, difference in rows]
            pictures.append(
                {"time": scene.lead_times[lead] if scene.lead_times else "", "images": images, "errors": texts}
            )
    elif layer.kind == "section":
        images = [(differences if difference else values).png(frames[:, 0]) for _, frames, difference in rows]
        texts = [_error(frames, scene.truth, name, difference) for name, frames, difference in rows]
        pictures.append({"time": "", "images": images, "errors": texts})
    units = f" {scene.units}" if scene.units else ""
    errors = ", ".join(
        f"{named if name == MODEL else name} {error:#.3g}".rstrip(".") for name, error in window.errors.items()
    )
    return {
        "number": window.number,
        "label": window.label,
        "why": window.why,
        "errors": f"RMSE of the window: {errors}{units}",
        "past": past,
        "leads": pictures,
        "line": _line(layer, at),
    }


def _rows(scene: Scene) -> Iterator[tuple[str, Planes, bool]]:
    """Yield the rows of pictures: their names, their frames (F, H, W), and whether they are differences."""
    assert scene.truth is not None
    rows = scene.futures
    for name, frames in rows.items():
        yield name, frames, False
    for name, frames in rows.items():
        if name == scene.called or name.endswith(f": {FORECAST}"):
            yield name.removesuffix(FORECAST) + f"{FORECAST} − {OBSERVED}", frames - scene.truth, True


def _error(frame: Planes, truth: Planes, name: str, difference: bool) -> float | None:
    """Return the RMSE of a picture; None of what was observed, of a quantile and of a difference."""
    if name == OBSERVED or difference or name.endswith("quantile"):
        return None
    error = rmse(frame, truth)
    return None if np.isnan(error) else float(f"{error:.3g}")


def _greatest_difference(scenes: Sequence[Scene]) -> float:
    """Return the end of the scale of differences, which a few outliers exceed."""
    parts = [np.abs(frames[np.isfinite(frames)]) for scene in scenes for _, frames, is_one in _rows(scene) if is_one]
    values = np.concatenate(parts)
    greatest = float(np.quantile(values, 0.995)) if values.size else 0.0
    return greatest if greatest > 0 else 1.0


def _aspect(layer: Layer, scene: Scene, height: int, width: int) -> float:
    """Return the height of a picture over its width."""
    if layer.kind == "section":
        return 0.6
    shape = height / width if scene.map is None else scene.map.aspect
    return float(min(max(shape, 0.3), 2.0))


def _line(layer: Layer, at: int) -> dict[str, Any]:
    """Return the values at one pixel of a window over time."""
    scene, (y, x) = layer.scenes[at], layer.points[at]
    height, width = scene.forecast.shape[1:]
    rows: dict[str, list[float]] = {
        name: [float(value) for value in frames[:, y, x]] for name, frames in scene.futures.items()
    }
    flip_y = scene.map is not None and scene.map.y.rises
    flip_x = scene.map is not None and not scene.map.x.rises
    return with_nulls(
        {
            "past": list(scene.past_labels),
            "leads": list(scene.lead_labels),
            "before": [float(value) for value in scene.past[:, y, x]],
            "rows": rows,
            "low": next((name for name in rows if name.endswith("quantile")), ""),
            "high": next((name for name in reversed(rows) if name.endswith("quantile")), ""),
            "at": [
                ((width - 1 - x if flip_x else x) + 0.5) / width,
                ((height - 1 - y if flip_y else y) + 0.5) / height,
            ],
            "where": _where(layer, scene, y, x),
        }
    )


def _where(layer: Layer, scene: Scene, y: int, x: int) -> str:
    """Return the place of a pixel in words, by its coordinates where they are known."""
    if layer.kind == "point":
        return ""
    if layer.kind == "section":
        return f"at position {x + 1} of {scene.forecast.shape[2]}"
    if scene.map is None:
        return f"at row {y + 1}, column {x + 1}"
    return f"at {scene.map.place(y, x)}"


def _ticks(pixels: Pixels) -> list[list[Any]]:
    return [[tick.at, tick.text] for tick in pixels.ticks()]
