"""Fixed numbers: a mask, a static map or a table of positions, written in the spec or read from a file."""

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from math import prod
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any, Self, TypeAlias

from pydantic import Field, PrivateAttr, model_validator

from specbuild.catalog.base import Layer
from specbuild.catalog.list_values import ListOf
from specbuild.catalog.receptive_field import ReceptiveField, no_input
from specbuild.catalog.shapes import Dim, Shape, ShapeError, Weight, show
from specbuild.catalog.values import Real, Text, Value, Whole, refuse, written
from specbuild.document.suggest import did_you_mean

if TYPE_CHECKING:
    import numpy as np

LARGEST_CONSTANT = 100_000_000
"""Numbers of a constant, at most: 400 MB."""
LARGEST_HEADER = 20_000
"""Bytes that are read of an array to learn its shape: a header may declare a wrong length."""
SUFFIXES = (".npy", ".npz")


class _Numbers(Value):
    """A number, or lists of numbers, nested to any depth, that make an array; stored as tuples."""

    words = "a number, or nested lists of numbers"

    def read(self, value: Any, expected: str = "") -> Any:
        if not isinstance(value, list | tuple):
            return Real().read(value, expected or self.words)
        items = tuple(self.read(item, expected) for item in value)
        if not items:
            refuse("value", f"expected {self.words}, got an empty list")
        shapes = [nested_shape(item) for item in items]
        for number, shape in enumerate(shapes[1:], start=2):
            if shape != shapes[0]:
                refuse(
                    "value",
                    f"the lists are of unequal length: item 1 is {_words(shapes[0])}, item {number} is {_words(shape)}",
                )
        return items

    def schema(self) -> dict[str, Any]:
        return {"anyOf": [{"type": "number"}, {"type": "array", "minItems": 1}]}


class _ArrayPath(Text):
    def read(self, value: Any, expected: str = "") -> str:
        path = super().read(value, expected)
        if not path.endswith(SUFFIXES):
            raise self.mismatch(value, expected)
        return path


Numbers: TypeAlias = Annotated[float | tuple[Any, ...], _Numbers()]
ArrayPath: TypeAlias = Annotated[str, _ArrayPath("the path of a .npy or .npz file")]
ArrayName: TypeAlias = Annotated[str, Text("the name of an array")]
Lengths: TypeAlias = Annotated[
    tuple[int, ...], ListOf(Whole(1), "a list of positive whole numbers, one for each axis but the batch axis", 1)
]


class Constant(Layer):
    """The same fixed numbers for every sample, which training does not change: a mask, a static map, positions.

    Of its input only the number of samples is read. The numbers are kept among the weights of the model.
    """

    value: Numbers | None = Field(None, description="The numbers: one, or nested lists.")
    path: ArrayPath | None = Field(
        None, description="A .npy or .npz file with the numbers, relative to the spec's folder."
    )
    key: ArrayName | None = Field(None, description="Name of the array in an .npz file; needed if it has several.")
    shape: Lengths | None = Field(
        None,
        description="Shape to which the numbers are broadcast, without the batch axis. Default: theirs; [1] for one.",
    )

    package = "specbuild"

    _file_shape: tuple[int, ...] | None = PrivateAttr(None)

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.value is None) == (self.path is None):
            refuse("value", "Constant needs either value, the numbers, or path, a file that has them")
        if self.key is not None and self.path is None:
            refuse("key", "Constant reads a key from a file, so it needs path")
        return self

    def with_file(self, file: Path) -> Self:
        """Return the same constant with the shape of its numbers read from `file`.

        Raises:
            ShapeError: the file has no such array, or none of numbers, or too many.
        """
        copy = self.model_copy(update={"path": str(file)})
        copy._file_shape = array_shape(file, self.key)
        return copy

    @property
    def own_shape(self) -> tuple[int, ...]:
        """The shape of the numbers as they are given."""
        if self.path is None:
            return nested_shape(self.value)
        if self._file_shape is None:
            raise ShapeError(f"{self.label} has not read {self.path}", argument="path")
        return self._file_shape

    def check(self, *inputs: Shape) -> None:
        """Also refuse a shape to which the numbers cannot be repeated."""
        super().check(*inputs)
        own, shape = self.own_shape, self.shape
        if shape is not None and not _repeats(own, shape):
            message = f"{self.label} cannot repeat its numbers to {show(shape)}"
            help = "counted from the last axis, each length must be the same, or 1"
            raise ShapeError(message, reason=f"they are {_words(own)}", argument="shape", help=help)

    def output_shape(self, *inputs: Shape) -> Shape:  # noqa: ARG002 - whatever the input
        return self.shape if self.shape is not None else self.own_shape or (1,)

    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        shape = tuple(length or 1 for length in self.output_shape(*inputs))
        return (Weight("numbers", shape, trainable=False),)

    def saved_elements(self, *inputs: Shape) -> Dim:  # noqa: ARG002 - whatever the input
        return 0

    def receptive_field(self, *inputs: Shape) -> tuple[ReceptiveField, ...]:
        return (no_input(inputs[0]),)

    def arguments(self) -> dict[str, Any]:
        """Return the arguments for Keras, with the numbers of a file in place of its path.

        Raises:
            ShapeError: the file cannot be read any more, or has NaN or infinity.
        """
        given = {name: value for name, value in super().arguments().items() if name not in ("path", "key")}
        return given if self.path is None else {**given, "value": read_array(Path(self.path), self.key)}


