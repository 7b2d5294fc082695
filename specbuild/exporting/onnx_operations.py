"""Operations of TensorFlow that tf2onnx cannot convert, for models and transforms that use them."""

from __future__ import annotations

from typing import Any

import numpy as np
from tf2onnx.handler import tf_op
from tf2onnx.onnx_opset.controlflow import Select as _Select
from tf2onnx.utils import make_name


def _one(context: Any, node: Any) -> str:
    """Return the name of a new constant 1 of the type of a node's input."""
    dtype = {1: np.float32, 10: np.float16, 11: np.float64}[context.get_dtype(node.input[0])]
    return str(context.make_const(make_name(node.name), np.array(1, dtype)).name)


@tf_op("Log1p")
class Log1p:
    """log(1 + x)"""

    @classmethod
    def version_7(cls, context: Any, node: Any, **_: Any) -> None:
        """Replace a node."""
        node.type = "Log"
        context.insert_new_node_on_input(node, "Add", [node.input[0], _one(context, node)])


@tf_op("Expm1")
class Expm1:
    """exp(x) − 1"""

    @classmethod
    def version_7(cls, context: Any, node: Any, **_: Any) -> None:
        """Replace a node."""
        one = _one(context, node)
        (output,) = node.output
        node.type = "Exp"
        context.insert_new_node_on_output("Sub", output, name=make_name(node.name), inputs=[output, one])


@tf_op(["Select", "SelectV2"])
class Select:
    """A choice between two values, which tf2onnx makes a sum of products: with NaN and 0 that is NaN."""

    @classmethod
    def version_9(cls, context: Any, node: Any, **keywords: Any) -> None:
        """Replace a node by `Where`."""
        node.set_attr("handles_nan", True)
        _Select.version_9(context, node, **keywords)
