"""A scene as a strip (PNG) and as an animation (GIF).

Drawn with matplotlib's Agg canvas and without pyplot, so it touches no global state and needs no display.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, Normalize, PowerNorm
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from specbuild.data.samples.windows import WindowSet
from specbuild.data.sources import FrameSource
from specbuild.document import RunError
from specbuild.document.printable import printable
from specbuild.language.sections.data import DataSection
from specbuild.pictures.colours import MISSING_GREY, colormap_of, norm_of
from specbuild.pictures.plane import Plane
from specbuild.pictures.scene import ColourScale, Planes, Scene, sample_scene, scale_of
from specbuild.runs.files import replacing

_COLUMNS = 8
"""Most panels in a row of the strip; longer forecasts are shown by evenly spaced frames, first and last included."""
_LETTERS, _LETTER = 14, 0.085
"""Letters in a line of a row's name, and the inches that one takes."""
_BOLD_LETTER, _LINE = 0.097, 0.18
"""Inches that a letter of the title takes, and a line of it."""
_INK = "#333333"
_DPI = 130
_FRAME_MS = 450


def draw_strip(scene: Scene, path: Path) -> None:
    """Write a PNG: rows past, observed, forecast and baseline; columns are times; one color scale for all."""
    past = list(range(len(scene.past)))[-_COLUMNS:]
    leads = _spread(len(scene.forecast), _COLUMNS)
    columns, rows = max(len(past), len(leads)), ["past", *scene.futures]
    names = [textwrap.fill(name, _LETTERS) for name in rows]
    left = 0.2 + _LETTER * max(len(line) for name in names for line in name.splitlines())
    side, gap, caption, top = 1.3, 0.06, 0.23, 0.4
    height = side * _aspect(scene)
    row_height = height + caption + gap
    margin = 0.0 if scene.map is None else 0.42
    below = 0.0 if scene.map is None else 0.28 if scene.map.words else 0.15
    left += margin
    title = textwrap.wrap(scene.title, max(int((columns * (side + gap) + 1.0) / _BOLD_LETTER), 12))
    top += _LINE * max(len(title) - 1, 0)
    page = _Page(left + columns * (side + gap) + 1.05, top + len(rows) * row_height + 0.2 + below)
    colours = _Colours.of(scene)

    def show(row: int, column: int, frame: Planes, text: str) -> None:
        axes = page.axes(left + column * (side + gap), top + row * row_height + caption, side, height)
        _show(axes, frame, colours, text, scene.map)
        if scene.map is not None:
            _tick(axes, scene.map, below=row == len(rows) - 1, beside=not column)

    page.text(left, 0.12, "\n".join(title), fontsize=10, fontweight="bold", va="top")
    for row, name in enumerate(names):
        middle = top + row * row_height + caption + height / 2
        page.text(left - 0.12 - margin, middle, name, fontsize=10, ha="right", va="center")
    for column, index in enumerate(past):
        show(0, column, scene.past[index], _when(scene.past_labels, scene.past_times, index))
    for row, (name, frames) in enumerate(scene.futures.items(), start=1):
        for column, index in enumerate(leads):
            show(row, column, frames[index], _caption(scene, name, index))
    if scene.map is not None and scene.map.words:
        page.text(left, page.height - 0.08, scene.map.words, fontsize=7, va="bottom")
    drawn = len(rows) * row_height - caption - gap
    bar_height = min(drawn, 4.5)
    bar_top = top + caption + (drawn - bar_height) / 2
    colours.bar(page, page.axes(left + columns * (side + gap) + 0.1, bar_top, 0.13, bar_height), scene)
    page.save(path)


def draw_animation(scene: Scene, path: Path) -> None:
    """Write a GIF: the past, then observed beside forecast, frame by frame, then a pause."""
    names = [name for name in scene.futures if name in ("observed", scene.called)]
    colours = _Colours.of(scene)
    images = [
        _animation_frame(scene, colours, dict.fromkeys(names, frame), _when(scene.past_labels, scene.past_times, index))
        for index, frame in enumerate(scene.past)
    ]
    images += [
        _animation_frame(
            scene,
            colours,
            {name: scene.futures[name][index] for name in names},
            _when(scene.lead_labels, scene.lead_times, index),
        )
        for index in range(len(scene.lead_labels))
    ]
    palette = colours.palette()
    first, *rest = [image.quantize(palette=palette, dither=Image.Dither.NONE) for image in images]
    durations = [_FRAME_MS] * (len(images) - 1) + [3 * _FRAME_MS]
    with replacing(path) as new:
        first.save(new, save_all=True, append_images=rest, duration=durations, loop=0, optimize=True)


