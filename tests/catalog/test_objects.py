"""What a user reads about activations, initializers, optimizers and the like, and where."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import Any, get_args

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from specbuild.catalog.object_limits import LIMITS
from specbuild.catalog.objects import (
    Activation,
    Constraint,
    Initializer,
    KerasObject,
    Loss,
    Metric,
    Optimizer,
    Regularizer,
    Schedule,
    as_mapping_of_arguments,
    keras_object,
)
from specbuild.catalog.signatures import Family, keras_version, names, signature


class Holder(BaseModel):
    """One field of each family."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    activation: Activation = Field("relu", validate_default=True)
    constraint: Constraint = None
    initializer: Initializer = Field("glorot_uniform", validate_default=True)
    loss: Loss = Field("mse", validate_default=True)
    metric: Metric = Field("mae", validate_default=True)
    optimizer: Optimizer = Field("adam", validate_default=True)
    regularizer: Regularizer = None
    schedule: Schedule | None = None


def test_a_name_is_kept_as_written() -> None:
    held = Holder(activation="relu", loss="mse", optimizer="Adam")
    assert (held.activation, held.loss, held.optimizer) == tuple(map(KerasObject, ("relu", "mse", "Adam")))
    assert Holder(initializer="glorot_uniform") == Holder()


def test_arguments_are_kept_as_written() -> None:
    held = Holder(activation={"name": "leaky_relu", "negative_slope": 1})
    assert held.activation == KerasObject("leaky_relu", {"negative_slope": 1})
    assert Holder(initializer={"name": "he_normal"}) == Holder(initializer="he_normal")


def test_a_learning_rate_may_be_a_schedule() -> None:
    schedule = {"name": "CosineDecay", "initial_learning_rate": 1e-3, "decay_steps": 100}
    held = Holder(optimizer={"name": "Adam", "learning_rate": schedule, "clipnorm": 1.0})
    arguments = {"initial_learning_rate": 1e-3, "decay_steps": 100}
    expected = {"learning_rate": KerasObject("CosineDecay", arguments), "clipnorm": 1.0}
    assert held.optimizer == KerasObject("Adam", expected)
    assert held.optimizer.written() == {"name": "Adam", "learning_rate": schedule, "clipnorm": 1.0}


def test_null_is_an_answer_where_keras_knows_none() -> None:
    held = Holder(activation=None, constraint=None, regularizer=None)
    assert (held.activation, held.constraint, held.regularizer) == (None, None, None)


def test_a_plugin_s_name_and_arguments_are_left_to_its_class() -> None:
    held = Holder(loss={"name": "my_losses>Balanced", "weights": {"heavy": 30}})
    assert held.loss == KerasObject("my_losses>Balanced", {"weights": {"heavy": 30}})


def test_it_dumps_as_a_spec_would_say_it() -> None:
    held = Holder(activation={"name": "leaky_relu", "negative_slope": 0.2})
    dumped = held.model_dump()
    assert dumped["activation"] == {"name": "leaky_relu", "negative_slope": 0.2}
    assert (dumped["loss"], dumped["regularizer"]) == ("mse", None)
    assert Holder(**dumped) == held


