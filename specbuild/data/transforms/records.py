"""The records of a fitted transform, as JSON holds them, where they are not the fields of a step."""

import base64
import binascii
import json
import math
import zlib
from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from specbuild.language.validation import first_problem

Result = TypeVar("Result")

STRICT = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False, arbitrary_types_allowed=True)
"""How every record is read: it may have been edited, or damaged."""


class TransformState(BaseModel):
    """A transform: its steps with their statistics, and what a missing value becomes in each channel."""

    model_config = STRICT

    steps: list[dict[str, Any]]
    fill: list[float]
    inputs: dict[str, dict[str, Any]] = {}
    """The transforms of other inputs, by name; none of a transform that is not that of the record."""


class OnlyState(BaseModel):
    """A step for some channels."""

    model_config = STRICT

    channels: list[Annotated[int, Field(ge=0, le=10**6)]]
    step: dict[str, Any]


class ClockState(BaseModel):
    """What counts slots of time."""

    model_config = STRICT

    start: str | None
    step: Annotated[float, Field(gt=0)] | None


class AnomalyState(BaseModel):
    """The means of an anomaly, float32, compressed."""

    model_config = STRICT

    shape: Annotated[list[Annotated[int, Field(ge=1, le=2**40)]], Field(min_length=2, max_length=5)]
    means: str
    clock: ClockState

    @classmethod
    def pack(cls, means: npt.NDArray[np.float32], clock: Mapping[str, Any]) -> "AnomalyState":
        """Return the record of means, of any shape."""
        packed = base64.b64encode(zlib.compress(means.astype("<f4").tobytes())).decode()
        return cls(shape=list(means.shape), means=packed, clock=ClockState(**clock))

    def unpack(self) -> npt.NDArray[np.float32]:
        """Return the means.

        Raises:
            ValueError: they are damaged.
        """
        size = 4 * math.prod(self.shape)
        if size >= 2**48:
            raise ValueError("shape: no frames have so many numbers")
        try:
            # No more is unpacked than the shape allows, whatever the compressed bytes claim.
            content = zlib.decompressobj().decompress(base64.b64decode(self.means, validate=True), size + 1)
        except (zlib.error, binascii.Error) as error:
            raise ValueError(f"means: {error}") from error
        if len(content) != size:
            raise ValueError("means: they do not have the shape that is written")
        return np.frombuffer(content, "<f4").reshape(self.shape).astype(np.float32)


def read_record(cls: type[Result], state: Any) -> Result:
    """Return the record of class `cls` that a mapping from JSON holds.

    Raises:
        ValueError: it holds none; the message names the key.
    """
    try:
        return TypeAdapter(cls).validate_json(json.dumps(state))
    except ValidationError as error:
        raise ValueError(first_problem(error)) from error
