"""What normalizing, regularizing and activation layers refuse, and what normalizing costs."""

from __future__ import annotations

from typing import Any

import pytest

from specbuild.catalog import Layer, Shape, Weight
from specbuild.catalog.activation import PReLU, Softmax
from specbuild.catalog.normalization import (
    BatchNormalization,
    GroupNormalization,
    LayerNormalization,
    RMSNormalization,
    UnitNormalization,
)
from specbuild.catalog.regularization import Dropout, GaussianNoise
from tests.catalog.refusals import argument_error, shape_error

FAULTS: list[tuple[Layer, Shape, str, str, str]] = [
    (
        BatchNormalization(axis=3),
        (8, 4),
        "BatchNormalization has no axis 3 to use",
        "its input is 8 × 4: its axes are 1 to 2, or -2 to -1",
        "",
    ),
    (
        LayerNormalization(axis=0),
        (8, 4),
        "LayerNormalization cannot use the batch axis",
        "its input is 8 × 4: its axes are 1 to 2, or -2 to -1",
        "",
    ),
    (
        LayerNormalization(axis=[1, 2]),
        (None, 4),
        "LayerNormalization needs to know the length of axis 1",
        "its input is ? × 4, and its weights have that length",
        "",
    ),
    (
        LayerNormalization(axis=[2, -1]),
        (8, 4),
        "LayerNormalization names an axis twice",
        "axis is [-1, 2], its input 8 × 4",
        "",
    ),
    (
        GroupNormalization(groups=4),
        (8, 8, 6),
        "GroupNormalization cannot split 6 channels into 4 groups",
        "its input is 8 × 8 × 6; 6 is not a multiple of 4",
        "set groups to a divisor of 6, such as 3",
    ),
    (
        RMSNormalization(axis=1),
        (8, 4),
        "RMSNormalization normalizes only over the last axes",
        "axis is 1, and its input is 8 × 4",
        "leave axis out, or move the axis to the end with Permute",
    ),
    (
        PReLU(),
        (None, 8, 8, 4),
        "PReLU needs to know the length of axis 1",
        "its input is ? × 8 × 8 × 4, and it has a slope for each value of a sample",
        "share the slopes there with shared_axes: [1]",
    ),
    (
        PReLU(shared_axes=[4]),
        (8, 8, 4),
        "PReLU cannot share its slopes along axes [4]",
        "its input is 8 × 8 × 4: its axes are 1 to 3",
        "",
    ),
    (
        Softmax(),
        (8, 8, 1),
        "Softmax along an axis of length 1 always gives 1",
        "its input is 8 × 8 × 1, its axis -1",
        "for a probability take {layer: Activation, activation: sigmoid}",
    ),
    (
        Dropout(rate=0.5, noise_shape=[None, 1, 4]),
        (8, 3),
        "the noise_shape of Dropout does not fit its input",
        "it is ? × 1 × 4 with the batch axis, the input ? × 8 × 3",
        "write null for each axis, or 1 where the noise is shared",
    ),
]


@pytest.mark.parametrize(("layer", "shape", "message", "reason", "help"), FAULTS)
def test_what_does_not_fit_is_named(layer: Layer, shape: Shape, message: str, reason: str, help: str) -> None:
    error = shape_error(layer, shape)
    assert (error.message, error.reason, error.help) == (message, reason, help)


@pytest.mark.parametrize(
    ("kind", "arguments", "message"),
    [
        (GroupNormalization, {"groups": 0}, "expected a positive whole number, or -1 for one group a channel, got 0"),
        (
            BatchNormalization,
            {"renorm_clipping": {"max": 1}},
            'expected null or {rmax: …, rmin: …, dmax: …}, got {"max": 1}',
        ),
        (
            Dropout,
            {"rate": 0.5, "noise_shape": 3},
            "expected a list of positive whole numbers and nulls, one for each axis, the batch axis first, got 3",
        ),
        (Dropout, {"rate": 1.7}, "expected a fraction from 0 to below 1, got 1.7"),
        (GaussianNoise, {"stddev": 1.5}, "expected a number from 0 to 1, got 1.5"),
    ],
)
def test_arguments_are_refused_by_name(kind: type[Layer], arguments: dict[str, Any], message: str) -> None:
    place, said = argument_error(kind, **arguments)
    assert (place, said) == (list(arguments)[-1], message)


def test_batch_normalization_has_weights_that_are_not_trained() -> None:
    trained = (Weight("gamma", (4,)), Weight("beta", (4,)))
    moving = (Weight("moving_mean", (4,), False), Weight("moving_variance", (4,), False))
    assert BatchNormalization().weights((8, 4)) == (*trained, *moving)
    assert len(BatchNormalization(renorm=True).weights((8, 4))) == 7


def test_costs() -> None:
    assert BatchNormalization().flops((8, 4)) == 32 * 2
    assert LayerNormalization().flops((8, 4)) == 32 * (1 + 3 + 2 + 1 + 1)
    assert LayerNormalization(scale=False, center=False).flops((8, 4)) == 32 * 6
    assert RMSNormalization().flops((8, 4)) == 32 * 4
    assert UnitNormalization().flops((8, 4)) == 32 * 3
    assert UnitNormalization().flops((None, 4)) is None
