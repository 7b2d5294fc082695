"""Weights of other implementations, rearranged for the layers here.

`import_weights(spec, table, checkpoint)` by a table; by hand `set_weights(layer, tensorflow1.conv_lstm(…))`.
"""

from specbuild.model.mapping import pytorch, tensorflow1
from specbuild.model.mapping.assign import WeightsMismatch, named_weights, set_weights
from specbuild.model.mapping.weights import arranged_weights, import_weights

__all__ = [
    "WeightsMismatch",
    "arranged_weights",
    "import_weights",
    "named_weights",
    "pytorch",
    "set_weights",
    "tensorflow1",
]
