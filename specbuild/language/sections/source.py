"""The source of `data`: which files hold the frames, which of their arrays, and what the axes are."""

from collections.abc import Callable
from pathlib import PurePath
from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    SerializeAsAny,
    ValidationError,
    WithJsonSchema,
    model_validator,
)
from pydantic.json_schema import SkipJsonSchema
from pydantic_core import InitErrorDetails, PydanticCustomError

from specbuild.catalog.values import LARGEST, Whole, refuse, written
from specbuild.language.dates import Dates, dates
from specbuild.language.sections.generator import GENERATORS, GeneratorSection, generator

LETTERS = {
    "T": "time",
    "N": "event",
    "D": "depth",
    "H": "height",
    "W": "width",
    "L": "length",
    "C": "channel",
}
"""The axes that a layout can name. Space is nothing, L, H W or D H W."""
SPACES: tuple[tuple[str, ...], ...] = ((), ("L",), ("H", "W"), ("D", "H", "W"))
GRIDS = (".nc", ".nc4", ".cdf", ".zarr")
"""Suffixes of files whose dimensions have names, so that a layout can be proposed once the file is open."""
MOST = 1000
"""Variables, dimensions and levels that can be named."""


def _layout(value: Any) -> str | dict[str, str] | None:
    if value is None:
        return None
    if isinstance(value, dict):
        _check_letters(list(value), written(value))
        for letter, name in value.items():
            if not isinstance(name, str) or not name:
                refuse("layout", f"{letter} ({LETTERS[letter]}) needs the name of a dimension, got {written(name)}")
        names = list(value.values())
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            refuse("layout", f"the dimension {written(twice)} is named twice in {written(value)}")
        return dict(value)
    if not isinstance(value, str) or not value.split():
        refuse(
            "layout",
            f"expected the axes by letter, such as T H W, or {{T: time, H: lat, W: lon}}, got {written(value)}",
        )
    letters = value.split()
    _check_letters(letters, written(value))
    return " ".join(letters)


def _check_letters(letters: list[Any], shown: str) -> None:
    for letter in letters:
        if letter not in LETTERS:
            known = ", ".join(f"{letter} ({axis})" for letter, axis in LETTERS.items())
            letters_of_it = isinstance(letter, str) and letter and set(letter) <= set(LETTERS)
            hint = f"write {' '.join(letter)}" if letters_of_it else f"known are {known}"
            refuse("layout", f"{written(letter)} is no axis; {hint}")
        if letters.count(letter) > 1:
            refuse("layout", f"{letter} ({LETTERS[letter]}) is named twice in {shown}")
    if "T" not in letters:
        refuse("layout", f"{shown} has no T (time), which every source needs")
    space = {letter for letter in letters if letter not in "TNC"}
    if space not in [set(known) for known in SPACES]:
        refuse("layout", f"the space of {shown} is {' '.join(sorted(space))}; it can be L, H W or D H W")


def _variables(value: Any) -> tuple[str, ...] | None:
    if value is None:
        return None
    if not isinstance(value, list | tuple) or not value or not all(isinstance(one, str) and one for one in value):
        refuse("variables", f"expected a list of names such as [t2m, u10], got {written(value)}")
    if len(value) > MOST:
        refuse("variables", f"expected at most {MOST} variables, got {len(value):,}")
    twice = next((one for one in value if list(value).count(one) > 1), None)
    if twice is not None:
        refuse("variables", f"{written(twice)} is named twice")
    return tuple(value)


def _time(value: Any) -> str | Dates | None:
    if value is None or (isinstance(value, str) and value):
        return value
    if not isinstance(value, list | tuple) or len(value) != 2:
        refuse("time", f"expected the name of an array, or dates such as [2010-01, 2017-12], got {written(value)}")
    return dates(value, "time")


def _select(value: Any) -> dict[str, int | float | str]:
    _check_names(value, "select", "{level: 850}")
    for name, one in value.items():
        if isinstance(one, bool) or not isinstance(one, int | float | str):
            refuse("select", f"expected one value of {name}, such as {name}: 850, got {written(one)}")
    return dict(value)


