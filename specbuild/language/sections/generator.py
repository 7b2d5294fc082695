"""The generators of `data.source` and their settings."""

from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Literal, Self, TypeAlias

from pydantic import AfterValidator, Field, model_validator

from specbuild.catalog.list_values import PerAxis, Several
from specbuild.catalog.values import (
    Choice,
    NonNegativeInt,
    PositiveInt,
    PositiveNumber,
    Real,
    Share,
    Whole,
    fault,
    refuse,
    written,
)
from specbuild.document import did_you_mean
from specbuild.language.sections.base import Section

KINDS = ("disc", "square", "triangle")


def _range(highest: int, noun: str = "a number") -> PerAxis:
    """One number from 0, or [low, high] between which one is drawn for each shape."""
    number = Real(0, highest, noun=noun)
    return PerAxis(number, 2, f"{number.words}, or a list [low, high]")


def _ordered(ends: tuple[float, float]) -> tuple[float, float]:
    low, high = ends
    if low > high:
        refuse("range", f"expected the lower number first, got [{low:g}, {high:g}]")
    return ends


def _distinct(kinds: tuple[str, ...]) -> tuple[str, ...]:
    if not kinds:
        refuse("shapes", f"expected at least one of {', '.join(KINDS)}, got []")
    return tuple(dict.fromkeys(kinds))


Side: TypeAlias = Annotated[int, Whole(8, 4096, unit="pixels")]
SequenceLength: TypeAlias = Annotated[int, Whole(2, 10_000)]
Things: TypeAlias = Annotated[int, Whole(1, 100)]
PixelRange: TypeAlias = Annotated[tuple[float, float], _range(1000, "a number of pixels"), AfterValidator(_ordered)]
AngleRange: TypeAlias = Annotated[tuple[float, float], _range(180, "degrees"), AfterValidator(_ordered)]
UnitRange: TypeAlias = Annotated[tuple[float, float], _range(1), AfterValidator(_ordered)]
Kinds: TypeAlias = Annotated[tuple[str, ...], Several(Choice(*KINDS), Choice(*KINDS).words), AfterValidator(_distinct)]


class GeneratorSection(Section):
    """Sequences that are generated when they are read, each from its number and the seed; nothing is stored.

    The frames are gray, and their values reach from 0 to 1.
    """

    generator: str = Field(description="What is drawn: moving_digits or moving_shapes.")
    sequences: PositiveInt = Field(10_000, description="Number of sequences; each is an event.")
    frames: SequenceLength = Field(20, description="Frames in a sequence.")
    size: Side = Field(64, description="Height and width of a frame, in pixels.")
    seed: NonNegativeInt = Field(0, description="Seed of the random numbers; another seed draws other sequences.")

    layout: ClassVar[str] = "N T H W"
    painter: ClassVar[str]
    """`module:function` that turns the section into what draws its sequences (`specbuild.data.generators.base`)."""

    @property
    def files(self) -> tuple[str, ...]:
        """The files that it reads, as written."""
        return ()

    def with_paths(self, _located: Callable[[str], str]) -> Self:
        """Return the same generator, with the paths of its files changed by `located`."""
        return self


class MovingDigits(GeneratorSection):
    """Digits that move at constant speed and bounce off the borders; where they overlap, the brighter pixel is shown.

    Srivastava et al. (2015), Unsupervised Learning of Video Representations using LSTMs, arXiv 1502.04681, with the
    movement of the authors' code: a digit's place is a number from 0 to 1 on each axis, `speed` is the length of its
    step, and a step that leads out of the frame ends at its border.
    """

    painter = "specbuild.data.generators.moving_digits:painter"

    generator: Literal["moving_digits"] = "moving_digits"
    digits: Things = Field(2, description="Digits in a frame.")
    images: str | None = Field(
        None,
        description="File with pictures of digits (n, height, width): .npy, .npz, or IDX as for MNIST, optionally .gz. "
        "Default: digits drawn with strokes.",
    )
    images_key: str | None = Field(None, description="Name of the array, in an .npz with several.")
    digit_size: Side = Field(28, description="Height and width of a digit drawn with strokes.")
    speed: PositiveNumber = Field(0.1, description="Step per frame, as a fraction of the distance a digit can move.")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.images is None and self.digit_size > self.size:
            message = f"a digit of {self.digit_size} pixels does not fit into frames of {self.size}"
            raise fault(("digit_size" if "digit_size" in self.model_fields_set else "size",), message)
        return self

    @property
    def files(self) -> tuple[str, ...]:
        return () if self.images is None else (self.images,)

    def with_paths(self, located: Callable[[str], str]) -> Self:
        return self if self.images is None else self.model_copy(update={"images": located(self.images)})


class MovingShapes(GeneratorSection):
    """Discs, squares and triangles that move at constant speed and are reflected at the borders.

    They are drawn with smooth edges; where they overlap the brighter one shows.
    """

    painter = "specbuild.data.generators.moving_shapes:painter"

    generator: Literal["moving_shapes"] = "moving_shapes"
    shapes: Things = Field(3, description="Shapes in a frame.")
    kinds: Kinds = Field(KINDS, description="Which shapes to draw: disc, square, triangle.")
    radius: PixelRange = Field((4.0, 9.0), description="Radius in pixels: a number, or [low, high] to draw from.")
    speed: PixelRange = Field((1.0, 3.0), description="Pixels per frame: a number, or [low, high] to draw from.")
    rotation: AngleRange = Field(
        (0.0, 0.0), description="Degrees per frame, in either direction: a number, or [low, high]."
    )
    brightness: UnitRange = Field((0.5, 1.0), description="Brightness, 1 is white: a number, or [low, high].")
    noise: Share = Field(0.0, description="Standard deviation of the noise in every pixel; values stay within 0 to 1.")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if 2 * self.radius[1] >= self.size:
            message = f"a shape of radius {self.radius[1]:g} does not fit into frames of {self.size}"
            raise fault(("radius" if "radius" in self.model_fields_set else "size",), message)
        return self


GENERATORS: dict[str, type[GeneratorSection]] = {
    section.model_fields["generator"].default: section for section in (MovingDigits, MovingShapes)
}
"""Every generator by its name."""


def generator(value: dict[str, Any]) -> GeneratorSection:
    """`{generator: moving_digits, …}` as its section.

    Raises:
        PydanticCustomError: an unknown generator.
        ValidationError: a setting that it does not have, or that does not fit.
    """
    name = value["generator"]
    section = GENERATORS.get(name) if isinstance(name, str) else None
    if section is None:
        hint = (isinstance(name, str) and did_you_mean(name, GENERATORS)) or f"known are {', '.join(GENERATORS)}"
        raise fault(("generator",), f"no generator is called {written(name)}; {hint}")
    for word in value:
        if word not in section.model_fields:
            hint = did_you_mean(str(word), section.model_fields) or f"it has {', '.join(section.model_fields)}"
            raise fault((str(word),), f"{name} has no setting {written(word)}; {hint}", "unknown_argument")
    return section.model_validate(value)
