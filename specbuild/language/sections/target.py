"""`data.target`: what the model predicts for a sample, if not the future frames."""

from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

from pydantic import Field, ValidationError
from pydantic_core import InitErrorDetails

from specbuild.catalog.values import NonNegativeInt, fault
from specbuild.language.sections.base import Named, Section

if TYPE_CHECKING:
    from specbuild.language.sections.data import DataSection


class ClassTarget(Section):
    """The class of a clip as the target; each folder of clips is a class."""

    name: Literal["class"] = Field(
        "class", description="The target: the class of the clip, which is the name of its folder."
    )
    sampling: Literal["even", "stretch"] = Field(
        "even",
        description="Which windows.past frames of a clip are read. even: one frame of each of that many equal parts, "
        "random in training, the middle one otherwise. stretch: every windows.step-th frame, from a random start in "
        "training, around the middle otherwise.",
    )
    seed: NonNegativeInt = Field(0, description="Seed of the split: another seed puts other clips into each part.")


Target: TypeAlias = Annotated[
    ClassTarget, Named("target", "class, or {name: class, sampling: stretch}", {"class": ClassTarget})
]


def check_target(data: "DataSection") -> None:
    """Refuse keys without meaning for a class, and windows that do not say what is forecast.

    Raises:
        ValidationError: located at the key.
    """
    source, windows = data.source, data.windows
    if data.target is None:
        if "future" not in windows.model_fields_set:
            lacking = InitErrorDetails(type="missing", loc=("windows", "future"), input=None)
            raise ValidationError.from_exception_data("data", [lacking])
        return
    if source.generator is not None:
        raise fault(("target",), f"{source.label} has no classes; target: class reads a folder for each class")
    if not {"N", "T", "H", "W"} <= set(source.axes):
        message = f"clips have the layout N T H W or N T H W C, each clip an event, got {' '.join(source.axes)}"
        raise fault(("source", "layout"), message)
    for key in ("future", "stride", "lead", "target"):
        if key in windows.model_fields_set:
            message = f"target: class reads one window of each clip and forecasts no frames, so leave out {key}"
            raise fault(("windows", key), message)
    if data.inputs:
        raise fault(("inputs",), "target: class reads only clips; leave inputs out")
    for key in ("allow_missing", "on_error"):
        if key in data.model_fields_set:
            raise fault((key,), f"target: class has no {key}; leave it out")
    if data.split.ranges or "by" in data.split.model_fields_set or data.split.embargo:
        message = "target: class splits the clips of each class by shares, such as {train: 0.7, test: 0.3}"
        raise fault(("split",), message)
