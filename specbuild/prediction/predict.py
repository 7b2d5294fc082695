"""`predict`: a forecast from the latest frames of the data, or from frames in a file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from specbuild.catalog.sources import protocol_of
from specbuild.data.arrays import Floats
from specbuild.data.time.times import show
from specbuild.document import ArgumentError, RunError, did_you_mean
from specbuild.language import normalize
from specbuild.language.overrides import is_under
from specbuild.pictures import DRAW, ColourScale, forecast_scene
from specbuild.pictures.scene import member_rows, quantile_rows
from specbuild.prediction.forecast import Forecast, Past, make_forecast
from specbuild.prediction.members import check_members
from specbuild.prediction.past import changed_since_training, latest_past, read_past
from specbuild.prediction.writing import WRITERS, check_output
from specbuild.runs.faults import reason
from specbuild.runs.folder import RunFolder
from specbuild.runs.trained import TrainedRun

_WITHOUT_EFFECT = ("train", "evaluate", "data.split", "data.transform", "data.statistics", "data.augment")
"""What changes the training or the scores."""


def predict(
    run: str | Path,
    input: str | Path | None = None,
    output: str | Path | None = None,
    *,
    sources: Mapping[str, str | Path] | None = None,
    horizon: int | None = None,
    members: int | None = None,
    seed: int = 0,
    overrides: Mapping[str, Any] | Iterable[str] = (),
    plugins: Iterable[str] = (),
    note: Callable[[str], None] = lambda _: None,
) -> Floats:
    """Forecast with a trained run.

    Args:
        run: its folder.
        input: a file with the past frames, or its URL. `.npy` and `.npz` hold only these frames, in physical units with
            NaN where missing: (P, *space) or (P, *space, C). Of any other file, which must have the format of the run's
            data, the last frames are used. None: the last frames of the run's data.
        sources: files in place of those that other inputs of the model read, by the name of the input.
        output: where to write the forecast. `.nc` and `.zarr` hold it with times, coordinates and units; `.npz` has
            `forecast`, `lead_times`, `variable`, `units` and, where known, `time`; `.npy` is the forecast alone; `.png`
            and `.gif` are pictures of it. Of several outputs, grids have a variable of its name for each and `.npz` an
            array; the others hold the first that `data.targets` names.
        horizon: number of frames to forecast, if not as in training; for models whose weights do not depend on it.
        members: number of members of an ensemble to draw, at least 2: by the dropout and the noise of the model, or
            from the distribution that its loss gives. Files hold them besides the forecast.
        seed: of the members; the same seed gives the same members.
        overrides: changes of the run's spec that leave its weights unchanged, such as `{"vars.horizon": 30}`, or
            `data.source.path`, where the data lie now.
        plugins: modules to import, which register custom layers.
        note: called with a sentence for whatever the user should know, such as data that have grown since training.

    Returns:
        The forecast in physical units, (F, *space, C), or its members, (M, F, *space, C); of several outputs that of
        the first in `data.targets`.

    Raises:
        SpecError: a file that cannot be read or written as asked, or whose shape does not fit.
        ArgumentError: an override changes the weights or has no effect; the past frames are not like those of the
            training: further apart, with a gap, on another grid, or in units that cannot be converted.
        RunError: the run has no trained model, or one that can make no members, or the output cannot be written.
    """
    if output is not None:
        check_output(Path(output))
    given = normalize(overrides)
    places = {f"data.inputs.{name}.source.path": _place(path) for name, path in (sources or {}).items()}
    given = (*given, *normalize(places))
    for override in given:
        if is_under(override, *_WITHOUT_EFFECT):
            raise ArgumentError(
                f"{override} has no effect on a forecast", help="the model and its transform are those of the training"
            )
    _check_sources(run, sources or {})
    trained = TrainedRun.open(run, plugins, overrides=given, horizon=horizon)
    if members is not None:
        check_members(trained, members)
    if input is None and (change := changed_since_training(trained, sources or {})):
        note(change)
    past = latest_past(trained) if input is None else read_past(input, trained)
    for remark in past.dataset.source.metadata.remarks:
        note(remark)
    forecast = make_forecast(trained, past, members or 0, seed)
    for remark in (*past.dataset.notes_on_inputs(), *_too_few_frames(trained, past)):
        note(remark)
    if output is not None:
        try:
            _write(forecast, past, trained, Path(output))
        except OSError as error:
            raise RunError(
                f"the forecast cannot be written to {output}: {reason(error)}",
                help="name another place with --output",
            ) from error
    return forecast.frames if forecast.members is None else forecast.members


def _too_few_frames(trained: TrainedRun, past: Past) -> Iterator[str]:
    """Yield a note on each input that compares more of the latest frames than are known."""
    for name, feed in trained.data.inputs.items():
        if past.at is None and feed.reach > len(past.frames):
            count = len(past.frames)
            yield f"{name} compares the {feed.reach} latest frames where they are known, which here are {count}"


def _place(file: str | Path) -> str:
    """Return a file as a spec in another folder names it."""
    return str(file) if protocol_of(str(file)) else str(Path(file).absolute())


def _check_sources(run: str | Path, sources: Mapping[str, str | Path]) -> None:
    """Refuse a file for an input that reads none.

    Raises:
        ArgumentError: naming those that do.
    """
    if not sources:
        return
    inputs = RunFolder.open(run).load_spec().require_data().inputs
    reading = [name for name, feed in inputs.items() if feed.files]
    for name in sources:
        if name not in reading:
            if name in inputs and inputs[name].is_past:
                help = "it reads the past frames, whose file is given without a name: --input FILE"
            else:
                those = f"those are {', '.join(reading)}" if reading else "there are none"
                help = did_you_mean(name, reading) or those
            raise ArgumentError(f"no input {name} of the run reads files of its own", help=help)


def _write(forecast: Forecast, past: Past, trained: TrainedRun, path: Path) -> None:
    """Write a forecast as the suffix says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if write := WRITERS.get(path.suffix):
        write(forecast, path)
        return
    # In the colors of the run's forecast.png, so that the two can be laid side by side.
    colours = trained.folder.manifest().get("colours")
    scene = forecast_scene(
        past.dataset.views.get(forecast.output, past.dataset).section,
        forecast.metadata,
        forecast.past,
        forecast.frames,
        title=f"{trained.spec.name}: {forecast.variable}, forecast{_since(forecast)}",
        scale=ColourScale(**colours) if colours else None,
        past_times=forecast.past_times,
        times=forecast.times,
        bounds=_bounds(forecast),
    )
    DRAW[path.suffix](scene, path)


def _bounds(forecast: Forecast) -> dict[str, Floats]:
    """Return quantiles to draw: those that are known, or those of the members; none of a forecast without either."""
    if forecast.quantiles is not None:
        return quantile_rows(forecast.levels, forecast.quantiles)
    return {} if forecast.members is None else member_rows(forecast.members)


def _since(forecast: Forecast) -> str:
    """Return when a forecast was made, as a title ends; empty where that is not known."""
    return "" if forecast.past_times is None else f" from {show(forecast.past_times[-1])}"
