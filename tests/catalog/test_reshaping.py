"""Enlarging, padding, cropping, reshaping: refusals and costs."""

from __future__ import annotations

from specbuild.catalog.reshaping import Cropping2D, Flatten, Permute, RepeatVector, Reshape, UpSampling1D, UpSampling2D
from tests.catalog.refusals import argument_error, shape_error


def test_cropping_everything() -> None:
    error = shape_error(Cropping2D(cropping=[1, [2, 3]]), (8, 5, 1))
    assert error.message == "Cropping2D leaves nothing of the width"
    assert error.reason == "it cuts off 2 and 3, the width is 5 (input 8 × 5 × 1)"
    assert error.argument == "cropping"


def test_reshaping_to_another_number_of_values() -> None:
    error = shape_error(Reshape(target_shape=[3, 5]), (4, 4))
    assert error.message == "Reshape cannot make 3 × 5 of 4 × 4"
    assert error.reason == "the input has 16 values, which is not 15"
    assert error.argument == "target_shape"


def test_reshaping_what_does_not_divide() -> None:
    error = shape_error(Reshape(target_shape=[3, -1]), (4, 4))
    assert error.message == "Reshape cannot make 3 × ? of 4 × 4"
    assert error.reason == "the input has 16 values, which is not a multiple of 3"


def test_reshape_works_out_what_is_left() -> None:
    assert Reshape(target_shape=[-1, 8]).output_shape((4, 4)) == (2, 8)
    assert Reshape(target_shape=[-1, 8]).output_shape((None, 4)) == (None, 8)


def test_permuting_another_number_of_axes() -> None:
    error = shape_error(Permute(dims=[2, 1]), (3, 4, 5))
    assert error.message == "Permute needs an input with 2 axes, got 3"
    assert Permute(dims=[3, 1, 2]).output_shape((3, 4, 5)) == (5, 3, 4)


def test_repeating_what_is_no_vector() -> None:
    assert shape_error(RepeatVector(n=3), (4, 4)).message == "RepeatVector needs an input with 1 axes, got 2"


def test_upsampling_a_sequence_takes_one_number() -> None:
    assert argument_error(UpSampling1D, size=[2]) == ("size", "expected a positive whole number, got [2]")


def test_only_interpolation_costs() -> None:
    assert UpSampling2D().flops((2, 2, 1)) == 0
    assert UpSampling2D(interpolation="bilinear").flops((2, 2, 1)) == 16 * 2 * 4


def test_flatten_keeps_no_copy() -> None:
    assert Flatten().output_shape((2, 3, 4)) == (24,)
    assert Flatten().saved_elements((2, 3, 4)) == 0
