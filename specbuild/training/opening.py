"""What `train` says before the first epoch: what it trains, on which data and where."""

from __future__ import annotations

from pathlib import Path

from specbuild.data.samples.base import Samples
from specbuild.graph import Graph


def opening(graph: Graph, dataset: Samples, folder: Path, precision: str) -> list[str]:
    """Two lines of plain ASCII. Imports Keras, which knows the device."""
    from specbuild.model.backend import device_name

    source, section = dataset.source, dataset.section
    size = _by(source.space)
    events = f"{source.events} events of " if source.events > 1 else ""
    crops = f", read in crops of {_by(dataset.layout.crop)}" if section.crop is not None else ""
    samples = ", ".join(f"{len(found)} {split}" for split, found in dataset.splits.items())
    least, most = min(source.lengths), max(source.lengths)
    count = f"{events}{most} frames" if least == most else f"{events}{least} to {most} frames"
    frames = f"{count} of {size}" if size else count
    return [
        f"data: {section.source.label}, {frames}{crops}; {dataset.counted}: {samples}",
        f"model: {graph.parameters:,} parameters, {precision} on {device_name()}, into {folder}",
    ]


def _by(lengths: tuple[int, ...]) -> str:
    return " x ".join(str(length) for length in lengths)
