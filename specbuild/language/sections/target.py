"""`data.target`: what a sample must be told, where that is not the frames that follow it."""

from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, ValidationError, WithJsonSchema
from pydantic_core import InitErrorDetails

from specbuild.catalog.values import NonNegativeInt, refuse, written
from specbuild.document import did_you_mean
from specbuild.language.sections.source import fault

if TYPE_CHECKING:
    from specbuild.language.sections.data import DataSection


class ClassTarget(BaseModel):
    """The class of a clip: the folder that it lies in."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)

    name: Literal["class"] = "class"
    sampling: Literal["even", "stretch"] = Field(
        "even",
        description="Which windows.past frames of a clip are read. even: one of each of as many equal parts, drawn in "
        "training, the middle one otherwise. stretch: frames that follow each other, from a drawn place in training, "
        "from the middle otherwise.",
    )
    seed: NonNegativeInt = Field(0, description="Another seed puts other clips into each split.")


def target(value: Any) -> ClassTarget | None:
    """`class` or `{name: class, sampling: stretch}` as its section."""
    if value is None or isinstance(value, ClassTarget):
        return value
    written_out = {"name": value} if isinstance(value, str) else value
    if not isinstance(written_out, dict) or not isinstance(written_out.get("name"), str):
        refuse("target", f"expected class, or {{name: class, sampling: stretch}}, got {written(value)}")
    if written_out["name"] != "class":
        hint = did_you_mean(written_out["name"], ["class"]) or "write class, or leave target out to forecast frames"
        refuse("target", f"no target is called {written(written_out['name'])}; {hint}")
    return ClassTarget.model_validate(written_out)


def check_target(data: "DataSection") -> None:
    """Refuses what means nothing for a class, and windows that do not say what is forecast.

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
        raise fault("data", ("target",), f"{source.label} has no classes; target: class reads a folder for each class")
    if not {"N", "T", "H", "W"} <= set(source.axes):
        message = f"clips have the layout N T H W or N T H W C, each clip an event, got {' '.join(source.axes)}"
        raise fault("data", ("source", "layout"), message)
    for key in ("future", "stride", "lead", "target"):
        if key in windows.model_fields_set:
            message = f"target: class reads one window of each clip and forecasts no frames, so leave out {key}"
            raise fault("data", ("windows", key), message)
    for key in ("allow_missing", "on_error"):
        if key in data.model_fields_set:
            message = f"target: class has no {key}; leave it out"
            raise fault("data", (key,), message)
    if data.split.ranges or "by" in data.split.model_fields_set or data.split.embargo:
        message = "target: class splits the clips of each class by shares, such as {train: 0.7, test: 0.3}"
        raise fault("data", ("split",), message)


_SCHEMA = {
    "anyOf": [
        {"const": "class"},
        {
            "type": "object",
            "properties": {
                "name": {"const": "class"},
                "sampling": {"enum": ["even", "stretch"], "default": "even"},
                "seed": {"type": "integer", "minimum": 0, "default": 0},
            },
            "required": ["name"],
            "additionalProperties": False,
        },
        {"type": "null"},
    ]
}
Target: TypeAlias = Annotated[ClassTarget | None, PlainValidator(target), WithJsonSchema(_SCHEMA)]
