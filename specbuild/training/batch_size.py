"""`train.batch_size: auto`: the batch size that training chooses, once the data are open."""

from __future__ import annotations

from dataclasses import replace

from specbuild.data.samples.base import Samples
from specbuild.graph import Graph
from specbuild.language.sections.train import AUTO
from specbuild.runs.compatibility import Change
from specbuild.training.capacity import Demand, Room, cannot_fit, largest_power_of_two

LARGEST = 64
"""The largest batch size that is chosen: larger ones need another learning rate, and rarely train faster."""
STEPS = 8
"""The least steps that a pass over the training windows is to have."""


def is_left_open(graph: Graph) -> bool:
    """Return whether training is to choose the batch size: it is auto, and no input fixes it."""
    spec = graph.spec
    return spec.train.batch_size == AUTO and all(x.section.batch is None for x in spec.inputs)


def chosen_size(graph: Graph, dataset: Samples, needed: Demand | None, room: Room | None, devices: int = 1) -> int:
    """Return the batch size for `auto`: the largest power of two that is predicted to fit.

    It is at most `LARGEST`, and leaves at least `STEPS` steps in a pass over the training windows. Several devices each
    have a power of two.

    Args:
        graph: of the model.
        dataset: its data.
        needed: what training takes, as far as that is known.
        room: the memory of each device, as far as that is known.
        devices: how many share a batch.

    Raises:
        SpecError: not even one window fits.
    """
    most = min(LARGEST, len(dataset.split("train")) // STEPS)
    if needed is not None and room is not None:
        if needed.of(1).least > room.bytes:
            raise cannot_fit(graph, needed, room)
        most = min(most, needed.fitting(room.planned))
    return devices * largest_power_of_two(most // devices)


def with_batch_size(graph: Graph, size: int) -> Graph:
    """Return the graph with a batch size in place of `auto`, as an override would set it."""
    spec = graph.spec
    train = spec.train.model_copy(update={"batch_size": size})
    return replace(graph, spec=replace(spec, train=train, overrides=(*spec.overrides, f"train.batch_size={size}")))


def with_changed_size(changes: tuple[Change, ...], size: int) -> tuple[Change, ...]:
    """Return the changes of a resumed run with the batch size that was chosen; without it if that is the old one."""
    path = "train.batch_size"
    return tuple(
        replace(change, after=str(size)) if change.path == path else change
        for change in changes
        if change.path != path or change.before != str(size)
    )
