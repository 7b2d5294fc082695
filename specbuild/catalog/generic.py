"""Layer kinds without a rule of their own: the rest of `keras.layers`, and registered layers of plugins.

Their argument names come from Keras's signatures; their shapes and weights from Keras itself, which a `Resolver` asks.
The graph stage binds one to each such layer, so that nothing here imports Keras.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, ClassVar, Protocol, Self

from pydantic import BeforeValidator, ConfigDict, Field, PrivateAttr, create_model, model_validator

from specbuild.catalog.base import Layer
from specbuild.catalog.objects import KerasObject, KerasValue, keras_object
from specbuild.catalog.registry import KINDS
from specbuild.catalog.shapes import Dim, Shape, ShapeError, Weight, plus, times
from specbuild.catalog.signatures import Family, Signature, names, signature
from specbuild.catalog.values import Flag, refuse, written
from specbuild.catalog.wrappers import TimeDistributed, asks_keras

_CODE = (
    "it holds Python code, which a spec cannot",
    "write it as a layer of your own and name its module with --plugin",
)
_LAMBDA = (
    _CODE[0],
    "use a layer that computes it: Rescaling, Slice, Gather, Reshape, Permute, ExpandDims, RepeatFrame, Stack, Add, "
    "Multiply or Activation; or write a layer of your own and name its module with --plugin",
)
_CELL = ("it takes or is a cell of a recurrence", "take LSTM, GRU, SimpleRNN or a ConvLSTM")
_TEXT = (
    "it reads text, and the inputs of a model are numbers",
    "map each word to a number beforehand, and use IntegerLookup",
)
_WRAPPER = ("it takes layers as arguments, which a spec cannot write", "")
UNWRITABLE: dict[str, tuple[str, str]] = {
    "Lambda": _LAMBDA,
    **dict.fromkeys(("FlaxLayer", "JaxLayer", "TFSMLayer", "TorchModuleWrapper"), _CODE),
    **dict.fromkeys(("GRUCell", "LSTMCell", "RNN", "SimpleRNNCell", "StackedRNNCells"), _CELL),
    **dict.fromkeys(("Pipeline", "SpectralNormalization"), _WRAPPER),
    **dict.fromkeys(("StringLookup", "TextVectorization"), _TEXT),
}
"""Layers of Keras that a spec cannot name: why, and what to do instead."""
WRAPPERS = ("Bidirectional", "TimeDistributed")
"""Layers of Keras that have a form of their own in the language."""
OPENED = ("idf_weights", "vocabulary")
"""Arguments that Keras opens as a file or fetches from a network where they are text; a spec writes a list."""
PAIRED = ("AdditiveAttention", "Attention", "GroupQueryAttention", "MultiHeadAttention")
"""Layers whose inputs are a query, a value and, optionally, a key."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """Shapes and weights of a layer as computed by Keras. `saved`: numbers per sample kept for the backward pass."""

    shape: Shape
    weights: tuple[Weight, ...]
    saved: Dim
    flops: Dim = None
    """Operations for one sample, as far as the layers inside tell."""


class Resolver(Protocol):
    """Asks Keras."""

    def resolve(self, layer: AskedLayer, inputs: tuple[Shape, ...]) -> Resolved:
        """Return what Keras makes of a layer.

        Raises:
            ShapeError: Keras refuses the arguments or the inputs, in Keras's words.
        """


class AskedLayer(Layer):
    """A layer whose shapes and weights Keras knows; the graph stage binds the resolver that asks."""

    asks_keras: ClassVar[bool] = True

    _resolver: Resolver | None = PrivateAttr(None)
    _on_frames: bool = PrivateAttr(False)

    def bound(self, resolver: Resolver, *, on_frames: bool = False) -> Self:
        """Return a copy of the layer with its resolver; `on_frames` if it is inside a time_distributed."""
        copy = self.model_copy()
        copy._resolver, copy._on_frames = resolver, on_frames
        return copy

    @property
    def on_frames(self) -> bool:
        """Whether the layer is wrapped, so that Keras asks it for its output's shape."""
        return self._on_frames

    def check(self, *inputs: Shape) -> None:
        super().check(*inputs)
        self._ask(inputs)

    def output_shape(self, *inputs: Shape) -> Shape:
        return self._ask(inputs).shape

    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        return self._ask(inputs).weights

    def flops(self, *inputs: Shape) -> Dim:
        """Those of the layers inside a network; of most others they are unknown, as Keras does not say."""
        count = COUNTED.get(self.kind)
        return self._ask(inputs).flops if count is None else count(self, inputs[0])

    def saved_elements(self, *inputs: Shape) -> Dim:
        return self._ask(inputs).saved

    def arguments(self) -> dict[str, Any]:
        aliases = {name: field.alias or name for name, field in type(self).model_fields.items()}
        return {aliases[name]: value for name, value in super().arguments().items()}

    def said(self) -> dict[str, Any]:
        """Return what a spec writes to mean this layer."""
        frozen = {"trainable": self.trainable} if "trainable" in self.model_fields_set else {}
        return {**self.arguments(), **frozen}

    def _ask(self, inputs: tuple[Shape, ...]) -> Resolved:
        if self._resolver is None:
            message = f"{self.label} has no shape rule of its own, and nobody is there to ask Keras"
            raise ShapeError(message, help="call specbuild.build_graph, or give specbuild.graph.build_graph a resolver")
        return self._resolver.resolve(self, inputs)


