"""One serialized layer in the words of a spec: its kind, and the arguments that are not Keras's defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError

from specbuild.catalog import KINDS, Bidirectional, KerasObject, Layer, Recurrent, TimeDistributed
from specbuild.catalog.generic import FAMILIES, UNWRITABLE
from specbuild.catalog.registry import argument_names, kind_named
from specbuild.catalog.signatures import signature
from specbuild.model.backend import keras
from specbuild.model.importing.objects import RENAMED, Inexpressible, shortened, spec_object
from specbuild.model.importing.records import Malformed, Record, read_record
from specbuild.model.importing.steps import Findings, Refused
from specbuild.model.make import OWN_DTYPE

_EVERY_LAYER = frozenset(("name", "trainable", "dtype"))
HARMLESS = _EVERY_LAYER.union(
    ("autocast", "batch_input_shape", "batch_shape", "implementation", "input_length", "key_shape", "oov_method"),
    ("query_shape", "ragged", "renorm_momentum", "sparse", "time_major", "value_shape", "vocabulary_size"),
)
"""Entries of a configuration that are no arguments, or that change nothing a spec can say."""
_FOLLOWS = {"recurrent_kernel_size": "kernel_size", "strides": "pool_size", "value_dim": "key_dim"}
"""Arguments that take the value of another where they are left out."""


@dataclass(frozen=True, slots=True)
class SpecLayer:
    """A layer as a spec has it: as the keys of a node, and as the catalog's instance of it."""

    keys: dict[str, Any]
    layer: Layer


def spec_layer(record: Record, findings: Findings, name: str, *, frozen: bool, inside: bool = False) -> SpecLayer:
    """Return a layer as a spec has it.

    Args:
        record: the layer.
        findings: where faults and notes go.
        name: what a user calls the layer.
        frozen: whether a model around the layer is not trained.
        inside: whether a time_distributed is around it, where return_sequences is not derived.

    Raises:
        Refused: a spec cannot express it, which is reported.
        Malformed: the configuration is not one of Keras.
    """
    frozen = frozen or record.config.get("trainable", True) is False
    if record.kind == "TimeDistributed" and not _is_custom(record):
        inner = spec_layer(read_record(record.config.get("layer")), findings, name, frozen=frozen, inside=True)
        return SpecLayer({"time_distributed": inner.keys}, TimeDistributed(layer=inner.layer))
    if record.kind == "Bidirectional" and not _is_custom(record):
        return _bidirectional(record, findings, name, frozen, inside)
    kind = _kind(record, findings, name)
    cls = kind_named(kind)
    assert cls is not None, "_kind refuses it"
    arguments = _arguments(record, cls, findings, name, inside)
    dtype = spec_dtype(record, findings, name)
    if dtype is not None and kind not in OWN_DTYPE:
        arguments["dtype"] = dtype
    if frozen and cls.weights is not Layer.weights:
        arguments["trainable"] = False
    if kind == "Constant" and "value" not in arguments:
        message, reason = f"the numbers of {name} (Constant) are among the weights", "there are too many for a spec"
        help = (
            f"write the layer into a spec with path: {name}.npy, a file of model.get_layer({name!r}).get_weights()[0]"
        )
        raise findings.refuse(name, message, reason=reason, help=help)
    try:
        layer = cls.model_validate(arguments)
    except ValidationError as fault:
        for error in fault.errors():
            reason = f"{'.'.join(map(str, error['loc']))}: {error['msg']}"
            findings.refuse(name, f"{name} ({kind}) has an argument that a spec refuses", reason=reason)
        raise Refused from fault
    return SpecLayer({"layer": kind, **_needed(cls, arguments)}, layer)


