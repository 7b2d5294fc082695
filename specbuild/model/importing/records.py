"""What a configuration says, as values with types: layers, the calls of each, and the tensors they read.

Both of Keras's notations are read: that of Keras 3, where a call is `{args, kwargs}` and a tensor names its
`keras_history`, and that of Keras 2, where a call is a list of `[layer, call, index, kwargs]`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from specbuild.catalog import Shape


class Malformed(Exception):
    """A configuration that Keras did not write, or that was damaged."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """Output `index` of call number `call` of a layer. `shape`, without the batch axis, is None where not recorded."""

    layer: str
    call: int
    index: int
    shape: Shape | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """What a layer was called with; tensors stand as `Tensor` anywhere inside."""

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]

    def tensors(self) -> tuple[Tensor, ...]:
        """Every tensor of the call in order, but for masks."""
        return (*tensors_in(self.args), *tensors_in([v for k, v in self.kwargs.items() if not k.endswith("mask")]))

    def masks(self) -> tuple[Tensor, ...]:
        """The masks of the call, which Keras also records where they follow from a Masking layer."""
        return tuple(tensors_in([v for k, v in self.kwargs.items() if k.endswith("mask")]))


@dataclass(frozen=True, slots=True)
class Record:
    """A layer as a configuration describes it. `registered` is `package>Class` for a registered class of a user."""

    name: str
    kind: str
    module: str
    registered: str
    config: Mapping[str, Any]
    calls: tuple[Call, ...] = ()

    @property
    def is_network(self) -> bool:
        """Whether this is a model of layers itself: Functional, Sequential, or a class that is built like one."""
        if self.kind in ("Functional", "Model", "Sequential"):
            return "layers" in self.config
        return "layers" in self.config and "input_layers" in self.config

    @property
    def is_operation(self) -> bool:
        """Whether this is a function on tensors, such as `a + b`, and no layer."""
        return ".ops" in self.module


@dataclass(frozen=True, slots=True)
class Network:
    """The layers of a model by name, and where data enters and leaves. `names` are those of a dict of outputs."""

    name: str
    records: Mapping[str, Record]
    inputs: tuple[str, ...]
    outputs: tuple[Tensor, ...]
    names: tuple[str, ...]
    trainable: bool


def read_record(value: Any, calls: tuple[Call, ...] = ()) -> Record:
    """Return a layer from its serialized form.

    Raises:
        Malformed: it is none.
    """
    layer = _mapping(value, "a layer")
    kind = _expect(layer.get("class_name"), str, "the class_name of a layer is not text")
    config = layer.get("config", {})
    if kind == "Sequential" and isinstance(config, list):  # as Keras wrote it before 2.2.3
        config = {"layers": config}
    config = _mapping(config, "the config of a layer")
    name = layer.get("name") or config.get("name") or kind
    registered = layer.get("registered_name") or (kind if ">" in kind else "")
    return Record(str(name), kind, str(layer.get("module") or ""), str(registered), config, calls)


def read_network(record: Record) -> Network:
    """Return the layers inside a record that `is_network`, with their calls.

    Raises:
        Malformed: a part is missing or of the wrong type.
    """
    layers = _list(record.config.get("layers"), "layers")
    trainable = record.config.get("trainable", True) is not False
    if "input_layers" not in record.config:
        return _sequential(record, layers, trainable)
    records = []
    for layer in layers:
        nodes = _list(_mapping(layer, "a layer").get("inbound_nodes", []), "inbound_nodes")
        records.append(read_record(layer, tuple(_call(node) for node in nodes)))
    inputs, _ = _ends(record.config["input_layers"], "input_layers")
    outputs, names = _ends(record.config.get("output_layers"), "output_layers")
    return Network(record.name, _by_name(records), tuple(x.layer for x in inputs), outputs, names, trainable)


def tensors_in(value: Any) -> Iterator[Tensor]:
    """Yield every tensor inside nested lists and mappings, in Keras's order: that of mappings is by key."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, list | tuple):
        for item in value:
            yield from tensors_in(item)
    elif isinstance(value, Mapping):
        yield from tensors_in([value[key] for key in sorted(value)])


def batch_shape(config: Mapping[str, Any]) -> tuple[int | None, ...] | None:
    """Return the shape that an input layer, or the first layer of a Sequential, records; the batch axis first."""
    for key in ("batch_shape", "batch_input_shape"):
        if isinstance(config.get(key), list | Mapping):
            return _shape(config[key])
    return None


def _sequential(record: Record, layers: list[Any], trainable: bool) -> Network:
    """A Sequential as a network: every layer called once, on what the one before gives."""
    records = [read_record(layer) for layer in layers]
    if not records:
        raise Malformed(f"the Sequential {record.name} has no layers")
    if records[0].kind != "InputLayer":
        taken = {x.name for x in records}
        name = next(x for x in ("input", *(f"input_{number}" for number in range(len(taken)))) if x not in taken)
        shape = _first_shape(record)
        config = {} if shape is None else {"batch_shape": list(shape)}
        records.insert(0, Record(name, "InputLayer", "keras.layers", "", config))
    chained = [replace(x, calls=(Call((Tensor(before.name, 0, 0),), {}),)) for before, x in pairwise(records)]
    by_name = _by_name([records[0], *chained])
    return Network(record.name, by_name, (records[0].name,), (Tensor(records[-1].name, 0, 0),), (), trainable)


