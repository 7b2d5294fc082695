from __future__ import annotations

import io

import pytest
from rich.console import Console

from specbuild.training.progress import Bar, Display, Lines, display, epoch_line, number

ROW = {"epoch": 2.0, "loss": 0.0123456, "val_loss": 12345.678}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def course(show: Display) -> None:
    with show:
        show.begin(10, 4, 1)
        show.step(2, 3, 0.5)
        show.epoch(ROW, 4.21, True)


def test_a_log_gets_one_plain_line_per_epoch() -> None:
    stream = io.StringIO()
    course(display(stream=stream))
    assert stream.getvalue() == "epoch  2/10  loss 0.01235  val_loss 1.235e+04  4.2 s  best\n"
    assert stream.getvalue().isascii()


def test_a_terminal_gets_a_bar_and_keeps_the_lines_of_past_epochs() -> None:
    stream = Terminal()
    show = Bar(Console(file=stream, force_terminal=True, width=100, color_system=None))
    course(show)
    text = stream.getvalue()
    assert "epoch  2/10  loss 0.01235  val_loss 1.235e+04  4.2 s  best\n" in text
    assert "epoch 2/10" in text
    assert "step 3/4" in text
    assert "loss 0.5000  val 1.235e+04" in text
    assert "left" in text


def test_where_output_goes_decides(capsys: pytest.CaptureFixture[str]) -> None:
    assert isinstance(display(stream=Terminal()), Bar)
    assert isinstance(display(stream=io.StringIO()), Lines)
    course(display(quiet=True))
    assert capsys.readouterr().out == ""


def test_an_epoch_that_is_not_the_best_does_not_say_so() -> None:
    assert epoch_line({"epoch": 1.0, "loss": 1.0}, 3, 0.04, False) == "epoch 1/3  loss 1.000  0.0 s"
    row = {"epoch": 1.0, "learning_rate": 5e-05, "loss": 1.0}
    assert epoch_line(row, 3, 0.04, False) == "epoch 1/3  loss 1.000  lr 5e-05  0.0 s"


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.5, "0.5000"), (1234.4, "1234"), (12345.6, "1.235e+04"), (1e-7, "1.000e-07"), (0.0, "0.000"), (-2.5, "-2.500")],
)
def test_numbers_have_four_digits(value: float, text: str) -> None:
    assert number(value) == text
