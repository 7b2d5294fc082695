"""Keras objects that a spec names: activations, initializers, optimizers, losses, metrics and their like."""

from __future__ import annotations

from typing import Any

from specbuild.catalog import KerasObject
from specbuild.catalog.signatures import Family, signature
from specbuild.model.backend import keras

_MODULES: dict[Family, Any] = {
    "activations": keras.activations,
    "constraints": keras.constraints,
    "initializers": keras.initializers,
    "losses": keras.losses,
    "metrics": keras.metrics,
    "optimizers": keras.optimizers,
    "regularizers": keras.regularizers,
    "schedules": keras.optimizers.schedules,
}


def to_keras(item: KerasObject, family: Family) -> Any:
    """The Keras object that a spec names, built anew at each call.

    Args:
        item: name and arguments, as the spec stage checked them.
        family: which of Keras's modules the name belongs to.
    """
    known = signature(family, item.name)
    arguments = {
        key: to_keras(value, "schedules" if key == "learning_rate" else "optimizers")
        if isinstance(value, KerasObject)
        else value
        for key, value in item.arguments.items()
    }
    if known is None:
        return keras.saving.get_registered_object(item.name)(**arguments)
    if family == "activations":
        function = getattr(keras.activations, known.name)
        return ActivationWithArguments(item.name, **arguments) if arguments else function
    return getattr(_MODULES[family], known.name)(**arguments)


@keras.saving.register_keras_serializable(package="specbuild")
class ActivationWithArguments:
    """An activation function with arguments of its own, such as leaky_relu with a slope, that a model can save."""

    def __init__(self, name: str, **arguments: Any) -> None:
        self.name, self.arguments = name, arguments
        self._function = keras.activations.get(name)

    def __call__(self, x: Any) -> Any:
        """The activation of a tensor of any shape."""
        return self._function(x, **self.arguments)

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, **self.arguments}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> ActivationWithArguments:
        return cls(**config)
