"""Operations of TensorFlow that tf2onnx cannot convert, or not with NaN, for models and transforms that use them.

They are passed to tf2onnx with each conversion, so that other conversions in the same process do not use them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from tf2onnx.constants import TENSORFLOW_OPSET
from tf2onnx.handler import tf_op
from tf2onnx.utils import make_name, map_onnx_to_numpy_type

Handler = Callable[[Any, Any, str, Any], None]
"""Replaces a node of a graph, by the interface of tf2onnx: the graph, the node, its name and further arguments."""


def _one(graph: Any, node: Any) -> str:
    """Return the name of a new constant 1 of the type of a node's input."""
    dtype = map_onnx_to_numpy_type(graph.get_dtype(node.input[0]))
    return str(graph.make_const(make_name(node.name), np.array(1, dtype)).name)


def log1p(graph: Any, node: Any, _name: str, _arguments: Any) -> None:
    """log(1 + x)"""
    node.type = "Log"
    graph.insert_new_node_on_input(node, "Add", [node.input[0], _one(graph, node)])


def expm1(graph: Any, node: Any, _name: str, _arguments: Any) -> None:
    """exp(x) − 1"""
    one = _one(graph, node)
    (output,) = node.output
    node.type = "Exp"
    graph.insert_new_node_on_output("Sub", output, name=make_name(node.name), inputs=[output, one])


def erfc(graph: Any, node: Any, _name: str, _arguments: Any) -> None:
    """1 − erf(x)"""
    one = _one(graph, node)
    (output,) = node.output
    node.type = "Erf"
    graph.insert_new_node_on_output("Sub", output, name=make_name(node.name), inputs=[one, output])


def select(_graph: Any, node: Any, _name: str, _arguments: Any) -> None:
    """A choice between two values, which tf2onnx makes a sum of products: with NaN and 0 that is NaN."""
    node.type = "Where"


HANDLERS: dict[str, Handler] = {"Log1p": log1p, "Expm1": expm1, "Erfc": erfc, "SelectV2": select}
"""By the name of the operation in TensorFlow."""


@contextmanager
def kept_handlers() -> Iterator[None]:
    """Take back what a conversion with handlers of its own registers for the process, which tf2onnx leaves there."""
    opsets, domain = tf_op.get_opsets(), TENSORFLOW_OPSET.domain
    before = [dict(handlers) for handlers in opsets.get(domain, ())]
    try:
        yield
    finally:
        opsets[domain] = before
