"""One Keras layer from one layer of the catalog. No layer has a builder of its own.

A layer that both Keras and specbuild have, such as ConvLSTM without options of our own, becomes the class that is
measured to be faster. Weights, their names, first values and results are the same, so the choice changes only the
speed; `benchmarks/recurrent.py` measures it, and docs/performance.md holds the numbers. LSTM, GRU and SimpleRNN follow
the same table; without a mask ours run Keras's own loop.

Where Keras is wrong ours are taken for the results: behind a mask everywhere, and on JAX for the state of a stateful
layer, which Keras's loses in compiled calls. `Add` and `Average` are ours where Keras may take an input for a bias
(`layers/merging.py`).

| backend    | device      | class    | why                                                                          |
| ---------- | ----------- | -------- | ---------------------------------------------------------------------------- |
| TensorFlow | CPU         | ours     | up to 32 steps, unrolled: in bfloat16; in float32 for small frames           |
|            |             | Keras's  | otherwise: its separate convolutions keep more in the cache                  |
| JAX        | CPU         | ours     | unrolled: XLA trains Keras's loop more than 10 times slower                  |
| any        | accelerator | ours     | one convolution a step in place of eight; expected, not measured             |

Keras's own class is taken everywhere with `SPECBUILD_STOCK_LAYERS=1`, or by `build_model(…, stock=True)`. What
`specbuild.model.save` writes names Keras's class in either case.
"""

from __future__ import annotations

import inspect
import math
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from specbuild.catalog import Bidirectional, KerasObject, Layer, Shape, ShapeError, TimeDistributed
from specbuild.catalog.application import Application
from specbuild.catalog.conv_recurrent import Convolutional
from specbuild.catalog.generic import FAMILIES, PluginLayer
from specbuild.document import did_you_mean
from specbuild.model.backend import backend_name, has_accelerator, keras, unrolls
from specbuild.model.layers import ADDED, LAYERS
from specbuild.model.layers.merging import EXACT, mistaken
from specbuild.model.objects import ObjectError, registered, to_keras, words

OWN_DTYPE = frozenset(
    ("CategoryEncoding", "Discretization", "HashedCrossing", "Hashing", "IntegerLookup", "StringLookup")
)
"""Layers that give whole numbers, whose dtype follows from their arguments."""


def make(
    layer: Layer, policy: str, inputs: Sequence[Shape], flags: dict[str, Any], name: str, *, ours: bool = False
) -> Any:
    """Return the Keras layer, not yet built.

    Args:
        layer: from the catalog.
        policy: the Keras dtype policy, where the layer has no dtype of its own.
        inputs: shapes of its inputs without the batch axis; only an application needs them.
        flags: arguments that follow from the layer's use in a graph.
        name: the name of the Keras layer.
        ours: whether a class of ours is taken where Keras has one of the same name and weights.

    Raises:
        ShapeError: a plugin's class does not exist or does not take the arguments, Keras refuses an initializer or its
            like; `until` names no layer.
        WeightsError: a file of weights does not fit.
    """
    if isinstance(layer, TimeDistributed | Bidirectional):
        frames = [shape[1:] for shape in inputs] if isinstance(layer, TimeDistributed) else inputs
        inner = make(layer.layer, policy, frames, flags, name, ours=ours)
        return getattr(keras.layers, layer.kind)(inner, **keras_arguments(layer, policy), name=name)
    if isinstance(layer, Application):
        return _application(layer, policy, inputs[0], name)
    cls = _class_of(layer, policy, inputs, ours=ours)
    return cls(**{**keras_arguments(layer, policy), **flags}, name=name)


class WeightsError(ShapeError):
    """A file of weights that cannot be loaded; `reason` is what Keras says."""


def call(layer: Layer, keras_layer: Any, tensors: Sequence[Any], **keywords: Any) -> Any:
    """Call a Keras layer as it wants its inputs: one tensor, a list of them, or several arguments."""
    if layer.arity == "many" or (len(tensors) > 1 and not _takes_several(keras_layer)):
        return keras_layer(list(tensors), **keywords)
    return keras_layer(*tensors, **keywords)


def keras_arguments(layer: Layer, policy: str) -> dict[str, Any]:
    """Return a layer's arguments as Keras takes them: sub-objects built, the precision filled in."""
    arguments = {name: _argument(name, value) for name, value in layer.arguments().items()}
    if "data_format" in type(layer).model_fields and arguments.get("data_format") is None:
        # A spec means the same everywhere, independent of the user's keras.json.
        arguments["data_format"] = "channels_last"
    if arguments.get("dtype") is None and layer.kind not in OWN_DTYPE:
        arguments["dtype"] = policy
    return arguments


@contextmanager
def stock_layers() -> Iterator[None]:
    """Take Keras's own classes wherever it has them, for what is built inside."""
    before = _stock.set(True)
    try:
        yield
    finally:
        _stock.reset(before)


_stock: ContextVar[bool] = ContextVar("stock", default=False)


SMALL_GATES = 2**17
"""Numbers in the gates of a frame up to which our ConvLSTM is the faster one in float32 on TensorFlow on a CPU."""


