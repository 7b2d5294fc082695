"""What is opened before a model is built: the data, forecasts to compare with, weights to start from, loggers.

No framework is imported, so that `check --data` finds here whatever would stop `train` before its first step.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from specbuild.data import Dataset
from specbuild.data.samples.base import Samples
from specbuild.data.samples.clips import ClipDataset
from specbuild.data.samples.constant import notes_on_constant
from specbuild.data.samples.opening import open_samples
from specbuild.document import SpecError
from specbuild.evaluation.scores import check_scoring
from specbuild.graph import Graph
from specbuild.runs.initial_weights import WeightSource
from specbuild.training.loggers.kinds import loggers_of


def open_for_training(graph: Graph, fitted: Mapping[str, Any] | None = None) -> Samples:
    """Open the data of the graph's spec, with a transform that is fitted now unless it was before.

    Raises:
        SpecError: it does not fit, or cannot be scored as the spec asks.
    """
    dataset = open_samples(graph.spec, graph, transform=fitted)
    if isinstance(dataset, Dataset):
        check_scoring(graph.spec, dataset)
    return dataset


def open_everything(graph: Graph) -> Samples:
    """Open the data as `open_for_training` does, after looking for what `init_from` and `loggers` name.

    Raises:
        SpecError: with what is wrong of both.
    """
    errors = []
    for look in (WeightSource.of, loggers_of):
        try:
            look(graph.spec)
        except SpecError as error:
            errors.append(error)
    try:
        dataset = open_for_training(graph)
    except SpecError as error:
        errors.append(error)
    if errors:
        raise SpecError(diagnostic for error in errors for diagnostic in error.diagnostics)
    return dataset


def notes_at_first(dataset: Samples) -> tuple[str, ...]:
    """Return what a user should know of the training frames before a model is trained on them."""
    if not isinstance(dataset, Dataset):
        return ()
    return notes_on_constant(dataset.source, dataset.split("train").stretches, dataset.section.statistics)


def data_line(dataset: Samples) -> str:
    """Return a line of plain ASCII on the data: `data: rain.nc, 60 frames of 12 x 12; windows: 30 train, 8 test`."""
    source, section = dataset.source, dataset.section
    size = _by(source.space)
    events = f"{source.events} events of " if source.events > 1 else ""
    crops = f", read in crops of {_by(dataset.layout.crop)}" if section.crop is not None else ""
    splits = ", ".join(f"{len(split)} {name}" for name, split in dataset.splits.items())
    least, most = min(source.lengths), max(source.lengths)
    count = f"{events}{most} frames" if least == most else f"{events}{least} to {most} frames"
    frames = f"{count} of {size}" if size else count
    classes = f"{len(dataset.classes)} classes; " if isinstance(dataset, ClipDataset) else ""
    return f"data: {section.source.label}, {frames}{crops}; {classes}{dataset.counted}: {splits}"


def _by(lengths: tuple[int, ...]) -> str:
    return " x ".join(str(length) for length in lengths)