def _first_shape(record: Record) -> tuple[int | None, ...] | None:
    """The shape of what a Sequential without an input layer reads, the batch axis first; None where it is not recorded.

    Keras 2 records it with the first layer, later versions with what each layer or the Sequential was built for. Where
    the first layer is a model, it is the shape of the first input of that.
    """
    written = _list(record.config["layers"], "layers")[0]
    first, built = read_record(written), _mapping(written.get("build_config") or {}, "the build_config of a layer")
    own = batch_shape(first.config)
    if own is None and first.is_network:
        network = read_network(first)
        own = batch_shape(network.records[network.inputs[0]].config)
    shapes = (built.get("input_shape"), record.config.get("build_input_shape"))
    return own or next((_shape(shape) for shape in shapes if shape is not None), None)


def _by_name(records: list[Record]) -> dict[str, Record]:
    by_name: dict[str, Record] = {}
    for record in records:
        if record.name in by_name:
            raise Malformed(f'two layers are called "{record.name}"')
        by_name[record.name] = record
    return by_name


def _call(node: Any) -> Call:
    if isinstance(node, Mapping):
        args = _list(node.get("args", []), "the args of a call")
        kwargs = _mapping(node.get("kwargs", {}), "the kwargs of a call")
        return Call(tuple(_value(x) for x in args), {str(key): _value(x) for key, x in kwargs.items()})
    entries = _list(node, "a call")
    if len(entries) >= 3 and isinstance(entries[0], str):
        entries = [entries]
    args, keywords = [], {}
    for entry in entries:
        position = _list(entry, "a tensor")
        args.append(_position(position[:3], "a tensor"))
        if len(position) > 3 and position[3]:
            given = _mapping(position[3], "the arguments of a call")
            keywords.update({str(key): _old_value(x) for key, x in given.items()})
    return Call(tuple(args), keywords)


def _value(value: Any) -> Any:
    """A serialized argument with its tensors read and Keras's notations for tuples and slices undone."""
    if isinstance(value, list):
        return [_value(x) for x in value]
    if not isinstance(value, Mapping):
        return value
    if value.get("class_name") == "__keras_tensor__":
        config = _mapping(value.get("config"), "a tensor")
        tensor = _position(config.get("keras_history"), "keras_history")
        shape = config.get("shape")
        return replace(tensor, shape=_shape(shape)[1:]) if shape else tensor
    if value.get("class_name") == "__tuple__":
        return [_value(x) for x in _list(value.get("items"), "a tuple")]
    if value.get("class_name") == "__slice__":
        config = _mapping(value.get("config"), "a slice")
        return slice(config.get("start"), config.get("stop"), config.get("step"))
    return {str(key): _value(x) for key, x in value.items()}


def _old_value(value: Any) -> Any:
    """An argument in the notation of Keras 2, where a tensor is `[layer, call, index]`."""
    if _is_position(value):
        return _position(value, "a tensor")
    return [_old_value(x) for x in value] if isinstance(value, list) else value


def _ends(value: Any, what: str) -> tuple[tuple[Tensor, ...], tuple[str, ...]]:
    """The tensors of `input_layers` or `output_layers`: one, a list, or a mapping of names."""
    if _is_position(value):
        return (_position(value, what),), ()
    if isinstance(value, Mapping):
        keys = sorted(value)  # Keras's order for a mapping of tensors
        return tuple(_position(value[key], what) for key in keys), tuple(str(key) for key in keys)
    return tuple(_position(x, what) for x in _list(value, what)), ()


def _is_position(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 3 and isinstance(value[0], str) and isinstance(value[1], int)


def _position(value: Any, what: str) -> Tensor:
    if not _is_position(value) or not isinstance(value[2], int) or value[1] < 0 or value[2] < 0:
        raise Malformed(f"{what} does not name a tensor: {str(value)[:80]}")
    return Tensor(value[0], value[1], value[2])


def _shape(value: Any) -> tuple[int | None, ...]:
    if isinstance(value, Mapping) and value.get("class_name") in ("__tuple__", "TensorShape"):
        value = value.get("items")
    lengths = _list(value, "a shape")
    if not all(x is None or (isinstance(x, int) and x >= 0) for x in lengths):
        raise Malformed(f"this is not a shape: {str(value)[:80]}")
    return tuple(lengths)


def _mapping(value: Any, what: str) -> Mapping[str, Any]:
    mapping: Mapping[str, Any] = _expect(value, Mapping, f"{what} is not a mapping")
    return mapping


def _list(value: Any, what: str) -> list[Any]:
    return list(_expect(value, (list, tuple), f"{what} is not a list"))


def _expect(value: Any, kind: type | tuple[type, ...], message: str) -> Any:
    if not isinstance(value, kind):
        raise Malformed(message)
    return value
