"""Base class of our Keras layers: arguments, checks and shapes come from the catalog."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from pydantic import ValidationError

from specbuild.catalog import KINDS, Layer, Shape, ShapeError
from specbuild.model.backend import Registered, keras


class OwnLayer(Registered, keras.layers.Layer):  # type: ignore[misc]
    """A layer that asks its kind in the catalog, `entry`, for its arguments, checks and shapes.

    Subclasses bear the name of the kind, under which they are registered, and add `call`.
    """

    keeps_dtype: ClassVar[bool] = True
    """Whether tensors of any dtype keep it; otherwise the output has the compute dtype of the layer."""
    only_in_specs: ClassVar[tuple[str, ...]] = ()
    """Fields of the kind that the class does not have as arguments."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kind = kind_of(type(self))
        names = [name for name in kind.model_fields if name not in (*Layer.model_fields, *self.only_in_specs)]
        given = dict(zip(names, args, strict=False)) | kwargs
        super().__init__(**{name: value for name, value in given.items() if name not in names})
        self.entry: Any = entry_of(kind, {name: given[name] for name in names if name in given})
        self.supports_masking = kind.pointwise
        self.own_names = tuple(names)
        for name in names:
            setattr(self, name, getattr(self.entry, name))

    def build(self, input_shape: Any) -> None:
        """Refuse inputs that do not fit."""
        self.compute_output_shape(input_shape)
        self.built = True

    def compute_output_shape(self, input_shape: Any) -> Shape:
        """Return the shape of the output, batch axis included, for that of the input or a list of those.

        Raises:
            ValueError: the inputs do not fit.
        """
        shapes = input_shape if self.entry.arity == "many" else [input_shape]
        return (shapes[0][0], *output_shape(self.entry, *(tuple(shape[1:]) for shape in shapes)))

    def compute_output_spec(self, inputs: Any) -> Any:
        """Return the output of a symbolic call."""
        several = self.entry.arity == "many"
        tensors = inputs if several else [inputs]
        shapes = [tuple(tensor.shape) for tensor in tensors]
        dtype = tensors[0].dtype if self.keeps_dtype else self.compute_dtype
        return keras.KerasTensor(self.compute_output_shape(shapes if several else shapes[0]), dtype=dtype)

    def get_config(self) -> dict[str, Any]:
        own = {name: getattr(self.entry, name) for name in self.own_names}
        lists = {name: list(value) if isinstance(value, tuple) else value for name, value in own.items()}
        return {**super().get_config(), **lists}


def kind_of(layer: type[Any]) -> type[Layer]:
    """Return the kind in the catalog with the name of a Keras class or of one of its base classes."""
    return next(KINDS[base.__name__] for base in layer.__mro__ if base.__name__ in KINDS)


def entry_of(kind: type[Layer], arguments: Mapping[str, Any]) -> Any:
    """Return a layer of the catalog.

    Raises:
        ValueError: an argument does not fit.
    """
    try:
        return kind(**arguments)
    except ValidationError as error:
        faults = [": ".join([*map(str, fault["loc"][:1]), fault["msg"]]) for fault in error.errors()]
        raise ValueError(f"{kind.__name__} cannot be made: {'; '.join(faults)}") from None


def output_shape(entry: Layer, *shapes: Shape) -> Shape:
    """Return the shape of the output without the batch axis, for inputs without it.

    Raises:
        ValueError: the inputs do not fit.
    """
    try:
        entry.check(*shapes)
        return entry.output_shape(*shapes)
    except ShapeError as error:
        raise ValueError(": ".join(filter(None, [error.message, error.reason]))) from error


def outputs_of(model: Any, inputs: Sequence[Any], training: bool) -> list[Any]:
    """Return the outputs of a model that a layer runs; Keras takes and gives a single tensor without a list."""
    outputs = model(inputs if len(inputs) > 1 else inputs[0], training=training)
    return list(outputs) if isinstance(outputs, list | tuple) else [outputs]
