"""The source of `data`: the files with the frames, their arrays and what the axes are."""

import re
from collections.abc import Callable
from pathlib import PurePath
from typing import Annotated, Any, ClassVar, Literal, Self, TypeAlias

from pydantic import BaseModel, BeforeValidator, Field, SerializeAsAny, model_validator
from pydantic.json_schema import SkipJsonSchema

from specbuild.catalog.list_values import ListOf, PerAxis
from specbuild.catalog.sources import PROTOCOLS, format_of, protocol_of, suffixes_of
from specbuild.catalog.values import Choice, Text, Whole, check_length, fault, refuse, written
from specbuild.language.dates import DatePair, Dates, dates
from specbuild.language.sections.base import Section
from specbuild.language.sections.coarsen import Coarsen
from specbuild.language.sections.generator import GENERATORS, GeneratorSection, generator
from specbuild.language.sections.name_time import NameTime

LETTERS = {"T": "time", "N": "event", "D": "depth", "H": "height", "W": "width", "L": "length", "C": "channel"}
"""The axes that a layout can name. Space is nothing, L, H W or D H W."""
SPACES: tuple[tuple[str, ...], ...] = ((), ("L",), ("H", "W"), ("D", "H", "W"))
MOST = 1000
"""Variables, dimensions and levels that can be named."""


def layout_of(value: Any, *, timeless: bool = False) -> str | dict[str, str]:
    """Return a layout as it is kept.

    Args:
        timeless: whether it may have no T, and no N then.
    """
    if isinstance(value, dict):
        _check_letters(list(value), written(value), timeless=timeless)
        for letter, name in value.items():
            if not isinstance(name, str) or not name:
                refuse("layout", f"{letter} ({LETTERS[letter]}) needs the name of a dimension, got {written(name)}")
        names = list(value.values())
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            refuse("layout", f"the dimension {written(twice)} is named twice in {written(value)}")
        return dict(value)
    if not isinstance(value, str) or not value.split():
        message = f"expected the axes by letter, such as T H W, or {{T: time, H: lat, W: lon}}, got {written(value)}"
        refuse("layout", message)
    letters = value.split()
    _check_letters(letters, written(value), timeless=timeless)
    return " ".join(letters)


_NAMED = "; or name the axes of the file, as in {T: time, H: lat, W: lon}"


def _check_letters(letters: list[Any], shown: str, *, timeless: bool) -> None:
    for letter in letters:
        if letter not in LETTERS:
            known = ", ".join(f"{letter} ({axis})" for letter, axis in LETTERS.items())
            letters_of_it = isinstance(letter, str) and letter and set(letter) <= set(LETTERS)
            named = _NAMED if isinstance(letter, str) and len(letter) > 1 else ""
            hint = f"write {' '.join(letter)}" if letters_of_it else f"known are {known}{named}"
            refuse("layout", f"{written(letter)} is not an axis; {hint}")
        if letters.count(letter) > 1:
            refuse("layout", f"{letter} ({LETTERS[letter]}) is named twice in {shown}")
    if "T" not in letters and not (timeless and "N" not in letters):
        refuse("layout", f"{shown} has no T (time), which every source {'of events ' if timeless else ''}needs")
    space = {letter for letter in letters if letter not in "TNC"}
    if space not in [set(known) for known in SPACES]:
        refuse("layout", f"the space of {shown} is {' '.join(sorted(space))}; it can be L, H W or D H W")


def _time(value: Any) -> str | Dates | NameTime | Literal[False]:
    if value is False or (isinstance(value, str) and value) or isinstance(value, NameTime):
        return value
    if isinstance(value, dict):
        return NameTime.model_validate(value)
    if not isinstance(value, list | tuple) or len(value) != 2:
        refuse(
            "time",
            "expected the name of an array, dates such as [2010-01, 2017-12], {from: name, format: …} or false, got "
            + written(value),
        )
    return dates(value)


def _select(value: Any) -> dict[str, int | float | str]:
    _check_names(value, "select", "{level: 850}")
    for name, place in value.items():
        if isinstance(place, bool) or not isinstance(place, int | float | str):
            refuse("select", f"expected one value of {name}, such as {name}: 850, got {written(place)}")
    return dict(value)


