"""`evaluate`: the scores of a trained run per lead time, beside those of its baselines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from specbuild.catalog.baselines import PERSISTENCE
from specbuild.data import Dataset, Window
from specbuild.data.arrays import Floats
from specbuild.data.time.times import show
from specbuild.data.units import each_with_units
from specbuild.document import ArgumentError
from specbuild.evaluation.baselines import climatology, rivals_of
from specbuild.evaluation.calibration import Calibration
from specbuild.evaluation.calibration_plots import draw_calibration
from specbuild.evaluation.classes import evaluate_classes
from specbuild.evaluation.ensembles import ScoredForecast, baseline_forecast, model_forecast
from specbuild.evaluation.forecast_files import notes_on_unused
from specbuild.evaluation.forecast_scores import ScoreTable
from specbuild.evaluation.places import Place, place_of
from specbuild.evaluation.plots import draw_scores
from specbuild.evaluation.result import MODEL, Evaluation
from specbuild.evaluation.scores import Blocks, Comparison, Draws, Scores, Scoring, with_differences
from specbuild.evaluation.stored import Scored
from specbuild.language import Spec, normalize
from specbuild.language.overrides import is_under
from specbuild.pictures import ColourScale, Scene, draw_animation, draw_strip, forecast_scene, scale_of
from specbuild.pictures.scene import variation
from specbuild.runs.faults import keeping
from specbuild.runs.files import write_json, write_text
from specbuild.runs.provenance import check_described, data_files
from specbuild.runs.trained import SCORED_DATA, TrainedRun


def evaluate(
    run: str | Path,
    split: str = "test",
    *,
    variable: str | None = None,
    horizon: int | None = None,
    overrides: Mapping[str, Any] | Iterable[str] = (),
    plugins: Iterable[str] = (),
) -> Scored:
    """Score a trained run on one split of its data, and write scores and pictures into its folder.

    Whole frames are compared in physical units, without missing pixels; squared errors, absolute errors and counts are
    pooled over windows and pixels per lead time before any ratio is taken.

    Args:
        run: the run folder.
        split: `train`, `validation` or `test`.
        variable: the variable to score, of several; None pools all of them, with a note if their units differ.
        horizon: number of frames to forecast and score, if not as in training, in windows of the same split.
        overrides: `data.source.path`, where the data lie now, or other data to score, with the transform of the run;
            `data.split` of those; what `evaluate` computes.
        plugins: modules to import, which register custom layers.

    Returns:
        The scores of the model and of every baseline; for a classifier, those of its classes. They are also written, as
        `scores.json`, `scores.csv` and `scores.png` (`confusion.png`) for the test split and as
        `scores-validation.json` … for the others, `scores-t2m.json` … for one variable (`scores-OUTPUT-t2m.json` where
        the model has several outputs), `scores-horizon-15.json` … for another horizon, `scores-on-2024.json` for other
        data, from `2024.nc`, and `scores-with-members-8.json` for other settings (see `places.Place`).

    Raises:
        SpecError: it is not a run folder, the data is gone or has changed since training, or it does not allow a score
            that the spec asks for.
        ArgumentError: the data of the run has no such split or variable, or an override changes more than the scores.
        RunError: the run has no trained model.
        UnsavedError: the run folder cannot be written; its `result` is what would be returned.
    """
    given = normalize(overrides)
    for override in given:
        if not is_under(override, *_CHANGEABLE):
            raise ArgumentError(
                f"{override} cannot be set when a run is scored",
                help=f"it can change {', '.join(_CHANGEABLE)}",
            )
    trained = TrainedRun.open(run, plugins, overrides=given, horizon=horizon)
    if trained.data.target is not None:
        return evaluate_classes(trained, split)
    return _evaluate_forecasts(trained, split, variable, horizon)


_CHANGEABLE = (*SCORED_DATA, "evaluate")
"""Paths whose overrides change the scores but not the model."""


def _evaluate_forecasts(trained: TrainedRun, split: str, variable: str | None, horizon: int | None) -> Evaluation:
    """Score every output; the first is what is returned, with the others."""
    same = not trained.other_data and not trained.given
    check_described(trained.samples_of_training, trained.dataset, same=same)
    views = list(trained.dataset.views.values()) or [trained.dataset]
    if variable is not None:
        having = [view for view in views if variable in view.source.metadata.variables and not view.is_event]
        views = having or views[:1]
    scored = [_evaluate_output(trained, view, split, variable) for view in views]
    result = replace(scored[0].evaluation, others=tuple(each.evaluation for each in scored[1:]))
    with keeping(result, trained.folder.path):
        for each in scored:
            _save(trained, each, horizon)
    return result


def _evaluate_output(trained: TrainedRun, whole: Dataset, split: str, variable: str | None) -> _Scored:
    """Score one output.

    Args:
        whole: the data of the run, or the view of the output.
    """
    spec = trained.spec
    if whole.is_event:
        spec = replace(spec, evaluate=spec.evaluate.of_events())
    dataset = whole if variable is None else whole.of_variable(variable)
    _check_room(dataset, split)
    scoring = Scoring.of(spec, dataset)
    cycle, leads, chance = scoring.climatology, dataset.lead_labels, scoring.chance
    rivals = rivals_of(spec, dataset, cycle)
    blocks = Blocks.of(dataset.split(split))
    names = [rival.name for rival in rivals]
    sums = {name: Scores(len(leads), families=scoring.families, blocks=len(blocks)) for name in (MODEL, *names)}
    comparison = Comparison(len(leads), names, len(blocks))
    counted = [0] * len(blocks)
    calibrations = {name: Calibration(len(leads), spec.evaluate.thresholds) for name in sums}
    pictured, scored = None, 0
    for scored, window in enumerate(dataset.forecasts(split), start=1):
        made = {MODEL: _forecast(trained, whole, window, dataset.source.channel)}
        made |= {rival.name: baseline_forecast(rival, window, chance=chance, event=whole.is_event) for rival in rivals}
        expected = climatology(cycle, window) if scoring.reads_climatology else None
        block = blocks.numbers[window.event, window.start]
        counted[block] += 1
        for name, scores in sums.items():
            scores.add(made[name].frames, window.future, expected, made[name].distribution, block=block)
            if (distribution := made[name].distribution) is not None:
                calibrations[name].add(distribution, window.future, (window.event, window.start))
        forecast, *_ = frames = [each.frames for each in made.values()]
        others = dict(zip([*made][1:], frames[1:], strict=True))
        comparison.add(forecast, others, window.future, block)
        varies = variation(window.future)
        if pictured is None or varies > pictured.variation:
            pictured = _Pictured(varies, scored, window, made[MODEL], others)
    draws = Draws.of(counted)
    unnamed = variable is None and whole.output == next(iter(trained.dataset.views), "")
    part = "-".join(filter(None, ("" if unnamed else whole.output, variable)))
    tables = tuple(scores.table(name, leads) for name, scores in sums.items())
    if draws is not None:
        tables = with_differences(tables, sums, draws)
    evaluation = Evaluation(
        name=trained.spec.name,
        split=split,
        windows=scored,
        variable=dataset.section.variable,
        units=dataset.labels.common_units,
        output=whole.output,
        of_event=whole.is_event,
        tables=tables,
        skills=comparison.skills(draws),
        shown=scoring.shown,
        conventions=scoring.conventions,
        notes=_notes(trained, spec, dataset, split, part, tables),
        data=tuple(data_files(trained.spec)) if trained.other_data else (),
        calibration=tuple(table for name, each in calibrations.items() if (table := each.table(name)) is not None),
        blocks=sum(map(bool, counted)),
    )
    return _Scored(evaluation, dataset, pictured, part)


@dataclass(frozen=True)
class _Scored:
    """The scores of an output, and what its files need.

    Attributes:
        dataset: what was scored, of the output and the variable alone.
        part: of what the scores are, in the names of the files: an output, a variable or both; empty for all of the
            first output.
    """

    evaluation: Evaluation
    dataset: Dataset
    pictured: _Pictured | None
    part: str


def _save(trained: TrainedRun, scored: _Scored, horizon: int | None) -> None:
    """Write the scores of an output and the pictures of a window into the run folder.

    Raises:
        OSError: the folder cannot be written.
    """
    evaluation, pictured, part = scored.evaluation, scored.pictured, scored.part
    place = place_of(trained, evaluation.split, horizon, part)
    write_json(place.file("scores.json"), evaluation.to_dict())
    write_text(place.file("scores.csv"), evaluation.to_csv())
    draw_scores(evaluation, place.file("scores.png"))
    if evaluation.calibration:
        draw_calibration(evaluation, place.file("calibration.png"))
    if evaluation.split == "test" and pictured is not None and len(trained.data.source.space) > 1:
        best = evaluation.best()[-1]
        scene = pictured.scene(
            scored.dataset,
            f"{trained.spec.name}: test window {pictured.number} of {evaluation.windows}",
            PERSISTENCE if best is None else best.baseline,
        )
        if place.as_in_training and not part:
            trained.folder.offer(colours=asdict(scale_of(scene)))
        draw_strip(scene, place.file("forecast.png"))
        draw_animation(scene, place.file("forecast.gif"))


def _forecast(trained: TrainedRun, dataset: Dataset, window: Window, channel: int | None) -> ScoredForecast:
    """Return the model's forecast of a window, or one channel of it; the model reads all channels."""
    if channel is not None or dataset.output:
        window = trained.dataset.window(window.event, window.start)
    return model_forecast(trained, dataset, window).channel(channel)


