"""Baselines, declared once: everything except their computation.

The section `evaluate`, its schema and the tables of `docs/scores.md` follow from these declarations. The rules are in
`specbuild/evaluation/baselines.py`, under the same names.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Need: TypeAlias = Literal["", "period", "height and width", "pysteps"]
"""What a baseline needs besides the frames of a window: `evaluate.period`, frames with two spatial axes, the package
pySTEPS and with it rain rates in mm/h on two spatial axes."""

PERSISTENCE = "persistence"
EXTRAPOLATION = "extrapolation"


@dataclass(frozen=True, slots=True)
class Baseline:
    """One baseline: what it forecasts, for the documentation, in Markdown; and where it can be computed."""

    forecast: str
    needs: Need = ""
    source: str = ""


BASELINES: dict[str, Baseline] = {
    PERSISTENCE: Baseline("the last past frame, at every lead time"),
    "training mean": Baseline("each pixel's mean over the training split, without missing values"),
    EXTRAPOLATION: Baseline(
        "the last past frame, moved along the motion of the latest 24 minutes, four frames at least",
        "height and width",
        "Germann and Zawadzki (2002), *Mon. Weather Rev.* 130, 2859; Farnebäck (2003), *SCIA*, 363",
    ),
    "climatology": Baseline(
        "each pixel's mean over the training frames of the same phase of the cycle", "period", "Wilks (2011), section 8"
    ),
    "same phase": Baseline(
        "the last observed frame of the same phase; unknown if that frame is before the start of the data", "period"
    ),
    "anomaly persistence": Baseline(
        "the climatology, plus the last past frame's departure from it", "period", "Wilks (2011), section 8"
    ),
    "pysteps": Baseline(
        "the last past frame, moved along the motion that pySTEPS's Lucas-Kanade method finds",
        "pysteps",
        "Pulkkinen et al. (2019), *Geosci. Model Dev.* 12, 4185",
    ),
    "pysteps ensemble": Baseline(
        "the mean of a STEPS ensemble of 20 members; beside a model that is scored as a distribution, its members",
        "pysteps",
        "Bowler et al. (2006), *Q. J. R. Meteorol. Soc.* 132, 2127",
    ),
}
"""Every baseline by the name that a spec, tables and files give it, in their order there."""


def by_default(period: int | None, plane: bool) -> tuple[str, ...]:
    """Return the baselines of a spec that names none: all that can be computed without further packages.

    With `period` there is no extrapolation: a cycle, such as the day's, says more about a field than its motion does.

    Args:
        period: `evaluate.period`.
        plane: whether frames have height and width, and no depth.
    """
    able = {"": True, "period": period is not None, "height and width": plane and period is None, "pysteps": False}
    return tuple(name for name, baseline in BASELINES.items() if able[baseline.needs])