RATE = {"name": "CosineDecay", "initial_learning_rate": 0.1, "decay_steps": 9}
FAULTS: list[tuple[str, Any, tuple[str, ...], str]] = [
    ("activation", "rellu", (), 'no activation is called "rellu"; did you mean "relu"?'),
    ("activation", "Relu", (), 'no activation is called "Relu"; did you mean "relu"?'),
    ("activation", "xyzzy", (), 'no activation is called "xyzzy"'),
    ("activation", {"name": "rellu"}, ("name",), 'no activation is called "rellu"; did you mean "relu"?'),
    (
        "activation",
        {"name": "leaky_relu", "slope": 0.2},
        ("slope",),
        'leaky_relu has no argument "slope"; did you mean "negative_slope"?',
    ),
    ("activation", {"name": "tanh", "slope": 1}, ("slope",), 'tanh has no argument "slope"; it takes none'),
    (
        "activation",
        {"name": "relu", "max_value": "six"},
        ("max_value",),
        'relu expects a number of at least 0 or null for max_value, got "six"',
    ),
    (
        "activation",
        {"name": "gelu", "approximate": 1},
        ("approximate",),
        "gelu expects true or false for approximate, got 1",
    ),
    ("activation", 3, (), "expected the name of an activation or {name: …, and its arguments}, got 3"),
    ("activation", ["relu"], (), 'expected the name of an activation or {name: …, and its arguments}, got ["relu"]'),
    (
        "activation",
        {"negative_slope": 0.2},
        (),
        'expected the name of an activation or {name: …, and its arguments}, got {"negative_slope": 0.2}',
    ),
    ("initializer", None, (), "expected the name of an initializer or {name: …, and its arguments}, got null"),
    ("initializer", "he_norma", (), 'no initializer is called "he_norma"; did you mean "he_normal"?'),
    (
        "initializer",
        {"name": "VarianceScaling", "mode": 1},
        ("mode",),
        "VarianceScaling expects fan_in, fan_out or fan_avg for mode, got 1",
    ),
    ("regularizer", {"name": "l2", "l2": "1e-4"}, ("l2",), 'l2 expects a number of at least 0 for l2, got "1e-4"'),
    ("regularizer", {"name": "l2", "l2": True}, ("l2",), "l2 expects a number of at least 0 for l2, got true"),
    ("regularizer", {"name": "l2", "l2": float("nan")}, ("l2",), "l2 expects a number of at least 0 for l2, got .nan"),
    ("constraint", {"name": "MaxNorm", "max": 2}, ("max",), 'MaxNorm has no argument "max"; did you mean "max_value"?'),
    (
        "constraint",
        {"name": "MaxNorm", "axis": "all"},
        ("axis",),
        'MaxNorm expects a number or a list of numbers for axis, got "all"',
    ),
    ("loss", "mean_square_error", (), 'no loss is called "mean_square_error"; did you mean "mean_squared_error"?'),
    ("loss", {"name": "Huber", "delta": None}, ("delta",), "Huber expects a number above 0 for delta, got null"),
    ("metric", {"name": "MeanIoU"}, (), "MeanIoU needs the argument num_classes"),
    (
        "metric",
        {"name": "IoU", "num_classes": 2, "target_class_ids": 1},
        ("target_class_ids",),
        "IoU expects a list of whole numbers of at least 0 for target_class_ids, got 1",
    ),
    ("optimizer", "Adm", (), 'no optimizer is called "Adm"; did you mean "Adam"?'),
    ("optimizer", {"name": "Adam", "lr": 0.1}, ("lr",), 'Adam has no argument "lr"; did you mean "learning_rate"?'),
    (
        "optimizer",
        {"name": "Adam", "learning_rate": None},
        ("learning_rate",),
        "Adam expects a number or a learning-rate schedule for learning_rate, got null",
    ),
    (
        "optimizer",
        {"name": "Adam", "learning_rate": "CosineDecy"},
        ("learning_rate",),
        'no learning-rate schedule is called "CosineDecy"; did you mean "CosineDecay"?',
    ),
    (
        "optimizer",
        {"name": "Adam", "learning_rate": {**RATE, "alpa": 0.1}},
        ("learning_rate", "alpa"),
        'CosineDecay has no argument "alpa"; did you mean "alpha"?',
    ),
    (
        "optimizer",
        {"name": "SGD", "nesterov": "yes"},
        ("nesterov",),
        'SGD expects true or false for nesterov, got "yes"',
    ),
    ("schedule", "CosineDecay", (), "CosineDecay needs the argument initial_learning_rate"),
]


