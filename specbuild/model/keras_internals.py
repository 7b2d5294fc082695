"""All private names of Keras that specbuild uses. Imports Keras.

Tested with Keras 3.15. A test names those that a new version no longer has.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any

from specbuild.model.backend import keras

TRIED = "3.15"
"""The version of Keras that this module was last tested with."""
USED: Mapping[str, str] = MappingProxyType(
    {
        "Functional._nodes_by_depth": "the layers of a model in the order in which they run",
        "Functional._standardize_inputs": "the inputs of a model as one list",
        "Layer._flatten_layers": "the layers inside of a layer, with those of lists and cells",
        "Layer._inbound_nodes": "what a layer of a model is called with",
        "Layer._seed_generators": "the generators of a layer that draws random numbers",
        "Model._eval_epoch_iterator": "the batches that validation reads, which are released when it breaks off",
        "Model._symbolic_build": "the variables of metrics, before the first step",
        "keras.src.backend.get_keras_mask": "the mask of a tensor, in the attribute _keras_mask",
        "keras.src.backend.common.global_state": "variables that wait for their first values",
    }
)
"""Each name, and what it gives us."""


def nodes_in_order(model: Any) -> list[Any]:
    """Return the calls that a functional model consists of, each behind those whose outputs it reads."""
    return [node for depth in sorted(model._nodes_by_depth, reverse=True) for node in model._nodes_by_depth[depth]]


def standardized_inputs(model: Any, inputs: Any) -> list[Any]:
    """Return the inputs of a call of a functional model in standard form: one tensor each, of its rank and type."""
    given: list[Any] = model._standardize_inputs(inputs)
    return given


def layers_inside(layer: Any) -> Iterator[Any]:
    """Yield a layer, and every layer inside of it: of a model, a wrapper, a list, a cell."""
    yield from layer._flatten_layers()


def calls_of(layer: Any) -> list[Any]:
    """Return the nodes in which a layer is called; `node.arguments.kwargs` are those of the call."""
    nodes: list[Any] = layer._inbound_nodes
    return nodes


def seed_generators(layer: Any) -> list[Any]:
    """Return the generators of random numbers that are a layer's own."""
    generators: list[Any] = layer._seed_generators
    return generators


def build_metrics(model: Any, batch: tuple[Any, ...]) -> None:
    """Make the variables of loss and metrics for batches like this one: inputs, targets and perhaps weights."""
    model._symbolic_build(data_batch=batch)


def release_validation(model: Any) -> None:
    """Make a model drop its iterator over the validation batches."""
    model._eval_epoch_iterator = None


def mask_of(tensor: Any) -> Any:
    """Return the mask that Masking, Embedding or a layer behind them gave a tensor; None without one."""
    return getattr(tensor, "_keras_mask", None)


def set_mask(tensor: Any, mask: Any) -> None:
    """Give a tensor a mask, which the next layer reads."""
    tensor._keras_mask = mask


@contextmanager
def without_memory() -> Iterator[None]:
    """Give the weights of layers that are built inside their shapes, and never any numbers."""
    from keras.src.backend.common import global_state

    waiting = "uninitialized_variables"
    before = list(global_state.get_global_attribute(waiting) or ())
    with keras.StatelessScope(initialize_variables=False):
        try:
            yield
        finally:  # Keras would fill them at the end of the next such scope
            global_state.set_global_attribute(waiting, before)
