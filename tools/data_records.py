"""Records drawn at random for `tools/data_search.py`: what their files hold, and how they are written.

A record keeps its frames as they are meant, in physical units with NaN where missing. How a file stores them (packed,
with its axes in another order, in several files) is decided here alone, so that nothing that reads such a file has a
part in what its frames are expected to be.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Tree = dict[str, Any]

START = np.datetime64("2019-03-01T00:00", "s")
NAMES = {"T": "time", "N": "event", "D": "level", "H": "lat", "W": "lon", "L": "place", "C": "band"}
"""What files call each axis."""
FILL = -999
"""The number that packed files store where a value is missing."""


LISTS: list[list[Any]] = [
    [],
    ["standardize"],
    ["minmax"],
    [{"name": "minmax", "min": -1, "max": 2}, {"name": "scale", "factor": 0.5, "offset": 1}],
    [{"name": "clip", "min": 0}, "log1p", "standardize"],
    [{"name": "scale", "factor": -2, "offset": 3}],
    [{"name": "clip", "min": 0, "max": 5}, {"name": "log", "offset": 0.5}],
    ["dbz", "minmax"],
    [{"name": "anomaly", "period": 1}, "standardize"],
    [{"name": "anomaly", "period": 4}, {"name": "scale", "factor": 0.5}],
]
"""Lists of transforms."""


@dataclass(frozen=True)
class Record:
    """Frames, and the files that hold them.

    Attributes:
        path: the file, or the pattern of the files, in the folder of the spec.
        kind: `npy`, `npz`, `h5` and `nc` are one file; `joined` and `events` several `.npz` files, joined in time or
            an event each; `frames` a `.npy` for each frame, with the time in its name.
        space: the letters of the spatial axes, in the order that models read them.
        letters: the axes of the stored arrays, in their order.
        variables: the names of the channels, where they are stored as arrays of their own.
        events: the frames of each event, (T, *space, C).
        times: those of each event; None where the files hold none.
        coordinates: the numbers along spatial axes, by letter, where the files hold them.
        packing: scale and offset of values that are stored as integers; None where they are floats.
        cuts: where the files of a joined record begin.
    """

    path: str
    kind: str
    space: str
    letters: tuple[str, ...]
    variables: tuple[str, ...]
    events: tuple[Array, ...]
    times: tuple[Array, ...] | None = None
    coordinates: dict[str, Array] = field(default_factory=dict)
    packing: tuple[float, float] | None = None
    cuts: tuple[int, ...] = ()

    @property
    def misses(self) -> bool:
        """Whether any value is missing."""
        return any(bool(np.isnan(frames).any()) for frames in self.events)

    @property
    def parts(self) -> list[tuple[str, int, range]]:
        """The name of each file with its event and its frames, where there are several."""
        if self.kind == "joined":
            ends = [*self.cuts[1:], len(self.events[0])]
            spans = [range(first, end) for first, end in zip(self.cuts, ends, strict=True)]
            return [(self._file(number), 0, frames) for number, frames in enumerate(spans)]
        if self.kind == "events":
            return [(self._file(number), number, range(len(each))) for number, each in enumerate(self.events)]
        if self.kind == "frames":
            assert self.times is not None
            return [(_at(time), 0, range(at, at + 1)) for at, time in enumerate(self.times[0])]
        return []

    def _file(self, number: int) -> str:
        return self.path.replace("*", "abcdefgh"[number])

    def write(self, folder: Path) -> None:
        """Write the files into a folder."""
        if self.kind == "frames":
            for name, _, frames in self.parts:
                np.save(folder / name, self._stored(self.events[0][frames.start : frames.stop], "")[0])
        elif self.kind in ("joined", "events"):
            for name, event, frames in self.parts:
                part = slice(frames.start, frames.stop)
                arrays = self._arrays([self.events[event][part]])
                if self.times is not None:
                    arrays["when"] = self.times[event][part].astype(str)
                np.savez(folder / name, **arrays)
        elif self.kind == "npy":
            (array,) = self._arrays(self.events).values()
            np.save(folder / self.path, array)
        else:
            getattr(self, f"_write_{self.kind}")(folder / self.path)

    def _write_npz(self, path: Path) -> None:
        arrays = self._arrays(self.events)
        np.savez(path, **arrays, **({} if self.times is None else {"when": self.times[0].astype(str)}))

    def _write_h5(self, path: Path) -> None:
        import h5py

        with h5py.File(path, "w") as file:
            for name, array in self._arrays(self.events).items():
                file[name] = array
            if self.times is not None:
                minutes = (self.times[0] - START) / np.timedelta64(1, "m")
                file["when"] = minutes
                file["when"].attrs["units"] = "minutes since 2019-03-01"

    def _write_nc(self, path: Path) -> None:
        import xarray as xr

        attributes = {"T": {}, "H": {"units": "degrees_north"}, "W": {"units": "degrees_east"}}
        coordinates = {
            NAMES[letter]: (NAMES[letter], values, attributes.get(letter, {}))
            for letter, values in self.coordinates.items()
        }
        if self.times is not None:
            coordinates["time"] = ("time", self.times[0].astype("datetime64[ns]"), {})
        axes = [NAMES[letter] for letter in self.letters]
        packed = {}
        if self.packing is not None:
            packed = {"scale_factor": self.packing[0], "add_offset": self.packing[1]}
            packed |= {"_FillValue": np.int16(FILL)} if self.misses else {}
        arrays = {name: (axes, array, packed) for name, array in self._arrays(self.events).items()}
        encoding = {"time": {"units": "minutes since 2019-01-01"}} if self.times is not None else {}
        xr.Dataset(arrays, coordinates).to_netcdf(path, engine="h5netcdf", encoding=encoding)

    def _arrays(self, events: Any) -> dict[str, Array]:
        """Return the stored arrays by name: one with every channel, or one for each variable."""
        whole = np.stack(events) if "N" in self.letters else events[0]
        before = "N" if "N" in self.letters else ""
        if "C" in self.letters or not self.variables:
            names = self.variables or ("rain",)
            return {names[0]: self._stored(whole, before)}
        return {
            name: self._stored(whole[..., channel : channel + 1], before) for channel, name in enumerate(self.variables)
        }

    def _stored(self, values: Array, before: str) -> Array:
        """Return frames (N, T, *space, C), without N unless it comes `before`, as a file has them."""
        if self.packing is None:
            raw = values.astype(np.float32)
        else:
            scale, offset = self.packing
            raw = np.where(np.isnan(values), FILL, np.rint((np.nan_to_num(values) - offset) / scale)).astype(np.int16)
        axes = [*before, *("T" if "T" in self.letters or self.kind == "frames" else ""), *self.space, "C"]
        if len(axes) < raw.ndim:  # a field that does not change
            raw = raw[0]
        if "C" not in self.letters:
            raw, axes = raw[..., 0], axes[:-1]
        if self.kind == "frames":
            return raw
        return np.ascontiguousarray(raw.transpose([axes.index(letter) for letter in self.letters]))


def _at(time: Array) -> str:
    text = str(time.astype("datetime64[m]"))
    return f"rain_{text.replace('-', '').replace('T', '').replace(':', '')}.npy"


def values_of(random: Random, shape: tuple[int, ...], packing: tuple[float, float] | None, missing: float) -> Array:
    """Draw values of at least 0 in physical units, which a file holds without rounding them."""
    numbers = np.random.default_rng(random.randrange(2**32))
    values = numbers.gamma(1.0, 3.0, shape)
    if packing is None:
        values = values.astype(np.float32).astype(np.float64)
    else:
        scale, offset = packing
        values = np.rint((values - offset) / scale) * scale + offset
    values[numbers.random(shape) < missing] = np.nan
    return values


def hours_with_gaps(random: Random, count: int, gaps: int) -> list[int]:
    """Draw the numbers of so many frames on a regular time line, of which some are left out."""
    left_out = set(random.sample(range(3, count), gaps))
    return [number for number in range(count + gaps) if number not in left_out]
