"""Everything that a report shows, gathered from the runs: text, tables, and the numbers and pictures of its charts."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from specbuild.document import SpecbuildError
from specbuild.document.html import html_table
from specbuild.document.text_table import Column
from specbuild.evaluation.classes import ClassScores
from specbuild.evaluation.forecast_scores import with_nulls
from specbuild.graph import Graph
from specbuild.graph.drawing import diagram
from specbuild.graph.summary import summarize
from specbuild.graph.tables import html_summary
from specbuild.reporting.beside import Beside, beside
from specbuild.reporting.browser import Shown, drawn, layers
from specbuild.reporting.charts import Curves, ScoreGroup, curves, score_groups
from specbuild.reporting.clips import ShownClips, shown_clips
from specbuild.reporting.facts import class_tables, command, provenance
from specbuild.reporting.opened import ReportedRun, fault_of
from specbuild.reporting.picture import Picture, png_uri
from specbuild.reporting.timeline import Timeline, clip_table, timeline
from specbuild.reporting.windows import LookedAt, Looker, ScoredWindow, chosen, look_at
from specbuild.reporting.words import about, read, strongest, verdict, when

PICTURE_BYTES = 2_500_000
"""Bytes of a page that the pictures of forecasts may take."""
_EXTREMES = 5
"""Windows in the tables of the best and of the worst."""


@dataclass(frozen=True, slots=True)
class RunPart:
    """What the page says of one run."""

    letter: str
    name: str
    title: str
    when: str
    description: str
    about: tuple[str, ...]
    notes: tuple[str, ...]
    verdict: tuple[str, ...]
    no_scores: str
    classes: tuple[str, ...]
    class_words: str
    calibration: tuple[Picture, ...]
    spec: str
    resolved: str
    """The spec with variables, defaults and overrides applied; empty where the folder does not have it."""
    overrides: tuple[str, ...]
    diagram: str
    layers: str
    no_graph: str
    timeline: Timeline | None
    clips: str
    no_data: str
    data_words: str
    curves: Curves | None
    command: str


@dataclass(frozen=True, slots=True)
class Forecasts:
    """The forecasts of one run, or of several on the same windows.

    `extremes` are the tables of the worst and the best windows, `every` is that of all. `missing` is why there are no
    pictures.
    """

    title: str
    about: str = ""
    extremes: tuple[str, ...] = ()
    every: str = ""
    missing: str = ""


@dataclass(frozen=True, slots=True)
class Content:
    """A whole page. `payload` is what its script reads."""

    title: str
    runs: tuple[RunPart, ...]
    beside: Beside | None
    groups: tuple[ScoreGroup, ...]
    forecasts: tuple[Forecasts, ...]
    clips: tuple[ShownClips, ...]
    provenance: str
    payload: dict[str, Any] = field(repr=False)

    @property
    def several(self) -> bool:
        return len(self.runs) > 1


def content(
    runs: Sequence[ReportedRun],
    windows: int,
    overrides: Mapping[str, Any] | Iterable[str] = (),
    plugins: Iterable[str] = (),
    say: Callable[[str], None] = lambda _: None,
) -> Content:
    """Gather what a page shows. Loads the framework if a run has a model.

    Args:
        runs: those of the report.
        windows: how many windows are shown at most, of each run or group of runs.
        overrides: where the data lie now.
        plugins: modules that register custom layers.
        say: called with what is being done.
    """
    several = len(runs) > 1
    side = None
    if several:
        say("comparing the runs")
        side = beside(runs, _split_of(runs[0]), tuple(overrides), plugins)
    together = [runs] if side is not None and not side.why_not else [[run] for run in runs if not run.classifies]
    shown: list[Forecasts] = []
    payload: list[dict[str, Any]] = []
    seen: dict[str, LookedAt] = {}
    for group in together:
        say(f"forecasting windows of {' and '.join(run.name for run in group)}")
        forecasts, pictures, looked = _forecasts(group, windows, PICTURE_BYTES // len(together), several=several)
        shown.append(forecasts)
        if looked is not None:
            seen[group[0].letter] = looked
            payload.append(pictures)
    parts = tuple(_part(run, seen.get(run.letter), several=several) for run in runs)
    groups = score_groups(runs)
    return Content(
        title=", ".join(dict.fromkeys(run.manifest["name"] for run in runs)),
        runs=parts,
        beside=side,
        groups=tuple(groups),
        forecasts=tuple(shown),
        clips=tuple(_clips(run, say, several=several) for run in runs if run.classifies),
        provenance=provenance(runs),
        payload={
            "scores": [
                {"label": group.label, "charts": [chart.to_dict() for chart in group.charts]} for group in groups
            ],
            "curves": [part.curves.to_dict() for part in parts if part.curves is not None],
            "forecasts": payload,
        },
    )


def _split_of(run: ReportedRun) -> str:
    return "test" if run.trained.data.split.test is not None else "validation"


def _part(run: ReportedRun, looked: LookedAt | None, *, several: bool) -> RunPart:
    evaluation, graph = run.evaluation, run.graph
    scored = next((stored.classes for stored in run.scores if stored.classes is not None), None)
    line, clips, no_data = _data(run, looked)
    resolved = run.folder.resolved_file
    drawing, listed = ("", "") if isinstance(graph, str) else _drawing(graph)
    return RunPart(
        letter=run.letter,
        name=run.name,
        title=run.manifest["name"],
        when=when(run),
        description=run.spec.description or "",
        about=tuple(about(run)),
        notes=tuple(run.notes()),
        verdict=() if evaluation is None else tuple(verdict(evaluation)),
        no_scores=run.no_scores,
        classes=() if scored is None else tuple(class_tables(scored)),
        class_words="" if scored is None else _class_words(scored),
        calibration=tuple(_calibration(run, several=several)),
        spec=_highlighted(run.spec.written),
        resolved=_highlighted(resolved.read_text("utf-8")) if resolved.is_file() else "",
        overrides=tuple(run.manifest["overrides"]),
        diagram=drawing,
        layers=listed,
        no_graph=graph if isinstance(graph, str) else "",
        timeline=line,
        clips=clips,
        no_data=no_data,
        data_words="" if no_data else read(run),
        curves=curves(run, several=several),
        command=command(run),
    )


def _class_words(scored: ClassScores) -> str:
    if not scored.clips:
        return ""
    words = f"Of {scored.clips} clips in the {scored.split} split, {scored.accuracy:.0%} are classified correctly"
    return f"{words}; always predicting the most frequent training class would be correct for {scored.baseline:.0%}."


def _calibration(run: ReportedRun, *, several: bool) -> Iterator[Picture]:
    """Yield the pictures of calibration that the evaluations of forecast distributions have left."""
    for file in sorted(run.folder.path.glob("calibration*.png")):
        of = f" of {run.letter}" if several else ""
        part = file.stem.removeprefix("calibration").strip("-")
        title = f"Calibration{of}{f', {part}' if part else ''}"
        words = f"{title}: rank histograms and, if thresholds are set, reliability at each"
        yield Picture(png_uri(file.read_bytes()), words)


def _data(run: ReportedRun, looked: LookedAt | None) -> tuple[Timeline | None, str, str]:
    """Return the timeline of a run's data, or the table of its clips, or why there is neither."""
    if run.classifies:
        return (None, "", run.clips) if isinstance(run.clips, str) else (None, clip_table(run.clips), "")
    if isinstance(run.dataset, str):
        return None, "", run.dataset
    return timeline(run.dataset, () if looked is None else looked.left_out), "", ""


