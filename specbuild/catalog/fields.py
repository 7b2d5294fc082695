"""Types of the arguments that layers take.

A field that Keras reads as "one number, or one per axis" is stored as a tuple with one entry per axis. What a user
reads when a value does not fit is in `specbuild.catalog.checks`.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import PlainValidator, WithJsonSchema

from specbuild.catalog import checks
from specbuild.catalog.checks import LARGEST


def _ints_schema(count: int, minimum: int) -> dict[str, Any]:
    one = {"type": "integer", "minimum": minimum, "maximum": LARGEST}
    return {"anyOf": [one, {"type": "array", "items": one, "minItems": count, "maxItems": count}]}


def _margins_schema(count: int) -> dict[str, Any]:
    one = {"type": "integer", "minimum": 0, "maximum": LARGEST}
    pair = {"type": "array", "items": one, "minItems": 2, "maxItems": 2}
    return {"anyOf": [one, {"type": "array", "items": {"anyOf": [one, pair]}, "minItems": count, "maxItems": count}]}


POLICIES = ("float16", "bfloat16", "float32", "float64", "mixed_float16", "mixed_bfloat16")

_AXIS_LIST = {"type": "array", "items": {"type": "integer"}}

Flag: TypeAlias = Annotated[bool, PlainValidator(checks.flag), WithJsonSchema({"type": "boolean"})]
"""true or false."""
PositiveInt: TypeAlias = Annotated[
    int,
    PlainValidator(checks.whole_field("a positive whole number", 1)),
    WithJsonSchema({"type": "integer", "minimum": 1, "maximum": LARGEST}),
]
NonNegativeInt: TypeAlias = Annotated[
    int,
    PlainValidator(checks.whole_field("a whole number of at least 0", 0)),
    WithJsonSchema({"type": "integer", "minimum": 0, "maximum": LARGEST}),
]
Number: TypeAlias = Annotated[
    float, PlainValidator(checks.number_field("a number", math.isfinite)), WithJsonSchema({"type": "number"})
]
PositiveNumber: TypeAlias = Annotated[
    float,
    PlainValidator(checks.number_field("a number above 0", lambda x: x > 0)),
    WithJsonSchema({"type": "number", "exclusiveMinimum": 0}),
]
NonNegativeNumber: TypeAlias = Annotated[
    float,
    PlainValidator(checks.number_field("a number of at least 0", lambda x: x >= 0)),
    WithJsonSchema({"type": "number", "minimum": 0}),
]
Fraction: TypeAlias = Annotated[
    float,
    PlainValidator(checks.number_field("a fraction from 0 to below 1", lambda x: 0 <= x < 1)),
    WithJsonSchema({"type": "number", "minimum": 0, "exclusiveMaximum": 1}),
]
"""0 ≤ x < 1: a dropout rate."""
Share: TypeAlias = Annotated[
    float,
    PlainValidator(checks.number_field("a number from 0 to 1", lambda x: 0 <= x <= 1)),
    WithJsonSchema({"type": "number", "minimum": 0, "maximum": 1}),
]
"""0 ≤ x ≤ 1: a momentum, a probability."""

Policy: TypeAlias = Annotated[
    str,
    PlainValidator(checks.word_field(*POLICIES)),
    WithJsonSchema({"enum": list(POLICIES)}),
]
"""The numbers that a layer computes with and keeps its weights in, under Keras's name."""

