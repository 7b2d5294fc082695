"""From layers and calls to steps in the order they run: models inside models flattened, shared layers as reuses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from specbuild.catalog import KINDS, TimeDistributed
from specbuild.model.importing.feedback import FEEDBACK, say_feedback
from specbuild.model.importing.findings import Findings
from specbuild.model.importing.layers import Said, say_layer
from specbuild.model.importing.operations import say_operation
from specbuild.model.importing.records import (
    Call,
    Malformed,
    Network,
    Record,
    Tensor,
    batch_shape,
    read_network,
    read_record,
    tensors_in,
)
from specbuild.model.importing.steps import Input, Ref, Step, Walked, as_id

MAX_STEPS = 20_000
"""Steps that a model may flatten to; more is a mistake, or an attack."""


def walk(network: Network, findings: Findings) -> Walked:
    """Every call of every layer that an output needs, in the order they run.

    Raises:
        Malformed: calls go round in a circle or name what is not there.
    """
    return _Walk(findings).run(network)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a network stands: the names around it, what its ids begin with, and what it inherits."""

    path: tuple[str, ...] = ()
    prefix: str = ""
    frames: int = 0
    """How many time_distributed are around it."""
    frozen: bool = False


_Key: TypeAlias = tuple[str, int]
"""A call of a layer."""


