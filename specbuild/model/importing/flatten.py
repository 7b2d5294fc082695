"""From layers and calls to steps in the order they run: models inside models flattened, shared layers as reuses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from specbuild.catalog import KINDS, TimeDistributed
from specbuild.catalog.plumbing import SplitPart
from specbuild.catalog.wrappers import innermost
from specbuild.graph import Input
from specbuild.model.importing.autoregressive import REGISTERED, spec_autoregressive
from specbuild.model.importing.layers import SpecLayer, spec_layer
from specbuild.model.importing.operations import spec_operation, spec_split
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
from specbuild.model.importing.recurrence import is_recurrence, spec_recurrence
from specbuild.model.importing.steps import Findings, FlatModel, Ref, Refused, Step, as_id, free_name

MAX_STEPS = 20_000
"""Steps that a model may flatten to; more is a mistake, or an attack."""


def flatten(network: Network, findings: Findings) -> FlatModel:
    """Return every call of every layer that an output needs, in the order they run.

    Raises:
        Malformed: calls go round in a circle or name what is not there.
    """
    return _Flattening(findings).run(network)


@dataclass(frozen=True, slots=True)
class _Scope:
    """Where a network stands: the names around it, what its ids begin with, and what it inherits."""

    path: tuple[str, ...] = ()
    prefix: str = ""
    frames: int = 0
    """How many time_distributed are around it."""
    frozen: bool = False


_Key: TypeAlias = tuple[str, int]
"""A call of a layer."""
_Values: TypeAlias = dict[_Key, str | list[Ref]]
"""What each call gave: the id of its step, or the outputs of a network."""


class _Flattening:
    def __init__(self, findings: Findings) -> None:
        self.findings = findings
        self.steps: list[Step] = []
        self.taken: set[str] = set()
        self.own: dict[tuple[str, ...], str] = {}
        """The ids reserved for layers of the model itself."""
        self.first: dict[tuple[str, ...], Step] = {}
        """The first step of each layer, by its names from the outside in."""
        self.uses: dict[tuple[str, ...], int] = {}

    def run(self, network: Network) -> FlatModel:
        for name in network.records:
            self.own[(name,)] = self.claim(name)
        inputs = [self.input(network, name) for name in network.inputs]
        given = [Ref(self.own[(name,)]) for name in network.inputs if (name,) in self.own]
        outputs = self.network(network, given, _Scope(frozen=not network.trainable))
        read = {ref.step for step in self.steps for ref in (*step.sources, *step.state)} | {ref.step for ref in outputs}
        self.steps = [step for step in self.steps if step.id in read or not isinstance(step.layer, SplitPart)]
        layers = [x.name for x in network.records.values() if x.kind != "InputLayer" and not x.is_operation]
        unused = [name for name in layers if not self.uses.get((name,))]
        if unused:
            self.findings.note(f"no output depends on {', '.join(unused)}, so the spec leaves that out")
        return FlatModel(tuple(filter(None, inputs)), tuple(self.steps), tuple(outputs), network.names)

    def claim(self, name: str) -> str:
        """Return a free id made from a name of Keras, and take it."""
        identity = free_name(as_id(name), self.taken)
        self.taken.add(identity)
        return identity

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
                self.findings.cannot_say(name, f"is a {kind} input")
        dtype = record.config.get("dtype") or "float32"
        return Input(self.own[(name,)], shape[1:], dtype if isinstance(dtype, str) else "float32", shape[0])

    def network(self, network: Network, given: Sequence[Ref], scope: _Scope) -> list[Ref]:
        """Add the steps of a network on given inputs, and return its outputs."""
        if len(given) != len(network.inputs):
            raise Malformed(f"{network.name} has {len(network.inputs)} inputs and is called with {len(given)}")
        values: _Values = {(name, 0): [ref] for name, ref in zip(network.inputs, given, strict=True)}
        for output in network.outputs:
            self.reach((output.layer, output.call), network, values, scope)
        return [_ref(output, values) for output in network.outputs]

    def reach(self, goal: _Key, network: Network, values: _Values, scope: _Scope) -> None:
        """Make a call after everything that it reads."""
        waiting: list[_Key] = [goal]
        opened: set[_Key] = set()
        while waiting:
            key = waiting[-1]
            if key in values:
                waiting.pop()
                continue
            record, call = _called(network, key)
            missing = [source for x in call.tensors() if (source := (x.layer, x.call)) not in values]
            if missing and key in opened:
                raise Malformed(f"the layer {key[0]} reads itself")
            if missing:
                opened.add(key)
                waiting.extend(reversed(missing))
            else:
                self.check_masks(record, call, network)
                values[key] = self.call(record, call, values, scope)
                waiting.pop()

    def call(self, record: Record, call: Call, values: _Values, scope: _Scope) -> str | list[Ref]:
        """Make one call, and return its step's id, or the outputs of a network."""
        path = (*scope.path, record.name)
        self.uses[path] = self.uses.get(path, 0) + 1
        self.check_arguments(record, call)
        if (cut := spec_split(record, call)) is not None:
            return self.parts(record, cut, path, [_ref(x, values) for x in call.tensors()], scope)
        inner, frames = _network_inside(record)
        if inner is not None:
            return self.inside(inner, path, [_ref(x, values) for x in call.tensors()], scope, frames)
        sources, state = _split(record, call)
        step = self.again(path, scope) if path in self.first else self.new(record, call, path, scope)
        step = replace(
            step,
            sources=tuple(_ref(x, values, recorded=not scope.frames) for x in sources),
            state=tuple(_ref(x, values, recorded=not scope.frames) for x in state),
            sequences=_returns_sequences(record),
        )
        if record.registered == REGISTERED:
            step = replace(step, levels=self.levels(record.name, call, self.first.get(path, step).body))
        else:
            self.check_state(step, path)
            self.check_beside(step, path)
        if len(self.steps) >= MAX_STEPS:
            raise Malformed(f"the model flattens into more than {MAX_STEPS:,} layers")
        self.steps.append(step)
        self.first.setdefault(path, step)
        return step.id

    def parts(
        self, record: Record, cut: list[tuple[str, SpecLayer]], path: tuple[str, ...], sources: list[Ref], scope: _Scope
    ) -> list[Ref]:
        """Return the parts of a tensor that one layer cuts, each of which is a step."""
        outputs = []
        for name, layer in cut:
            own = self.own.get(path) if name == record.name and self.uses[path] == 1 else None
            layer = self.on_frames(layer, scope.frames, record.name)
            step = Step(own or self.claim(scope.prefix + name), layer.keys, layer.layer, tuple(sources))
            self.steps.append(step)
            outputs.append(Ref(step.id))
        return outputs

    def inside(self, record: Record, path: tuple[str, ...], given: list[Ref], scope: _Scope, frames: int) -> list[Ref]:
        """Return the outputs of a model inside a model, whose layers join those around it under ids of their own."""
        network = read_network(record)
        if not network.outputs:
            raise Malformed(f"{network.name} has no outputs")
        name = self.own.get(path) or f"{scope.prefix}{path[-1]}"
        count = self.uses[path]
        prefix = f"{name}_{count}_" if count > 1 else f"{name}_"
        frozen = scope.frozen or not network.trainable
        return self.network(network, given, _Scope(path, prefix, scope.frames + frames, frozen))

    def identity(self, path: tuple[str, ...], scope: _Scope) -> str:
        return self.own.get(path) or self.claim(scope.prefix + path[-1])

    def new(self, record: Record, call: Call, path: tuple[str, ...], scope: _Scope) -> Step:
        """The first use of a layer, of an operation that is one, or of a layer that runs models, with those."""
        name, identity = ".".join(path), self.identity(path, scope)
        layer, body = spec_operation(record, call) if record.is_operation else None, None
        try:
            if record.registered == REGISTERED:
                self.check_feedback(name, call, scope)
                layer, body = spec_autoregressive(
                    record, self.findings, name, identity, frozen=scope.frozen, flatten=flatten
                )
            elif is_recurrence(record):
                if scope.frames:
                    self.findings.cannot_say(name, "stands inside a TimeDistributed")
                layer, body = spec_recurrence(
                    record, self.findings, name, identity, frozen=scope.frozen, flatten=flatten
                )
            elif layer is None:
                layer = spec_layer(record, self.findings, name, frozen=scope.frozen, inside=scope.frames > 0)
        except Refused:
            return Step(identity)
        layer = self.on_frames(layer, scope.frames, name)
        return Step(identity, layer.keys, layer.layer, body=body)

    def levels(self, name: str, call: Call, body: FlatModel | None) -> tuple[str, ...]:
        """For each tensor of the initial states of an autoregressive layer the step inside that it starts."""
        given = call.kwargs.get("initial_state")
        if not isinstance(given, list | tuple) or body is None:
            return ()
        if len(given) != len(body.carried):
            raise Malformed(f"{name} has {len(body.carried)} states inside and is called with {len(given)}")
        started = [level for level, tensor in zip(body.carried, given, strict=True) if tensor is not None]
        if set(started) & {level for level, tensor in zip(body.carried, given, strict=True) if tensor is None}:
            self.findings.cannot_say(name, "gives a layer inside it only part of its state")
        return tuple(started)

    def check_feedback(self, name: str, call: Call, scope: _Scope) -> None:
        """Refuse true frames as an input of an autoregressive layer, and such a layer on every frame."""
        if list(tensors_in(call.kwargs.get("teacher"))):
            help = "save the model that was built without teacher=True"
            self.findings.refuse(name, f"{name} is called with its true frames, which a spec does not name", help=help)
        if scope.frames:
            self.findings.cannot_say(name, "stands inside a TimeDistributed")

    def again(self, path: tuple[str, ...], scope: _Scope) -> Step:
        """A further use of a layer, with the weights it has."""
        first = self.first[path]
        base = scope.prefix + path[-1] if scope.prefix else first.id
        identity = self.claim(base if base != first.id and base not in self.taken else f"{first.id}_{self.uses[path]}")
        return Step(identity, {"reuse": first.id}, first.layer, shares=first.id)

    def on_frames(self, layer: SpecLayer, frames: int, name: str) -> SpecLayer:
        """A layer of a model that runs on every frame. A merge of frames is the same merge of whole sequences."""
        if not frames:
            return layer
        if layer.layer.arity != "many":
            for _ in range(frames):
                layer = SpecLayer({"time_distributed": layer.keys}, TimeDistributed(layer=layer.layer))
            return layer
        axis = getattr(layer.layer, "axis", None)
        if layer.layer.kind in ("Dot", "Stack") or (axis is not None and axis == 0):
            self.findings.cannot_say(name, "joins several inputs inside a TimeDistributed")
        elif axis is not None and axis > 0:
            arguments = {**layer.layer.arguments(), "axis": axis + frames}
            return SpecLayer({**layer.keys, "axis": axis + frames}, type(layer.layer).model_validate(arguments))
        return layer

    def check_state(self, step: Step, path: tuple[str, ...]) -> None:
        first = self.first.get(path)
        if first is not None and first.state and not step.state:
            name = ".".join(path)
            message = f"{name} starts from a passed state in one call and from zero in another"
            self.findings.refuse(name, message, reason="a reuse in a spec takes the state of its original")

    def check_beside(self, step: Step, path: tuple[str, ...]) -> None:
        """Refuse another use of a recurrent node whose nodes read others there: in a spec they read the same ones."""
        first, name = self.first.get(path), ".".join(path)
        if first is None:
            if step.body is not None and step.layer is not None:
                states = len(getattr(innermost(step.layer), "state_names", ()))
                if len(step.sources) != len(step.body.inputs) - states:
                    raise Malformed(f"{name} reads {len(step.sources)} tensors, and its nodes others")
        elif first.body is not None and step.sources[1:] != first.sources[1:]:
            message = f"the nodes inside {name} read different sequences in different calls"
            self.findings.refuse(name, message, reason="a reuse in a spec replaces only the input")

    def check_arguments(self, record: Record, call: Call) -> None:
        """Refuse what a call says besides its tensors."""
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
                self.findings.cannot_say(record.name, f"is called with {key}={value!r}")
        for value in call.args[1:]:
            if value is not None and not list(tensors_in(value)):
                self.findings.cannot_say(record.name, f"is called with the value {value!r}")

    def check_masks(self, record: Record, call: Call, network: Network) -> None:
        """Refuse a mask that does not follow from a Masking or Embedding layer by operations on what that reads."""
        masking = {
            (tensor.layer, tensor.call, tensor.index)
            for layer in network.records.values()
            if layer.kind == "Masking" or layer.config.get("mask_zero") is True
            for masked in layer.calls
            for tensor in masked.tensors()
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
                self.findings.cannot_say(record.name, "is called with a mask of its own")
                return
            waiting.extend(_called(network, (mask.layer, mask.call))[1].tensors())


def _called(network: Network, key: _Key) -> tuple[Record, Call]:
    name, index = key
    record = network.records.get(name)
    if record is None:
        raise Malformed(f'a layer reads "{name}", which is not there')
    if index >= len(record.calls):
        raise Malformed(f"a layer reads call {index + 1} of {name}, which is called {len(record.calls)} times")
    return record, record.calls[index]


def _ref(tensor: Tensor, values: _Values, *, recorded: bool = True) -> Ref:
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
    kinds = [layer.kind for layer in read_network(inner).records.values()]
    return any(kind == "BatchNormalization" or "Dropout" in kind or "Noise" in kind for kind in kinds)


def _split(record: Record, call: Call) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """What a layer reads, and the tensors that start its recurrence; those follow the input in old files."""
    state = tuple(tensors_in(call.kwargs.get("initial_state")))
    rest = [x for key, x in call.kwargs.items() if key != "initial_state" and not key.endswith("mask")]
    reads = (*tensors_in(call.args), *tensors_in(rest))
    if not state and _is_recurrent(record) and not is_recurrence(record) and len(reads) > 1:
        return reads[:1], reads[1:]
    return reads, state


def _is_recurrent(record: Record) -> bool:
    return record.kind == "Bidirectional" or "return_sequences" in record.config


def _returns_sequences(record: Record) -> bool:
    if record.kind == "Bidirectional":
        record = read_record(record.config.get("layer"))
    return record.config.get("return_sequences") is True
