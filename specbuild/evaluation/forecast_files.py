"""Forecasts of other systems in files, as baselines: `evaluate.forecasts`.

A file is anything that xarray reads as NetCDF or Zarr, by the CF conventions: a variable with two spatial axes, the
time at which a forecast was made (`forecast_reference_time`), and either the time that it is for (`time`) or how far
ahead that is (`forecast_period`), each as an axis or as a single value. `specbuild predict -o forecast.nc` writes such.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from specbuild.data import Dataset, Window
from specbuild.data.arrays import Floats
from specbuild.data.samples.windows import past_frames
from specbuild.data.sources.files import is_pattern, matches
from specbuild.data.sources.places import tolerance
from specbuild.data.time.calendars import placed
from specbuild.data.time.times import show
from specbuild.data.units import Conversion, UnitsError, conversion
from specbuild.document import RunError, did_you_mean
from specbuild.language import Spec
from specbuild.language.sections.evaluate import ForecastFile

if TYPE_CHECKING:
    import xarray

_ROLES: dict[str, tuple[str, ...]] = {
    "forecast_reference_time": ("forecast_reference_time", "reference_time", "init_time", "initial_time", "base_time"),
    "forecast_period": ("forecast_period", "lead_time", "prediction_timedelta", "step", "lead"),
    "time": ("time", "valid_time"),
}
"""The standard names of the coordinates of time, and common names of coordinates without one."""
Select: TypeAlias = tuple[tuple[str, int], ...]
"""The index along each time axis."""


@dataclass(frozen=True)
class ForecastFiles:
    """The forecasts of one system.

    Raises:
        RunError: they cannot be read, or do not fit the data.
    """

    section: ForecastFile
    paths: tuple[Path, ...]
    dataset: Dataset

    @classmethod
    def of(cls, section: ForecastFile, path: Path, dataset: Dataset) -> ForecastFiles:
        """Return the files at a path, which may be a pattern, after checking the first of them."""
        paths = tuple(sorted(matches(path))) if is_pattern(path) else (path,)
        if not paths or not paths[0].exists():
            near = did_you_mean(path.name, [file.name for file in path.parent.glob("*")])
            raise RunError(f"there is no file {path.name}", help=near or f"looked in {path.parent.resolve()}")
        if dataset.source.times(0) is None:
            raise RunError(
                f"{dataset.source.name} has no times, which are needed to match the forecasts of {path.name}",
                help="name them in data.source.time",
            )
        if not dataset.source.has_plane or dataset.source.channels != 1:
            raise RunError(f"forecasts such as {path.name} need data of one variable with height and width")
        files = cls(section, paths, dataset)
        with files._open(paths[0]) as opened:
            variable = files._variable(opened, paths[0])
            _times(variable, paths[0])
            files._conversion(variable, paths[0])
            files._on_grid(variable, paths[0])
        return files

    def forecast(self, window: Window) -> Floats:
        """Return the latest forecast that was made when the past of a window was known, at its lead times.

        Returns:
            (F, H, W, 1), NaN where there is none.
        """
        times = self.dataset.source.times(window.event)
        assert times is not None
        last, ahead = times[window.past_frames[-1]], times[list(window.future_frames)]
        frames = np.full_like(window.future, np.nan)
        made = [time for time in self._index if time <= last]
        if not made:
            return frames
        entries = self._index[max(made)]
        for number, time in enumerate(ahead):
            if time in entries:
                path, select = entries[time]
                frames[number, ..., 0] = self._frame(path, select)
        return frames

    def times(self) -> str:
        """Return when the forecasts were made and the times that they are for, in words."""
        if not self._index:
            return "it has none"
        valid = [time for entries in self._index.values() for time in entries]
        return f"they were made {_period(self._index)} for the times {_period(valid)}"

    @cached_property
    def _index(self) -> dict[np.datetime64, dict[np.datetime64, tuple[Path, Select]]]:
        """Where each forecast is, by the time at which it was made and the time that it is for."""
        found: dict[np.datetime64, dict[np.datetime64, tuple[Path, Select]]] = {}
        for path in self.paths:
            with self._open(path) as opened:
                variable = self._variable(opened, path)
                for made, valid, select in _entries(variable, path):
                    found.setdefault(made, {})[valid] = path, select
        return found

    def _open(self, path: Path) -> xarray.Dataset:
        import xarray

        try:
            return xarray.open_dataset(path, decode_timedelta=True, engine="zarr" if path.is_dir() else None)
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            raise RunError(f"{path} cannot be read: {str(error).splitlines()[0]}") from error

    def _variable(self, opened: xarray.Dataset, path: Path) -> xarray.DataArray:
        names = [str(name) for name, each in opened.data_vars.items() if each.ndim >= 2]
        name = self.section.variable or (names[0] if len(names) == 1 else "")
        if name not in opened.data_vars:
            near = did_you_mean(name, names) if name else ""
            what = f"no variable {name}" if name else f"{len(names)} variables; choose one with the key variable"
            raise RunError(f"{path} has {what}", help=near or f"it has {', '.join(names) or 'none'}")
        return opened[name]

    def _conversion(self, variable: xarray.DataArray, path: Path) -> Conversion | None:
        """Return how the values become such in the units of the data; None where they are."""
        ours = self.dataset.labels.units
        theirs = str(variable.attrs.get("units", ""))
        try:
            return conversion(theirs, ours) if ours and theirs else None
        except UnitsError as error:
            raise RunError(
                f"{variable.name} of {path} is in {theirs}, the data is in {ours}", help=error.help
            ) from error

    def _frame(self, path: Path, select: Select) -> Floats:
        with self._open(path) as opened:
            chosen = self._variable(opened, path).isel(dict(select))
            step = self._conversion(chosen, path)
            values = np.asarray(self._on_grid(chosen, path).values, np.float32)
        return values if step is None else (values * step.factor + step.offset).astype(np.float32)

    def _on_grid(self, variable: xarray.DataArray, path: Path) -> xarray.DataArray:
        """Return the variable on the pixels of the data, (…, H, W); NaN where it has none."""
        known, axes = self.dataset.source.metadata.coordinates, []
        space = [str(name) for name in variable.dims if name not in _leading(variable)]
        if len(space) != 2:
            raise RunError(f"{variable.name} of {path} has {len(space)} axes besides those of time, {space}, not two")
        for letter, length, place in zip("HW", self.dataset.source.space, space, strict=True):
            ours = known.get(letter)
            name = ours.name if ours is not None and ours.name in space else place
            axes.append(name)
            if ours is None or ours.values is None or name not in variable.coords:
                if variable.sizes[name] != length:
                    raise RunError(f"{path} has {variable.sizes[name]} pixels along {name}, the data {length}")
                continue
            here = np.asarray(ours.values, np.float64)
            there = np.asarray(variable[name].values, np.float64)
            most = tolerance(here)
            if not (np.abs(here[:, np.newaxis] - there).min(axis=1) <= most).any():
                raise RunError(f"{path} has none of the pixels of the data along {name}: it is on another grid")
            variable = variable.reindex({name: here}, method="nearest", tolerance=most)
        return variable.transpose(..., *axes)


def forecasts(
    files: Mapping[str, ForecastFile], dataset: Dataset, resolve: Callable[[str], Path]
) -> dict[str, Callable[[Window], Floats]]:
    """Return how each named system forecasts a window.

    Raises:
        RunError: its files cannot be read, or do not fit the data.
    """
    return {name: ForecastFiles.of(file, resolve(file.path), dataset).forecast for name, file in files.items()}


def notes_on_unused(names: Collection[str], spec: Spec, dataset: Dataset, split: str) -> Iterator[str]:
    """Yield a note on each of the named systems, no forecast of which is for a window of the split."""
    windows = dataset.split(split)
    for name in names:
        file = spec.evaluate.forecasts[name]
        last = []
        for event, start in (windows[number] for number in range(len(windows))):
            times = dataset.source.times(event)
            assert times is not None
            last.append(times[past_frames(start, windows.section)[-1]])
        made = ForecastFiles.of(file, spec.resolve_path(file.path), dataset).times()
        yield (
            f"no forecast of {name} is for these windows: {made}; the last past frames of the windows are "
            f"{_period(last)}"
        )


def _period(times: Iterable[np.datetime64]) -> str:
    ordered = sorted(times)
    return f"from {show(ordered[0])} to {show(ordered[-1])}"


def _entries(variable: xarray.DataArray, path: Path) -> Iterator[tuple[np.datetime64, np.datetime64, Select]]:
    """Yield when each frame was made, when it is for, and where it is in the variable."""
    import xarray

    made, valid = xarray.broadcast(*_times(variable, path))
    for place in np.ndindex(*made.shape):
        times: list[Any] = [each.values[place].astype("datetime64[s]") for each in (made, valid)]
        yield times[0], times[1], tuple(zip(map(str, made.dims), map(int, place), strict=True))


def _times(variable: xarray.DataArray, path: Path) -> tuple[xarray.DataArray, xarray.DataArray]:
    """Return when the frames were made and when they are for, along the time axes that each depends on."""
    made, valid = _coordinate(variable, "forecast_reference_time"), _coordinate(variable, "time")
    ahead = _coordinate(variable, "forecast_period")
    if made is None or (valid is None and ahead is None):
        made_or_for = "was made (forecast_reference_time)" if made is None else "is valid (time or forecast_period)"
        raise RunError(
            f"{path} does not say when it {made_or_for}",
            help="give the coordinate that standard_name, as in the CF conventions",
        )
    if valid is None:
        assert ahead is not None
        if ahead.dtype.kind != "m":
            raise RunError(f"{ahead.name} of {path} has no units of time")
        valid = made + ahead if made.dtype.kind != "O" else _after(made, ahead)
    made, valid = _ours(made), _ours(valid)
    for each in (made, valid):
        if each.dtype.kind != "M":
            raise RunError(f"{each.name} of {path} holds {each.dtype}, not times")
    return made, valid


def _ours(times: xarray.DataArray) -> xarray.DataArray:
    """Return times of another calendar as ours, as those of the data are."""
    if times.dtype.kind != "O":
        return times
    dates = [placed(date) for date in times.values.ravel()]
    return times.copy(data=np.array(dates, "datetime64[ns]").reshape(times.shape))


def _after(dates: xarray.DataArray, lengths: xarray.DataArray) -> xarray.DataArray:
    """Return the times of ours that are so long after dates of another calendar, by that calendar."""
    import xarray

    moved = np.frompyfunc(lambda date, seconds: placed(date + timedelta(seconds=float(seconds))), 2, 1)
    result: xarray.DataArray = xarray.apply_ufunc(moved, dates, lengths / np.timedelta64(1, "s"))
    return result.astype("datetime64[ns]")


def _leading(variable: xarray.DataArray) -> set[str]:
    """Return the axes along which the times of forecasts differ."""
    found = (_coordinate(variable, role) for role in _ROLES)
    return {str(name) for coordinate in found if coordinate is not None for name in coordinate.dims}


def _coordinate(variable: xarray.DataArray, role: str) -> Any:
    """Return the coordinate with a standard name, or else with one of the names that are usual for it."""
    coordinates = {str(name): each for name, each in variable.coords.items()}
    for each in coordinates.values():
        if each.attrs.get("standard_name") == role:
            return each
    free = {name: each for name, each in coordinates.items() if each.attrs.get("standard_name") not in _ROLES}
    return next((free[name] for name in _ROLES[role] if name in free), None)
