"""pySTEPS's forecasts as baselines: Lucas-Kanade extrapolation, and the members of a STEPS ensemble.

pySTEPS (Pulkkinen et al., 2019, Geosci. Model Dev. 12, 4185) is an extra. It is written for rain rates in
mm/h, which it reads as 10 log10(R).
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout

import numpy as np

from specbuild.data.arrays import Array, Floats
from specbuild.document.extras import EXTRAS, missing

UNITS = frozenset({"mm/h", "mm h-1", "mm/hr", "mm hr-1", "mm h^-1", "mm hour-1"})
"""How data names the units that pySTEPS works in."""
MEMBERS = 20
"""Members of the ensemble."""
_DRY, _ZERO = 0.1, -15.0
"""Rain in mm/h below which a pixel is dry, and its value in dB."""
_DRY_DB = -10.0
_LEVELS = 6


def installed() -> bool:
    """Return whether pySTEPS can be imported."""
    return not missing(EXTRAS["pysteps"])


def extrapolation(frames: Floats, steps: Sequence[int]) -> Floats:
    """Move the last frame along the motion that pySTEPS's Lucas-Kanade method finds.

    Args:
        frames: the latest frames (T, H, W) in mm/h, at least two, NaN where missing.
        steps: increasing numbers of steps, from 1.

    Returns:
        (number of `steps`, H, W) in mm/h. NaN where the path of a pixel begins outside the frame.
    """
    with _quiet():
        from pysteps.extrapolation.semilagrangian import extrapolate

        moved = extrapolate(frames[-1].astype(np.float64), _motion(frames), list(steps), allow_nonfinite_values=True)
    return np.asarray(moved, np.float32)


def ensemble(frames: Floats, steps: Sequence[int], minutes: float, kilometres: float, seed: int) -> Floats:
    """Return `MEMBERS` members of a STEPS ensemble (Bowler et al., 2006; Seed, 2003).

    Args:
        frames: the latest frames (T, H, W) in mm/h, at least three, NaN where missing.
        steps: increasing numbers of steps, from 1.
        minutes: between two frames.
        kilometres: the size of a pixel.
        seed: of the noise.

    Returns:
        (members, number of `steps`, H, W) in mm/h, NaN where unknown. Where a frame is dry there is one member, the
        extrapolation.
    """
    latest = frames[-3:]
    if not (np.nan_to_num(latest) >= _DRY).any(axis=(1, 2)).all():
        return extrapolation(frames, steps)[np.newaxis]
    with _quiet():
        from pysteps.nowcasts.steps import forecast

        members = forecast(
            _decibels(latest, missing=_ZERO),
            _motion(frames),
            list(steps),
            n_ens_members=MEMBERS,
            n_cascade_levels=_LEVELS,
            precip_thr=_DRY_DB,
            kmperpixel=kilometres,
            timestep=minutes,
            seed=seed,
        )
    return _rain(members)


def _motion(frames: Floats) -> Array:
    from pysteps.motion.lucaskanade import dense_lucaskanade

    return np.asarray(dense_lucaskanade(_decibels(frames, missing=_ZERO)))


def _decibels(rain: Floats, missing: float = np.nan) -> Array:
    with np.errstate(divide="ignore", invalid="ignore"):
        decibels = np.where(rain >= _DRY, 10 * np.log10(rain.astype(np.float64)), _ZERO)
    return np.where(np.isfinite(rain), decibels, missing)


def _rain(decibels: Array) -> Floats:
    return np.asarray(np.where(decibels < _DRY_DB, 0, 10 ** (decibels / 10)), np.float32)


@contextmanager
def _quiet() -> Iterator[None]:
    """Suppress what pySTEPS prints, and warnings about empty means where nothing is known."""
    with redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
