"""How `specbuild tune` searches for better values, and the ranges that it may draw them from."""

import re
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from specbuild.catalog.list_values import ListOf
from specbuild.catalog.values import NonNegativeInt, PositiveInt, Real, Text, Value, Whole, fault, refuse, written
from specbuild.language.interval import interval
from specbuild.language.sections.base import Section

_UNITS = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
_SIZE = re.compile(rf"\s*([0-9]{{1,15}}(?:\.[0-9]{{1,15}})?)\s*({'|'.join(_UNITS)})\s*")


class Size(Value):
    """A size in memory such as `4 GiB`, stored as its number of bytes."""

    words = "a size in memory such as 4 GiB"

    def read(self, value: Any, expected: str = "") -> int:
        match = _SIZE.fullmatch(value) if isinstance(value, str) else None
        if match is not None and (bytes := int(float(match[1]) * _UNITS[match[2]])) > 0:
            return bytes
        raise self.mismatch(value, expected)

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "pattern": f"^{_SIZE.pattern}$"}


class TuneSection(Section):
    """How `specbuild tune` searches. Every other key of the section is the path of a value to vary."""

    trials: PositiveInt = Field(20, description="Number of trials in the study, including refused and failed ones.")
    timeout: Annotated[str, Field(examples=["8 h"]), BeforeValidator(interval)] | None = Field(
        None, description="Time after which a process starts no new trial. Default: none."
    )
    sampler: Literal["tpe", "random"] = Field(
        "tpe", description="How values are chosen: tpe learns from earlier trials, random does not."
    )
    seed: NonNegativeInt = Field(1, description="Seed of the values that are drawn. Training has its own, train.seed.")
    pruner: Literal["median", "none"] = Field(
        "median",
        description="median: end a trial whose best value is worse than the median of the others at that epoch.",
    )
    startup: NonNegativeInt = Field(5, description="Number of complete trials before the first trial is pruned.")
    warmup: NonNegativeInt = Field(0, description="Number of epochs in which no trial is pruned.")
    monitor: Annotated[str, Text("the name of a value of the history such as val_loss")] | None = Field(
        None,
        description="Validation value to improve, by its name in the history. Default: that of "
        "train.early_stopping, or val_loss.",
    )
    mode: Literal["auto", "min", "max"] = Field(
        "auto", description="Whether smaller or larger is better; auto recognizes Keras's losses and metrics by name."
    )
    max_parameters: Annotated[int, Whole(1, 2**53)] | None = Field(
        None, description="Refuse a trial whose model has more parameters. Default: no limit."
    )
    max_flops: Annotated[float, Real(above=0)] | None = Field(
        None, description="Refuse a trial whose model takes more FLOPs per sample, such as 2e9. Default: no limit."
    )
    max_memory: Annotated[int, Size()] | None = Field(
        None,
        description="Refuse a trial whose training step is predicted to take more memory, such as 4 GiB. Default: "
        "that of the device.",
    )

    @model_validator(mode="after")
    def _validates(self) -> "TuneSection":
        if self.monitor is not None and not self.monitor.startswith("val_"):
            raise fault(
                ("monitor",),
                f"monitor: expected a value of the validation split such as val_loss, got {written(self.monitor)}",
            )
        return self


def _ascending(ends: tuple[float, float]) -> tuple[float, float]:
    low, high = ends
    if low >= high:
        refuse("range", f"the range from {low:g} to {high:g} is empty; write the lower end first")
    return ends


def _ends(item: Value, words: str) -> Any:
    return ListOf(item, f"the ends of a range, {words}", 2, 2)


class LogRange(Section):
    """Numbers between two ends, drawn evenly over their logarithm."""

    ends: Annotated[
        tuple[float, float],
        _ends(Real(above=0), "two positive numbers such as [0.0001, 0.01]"),
        AfterValidator(_ascending),
    ] = Field(alias="log", description="The two ends, positive, drawn from evenly over the logarithm.")


class UniformRange(Section):
    """Numbers between two ends, drawn evenly."""

    ends: Annotated[tuple[float, float], _ends(Real(), "two numbers such as [0, 0.5]"), AfterValidator(_ascending)] = (
        Field(alias="uniform", description="The two ends, drawn from evenly.")
    )


class WholeRange(Section):
    """Whole numbers between two ends, both included."""

    ends: Annotated[tuple[int, int], _ends(Whole(), "two whole numbers such as [1, 4]"), AfterValidator(_ascending)] = (
        Field(alias="int", description="The two ends, whole numbers, both included.")
    )
    step: PositiveInt = Field(1, description="The distance between two neighbors.")

    @model_validator(mode="after")
    def _has_two(self) -> "WholeRange":
        low, high = self.ends
        if self.step > high - low:
            raise fault(("step",), f"a step of {self.step} leaves one value between {low} and {high}")
        return self


Range: TypeAlias = LogRange | UniformRange | WholeRange

RANGES: dict[str, type[Range]] = {"log": LogRange, "uniform": UniformRange, "int": WholeRange}
"""The ranges by the key that says which it is."""