def _kind(record: Record, findings: Findings, name: str) -> str:
    """The kind that a spec names."""
    computed = "what it computes stands in the code that made the model, not in the file"
    if record.registered.startswith("specbuild>") and record.kind.removeprefix("specbuild>") in KINDS:
        return record.kind.removeprefix("specbuild>")
    if ">" in record.registered:
        if keras.saving.get_registered_object(record.registered) is not None:
            return record.registered
        message = f"{name} is of the class {record.registered}, which no plugin has registered"
        help = f"name the module that registers it: --plugin {record.registered.partition('>')[0]}"
        raise findings.refuse(name, message, reason=computed, help=help)
    if record.kind in UNWRITABLE and not _is_custom(record):
        reason, help = UNWRITABLE[record.kind]
        raise findings.cannot_say(name, f"is a {record.kind}", reason=reason, help=help)
    known = None if _is_custom(record) else kind_named(record.kind)
    if known is not None:
        return known.__name__
    if record.is_operation:
        help = "use a layer for it; `specbuild schema` lists all that a spec can name"
        raise findings.cannot_say(name, f"is the operation {record.kind}", help=help)
    raise findings.refuse(name, f"{name} is of the class {record.kind}, which is not a Keras layer", reason=computed)


def _is_custom(record: Record) -> bool:
    """Whether the class belongs to a user. Keras 2 names no modules."""
    if ">" in record.registered:
        return True
    return bool(record.module) and record.module.partition(".")[0] not in ("keras", "tf_keras", "tensorflow")


def _arguments(record: Record, cls: type[Layer], findings: Findings, name: str, inside: bool) -> dict[str, Any]:
    """Every argument of the configuration in the words of a spec."""
    names = argument_names(cls)
    ignored = HARMLESS if names is not None else _EVERY_LAYER
    known = signature("layers", cls.__name__)
    arguments: dict[str, Any] = {}
    refused: Refused | None = None
    for key, value in record.config.items():
        key = RENAMED.get((cls.__name__, key), key)
        derived = issubclass(cls, Recurrent) and key in ("return_sequences", "return_state") and not inside
        if key in ignored or derived:
            continue
        family = FAMILIES.get(key.rpartition("_")[2])
        try:
            written = spec_object(family, value) if family else _plain(value)
            if key == "axis" and isinstance(written, list) and len(written) == 1:
                written = written[0]  # Keras keeps a single axis as a list in some layers
        except Inexpressible as fault:
            refused = findings.cannot_say(name, f"({cls.__name__}) has {fault} as its {key}")
            continue
        if names is None or key in names:
            arguments[key] = written
        elif value not in (None, False) and (known is None or written != known.optional.get(key)):
            refused = findings.cannot_say(name, f"({cls.__name__}) has {key}={value!r}")
    if findings.is_keras_2 and "hard_sigmoid" in (arguments.get("activation"), arguments.get("recurrent_activation")):
        findings.note(
            f"{name}: hard_sigmoid of Keras 2 is clip(0.2 x + 0.5, 0, 1), that of Keras 3 clip(x / 6 + 0.5, 0, 1); "
            "outputs of weights trained with Keras 2 differ"
        )
    if refused is not None:
        raise refused
    return arguments


def _plain(value: Any) -> Any:
    """A number, a word or a list of them, with Keras's notation for tuples undone."""
    if isinstance(value, Mapping):
        if value.get("class_name") in ("__tuple__", "TensorShape") and isinstance(value.get("items"), list):
            return _plain(value["items"])
        raise Inexpressible(f"a {value.get('class_name', 'mapping')}")
    if isinstance(value, list):
        return [_plain(x) for x in value]
    return value.replace("$", "$$") if isinstance(value, str) else shortened(value)


def _needed(cls: type[Layer], given: dict[str, Any]) -> dict[str, Any]:
    """The arguments that the layer needs to be itself, in their shortest form, those without a default first."""
    if argument_names(cls) is None:
        return given
    fields = {field.alias or key: field for key, field in cls.model_fields.items()}
    meaning = _fields(cls, given)
    needed = {key: value for key, value in given.items() if fields[key].is_required()}
    for key, value in given.items():
        if key in needed or _is_default(key, value, given):
            continue
        if _fields(cls, {other: given[other] for other in given if other != key}) != meaning:
            needed[key] = value
    for key, value in needed.items():
        shorter = (x for x in _shorter(value) if _fields(cls, {**given, key: x}) == meaning)
        needed[key] = next(shorter, value)
    return needed


