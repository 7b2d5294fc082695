"""Keras objects that a spec names: activations, initializers, optimizers, losses, metrics and their like."""

from __future__ import annotations

import re
from functools import partial
from typing import Any

from specbuild.catalog import KerasObject, ShapeError
from specbuild.catalog import losses as declared
from specbuild.catalog.losses import class_of
from specbuild.catalog.objects import LossSum
from specbuild.catalog.signatures import Family, signature
from specbuild.document import did_you_mean
from specbuild.model import losses, losses_likelihood
from specbuild.model.backend import Registered, keras
from specbuild.model.losses_combined import WeightedSum

MODULES: dict[Family, Any] = {
    "activations": keras.activations,
    "callbacks": keras.callbacks,
    "constraints": keras.constraints,
    "initializers": keras.initializers,
    "losses": keras.losses,
    "metrics": keras.metrics,
    "optimizers": keras.optimizers,
    "regularizers": keras.regularizers,
    "schedules": keras.optimizers.schedules,
}
"""Where Keras has the objects of a family."""

LOSS_CLASSES: dict[str, Any] = {
    name: getattr(losses_likelihood if entry.head else losses, name) for name, entry in declared.LOSSES.items()
}
"""The losses of specbuild's own."""


def to_keras(item: KerasObject, family: Family) -> Any:
    """Return the Keras object that a spec names, a new one at each call.

    Args:
        item: name and arguments, as the spec stage checked them.
        family: which of Keras's modules the name belongs to.

    Raises:
        ObjectError: no plugin has registered its class, or Keras refuses its arguments.
    """
    if isinstance(item, LossSum):
        return WeightedSum([to_keras(loss, family) for loss, _ in item.terms], [weight for _, weight in item.terms])
    known = signature(family, item.name)
    arguments = {
        key: to_keras(value, "schedules" if key == "learning_rate" else "optimizers")
        if isinstance(value, KerasObject)
        else value
        for key, value in item.arguments.items()
    }
    own = LOSS_CLASSES.get(class_of(item.name) or "") if family == "losses" else None
    factory = own or (registered(item.name, "class") if known is None else getattr(MODULES[family], known.name))
    if not isinstance(factory, type) and not arguments:
        return factory  # a function
    if known is not None and family == "activations":
        factory = partial(ActivationWithArguments, item.name)
    try:
        return factory(**arguments)
    except Exception as error:  # whatever a class raises is what a user has to know
        raise ObjectError(f"Keras cannot make {item.name} as written", reason=words(error)) from error


class ObjectError(ShapeError):
    """A Keras object that cannot be made as a spec names it."""


def registered(name: str, noun: str) -> Any:
    """Return the class or function that a plugin registered as `package>Name`; `noun` is what messages call it.

    Raises:
        ObjectError: there is none.
    """
    registered_object = keras.saving.get_registered_object(name)
    if registered_object is not None:
        return registered_object
    package, _, own = name.partition(">")
    known = [key.partition(">") for key in keras.saving.get_custom_objects() if ">" in key]
    names = [other for of, _, other in known if of == package]
    if not names:
        raise ObjectError(
            f'{name} is unknown: no plugin has registered the package "{package}"',
            reason="a spec alone never imports a module",
            argument="layer",
            help=f"name the module that registers it: --plugin {package}, or plugins=[…] in Python",
        )
    raise ObjectError(
        f'{name} is unknown: the package "{package}" has no {noun} "{own}"',
        argument="layer",
        help=did_you_mean(own, names) or f"it has {', '.join(sorted(names))}",
    )


_PREAMBLES = ("Exception encountered", "Arguments received", "Graph execution error", "Detected at node", "File ", "<")
"""How lines begin that stand around the sentence of a framework's error."""


def words(error: Exception) -> str:
    """Return the sentence of an exception of Keras that says what is wrong, without colors, traces or arguments."""
    text = re.sub(r"\x1b\[[0-9;]*m| with name 'None'", "", str(error)) or type(error).__name__
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    telling = [line for line in lines if not line.startswith(_PREAMBLES)]
    sentence = (telling or lines)[0]
    return sentence if len(sentence) <= 300 else f"{sentence[:299]}…"


class ActivationWithArguments(Registered):
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
