"""How the tests of our recurrent layers fill weights and take gradients, on any backend."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from specbuild.model.backend import backend_name, keras
from specbuild.model.mapping import named_weights

Weights = dict[str, np.ndarray]


EXACT = "float64" if backend_name() == "tensorflow" else "float32"
"""The precision to compare in. On JAX Keras's tanh is one of single precision, whatever its input."""
NEAR = {"float64": 1e-10, "float32": 2e-5}[EXACT]
NEAR_SLOPE = {"float64": 1e-6, "float32": 1e-3}[EXACT]
"""Relative differences that rounding explains, of outputs and of gradients beside numerical ones."""


def clip(*shape: int, seed: int = 0) -> np.ndarray:
    """Random numbers in double precision that single precision, which Keras feeds to models, holds exactly."""
    return np.random.default_rng(seed).normal(size=shape).astype("float32").astype("float64")


def filled(layer: Any, shape: tuple[int, ...], seed: int = 1) -> Weights:
    """Builds the layer for inputs of a shape, and gives it weights that no symmetry hides: none is zero or one."""
    if not layer.built:
        layer.build(shape)
    rng = np.random.default_rng(seed)
    weights = {}
    for name, weight in named_weights(layer).items():
        weights[name] = rng.uniform(0.2, 0.5, weight.shape) * rng.choice([-1, 1], weight.shape)
        weight.assign(weights[name])
    return weights


def numbers(tensor: Any) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(tensor))


def gradients(layer: Any, x: np.ndarray, target: Any = 0.0) -> Weights:
    """The gradient of the mean squared difference of a layer's outputs from a target with respect to each weight.

    Taken from one step of gradient descent with rate one, so that the backend does not matter.
    """
    inputs = keras.Input(x.shape[1:], dtype=layer.compute_dtype)
    outputs = layer(inputs)
    model = keras.Model(inputs, outputs)
    before = {name: numbers(weight) for name, weight in named_weights(layer).items()}
    model.compile(keras.optimizers.SGD(1.0), "mse", jit_compile=False)
    model.train_on_batch(x, np.broadcast_to(target, (len(x), *outputs.shape[1:])))
    after = {name: numbers(weight) for name, weight in named_weights(layer).items()}
    for name, weight in named_weights(layer).items():
        weight.assign(before[name])
    return {name: before[name] - after[name] for name in before}


def slopes(loss: Callable[[Mapping[str, Any]], Any], given: Weights) -> Weights:
    """The gradient of `loss`, a number made with keras.ops, with respect to each of the arrays given; and its value."""
    value, found = {"tensorflow": _taped, "jax": _traced}[backend_name()](loss, given)
    return {"loss": numbers(value), **{name: numbers(found[name]) for name in given}}


def _taped(loss: Callable[[Mapping[str, Any]], Any], given: Weights) -> tuple[Any, dict[str, Any]]:
    import tensorflow as tf

    tensors = {name: tf.constant(array, EXACT) for name, array in given.items()}
    with tf.GradientTape() as tape:
        tape.watch(list(tensors.values()))
        value = loss(tensors)
    return value, tape.gradient(value, tensors, unconnected_gradients="zero")


def _traced(loss: Callable[[Mapping[str, Any]], Any], given: Weights) -> tuple[Any, dict[str, Any]]:
    import jax

    return jax.value_and_grad(loss)({name: jax.numpy.asarray(array, EXACT) for name, array in given.items()})


def numerical(loss: Callable[[Mapping[str, np.ndarray]], float], weights: Weights, name: str, direction: Any) -> float:
    """The derivative of `loss` along a direction of one weight, by central differences."""
    step = 1e-5
    ahead = loss({**weights, name: weights[name] + step * direction})
    behind = loss({**weights, name: weights[name] - step * direction})
    return (ahead - behind) / (2 * step)