def _is_default(key: str, value: Any, given: Mapping[str, Any]) -> bool:
    """Whether leaving an argument out means the same although it is not the default as written."""
    if key == "data_format":
        return value in (None, "channels_last")
    return key in _FOLLOWS and value == given.get(_FOLLOWS[key])


def _fields(cls: type[Layer], given: Mapping[str, Any]) -> dict[str, Any] | None:
    """The values of all fields, each in one spelling; None for arguments that do not make a layer."""
    try:
        return {key: _spelled(key, value) for key, value in cls.model_validate(given)}
    except ValidationError:
        return None


def _spelled(key: str, value: Any) -> Any:
    """A value by its first name: uniform is RandomUniform, no activation is linear."""
    family = FAMILIES.get(key.rpartition("_")[2])
    if family == "activations" and value is None:
        return "linear", {}
    if family is None or not isinstance(value, KerasObject):
        return value
    known = signature(family, value.name)
    return (known.name if known is not None else value.name), value.arguments


def _shorter(value: Any) -> list[Any]:
    """Shorter ways to write a list of equal items, the shortest first: [[1, 1], [1, 1]] as 1, or as [1, 1]."""
    if not isinstance(value, list) or not value or any(x != value[0] for x in value):
        return []
    return [*_shorter(value[0]), value[0]]


def one_direction(written: Any) -> Record:
    """Return a layer inside Bidirectional without what Keras sets there whatever was written.

    Raises:
        Malformed: the configuration is not one of Keras.
    """
    record = read_record(written)
    return replace(record, config={key: x for key, x in record.config.items() if key != "zero_output_for_mask"})


def _bidirectional(record: Record, findings: Findings, name: str, frozen: bool, inside: bool) -> SpecLayer:
    inner = spec_layer(one_direction(record.config.get("layer")), findings, name, frozen=frozen, inside=inside)
    if (written := record.config.get("backward_layer")) is not None:
        backward = spec_layer(one_direction(written), findings, name, frozen=frozen, inside=inside)
        if {**inner.keys, "go_backwards": True} != backward.keys:
            message = f"the two directions of {name} are different layers, which a spec cannot express"
            help = "give both the same arguments, or write two layers and join them"
            raise findings.refuse(name, message, help=help)
    merge = record.config.get("merge_mode", "concat")
    own = {} if merge == "concat" else {"merge_mode": merge}
    layer = validated(Bidirectional, {"layer": inner.layer, **own}, findings, name)
    return SpecLayer({"bidirectional": inner.keys, **own}, layer)


def validated(cls: type[Layer], arguments: Mapping[str, Any], findings: Findings, name: str) -> Layer:
    """Return a layer of the catalog.

    Raises:
        Refused: its arguments do not fit, which is reported.
    """
    try:
        return cls.model_validate(arguments)
    except ValidationError as fault:
        message = f"{name} ({cls.__name__}) cannot be said by a spec"
        raise findings.refuse(name, message, reason=fault.errors()[0]["msg"]) from fault


def spec_dtype(record: Record, findings: Findings, name: str) -> str | None:
    """Return the precision of a layer where it is not float32; that of mixed precision is the training's to choose."""
    written = record.config.get("dtype")
    if isinstance(written, Mapping):
        kind, config = written.get("class_name"), written.get("config")
        written = config.get("name") if isinstance(config, Mapping) else None
        if kind not in ("DTypePolicy", "Policy", "FloatDTypePolicy"):
            findings.cannot_say(name, f"has a {kind} as its dtype")
            return None
    if written is None or written == "float32":
        return None
    if not isinstance(written, str):
        raise Malformed(f"the dtype of {name} is not text")
    if written.startswith("mixed_"):
        findings.note(
            f"the dtype policy {written} is left out; train: {{precision: bfloat16}} trains with mixed precision"
        )
        return None
    return written
