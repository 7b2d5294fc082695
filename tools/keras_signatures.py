"""Writes `specbuild/catalog/keras_signatures.json`: what the installed Keras offers, under which names and arguments.

The checker reads the table instead of Keras, so it can name an unknown activation or a misspelled argument of `Adam`
without loading a framework.

    python tools/keras_signatures.py           # write the table
    python tools/keras_signatures.py --check   # exit 1 if the table is not what the installed Keras says
"""

from __future__ import annotations

import argparse
import inspect
import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from specbuild.catalog.callbacks import INSTEAD
from specbuild.model.backend import keras

TABLE = Path(__file__).parents[1] / "specbuild" / "catalog" / "keras_signatures.json"

CLASSES: dict[str, tuple[ModuleType, type, frozenset[str]]] = {
    # Family: where its classes are, their base class, and those that a spec has no way to write down.
    "layers": (keras.layers, keras.layers.Layer, frozenset({"Layer", "Wrapper", "InputLayer"})),
    "optimizers": (keras.optimizers, keras.optimizers.Optimizer, frozenset({"Optimizer", "MultiOptimizer"})),
    "schedules": (
        keras.optimizers.schedules,
        keras.optimizers.schedules.LearningRateSchedule,
        frozenset({"LearningRateSchedule"}),
    ),
    "losses": (keras.losses, keras.losses.Loss, frozenset({"Loss"})),
    "metrics": (keras.metrics, keras.metrics.Metric, frozenset({"Metric", "MeanMetricWrapper"})),
    "initializers": (keras.initializers, keras.initializers.Initializer, frozenset({"Initializer"})),
    "regularizers": (keras.regularizers, keras.regularizers.Regularizer, frozenset({"Regularizer"})),
    "constraints": (keras.constraints, keras.constraints.Constraint, frozenset({"Constraint"})),
    "callbacks": (keras.callbacks, keras.callbacks.Callback, frozenset({"Callback", "CallbackList", *INSTEAD})),
}
FUNCTIONS = {
    "activations": (keras.activations, frozenset({"get", "serialize", "deserialize"})),
    "applications": (keras.applications, frozenset()),
}


def _snake_case(name: str) -> str:
    """`HeNormal` as `he_normal`, `KLDivergence` as `kl_divergence`, by the rule that Keras itself uses."""
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)).lower()


