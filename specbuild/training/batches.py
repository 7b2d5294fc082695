"""Batches for Keras: prepared by background threads, and with the true frames that scheduled sampling reads."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from specbuild.data.samples.sampler import EVERY
from specbuild.graph import Graph
from specbuild.model.backend import keras
from specbuild.training.devices import Devices


class BatchSource(Protocol):
    """Source of the batches of one split: the same batch for the same epoch and index."""

    def __len__(self) -> int: ...

    def batch(self, epoch: int, index: int, rows: slice = EVERY) -> tuple[Any, Any, Any]:
        """Inputs, targets and weights (None: all equal) of some rows of a batch, which alone are read."""

    def numbers(self, epoch: int, index: int) -> list[int]:
        """The samples of a batch by number, those that other processes read among them."""

    def sized(self, batch_size: int) -> BatchSource:
        """The same samples in batches of another size."""


class Batches(keras.utils.PyDataset):  # type: ignore[misc]
    """Batches that background threads prepare while the model computes; their number does not change which ones.

    With `first_epoch` they go on epoch after epoch as one sequence, so that the next epoch's first batches are ready
    when it begins; without, they are one pass, the same every time. The first `first_step` batches are left out.
    """

    def __init__(
        self,
        source: BatchSource,
        workers: int,
        first_epoch: int | None = None,
        first_step: int = 0,
        devices: Devices | None = None,
    ) -> None:
        super().__init__(workers=workers, use_multiprocessing=False, max_queue_size=max(8, 2 * workers))
        self._devices = devices
        self._source, self._first_epoch, self._first_step = source, first_epoch, first_step
        self.failure: Exception | None = None

    @property
    def num_batches(self) -> int | None:
        return len(self._source) if self._first_epoch is None else None

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        epoch, step = divmod(index + self._first_step, len(self._source))
        try:
            return placed(self._source, (self._first_epoch or 0) + epoch, step, self._devices)
        except Exception as error:
            self.failure = error
            raise


def placed(source: BatchSource, epoch: int, index: int, devices: Devices | None) -> tuple[Any, ...]:
    """Return a batch as Keras takes it, without weights where all are equal, and where the devices read it."""
    x, y, weight = source.batch(epoch, index)
    batch = (x, y) if weight is None else (x, y, weight)
    return batch if devices is None else devices.place(batch, lambda: len(source.numbers(epoch, index)))


def for_outputs(graph: Graph, source: BatchSource) -> BatchSource:
    """Return batches whose targets and weights are arranged as the model gives its outputs.

    The model gives a dict where the spec names its outputs, otherwise a sequence, or the one output alone.
    """
    data = graph.spec.data
    if data is None or not data.targets or graph.spec.named_outputs:
        return source
    return _Arranged(source, tuple(output.name for output in graph.outputs))


@dataclass(frozen=True)
class _Changed:
    """The batches of a source, changed one by one."""

    source: BatchSource

    def __len__(self) -> int:
        return len(self.source)

    def sized(self, batch_size: int) -> BatchSource:
        return replace(self, source=self.source.sized(batch_size))

    def numbers(self, epoch: int, index: int) -> list[int]:
        return self.source.numbers(epoch, index)

    def batch(self, epoch: int, index: int, rows: slice = EVERY) -> tuple[Any, Any, Any]:
        return self._changed(*self.source.batch(epoch, index, rows))

    def _changed(self, x: Any, y: Any, weight: Any) -> tuple[Any, Any, Any]:
        raise NotImplementedError


def part(source: BatchSource, process: int, processes: int, parts: int) -> BatchSource:
    """Return the rows of each batch that one of several processes computes.

    Args:
        source: of whole batches.
        process: the number of the process.
        processes: how many there are.
        parts: into how many equal ones their devices divide a batch. Of one that does not divide so, as the last of a
            pass may not, every process gets all rows.
    """
    return _Part(source, process, processes, parts) if processes > 1 else source


@dataclass(frozen=True)
class _Part(_Changed):
    process: int
    processes: int
    parts: int

    def batch(self, epoch: int, index: int, rows: slice = EVERY) -> tuple[Any, Any, Any]:
        count = len(self.numbers(epoch, index))
        if count % self.parts == 0:
            share = count // self.processes
            rows = slice(self.process * share, (self.process + 1) * share)
        return self.source.batch(epoch, index, rows)


@dataclass(frozen=True)
class _Arranged(_Changed):
    outputs: tuple[str, ...]

    def _changed(self, x: Any, y: Any, weight: Any) -> tuple[Any, Any, Any]:
        return x, self._of(y), None if weight is None else self._of(weight)

    def _of(self, parts: Any) -> Any:
        values = tuple(parts[name] for name in self.outputs)  # a list would be one tensor to TensorFlow
        return values if len(values) > 1 else values[0]


def has_scheduled_sampling(graph: Graph) -> bool:
    """Return whether training reads true frames: an autoregressive node has a schedule for them."""
    return any(node.teacher for node in graph.nodes)


def with_true_frames(graph: Graph, source: BatchSource, *, shown: bool = True) -> BatchSource:
    """Return the batches as the training model of a graph reads them.

    Where the model has scheduled sampling, the inputs are `(*x, true frames (B, horizon, *frame))`: the last frames of
    the target, which has the transform of the input. With `shown` False they are zeros, for validation.

    Raises:
        SpecError: no output is compared with all future frames.
    """
    if not has_scheduled_sampling(graph):
        return source
    targets = graph.spec.require_data().targets
    future = next((name for name, target in targets.items() if target.is_future), "")
    if targets and not future:
        raise graph.spec.error(
            ("data", "targets"),
            "scheduled sampling reads the true future frames, and no target is all of them",
            help="compare an output with future, or leave sampling out",
            code="data-shape",
        )
    return _WithTrueFrames(source, graph, shown, future)


@dataclass(frozen=True)
class _WithTrueFrames(_Changed):
    graph: Graph
    shown: bool
    target: str
    """The output whose target they are, of several."""

    def _changed(self, x: Any, y: Any, weight: Any) -> tuple[Any, Any, Any]:
        horizons = [getattr(node.layer, "horizon", 1) for node in self.graph.nodes if node.teacher]
        true = y[self.target] if self.target else y
        true = true if self.shown else np.zeros_like(true)
        inputs = [x[given.id] for given in self.graph.inputs] if isinstance(x, dict) else [x]
        return (*inputs, *(true[:, -horizon:] for horizon in horizons)), y, weight
