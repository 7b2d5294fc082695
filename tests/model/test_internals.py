"""The private names of Keras and JAX that we use exist; where one is gone, the failure says what it was for."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import pytest

import specbuild
from specbuild.model import keras_internals
from specbuild.model.backend import keras
from specbuild.training import jax_internals

PACKAGE = Path(specbuild.__file__).parent
PRIVATE = re.compile(r"\bkeras\.src\b|\bjax\._src\b|\b(?:model|layer|tensor|node|cell)\._[a-z]\w+")


def has_keras(name: str) -> bool:
    owner, attribute = name.rsplit(".", 1)
    if owner.startswith("keras.src"):
        return hasattr(importlib.import_module(owner), attribute)
    x = keras.Input((2,))
    model = keras.Model(x, keras.layers.Dropout(0.5)(x))
    if attribute == "_eval_epoch_iterator":  # which `fit` makes
        return attribute in inspect.getsource(type(model).fit)
    return hasattr(model.layers[-1] if owner == "Layer" else model, attribute)


def has_jax(name: str) -> bool:
    owner, attribute = name.split(".")
    state = importlib.import_module("jax._src.distributed").global_state
    client = importlib.import_module("jax._src.lib")._jax.DistributedRuntimeClient
    return hasattr({"global_state": state, "client": client}[owner], attribute)


@pytest.mark.parametrize(
    ("library", "version", "tried", "used", "has"),
    [
        ("Keras", keras.__version__, keras_internals.TRIED, keras_internals.USED, has_keras),
        ("JAX", jax.__version__, jax_internals.TRIED, jax_internals.USED, has_jax),
    ],
    ids=["Keras", "JAX"],
)
def test_no_private_name_is_gone(library: str, version: str, tried: str, used: Mapping[str, str], has: Any) -> None:
    gone = [f"{name} ({purpose})" for name, purpose in used.items() if not has(name)]
    assert not gone, f"{library} {version} has no {', '.join(gone)}; specbuild was tried with {tried}"


def test_private_names_are_used_in_their_modules_alone() -> None:
    homes = {"model/keras_internals.py", "training/jax_internals.py"}
    found = {
        path.relative_to(PACKAGE).as_posix(): names
        for path in PACKAGE.rglob("*.py")
        if (names := PRIVATE.findall(path.read_text("utf-8")))
    }
    assert found.keys() == homes, found


def test_what_they_give() -> None:
    x = keras.Input((3, 2))
    inner = keras.Sequential([keras.layers.Dense(2), keras.layers.Dropout(0.5)])
    model = keras.Model(x, keras.layers.LSTM(2, dropout=0.1)(keras.layers.Masking()(inner(x))))
    operations = [node.operation for node in keras_internals.nodes_in_order(model)]
    layers = [type(each).__name__ for each in operations if isinstance(each, keras.layers.Layer)]
    assert layers == ["InputLayer", "Sequential", "Masking", "LSTM"]
    inside = {type(layer).__name__ for layer in keras_internals.layers_inside(model)}
    assert {"Dense", "Dropout", "LSTM", "LSTMCell"} <= inside
    (call,) = keras_internals.calls_of(model.layers[-1])
    assert keras_internals.mask_of(call.input_tensors[0]) is not None
    assert len(keras_internals.seed_generators(inner.layers[-1])) == 1
    (given,) = keras_internals.standardized_inputs(model, keras.ops.zeros((5, 3, 2)))
    assert given.shape == (5, 3, 2)
    model.compile("sgd", "mse", metrics=["mae"])
    keras_internals.build_metrics(model, (keras.ops.zeros((5, 3, 2)), keras.ops.zeros((5, 2))))
    assert len(model.metrics_variables) == 4
