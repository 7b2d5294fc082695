"""Layers with a learned weight for each position of a sample."""

from __future__ import annotations

from typing import Any

from specbuild.catalog import KerasObject
from specbuild.catalog.generic import FAMILIES
from specbuild.model.backend import keras
from specbuild.model.layers.arithmetic import add
from specbuild.model.layers.base import OwnLayer, kind_of

_OBJECTS = ("initializer", "regularizer", "constraint")


class _Local(OwnLayer):
    """A layer with one weight, whose initializer, regularizer and constraint are objects of Keras."""

    keeps_dtype = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        weight = kind_of(type(self)).weight_name  # type: ignore[attr-defined]
        self._object_names = tuple(f"{weight}_{word}" for word in _OBJECTS)
        objects = {name: kwargs.pop(name) for name in self._object_names if name in kwargs}
        super().__init__(*args, **kwargs)
        for name in self._object_names:
            default = getattr(self.entry, name)
            given = objects.get(name, default.name if isinstance(default, KerasObject) else default)
            setattr(self, name, _family(name).get(given))

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        initializer, regularizer, constraint = (getattr(self, name) for name in self._object_names)
        self.weight = self.add_weight(
            shape=self.entry.weight_shape(tuple(input_shape[1:])),
            initializer=initializer,
            regularizer=regularizer,
            constraint=constraint,
            name=self.entry.weight_name,
        )

    def get_config(self) -> dict[str, Any]:
        objects = {name: _family(name).serialize(getattr(self, name)) for name in self._object_names}
        return {**super().get_config(), **objects}


class LocalBias(_Local):
    """x + b, with a learned b for each position."""

    def call(self, inputs: Any) -> Any:
        return add(inputs, keras.ops.convert_to_tensor(self.weight))


class LocalScale(_Local):
    """w ∘ x, with a learned w for each position."""

    def call(self, inputs: Any) -> Any:
        return keras.ops.multiply(inputs, self.weight)


def _family(name: str) -> Any:
    """Return the module of Keras that an argument's object is from."""
    return getattr(keras, FAMILIES[name.rpartition("_")[2]])
