"""Weights of other implementations, rearranged for the layers here: `set_weights(layer, tensorflow1.conv_lstm(…))`."""

from specbuild.model.mapping import pytorch, tensorflow1
from specbuild.model.mapping.assign import WeightsMismatch, named_weights, set_weights

__all__ = ["WeightsMismatch", "named_weights", "pytorch", "set_weights", "tensorflow1"]