def _region(value: Any) -> dict[str, tuple[float, float]]:
    _check_names(value, "region", "{lat: [50, 60], lon: [-10, 2]}")
    for name, ends in value.items():
        numbers = isinstance(ends, list | tuple) and [x for x in ends if isinstance(x, int | float) and x is not True]
        if not numbers or len(numbers) != 2 or len(ends) != 2:
            refuse("region", f"expected two ends of {name}, such as {name}: [50, 60], got {written(ends)}")
    return {name: (float(ends[0]), float(ends[1])) for name, ends in value.items()}


def _check_names(value: Any, key: str, example: str) -> None:
    if not isinstance(value, dict) or not all(isinstance(name, str) for name in value):
        refuse(key, f"expected dimensions by name, such as {example}, got {written(value)}")
    if len(value) > MOST:
        refuse(key, f"expected at most {MOST} dimensions, got {len(value):,}")


def _frame_size(value: Any) -> tuple[int, int] | None:
    expected = "a positive whole number or a list [height, width]"
    if value is None:
        return None
    if isinstance(value, list | tuple) and len(value) == 2:
        return Whole(1).read(value[0], expected), Whole(1).read(value[1], expected)
    side = Whole(1).read(value, expected)
    return side, side


_TEXT: dict[str, Any] = {"type": "string"}
_NAMES: dict[str, Any] = {"type": "array", "items": _TEXT, "minItems": 1, "maxItems": MOST}
_LAYOUT: dict[str, Any] = {
    "anyOf": [
        {"type": "string", "examples": ["T H W"]},
        {"type": "object", "properties": dict.fromkeys(LETTERS, _TEXT), "additionalProperties": False},
        {"type": "null"},
    ]
}
_PAIR: dict[str, Any] = {"type": "array", "minItems": 2, "maxItems": 2}
_TIME: dict[str, Any] = {"anyOf": [_TEXT, {**_PAIR, "items": {"type": ["string", "integer"]}}, {"type": "null"}]}
_SELECT: dict[str, Any] = {"type": "object", "additionalProperties": {"type": ["number", "string"]}}
_REGION: dict[str, Any] = {"type": "object", "additionalProperties": {**_PAIR, "items": {"type": "number"}}}

_SIZE = {"type": "integer", "minimum": 1, "maximum": LARGEST}
_FRAME_SIZE = {"anyOf": [_SIZE, {"type": "array", "items": _SIZE, "minItems": 2, "maxItems": 2}, {"type": "null"}]}

Layout: TypeAlias = Annotated[str | dict[str, str] | None, PlainValidator(_layout), WithJsonSchema(_LAYOUT)]
Variables: TypeAlias = Annotated[
    tuple[str, ...] | None, PlainValidator(_variables), WithJsonSchema({"anyOf": [_NAMES, {"type": "null"}]})
]
TimeOf: TypeAlias = Annotated[str | Dates | None, PlainValidator(_time), WithJsonSchema(_TIME)]
Select: TypeAlias = Annotated[dict[str, int | float | str], PlainValidator(_select), WithJsonSchema(_SELECT)]
Bounds: TypeAlias = Annotated[dict[str, tuple[float, float]], PlainValidator(_region), WithJsonSchema(_REGION)]
FrameSize: TypeAlias = Annotated[tuple[int, int] | None, PlainValidator(_frame_size), WithJsonSchema(_FRAME_SIZE)]