class _Walk:
    def __init__(self, findings: Findings) -> None:
        self.findings = findings
        self.steps: list[Step] = []
        self.by_id: dict[str, Step] = {}
        self.taken: set[str] = set()
        self.own: dict[tuple[str, ...], str] = {}
        """The ids reserved for layers of the model itself."""
        self.first: dict[tuple[str, ...], Step] = {}
        """The first step of each layer, by its names from the outside in."""
        self.uses: dict[tuple[str, ...], int] = {}

    def run(self, network: Network) -> Walked:
        for name in network.records:
            self.own[(name,)] = self.claim(name)
        inputs = tuple(one for name in network.inputs if (one := self.input(network, name)) is not None)
        given = [Ref(self.own[(name,)]) for name in network.inputs if (name,) in self.own]
        outputs = self.network(network, given, _Place(frozen=not network.trainable))
        layers = [one.name for one in network.records.values() if one.kind != "InputLayer" and not one.is_operation]
        left = [name for name in layers if not self.uses.get((name,))]
        if left:
            self.findings.note(f"no output depends on {', '.join(left)}, so the spec leaves that out")
        return Walked(inputs, tuple(self.steps), tuple(outputs), network.names)

    def claim(self, name: str) -> str:
        """A free id made from a name of Keras."""
        base = as_id(name)
        free, count = base, 1
        while free in self.taken:
            count += 1
            free = f"{base}_{count}"
        self.taken.add(free)
        return free

    def input(self, network: Network, name: str) -> Input | None:
        record = network.records.get(name)
        if record is None:
            raise Malformed(f'there is no layer "{name}", which the model names as its input')
        shape = batch_shape(record.config)
        if shape is None or not shape:
            self.findings.refuse(
                name,
                f"{network.name} does not say the shape of its input",
                reason="it was saved before it met any data",
                help="call model.build((None, …)) with the shape of a batch, and save it again",
            )
            return None
        for kind in ("sparse", "ragged"):
            if record.config.get(kind):
                self.findings.refuse(name, f"{name} is a {kind} input, which a spec cannot say")
        dtype = record.config.get("dtype") or "float32"
        return Input(self.own[(name,)], shape[1:], dtype if isinstance(dtype, str) else "float32", shape[0])

    def network(self, network: Network, given: Sequence[Ref], place: _Place) -> list[Ref]:
        """The steps of a network on given inputs; returns its outputs."""
        if len(given) != len(network.inputs):
            raise Malformed(f"{network.name} has {len(network.inputs)} inputs and is called with {len(given)}")
        values: dict[_Key, str | list[Ref]] = {
            (name, 0): [ref] for name, ref in zip(network.inputs, given, strict=True)
        }
        for output in network.outputs:
            self.reach((output.layer, output.call), network, values, place)
        return [_ref(output, values) for output in network.outputs]

    def reach(self, goal: _Key, network: Network, values: dict[_Key, str | list[Ref]], place: _Place) -> None:
        """Runs a call after everything that it reads."""
        waiting: list[_Key] = [goal]
        opened: set[_Key] = set()
        while waiting:
            key = waiting[-1]
            if key in values:
                waiting.pop()
                continue
            record, call = _called(network, key)
            missing = [(one.layer, one.call) for one in call.tensors() if (one.layer, one.call) not in values]
            if missing and key in opened:
                raise Malformed(f"the layer {key[0]} reads itself")
            if missing:
                opened.add(key)
                waiting.extend(reversed(missing))
            else:
                self.check_masks(record, call, network)
                values[key] = self.call(record, call, values, place)
                waiting.pop()

    def call(self, record: Record, call: Call, values: dict[_Key, str | list[Ref]], place: _Place) -> str | list[Ref]:
        """One call: a step's id, or the outputs of a network."""
        path = (*place.path, record.name)
        self.uses[path] = self.uses.get(path, 0) + 1
        self.check_arguments(record, call)
        inner, frames = _network_inside(record)
        if inner is not None:
            return self.inside(inner, path, [_ref(one, values) for one in call.tensors()], place, frames)
        reads, state = _split(record, call)
        said: Said | None = None
        if record.is_operation:
            operated = say_operation(record, call)
            said, reads = (operated.said, operated.reads) if operated is not None else (None, reads)
        if path in self.first:
            step = self.again(path, place)
        elif record.registered == FEEDBACK:
            step = self.feedback(record, call, path, place)
        else:
            if said is None:
                said = say_layer(record, self.findings, ".".join(path), frozen=place.frozen, inside=place.frames > 0)
            step = self.new(path, said, place)
        step = replace(
            step,
            sources=tuple(_ref(one, values, recorded=not place.frames) for one in reads),
            state=tuple(_ref(one, values, recorded=not place.frames) for one in state),
            sequences=_returns_sequences(record),
        )
        self.check_state(step, path)
        self.add(step, path)
        return step.id

    def inside(self, record: Record, path: tuple[str, ...], given: list[Ref], place: _Place, frames: int) -> list[Ref]:
        """The outputs of a model inside a model, whose layers join those around it under ids of their own."""
        network = read_network(record)
        if not network.outputs:
            raise Malformed(f"{network.name} has no outputs")
        name = self.own.get(path) or f"{place.prefix}{path[-1]}"
        count = self.uses[path]
        return self.network(
            network,
            given,
            _Place(
                path=path,
                prefix=f"{name}_{count}_" if count > 1 else f"{name}_",
                frames=place.frames + frames,
                frozen=place.frozen or not network.trainable,
            ),
        )

    def new(self, path: tuple[str, ...], said: Said | None, place: _Place) -> Step:
        identity = self.own.get(path) or self.claim(place.prefix + path[-1])
        if said is None:
            return Step(identity, {}, None, (), ())
        said = self.on_frames(said, place.frames, path)
        return Step(identity, said.keys, said.layer, (), ())

    def feedback(self, record: Record, call: Call, path: tuple[str, ...], place: _Place) -> Step:
        """The first use of an autoregressive layer, with the model inside it."""
        name = ".".join(path)
        if len(call.tensors()) > 1:
            help = "save the model that was built without teacher=True"
            self.findings.refuse(name, f"{name} is called with its true frames, which a spec does not name", help=help)
        if place.frames:
            self.findings.refuse(name, f"{name} stands inside a TimeDistributed, which a spec cannot say")
        step = self.new(path, None, place)
        loop = say_feedback(record, self.findings, name, step.id, frozen=place.frozen, walk=walk)
        return step if loop is None else replace(step, keys=loop.said.keys, layer=loop.said.layer, body=loop.body)

    def again(self, path: tuple[str, ...], place: _Place) -> Step:
        """A further use of a layer, with the weights it has."""
        first = self.first[path]
        base = place.prefix + path[-1] if place.prefix else first.id
        identity = self.claim(base if base != first.id and base not in self.taken else f"{first.id}_{self.uses[path]}")
        return Step(identity, {"reuse": first.id}, first.layer, (), (), shares=first.id)

    def on_frames(self, said: Said, frames: int, path: tuple[str, ...]) -> Said:
        """A layer of a model that runs on every frame. A merge of frames is the same merge of whole sequences."""
        if not frames:
            return said
        if said.layer.arity != "many":
            for _ in range(frames):
                said = Said({"time_distributed": said.keys}, TimeDistributed(layer=said.layer))
            return said
        axis = getattr(said.layer, "axis", None)
        if said.layer.kind in ("Dot", "Stack") or (axis is not None and axis == 0):
            message = f"{'.'.join(path)} joins several inputs inside a TimeDistributed, which a spec cannot say"
            self.findings.refuse(".".join(path), message)
            return said
        if axis is not None and axis > 0:
            arguments = {**said.layer.arguments(), "axis": axis + frames}
            return Said({**said.keys, "axis": axis + frames}, type(said.layer).model_validate(arguments))
        return said

    def add(self, step: Step, path: tuple[str, ...]) -> None:
        if len(self.steps) >= MAX_STEPS:
            raise Malformed(f"the model flattens into more than {MAX_STEPS:,} layers")
        self.steps.append(step)
        self.by_id[step.id] = step
        self.first.setdefault(path, step)

    def check_state(self, step: Step, path: tuple[str, ...]) -> None:
        first = self.first.get(path)
        if first is not None and first.state and not step.state:
            name = ".".join(path)
            message = f"{name} starts from a passed state in one call and from zero in another"
            self.findings.refuse(name, message, reason="a reuse in a spec takes the state of its original")

    def check_arguments(self, record: Record, call: Call) -> None:
        """Refuses what a call says besides its tensors."""
        if record.is_operation:
            return
        for key, value in call.kwargs.items():
            if key == "training" and value is False and _acts_in_training(record):
                self.findings.note(
                    f"{record.name} is called with training=False, which a spec cannot say; "
                    "in training its BatchNormalization and Dropout layers act, but for trainable: false and rate: 0"
                )
            elif key == "training" and value is True and not _minds_training(record):
                continue
            elif value not in (None, False) and not list(tensors_in(value)):
                self.refused_argument(record, f"{key}={value!r}")
        for value in call.args[1:]:
            if value is not None and not list(tensors_in(value)):
                self.refused_argument(record, f"the value {value!r}")

    def check_masks(self, record: Record, call: Call, network: Network) -> None:
        """Refuses a mask that does not follow from a Masking or Embedding layer by operations on what that reads."""
        masking = {
            (one.layer, one.call, one.index)
            for layer in network.records.values()
            if layer.kind == "Masking" or layer.config.get("mask_zero") is True
            for each in layer.calls
            for one in each.tensors()
        }
        waiting, seen = list(call.masks()), set()
        while waiting:
            mask = waiting.pop()
            key = (mask.layer, mask.call, mask.index)
            if key in masking or key in seen:
                continue
            seen.add(key)
            maker = network.records.get(mask.layer)
            if maker is None or not maker.is_operation:
                self.refused_argument(record, "a mask of its own")
                return
            waiting.extend(_called(network, (mask.layer, mask.call))[1].tensors())

    def refused_argument(self, record: Record, what: str) -> None:
        self.findings.refuse(record.name, f"{record.name} is called with {what}, which a spec cannot say")