def _clips(run: ReportedRun, say: Callable[[str], None], *, several: bool) -> ShownClips:
    """Return a classifier's worst and best clips, or why they are not shown."""
    title = f"{run.letter}: {run.name}" if several else ""
    if run.fault or isinstance(run.clips, str):
        return ShownClips(title, missing=run.fault or str(run.clips))
    say(f"classifying clips with {run.name}")
    try:
        return shown_clips(run, run.clips, title)
    except SpecbuildError as error:
        return ShownClips(title, missing=fault_of(error))


def _drawing(graph: Graph) -> tuple[str, str]:
    """Return the diagram of a graph as the URI of an SVG, and the table of its layers."""
    from specbuild.graph.drawing.picture import svg

    text = svg(diagram(graph))
    if "xmlns=" not in text:
        text = text.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)
    uri = f"data:image/svg+xml;base64,{base64.b64encode(text.encode()).decode('ascii')}"
    return uri, html_summary(summarize(graph, batch=graph.spec.batch_size))


def _highlighted(text: str) -> str:
    """Return YAML as HTML in which keys, values and comments have classes."""
    from pygments import highlight
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import YamlLexer

    from specbuild.document.printable import printable

    html: str = highlight(printable(text), YamlLexer(), HtmlFormatter(nowrap=True))
    return html


