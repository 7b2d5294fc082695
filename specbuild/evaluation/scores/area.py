"""Weights of grid cells by their area on the sphere."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from specbuild.evaluation.scores.base import Values


def latitude_weights(latitudes: npt.NDArray[np.floating]) -> Values:
    """The weight of each row of a grid, in proportion to the area of its cells, with mean 1.

    A cell reaches half-way to its neighbours, and as far outward at the first and last row, though not beyond a pole;
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
