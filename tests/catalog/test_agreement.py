"""Every layer kind, against Keras itself, with arguments and inputs that Hypothesis makes up."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from specbuild.catalog import KINDS
from tests.catalog import strategies, strategies_plumbing, strategies_recurrent
from tests.catalog.agreement import assert_agreement, assert_refused, fault

STRATEGIES = {**strategies.STRATEGIES, **strategies_recurrent.STRATEGIES, **strategies_plumbing.STRATEGIES}

REFUSED_HERE_ALONE = {
    ("Concatenate", "which is the batch axis"): "Keras joins along it, which mixes samples",
    ("Softmax", "always gives 1"): "Keras only warns",
    ("Masking", "needs an input with"): "Keras makes a mask without a time axis, and the next layer fails on it",
    ("Rescaling", "not one for each channel"): "Keras makes several channels of one, against the shape it states",
    **strategies_recurrent.REFUSED_HERE_ALONE,
}
"""What the catalogue refuses and Keras takes, by kind and words of the message, and why it is right to refuse it."""

FEW = settings(max_examples=20, deadline=None, database=None, suppress_health_check=list(HealthCheck))


def test_every_kind_is_checked() -> None:
    assert sorted(STRATEGIES) == sorted(KINDS)


@pytest.mark.parametrize("kind", sorted(STRATEGIES))
@FEW
@given(data=st.data())
def test_keras_agrees_on_shapes_and_weights(kind: str, data: st.DataObject) -> None:
    arguments, shapes = data.draw(STRATEGIES[kind])
    assert_agreement(KINDS[kind](**arguments), shapes)


@pytest.mark.parametrize("kind", sorted(STRATEGIES))
@FEW
@given(data=st.data())
def test_keras_agrees_on_what_does_not_fit(kind: str, data: st.DataObject) -> None:
    arguments, fitting = data.draw(STRATEGIES[kind])
    layer = KINDS[kind](**arguments)
    shapes = tuple(data.draw(strategies.any_shape(len(shape))) for shape in fitting)
    refusal = fault(layer, shapes)
    if refusal is None:
        assert_agreement(layer, shapes)
    elif not any(kind == of and words in refusal.message for of, words in REFUSED_HERE_ALONE):
        assert_refused(layer, shapes)
