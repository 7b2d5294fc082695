"""`frames.json`: what a run keeps of the frames that it was trained on, to tell whether others are like them."""

import base64
import binascii
import math
import zlib
from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
from pydantic import Field, ValidationError

from specbuild.data import Dataset
from specbuild.data.samples.coverage import Coverage
from specbuild.data.time.calendars import is_ours
from specbuild.language.validation import first_problem
from specbuild.runs.records import Count, Record, Text

MOST = 100_000
"""Longest axis whose coordinates are kept."""


class Axis(Record):
    """The coordinate of a spatial axis."""

    name: Text
    units: Text
    values: Annotated[list[float], Field(min_length=1, max_length=MOST)]


class KnownPixels(Record):
    """The pixels that some training frame knows: one bit each, compressed."""

    shape: Annotated[list[Count], Field(min_length=1, max_length=4)]
    bits: Annotated[str, Field(max_length=2**30)]

    @classmethod
    def pack(cls, coverage: Coverage) -> "KnownPixels":
        """Return the record of a coverage."""
        bits = base64.b64encode(zlib.compress(np.packbits(coverage.known).tobytes())).decode()
        return cls(shape=list(coverage.known.shape), bits=bits)

    def unpack(self) -> Coverage:
        """Return the coverage.

        Raises:
            ValueError: it is damaged.
        """
        count = math.prod(self.shape)
        if count >= 2**40:
            raise ValueError("coverage.shape: no frame has so many pixels")
        try:
            # No more is unpacked than the shape allows, whatever the compressed bytes claim.
            size = (count + 7) // 8
            content = zlib.decompressobj().decompress(base64.b64decode(self.bits, validate=True), size + 1)
        except (zlib.error, binascii.Error) as error:
            raise ValueError(f"coverage.bits: {error}") from error
        if len(content) != size:
            raise ValueError("coverage.bits: they do not have the shape that is written")
        known: npt.NDArray[np.bool_] = np.unpackbits(np.frombuffer(content, np.uint8), count=count).astype(bool)
        return Coverage(known.reshape(self.shape))


class TrainingFrames(Record):
    """The frames of a training. What a run does not know, as one of an earlier version, is compared with nothing."""

    interval: Text | None = None
    """The time from one to the next, such as `2 min`."""
    calendar: Text | None = None
    """The calendar that their times are counted in, where it is not the ordinary one."""
    space: dict[Text, Axis] = Field(default_factory=dict)
    """The coordinates of the spatial axes, by letter of the layout."""
    coverage: KnownPixels | None = None

    @classmethod
    def of(cls, dataset: Dataset) -> "TrainingFrames":
        """Return the record of a data set, whose training frames are read as far as the coverage needs them."""
        metadata = dataset.source.metadata
        axes = {letter: metadata.coordinates[letter] for letter in metadata.space if letter in metadata.coordinates}
        return cls(
            interval=dataset.section.interval,
            calendar=None if is_ours(metadata.calendar) else metadata.calendar,
            space={
                letter: Axis(name=axis.name, units=axis.units, values=np.asarray(axis.values, np.float64).tolist())
                for letter, axis in axes.items()
                if axis.values is not None and axis.values.dtype.kind in "iuf" and axis.values.size <= MOST
            },
            coverage=KnownPixels.pack(
                Coverage.of(dataset.source, dataset.split("train").stretches, dataset.section.statistics)
            ),
        )

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> "TrainingFrames":
        """Return the record that a mapping from JSON holds.

        Raises:
            ValueError: it holds none; the message names the key.
        """
        try:
            frames = cls.model_validate(values)
        except ValidationError as error:
            raise ValueError(first_problem(error)) from error
        if frames.coverage is not None:
            frames.coverage.unpack()
        return frames
