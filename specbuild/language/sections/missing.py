"""Raw values that mark missing data."""

import math
from typing import Annotated, Any, TypeAlias

from specbuild.catalog.list_values import Several
from specbuild.catalog.values import Real, refuse


class _Missing(Several):
    """Numbers, NaN left out; null is none."""

    def read(self, value: Any, expected: str = "") -> tuple[float, ...]:
        numbers = value if isinstance(value, list | tuple) else () if value is None else (value,)
        if any(isinstance(number, str) and number.lower() == "nan" for number in numbers):
            refuse("missing", "NaN always marks missing data; leave missing out, or list other values only")
        if any(isinstance(number, bool) or not isinstance(number, int | float) for number in numbers):
            raise self.mismatch(value, expected)
        return tuple(number for number in numbers if not math.isnan(number))

    def schema(self) -> dict[str, Any]:
        return {"anyOf": [super().schema(), {"type": "null"}]}


Missing: TypeAlias = Annotated[tuple[float, ...], _Missing(Real(), "a number or a list of numbers")]