def _forecasts(
    group: Sequence[ReportedRun], count: int, budget: int, *, several: bool
) -> tuple[Forecasts, dict[str, Any], LookedAt | None]:
    """Return the forecasts of runs on the same windows, their pictures for JSON, and the windows."""
    first = group[0]
    title = " and ".join(f"{run.letter}: {run.name}" for run in group) if several else ""
    if first.fault or isinstance(first.dataset, str):
        return Forecasts(title, missing=first.fault or str(first.dataset)), {}, None
    try:
        lookers = [Looker(run.trained, strongest(run.evaluation) or "persistence") for run in group]
        looked = look_at(lookers[0])
        picked = chosen(looked.windows, count)
        if not picked:
            return Forecasts(title, missing=f"every window of the {looked.split} split is left out"), {}, looked
        letters = [run.letter if len(group) > 1 else "" for run in group]
        shown = [Shown(looker, letter) for looker, letter in zip(lookers, letters, strict=True)]
        named = f"{first.letter}: model" if len(group) > 1 else "model"
        made = drawn(layers(shown, picked), picked, budget, named)
    except SpecbuildError as error:
        return Forecasts(title, missing=fault_of(error)), {}, None
    *extremes, every = _window_tables(looked, picked, named)
    return (
        Forecasts(title, _about(first, named, looked, picked), tuple(extremes), every),
        {"title": title or first.name, "layers": made, "errors": _errors(looked, picked, named)},
        looked,
    )


def _about(run: ReportedRun, named: str, looked: LookedAt, picked: Sequence[ScoredWindow]) -> str:
    """Return which windows were forecast and which are shown, by the errors of the model that is called `named`."""
    count = len(looked.windows)
    data = run.trained.other_data
    other = f"These are forecasts of data other than the training data: {data}. " if data else ""
    forecast = f"{count} of the {looked.total} windows, evenly spaced," if looked.sampled else f"All {count} windows"
    verb = "were" if count != 1 or looked.sampled else "was"
    which = f"{len(picked)} of them {'are' if len(picked) != 1 else 'is'} shown"
    words = {"best": "the best", "median": "the median", "worst": "the worst", "evenly spaced": "others evenly spaced"}
    kinds = [words[why] for why in words if any(window.why == why for window in picked)]
    how = f"{', '.join(kinds)}; by the RMSE of {'the model' if named == 'model' else named} over all lead times"
    out = f" {len(looked.left_out)} were left out." if looked.left_out else ""
    pooled = f" The RMSE pools variables of different units: {looked.pooled}." if looked.pooled else ""
    text = f"{forecast} of the {looked.split} split {verb} forecast for this report; {which}: {how}."
    return f"{other}{text}{out}{pooled}"


def _errors(looked: LookedAt, picked: Sequence[ScoredWindow], named: str) -> dict[str, Any]:
    """Return the error of every window that was forecast, for the chart over windows."""
    names = list(dict.fromkeys(name for window in looked.windows for name in window.errors))
    shown = {window.number: place for place, window in enumerate(picked)}
    return with_nulls(
        {
            "units": looked.units,
            "numbers": [window.number for window in looked.windows],
            "labels": [window.label for window in looked.windows],
            "lines": {
                named if name == "model" else name: [window.errors.get(name, float("nan")) for window in looked.windows]
                for name in names
            },
            "shown": [shown.get(window.number) for window in looked.windows],
        }
    )


def _window_tables(looked: LookedAt, picked: Sequence[ScoredWindow], named: str) -> tuple[str, str, str]:
    """Return the tables of the worst, the best and of all windows."""
    known = sorted(
        (window for window in looked.windows if window.errors["model"] == window.errors["model"]),
        key=lambda window: window.errors["model"],
    )
    units = f" ({looked.units})" if looked.units else ""
    many = min(_EXTREMES, max(len(known) // 2, 1))
    names = list(dict.fromkeys(name for window in looked.windows for name in window.errors))
    columns = [
        Column("last past frame"),
        Column("window", number=True),
        *(Column(f"{named if name == 'model' else name}{units}", number=True) for name in names),
        Column("shown above"),
    ]
    places = {window.number: str(place) for place, window in enumerate(picked, start=1)}

    called = "the model" if named == "model" else named

    def table(windows: Sequence[ScoredWindow], caption: str) -> str:
        rows = [
            [
                window.label,
                f"{window.number} of {looked.total}",
                *(f"{window.errors.get(name, float('nan')):#.3g}".rstrip(".") for name in names),
                f"as {places[window.number]}" if window.number in places else "no",
            ]
            for window in windows
        ]
        return html_table(columns, rows, caption)

    return (
        table(known[::-1][:many], f"Worst windows by the RMSE of {called}"),
        table(known[:many], f"Best windows by the RMSE of {called}"),
        table(looked.windows, "RMSE of all windows that were forecast"),
    )