@dataclass(frozen=True)
class _Pictured:
    """The window whose observed future varies most, for the pictures."""

    variation: float
    number: int
    window: Window
    forecast: ScoredForecast
    others: Mapping[str, Floats]

    def scene(self, dataset: Dataset, title: str, rival: str) -> Scene:
        """Return the picture of the window, with the baseline called `rival`."""
        window = self.window
        times = dataset.source.times(window.event)
        title = title if times is None else f"{title}, {show(times[window.past_frames[-1]])}"
        scene = forecast_scene(
            dataset.section,
            dataset.source.metadata,
            window.past,
            self.forecast.frames,
            window.future,
            self.others[rival],
            rival=rival,
            title=title,
            bounds=None if self.forecast.distribution is None else self.forecast.distribution.rows,
            past_times=None if times is None else times[list(window.past_frames)],
            times=None if times is None else times[list(window.future_frames)],
        )
        scale = ColourScale(0.0, 1.0, False) if dataset.is_event else scene.scale
        return replace(scene, lead_labels=dataset.lead_labels, scale=scale)


def _notes(
    trained: TrainedRun, spec: Spec, dataset: Dataset, split: str, part: str, tables: Iterable[ScoreTable]
) -> tuple[str, ...]:
    """Return notes on scores: on the data that were read, their units, and files that were not used.

    Args:
        part: as `_Scored` has it.
        tables: the scores of every forecast.
    """
    unused = [table.name for table in tables if table.name in spec.evaluate.forecasts and not table.coverage]
    return (
        *_changes(trained, place_of(trained, split, trained.horizon, part)),
        *dataset.notes(),
        *_mixed_units(dataset, trained),
        *notes_on_unused(unused, spec, dataset, split),
    )


