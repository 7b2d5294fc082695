"""Which scores a spec asks for, with what each needs to know of the data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from specbuild.data import Climatology, Dataset
from specbuild.evaluation.scores.area import latitude_weights
from specbuild.evaluation.scores.base import Family, Values
from specbuild.evaluation.scores.correlation import acc, correlation
from specbuild.evaluation.scores.errors import ERRORS, MAE_SUM, MSE_SUM, latitude_rmse, measure_summed
from specbuild.evaluation.scores.events import events
from specbuild.evaluation.scores.fractions import fss
from specbuild.evaluation.scores.structure import SIDE, psnr, ssim
from specbuild.language import Spec
from specbuild.language.sections.evaluate import SCORES, EvaluateSection


@dataclass(frozen=True)
class Scoring:
    """The scores of one evaluation. `shown` are those that a terminal shows, by the names that tables give them."""

    families: tuple[Family, ...]
    shown: tuple[str, ...]
    climatology: Climatology

    @classmethod
    def of(cls, spec: Spec, dataset: Dataset) -> Scoring:
        """What `evaluate:` asks for. Reads the training frames only where a default comes from them.

        Raises:
            SpecError: a score that the data does not allow: latitude weights without latitudes, SSIM of frames smaller
                than its window.
        """
        section = spec.evaluate
        weights = check_scoring(spec, dataset)
        chosen = _Chosen(section, weights, Climatology.of(dataset, section.period))
        families = [ERRORS, *map(events, section.thresholds)]
        for name in section.computed:
            families += _MORE[name](chosen) if name in _MORE else ()
        if weights is not None:
            families.append(latitude_rmse(weights))
        shown = dict.fromkeys(("RMSE", "MAE", "CSI", *(SCORES[name] for name in section.computed), "RMSE (latitude)"))
        return cls(tuple(_joined(families)), tuple(shown), chosen.climatology)

    @property
    def reads_climatology(self) -> bool:
        return any(score.name.startswith("ACC") for family in self.families for score in family.scores)

    @property
    def conventions(self) -> dict[str, str]:
        """What each score is, by its name."""
        return {score.name: score.convention for family in self.families for score in family.scores}


def check_scoring(spec: Spec, dataset: Dataset) -> Values | None:
    """Whether the data allows what `evaluate:` asks for; reads none of it.

    Returns:
        The weights of a frame's rows, (H, 1, 1), or None where rows do not weigh.

    Raises:
        SpecError: as `Scoring.of`.
    """
    _check_sizes(spec, dataset)
    return _weights(spec, dataset)


@dataclass(frozen=True)
class _Chosen:
    section: EvaluateSection
    weights: Values | None
    climatology: Climatology

    @property
    def pictures(self) -> tuple[float, float, bool]:
        """Low and high end of the data range, and whether values are held to it."""
        written, clip = self.section.pictures
        low, high = written or self.climatology.limits
        return (low, high, clip) if low < high else (0.0, 1.0, clip)

    @property
    def reference(self) -> str:
        period = self.section.period
        return f"the training mean of each phase of {period} frames" if period else "the training mean"


def _anomalies(name: str) -> Callable[[_Chosen], list[Family]]:
    return lambda chosen: [acc(chosen.weights, chosen.reference, (name,))]


_MORE: dict[str, Callable[[_Chosen], list[Family]]] = {
    "fss": lambda c: [fss(threshold, window) for threshold in c.section.thresholds for window in c.section.fss_windows],
    "ssim": lambda c: [ssim(*c.pictures)],
    "psnr": lambda c: [psnr(*c.pictures)],
    "correlation": lambda _: [correlation()],
    "acc": _anomalies("ACC"),
    "acc_centred": _anomalies("ACC (centred)"),
    "mse_sum": lambda _: [Family(3, measure_summed, (MSE_SUM,))],
    "mae_sum": lambda _: [Family(3, measure_summed, (MAE_SUM,))],
}
"""The scores that are computed on demand."""


def _weights(spec: Spec, dataset: Dataset) -> Values | None:
    """The weights of a frame's pixels, (H, 1, 1); None where rows do not weigh."""
    wanted = spec.evaluate.latitude_weights
    axis = dataset.source.coordinates.get("H")
    if wanted is False or (wanted == "auto" and not (axis and _is_latitude(axis.name, axis.units))):
        return None
    place = ("evaluate", "latitude_weights")
    if axis is None or axis.values is None:
        raise spec.error(
            place, f"{dataset.source.name} has no coordinate along H, which latitudes would be", code="no-latitudes"
        )
    try:
        rows = latitude_weights(np.asarray(axis.values, np.float64))
    except (ValueError, TypeError) as error:
        if wanted == "auto":
            return None
        raise spec.error(
            place, f"{axis.name} of {dataset.source.name} cannot weigh rows: {error}", code="no-latitudes"
        ) from error
    return rows.reshape(-1, 1, 1)


def _is_latitude(name: str, units: str) -> bool:
    """As CF conventions tell a latitude: by its units, or by its name."""
    return units.lower().replace("_", "") in ("degreesnorth", "degreenorth", "degreen", "degreesn") or (
        name.lower() in ("lat", "latitude", "nav_lat") and units.lower() in ("", "degrees", "degree")
    )


def _check_sizes(spec: Spec, dataset: Dataset) -> None:
    plane = dataset.source.space[-2:]
    if "ssim" in spec.evaluate.computed and (len(plane) < 2 or min(plane) < SIDE):
        listed = spec.evaluate.scores
        place = ("evaluate", "scores", listed.index("ssim")) if "ssim" in listed else ("evaluate", "convention")
        raise spec.error(
            place,
            f"ssim needs frames of at least {SIDE} × {SIDE}, those of {dataset.source.name} are "
            f"{' × '.join(map(str, plane)) or 'without space'}",
            code="score-and-data",
        )


def _joined(families: list[Family]) -> list[Family]:
    """Families that gather the same sums for one score each, as one."""
    found: list[Family] = []
    for family in families:
        if found and family.measure is found[-1].measure:
            found[-1] = replace(found[-1], scores=(*found[-1].scores, *family.scores))
        else:
            found.append(family)
    return found
