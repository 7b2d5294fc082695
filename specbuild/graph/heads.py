"""Outputs that are read as distributions: which head each has, and how many channels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from specbuild.catalog.heads import Head
from specbuild.catalog.losses import head_of
from specbuild.catalog.objects import LossSum
from specbuild.catalog.shapes import Dim

if TYPE_CHECKING:
    from specbuild.language import Spec


def output_head(spec: Spec, output: str) -> Head | None:
    """Return how an output is read, by its loss; None where it is the forecast itself."""
    loss = spec.train.loss_of(output)
    return None if loss is None or isinstance(loss, LossSum) else head_of(loss.name, loss.arguments)


def output_channels(spec: Spec, output: str, variables: Dim) -> Dim:
    """Return how many channels an output has for so many variables."""
    head = output_head(spec, output)
    return variables if head is None or variables is None else variables * len(head.parts)
