"""`keras.applications`: a published image network, complete or up to one of its layers, as one node."""

from functools import cache
from typing import Annotated, Any, ClassVar, Self

from pydantic import BeforeValidator, Field, create_model

from specbuild.catalog.base import Layer
from specbuild.catalog.generic import AskedLayer, argument_fields
from specbuild.catalog.signatures import signature
from specbuild.catalog.values import refuse, written

SUFFIXES = (".weights.h5", ".h5", ".keras")
"""What the names of weight files end in."""


def _file(value: Any) -> str | None:
    if value is not None and not isinstance(value, str):
        refuse("weights", f"expected null or the path of a file, got {written(value)}")
    if value is not None and not value.endswith(SUFFIXES):
        refuse(
            "weights",
            f"expected null or a {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]} file, got {written(value)}: specbuild "
            "never downloads in silence; download the weights once in Python, call save_weights, and name that file",
        )
    return value


def _layer_name(value: Any) -> str | int | None:
    if value is not None and type(value) is not int and not (isinstance(value, str) and value):
        refuse("name", f"expected the name or number of a layer of the network, got {written(value)}")
    return value


WeightsFile = Annotated[str | None, BeforeValidator(_file)]
LayerName = Annotated[str | int | None, BeforeValidator(_layer_name)]


class Application(AskedLayer):
    """A network of `keras.applications` on an image `(H, W, C)`; `application_kind` makes the class of each.

    Keras's arguments hold, but for the input, which is the node's, and for `weights`, which is null (random) unless it
    names a file.
    """

    until: LayerName = Field(
        None,
        description="The layer at which the network ends, by name or by its number in Keras's `layers`; a negative "
        "number counts from the end.",
    )
    weights_: WeightsFile = Field(
        None, alias="weights", description="A file of weights for the whole network; null is random."
    )

    package: ClassVar[str] = "applications"

    @property
    def ranks(self) -> tuple[int, ...]:
        return (3,)

    @property
    def weights_file(self) -> str | None:
        """The file that lowering loads, as a path from the working directory."""
        return self.weights_

    def with_weights(self, file: str | None) -> Self:
        """Return the same network with its weights from another file, or from none."""
        return self.model_copy(update={"weights_": file})


@cache
def application_kind(name: str) -> type[Application] | None:
    """Return the class of a network, made from the signature of its function; None if there is none of that name."""
    known = signature("applications", name)
    if known is None:
        return None
    exclude = ("weights", "input_shape", "input_tensor")
    fields = argument_fields(known, exclude=exclude, taken=Layer)
    return create_model(name, __base__=Application, __doc__=f"keras.applications.{name}.", **fields)