def ours_is_faster(layer: Layer, policy: str, shape: Shape) -> bool:
    """Whether our class of a layer that reads `shape` is the faster one on the backend and device: the table above."""
    if has_accelerator() or backend_name() != "tensorflow":
        return True
    if not isinstance(layer, Convolutional) or not unrolls(shape[0]):
        return False
    gates = layer.gates * math.prod(size for size in layer.state_shape(shape) if size is not None)
    return gates <= SMALL_GATES or keras.DTypePolicy(str(layer.dtype or policy)).compute_dtype == "bfloat16"


def needs_exact(layer: Layer, inputs: Sequence[Shape]) -> bool:
    """Whether Keras's class of a layer may be wrong on inputs of these shapes."""
    return layer.kind in EXACT and mistaken(inputs)


def _argument(name: str, value: Any) -> Any:
    if not isinstance(value, KerasObject):
        return value
    try:
        return to_keras(value, FAMILIES[name.rpartition("_")[2]])
    except ObjectError as error:
        error.argument = name
        raise


def _class_of(layer: Layer, policy: str, inputs: Sequence[Shape], *, ours: bool) -> Any:
    if layer.origin == "specbuild":
        return (LAYERS | ADDED)[layer.kind]
    if needs_exact(layer, inputs):
        return EXACT[layer.kind]
    stock = _stock.get() or os.environ.get("SPECBUILD_STOCK_LAYERS", "0") not in ("", "0")
    if layer.kind in LAYERS and (ours or (not stock and ours_is_faster(layer, policy, inputs[0]))):
        return LAYERS[layer.kind]
    return _registered(layer) if isinstance(layer, PluginLayer) else getattr(keras.layers, layer.kind)


def _registered(layer: PluginLayer) -> Any:
    """The class that a plugin registered, once it is known to take the arguments."""
    cls = registered(layer.kind, "layer")
    if not (isinstance(cls, type) and issubclass(cls, keras.layers.Layer)):
        raise ShapeError(f"{layer.kind} is not a layer", reason=f"it is {cls!r}", argument="layer")
    _check_arguments(layer, cls)
    return cls


def _check_arguments(layer: PluginLayer, cls: type[Any]) -> None:
    """Refuse arguments that no `__init__` of the class and its bases names, and the lack of one it needs."""
    known: dict[str, bool] = {}
    for base in cls.__mro__:
        if "__init__" not in vars(base):
            continue
        parameters = list(inspect.signature(vars(base)["__init__"]).parameters.values())[1:]
        open_ended = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)
        for parameter in parameters:
            if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
                known.setdefault(parameter.name, parameter.default is parameter.empty and base is cls)
        if not open_ended or base is keras.layers.Layer:
            break
    for name in layer.own_arguments:
        if name not in known:
            help = did_you_mean(name, [other for other in known if other != "name"])
            raise ShapeError(f'{layer.kind} has no argument "{name}"', argument=name, help=help)
    for name, required in known.items():
        if required and name not in layer.own_arguments:
            raise ShapeError(f"{layer.kind} needs {name}", argument="layer")


def _takes_several(keras_layer: Any) -> bool:
    """Whether `call` needs more than one tensor as arguments of their own: a query and a value."""
    parameters = inspect.signature(keras_layer.call).parameters.values()
    return sum(x.kind in (x.POSITIONAL_ONLY, x.POSITIONAL_OR_KEYWORD) and x.default is x.empty for x in parameters) > 1


def _application(layer: Application, policy: str, shape: Shape, name: str) -> Any:
    """The network, with its weights, up to the layer `until`."""
    with _defaults(str(layer.dtype or policy)):
        own = ("until", "weights", "dtype")
        arguments = {name: value for name, value in keras_arguments(layer, policy).items() if name not in own}
        network = getattr(keras.applications, layer.kind)(weights=None, input_shape=shape, **arguments)
    if layer.weights_file is not None:
        try:
            network.load_weights(layer.weights_file)
        except Exception as error:  # HDF5 and Keras raise many types
            message = f"these weights do not fit {layer.kind}"
            raise WeightsError(message, reason=words(error), argument="weights") from error
    end = network.output
    if layer.until is not None:
        end = _layer_named(layer, network).output
    return keras.Model(network.input, end, name=name)


def _layer_named(layer: Application, network: Any) -> Any:
    """The layer of a network at which `until` ends it, by name or by number."""
    until, names = layer.until, [inner.name for inner in network.layers]
    if isinstance(until, int) and -len(names) <= until < len(names):
        return network.layers[until]
    if until in names:
        return network.get_layer(until)
    near = did_you_mean(until, names) if isinstance(until, str) else f"it has {len(names)} layers"
    help = near or f"it ends with {', '.join(names[-5:])}"
    message = f"{layer.kind} has no layer {until}" if isinstance(until, int) else f'{layer.kind} has no layer "{until}"'
    raise ShapeError(message, argument="until", help=help)


@contextmanager
def _defaults(policy: str) -> Iterator[None]:
    """Keras's global settings, which are all that keras.applications goes by, for the time of one call."""
    before = keras.config.dtype_policy(), keras.config.image_data_format()
    keras.config.set_dtype_policy(policy)
    keras.config.set_image_data_format("channels_last")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before[0])
        keras.config.set_image_data_format(before[1])
