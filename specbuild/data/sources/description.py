"""What a file says of its variables by the CF conventions beyond their units, so that forecasts can say it too."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from specbuild.data.sources.packing import RawArray

_KEPT = ("standard_name", "long_name", "cell_methods", "comment")
"""Attributes of a variable that are as true of its forecast."""
_ELSEWHERE = (
    *("units", "calendar", "bounds", "climatology", "coordinates", "grid_mapping", "formula_terms"),
    *("scale_factor", "add_offset", "_FillValue", "missing_value", "_Unsigned"),
    *("valid_min", "valid_max", "valid_range", "actual_range", "ancillary_variables", "cell_measures"),
    *("CLASS", "NAME", "DIMENSION_LIST", "REFERENCE_LIST", "_Netcdf4Dimid", "_Netcdf4Coordinates"),
)
"""Attributes of a coordinate that are known otherwise, or are of the file's own numbers."""


@dataclass(frozen=True, slots=True)
class Auxiliary:
    """A coordinate along other axes than its own: latitudes of a projected grid, or the one height of all frames."""

    name: str
    array: RawArray
    axes: tuple[str, ...] = ()
    """Names of its dimensions; of frames, their letters."""
    attributes: Mapping[str, Any] = field(default_factory=dict)

    def on(self, axes: tuple[str, ...], array: RawArray) -> Auxiliary:
        """Return it with other axes, and the numbers along these."""
        return replace(self, axes=axes, array=array)


@dataclass(frozen=True, slots=True)
class Description:
    """What a file says of a variable: its attributes, the projection of its grid and further coordinates.

    `grid_mapping` is the name of the variable with the projection and its attributes.
    """

    attributes: Mapping[str, Any] = field(default_factory=dict)
    grid_mapping: tuple[str, Mapping[str, Any]] | None = None
    auxiliary: tuple[Auxiliary, ...] = ()


def kept_of_variable(attributes: Mapping[Hashable, Any]) -> dict[str, Any]:
    """Return the attributes of a variable that its forecast keeps."""
    kept = {name: attributes[name] for name in _KEPT if isinstance(attributes.get(name), str)}
    return {name: value for name, value in kept.items() if (name, value) != ("standard_name", "unknown")}  # of cfgrib


def kept_of_coordinate(attributes: Mapping[Hashable, Any]) -> dict[str, Any]:
    """Return the attributes of a coordinate, or of a projection, that do not say what is known otherwise."""
    return {str(name): value for name, value in attributes.items() if str(name) not in _ELSEWHERE and _is_plain(value)}


def _is_plain(value: Any) -> bool:
    """Whether a value can be written as an attribute of any format: text, or numbers."""
    return isinstance(value, str) or np.asarray(value).dtype.kind in "iuf"
