"""`source.coarsen`: frames of fewer pixels, each of which covers a box of those in the file."""

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field

from specbuild.catalog.list_values import Several
from specbuild.catalog.values import Value, Whole, fault
from specbuild.language.sections.base import Section

_FACTORS = Several(Whole(1), "a positive whole number, or a list with one per spatial axis", 1, 3)


class CoarsenSection(Section):
    """Boxes of so many pixels along each spatial axis, and what a box becomes."""

    factor: Annotated[tuple[int, ...], _FACTORS] = Field(
        description="Pixels of the file along each side of a box; rows and columns left over are not read."
    )
    method: Literal["mean", "max", "sum"] = Field(
        "mean",
        description="What a box becomes, from its known values in physical units. sum: their mean times its pixels.",
    )

    def shape(self, frame: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the spatial axes of a coarse frame, None where that of the file is not known."""
        factors = self.factors(len(frame))
        return tuple(size and size // factor for size, factor in zip(frame, factors, strict=True))

    def factors(self, axes: int) -> tuple[int, ...]:
        """Return the factor of each spatial axis."""
        return self.factor * axes if len(self.factor) == 1 else self.factor

    def check(self, space: tuple[str, ...]) -> None:
        """Refuse factors that are not one for each spatial axis.

        Raises:
            ValidationError: located at the key.
        """
        if not space:
            raise fault(("coarsen",), "the layout has no spatial axes to coarsen")
        if len(self.factor) not in (1, len(space)):
            message = f"expected one number, or one for each of {' '.join(space)}, got {len(self.factor)} numbers"
            raise fault(("coarsen",), message)


class _FactorOrSection(Value):
    """A factor, one for each axis, or a factor and a method."""

    words = "a positive whole number, a list with one per spatial axis, or {factor, method}"

    def read(self, value: Any, expected: str = "") -> CoarsenSection:
        if isinstance(value, CoarsenSection):
            return value
        if not isinstance(value, dict):
            value = {"factor": _FACTORS.read(value, expected or self.words)}
        return CoarsenSection.model_validate(value)

    def schema(self) -> dict[str, Any]:
        return {"anyOf": [_FACTORS.schema(), CoarsenSection.model_json_schema()]}


Coarsen: TypeAlias = Annotated[CoarsenSection, _FactorOrSection()]
