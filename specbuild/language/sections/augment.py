"""`data.augment`: random variation of training samples."""

from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from pydantic import Field

from specbuild.catalog.list_values import Several
from specbuild.catalog.values import Choice, Flag, NonNegativeNumber, fault, refuse, written
from specbuild.document import did_you_mean
from specbuild.language.sections.base import Section
from specbuild.language.sections.source import LETTERS

if TYPE_CHECKING:
    from specbuild.language.sections.data import DataSection

AXES = {LETTERS[letter]: letter for letter in ("D", "H", "W", "L")}
"""The spatial axes by name, with their letters in a layout."""


class _Axes(Several):
    """Names of spatial axes, each once; null is none."""

    def read(self, value: Any, expected: str = "") -> tuple[str, ...]:
        names = value if isinstance(value, list | tuple) else () if value is None else (value,)
        for position, name in enumerate(names):
            if not isinstance(name, str):
                raise self.mismatch(value, expected)
            if name not in AXES:
                hint = f'write "{LETTERS[name]}"' if LETTERS.get(name) in AXES else did_you_mean(name, AXES)
                refuse("flip", f"no spatial axis is called {written(name)}; {hint or 'known are ' + ', '.join(AXES)}")
            if name in names[:position]:
                refuse("flip", f"{name} is named twice")
        return tuple(names)

    def schema(self) -> dict[str, Any]:
        return {"anyOf": [super().schema(), {"type": "null"}]}


Flip: TypeAlias = Annotated[
    tuple[str, ...], _Axes(Choice(*AXES), "names of axes such as [height, width]", once="an axis")
]


class AugmentSection(Section):
    """Random changes of training samples; past and future frames of a sample are changed together."""

    flip: Flip = Field(
        (), description="Axes along which half of the samples are mirrored: height, width, depth, length."
    )
    rotate: Flag = Field(
        False, description="Whether frames are rotated by 0, 90, 180 or 270 degrees in the plane of height and width."
    )
    noise: NonNegativeNumber = Field(
        0.0,
        description="Standard deviation of Gaussian noise added to the known input values, in transformed units.",
    )


def check_augment(data: "DataSection") -> None:
    """Refuse axes that the frames do not have, and turns that would change the shape of a sample.

    What depends on the file is checked when it is opened.

    Raises:
        ValidationError: located at the key.
    """
    section, source = data.augment, data.source
    if section is None or not source.axes:
        return
    for name in section.flip:
        if AXES[name] not in source.space:
            has = ", ".join(LETTERS[letter] for letter in source.space) or "no spatial axis"
            raise fault(("augment", "flip"), f"the layout {' '.join(source.axes)} has no {name} to flip; it has {has}")
    if not section.rotate:
        return
    if "H" not in source.space:
        message = f"the layout {' '.join(source.axes)} has no height and width to turn frames in"
        raise fault(("augment", "rotate"), message)
    height, width = data.crop_shape(source.frame)[-2:]
    if height is not None and width is not None and height != width:
        raise fault(("augment", "rotate"), not_square(height, width))


def not_square(height: int, width: int) -> str:
    """Return why samples of that size cannot be turned."""
    side = min(height, width)
    return f"a sample of {height} × {width} cannot be turned by 90 degrees; read squares with data.crop: {side}"
