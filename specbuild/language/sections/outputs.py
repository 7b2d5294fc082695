"""`data.targets`: what each output of the model is compared with."""

from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from pydantic import BeforeValidator, Field

from specbuild.catalog.list_values import ListOf
from specbuild.catalog.shapes import Dim
from specbuild.catalog.values import Number, Whole, fault
from specbuild.document import did_you_mean
from specbuild.language.sections.base import Section, Short
from specbuild.language.sections.source import Variables

if TYPE_CHECKING:
    from specbuild.language.sections.data import DataSection, WindowsSection

LeadFrames: TypeAlias = Annotated[
    tuple[int, ...], ListOf(Whole(1), "future, or a list of future frames counted from 1, such as [3, 6]", 1)
]


def _frames(value: Any) -> Any:
    return {"frames": value} if isinstance(value, str) else value


class OutputSection(Section):
    """What one output is compared with: the future frames, or a part of them, or an event in them."""

    frames: Literal["future"] | LeadFrames = Field(
        "future", description="future: all future frames. Or some of them, counted from 1, such as [3, 6]."
    )
    variables: Variables = Field(None, description="Names of some of the variables of data.source. Default: all.")
    above: Number | None = Field(
        None,
        description="The target is 1 where a value is at or above this one, in physical units, and 0 elsewhere. "
        "Default: the target is the value itself.",
    )

    @property
    def is_future(self) -> bool:
        """Whether it is the future frames as they are, as of a model of one output."""
        return self.frames == "future" and self.variables is None and self.above is None

    def count(self, windows: "WindowsSection") -> int:
        """Return the number of frames."""
        return windows.targets if self.frames == "future" else len(self.frames)

    def channels(self, record: Dim) -> Dim:
        """Return the number of channels, given that of the record."""
        return record if self.variables is None else len(self.variables)


Output: TypeAlias = Annotated[OutputSection, BeforeValidator(_frames), Short("future")]
"""One entry of `data.targets`."""


def check_outputs(data: "DataSection") -> None:
    """Refuse frames and variables that there are not.

    Raises:
        ValidationError: located at the key.
    """
    if data.targets and data.target is not None:
        raise fault(("targets",), "target: class is the one target; leave targets out")
    windows = data.windows
    for name, output in data.targets.items():
        place = ("targets", name)
        if output.frames != "future":
            if windows.target == "next":
                raise fault(
                    (*place, "frames"), "with target: next the target is every next frame: write frames: future"
                )
            if any(b <= a for a, b in zip(output.frames, output.frames[1:], strict=False)):
                raise fault((*place, "frames"), f"expected increasing frame numbers, got {list(output.frames)}")
            if output.frames[-1] > windows.future:
                message = f"there are {windows.future} future frames, counted from 1, got {output.frames[-1]}"
                raise fault((*place, "frames"), message)
        known = data.source.variables
        for variable in output.variables or () if known else ():
            if known is not None and variable not in known:
                hint = did_you_mean(variable, known) or f"data.source reads {', '.join(known)}"
                raise fault((*place, "variables"), f"data.source reads no variable {variable}; {hint}")
