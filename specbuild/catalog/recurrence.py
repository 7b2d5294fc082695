"""`recurrent`: nodes run once for each step of a sequence, with states that the spec declares.

The node's form in the language brings the nodes of a step; the graph stage measures them and binds them here, so that
shape, weights and cost follow from the layers inside as they do for every other node.
"""

import re
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal, Protocol, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PrivateAttr, WithJsonSchema

from specbuild.catalog.base import Recurrent
from specbuild.catalog.conv_recurrent import segment_length
from specbuild.catalog.receptive_field import AxisField, ReceptiveField, known, moved
from specbuild.catalog.shapes import Dim, Shape, Weight, plus, show, size, times
from specbuild.catalog.values import Flag, Real, Value, Whole, refuse


class _StateShape(Value):
    """Channels, or a whole shape."""

    words = "a number of channels, or a shape without the batch axis"

    def read(self, value: Any, expected: str = "") -> int | tuple[int, ...]:
        lengths = value if isinstance(value, list | tuple) else [value]
        if not all(type(length) is int and length > 0 for length in lengths):
            raise self.mismatch(value, expected)
        return tuple(lengths) if isinstance(value, list | tuple) else int(value)

    def schema(self) -> dict[str, Any]:
        length = Whole(1).schema()
        return {"anyOf": [length, {"type": "array", "items": length}]}


class _Initial(Value):
    """A number, or a weight."""

    words = "a number or learned"

    def read(self, value: Any, expected: str = "") -> Any:
        return value if value == "learned" else Real().read(value, expected or self.words)

    def schema(self) -> dict[str, Any]:
        return {"anyOf": [Real().schema(), {"const": "learned"}]}


