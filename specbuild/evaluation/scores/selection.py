"""Selection of the scores requested by a spec, with the data that each needs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from specbuild.catalog.baselines import BASELINES
from specbuild.catalog.scores import PROBABILITIES, SCORES, SHOWN, SHOWN_OF_EVENTS, SSIM_SIDE
from specbuild.data import Climatology, Dataset
from specbuild.data.sources.cf import is_latitude
from specbuild.document import RunError
from specbuild.document.extras import install
from specbuild.evaluation import pysteps_baselines
from specbuild.evaluation.forecast_files import forecasts
from specbuild.evaluation.scores import correlation, errors, events, probability, structure
from specbuild.evaluation.scores.base import Family, OnDemand, Setting, Values
from specbuild.language import Spec

ON_DEMAND: OnDemand = {**errors.ON_DEMAND, **events.ON_DEMAND, **structure.ON_DEMAND, **correlation.ON_DEMAND}
"""How each score that is not always computed is."""


@dataclass(frozen=True)
class Scoring:
    """The scores of one evaluation; `shown` are the titles of those that a terminal shows."""

    families: tuple[Family, ...]
    shown: tuple[str, ...]
    climatology: Climatology
    chance: bool = False
    """Whether forecasts are scored as distributions."""

    @classmethod
    def of(cls, spec: Spec, dataset: Dataset) -> Scoring:
        """Return the scores that `evaluate:` asks for. Reads the training frames only where a default needs them.

        Raises:
            SpecError: a score that the data does not allow: latitude weights without latitudes, SSIM of frames smaller
                than its window.
        """
        section = spec.evaluate
        weights = check_scoring(spec, dataset)
        setting = Setting(section, weights, Climatology.of(dataset, section.period))
        names = (*section.computed, *(() if weights is None else ("rmse_latitude",)))
        chance, event = is_probabilistic(spec, dataset), dataset.is_event
        families = [
            errors.ERRORS,
            *map(events.events, section.thresholds),
            *(
                family
                for name in names
                if SCORES[name].computed not in ("always", "with thresholds")
                for family in ON_DEMAND[name](setting)
            ),
            *((probability.crps(), probability.spread()) if chance and not event else ()),
            *(map(probability.brier, section.thresholds) if chance else ()),
        ]
        asked = (*SHOWN, *names, *(PROBABILITIES if chance else ()))
        shown = dict.fromkeys(SCORES[name].title for name in (SHOWN_OF_EVENTS if event else asked))
        return cls(tuple(families), tuple(shown), setting.climatology, chance)

    @property
    def reads_climatology(self) -> bool:
        return any("climatology" in SCORES[name].needs for family in self.families for name in family.formulas)

    @property
    def conventions(self) -> dict[str, str]:
        """What each score is, by its title."""
        return {title: text for family in self.families for title, text in family.conventions.items()}


def is_probabilistic(spec: Spec, dataset: Dataset) -> bool:
    """Return whether the forecast is scored as a distribution.

    The loss gives one, the output is the probability of an event, or members are asked for.
    """
    return dataset.is_event or dataset.head is not None or spec.evaluate.members is not None


def check_scoring(spec: Spec, dataset: Dataset) -> Values | None:
    """Check whether the data allows what `evaluate:` asks for, without reading frames.

    Returns:
        The weights of a frame's rows, (H, 1, 1), or None where rows do not weigh.

    Raises:
        SpecError: as `Scoring.of`.
    """
    _check_sizes(spec, dataset)
    _check_baselines(spec, dataset)
    return _weights(spec, dataset)


def latitude_weights(latitudes: npt.NDArray[np.floating]) -> Values:
    """Return the weight of each row of a grid, in proportion to the area of its cells on the sphere, with mean 1.

    A cell reaches half-way to its neighbors, and as far outward at the first and last row, though not beyond a pole;
    its area goes with sin(northern edge) − sin(southern edge).

    Args:
        latitudes: of the rows in degrees, rising or falling, (H,).

    Returns:
        (H,). One row alone weighs 1.

    Raises:
        ValueError: a latitude beyond a pole, or latitudes that neither rise nor fall throughout.
    """
    rows = np.asarray(latitudes, np.float64)
    steps = np.diff(rows)
    if not (np.isfinite(rows).all() and (np.abs(rows) <= 90).all()):
        raise ValueError("latitudes lie between -90 and 90 degrees")
    if not ((steps > 0).all() or (steps < 0).all()):
        raise ValueError("latitudes rise or fall from row to row")
    if len(rows) < 2:
        return np.ones(len(rows))
    middles = (rows[1:] + rows[:-1]) / 2
    edges = np.concatenate([[rows[0] - steps[0] / 2], middles, [rows[-1] + steps[-1] / 2]])
    areas = np.abs(np.diff(np.sin(np.radians(np.clip(edges, -90, 90)))))
    weights: Values = areas / areas.mean()
    return weights


def _weights(spec: Spec, dataset: Dataset) -> Values | None:
    """Return the weights of a frame's pixels, (H, 1, 1); None where rows do not weigh."""
    wanted = spec.evaluate.latitude_weights
    axis = dataset.source.metadata.coordinates.get("H")
    if wanted is False or (wanted == "auto" and not (axis and axis.values is not None and is_latitude(axis))):
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


def _check_sizes(spec: Spec, dataset: Dataset) -> None:
    plane = dataset.source.space[-2:]
    if "ssim" in spec.evaluate.computed and (len(plane) < 2 or min(plane) < SSIM_SIDE):
        listed = spec.evaluate.scores
        place = ("evaluate", "scores", listed.index("ssim")) if "ssim" in listed else ("evaluate", "convention")
        raise spec.error(
            place,
            f"ssim needs frames of at least {SSIM_SIDE} × {SSIM_SIDE}, those of {dataset.source.name} are "
            f"{' × '.join(map(str, plane)) or 'without space'}",
            code="score-and-data",
        )


def _check_baselines(spec: Spec, dataset: Dataset) -> None:
    source = dataset.source
    units = dataset.labels.common_units
    for position, name in enumerate(spec.evaluate.baselines or ()):
        needs = BASELINES[name].needs
        reason, help = "", ""
        if needs in ("height and width", "pysteps") and not source.has_plane:
            axes = " ".join(source.metadata.space) or "none"
            reason = f"{name} needs frames with height and width alone, those of {source.name} have {axes}"
        elif needs == "pysteps" and units not in pysteps_baselines.UNITS:
            reason = f"{name} forecasts rain rates in mm/h, {source.name} has {units or 'no units'}"
            help = "state the units in data.units if they are mm/h; extrapolation moves any field"
        elif needs == "pysteps" and not pysteps_baselines.installed():
            reason, help = f"{name} needs the package pySTEPS", install("pysteps")
        if reason:
            raise spec.error(("evaluate", "baselines", position), reason, help=help, code="score-and-data")
    for name, file in spec.evaluate.forecasts.items():
        try:
            forecasts({name: file}, dataset, spec.resolve_path)
        except RunError as error:
            raise spec.error(
                ("evaluate", "forecasts", name), error.message, help=error.help, code="score-and-data"
            ) from error