SPELLING: dict[str, Callable[[str], str]] = {
    # How `keras.<family>.get` lets a class name be written besides as it is.
    "optimizers": str.lower,
    "losses": _snake_case,
    "metrics": _snake_case,
    "initializers": _snake_case,
    "regularizers": _snake_case,
    "constraints": _snake_case,
}
_ERRORS = {
    "mse": "MeanSquaredError",
    "mae": "MeanAbsoluteError",
    "mape": "MeanAbsolutePercentageError",
    "msle": "MeanSquaredLogarithmicError",
    "bce": "BinaryCrossentropy",
}
SHORT = {
    # Abbreviations that `keras.<family>.get` and `compile` know.
    "losses": {**_ERRORS, "kld": "KLDivergence", **{short.upper(): name for short, name in _ERRORS.items()}},
    "metrics": {**_ERRORS, "acc": "Accuracy", **{short.upper(): name for short, name in _ERRORS.items()}},
    "initializers": {"normal": "RandomNormal", "uniform": "RandomUniform", "one": "Ones", "zero": "Zeros"},
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if the table is stale")
    check = parser.parse_args().check

    text = render(table())
    if not check:
        TABLE.write_text(text, encoding="utf-8")
    elif not TABLE.exists() or TABLE.read_text(encoding="utf-8") != text:
        print(f"{TABLE.name} does not fit Keras {keras.__version__}: run python {Path(__file__).name}", file=sys.stderr)
        return 1
    return 0


def table() -> dict[str, Any]:
    """Family -> name -> its signature, or the name that it is an alias of.

    A signature is `{"required": [name…], "optional": {name: default}}`; `"common": true` where a layer also takes
    the arguments of every layer, which stand once under `common`. `"text"` is what Keras says of it in a sentence,
    `"reports"` the name of a metric in the history.
    """
    families = {family: _classes(family) for family in CLASSES} | {family: _functions(family) for family in FUNCTIONS}
    return {
        "keras": keras.__version__,
        "common": _arguments(keras.layers.Layer.__init__)["optional"],
        **{family: dict(sorted(families[family].items())) for family in sorted(families)},
    }


def render(entries: dict[str, Any]) -> str:
    """JSON with one entry a line, so that a new version of Keras shows as a readable difference."""
    parts = []
    for key, value in entries.items():
        if isinstance(value, dict):
            lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(entry)}" for name, entry in value.items())
            parts.append(f"{json.dumps(key)}: {{\n{lines}\n}}")
        else:
            parts.append(f"{json.dumps(key)}: {json.dumps(value)}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _classes(family: str) -> dict[str, Any]:
    module, base, left_out = CLASSES[family]
    found = {name: cls for name, cls in _public(module) if isinstance(cls, type) and issubclass(cls, base)}
    found = {name: cls for name, cls in found.items() if cls.__name__ not in left_out}
    canonical = _canonical_names(found)
    aliases = {spelling(name): name for name in canonical.values()} if (spelling := SPELLING.get(family)) else {}
    return {
        **aliases,
        **SHORT.get(family, {}),
        **{name: canonical[cls] for name, cls in found.items()},
        **{name: _signature(cls) for cls, name in canonical.items()},
    }


def _functions(family: str) -> dict[str, Any]:
    module, left_out = FUNCTIONS[family]
    found = {name: f for name, f in _public(module) if inspect.isfunction(f) and name not in left_out}
    canonical = _canonical_names(found)
    return {
        **{name: canonical[function] for name, function in found.items()},
        **{name: _signature(function) for function, name in canonical.items()},
    }


def _public(module: ModuleType) -> Iterator[tuple[str, Any]]:
    return ((name, getattr(module, name)) for name in dir(module) if not name.startswith("_"))


def _canonical_names(found: dict[str, Any]) -> dict[Any, str]:
    """Object -> the one public name it is known by: its own where that is public."""
    names: dict[Any, str] = {}
    for name, thing in found.items():
        if thing not in names or name == thing.__name__:
            names[thing] = name
    return names


def _signature(thing: Any) -> dict[str, Any]:
    """Arguments, and what it is where that is of use: a layer is described by its class in the catalog."""
    signature = _arguments(thing)
    is_layer = isinstance(thing, type) and issubclass(thing, keras.layers.Layer)
    if is_layer or thing.__module__.startswith("keras.src.applications"):
        return signature
    if isinstance(thing, type) and issubclass(thing, keras.metrics.Metric):
        signature["reports"] = inspect.signature(thing).parameters["name"].default or _snake_case(thing.__name__)
    return {**signature, "text": _sentence(thing)}


def _arguments(thing: Any) -> dict[str, Any]:
    """Arguments in order, without the name (a spec has ids) and the tensor that an activation is applied to."""
    parameters = list(inspect.signature(thing).parameters.values())
    written = [
        parameter
        for parameter in parameters
        if parameter.name not in ("self", "name", "x")
        and parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
    ]
    signature = {
        "required": [parameter.name for parameter in written if parameter.default is parameter.empty],
        "optional": {p.name: p.default for p in written if p.default is not p.empty},
    }
    is_layer = isinstance(thing, type) and issubclass(thing, keras.layers.Layer)
    if is_layer and any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        signature["common"] = True
    return signature


def _sentence(thing: Any) -> str:
    """The first sentence of a docstring."""
    paragraph = " ".join((inspect.getdoc(thing) or "").partition("\n\n")[0].split())
    return re.sub(r"`+", "", re.split(r"(?<=[a-z)])\. |:$", paragraph)[0].rstrip(".")) + "."


if __name__ == "__main__":
    sys.exit(main())