@pytest.mark.parametrize(("field", "value", "place", "message"), FAULTS)
def test_faults_are_named_at_their_place(field: str, value: Any, place: tuple[str, ...], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Holder(**{field: value})
    first = caught.value.errors()[0]
    assert (first["loc"], first["msg"]) == ((field, *place), message)


def test_all_faults_are_named_at_once() -> None:
    with pytest.raises(ValidationError) as caught:
        Holder(optimizer={"name": "Adam", "beta1": 0.5, "learning_rate": {"name": "CosineDecay", "decay_step": 9}})
    assert [(fault["loc"][1:], fault["type"], fault["msg"]) for fault in caught.value.errors()] == [
        (("beta1",), "specbuild.unknown_argument", 'Adam has no argument "beta1"; did you mean "beta_1"?'),
        (
            ("learning_rate", "decay_step"),
            "specbuild.unknown_argument",
            'CosineDecay has no argument "decay_step"; did you mean "decay_steps"?',
        ),
        (("learning_rate",), "specbuild.missing_argument", "CosineDecay needs the argument initial_learning_rate"),
        (("learning_rate",), "specbuild.missing_argument", "CosineDecay needs the argument decay_steps"),
    ]


def test_the_schema_lists_the_names() -> None:
    schema = Holder.model_json_schema()["properties"]["initializer"]
    assert schema["default"] == "glorot_uniform"
    assert "he_normal" in schema["anyOf"][0]["anyOf"][0]["enum"]


def test_aliases_lead_to_keras_s_own_name() -> None:
    mse, rmsprop = signature("losses", "mse"), signature("optimizers", "rmsprop")
    assert mse is not None
    assert rmsprop is not None
    assert (mse.name, rmsprop.name) == ("MeanSquaredError", "RMSprop")
    assert mse.arguments == ("reduction", "dtype")
    assert signature("losses", "unheard_of") is None


def test_layers_take_what_every_layer_takes() -> None:
    dense, dropout = signature("layers", "Dense"), signature("layers", "SpatialDropout2D")
    assert dense is not None
    assert dropout is not None
    assert dense.required == ("units",)
    assert {"trainable", "dtype", "activity_regularizer"} <= set(dense.optional)
    assert "trainable" not in dropout.optional
    assert "Convolution2D" in names("layers")


def test_reading_the_table_loads_no_framework() -> None:
    code = "from specbuild.catalog.signatures import signature; import json, sys; signature('layers', 'Dense'); "
    code += "print(json.dumps([name for name in ('keras', 'tensorflow', 'jax', 'torch') if name in sys.modules]))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(ran.stdout) == []
    assert keras_version().startswith("3.")


@pytest.mark.parametrize("text", ["l2(1)+(2)", "l2(1)(2)", "l2({[]: 1})", "l2(**{'a': 1})", f"l2({'-' * 3000}1)"])
def test_no_rewriting_of_what_is_no_plain_call(text: str) -> None:
    assert as_mapping_of_arguments(text, "regularizers") == ""
    assert as_mapping_of_arguments("l2(1e-8)", "regularizers") == "{name: l2, l2: 1e-08}"


def test_limits_are_those_of_arguments_that_keras_has() -> None:
    known = set[str]()
    for family in get_args(Family):
        for name in names(family):
            arguments = signature(family, name).arguments
            known.update(arguments, (f"{name}.{argument}" for argument in arguments))
    assert known.issuperset(LIMITS)


@pytest.mark.parametrize(
    ("family", "written", "message"),
    [
        ("optimizers", {"name": "Adam", "learning_rate": -1}, "a number of at least 0 for learning_rate, got -1"),
        ("optimizers", {"name": "Adam", "beta_1": 1}, "a number from 0 to below 1 for beta_1, got 1"),
        ("optimizers", {"name": "Adam", "clipnorm": 0}, "a number above 0 or null for clipnorm, got 0"),
        ("optimizers", {"name": "Adam", "weight_decay": -1}, "a number of at least 0 or null for weight_decay, got -1"),
        ("optimizers", {"name": "AdamW", "weight_decay": None}, "a number of at least 0 for weight_decay, got null"),
        (
            "schedules",
            {"name": "CosineDecay", "initial_learning_rate": -1, "decay_steps": 5},
            "a number of at least 0 for initial_learning_rate, got -1",
        ),
        ("regularizers", {"name": "l2", "l2": -1e-4}, "a number of at least 0 for l2, got -0.0001"),
        ("constraints", {"name": "max_norm", "max_value": -1}, "a number of at least 0 for max_value, got -1"),
        ("initializers", {"name": "random_normal", "stddev": -1}, "a number of at least 0 for stddev, got -1"),
        ("losses", {"name": "huber", "delta": 0}, "a number above 0 for delta, got 0"),
    ],
)
def test_what_would_train_the_wrong_way_is_refused(family: Family, written: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(f"{written['name']} expects {message}")):
        keras_object(family, written)


def test_values_that_do_not_fit_each_other() -> None:
    falling = {"name": "PiecewiseConstantDecay", "boundaries": [5, 3], "values": [1, 2, 3]}
    with pytest.raises(ValidationError, match=r"needs increasing boundaries, got \[5, 3\]"):
        keras_object("schedules", falling)
    with pytest.raises(ValidationError, match="expects values of at least 0, got -3"):
        keras_object("schedules", {"name": "PiecewiseConstantDecay", "boundaries": [5], "values": [1, -3]})
    with pytest.raises(ValidationError, match=r"needs a min_value of at most max_value, 1\.0, got 2"):
        keras_object("constraints", {"name": "min_max_norm", "min_value": 2})
