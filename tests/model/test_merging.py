"""Sums and means of inputs of different shapes, which Keras adds along the wrong axis in some batches."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from specbuild import build_graph, build_model
from specbuild.model import save
from specbuild.model.layers.merging import mistaken

KINDS: dict[str, Any] = {"Add": np.add, "Average": lambda x, y: (x + y) / 2}


def built(kind: str, *shapes: tuple[int, ...]) -> Any:
    """Return a model that merges inputs of these shapes."""
    inputs = {f"x{number}": list(shape) for number, shape in enumerate(shapes)}
    layers = [{"id": "merged", "layer": kind, "from": list(inputs)}]
    return build_model(build_graph({"specbuild": 1, "inputs": inputs, "layers": layers}))


def drawn(batch: int, *shapes: tuple[int, ...]) -> list[np.ndarray[Any, Any]]:
    random = np.random.default_rng(0)
    return [random.standard_normal((batch, *shape)).astype(np.float32) for shape in shapes]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("shapes", "batch"), [(((8, 8, 3), (1, 8, 1)), 1), (((8, 1), (1, 8)), 1), (((2, 3), (1, 1)), 2)]
)
def test_values_are_added_where_they_belong(
    kind: str, shapes: tuple[tuple[int, ...], ...], batch: int, tmp_path: Path
) -> None:
    model, (first, second) = built(kind, *shapes), drawn(batch, *shapes)
    expected = KINDS[kind](first, second)
    np.testing.assert_allclose(model([first, second]), expected, atol=1e-6)
    save(model, tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(again.predict_on_batch([first, second]), expected, atol=1e-6)


def test_a_reused_sum_is_right_for_every_shape() -> None:
    spec = {
        "specbuild": 1,
        "inputs": {"x": [8, 8, 3], "y": [1, 8, 1]},
        "layers": [
            {"id": "twice", "layer": "Add", "from": ["x", "x"]},
            {"id": "merged", "reuse": "twice", "from": ["x", "y"]},
        ],
        "outputs": ["twice", "merged"],
    }
    x, y = drawn(1, (8, 8, 3), (1, 8, 1))
    twice, merged = build_model(build_graph(spec))([x, y])
    np.testing.assert_allclose(twice, 2 * x, atol=1e-6)
    np.testing.assert_allclose(merged, x + y, atol=1e-6)


def test_every_sum_that_keras_gets_wrong_is_recognized() -> None:
    if keras.backend.backend() != "tensorflow":
        pytest.skip("only with TensorFlow does Keras take an input for a bias")
    sizes, found = (1, 2, 3), 0
    for first, second in product(product(sizes, repeat=3), repeat=2):
        if any(x != y and 1 not in (x, y) for x, y in zip(first, second, strict=True)):
            continue
        for batch in (1, 2, 3):
            a, b = drawn(batch, first, second)
            try:
                right = np.allclose(keras.ops.add(a, b), a + b)
            except Exception:
                right = False
            if not right:
                found += 1
                assert mistaken([first, second]), (batch, first, second)
    assert found > 20


def test_keras_has_the_sums_that_it_gets_right() -> None:
    for shapes in [((8, 8, 3), (8, 8, 3)), ((8, 8, 3), (1, 1, 3)), ((4, 5, 3), (4, 1, 3))]:
        assert type(built("Add", *shapes).layers[-1]) is keras.layers.Add
