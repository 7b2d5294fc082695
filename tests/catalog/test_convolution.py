"""Convolutions: what is refused and in which words, costs worked out by hand, and every output_padding."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from specbuild.catalog.convolution import (
    Conv1D,
    Conv2D,
    Conv2DTranspose,
    Conv3D,
    DepthwiseConv2D,
    SeparableConv2D,
)
from specbuild.catalog.shapes import Weight
from specbuild.model.backend import backend_name
from tests.catalog.agreement import assert_agreement, assert_refused, fault
from tests.catalog.refusals import argument_error, shape_error


def test_input_with_too_few_axes() -> None:
    error = shape_error(Conv3D(filters=8, kernel_size=3), (64, 64, 1))
    assert error.message == "Conv3D needs an input with 4 axes, got 3"
    assert error.reason == "its input is 64 × 64 × 1 (without the batch axis)"


def test_kernel_larger_than_the_input() -> None:
    error = shape_error(Conv2D(filters=8, kernel_size=[3, 5]), (16, 4, 1))
    assert error.message == "the window of Conv2D is larger than its input along the width"
    assert error.reason == "the window spans 5, the width is 4 (input 16 × 4 × 1)"
    assert error.argument == "kernel_size"
    assert error.help == "pad with padding: same, or set kernel_size to at most 4"


def test_dilated_kernel_larger_than_the_input() -> None:
    error = shape_error(Conv3D(filters=8, kernel_size=3, dilation_rate=[2, 1, 1]), (4, 16, 16, 1))
    assert error.message == "the window of Conv3D is larger than its input along the depth (or time)"
    assert error.reason == "the window spans 5 (3 entries, 2 apart), the depth (or time) is 4 (input 4 × 16 × 16 × 1)"
    assert error.help == "pad with padding: same, or set kernel_size to at most 2"


def test_kernel_larger_than_an_axis_of_unknown_length_is_left_to_run_time() -> None:
    assert fault(Conv2D(filters=8, kernel_size=9), ((None, None, 1),)) is None


def test_channels_come_first_where_data_format_says_so() -> None:
    layer = Conv2D(filters=8, kernel_size=3, data_format="channels_first")
    assert layer.output_shape((3, 32, 30)) == (8, 30, 28)


def test_unknown_channels() -> None:
    error = shape_error(Conv2D(filters=8, kernel_size=3), (16, 16, None))
    assert error.message == "Conv2D needs to know how many channels its input has"
    assert error.reason == "its input is 16 × 16 × ?, channels last"


def test_groups_that_do_not_divide_the_channels() -> None:
    error = shape_error(Conv2D(filters=8, kernel_size=3, groups=4), (16, 16, 6))
    assert error.message == "Conv2D cannot split 6 channels into 4 groups"
    assert error.reason == "its input is 16 × 16 × 6; 6 is not a multiple of 4"
    assert error.argument == "groups"


def test_groups_that_do_not_divide_the_filters() -> None:
    refused = argument_error(Conv2D, filters=8, kernel_size=3, groups=3)
    assert refused == ("groups", "expected a divisor of filters, which is 8, got 3")


def test_strides_and_dilation_together() -> None:
    refused = argument_error(Conv2D, filters=8, kernel_size=3, strides=[1, 2], dilation_rate=2)
    words = "expected 1, because strides is [1, 2] and Conv2D takes strides or dilation, not both; got 2"
    assert refused == ("dilation_rate", words)


def test_depthwise_takes_strides_and_dilation_together() -> None:
    layer = DepthwiseConv2D(kernel_size=3, strides=2, dilation_rate=2)
    assert_agreement(layer, ((9, 9, 2),))


def test_causal_padding_is_for_one_axis() -> None:
    assert Conv1D(filters=1, kernel_size=3, padding="causal").output_shape((7, 2)) == (7, 1)
    refused = argument_error(Conv2D, filters=1, kernel_size=3, padding="causal")
    assert refused == ("padding", 'expected valid or same, got "causal"')


def test_output_padding_has_to_be_less_than_the_strides() -> None:
    refused = argument_error(Conv2DTranspose, filters=1, kernel_size=3, strides=2, output_padding=[1, 2])
    assert refused == ("output_padding", "expected less than strides, which is 2, got [1, 2]")


def test_even_kernel_without_output_padding_and_same() -> None:
    layer = Conv2DTranspose(filters=1, kernel_size=4, strides=2, padding="same", output_padding=0)
    error = shape_error(layer, (8, 8, 1))
    assert error.message == "Conv2DTranspose cannot pad to same with output_padding 0 and a kernel that spans 4"
    assert error.argument == "output_padding"
    assert error.help == "leave output_padding out, set it to 1 or more, or take an odd kernel_size"


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize(("kernel", "stride"), list(product([1, 2, 3, 4], [1, 2, 3])))
def test_every_output_padding_agrees_with_keras(kernel: int, stride: int, padding: str) -> None:
    for output_padding in (None, *range(stride)):
        layer = Conv2DTranspose(
            filters=1, kernel_size=kernel, strides=stride, padding=padding, output_padding=output_padding
        )
        if fault(layer, ((3, 4, 1),)) is None:
            assert_agreement(layer, ((3, 4, 1),))
        elif backend_name() == "tensorflow":
            assert_refused(layer, ((3, 4, 1),))


def test_weights_of_an_untrained_layer() -> None:
    layer = SeparableConv2D(filters=5, kernel_size=3, depth_multiplier=2, trainable=False)
    assert layer.weights((8, 8, 4)) == (
        Weight("depthwise_kernel", (3, 3, 4, 2), False),
        Weight("pointwise_kernel", (1, 1, 8, 5), False),
        Weight("bias", (5,), False),
    )


FLOPS: list[tuple[Any, tuple[int, ...], int]] = [
    # 64·64 positions, 16 filters: 3·3·3 multiply-adds and a bias each
    (Conv2D(filters=16, kernel_size=3, padding="same"), (64, 64, 3), 64 * 64 * 16 * (2 * 27 + 1)),
    # 6·6 positions, 6 filters in 2 groups: 3·3·2 multiply-adds each
    (Conv2D(filters=6, kernel_size=3, groups=2, use_bias=False), (8, 8, 4), 7776),
    # 5 steps, 4 filters: 3·2 multiply-adds and a bias each
    (Conv1D(filters=4, kernel_size=3, padding="causal"), (5, 2), 260),
    # 4·4·3 input values, each spread over 3·3·2 outputs; 8·8·2 biases
    (Conv2DTranspose(filters=2, kernel_size=3, strides=2, padding="same"), (4, 4, 3), 1728 + 128),
    # 4·4·4 outputs: 3·3 multiply-adds and a bias each
    (DepthwiseConv2D(kernel_size=3, depth_multiplier=2), (6, 6, 2), 64 * 19),
    # 4·4 positions: 4 depthwise channels of 3·3, 4·5 pointwise products, 5 biases
    (SeparableConv2D(filters=5, kernel_size=3, depth_multiplier=2), (6, 6, 2), 16 * (72 + 40 + 5)),
]


@pytest.mark.parametrize(("layer", "shape", "flops"), FLOPS, ids=lambda value: getattr(value, "kind", ""))
def test_flops(layer: Any, shape: tuple[int, ...], flops: int) -> None:
    assert layer.flops(shape) == flops


def test_flops_of_an_open_shape_are_unknown() -> None:
    assert Conv2D(filters=1, kernel_size=3).flops((None, 8, 1)) is None
    assert Conv2DTranspose(filters=1, kernel_size=3).flops((None, 8, 1)) is None
