"""Activations, initializers, optimizers and the like: whatever the catalogue accepts, Keras makes."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from pydantic import ValidationError

from specbuild.catalog.objects import KerasObject, keras_object
from specbuild.catalog.signatures import Family, names, signature
from specbuild.model.objects import to_keras

VALUES = (-1, -0.5, 0, 0.5, 1, 1.5, 2, 3, "foo", None, True, [1, 2])
REQUIRED = (0.5, 2, [0.5, 1], "sgd", "glorot_uniform")
"""Of these the first that fits stands for a required argument."""
FAMILIES = tuple(family for family in get_args(Family) if family not in ("applications", "layers"))
UNKNOWN_TO_THE_TABLE = {("STFT", "window"), ("AUC", "num_labels"), ("AUC", "label_weights")}
"""Words that only SciPy knows, and arguments that depend on `multi_label`."""


def read(family: Family, arguments: dict[str, Any]) -> KerasObject | None:
    try:
        return keras_object(family, arguments)
    except ValidationError:
        return None


def smallest(family: Family, name: str) -> dict[str, Any]:
    """An object with its required arguments alone."""
    known = signature(family, name)
    assert known is not None
    arguments: dict[str, Any] = {"name": name, **dict.fromkeys(known.required, REQUIRED[0])}
    for key in known.required:
        for value in REQUIRED:
            if _accepted(family, {**arguments, key: value}, key):
                arguments[key] = value
                break
    return arguments


def _accepted(family: Family, arguments: dict[str, Any], key: str) -> bool:
    try:
        keras_object(family, arguments)
    except ValidationError as error:
        return all(key not in fault["loc"] for fault in error.errors())
    return True


@pytest.mark.parametrize("family", FAMILIES)
def test_keras_makes_whatever_is_accepted(family: Family) -> None:
    made = 0
    for name in {known.name: name for name in names(family) if (known := signature(family, name))}.values():
        known = signature(family, name)
        assert known is not None
        least = smallest(family, name)
        for key in known.arguments:
            for value in VALUES:
                item = read(family, {**least, key: value})
                if item is not None and (known.name, key) not in UNKNOWN_TO_THE_TABLE:
                    to_keras(item, family)
                    made += 1
    assert made > 5
