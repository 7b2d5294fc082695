"""Pooling: refusals and costs."""

from __future__ import annotations

from specbuild.catalog.pooling import AveragePooling2D, GlobalAveragePooling2D, MaxPooling1D, MaxPooling2D
from tests.catalog.refusals import argument_error, shape_error


def test_window_larger_than_the_input() -> None:
    error = shape_error(MaxPooling1D(pool_size=4), (3, 2))
    assert error.message == "the window of MaxPooling1D is larger than its input along the length"
    assert error.reason == "the window spans 4, the length is 3 (input 3 × 2)"
    assert error.argument == "pool_size"
    assert error.help == "pad with padding: same, or set pool_size to at most 3"


def test_strides_are_the_window_unless_written() -> None:
    assert MaxPooling2D(pool_size=3).output_shape((9, 9, 1)) == (3, 3, 1)
    assert MaxPooling2D(pool_size=3, strides=1).output_shape((9, 9, 1)) == (7, 7, 1)


def test_strides_of_zero() -> None:
    refused = argument_error(MaxPooling2D, strides=0)
    assert refused == ("strides", "expected a positive whole number or a list of 2, got 0")


def test_flops_count_every_entry_of_every_window() -> None:
    assert MaxPooling2D().flops((6, 6, 3)) == 27 * 4
    assert AveragePooling2D(pool_size=3, strides=2).flops((7, 7, 1)) == 9 * 9
    assert GlobalAveragePooling2D().flops((6, 6, 3)) == 108
