"""`evaluate`: the scores of a trained run per lead time, beside those of its baselines."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from specbuild.data import Dataset, Window, baselines
from specbuild.data.arrays import Floats
from specbuild.data.baselines import climatology
from specbuild.data.sources import FrameSource
from specbuild.data.time.times import show
from specbuild.document import RunError
from specbuild.evaluation.result import MODEL, Evaluation, Scored
from specbuild.evaluation.score_plots import draw_scores
from specbuild.evaluation.scores import Comparison, Scores, Scoring
from specbuild.prediction.pictures import draw_animation, draw_strip, scale_of
from specbuild.prediction.scene import scene
from specbuild.runs.files import write_json, write_text
from specbuild.runs.inference import TrainedRun


def evaluate(
    run: str | Path,
    split: str = "test",
    *,
    variable: str | None = None,
    horizon: int | None = None,
    plugins: Iterable[str] = (),
) -> Scored:
    """Scores a trained run on one split of its data, and writes scores and pictures into its folder.

    Forecasts of whole frames are compared in physical units, missing pixels left out; squared errors, absolute errors
    and counts are pooled over windows and pixels per lead time before any ratio is taken.

    Args:
        run: the run folder.
        split: `train`, `validation` or `test`.
        variable: which of several to score; None pools all of them, and says so where their units differ.
        horizon: frames to forecast and score, where not as many as in training, in windows of the same split.
        plugins: modules to import, which register layers of their own.

    Returns:
        The scores of the model and of every baseline; of a classifier, those of its classes. They are also written, as
        `scores.json`, `scores.csv` and `scores.png` (`confusion.png`) for the test split and as
        `scores-validation.json` … for the others, `scores-t2m.json` … for one variable and `scores-horizon-15.json` …
        for another horizon.

    Raises:
        SpecError: it is not a run folder, the data is gone, or it does not allow a score that the spec asks for.
        RunError: the run has no trained model, or its data has no such split or variable.
    """
    trained = TrainedRun.open(run, plugins, horizon=horizon)
    if trained.data.target is not None:
        from specbuild.evaluation.classify import evaluate_classes

        return evaluate_classes(trained, split)
    return _evaluate_forecasts(trained, split, variable, horizon)


def _evaluate_forecasts(trained: TrainedRun, split: str, variable: str | None, horizon: int | None) -> Evaluation:
    whole = dataset = trained.dataset
    chosen = None if variable is None else whole.source.variable(variable)
    channel = None if chosen is None else chosen.channel
    if chosen is not None:
        dataset = replace(whole, source=chosen)
    _check_room(dataset, split)
    scoring = Scoring.of(trained.spec, dataset)
    climate = scoring.climatology
    rivals = baselines(dataset, trained.spec.evaluate.period, climate)
    leads = dataset.lead_labels
    gathered = {name: Scores(len(leads), families=scoring.families) for name in (MODEL, *(one.name for one in rivals))}
    comparison = Comparison(len(leads), [one.name for one in rivals])
    liveliest = _Liveliest()
    scored = 0
    for scored, window in enumerate(dataset.forecasts(split), start=1):
        at = (window.event, window.start)
        past = window.past if chosen is None else whole.window(*at).past
        forecast = whole.forecast(past, trained.predict, at)
        forecast = forecast if channel is None else forecast[..., channel : channel + 1]
        others = {one.name: one.forecast(window) for one in rivals}
        expected = climatology(window, dataset.section.windows, climate) if scoring.reads_climatology else None
        for name, frames in {MODEL: forecast, **others}.items():
            gathered[name].add(frames, window.future, expected)
        comparison.add(forecast, others, window.future)
        liveliest.look(scored, window, forecast)
    found = Evaluation(
        name=trained.spec.name,
        split=split,
        windows=scored,
        variable=variable or trained.data.variable,
        units=(trained.data.units if variable is None else "") or _common_units(dataset.source),
        tables=tuple(scores.table(name, leads) for name, scores in gathered.items()),
        skills=comparison.skills(),
        shown=scoring.shown,
        conventions=scoring.conventions,
        notes=(*dataset.notes(), *_mixed(dataset.source, trained)),
    )
    _write(trained, found, variable, horizon)
    if split == "test":
        liveliest.draw(trained, dataset, scored, variable, horizon)
    return found


def _mixed(source: FrameSource, trained: TrainedRun) -> tuple[str, ...]:
    """A word on scores that pool variables of different units."""
    if len(set(source.metadata.units_of.values())) < 2:
        return ()
    listed = " and ".join(f"{name} ({units})" for name, units in source.metadata.units_of.items())
    command = f"specbuild evaluate {trained.folder.path} --variable {source.metadata.variables[0]}"
    return (f"these scores pool variables of different units, {listed}; of one alone: {command}",)


def _check_room(dataset: Dataset, split: str) -> None:
    """Refuses windows that are longer than the split."""
    windows = dataset.split(split)
    if not len(windows):
        raise RunError(
            f"no window fits into the {split} split, which has {windows.frames} frames",
            help=f"a window spans {windows.section.span} frames: evaluate a shorter horizon",
        )


class _Liveliest:
    """Keeps the window whose future varies most, for the pictures: chosen by what was observed, not by the forecast."""

    def __init__(self) -> None:
        self.most = -1.0
        self.number = 0
        self.window: Window | None = None
        self.forecast: Floats | None = None

    def look(self, number: int, window: Window, forecast: Floats) -> None:
        known = window.future[~np.isnan(window.future)]
        variation = float(known.std()) if known.size else 0.0
        if variation > self.most:
            self.most, self.number, self.window, self.forecast = variation, number, window, forecast

    def draw(
        self, trained: TrainedRun, dataset: Dataset, count: int, variable: str | None, horizon: int | None
    ) -> None:
        """Draws it as forecast.png and forecast.gif; frames without height and width are not drawn."""
        if self.window is None or self.forecast is None or len(trained.data.source.space) < 2:
            return
        title = f"{trained.spec.name}: test window {self.number} of {count}"
        if self.window.past_times is not None:
            title += f", {show(self.window.past_times[-1])}"
        shown = scene(
            trained,
            dataset.section,
            dataset.source.metadata,
            self.window.past,
            self.forecast,
            self.window.future,
            title,
        )
        if horizon is None and variable is None:
            trained.folder.update_manifest(colours=asdict(scale_of(shown)))
        draw_strip(shown, trained.folder.evaluation("forecast.png", horizon=horizon, variable=variable))
        draw_animation(shown, trained.folder.evaluation("forecast.gif", horizon=horizon, variable=variable))


def _common_units(source: FrameSource) -> str:
    """What the file says of the units, where all channels have the same."""
    return "" if len(set(source.metadata.units_of.values())) > 1 else source.metadata.units


def _write(trained: TrainedRun, found: Evaluation, variable: str | None, horizon: int | None) -> None:
    def file(name: str) -> Path:
        return trained.folder.evaluation(name, found.split, horizon, variable)

    write_json(file("scores.json"), found.to_dict())
    write_text(file("scores.csv"), found.to_csv())
    draw_scores(found, file("scores.png"))
