"""One Keras layer from one layer of the catalogue. No layer has a builder of its own."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from specbuild.catalog import Bidirectional, KerasObject, Layer, Shape, ShapeError, TimeDistributed
from specbuild.catalog.application import Application
from specbuild.catalog.generic import FAMILIES, PluginLayer
from specbuild.document import did_you_mean
from specbuild.model.backend import keras
from specbuild.model.choice import is_ours
from specbuild.model.layers import LAYERS
from specbuild.model.objects import ObjectError, registered, to_keras, words

OWN_DTYPE = frozenset(
    ("CategoryEncoding", "Discretization", "HashedCrossing", "Hashing", "IntegerLookup", "StringLookup")
)
"""Layers that give whole numbers, whose dtype follows from their arguments."""


def make(
    layer: Layer, policy: str, inputs: Sequence[Shape], flags: dict[str, Any], name: str, *, ours: bool = False
) -> Any:
    """The Keras layer, not yet built.

    Args:
        layer: from the catalogue.
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
        inner = make(layer.layer, policy, frames, flags, name)
        return getattr(keras.layers, layer.kind)(inner, **keras_arguments(layer, policy), name=name)
    if isinstance(layer, Application):
        return _application(layer, policy, inputs[0], name)
    cls = LAYERS[layer.kind] if ours and layer.kind in LAYERS else _class_of(layer)
    return cls(**{**keras_arguments(layer, policy), **flags}, name=name)


class WeightsError(Exception):
    """A file of weights that cannot be loaded; `reason` is what Keras says."""

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


def call(layer: Layer, made: Any, tensors: Sequence[Any], **more: Any) -> Any:
    """Calls a Keras layer as it wants its inputs: one tensor, a list of them, or several arguments."""
    if layer.arity == "many" or (len(tensors) > 1 and not _takes_several(made)):
        return made(list(tensors), **more)
    return made(*tensors, **more)


def keras_arguments(layer: Layer, policy: str) -> dict[str, Any]:
    """A layer's arguments as Keras takes them: sub-objects built, the precision filled in."""
    arguments = {name: _argument(name, value) for name, value in layer.arguments().items()}
    if "data_format" in type(layer).model_fields and arguments.get("data_format") is None:
        # A spec means the same everywhere, whatever the user's keras.json says.
        arguments["data_format"] = "channels_last"
    if arguments.get("dtype") is None and layer.kind not in OWN_DTYPE:
        arguments["dtype"] = policy
    return arguments


def _argument(name: str, value: Any) -> Any:
    if not isinstance(value, KerasObject):
        return value
    try:
        return to_keras(value, FAMILIES[name.rpartition("_")[2]])
    except ObjectError as error:
        raise ShapeError(error.message, reason=error.reason, argument=name, help=error.help) from error


def _class_of(layer: Layer) -> Any:
    if is_ours(layer):
        return LAYERS[layer.kind]
    return _registered(layer) if isinstance(layer, PluginLayer) else getattr(keras.layers, layer.kind)


def _registered(layer: PluginLayer) -> Any:
    """The class that a plugin registered, once it is known to take the arguments."""
    try:
        found = registered(layer.kind, "layer")
    except ObjectError as error:
        raise ShapeError(error.message, reason=error.reason, argument="layer", help=error.help) from error
    if not (isinstance(found, type) and issubclass(found, keras.layers.Layer)):
        raise ShapeError(f"{layer.kind} is not a layer", reason=f"it is {found!r}", argument="layer")
    _check_arguments(layer, found)
    return found


def _check_arguments(layer: PluginLayer, cls: type[Any]) -> None:
    """Refuses arguments that no `__init__` of the class and its bases names, and the lack of one it needs."""
    known: dict[str, bool] = {}
    for base in cls.__mro__:
        if "__init__" not in vars(base):
            continue
        parameters = list(inspect.signature(vars(base)["__init__"]).parameters.values())[1:]
        open_ended = any(one.kind is one.VAR_KEYWORD for one in parameters)
        for one in parameters:
            if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY):
                known.setdefault(one.name, one.default is one.empty and base is cls)
        if not open_ended or base is keras.layers.Layer:
            break
    for name in layer.own_arguments:
        if name not in known:
            names = [one for one in known if one != "name"]
            help = did_you_mean(name, names)
            raise ShapeError(f'{layer.kind} has no argument "{name}"', argument=name, help=help)
    for name, required in known.items():
        if required and name not in layer.own_arguments:
            raise ShapeError(f"{layer.kind} needs {name}", argument="layer")


def _takes_several(made: Any) -> bool:
    """Whether `call` needs more than one tensor as arguments of their own: a query and a value."""
    parameters = inspect.signature(made.call).parameters.values()
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(one.kind in positional and one.default is one.empty for one in parameters) > 1


def _application(layer: Application, policy: str, shape: Shape, name: str) -> Any:
    """The network, with its weights, up to the layer `until`."""
    with _defaults(str(layer.dtype or policy)):
        own = ("until", "weights", "dtype")
        arguments = {name: value for name, value in keras_arguments(layer, policy).items() if name not in own}
        network = getattr(keras.applications, layer.kind)(weights=None, input_shape=shape, **arguments)
    if layer.weights_file is not None:
        try:
            network.load_weights(layer.weights_file)
        except Exception as error:  # HDF5 and Keras raise whatever comes first
            raise WeightsError(f"these weights do not fit {layer.kind}", words(error)) from error
    end = network.output
    if layer.until is not None:
        names = [one.name for one in network.layers]
        if layer.until not in names:
            raise ShapeError(
                f'{layer.kind} has no layer "{layer.until}"',
                argument="until",
                help=did_you_mean(layer.until, names) or f"it ends with {', '.join(names[-5:])}",
            )
        end = network.get_layer(layer.until).output
    return keras.Model(network.input, end, name=name)


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
