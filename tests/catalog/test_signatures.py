"""Every kind takes the arguments of the Keras layer of its name, with Keras's defaults."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from pydantic_core import PydanticUndefined

from specbuild.catalog import KINDS
from specbuild.catalog.base import Layer
from specbuild.catalog.objects import KerasObject
from specbuild.model.backend import keras
from specbuild.model.layers import LAYERS

STOCK = sorted(name for name, kind in KINDS.items() if kind.package == "keras")
REQUIRED = "required"
OMITTED = {"lora_rank", "lora_alpha", "quantization_config", "weights"}
"""Keras arguments that change a trained layer, or are arrays: nothing that a specification of a new model says."""


@pytest.mark.parametrize("name", STOCK)
def test_arguments_and_defaults_are_those_of_keras(name: str) -> None:
    here, beyond = defaults_here(KINDS[name]), getattr(KINDS[name], "beyond_keras", ())
    here.pop("zero_output_for_mask", None)  # Keras's recurrent layers pass it on unnamed.
    assert set(beyond) <= set(here)
    assert {name: default for name, default in here.items() if name not in beyond} == (
        defaults_in_keras(getattr(keras.layers, name))
    )


def test_only_convolutional_recurrences_go_beyond_keras() -> None:
    assert [name for name in STOCK if hasattr(KINDS[name], "beyond_keras")] == [
        "ConvLSTM1D",
        "ConvLSTM2D",
        "ConvLSTM3D",
    ]


OURS = ("ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D", "ConvGRU1D", "ConvGRU2D", "ConvGRU3D", "STLSTM2D", "TrajGRU2D")


@pytest.mark.parametrize("name", OURS)
def test_arguments_and_defaults_are_those_of_our_layer(name: str) -> None:
    """What is saved of our layer is what the kind has as arguments, with the values that the kind has for them."""
    config = LAYERS[name](2, 3).get_config()
    kind = KINDS[name](filters=2, kernel_size=3)
    derived = {"data_format": "channels_last", "return_sequences": False, "return_state": False}
    derived |= {"recurrent_kernel_size": getattr(kind, "recurrent_kernel", None)}
    expected = {key: derived.get(key, getattr(kind, key)) for key in defaults_here(KINDS[name])}
    assert {key: normal(as_written(config[key])) for key in expected} == {
        key: normal(value) for key, value in expected.items()
    }
    of_every_recurrence = {"name", "dtype", "trainable", "unroll"}
    assert set(config) - set(expected) == of_every_recurrence


def as_written(value: Any) -> Any:
    """A value of a configuration as the kind has it: objects by the names that Keras has for them."""
    if isinstance(value, dict):
        names = {"GlorotUniform": "glorot_uniform", "Orthogonal": "orthogonal", "OrthogonalInitializer": "orthogonal"}
        return names.get(value["class_name"], value["class_name"])
    return value


def test_every_keras_layer_takes_what_every_kind_takes() -> None:
    shared = set(inspect.signature(keras.layers.Layer.__init__).parameters)
    assert set(Layer.model_fields) <= shared


@pytest.mark.parametrize("name", sorted(KINDS))
def test_every_argument_is_described_in_one_sentence(name: str) -> None:
    for argument, field in KINDS[name].model_fields.items():
        description = field.description or ""
        assert description.endswith("."), f"{name}.{argument}: {description!r}"
        assert len(description) <= 120, f"{name}.{argument}: {description!r}"


@pytest.mark.parametrize("name", sorted(KINDS))
def test_every_kind_has_a_schema(name: str) -> None:
    schema = KINDS[name].model_json_schema()
    assert schema["additionalProperties"] is False
    assert set(schema["properties"]) == set(KINDS[name].model_fields)


def defaults_here(kind: type[Layer]) -> dict[str, Any]:
    fields = {name: field for name, field in kind.model_fields.items() if name not in Layer.model_fields}
    derived = {"return_sequences", "return_state"}
    return {
        name: normal(False if name in derived and field.default is None else field.default)
        for name, field in fields.items()
    }


def defaults_in_keras(layer: type) -> dict[str, Any]:
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return {
        name: normal(parameter.default)
        for name, parameter in inspect.signature(layer).parameters.items()
        if parameter.kind in named and name not in {"name", *OMITTED, *Layer.model_fields}
    }


def normal(default: Any) -> Any:
    """One way to write what is the same: `(1, 1)` and 1, an object and its name, `Zeros` and `zeros`."""
    if default is inspect.Parameter.empty or default is PydanticUndefined:
        return REQUIRED
    if isinstance(default, KerasObject):
        return normal(default.written())
    if isinstance(default, list | tuple):
        entries = [normal(entry) for entry in default]
        return entries[0] if all(entry == entries[0] for entry in entries) else entries
    if isinstance(default, str):
        return default.lower()
    return (bool, default) if isinstance(default, bool) else default
