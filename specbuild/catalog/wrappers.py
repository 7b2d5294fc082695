"""Wrappers: the same layer on every frame, and a recurrence in both directions of time."""

from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import Field, InstanceOf, field_validator, model_validator

from specbuild.catalog.base import Layer, Recurrent
from specbuild.catalog.receptive_field import ReceptiveField, at_the_end, moved, same
from specbuild.catalog.shapes import Dim, Shape, Weight, plus, size, times
from specbuild.catalog.values import Choice, refuse

DIRECTIONS = ("forward", "backward")
"""What the names of states, weights and layers begin with in a Bidirectional, in Keras's order."""
MERGES = {"concat": "Concatenate", "sum": "Add", "ave": "Average", "mul": "Multiply"}
"""The layer that joins the outputs of both directions, by `merge_mode`."""


class Wrapper(Layer):
    """A layer around another, frozen if the inner layer is."""

    layer: InstanceOf[Layer]

    @model_validator(mode="before")
    @classmethod
    def _frozen_with_its_layer(cls, given: Any) -> Any:
        layer = given.get("layer") if isinstance(given, dict) else None
        return {**given, "trainable": False} if isinstance(layer, Layer) and not layer.trainable else given

    @property
    def label(self) -> str:
        return f"{self.kind}({self.layer.label})"

    def layer_weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        """Return the weights of the layer inside, frozen where the wrapper is."""
        weights = self.layer.weights(*inputs)
        return weights if self.trainable else tuple(replace(weight, trainable=False) for weight in weights)

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of the wrapper itself; the layer, with what reaches Keras through it, is built alone."""
        inner = ("layer", "return_sequences", "return_state")
        return {name: value for name, value in super().arguments().items() if name not in inner}


class TimeDistributed(Wrapper):
    """The inner layer on every frame, with the same weights. `(T, …)` → `(T, *layer.output_shape(…))`."""

    layer: InstanceOf[Layer] = Field(description="The layer that every frame goes through.")

    @field_validator("layer")
    @classmethod
    def _one_input(cls, layer: Layer) -> Layer:
        if layer.arity == "many":
            refuse("wrapper", f"expected a layer with one input, got {layer.label}, which merges several")
        return layer

    @property
    def ranks(self) -> tuple[int, ...] | None:
        inner = self.layer.ranks
        return None if inner is None else tuple(rank + 1 for rank in inner)

    def check(self, *inputs: Shape) -> None:
        super().check(*inputs)
        if len(inputs[0]) < 2:
            raise self.unfit("needs an input with a time axis", inputs[0], " (without the batch axis)")
        self.layer.check(inputs[0][1:])

    def output_shape(self, *inputs: Shape) -> Shape:
        return (inputs[0][0], *self.layer.output_shape(inputs[0][1:]))

    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        return self.layer_weights(inputs[0][1:])

    def flops(self, *inputs: Shape) -> Dim:
        return times(inputs[0][0], self.layer.flops(inputs[0][1:]))

    def saved_elements(self, *inputs: Shape) -> Dim:
        return times(inputs[0][0], self.layer.saved_elements(inputs[0][1:]))

    def receptive_field(self, *inputs: Shape) -> tuple[ReceptiveField, ...]:
        (frame,) = self.layer.receptive_field(inputs[0][1:])
        if isinstance(self.layer, Recurrent) and not self.layer.return_sequences:
            frame = tuple(axis if axis is None else at_the_end(axis) for axis in frame)
        return ((same(0, inputs[0][0]), *moved(frame, 1)),)


class Bidirectional(Wrapper, Recurrent):
    """A recurrence run forwards and, with separate weights, backwards over the sequence; outputs are merged.

    Both are in the order of the input, so `last` merges the forward output of the last frame with the backward output
    of the first. `return_sequences` and `return_state` may be written on the wrapper or on the layer, and reach Keras
    through the layer.
    """

    documented_states = tuple(f"{way}_…" for way in DIRECTIONS)

    layer: InstanceOf[Recurrent] = Field(description="The recurrent layer.")
    merge_mode: Annotated[Literal["concat", "sum", "mul", "ave"], Choice()] = Field(
        "concat", description="How the two directions become one; concat joins them along the last axis."
    )

    @model_validator(mode="before")
    @classmethod
    def _take_from_layer(cls, given: Any) -> Any:
        layer = given.get("layer") if isinstance(given, dict) else None
        if not isinstance(layer, Recurrent):
            return given
        for name in ("return_sequences", "return_state"):
            inner, outer = getattr(layer, name), given.get(name)
            if inner is not None and outer is not None and inner != outer:
                refuse("wrapper", f"{name} differs on Bidirectional and on its {layer.kind}; write it once")
            given = given if inner is None else {**given, name: inner}
        return given

    @field_validator("layer")
    @classmethod
    def _forward(cls, layer: Recurrent) -> Recurrent:
        if getattr(layer, "go_backwards", False):
            refuse(
                "wrapper", f"expected a {layer.kind} that reads forward; Bidirectional makes the backward one itself"
            )
        if "zero_output_for_mask" in layer.model_fields_set:
            refuse(
                "wrapper",
                f"expected zero_output_for_mask to be left out of {layer.kind}; Bidirectional sets it "
                "whenever it returns every step",
            )
        if isinstance(layer, Bidirectional):
            refuse("wrapper", "expected a recurrent layer that is not bidirectional already")
        return layer

    @property
    def ranks(self) -> tuple[int, ...] | None:
        return self.layer.ranks

    def check(self, *inputs: Shape) -> None:
        super().check(*inputs)
        self.layer.check(*inputs)

    def sequence_shape(self, x: Shape) -> Shape:
        *lead, last = self.layer.sequence_shape(x)
        return (*lead, times(2, last) if self.merge_mode == "concat" else last)

    def state_shapes(self, x: Shape) -> dict[str, Shape]:
        """The layer's states, forward ones first: `forward_h`, `forward_c`, `backward_h`, `backward_c`."""
        states = self.layer.state_shapes(x)
        return {f"{way}_{name}": shape for way in DIRECTIONS for name, shape in states.items()}

    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        return tuple(
            replace(weight, name=f"{way}_{weight.name}") for way in DIRECTIONS for weight in self.layer_weights(*inputs)
        )

    def flops(self, *inputs: Shape) -> Dim:
        """Both directions, and the merge of their outputs: nothing for concat, a sum or product, a sum and a half."""
        both = times(2, self.layer.flops(*inputs))
        merge = times({"concat": 0, "sum": 1, "mul": 1, "ave": 2}[self.merge_mode], size(self.output_shape(*inputs)))
        return plus(both, merge)

    def saved_elements(self, *inputs: Shape) -> Dim:
        return plus(times(2, self.layer.saved_elements(*inputs)), size(self.output_shape(*inputs)))

    def receptive_field(self, *inputs: Shape) -> tuple[ReceptiveField, ...]:
        """The field of the layer, except in time, where every step depends on all steps."""
        (forward,) = self.layer.receptive_field(*inputs)
        return ((None, *forward[1:]),)

    def frame_receptive_field(self, x: Shape, delay: int, *, from_zero: bool) -> ReceptiveField:
        return self.layer.frame_receptive_field(x, delay, from_zero=from_zero)

    def state_receptive_fields(self, x: Shape, delay: int) -> dict[str, ReceptiveField]:
        fields = self.layer.state_receptive_fields(x, delay)
        return {f"{way}_{name}": field for way in DIRECTIONS for name, field in fields.items()}


def innermost(layer: Layer) -> Layer:
    """Return the layer inside all wrappers; a layer without one is its own."""
    while isinstance(layer, Wrapper):
        layer = layer.layer
    return layer


def asks_keras(layer: Layer) -> bool:
    """Whether a layer, or the one inside its wrapper, is resolved through Keras."""
    return innermost(layer).asks_keras
