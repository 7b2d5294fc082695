"""Units of the data: whether two texts mean the same ones, and the conversion from one to the other.

Units are written as in the CF conventions (section 3.1, UDUNITS): `mm h-1`, `kg m-2 s-1`, `degC`. They are read by
pint, which is imported only where two texts differ.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from specbuild.data.arrays import Array
from specbuild.data.sources.base import FrameMetadata, FrameSource
from specbuild.data.sources.lazy_arrays import Index, LazyArray, unpacked
from specbuild.data.sources.packing import Packing
from specbuild.document import ArgumentError
from specbuild.document.extras import install

if TYPE_CHECKING:
    import pint

Source = TypeVar("Source", bound=FrameSource)


@dataclass(frozen=True, slots=True)
class Conversion:
    """new = old · factor + offset"""

    factor: float
    offset: float
    water: bool = False
    """Whether a mass was taken as that of water, with 1 kg per square meter as 1 mm."""


class UnitsError(ValueError):
    """Units that cannot be converted; `help` says what to do."""

    def __init__(self, message: str, help: str = "") -> None:
        super().__init__(message)
        self.help = help


@lru_cache(maxsize=1000)
def conversion(old: str, new: str) -> Conversion | None:
    """Return how values in the units `old` become such in `new`; None where both are the same.

    Raises:
        UnitsError: one does not follow from the other by a factor and an offset, or it takes pint, which is missing.
    """
    if " ".join(old.split()) == " ".join(new.split()):
        return None
    try:
        factor, offset, water = _converted(old, new)
    except ImportError as error:
        raise UnitsError(
            "converting units needs the package pint",
            help=f"{install('units')}, or convert the data to the units of the training data",
        ) from error
    return None if (round(factor, 12), offset) == (1, 0) and not water else Conversion(factor, offset, water)


def same_units(units: str, others: str) -> bool:
    """Whether two texts mean the same units, as `degC` and `°C` do; not where either says nothing."""
    try:
        return bool(units and others) and conversion(units, others) is None
    except UnitsError:
        return False


def labelled(metadata: FrameMetadata, stated: str) -> FrameMetadata:
    """Return the metadata with the units that scores, pictures, reports and forecasts show.

    Args:
        stated: `data.units`, which hold for every variable and come before those in the file; but where variables have
            different units in the file, each keeps its own.
    """
    if not stated or differ(metadata):
        return metadata
    return replace(metadata, units=stated, units_of={})


def differ(metadata: FrameMetadata) -> bool:
    """Whether the file gives its variables different units, so that a number pooled over them has none."""
    first, *others = metadata.units_of.values() or ("",)
    return any(not same_units(first, other) for other in others)


def each_with_units(metadata: FrameMetadata) -> str:
    """Return the variables with their units: `t2m (K) and msl (Pa)`; empty where the units do not differ."""
    return " and ".join(f"{name} ({units})" for name, units in metadata.units_of.items()) if differ(metadata) else ""


def note_on_stated(metadata: FrameMetadata, stated: str) -> tuple[str, ...]:
    """Return a note where `data.units` are not shown, because they cannot be those of every variable."""
    listed = each_with_units(metadata)
    if not stated or not listed:
        return ()
    words = f"the variables of {metadata.name} have different units, {listed}: each is shown in its own"
    return (f"data.units is {stated}, but {words}",)


def converted(source: Source, units: str | Mapping[str, str], *, rescaled: bool = False) -> Source:
    """Return frames whose physical values are in other units than the file states; what states none stays as it is.

    Args:
        units: of all channels, or of each variable by its name.
        rescaled: whether a spec has a scale or an offset of its own. The units in the file are then those of the raw
            values, so that only a factor commutes with it.

    Raises:
        ArgumentError: some cannot be converted.
    """
    metadata = source.metadata
    ours = metadata.units_of or metadata.units
    if not units or not ours or units == ours:
        return source
    names = metadata.variables if isinstance(ours, Mapping) or isinstance(units, Mapping) else ("",)
    steps: list[Conversion | None] = []
    for name in names:
        old, new = ((each.get(name, "") if isinstance(each, Mapping) else each) for each in (ours, units))
        try:
            step = conversion(old, new) if old and new else None
            if rescaled and step is not None and step.offset:
                raise UnitsError(f"{old} and {new} have different zero points, and the spec scales these data itself")
            steps.append(step)
        except UnitsError as error:
            help = error.help or "convert the data to the units of the training data"
            reason = f"; {error}" if error.help else ""
            raise ArgumentError(
                f"{source.name} is in {_listed(ours)}, the run was trained on {_listed(units)}{reason}", help=help
            ) from error
    metadata = replace(
        metadata,
        units=units if isinstance(units, str) else ", ".join(dict.fromkeys(units.values())),
        units_of=dict(units) if isinstance(units, Mapping) else {},
    )
    if not any(steps):
        return replace(source, metadata=metadata)
    water = ", taking 1 kg of water per square meter as 1 mm" if any(step and step.water for step in steps) else ""
    note = f"{source.name} is in {_listed(ours)} and was converted to {_listed(units)}{water}"
    metadata = replace(metadata, remarks=(*metadata.remarks, note))
    if len(set(steps)) == 1 and steps[0] is not None:
        return replace(source, metadata=replace(metadata, packing=_packed(metadata.packing, steps[0])))
    array = _by_channel(unpacked(source.array, metadata.packing), steps, metadata.axes)
    return replace(source, array=array, metadata=replace(metadata, packing=Packing()))


def _packed(packing: Packing, step: Conversion) -> Packing:
    """Return a packing that unpacks to the new units."""
    return replace(
        packing,
        scale=packing.scale * step.factor,
        offset=packing.offset * step.factor + step.offset,
        codes=tuple((raw, value * step.factor + step.offset) for raw, value in packing.codes),
    )


def _by_channel(array: LazyArray, steps: Sequence[Conversion | None], axes: tuple[str, ...]) -> LazyArray:
    """Return physical values of which each channel is converted by its own step."""
    channel = axes.index("C")
    factors, offsets = (
        np.array([(1.0, 0.0)[part] if step is None else (step.factor, step.offset)[part] for step in steps])
        for part in (0, 1)
    )

    def read(index: Index) -> Array:
        at = index[channel]
        after = sum(not isinstance(part, int) for part in index[channel + 1 :])
        shape = (-1,) if isinstance(at, slice) else ()
        factor, offset = (values[at].reshape(*shape, *(1,) * after) for values in (factors, offsets))
        values: Array = (array[index] * factor + offset).astype(array.dtype)
        return values

    return LazyArray(array.shape, array.dtype, read)


def _converted(old: str, new: str) -> tuple[float, float, bool]:
    """Return factor and offset, and whether a mass was taken as that of water."""
    registry = _registry()
    first, second = (_parsed(registry, units) for units in (old, new))
    water = False
    try:
        difference = dict((first / second).dimensionality)
        if difference in ({"[mass]": 1, "[length]": -3}, {"[mass]": -1, "[length]": 3}):
            density, water = registry.Unit("kg / m**2 / mm"), True
            first, second = (first, second * density) if difference["[mass]"] > 0 else (first * density, second)
        values = [registry.Quantity(float(value), first).to(second).magnitude for value in (0, 1, 2)]
    except Exception as error:  # pint's errors have several roots
        raise UnitsError(f"{old} cannot be converted to {new}") from error
    factor, offset = values[1] - values[0], values[0]
    if not np.isfinite(values).all() or not np.isclose(values[2], 2 * factor + offset) or not factor:
        raise UnitsError(f"{old} and {new} are not proportional")
    if not offset:
        factor = values[1]
    return float(factor), float(offset), water


@lru_cache(maxsize=1)
def _registry() -> pint.UnitRegistry[Any]:
    import pint

    return pint.UnitRegistry(autoconvert_offset_to_baseunit=False)


def _parsed(registry: Any, units: str) -> Any:
    text = " ".join(units.split())
    try:
        return registry.parse_units(_SPELT.get(text, _EXPONENT.sub(r"**\1", text)))
    except Exception as error:  # pint's errors have several roots
        raise UnitsError(f'"{units}" is not a unit that pint knows') from error


_EXPONENT = re.compile(r"(?<=[A-Za-z)])(?:\^|\*\*)?([+-]?\d+)(?![\d.])")
"""An exponent as UDUNITS writes it: `m-2`, `m^-2`, `m**-2`."""
_SPELT = {
    "C": "degC",
    "Kelvin": "kelvin",
    "degrees_C": "degC",
    "deg_C": "degC",
    "degrees_Celsius": "degC",
    "degrees_K": "kelvin",
    "deg_K": "kelvin",
    "degrees_F": "degF",
    "deg_F": "degF",
    "mb": "millibar",
}
"""Units that pint spells otherwise, or takes for others."""


def _listed(units: str | Mapping[str, str]) -> str:
    return units if isinstance(units, str) else ", ".join(f"{name} ({unit})" for name, unit in units.items())
