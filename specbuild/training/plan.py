"""What is decided once the data are open, before a model is built: precision, batch size, and whether a step fits."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from specbuild.data.samples.base import Samples
from specbuild.document.amounts import in_bytes
from specbuild.graph import Graph
from specbuild.runs.compatibility import Change
from specbuild.runs.folder import RunFolder
from specbuild.runs.records import TrainingPolicy
from specbuild.training.batch_size import chosen_size, is_left_open, with_batch_size, with_changed_size
from specbuild.training.capacity import SAVING, Demand, Room, check_fits, demand, room
from specbuild.training.hosts import ALONE, Processes
from specbuild.training.policy import policy_for


@dataclass(frozen=True, slots=True)
class Plan:
    """How a graph is going to be trained. Its graph has a batch size, and `changes` are those of a resumed run."""

    graph: Graph
    precision: TrainingPolicy
    changes: tuple[Change, ...]
    notes: tuple[str, ...]
    """What the user should know of what was chosen."""
    memory: str
    """A line of plain ASCII on the memory of a step; empty where it is not known."""


def planned(
    graph: Graph,
    dataset: Samples,
    folder: RunFolder | None,
    changes: tuple[Change, ...] = (),
    processes: Processes = ALONE,
) -> Plan:
    """Decide how a graph is trained on its data, in a new run or (with `folder`) in one that is continued.

    Loads the framework, which knows the device. Where several processes train together, the first one chooses.

    Raises:
        SpecError: a step with the batch size of the spec cannot fit into the device's memory.
    """
    from specbuild.training.devices import chosen

    precision, there, open = _precision(graph, folder, changes), room(), is_left_open(graph)
    taken = chosen((with_batch_size(graph, sys.maxsize) if open else graph).spec)
    devices = taken.parts
    # The devices that a processor is divided into share the memory of the machine; processes may be on several hosts.
    apart = devices if there is not None and there.accelerator else processes.count
    needed = demand(graph, dataset, precision, apart)
    if taken.height > 1:
        needed = None  # what a part of the height takes is not known
    notes = []
    if open:
        size = processes.of_first("batch size", lambda: chosen_size(graph, dataset, needed, there, devices))
        graph, changes = with_batch_size(graph, size), with_changed_size(changes, size)
        notes.append(f"train.batch_size: auto is {size} here")
    if needed is not None and there is not None:
        check_fits(graph, needed, there)
        notes += _doubts(graph, needed, there)
    return Plan(graph, precision, changes, tuple(notes), memory_line(graph, dataset, needed, there))


def _precision(graph: Graph, folder: RunFolder | None, changes: tuple[Change, ...]) -> TrainingPolicy:
    """Return the dtype policy: of a resumed run the one that it has, unless the spec changes it now."""
    if folder is None or any(change.path == "train.precision" for change in changes):
        return policy_for(graph.spec.train.precision)
    known: TrainingPolicy = folder.manifest()["precision"]
    return known


def _doubts(graph: Graph, needed: Demand, there: Room) -> list[str]:
    """Return a note where a step probably does not fit."""
    memory = needed.of(graph.spec.batch_size).bytes
    if memory <= there.bytes:
        return []
    return [
        f"a training step probably takes {in_bytes(memory)}, more than the {in_bytes(there.bytes)} of {there.of}; if "
        f"it fails, {SAVING}"
    ]


def memory_line(graph: Graph, dataset: Samples, needed: Demand | None, there: Room | None) -> str:
    """Return a line of plain ASCII: `memory: about 1.2 GiB for a training step with 8 windows; gpu:0 has 15.6 GiB`."""
    if needed is None:
        return ""
    size = needed.held(graph.spec.batch_size)
    has = f"; {there.of} has {in_bytes(there.bytes)}" if there is not None else ""
    counted = dataset.counted if size > 1 else dataset.counted.removesuffix("s")
    return f"memory: about {in_bytes(needed.of(size).bytes)} for a training step with {size} {counted}{has}"


def memory_of_step(graph: Graph, dataset: Samples) -> str:
    """Return the line on the memory of a step where no framework is loaded, which would know the device."""
    known: TrainingPolicy = "mixed_bfloat16" if graph.spec.train.precision == "bfloat16" else "float32"
    line = memory_line(graph, dataset, demand(graph, dataset, known), None)
    return f"{line}; train.batch_size: auto is chosen when training begins" if line and is_left_open(graph) else line
