"""How the tests of layer kinds ask what a user would read."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from specbuild.catalog.base import Layer
from specbuild.catalog.shapes import Shape, ShapeError


def shape_error(layer: Layer, *inputs: Shape) -> ShapeError:
    """What the layer has against the inputs."""
    with pytest.raises(ShapeError) as caught:
        layer.check(*inputs)
    return caught.value


def argument_error(kind: type[Layer], **arguments: Any) -> tuple[str, str]:
    """The argument that is refused, and why."""
    with pytest.raises(ValidationError) as caught:
        kind(**arguments)
    (fault,) = caught.value.errors()
    return str(fault["loc"][0]), fault["msg"]