def _called(network: Network, key: _Key) -> tuple[Record, Call]:
    name, index = key
    record = network.records.get(name)
    if record is None:
        raise Malformed(f'a layer reads "{name}", which is not there')
    if index >= len(record.calls):
        raise Malformed(f"a layer reads call {index + 1} of {name}, which is called {len(record.calls)} times")
    return record, record.calls[index]


def _ref(tensor: Tensor, values: dict[_Key, str | list[Ref]], *, recorded: bool = True) -> Ref:
    """The tensor that was computed. `recorded`: whether the file's shape is that of the whole, not of one frame."""
    value = values[(tensor.layer, tensor.call)]
    if isinstance(value, str):
        return Ref(value, tensor.index, tensor.shape if recorded else None)
    if tensor.index >= len(value):
        raise Malformed(f"{tensor.layer} has {len(value)} outputs, and output {tensor.index + 1} is read")
    return value[tensor.index]


def _network_inside(record: Record) -> tuple[Record | None, int]:
    """The model that a layer is, or that runs on every frame, and how many time_distributed are around it."""
    frames = 0
    while record.kind == "TimeDistributed" and isinstance(record.config.get("layer"), dict):
        record, frames = read_record(record.config["layer"]), frames + 1
    return (record if record.is_network else None), frames


def _minds_training(record: Record) -> bool:
    """Whether training=True was meant: Keras records it of every layer for images, whose default it is."""
    wrapper = record.kind in ("TimeDistributed", "Bidirectional")
    return wrapper or record.is_network or record.kind in KINDS or bool(record.config.get("dropout"))


def _acts_in_training(record: Record) -> bool:
    """Whether training changes what a model inside a model computes."""
    inner, _ = _network_inside(record)
    if inner is None:
        return False
    kinds = [one.kind for one in read_network(inner).records.values()]
    return any(kind == "BatchNormalization" or "Dropout" in kind or "Noise" in kind for kind in kinds)


def _split(record: Record, call: Call) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """What a layer reads, and the tensors that start its recurrence; those follow the input in old files."""
    state = tuple(tensors_in(call.kwargs.get("initial_state")))
    rest = {key: value for key, value in call.kwargs.items() if key != "initial_state" and not key.endswith("mask")}
    reads = (*tensors_in(call.args), *tensors_in([rest[key] for key in rest]))
    if not state and _is_recurrent(record) and len(reads) > 1:
        return reads[:1], reads[1:]
    return reads, state


def _is_recurrent(record: Record) -> bool:
    return record.kind == "Bidirectional" or "return_sequences" in record.config


def _returns_sequences(record: Record) -> bool:
    if record.kind == "Bidirectional":
        record = read_record(record.config.get("layer"))
    return record.config.get("return_sequences") is True