def nested_shape(value: Any) -> tuple[int, ...]:
    """Return the shape of nested tuples of equal length; that of a number is ()."""
    shape = []
    while isinstance(value, tuple):
        shape.append(len(value))
        value = value[0]
    return tuple(shape)


def array_shape(file: Path, key: str | None) -> tuple[int, ...]:
    """Return the shape of an array in a file, of which only the header is read.

    Raises:
        ShapeError: there is no such array, or none of numbers, or it is too large.
    """
    from numpy.lib import format as npy

    with _opened(file, key) as stream:
        start = BytesIO(stream.read(LARGEST_HEADER))
        version = npy.read_magic(start)
        header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, _, dtype = header(start)
    if dtype.kind not in "biuf":
        raise ShapeError(f"{file.name} has no numbers", reason=f"its type is {dtype}", argument="path")
    if prod(shape) > LARGEST_CONSTANT:
        reason = f"a constant has at most {LARGEST_CONSTANT:,}"
        raise ShapeError(f"{file.name} has {prod(shape):,} numbers", reason=reason, argument="path")
    if not prod(shape):
        raise ShapeError(f"{file.name} has no numbers", reason=f"its shape is {written(list(shape))}", argument="path")
    return tuple(shape)


def read_array(file: Path, key: str | None) -> "np.ndarray[Any, Any]":
    """Return an array of a file in float32.

    Raises:
        ShapeError: it cannot be read, or has NaN or infinity.
    """
    import numpy as np

    with _opened(file, key) as stream:
        numbers: np.ndarray[Any, Any] = np.lib.format.read_array(stream, allow_pickle=False).astype("float32")
    if not np.isfinite(numbers).all():
        reason = "every output that depends on it would be NaN"
        raise ShapeError(f"{file.name} has NaN or infinity", reason=reason, argument="path")
    return numbers


@contextmanager
def _opened(file: Path, key: str | None) -> Iterator[IO[bytes]]:
    """Open the array of a file: the whole of an .npy file, a member of an .npz file."""
    try:
        if file.exists() and not file.is_file():
            raise ShapeError(f"{file.name} is not a regular file", argument="path")
        if file.suffix == ".npy":
            if key is not None:
                message = f"{file.name} is one array, which has no name"
                raise ShapeError(message, argument="key", help="leave key out")
            with file.open("rb") as stream:
                yield stream
            return
        with zipfile.ZipFile(file) as archive, archive.open(f"{_member(archive, file, key)}.npy") as stream:
            yield stream
    except ShapeError:
        raise
    except Exception as fault:  # NumPy and zipfile raise many types
        raise ShapeError(f"{file.name} cannot be read as an array", reason=str(fault), argument="path") from None


def _member(archive: zipfile.ZipFile, file: Path, key: str | None) -> str:
    names = [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]
    if key is None and len(names) == 1:
        return names[0]
    if not names:
        raise ShapeError(f"{file.name} has no array", argument="path")
    if key is None:
        message, help = f"{file.name} has {len(names)} arrays", f"write key: {names[0]}, or another of {_some(names)}"
        raise ShapeError(message, argument="path", help=help)
    if key not in names:
        help = did_you_mean(key, names) or f"it has {_some(names)}"
        raise ShapeError(f'{file.name} has no array "{key}"', argument="key", help=help)
    return key


def _some(names: list[str]) -> str:
    return ", ".join(names[:8]) + (", …" if len(names) > 8 else "")


def _repeats(own: tuple[int, ...], shape: tuple[int, ...]) -> bool:
    """Whether NumPy broadcasts an array to a shape."""
    pairs = zip(reversed(own), reversed(shape), strict=False)
    return len(own) <= len(shape) and all(length in (1, target) for length, target in pairs)


def _words(shape: tuple[int, ...]) -> str:
    return show(shape) if shape else "one number"
