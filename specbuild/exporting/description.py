"""What an exported model consists of: its graphs, and the name, units and axes of each input and output.

A graph is a functional `keras.Model`. Most models are one graph; a streaming encoder-decoder is two, `observe` and
`forecast`. The manifest is the same as JSON, and lies next to the exported files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

Role: TypeAlias = Literal["frame", "state", "static", "time", "motion"]
"""What a tensor is: frames; the state of a recurrence; a field that does not change; when the frames are; motion."""
Shape: TypeAlias = Literal["whole", "physical", "streaming"]
"""The forms of an exported model: as it is; with physical units in and out; a frame and the states in and out."""
MOTION_FILE = "motion.py"
"""The copy of `specbuild/data/motion.py` beside the graphs; after the export its name begins with that of the model."""


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis of a tensor, such as `time`, `height` or `channel`; a length of None may be any."""

    name: str
    length: int | None


@dataclass(frozen=True, slots=True)
class Computed:
    """How a function in `MOTION_FILE` computes an input from frames before the graph runs.

    Attributes:
        function: of the file.
        of: the input with the frames.
        steps: the time of each frame that the function takes, such as `-5 min`, the last past one being 0.
        may_be_fewer: whether it also takes fewer frames, after a gap or at the beginning of the data.
        arguments: further arguments, by name.
    """

    function: str
    of: str
    steps: tuple[str, ...]
    may_be_fewer: bool
    arguments: Mapping[str, Any]

    def record(self) -> dict[str, Any]:
        """Return the record in the manifest."""
        return {
            "file": MOTION_FILE,
            "function": self.function,
            "of": self.of,
            "frames": len(self.steps),
            "fewer": self.may_be_fewer,
            "steps": list(self.steps),
            "arguments": dict(self.arguments),
        }


@dataclass(frozen=True, slots=True)
class TensorDescription:
    """One input or output of a graph.

    Attributes:
        name: in the graph and in the exported file.
        role: what it is.
        axes: every axis in order; the first is `batch`.
        dtype: such as `float32`.
        units: physical units; empty where it has none, or where the values are as the model reads them.
        description: what it holds, in a sentence.
        initial: of a state, what it is before the first step, such as `zeros`; empty for anything else.
        next: of a state that goes in, the name of the output that is this state after the step.
        channels: names of the variables along the last axis, where they have any.
        steps: what each entry along the time axis is, such as `+5 min`; empty without a time axis.
        missing: whether NaN stands for a missing value.
        computed: how an input that no graph computes is computed from frames; None for any other input.
    """

    name: str
    role: Role
    axes: tuple[Axis, ...]
    dtype: str = "float32"
    units: str = ""
    description: str = ""
    initial: str = ""
    next: str = ""
    channels: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()
    missing: bool = False
    computed: Computed | None = None

    @property
    def shape(self) -> tuple[int | None, ...]:
        """The length of each axis, that of the batch included."""
        return tuple(axis.length for axis in self.axes)

    def record(self) -> dict[str, Any]:
        """Return the tensor as the manifest has it; what is empty is left out."""
        optional: dict[str, Any] = {
            "units": self.units,
            "description": self.description,
            "initial": self.initial,
            "next": self.next,
            "channels": list(self.channels),
            "steps": list(self.steps),
            "missing": "NaN" if self.missing else "",
            "computed": None if self.computed is None else self.computed.record(),
        }
        return {
            "name": self.name,
            "role": self.role,
            "dtype": self.dtype,
            "axes": [axis.name for axis in self.axes],
            "shape": list(self.shape),
            **{key: value for key, value in optional.items() if value},
        }


@dataclass(frozen=True, slots=True)
class ExportedGraph:
    """A functional `keras.Model` and what its inputs and outputs are, in the order of the model's.

    Attributes:
        model: whose inputs are called as in `inputs`, and whose outputs are a list in the order of `outputs`.
        name: of several graphs: `observe`, `forecast`; `model` of the only one.
        calls: of a graph of one step: how often it is called for a forecast like those of the run.
    """

    model: Any
    inputs: tuple[TensorDescription, ...]
    outputs: tuple[TensorDescription, ...]
    name: str = "model"
    calls: int = 1

    def record(self) -> dict[str, Any]:
        """Return the graph as the manifest has it."""
        return {
            "name": self.name,
            "calls": self.calls,
            "inputs": [tensor.record() for tensor in self.inputs],
            "outputs": [tensor.record() for tensor in self.outputs],
        }


@dataclass(frozen=True, slots=True)
class Exported:
    """A model that is ready to be written to a file.

    Attributes:
        shape: which form it has.
        graphs: one, or in the order in which they are called.
        interval: the time between successive frames, such as `5 min`; empty where it is not known.
        notes: sentences that whoever runs it should know, such as values that it cannot take.
    """

    shape: Shape
    graphs: tuple[ExportedGraph, ...]
    interval: str = ""
    notes: tuple[str, ...] = ()

    @property
    def needs_motion(self) -> bool:
        """Whether an input is computed by `MOTION_FILE`."""
        return any(tensor.computed is not None for graph in self.graphs for tensor in graph.inputs)

    def manifest(self, **further: Any) -> dict[str, Any]:
        """Return the manifest, with further keys such as the format and the difference that was measured."""
        own: Mapping[str, Any] = {
            "specbuild_export": 1,
            "shape": self.shape,
            "interval": self.interval or None,
            "layout": "channels last",
            "notes": list(self.notes),
            "graphs": [graph.record() for graph in self.graphs],
        }
        return {**own, **further}
