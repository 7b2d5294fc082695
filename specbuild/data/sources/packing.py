"""How files encode physical values as raw numbers, and the arrays that hold these."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt


class RawArray(Protocol):
    """An array of a file: its header is known, its numbers are read when it is sliced."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def dtype(self) -> np.dtype[Any]: ...
    def __getitem__(self, index: tuple[int | slice, ...], /) -> npt.NDArray[Any]: ...


_GREATEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True, slots=True)
class Packing:
    """How raw numbers encode physical values: raw · scale + offset, with raw values that mark missing data."""

    scale: float = 1.0
    offset: float = 0.0
    missing: tuple[float, ...] = ()
    faults: tuple[tuple[str, str], ...] = ()
    """Faults in the attributes of the file, each with the key of `data` that replaces the attribute."""
    codes: tuple[tuple[float, float], ...] = ()
    """Raw values that stand for a physical value of their own, such as no echo; with that value."""

    def overridden(self, scale: float | None, offset: float | None, missing: tuple[float, ...]) -> Packing:
        """Return the packing with scale and offset of a spec, where given, and its further values for missing data."""
        given = {"scale": scale is not None, "offset": offset is not None, "missing": bool(missing)}
        return Packing(
            self.scale if scale is None else scale,
            self.offset if offset is None else offset,
            tuple(dict.fromkeys((*self.missing, *missing))),
            tuple((key, fault) for key, fault in self.faults if not given[key]),
            self.codes,
        )

    def with_code(self, raw: float, physical: float) -> Packing:
        """Return the packing with a raw value that stands for a physical one; for a missing one if that is NaN."""
        if math.isnan(physical):
            return replace(self, missing=tuple(dict.fromkeys((*self.missing, raw))))
        return replace(self, codes=(*self.codes, (raw, physical)))

    def overflows(self, dtype: np.dtype[Any]) -> bool:
        """Whether whole numbers of a type can be beyond float32 in physical units, where they are missing."""
        bounds = (np.iinfo(dtype).min, np.iinfo(dtype).max) if dtype.kind in "iu" else (0, 1)
        return any(abs(bound * self.scale + self.offset) > _GREATEST for bound in bounds)

    def unpack(self, raw: npt.NDArray[Any], dtype: type[np.floating[Any]] = np.float32) -> npt.NDArray[Any]:
        """Return `raw` in physical units; missing, NaN and infinite values become NaN."""
        physical = self.decoded(raw, dtype)
        physical[self.infinite(raw, physical)] = np.nan
        return physical

    def infinite(self, raw: npt.NDArray[Any], physical: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
        """Return a mask of the infinite values of `physical`, which was decoded from `raw`."""
        if raw.dtype.kind == "f" or self.scale != 1 or self.offset != 0:
            return np.asarray(np.isinf(physical))
        return np.zeros(physical.shape, bool)

    def decoded(self, raw: npt.NDArray[Any], dtype: type[np.floating[Any]] = np.float32) -> npt.NDArray[Any]:
        """Return `raw` in physical units; missing values become NaN, infinite ones stay as they are.

        The arithmetic is in double precision, so that 70 · 0.01 is the float32 nearest to 0.7 and reaches a threshold
        of 0.7.
        """
        with np.errstate(over="ignore", invalid="ignore"):
            if self.scale == 1 and self.offset == 0:
                physical = raw.astype(dtype)
            else:
                physical = (raw * np.float64(self.scale) + np.float64(self.offset)).astype(dtype)
            for value, meaning in self.codes:
                if can_occur(value, raw.dtype):
                    physical[raw == raw.dtype.type(value)] = meaning
            for value in self.missing:
                if can_occur(value, raw.dtype):
                    physical[raw == raw.dtype.type(value)] = np.nan
        return physical


def can_occur(value: float, dtype: np.dtype[Any]) -> bool:
    """Whether raw numbers of a type can have a value, apart from rounding."""
    if dtype.kind not in "iu":
        return dtype.kind != "b" or value in (0, 1)
    return math.isfinite(value) and value == int(value) and np.iinfo(dtype).min <= value <= np.iinfo(dtype).max


PLAIN = Packing()
"""Raw numbers that are the physical values."""
