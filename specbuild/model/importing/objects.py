"""Serialized activations, initializers, regularizers and constraints in the words of a spec."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from specbuild.catalog.signatures import Family, names, signature
from specbuild.graph.loss_lints import ACTIVATION_LAYERS

RENAMED = {("LeakyReLU", "alpha"): "negative_slope"}
"""Arguments of layers under other names in Keras 2."""


class Inexpressible(Exception):
    """An object that a spec cannot express; the text says what it is."""


def spec_object(family: Family, value: Any) -> Any:
    """Return the name of a Keras object, or `{name: …}` with the arguments that are not Keras's defaults.

    Raises:
        Inexpressible: it is a function or class of a user.
    """
    if value is None:
        return None
    if isinstance(value, str):
        return _named(family, value, {})
    if not isinstance(value, Mapping):
        raise Inexpressible(f"{value!r}"[:80])
    kind, config = value.get("class_name"), value.get("config")
    registered = str(value.get("registered_name") or "")
    if registered == "specbuild>ActivationWithArguments" and isinstance(config, Mapping):
        return _named(family, str(config.get("name")), {k: v for k, v in config.items() if k != "name"})
    if kind == "function":
        raise Inexpressible(f'the Python function "{config}"' if isinstance(config, str) else "a Python function")
    if not isinstance(kind, str):
        raise Inexpressible("a Python function")
    if ">" in registered:
        raise Inexpressible(f"the class {registered} of a user")
    arguments = dict(config) if isinstance(config, Mapping) else {}
    if family == "activations" and kind in ACTIVATION_LAYERS:
        known = signature("layers", kind)
        renamed = {RENAMED.get((kind, key), key): value for key, value in arguments.items()}
        arguments = {key: value for key, value in renamed.items() if known and key in known.optional}
        return _named(family, ACTIVATION_LAYERS[kind], arguments)
    return _named(family, kind, arguments)


def _named(family: Family, name: str, arguments: Mapping[str, Any]) -> Any:
    known = signature(family, name)
    if known is None:
        raise Inexpressible(f'"{name}", which Keras does not know')
    unknown = [key for key, value in arguments.items() if key not in known.arguments and value is not None]
    if [key for key in unknown if key not in ("dtype", "trainable", "name")]:
        raise Inexpressible(f"{name} with {unknown[0]}={arguments[unknown[0]]!r}")
    written = {key: shortened(value) for key, value in arguments.items() if key in known.arguments}
    written = {key: x for key, x in written.items() if key in known.required or x != known.optional[key]}
    short = _short_name(family, known.name, name)
    return {"name": short, **written} if written else short


def _short_name(family: Family, kind: str, given: str) -> str:
    """The alias in lower case that Keras's own signatures use, such as glorot_uniform for GlorotUniform."""
    known = [x for x in names(family) if x.islower() and (entry := signature(family, x)) and entry.name == kind]
    spelled = [x for x in known if x.replace("_", "") == kind.lower()]
    return given if given in known else (spelled or known or [kind])[0]


def shortened(value: Any) -> Any:
    """Return a number that went through float32 in as many digits as that has: 1e-4 for 9.999999747378752e-05."""
    if isinstance(value, float) and float(np.float32(value)) == value:
        return float(str(np.float32(value)))
    return [shortened(x) for x in value] if isinstance(value, list) else value
