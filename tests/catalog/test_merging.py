"""Merges: which inputs go together, in which words they do not, and costs."""

from __future__ import annotations

from specbuild.catalog.merging import Add, Average, Concatenate, Dot, Subtract
from tests.catalog.refusals import shape_error


def test_concatenating_what_differs_elsewhere() -> None:
    error = shape_error(Concatenate(), (8, 16, 3), (8, 16, 5), (8, 15, 2))
    assert error.message == "Concatenate along axis 3 needs inputs that agree on axis 2"
    assert error.reason == "it is 16 in input 1 (8 × 16 × 3) and 15 in input 3 (8 × 15 × 2)"
    assert error.argument is None


def test_concatenating_along_the_wrong_axis_names_the_right_one() -> None:
    error = shape_error(Concatenate(), (8, 16, 3), (4, 16, 3))
    assert error.message == "Concatenate along axis 3 needs inputs that agree on axis 1"
    assert error.help == "they could be joined along axis: 1"


def test_concatenating_other_numbers_of_axes() -> None:
    error = shape_error(Concatenate(), (8, 3), (8, 8, 3))
    assert error.message == "Concatenate needs inputs with the same number of axes"
    assert error.reason == "input 1 is 8 × 3, input 2 is 8 × 8 × 3"


def test_concatenating_along_the_batch_axis() -> None:
    for axis in (0, -3):
        error = shape_error(Concatenate(axis=axis), (8, 3), (8, 3))
        assert error.message == f"Concatenate cannot join along axis {axis}, which is the batch axis"
        assert error.reason == "input 1 is 8 × 3: its axes are 1 to 2, or -1 to -2"
        assert error.argument == "axis"


def test_concatenating_along_an_axis_that_is_not_there() -> None:
    error = shape_error(Concatenate(axis=3), (8, 3), (8, 3))
    assert error.message == "Concatenate cannot join along axis 3, which does not exist"


def test_concatenated_lengths_add_up() -> None:
    assert Concatenate().output_shape((8, 3), (8, 5)) == (8, 8)
    assert Concatenate(axis=1).output_shape((8, 3), (None, 3)) == (None, 3)


def test_a_merge_of_one_input() -> None:
    assert Add().output_shape((8, 3)) == Concatenate().output_shape((8, 3)) == (8, 3)
    assert Add().flops((8, 3)) == 0


def test_adding_what_does_not_broadcast() -> None:
    error = shape_error(Add(), (8, 8, 3), (8, 1, 3), (8, 4, 3))
    assert error.message == "Add cannot match its inputs on axis -2"
    assert error.reason == "it is 8 in inputs 1 to 2 (8 × 8 × 3) and 4 in input 3 (8 × 4 × 3)"
    assert error.help == "lengths must be equal, or one of them 1"


def test_broadcasting() -> None:
    assert Add().output_shape((8, 1, 3), (5, 1)) == (8, 5, 3)


def test_subtracting_three() -> None:
    assert shape_error(Subtract(), (3,), (3,), (3,)).message == "Subtract needs exactly 2 inputs, got 3"


def test_dot_of_axes_of_different_length() -> None:
    error = shape_error(Dot(axes=[2, 1]), (2, 3), (4, 5))
    assert error.message == "Dot needs the same length on the axes it sums over"
    assert error.reason == "axis 2 of input 1 is 3 (2 × 3), axis 1 of input 2 is 4 (4 × 5)"
    assert error.argument == "axes"


def test_dot_over_the_batch_axis() -> None:
    error = shape_error(Dot(axes=0), (2, 3), (2, 3))
    assert error.message == "Dot cannot sum over axis 0 of input 1, which is the batch axis"
    assert error.reason == "input 1 is 2 × 3: its axes are 1 to 2"


def test_flops() -> None:
    assert Add().flops((2, 3), (2, 3), (2, 3)) == 12
    assert Average().flops((2, 3), (2, 3), (2, 3)) == 18
    assert Concatenate().flops((2, 3), (2, 3)) == 0
    assert Dot(axes=[2, 1]).flops((2, 3), (3, 4)) == 2 * 8 * 3
    assert Dot(axes=[2, 1], normalize=True).flops((2, 3), (3, 4)) == 48 + 3 * (6 + 12)
