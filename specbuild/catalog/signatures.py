"""Names and arguments of everything in Keras that a spec can name, without loading Keras.

The table `keras_signatures.json` comes from `tools/keras_signatures.py` and the Keras that specbuild is tested with;
the losses of specbuild's own stand beside Keras's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

from specbuild.catalog import losses

Family: TypeAlias = Literal[
    "activations",
    "applications",
    "callbacks",
    "constraints",
    "initializers",
    "layers",
    "losses",
    "metrics",
    "optimizers",
    "regularizers",
    "schedules",
]


@dataclass(frozen=True, slots=True)
class Signature:
    """How a Keras class or function is called.

    `name` is Keras's own: `MeanSquaredError` for `mse`. `required` and the keys of `optional`, which holds the
    defaults, are its arguments in order, without `name`. `text` says in a sentence what it is, or nothing of a layer.
    `reports` is the name of a metric in the history.
    """

    name: str
    required: tuple[str, ...]
    optional: Mapping[str, Any]
    text: str = ""
    reports: str = ""

    @property
    def arguments(self) -> tuple[str, ...]:
        return (*self.required, *self.optional)


@cache
def signature(family: Family, name: str) -> Signature | None:
    """Return the signature under a name or alias (`mse`, `he_normal`, `AvgPool2D`); None for an unknown name."""
    entries = _entries(family)
    entry = entries.get(name)
    if isinstance(entry, str):
        return signature(family, entry)
    if entry is None:
        return None
    common = _table()["common"] if entry.get("common") else {}
    inherited = {argument: default for argument, default in common.items() if argument not in entry["required"]}
    optional = MappingProxyType({**inherited, **entry["optional"]})
    return Signature(name, tuple(entry["required"]), optional, entry.get("text", ""), entry.get("reports", ""))


def names(family: Family) -> tuple[str, ...]:
    """Return every name of a family, aliases included."""
    return tuple(_entries(family))


def keras_version() -> str:
    """Return the version of Keras that the table was written from."""
    return str(_table()["keras"])


def _entries(family: Family) -> Mapping[str, Any]:
    entries: Mapping[str, Any] = _table()[family]
    return {**entries, **losses.SIGNATURES} if family == "losses" else entries


@cache
def _table() -> dict[str, Any]:
    table: dict[str, Any] = json.loads(Path(__file__).with_name("keras_signatures.json").read_bytes())
    return table