class SourceSection(BaseModel):
    """The files with the frames, and the part of them that is meant."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)

    path: str = Field(
        description="The file, relative to the spec's folder; its suffix tells the format. With * or ? all files whose "
        "names fit the pattern."
    )
    key: str | None = Field(None, description="Name of the array in a file that holds several.")
    variables: Variables = Field(None, description="Names of several arrays instead of key: they become the channels.")
    layout: Layout = Field(
        None,
        description="The array's axes in order, by letter: T N D H W L C; or the name of each one's dimension, such as "
        "{T: time, H: lat, W: lon}.",
    )
    by: Literal["time", "file"] = Field(
        "time", description="Several files are one record, joined in time; with file, each is an event of its own."
    )
    time: TimeOf = Field(
        None,
        description="Name of the array with each frame's time, where the file does not tell: no window then spans a "
        "gap. Or the dates from which to which frames are read, both included.",
    )
    select: Select = Field({}, description="One value of each dimension that is no axis, such as {level: 850}.")
    region: Bounds = Field(
        {}, description="From where to where frames are read, by coordinate, such as {lat: [50, 60], lon: [-10, 2]}."
    )
    color: Literal["gray", "rgb"] | None = Field(
        None,
        description="gray or rgb, for images and videos. Default: as the files are, and grey without C in the layout.",
    )
    size: FrameSize = Field(
        None, description="Height and width to which every image or video frame is resized; one number: both."
    )

    generator: SkipJsonSchema[SerializeAsAny[GeneratorSection] | None] = Field(
        None, description="What is drawn instead of read: moving_digits or moving_shapes, with its settings beside it."
    )

    @model_validator(mode="before")
    @classmethod
    def _drawn(cls, value: Any) -> Any:
        """`{generator: moving_digits, size: 64, …}`: all keys are settings of the generator."""
        if not isinstance(value, dict) or "generator" not in value:
            return value
        section = generator(value)
        return {"generator": section, "path": section.generator, "layout": section.layout}

    @property
    def axes(self) -> tuple[str, ...]:
        """The letters of the layout, in its order; none where it is left out."""
        return tuple(self.layout.split() if isinstance(self.layout, str) else self.layout or ())

    @property
    def space(self) -> tuple[str, ...]:
        """The axes of space in the order that models read them."""
        return next(known for known in SPACES if set(known) == set(self.axes) - set("TNC"))

    @property
    def has_events(self) -> bool:
        """Whether there are events to split by."""
        return "N" in self.axes or self.by == "file"

    @property
    def channels(self) -> int | None:
        """Channels of a frame, None where only the file can tell."""
        if self.variables is not None:
            return len(self.variables)
        if self.color is not None:
            return 1 if self.color == "gray" else 3
        return None if "C" in self.axes or not self.axes else 1

    @property
    def files(self) -> tuple[str, ...]:
        """The paths that it reads, as written."""
        return (self.path,) if self.generator is None else self.generator.files

    def with_paths(self, located: Callable[[str], str]) -> BaseModel:
        """What a spec writes as source, with its paths changed by `located`."""
        if self.generator is not None:
            return self.generator.with_paths(located)
        return self.model_copy(update={"path": located(self.path)})

    @property
    def frame(self) -> tuple[int | None, ...]:
        """The axes of space of a frame, in the order of `space`, None where only the file can tell."""
        if self.generator is not None:
            return (self.generator.size, self.generator.size)
        return self.size if self.size is not None and self.space == ("H", "W") else (None,) * len(self.space)

    @property
    def label(self) -> str:
        """What messages call the source before it is open."""
        return PurePath(self.path).name

    @property
    def dates(self) -> Dates | None:
        """The dates from which to which frames are read."""
        return self.time if isinstance(self.time, tuple) else None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.layout is None and PurePath(self.path).suffix.lower() not in GRIDS:
            raise fault("source", (), "source needs layout: the array's axes by letter, such as T H W")
        if self.key is not None and self.variables is not None:
            raise fault("source", ("variables",), "key names one array, variables several: keep one of the two")
        if self.variables is not None and "C" in self.axes:
            raise fault("source", ("layout",), "variables become the channels, so the layout names no C")
        for name in self.select:
            if name in self.region:
                raise fault("source", ("region", name), f"{name} is in select already, which takes one value of it")
        if self.by == "file" and "N" in self.axes:
            raise fault("source", ("by",), "with N in the layout the events of all files are read; leave out by: file")
        return self


class _FilesOrGenerator:
    """The JSON Schema of a source: of files, or of one generator with its settings."""

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> dict[str, Any]:
        generators = [one.model_json_schema() for one in GENERATORS.values()]
        required = [{**one, "required": ["generator"]} for one in generators]
        return {"anyOf": [handler(schema), *required]}


Source: TypeAlias = Annotated[SourceSection, _FilesOrGenerator()]


def fault(model: str, place: tuple[str, ...], message: str) -> ValidationError:
    """The error at a place below the model that finds it."""
    error = PydanticCustomError("specbuild.data", "{message}", {"message": message})
    return ValidationError.from_exception_data(model, [InitErrorDetails(type=error, loc=place, input=None)])