class KerasLayer(AskedLayer):
    """A layer of `keras.layers`; `keras_kind` makes the class of each."""

    arity = "any"

    def check(self, *inputs: Shape) -> None:
        if self.kind in PAIRED and len(inputs) < 2:
            message = f"{self.label} reads a query and a value, got 1 input"
            raise ShapeError(message, help="write from: [query, value]; for self-attention name one node twice")
        if self.kind == "IntegerLookup" and not self.arguments().get("vocabulary"):
            raise ShapeError(
                "IntegerLookup needs a vocabulary", help="write vocabulary: [3, 5, 8], the numbers it knows"
            )
        super().check(*inputs)


class PluginLayer(AskedLayer):
    """A class that a plugin registered with `keras.saving.register_keras_serializable`: `my_package>MyLayer`.

    Its arguments are its own: Python's signature says which there are, once the plugin is loaded.
    """

    model_config = ConfigDict(extra="allow")

    package: ClassVar[str] = "plugin"
    arity = "any"

    @model_validator(mode="before")
    @classmethod
    def _objects(cls, given: Any) -> Any:
        """Read arguments that are Keras objects by their names."""
        if not isinstance(given, Mapping):
            return given
        return {key: _object_or_plain(str(key), value) for key, value in given.items()}

    @property
    def own_arguments(self) -> dict[str, Any]:
        """The arguments of the class itself."""
        return dict(self.model_extra or {})

    def arguments(self) -> dict[str, Any]:
        return {**self.own_arguments, **super().arguments()}


def bind(layer: Layer, resolver: Resolver, *, on_frames: bool = False) -> Layer:
    """Return the layer with the resolver bound to every layer in it that needs one."""
    if isinstance(layer, AskedLayer):
        return layer.bound(resolver, on_frames=on_frames)
    if isinstance(layer, TimeDistributed) and asks_keras(layer):
        return layer.model_copy(update={"layer": bind(layer.layer, resolver, on_frames=True)})
    return layer


def other_kind(name: str) -> type[Layer] | None:
    """Return the class of a layer without a rule of its own: of Keras, an alias, or of a plugin (`package>Class`)."""
    if ">" in name:
        return plugin_kind(name)
    known = signature("layers", name)
    return None if known is None else KINDS.get(known.name) or keras_kind(known.name)


def other_names() -> tuple[str, ...]:
    """Return the layers of Keras that a spec can name besides the kinds with a rule, aliases included."""
    excluded = {*UNWRITABLE, *KINDS, *WRAPPERS}
    return tuple(name for name in names("layers") if name not in excluded)


@cache
def keras_kind(name: str) -> type[KerasLayer] | None:
    """Return the class of a Keras layer, made from its signature; None if there is none or a spec cannot name it."""
    known = signature("layers", name)
    if known is None or known.name in UNWRITABLE or known.name in WRAPPERS:
        return None
    fields = argument_fields(known, exclude=("trainable", "dtype"), taken=Layer)
    return create_model(
        known.name, __base__=KerasLayer, __doc__=f"Keras's {known.name}, resolved through Keras.", **fields
    )


