"""An entry of `inputs`: the shape and the type of what the model reads."""

from typing import Annotated, Literal

from pydantic import Field

from specbuild.catalog.values import PositiveInt, Whole
from specbuild.language.sections.base import Section

Dtype = Literal[
    "float32", "float64", "float16", "bfloat16", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "bool"
]
Length = Annotated[int, Whole(1, words="a positive whole number or null")] | None


class InputSection(Section):
    """One input of the model. `shape` leaves out the batch axis; null is an axis of any length."""

    shape: tuple[Length, ...] = Field(
        strict=False, description="Length of each axis without the batch; null for any length."
    )
    dtype: Dtype = Field("float32", description="Type of the numbers.")
    batch: PositiveInt | None = Field(None, description="A fixed batch size, which stateful layers need.")