def _region(value: Any) -> dict[str, tuple[float, float]]:
    _check_names(value, "region", "{lat: [50, 60], lon: [-10, 2]}")
    for name, ends in value.items():
        numbers = isinstance(ends, list | tuple) and [x for x in ends if isinstance(x, int | float) and x is not True]
        if not numbers or len(numbers) != 2 or len(ends) != 2:
            refuse("region", f"expected two ends of {name}, such as {name}: [50, 60], got {written(ends)}")
    return {name: (float(first), float(last)) for name, (first, last) in value.items()}


_COPIED = "a spec is copied into every run"
SECRET = ("key", "secret", "token", "password", "username")
"""Words in the names of options that hold credentials."""


def _storage(value: Any) -> dict[str, bool | int | float | str]:
    _check_names(value, "storage", "{anon: true}", "options")
    for name, option in value.items():
        if any(word in name.lower() for word in SECRET):
            refuse("storage", f"{name} is a credential; {_COPIED}, so set it in the environment")
        if not isinstance(option, bool | int | float | str):
            refuse("storage", f"expected a number, text, true or false for {name}, got {written(option)}")
    return dict(value)


def _check_names(value: Any, key: str, example: str, noun: str = "dimensions") -> None:
    if not isinstance(value, dict) or not all(isinstance(name, str) for name in value):
        refuse(key, f"expected {noun} by name, such as {example}, got {written(value)}")
    check_length(value, MOST)


Axes: TypeAlias = Annotated[str, Field(examples=["T H W"])] | dict[Annotated[str, Choice(*LETTERS)], str]
AxisLayout: TypeAlias = Annotated[Axes, BeforeValidator(layout_of)] | None
Variables: TypeAlias = (
    Annotated[tuple[str, ...], ListOf(Text(), "a list of names such as [t2m, u10]", 1, limit=MOST, once="a variable")]
    | None
)
TimeOf: TypeAlias = (
    Annotated[str | Annotated[Dates, DatePair()] | NameTime | Literal[False], BeforeValidator(_time)] | None
)
Select: TypeAlias = Annotated[dict[str, int | float | str], BeforeValidator(_select)]
Bounds: TypeAlias = Annotated[dict[str, tuple[float, float]], BeforeValidator(_region)]
Storage: TypeAlias = Annotated[dict[str, bool | int | float | str], BeforeValidator(_storage)]
FrameSize: TypeAlias = (
    Annotated[tuple[int, int], PerAxis(Whole(1), 2, "a positive whole number or a list [height, width]")] | None
)