DRAW: dict[str, Callable[[Scene, Path], None]] = {".png": draw_strip, ".gif": draw_animation}
"""How each kind of picture is drawn."""


def draw_sample(data: DataSection, source: FrameSource, windows: WindowSet, path: Path, title: str) -> None:
    """Draw, of a few windows evenly spread over a split, the one whose first frame varies most.

    Raises:
        RunError: frames without height and width, or a file that is not a picture.
    """
    if path.suffix not in DRAW:
        raise RunError(f"a sample is drawn as {' or '.join(DRAW)}, not as {path}")
    if len(data.source.space) < 2:
        raise RunError("only frames with height and width can be drawn")
    DRAW[path.suffix](sample_scene(data, source, windows, title), path)


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure as PNG. Without a stamp of the drawing software, the same run gives the same file."""
    _without_formulas(figure)
    with replacing(path) as new:
        figure.savefig(new, dpi=_DPI, facecolor="white", metadata={"Software": ""})


def _without_formulas(figure: Figure) -> None:
    """Draw names and units as they are: Matplotlib reads text between dollars as a formula, which may fail."""
    for text in figure.findobj(Text):
        assert isinstance(text, Text)
        if not _POWER.fullmatch(text.get_text()):
            text.set_text(printable(text.get_text()))
            text.set_parse_math(False)


_POWER = re.compile(r"\$\\mathdefault\{[^a-zA-Z$]*\}\$")
"""A number as Matplotlib itself writes it at an axis."""


@dataclass(frozen=True, slots=True)
class _Colours:
    """The one color scale of a scene."""

    norm: Normalize
    map: Colormap
    extend: str
    """At which ends of the scale values lie outside it, in Matplotlib's words."""

    @classmethod
    def of(cls, scene: Scene) -> _Colours:
        scale = scene.scale or scale_of(scene)
        return cls(norm_of(scale), colormap_of(scale), _outside(scene, scale))

    def palette(self) -> Image.Image:
        """One palette for all frames of an animation, so that no color flickers: the scale, and grays for the text."""
        scale = [round(255 * part) for colour in self.map(np.linspace(0, 1, 200)) for part in colour[:3]]
        greys = [level for step in range(18) for level in [15 * step] * 3]
        missing = [int(MISSING_GREY[start : start + 2], 16) for start in (1, 3, 5)]
        image = Image.new("P", (1, 1))
        image.putpalette([*scale, *greys, *missing])
        return image

    def bar(self, page: _Page, axes: Axes, scene: Scene) -> None:
        bar = page.figure.colorbar(ScalarMappable(self.norm, self.map), cax=axes, extend=self.extend, extendfrac=0.03)
        label = f"{scene.variable} ({scene.units})" if scene.units else scene.variable
        roots = "\nsquare-root scale" if isinstance(self.norm, PowerNorm) else ""
        letters = int(axes.get_position().height * page.height / _LETTER)
        lines = [textwrap.fill(line, max(letters, 12)) for line in (label + roots).splitlines()]
        bar.set_label("\n".join(lines), color=_INK, fontsize=9)
        bar.ax.tick_params(labelsize=8, colors=_INK)
        bar.outline.set_visible(False)
        if any(np.isnan(frames).any() for frames in (scene.past, *scene.futures.values())):
            below = -0.05 if self.extend in ("min", "both") else -0.02
            axes.text(0.0, below, "gray: missing", transform=axes.transAxes, va="top", fontsize=7, color=_INK)


def _outside(scene: Scene, scale: ColourScale) -> str:
    """At which ends values that are drawn lie more than a hundredth of the scale outside it."""
    margin = (scale.high - scale.low) / 100
    drawn = (scene.past, *scene.futures.values())
    below = any(bool((frames < scale.low - margin).any()) for frames in drawn)
    above = any(bool((frames > scale.high + margin).any()) for frames in drawn)
    return {(True, True): "both", (True, False): "min", (False, True): "max"}.get((below, above), "neither")


