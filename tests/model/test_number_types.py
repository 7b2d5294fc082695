"""Inputs of whole numbers and booleans: a layer that cannot compute with them is refused, and only such a layer."""

from __future__ import annotations

import numpy as np
import pytest

from specbuild import SpecError, build_graph, build_model


def spec(dtype: str, shape: str, *layers: str) -> str:
    nodes = "".join(f"  - {layer}\n" for layer in layers)
    return f"specbuild: 1\ninputs: {{x: {{shape: {shape}, dtype: {dtype}}}}}\nlayers:\n{nodes}"


CONVOLUTION = "{id: n, layer: Conv2D, filters: 2, kernel_size: 1}"


@pytest.mark.parametrize(
    ("dtype", "layers"),
    [
        ("uint8", [CONVOLUTION]),
        ("int32", [CONVOLUTION]),
        ("int32", ["{layer: Flatten}", "{id: n, layer: Softmax}"]),
        ("int32", ["{id: n, layer: AveragePooling2D, pool_size: 2}"]),
        ("bool", ["{layer: Concatenate, from: [x, x]}", "{id: n, layer: ReLU}"]),
        ("bool", ["{id: n, layer: Add, from: [x, x]}"]),
    ],
)
def test_refused(dtype: str, layers: list[str]) -> None:
    with pytest.raises(SpecError) as caught:
        build_graph(spec(dtype, "[4, 4, 3]", *layers))
    (one,) = caught.value.diagnostics
    assert (one.message, one.reason) == ("n needs floating-point numbers", f"x has numbers of type {dtype}")


@pytest.mark.parametrize("dtype", ["uint8", "int32", "bool"])
@pytest.mark.parametrize(
    "layers",
    [
        ["{layer: Rescaling, scale: 1}", CONVOLUTION],
        ["{layer: Dense, units: 2}", CONVOLUTION],
        ["{layer: Embedding, input_dim: 2, output_dim: 1}", "{layer: Reshape, target_shape: [4, 4, 3]}", CONVOLUTION],
        ["{layer: BatchNormalization}", "{layer: Flatten}", "{layer: Softmax}"],
        ["{layer: GlobalAveragePooling2D}", "{layer: ELU}"],
    ],
)
def test_computed(dtype: str, layers: list[str]) -> None:
    model = build_model(spec(dtype, "[4, 4, 3]", *layers))
    assert np.isfinite(model(np.ones((2, 4, 4, 3), dtype))).all()