class State(BaseModel):
    """A tensor that a recurrence carries from step to step."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)

    shape: Annotated[int | tuple[int, ...], _StateShape()] = Field(
        description="Channels of a state as large as the frames of the input, or a shape without the batch axis."
    )
    initial: Annotated[float | Literal["learned"], _Initial()] = Field(
        0.0, description="Value before the first step: a number, or learned for a weight of the state's shape."
    )

    def at(self, x: Shape) -> Shape:
        """Return its shape for a sequence `(T, …, channels)`."""
        return (*x[1:-1], self.shape) if isinstance(self.shape, int) else self.shape


_NAME = re.compile(r"[A-Za-z]\w*")


def _by_name(value: Any) -> Any:
    if not isinstance(value, dict) or not value:
        refuse("states", "expected states by name, such as {h: 64, c: 64}")
    for name in value:
        if not _NAME.fullmatch(str(name)):
            refuse("states", f'"{name}" cannot name a state: use letters, digits and _')
    return value


def _whole(value: Any) -> Any:
    return value if isinstance(value, dict | State) else {"shape": value}


_STATES = {
    "type": "object",
    "minProperties": 1,
    "propertyNames": {"pattern": f"^{_NAME.pattern}$"},
    "additionalProperties": {
        "anyOf": [
            _StateShape().schema(),
            {
                "type": "object",
                "properties": {
                    "shape": _StateShape().schema(),
                    "initial": _Initial().schema(),
                    "copies": Whole(1).schema(),  # which the language writes out
                },
                "required": ["shape"],
                "additionalProperties": False,
            },
        ]
    },
}


class MeasuredStep(Protocol):
    """The nodes of a step, measured for an input sequence of a shape `(T, *frame)`; T does not matter to them."""

    def check(self, x: Shape) -> None:
        """Refuse inputs that the nodes do not accept.

        Raises:
            ShapeError: what does not fit.
        """

    def output(self, x: Shape) -> Shape:
        """Return the shape of the output of one step."""

    def weights(self, x: Shape) -> tuple[Weight, ...]:
        """Return the weights of every layer, in the order they run."""

    def flops(self, x: Shape) -> Dim:
        """Return the operations of one step."""

    def saved_elements(self, x: Shape) -> Dim:
        """Return how many numbers the backward pass needs of one step."""

    def fields(self, x: Shape, delay: int) -> tuple[tuple[ReceptiveField, ...], dict[str, ReceptiveField]]:
        """Return the fields of a step's output in each input, read `delay` steps before, and in each state before it.

        The fields leave out the time axis. A static map is read at every step.
        """


class Recurrence(Recurrent):
    """`(T, *frame)` → `(T, *output)`: the nodes of a step, run with the states that the step before left.

    The nodes inside read further inputs: sequences of as many steps, and static maps, which every step reads.
    """

    states: Annotated[
        dict[str, Annotated[State, BeforeValidator(_whole)]], BeforeValidator(_by_name), WithJsonSchema(_STATES)
    ] = Field(
        description="States by name: channels at the size of the input's frames, a shape, or {shape: …, initial: …, "
        "copies: …}."
    )
    go_backwards: Flag = Field(False, description="Whether the sequence is read from its end; outputs are reversed.")
    stateful: Flag = Field(False, description="Whether a batch starts from the state that the batch before it left.")
    zero_output_for_mask: Flag = Field(
        False, description="Whether the output of a masked step is zero instead of that of the step before."
    )
    remat: Flag = Field(
        False, description="Whether the backward pass recomputes the steps, about √T at a time, to save memory."
    )

    package: ClassVar[str] = "specbuild"

    _step: MeasuredStep | None = PrivateAttr(None)
    _static: int = PrivateAttr(0)

    def bound(self, step: MeasuredStep, static: int) -> Self:
        """Return a copy bound to the nodes of a step; the last `static` of its inputs are static maps."""
        copy = self.model_copy()
        copy._step, copy._static = step, static
        return copy

    @property
    def step(self) -> MeasuredStep:
        """The nodes of a step.

        Raises:
            TypeError: none are bound; the graph stage does that.
        """
        if self._step is None:
            raise TypeError("a recurrence has no shapes before the graph stage binds its step")
        return self._step

    @property
    def state_names(self) -> tuple[str, ...]:
        """The names of the states, in their order."""
        return tuple(self.states)

    def static(self, inputs: int) -> frozenset[int]:
        """Return which of so many inputs have no steps."""
        return frozenset(range(inputs - self._static, inputs))

    def check(self, *inputs: Shape) -> None:
        super().check(*inputs)
        x = inputs[0]
        if len(x) < 2:
            raise self.unfit("needs a sequence", x, " (without the batch)")
        whole = self.static(len(inputs))
        for at, shape in enumerate(inputs):
            if None in (shape if at in whole else shape[1:]):
                raise self.unfit("needs to know the size of its frames", shape, "; only the time axis may be left open")
            if at not in whole and shape[:1] != x[:1]:
                help = "name it under static: if every step reads all of it"
                raise self.unfit("reads sequences step by step", x, f", another is {show(shape)}", help=help)
        self.step.check(x)

    def state_shapes(self, x: Shape, *others: Shape) -> dict[str, Shape]:  # noqa: ARG002 - of the first input alone
        return {name: state.at(x) for name, state in self.states.items()}

    def sequence_shape(self, x: Shape, *others: Shape) -> Shape:  # noqa: ARG002 - of the first input alone
        return (x[0], *self.step.output(x))

    def last_shape(self, x: Shape, *others: Shape) -> Shape:  # noqa: ARG002 - of the first input alone
        return self.step.output(x)

    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        own = tuple(
            self.weight(f"initial_{name}", *map(known, state.at(inputs[0])))
            for name, state in self.states.items()
            if state.initial == "learned"
        )
        weights = (*self.step.weights(inputs[0]), *own)
        return weights if self.trainable else tuple(replace(weight, trainable=False) for weight in weights)

    def flops(self, *inputs: Shape) -> Dim:
        return times(inputs[0][0], self.step.flops(inputs[0]))

    def saved_elements(self, *inputs: Shape) -> Dim:
        """The numbers of every step; with `remat` the output, the states before each segment and the steps of one."""
        x = inputs[0]
        steps, each = x[0], self.step.saved_elements(x)
        if not self.remat or steps is None or segment_length(steps) == steps:
            return times(steps, each)
        length = segment_length(steps)
        carried = plus(*(size(shape) for shape in self.state_shapes(x).values()))
        kept = plus(size(self.sequence_shape(x)), times(-(-steps // length), carried))
        return plus(kept, times(length, each))

    def receptive_field(self, *inputs: Shape) -> tuple[ReceptiveField, ...]:
        """Every step depends on itself and earlier steps; with `go_backwards` it counts as depending on all."""
        steps = known(inputs[0][0])
        past = None if self.go_backwards else AxisField(0, tuple((0, step) for step in range(steps)))
        frames, _ = self.step.fields(inputs[0], steps - 1)
        static = self.static(len(frames))
        return tuple(moved(field, 1) if at in static else (past, *moved(field, 1)) for at, field in enumerate(frames))

    def frame_receptive_field(self, x: Shape, delay: int, *, from_zero: bool) -> ReceptiveField:  # noqa: ARG002
        return self.step.fields(x, delay)[0][0]

    def state_receptive_fields(self, x: Shape, delay: int) -> dict[str, ReceptiveField]:
        return self.step.fields(x, delay)[1]

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of the node itself; the step is built from the graph inside."""
        own = {name: value for name, value in super().arguments().items() if not name.startswith("return_")}
        own["states"] = [{"name": name, "initial": state.initial} for name, state in self.states.items()]
        return own