def _changes(trained: TrainedRun, place: Place) -> tuple[str, ...]:
    """Return notes on other data than those of the training, and on overrides of what is scored.

    Args:
        place: where the scores are written.
    """
    notes = []
    if trained.other_data:
        source = trained.dataset.source.name
        notes.append(
            f"scored on {source}, which is not what the run was trained with: {trained.data_change}; the transform is "
            "that of the training, and the baselines are fitted to the training split of these data"
        )
    if asked := [override for override in trained.given if is_under(override, "data.split", "evaluate")]:
        kept = f"; {place.file('scores.json').name} has these scores" if place.settings else ""
        notes.append(f"scored with {', '.join(asked)}{kept}")
    return tuple(notes)


def _mixed_units(dataset: Dataset, trained: TrainedRun) -> tuple[str, ...]:
    """Return a note on scores that pool variables of different units."""
    listed = each_with_units(dataset.labels)
    if not listed:
        return ()
    command = f"specbuild evaluate {trained.folder.path} --variable {dataset.labels.variables[0]}"
    return (f"these scores pool variables of different units, {listed}; to score one alone: {command}",)


def _check_room(dataset: Dataset, split: str) -> None:
    """Refuse windows that are longer than the split."""
    windows = dataset.split(split)
    if not len(windows):
        lengths = dataset.source.lengths
        events = f" in events of up to {max(lengths)}" if len(lengths) > 1 else ""
        raise ArgumentError(
            f"no window fits into the {split} split, which has {windows.frames} frames{events}",
            help=f"a window spans {windows.section.span} frames: evaluate a shorter horizon",
        )