Padding: TypeAlias = Annotated[
    Literal["valid", "same"],
    PlainValidator(checks.word_field("valid", "same")),
    WithJsonSchema({"enum": ["valid", "same"]}),
]
CausalPadding: TypeAlias = Annotated[
    Literal["valid", "same", "causal"],
    PlainValidator(checks.word_field("valid", "same", "causal")),
    WithJsonSchema({"enum": ["valid", "same", "causal"]}),
]
"""`Padding` of Conv1D, which can also pad the past alone."""
DataFormat: TypeAlias = (
    Annotated[
        Literal["channels_last", "channels_first"],
        PlainValidator(checks.word_field("channels_last", "channels_first")),
        WithJsonSchema({"enum": ["channels_last", "channels_first"]}),
    ]
    | None
)
"""Where the channel axis stands; None is channels_last."""
Interpolation: TypeAlias = Annotated[
    Literal["nearest", "bilinear", "bicubic", "lanczos3", "lanczos5"],
    PlainValidator(checks.word_field("nearest", "bilinear", "bicubic", "lanczos3", "lanczos5")),
    WithJsonSchema({"enum": ["nearest", "bilinear", "bicubic", "lanczos3", "lanczos5"]}),
]

Ints1: TypeAlias = Annotated[tuple[int], PlainValidator(checks.ints_field(1, 1)), WithJsonSchema(_ints_schema(1, 1))]
Ints2: TypeAlias = Annotated[
    tuple[int, int], PlainValidator(checks.ints_field(2, 1)), WithJsonSchema(_ints_schema(2, 1))
]
Ints3: TypeAlias = Annotated[
    tuple[int, int, int], PlainValidator(checks.ints_field(3, 1)), WithJsonSchema(_ints_schema(3, 1))
]
"""One positive whole number, or one per axis; stored as one per axis."""
NonNegativeInts1: TypeAlias = Annotated[
    tuple[int], PlainValidator(checks.ints_field(1, 0)), WithJsonSchema(_ints_schema(1, 0))
]
NonNegativeInts2: TypeAlias = Annotated[
    tuple[int, int], PlainValidator(checks.ints_field(2, 0)), WithJsonSchema(_ints_schema(2, 0))
]
NonNegativeInts3: TypeAlias = Annotated[
    tuple[int, int, int], PlainValidator(checks.ints_field(3, 0)), WithJsonSchema(_ints_schema(3, 0))
]

Margins1: TypeAlias = Annotated[tuple[int, int], PlainValidator(checks.margin), WithJsonSchema(_ints_schema(2, 0))]
"""What is padded or cropped [before, after] the one spatial axis; one number stands for both."""
Margins2: TypeAlias = Annotated[
    tuple[tuple[int, int], ...], PlainValidator(checks.margins_field(2)), WithJsonSchema(_margins_schema(2))
]
Margins3: TypeAlias = Annotated[
    tuple[tuple[int, int], ...], PlainValidator(checks.margins_field(3)), WithJsonSchema(_margins_schema(3))
]
"""[before, after] per spatial axis; one number stands for both sides, or for every axis."""

TargetShape: TypeAlias = Annotated[
    tuple[int, ...],
    PlainValidator(checks.target_shape),
    WithJsonSchema({"type": "array", "items": {"type": "integer", "minimum": -1}}),
]
"""A shape without the batch axis; at most one entry is -1, "what is left"."""
Permutation: TypeAlias = Annotated[
    tuple[int, ...],
    PlainValidator(checks.permutation),
    WithJsonSchema({"type": "array", "items": {"type": "integer", "minimum": 1}, "minItems": 1}),
]
"""The axes 1 … n (the batch axis is 0 and stays) in a new order."""
Axis: TypeAlias = Annotated[int, PlainValidator(checks.axis), WithJsonSchema({"type": "integer"})]
"""One axis as Keras counts them: the batch axis is 0, -1 the last."""
Axes: TypeAlias = Annotated[
    int | tuple[int, ...],
    PlainValidator(checks.axes),
    WithJsonSchema({"anyOf": [{"type": "integer"}, {**_AXIS_LIST, "minItems": 1}]}),
]
"""One axis, or a list of them."""
AxisPair: TypeAlias = Annotated[
    int | tuple[int, int],
    PlainValidator(checks.axis_pair),
    WithJsonSchema({"anyOf": [{"type": "integer"}, {**_AXIS_LIST, "minItems": 2, "maxItems": 2}]}),
]
"""One axis for both inputs, or one for each."""