@cache
def plugin_kind(name: str) -> type[PluginLayer]:
    """Return the class of a registered layer, `package>Name`."""
    return create_model(name, __base__=PluginLayer, __doc__=f"{name}, which a plugin registers.")


def argument_fields(known: Signature, *, exclude: tuple[str, ...], taken: type[Layer]) -> dict[str, Any]:
    """Return pydantic fields for the arguments of a Keras signature, as `create_model` takes them.

    An argument whose name is an attribute of `taken` (`output_shape`, `weights`) gets the field name `<name>_` and its
    own name as alias.
    """
    fields: dict[str, Any] = {}
    for name in known.arguments:
        if name in exclude:
            continue
        default = known.optional.get(name, ...)
        annotation, value = _typed(name, default)
        description = f"The argument {name} of Keras's {known.name}."
        clash = hasattr(taken, name)
        fields[f"{name}_" if clash else name] = (
            annotation,
            Field(value, alias=name if clash else None, description=description),
        )
    return fields


def _typed(name: str, default: Any) -> tuple[Any, Any]:
    """Return type and default of an argument: Keras objects by the last word of its name, flags by their default."""
    family = FAMILIES.get(name.rpartition("_")[2])
    if family is not None:
        annotation: Any = Annotated[KerasObject, KerasValue(family)]
        value = KerasObject(default) if isinstance(default, str) else default
        return (annotation if family == "initializers" and value is not None else annotation | None), value
    if isinstance(default, bool):
        return Flag, default
    if name in OPENED:
        return Annotated[Any, BeforeValidator(_no_path), BeforeValidator(_plain)], _tuples(default)
    return Plain, _tuples(default)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        refuse("argument", f"expected a number, a word or a list, got {written(value)}")
    return _tuples(value)


def _no_path(value: Any) -> Any:
    if isinstance(value, str):
        refuse(
            "argument",
            f"expected a list, got {written(value)}: layers do not open files, so write the values in the spec",
        )
    return value


def _tuples(value: Any) -> Any:
    """Return lists, at any depth, as tuples: values of a layer do not change."""
    return tuple(_tuples(item) for item in value) if isinstance(value, list | tuple) else value


def _object_or_plain(name: str, value: Any) -> Any:
    family = FAMILIES.get(name.rpartition("_")[2])
    if family is None or value is None or name == "layer":
        return _tuples(value)
    return keras_object(family, value)


Plain = Annotated[Any, BeforeValidator(_plain)]
"""A value whose type the signature does not tell; Keras checks it."""


def _einsum_flops(layer: AskedLayer, x: Shape) -> Dim:
    """A multiply-add for each term that the equation sums up in an output value, and its bias."""
    arguments = layer.arguments()
    reads, gives = str(arguments["equation"]).replace(" ", "").split("->")
    before, _, after = reads.partition(",")[0].partition("...")
    with_batch: Shape = (1, *x)  # A label of the batch axis stands for a single sample.
    lengths = dict(zip(before, with_batch, strict=False)) | dict(zip(reversed(after), reversed(x), strict=False))
    summed = times(*(length for label, length in lengths.items() if label not in gives))
    each = plus(times(2, summed), 1 if arguments.get("bias_axes") else 0)
    written = layer.output_shape(x)  # Keras leaves a length open that its argument leaves open.
    known = [lengths.get(label) for label in reversed(gives.rpartition("...")[2])]
    open_ends = (*known, *(None for _ in written))
    values = (length or end for length, end in zip(reversed(written), open_ends, strict=False))
    return times(each, *values)


COUNTED: dict[str, Callable[[AskedLayer, Shape], Dim]] = {
    "EinsumDense": _einsum_flops,
    "Normalization": lambda _, x: times(2, *x),
}
"""The FLOPs of layers of Keras that follow from their arguments and their input."""

FAMILIES: dict[str, Family] = {
    "activation": "activations",
    "constraint": "constraints",
    "initializer": "initializers",
    "regularizer": "regularizers",
}
"""What kind of object an argument holds, by the last word of its name: `recurrent_activation`."""
