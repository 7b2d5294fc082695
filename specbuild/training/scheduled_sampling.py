"""Scheduled sampling: training batches whose inputs have the true frames beside them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from specbuild.graph import Graph


class Sampler(Protocol):
    """What gives the batches of one split: the same ones for the same epoch and index."""

    def __len__(self) -> int: ...

    def batch(self, epoch: int, index: int) -> tuple[Any, Any, Any]:
        """Inputs, targets and weights (None: all equal)."""


def is_taught(graph: Graph) -> bool:
    """Whether training reads true frames: an autoregressive node has a schedule for them."""
    return any(node.teacher for node in graph.nodes)


def taught(graph: Graph, sampler: Sampler, *, shown: bool = True) -> Sampler:
    """The batches of a sampler as the training model of a graph reads them.

    Where the model has scheduled sampling, the inputs are `[x, true frames (B, horizon, *frame)]`: the last frames of
    the target, which has the transform of the input. With `shown` False they are zeros, for validation.
    """
    return _Taught(graph, sampler, shown) if is_taught(graph) else sampler


@dataclass(frozen=True)
class _Taught:
    graph: Graph
    sampler: Sampler
    shown: bool

    def __len__(self) -> int:
        return len(self.sampler)

    def batch(self, epoch: int, index: int) -> tuple[Any, Any, Any]:
        x, y, weight = self.sampler.batch(epoch, index)
        horizons = [getattr(node.layer, "horizon", 1) for node in self.graph.nodes if node.teacher]
        true = y if self.shown else np.zeros_like(y)
        return (x, *(true[:, -horizon:] for horizon in horizons)), y, weight
