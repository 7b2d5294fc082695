"""`predict`: a forecast from the latest frames of the data, or from frames in a file."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from specbuild.catalog import show
from specbuild.data import Dataset
from specbuild.data.sample_layout import sample_layout
from specbuild.data.sources.base import ArraySource
from specbuild.data.transforms import Transform
from specbuild.data.windows import lead_frames, past_frames
from specbuild.document import Diagnostic, SpecError, did_you_mean
from specbuild.run.files import replacing
from specbuild.run.inference import TrainedRun
from specbuild.run.pictures import Scale, Scene, draw_animation, draw_strip

Floats: TypeAlias = npt.NDArray[np.float32]


def predict(
    run: str | Path,
    input: str | Path | None = None,
    output: str | Path | None = None,
    *,
    plugins: Iterable[str] = (),
) -> Floats:
    """Forecasts with a trained run.

    Args:
        run: its folder.
        input: `.npy` or `.npz` file with the past frames, in physical units with NaN where missing: (P, *space) or
            (P, *space, C). None forecasts from the last frames of the run's data.
        output: where to write the forecast. `.npz` holds `forecast`, `lead_times`, `variable` and `units`; `.npy` the
            forecast alone; `.png` and `.gif` are pictures of it.
        plugins: modules to import, which register layers of their own.

    Returns:
        The forecast in physical units, (F, *space, C).

    Raises:
        SpecError: a file that cannot be read or written as asked, or whose shape does not fit.
        RunError: the run has no trained model.
    """
    trained = TrainedRun.open(run, plugins)
    write = _writer(Path(output)) if output is not None else None
    if input is not None:
        past = _read(Path(input), trained)
        dataset = _dataset_of(past, Path(input).name, trained)
    else:
        dataset = trained.dataset
        past = _latest(dataset)
    forecast = dataset.forecast(past, trained.predict)
    if write is not None:
        # In the colours of the run's forecast.png, so that the two can be laid side by side.
        colours = trained.folder.manifest().get("colours")
        shown = replace(scene(trained, past, forecast), scale=Scale(**colours) if colours else None)
        write(shown, forecast, Path(output or ""))
    return forecast


def scene(trained: TrainedRun, past: Floats, forecast: Floats, truth: Floats | None = None, title: str = "") -> Scene:
    """What pictures and files say of one forecast; frames are (T, *space, C)."""
    data, windows = trained.data, trained.data.windows
    behind = [(windows.past - 1 - number) * windows.step for number in range(windows.past)]
    return Scene(
        past=_plane(past),
        forecast=_plane(forecast),
        past_labels=tuple(_signed(data.lead_label(frames), "-" if frames else "") for frames in behind),
        lead_labels=tuple(_signed(data.lead_label(frames), "+") for frames in lead_frames(windows)),
        truth=None if truth is None else _plane(truth),
        persistence=None if truth is None else np.repeat(_plane(past)[-1:], len(forecast), axis=0),
        variable=data.variable,
        units=data.units,
        title=title or f"{trained.spec.name}: forecast",
    )


def _signed(label: str, sign: str) -> str:
    return sign + label.lstrip("+")


def _plane(frames: Floats) -> Floats:
    """(T, *space, C) → (T, H, W) for a picture: the first channel, and the middle of what has more than two axes."""
    plane = frames[..., 0]
    while plane.ndim > 3:
        plane = plane[:, plane.shape[1] // 2]
    return plane.reshape(len(plane), *((1,) * (3 - plane.ndim)), *plane.shape[1:])


def _latest(dataset: Dataset) -> Floats:
    """The last past frames of the last event: (P, *space, C)."""
    windows = dataset.section.windows
    reach = (windows.past - 1) * windows.step
    frames = past_frames(dataset.source.lengths[-1] - 1 - reach, windows)
    return dataset.source.read(dataset.source.events - 1, frames)


def _read(path: Path, trained: TrainedRun) -> Floats:
    """The past frames in a file, as (P, *space, C)."""
    array = _array(path, trained)
    if array.dtype.kind not in "fiub":
        raise _refused(f"{path} holds {array.dtype}, not numbers")
    space, frames = trained.data.source.space, trained.data.windows.past
    channels = trained.graph.inputs[0].shape[-1]
    given = array.shape
    if array.ndim == len(space) + 1 and channels == 1:
        array = array[..., np.newaxis]
    wanted = [str(frames), *_sizes(trained), str(channels)]
    if len(wanted) != array.ndim or not all(_fits(*pair) for pair in zip(wanted, array.shape, strict=True)):
        raise _refused(
            f"{path} is {show(given)}, the model reads {' × '.join(wanted)} ({' × '.join(['T', *space, 'C'])})",
            help=f"give the {frames} frames before the forecast, in physical units",
        )
    return array.astype(np.float32)


def _sizes(trained: TrainedRun) -> list[str]:
    """The axes of space that past frames must have: `64`, or `64 or more` where frames are read in tiles."""
    count = len(trained.data.source.space)
    read = trained.graph.inputs[0].shape[-1 - count : -1]
    if trained.data.crop is None:
        return ["any" if size is None else str(size) for size in read]
    return [f"{size} or more" for size in trained.data.crop_shape((0,) * count)]


def _fits(wanted: str, length: int) -> bool:
    number, _, more = wanted.partition(" ")
    return number == "any" or length == int(number) or (bool(more) and length > int(number))


def _array(path: Path, trained: TrainedRun) -> npt.NDArray[Any]:
    if path.suffix not in (".npy", ".npz"):
        raise _refused(f"past frames are read from .npy or .npz, not from {path}")
    try:
        with path.open("rb") as file:
            loaded = np.load(file, allow_pickle=False)
            return loaded if isinstance(loaded, np.ndarray) else loaded[_key(path, loaded.files, trained)]
    except FileNotFoundError:
        near = did_you_mean(path.name, [one.name for one in path.parent.glob("*.np[yz]")])
        raise _refused(f"there is no file {path}", help=near) from None
    except (OSError, ValueError, EOFError, BadZipFile) as error:
        raise _refused(f"{path} cannot be read: {error}") from error


def _key(path: Path, keys: list[str], trained: TrainedRun) -> str:
    if len(keys) == 1:
        return keys[0]
    wanted = trained.data.source.key or "past"
    if wanted not in keys:
        raise _refused(f"{path} has no array {wanted}", help=f"it has {', '.join(keys)}; call the past frames {wanted}")
    return wanted


def _dataset_of(past: Floats, name: str, trained: TrainedRun) -> Dataset:
    """The past frames as data of their own, whose frames may be larger than those that the model was trained on."""
    space = trained.data.source.space
    source = ArraySource(name, past, ("T", *space, "C"), space)
    layout = sample_layout(trained.spec, trained.graph, source)
    return Dataset(trained.data, source, {}, Transform.from_state(trained.transform), layout)


def _writer(path: Path) -> Callable[[Scene, Floats, Path], None]:
    if path.suffix not in _WRITERS:
        raise _refused(f"a forecast is written as {', '.join(_WRITERS)}, not as {path}")
    return _WRITERS[path.suffix]


def _write_npz(scene: Scene, forecast: Floats, path: Path) -> None:
    with replacing(path) as new:
        np.savez_compressed(
            new,
            forecast=forecast,
            lead_times=np.array(scene.lead_labels),
            variable=np.array(scene.variable),
            units=np.array(scene.units),
        )


def _write_npy(_scene: Scene, forecast: Floats, path: Path) -> None:
    with replacing(path) as new:
        np.save(new, forecast)


_WRITERS: dict[str, Callable[[Scene, Floats, Path], None]] = {
    ".npz": _write_npz,
    ".npy": _write_npy,
    ".png": lambda scene, _forecast, path: draw_strip(scene, path),
    ".gif": lambda scene, _forecast, path: draw_animation(scene, path),
}


def _refused(message: str, help: str = "") -> SpecError:
    return SpecError([Diagnostic(message, help=help, code="bad-file")])
