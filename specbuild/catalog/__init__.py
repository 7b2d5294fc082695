"""Stage 2: the vocabulary. One class per layer kind: its arguments, its shape rule, its weights and its cost."""

from specbuild.catalog import (
    activation,
    arithmetic,
    convolution,
    core,
    frames,
    merging,
    normalization,
    plumbing,
    pooling,
    recurrent,
    regularization,
    reshaping,
)
from specbuild.catalog.base import Layer, Recurrent
from specbuild.catalog.objects import KerasObject
from specbuild.catalog.shapes import Dim, Shape, ShapeError, Weight, show, size
from specbuild.catalog.wrappers import Bidirectional, TimeDistributed

KINDS: dict[str, type[Layer]] = {
    kind.__name__: kind
    for module in (
        recurrent,
        convolution,
        pooling,
        core,
        activation,
        normalization,
        regularization,
        reshaping,
        merging,
        frames,
        plumbing,
        arithmetic,
    )
    for kind in module.KINDS
}
"""What `layer:` can name with a rule of its own. The wrappers have forms of their own in the language."""

__all__ = [
    "KINDS",
    "Bidirectional",
    "Dim",
    "KerasObject",
    "Layer",
    "Recurrent",
    "Shape",
    "ShapeError",
    "TimeDistributed",
    "Weight",
    "show",
    "size",
]
