"""The memory of the device that trains, what a step takes of it, and the batch sizes that fit.

Nothing here imports a framework, except `room`, which asks it for its device.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from specbuild.data.samples.base import Samples
from specbuild.document import SpecbuildError, SpecError
from specbuild.document.amounts import in_bytes
from specbuild.facade import build_graph
from specbuild.graph import Graph
from specbuild.graph.memory import StepMemory, step_memory
from specbuild.runs.records import TrainingPolicy

_CONTROL_GROUPS = Path("/sys/fs/cgroup")
_OWN_GROUP = Path("/proc/self/cgroup")
_UNLIMITED = 2**60
"""Version 1 of Linux's control groups reports a larger number if there is no limit."""
SAVING = "data.crop, train.precision=bfloat16 and remat: true on recurrent layers also reduce memory use"
"""What the help says besides a smaller batch size."""


@dataclass(frozen=True, slots=True)
class Room:
    """The total memory that a process can have: of a GPU, or of the machine."""

    bytes: int
    of: str
    accelerator: bool

    @property
    def planned(self) -> int:
        """The part that a batch size may use: half of a machine's memory, since data and other programs need some."""
        return self.bytes * 9 // 10 if self.accelerator else self.bytes // 2


def room() -> Room | None:
    """Return the memory of the device that the framework computes on; None where nothing tells it."""
    from specbuild.model.backend import device_memory, device_name, has_accelerator

    if has_accelerator():
        memory = device_memory()
        return None if memory is None else Room(memory, device_name(), accelerator=True)
    memory = machine_memory()
    return None if memory is None else Room(memory, "this machine", accelerator=False)


def machine_memory(groups: Path = _CONTROL_GROUPS, own: Path = _OWN_GROUP) -> int | None:
    """Return the bytes of memory that a process can have: the machine's, or its control group's where that is less.

    None where the system does not tell, as on Windows.
    """
    try:
        machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None
    return min([machine, *_limits(groups, own)])


def _limits(groups: Path, own: Path) -> Iterator[int]:
    """Yield the limits of the control groups that this process is in, of both versions of Linux's."""
    try:
        lines = own.read_text("utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers and "memory" not in controllers.split(","):
            continue
        root, name = (groups / "memory", "memory.limit_in_bytes") if controllers else (groups, "memory.max")
        folder = root / path.strip("/")
        # In a container the path may be that of the host, which is not there; the limit then stands at the root.
        for place in (folder, *folder.parents):
            if not place.is_relative_to(root):
                break
            limit = _number(place / name)
            if limit is not None and limit < _UNLIMITED:
                yield limit


def _number(file: Path) -> int | None:
    try:
        return int(file.read_text("ascii"))
    except (OSError, ValueError):
        return None


@dataclass(frozen=True, slots=True)
class Demand:
    """What training a graph takes of the memory of a device, for any number of samples in a batch."""

    graph: Graph
    bytes_per_number: int
    devices: int = 1
    """How many share a batch, each with a memory of its own."""
    available: int | None = None
    """The samples that there are for a batch, where an epoch is one pass over them."""

    def held(self, batch_size: int) -> int:
        """Return how many samples a batch has."""
        return batch_size if self.available is None else min(batch_size, self.available)

    def of(self, batch_size: int) -> StepMemory:
        """The memory that a step takes of the device with most samples."""
        share = -(-self.held(batch_size) // self.devices)
        memory = step_memory(self.graph, share, bytes_per_number=self.bytes_per_number)
        assert memory is not None
        return memory

    def fitting(self, bytes: int) -> int:
        """Return how many samples are sure to fit if each device has so many bytes; 0 if not even one is."""
        none, one = self.of(0).most, self.of(1).most
        return self.devices * max(0, (bytes - none) // max(one - none, 1))


def demand(graph: Graph, samples: Samples | None, precision: TrainingPolicy, devices: int = 1) -> Demand | None:
    """Return what training takes; None where a length is known neither from the spec nor from the data.

    Args:
        graph: of the model.
        samples: its data, from which lengths are read that the spec leaves open; None: they are not looked at.
        precision: of the computation.
        devices: how many share a batch, each with a memory of its own.
    """
    number = 2 if precision == "mixed_bfloat16" else 4
    if step_memory(graph, 1) is None:
        closed = _closed(graph, samples) if samples is not None else None
        if closed is None or step_memory(closed, 1) is None:
            return None
        graph = closed
    available = None
    if samples is not None and graph.spec.train.steps_per_epoch is None:
        available = len(samples.split("train"))
    return Demand(graph, number, devices, available)


def _closed(graph: Graph, samples: Samples) -> Graph | None:
    """Return the graph with the lengths that its first training sample has; None where it cannot be read or built."""
    try:
        x, _, _ = samples.sampler("train", 1, graph.spec.train.seed, shuffle=False).batch(0, 0)
        spec = graph.spec
        inputs = tuple(
            replace(each, section=each.section.model_copy(update={"shape": tuple(_of(x, each.id).shape[1:])}))
            for each in spec.inputs
        )
        return build_graph(replace(spec, inputs=inputs))
    except (SpecbuildError, OSError, KeyError):  # training itself will say what is wrong
        return None


def _of(x: Any, name: str) -> Any:
    return x[name] if isinstance(x, dict) else x


def largest_power_of_two(most: int) -> int:
    """Return the largest power of two up to `most`, at least 1."""
    return 1 << max(most.bit_length() - 1, 0)


def check_fits(graph: Graph, needed: Demand, room: Room) -> None:
    """Refuse a batch size that cannot fit.

    Raises:
        SpecError: even the least that a step may take is more than there is.
    """
    spec = graph.spec
    size = spec.batch_size
    memory = needed.of(size)
    if memory.least <= room.bytes:
        return
    raise cannot_fit(graph, needed, room)


def cannot_fit(graph: Graph, needed: Demand, room: Room) -> SpecError:
    """Return the error of a batch size that cannot fit, with the largest that is predicted to."""
    spec = graph.spec
    size = spec.batch_size
    fixed = next((x for x in spec.inputs if x.section.batch is not None), None)
    path = ("inputs", fixed.id, "batch") if fixed is not None else ("train", "batch_size")
    fitting = min(needed.fitting(room.bytes), size - 1)
    if fitting < 1:
        help = SAVING
    elif fixed is not None:
        help = f"write at most batch: {largest_power_of_two(fitting)} there; {SAVING}"
    else:
        help = f"--set train.batch_size={largest_power_of_two(fitting)} is predicted to fit; {SAVING}"
    memory = needed.of(size)
    return spec.error(
        path,
        f"a training step with a batch size of {size} does not fit into the memory of {room.of}",
        reason=f"it takes at least {in_bytes(memory.least)}, probably {in_bytes(memory.bytes)}, and {room.of} has "
        f"{in_bytes(room.bytes)}",
        help=help,
        code="memory",
    )