class SourceSection(Section):
    """The files with the frames, and which part of them to read."""

    elsewhere: ClassVar[dict[str, str]] = dict.fromkeys(("file", "files", "filename", "folder", "url"), "write path")

    path: str = Field(
        description="The file, relative to the spec's folder, or a URL; the format follows from its suffix. With * or "
        "?, all files whose names match the pattern."
    )
    storage: Storage = Field(
        {},
        description="Options of fsspec for the file system of a URL, such as {anon: true}; credentials are in the "
        "environment.",
    )
    key: str | None = Field(None, description="Name of the array, in a file with several.")
    variables: Variables = Field(
        None, description="Names of several arrays, which become the channels; instead of key."
    )
    layout: AxisLayout = Field(
        None,
        description="The array's axes in order, by letter: T N D H W L C; or the dimension of each axis, such as "
        "{T: time, H: lat, W: lon}.",
    )
    by: Literal["time", "file"] = Field(
        "time",
        description="How several files are joined. time: one record, in order of time. file: each file is an event.",
    )
    time: TimeOf = Field(
        None,
        description="Name of the array with the time of each frame, for formats without a time coordinate; windows "
        "then never span a gap. Or the first and the last date to read, both included. {from: name, format: …}: the "
        "time in the name of each file, which holds one frame. false: read no times; frames count as evenly spaced.",
    )
    select: Select = Field(
        {}, description="The value of each dimension that is not in the layout, such as {level: 850}."
    )
    region: Bounds = Field(
        {}, description="Region to read, as ranges of coordinates, such as {lat: [50, 60], lon: [-10, 2]}."
    )
    color: Literal["gray", "rgb"] | None = Field(
        None,
        description="Convert images and videos to gray or rgb. Default: as stored, or gray if the layout has no C.",
    )
    size: FrameSize = Field(
        None, description="Height and width to which every image or video frame is resized; one number for both."
    )
    coarsen: Coarsen | None = Field(
        None,
        description="Pixels of the file that become one along each spatial axis: a number, one per axis, or {factor, "
        "method}.",
    )

    generator: SkipJsonSchema[SerializeAsAny[GeneratorSection] | None] = Field(
        None,
        description="Draw sequences instead of reading a file: moving_digits or moving_shapes, with its other keys.",
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
        """The spatial axes in the order that models read them."""
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
    def is_remote(self) -> bool:
        """Whether it is read from a URL."""
        return self.generator is None and bool(protocol_of(self.path))

    @property
    def files(self) -> tuple[str, ...]:
        """The paths that it reads, as written."""
        return (self.path,) if self.generator is None else self.generator.files

    def with_paths(self, located: Callable[[str], str]) -> BaseModel:
        """Return what a spec writes as source, with its paths changed by `located`."""
        if self.generator is not None:
            return self.generator.with_paths(located)
        return self if self.is_remote else self.model_copy(update={"path": located(self.path)})

    @property
    def frame(self) -> tuple[int | None, ...]:
        """The spatial axes of a frame, in the order of `space`, None where only the file can tell."""
        if self.generator is not None:
            return (self.generator.size, self.generator.size)
        whole: tuple[int | None, ...] = (None,) * len(self.space)
        if self.size is not None and self.space == ("H", "W"):
            whole = self.size
        return whole if self.coarsen is None else self.coarsen.shape(whole)

    @property
    def label(self) -> str:
        """What messages call the source before it is open."""
        return PurePath(self.path).name

    @property
    def dates(self) -> Dates | None:
        """The dates from which to which frames are read."""
        return (
            self.time.dates if isinstance(self.time, NameTime) else self.time if isinstance(self.time, tuple) else None
        )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        self._check_url()
        source_format = format_of(self.path)
        if self.layout is None and not (source_format and source_format.named_dimensions):
            raise fault((), "source needs layout: the array's axes by letter, such as T H W")
        if self.key is not None and self.variables is not None:
            raise fault(("variables",), "key names one array, variables several: keep one of the two")
        if self.variables is not None and "C" in self.axes:
            raise fault(("layout",), "variables become the channels, so the layout names no C")
        for name in self.select:
            if name in self.region:
                raise fault(("region", name), f"{name} is in select already, which takes one value of it")
        if self.coarsen is not None and self.axes:
            self.coarsen.check(self.space)
        if self.by == "file" and "N" in self.axes:
            raise fault(("by",), "with N in the layout the events of all files are read; leave out by: file")
        return self

    def _check_url(self) -> None:
        protocol = protocol_of(self.path) if self.generator is None else ""
        if not protocol:
            if self.storage:
                raise fault(("storage",), f"{written(self.path)} is not a URL, so storage does not apply")
            return
        if protocol not in PROTOCOLS:
            raise fault(
                ("path",), f"{protocol}:// is not supported; supported are {', '.join(f'{p}://' for p in PROTOCOLS)}"
            )
        if re.match(r"[^/]*//[^/@]*@", self.path):
            raise fault(("path",), f"the URL contains a user name or password; {_COPIED}, so leave it out")
        source_format = format_of(self.path)
        if source_format is not None and source_format.kind != "arrays":
            help = f"at a URL, only files of arrays are read: {', '.join(suffixes_of('arrays'))}"
            raise fault(("path",), f"{self.label} holds {source_format.kind}; {help}")


class _FilesOrGenerator:
    """The JSON Schema of a source: of files, or of one generator with its settings."""

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> dict[str, Any]:
        generators = [{**kind.model_json_schema(), "required": ["generator"]} for kind in GENERATORS.values()]
        return {"anyOf": [handler(schema), *generators]}


SourceOrGenerator: TypeAlias = Annotated[SourceSection, _FilesOrGenerator()]
