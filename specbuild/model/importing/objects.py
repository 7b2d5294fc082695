"""Serialized activations, initializers, regularizers and constraints in the words of a spec."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from specbuild.catalog.signatures import Family, names, signature

LAYERS_AS_ACTIVATIONS: dict[str, str] = {
    "ELU": "elu",
    "LeakyReLU": "leaky_relu",
    "ReLU": "relu",
    "Softmax": "softmax",
}
"""Layers given as an activation, and the function that each is."""
_OLD_ARGUMENTS = {"ReLU": {"negative_slope": 0.0, "max_value": None, "threshold": 0.0}}
"""Arguments of such a layer that mean the same to the function."""
_RENAMED = {("LeakyReLU", "alpha"): "negative_slope"}
"""Arguments that Keras 2 calls otherwise."""


class Unsayable(Exception):
    """An object that a spec has no words for; the text says what it is."""


def say_object(family: Family, value: Any) -> Any:
    """The name of a Keras object, or `{name: …}` with the arguments that are not Keras's defaults.

    Raises:
        Unsayable: it is a function or class of a user.
    """
    if value is None:
        return None
    if isinstance(value, str):
        return _named(family, value, {})
    if not isinstance(value, Mapping):
        raise Unsayable(f"{value!r}"[:80])
    kind, config = value.get("class_name"), value.get("config")
    registered = str(value.get("registered_name") or "")
    if registered == "specbuild>ActivationWithArguments" and isinstance(config, Mapping):
        return _named(family, str(config.get("name")), {k: v for k, v in config.items() if k != "name"})
    if kind == "function":
        raise Unsayable(f'the Python function "{config}"' if isinstance(config, str) else "a Python function")
    if not isinstance(kind, str):
        raise Unsayable("a Python function")
    if ">" in registered:
        raise Unsayable(f"the class {registered} of a user")
    arguments = dict(config) if isinstance(config, Mapping) else {}
    if family == "activations" and kind in LAYERS_AS_ACTIVATIONS:
        given = {_RENAMED.get((kind, key), key): one for key, one in arguments.items()}
        known = signature("layers", kind)
        return _named(
            family, LAYERS_AS_ACTIVATIONS[kind], {k: v for k, v in given.items() if known and k in known.optional}
        )
    return _named(family, kind, arguments)


def _named(family: Family, name: str, arguments: Mapping[str, Any]) -> Any:
    known = signature(family, name)
    if known is None:
        raise Unsayable(f'"{name}", which Keras does not know')
    unknown = [key for key, one in arguments.items() if key not in known.arguments and one is not None]
    if [key for key in unknown if key not in ("dtype", "trainable", "name")]:
        raise Unsayable(f"{name} with {unknown[0]}={arguments[unknown[0]]!r}")
    said = {key: shortened(one) for key, one in arguments.items() if key in known.arguments}
    said = {key: one for key, one in said.items() if key in known.required or one != known.optional[key]}
    short = _short_name(family, known.name, name)
    return {"name": short, **said} if said else short


def _short_name(family: Family, kind: str, given: str) -> str:
    """The alias in lower case that Keras's own signatures use, such as glorot_uniform for GlorotUniform."""
    known = [one for one in names(family) if one.islower() and (found := signature(family, one)) and found.name == kind]
    spelled = [one for one in known if one.replace("_", "") == kind.lower()]
    return given if given in known else (spelled or known or [kind])[0]


def shortened(value: Any) -> Any:
    """A number that went through float32 in as many digits as that has: 1e-4 for 9.999999747378752e-05."""
    if isinstance(value, float) and float(np.float32(value)) == value:
        return float(str(np.float32(value)))
    return [shortened(one) for one in value] if isinstance(value, list) else value