def _show(axes: Axes, frame: Planes, colours: _Colours, caption: str, plane: Plane | None) -> None:
    """Draw a frame, of a map north up and east to the right, and of anything else its first row on top."""
    shown = np.ma.masked_invalid(frame)
    axes.imshow(shown, cmap=colours.map, norm=colours.norm, aspect="auto", interpolation="antialiased")
    if plane is not None and plane.y.rises:
        axes.invert_yaxis()
    if plane is not None and not plane.x.rises:
        axes.invert_xaxis()
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_title(caption, fontsize=8, color=_INK, pad=3)


def _tick(axes: Axes, plane: Plane, *, below: bool, beside: bool) -> None:
    """Write coordinates along the edges of a panel that are edges of the picture."""
    axes.tick_params(labelsize=6.5, colors=_INK, length=2, pad=1.5)
    if below:
        axes.set_xticks(*plane.x.ticks(4, inside=0.08))
    if beside:
        axes.set_yticks(*plane.y.ticks(4))


def _when(labels: tuple[str, ...], times: tuple[str, ...], index: int) -> str:
    """Return a lead time, with the time of the frame where it is known."""
    return f"{labels[index]}, {times[index]}" if times else labels[index]


def _caption(scene: Scene, name: str, index: int) -> str:
    """Return the lead time, or of a forecast its error in this frame; a bound of a forecast has none."""
    if name == "observed" or name in scene.bounds or scene.truth is None:
        return _when(scene.lead_labels, scene.lead_times, index)
    error = scene.futures[name][index] - scene.truth[index]
    if not np.isfinite(error).any():
        return scene.lead_labels[index]
    units = f" {scene.units}" if scene.units else ""
    return f"RMSE {np.sqrt(np.nanmean(np.square(error))):#.3g}{units}"


def _animation_frame(scene: Scene, colours: _Colours, panels: Mapping[str, Planes], label: str) -> Image.Image:
    side, gap, top = 3.0, 0.15, 0.62
    height = side * _aspect(scene)
    margin = 0.0 if scene.map is None else 0.35
    right = gap + margin + len(panels) * (side + gap)
    title = textwrap.wrap(scene.title, max(int((right + 0.9 - gap) / _LETTER), 12))
    top += _LINE * max(len(title) - 1, 0)
    page = _Page(right + 1.05, top + height + 0.25 + margin)
    page.text(gap, 0.1, "\n".join(title), fontsize=9, va="top")
    page.text(right - gap, top - 0.08, label, fontsize=10, fontweight="bold", ha="right", va="bottom")
    for column, (name, frame) in enumerate(panels.items()):
        x = gap + margin + column * (side + gap)
        page.text(x, top - 0.08, name, fontsize=10, va="bottom")
        axes = page.axes(x, top, side, height)
        _show(axes, frame, colours, "", scene.map)
        if scene.map is not None:
            _tick(axes, scene.map, below=True, beside=not column)
            page.text(gap + margin, page.height - 0.06, scene.map.words, fontsize=7, va="bottom")
    colours.bar(page, page.axes(right, top, 0.12, height), scene)
    return page.image()


class _Page:
    """A figure laid out in inches from its upper left corner."""

    def __init__(self, width: float, height: float) -> None:
        self.width, self.height = width, height
        self.figure = Figure((width, height), facecolor="white")
        FigureCanvasAgg(self.figure)

    def axes(self, x: float, y: float, width: float, height: float) -> Axes:
        bottom = self.height - y - height
        return self.figure.add_axes((x / self.width, bottom / self.height, width / self.width, height / self.height))

    def text(self, x: float, y: float, text: str, **style: Any) -> None:
        self.figure.text(x / self.width, 1 - y / self.height, text, color=_INK, **style)

    def image(self) -> Image.Image:
        buffer = BytesIO()
        _without_formulas(self.figure)
        self.figure.savefig(buffer, dpi=100)
        return Image.open(buffer).convert("RGB")

    def save(self, path: Path) -> None:
        save_figure(self.figure, path)


def _aspect(scene: Scene) -> float:
    """Height of a panel over its width: the frame's, within what still gives a page."""
    height, width = scene.forecast.shape[1:]
    shape = height / width if scene.map is None else scene.map.aspect
    return float(min(max(shape, 0.3), 2.0))


def _spread(count: int, most: int) -> list[int]:
    """At most `most` indices below `count`, evenly spaced, with the first and the last."""
    if count <= most:
        return list(range(count))
    return [round(position) for position in np.linspace(0, count - 1, most)]
