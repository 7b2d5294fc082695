"""Did you mean."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from specbuild.document import did_you_mean, nearest
from specbuild.document.suggest import MAX_CHOICES, MAX_LENGTH

WORDS = ["layer", "filters", "kernel_size", "recurrent_activation", "activation", "strides", "ConvLSTM2D", "Conv2D"]


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("filter", "filters"),
        ("filtres", "filters"),
        ("stride", "strides"),
        ("kernel_sise", "kernel_size"),
        ("KernelSize", "kernel_size"),
        ("kernel-size", "kernel_size"),
        ("activations", "activation"),
        ("convlstm2d", "ConvLSTM2D"),
        ("conv_lstm_2d", "ConvLSTM2D"),
        ("conv2d", "Conv2D"),
        ("layers", "layer"),
        ("zzz", None),
        ("", None),
    ],
)
def test_nearest(word: str, expected: str | None) -> None:
    assert nearest(word, WORDS) == expected


def test_did_you_mean() -> None:
    assert did_you_mean("filtres", WORDS) == 'did you mean "filters"?'
    assert did_you_mean("zzz", WORDS) == ""
    assert did_you_mean("filters", []) == ""


def test_the_earlier_of_two_equals_wins() -> None:
    assert nearest("dec", ["dec1", "dec2"]) == "dec1"
    assert nearest("dec", ["dec2", "dec1"]) == "dec2"


@given(st.text(), st.lists(st.text()))
def test_it_names_one_of_the_choices(word: str, choices: list[str]) -> None:
    found = nearest(word, choices)
    assert found is None or found in choices


@given(st.text(min_size=1), st.lists(st.text()))
def test_a_choice_itself_is_the_nearest(word: str, choices: list[str]) -> None:
    found = nearest(word, [*choices, word])
    assert found is not None


def test_hostile_words_cost_little() -> None:
    """However long words and lists are, only the first characters and the first choices are compared."""
    long = "ab" * 500_000
    alike = "ab" * (MAX_LENGTH // 2) + "y" * 100_000
    assert nearest(long, ["x" * MAX_LENGTH + long, alike]) == alike
    asked = []

    def choices() -> Iterator[str]:
        for number in range(5_000):
            asked.append(number)
            yield "ba" * 1_000

    nearest(long, choices())
    assert len(asked) == MAX_CHOICES
