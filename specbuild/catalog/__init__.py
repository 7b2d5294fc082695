"""Stage 2: the vocabulary. One class per layer kind: its arguments, its shape rule, its weights and its cost."""

from specbuild.catalog.base import Layer, Recurrent
from specbuild.catalog.objects import KerasObject
from specbuild.catalog.registry import KINDS
from specbuild.catalog.shapes import Dim, Shape, ShapeError, Weight, show, size
from specbuild.catalog.wrappers import Bidirectional, TimeDistributed

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
