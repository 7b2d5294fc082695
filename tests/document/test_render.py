"""Exact renderings: terminal text, JSON, GitHub annotations."""

from __future__ import annotations

import io
import json
import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from specbuild import build_graph
from specbuild.cli.arguments import print_diagnostics
from specbuild.cli.tables import print_summary
from specbuild.document import Diagnostic, Source, Span
from specbuild.document.printable import shows_colors
from specbuild.document.render import MAX_LINE, render_github, render_json, render_text
from specbuild.graph.summary import summarize
from specbuild.training.progress import Bar, Lines, display


def at(line: str, word: str, *, number: int = 1, name: str = "f.yaml") -> Span:
    """The span of `word` in a source whose line `number` is `line`."""
    start = number - 1 + line.index(word)
    return Source(name, "\n" * (number - 1) + line).span(start, start + len(word))


def test_the_form_of_the_design() -> None:
    line = "  - {id: dec1, layer: ConvLSTM2D, filters: 32, initial_state: enc1}"
    fault = Diagnostic(
        "the state of enc1 does not fit dec1",
        at(line, "enc1", number=14, name="nowcast.yaml"),
        "layers.dec1.initial_state",
        "enc1 carries a state of 64 × 64 × 64 (height, width, filters); dec1 has 64 × 64 × 32",
        "set filters: 64 on dec1",
        "state-shape",
    )
    assert render_text(fault) == textwrap.dedent("""\
        error: the state of enc1 does not fit dec1
          --> nowcast.yaml:14:63  layers.dec1.initial_state
           |
        14 |   - {id: dec1, layer: ConvLSTM2D, filters: 32, initial_state: enc1}
           |                                                               ^^^^
           | enc1 carries a state of 64 × 64 × 64 (height, width, filters); dec1 has 64 × 64 × 32
           = help: set filters: 64 on dec1""")


def test_without_a_place() -> None:
    fault = Diagnostic("there is no file a.yaml", reason="no folder", help='did you mean "b.yaml"?')
    assert render_text(fault) == textwrap.dedent("""\
        error: there is no file a.yaml
          | no folder
          = help: did you mean "b.yaml"?""")
    assert render_text(Diagnostic("wrong", where="data.source")) == "error: wrong\n --> data.source"
    assert render_text(Diagnostic("odd", severity="warning")) == "warning: odd"


def test_reasons_and_help_of_several_lines() -> None:
    fault = Diagnostic("wrong", at("a: b", "b"), reason="one\ntwo", help="do this\nor that")
    assert render_text(fault).splitlines()[-4:] == ["  | one", "  | two", "  = help: do this", "          or that"]


def test_a_place_of_several_lines_shows_the_first() -> None:
    source = Source("f.yaml", "a:\n  b: 1\n  c: 2\n")
    fault = Diagnostic("wrong", source.span(5, 16))
    assert render_text(fault).splitlines()[2:] == ["  |", "2 |   b: 1", "  |   ^^^^"]


def test_an_empty_place_gets_one_caret() -> None:
    assert render_text(Diagnostic("wrong", Source("f", "a:").span(2, 2))).splitlines()[-2:] == ["1 | a:", "  |   ^"]


@pytest.mark.parametrize(
    ("line", "word", "shown", "carets"),
    [
        ("\ta:\tword", "word", "    a:    word", "          ^^^^"),
        ("雨: word", "word", "雨: word", "    ^^^^"),
        ("a: 雨雨", "雨雨", "a: 雨雨", "   ^^^^"),
        ("e\u0301: word", "word", "e\u0301: word", "   ^^^^"),
        ("a\x1b[31m: word", "word", "a\\x1b[31m: word", "           ^^^^"),
    ],
)
def test_carets_stand_under_the_place(line: str, word: str, shown: str, carets: str) -> None:
    rendered = render_text(Diagnostic("wrong", at(line, word))).splitlines()
    assert rendered[-2:] == [f"1 | {shown}", f"  | {carets}"]


def test_long_lines_are_cut_around_the_place() -> None:
    line = "x" * 300 + "word" + "y" * 300
    shown, carets = render_text(Diagnostic("wrong", at(line, "word"))).splitlines()[-2:]
    assert shown == "1 | …" + "x" * 58 + "word" + "y" * 58 + "…"
    assert carets == "  | " + " " * 59 + "^^^^"


def test_long_places_are_cut_too() -> None:
    line = "a: " + "x" * 500
    shown, carets = render_text(Diagnostic("wrong", at(line, "x" * 500))).splitlines()[-2:]
    assert shown == "1 | a: " + "x" * 60 + "…"
    assert carets == "  |    " + "^" * 61


def test_color() -> None:
    fault = Diagnostic("wrong", at("a: b", "b"))
    assert render_text(fault, color=True).startswith("\033[1;31merror\033[0m: wrong\n")
    assert render_text(fault, color=True).endswith("\033[1;31m^\033[0m")
    warning = Diagnostic("odd", severity="warning")
    assert render_text(warning, color=True) == "\033[1;33mwarning\033[0m: odd"


def test_no_document_can_steer_the_terminal() -> None:
    fault = Diagnostic("wrong \x1b[2J", at("a: b", "b"), where="a\x07", reason="\x9b2J", help="\x00")
    assert not {"\x1b", "\x07", "\x9b", "\x00"} & set(render_text(fault))


def test_json() -> None:
    found = [
        Diagnostic("wrong", at("a: b", "b", number=3), "a", "why", "how", "bad-value"),
        Diagnostic("odd", severity="warning", code="lint"),
    ]
    assert json.loads(render_json(found)) == [
        {
            "severity": "error",
            "code": "bad-value",
            "message": "wrong",
            "reason": "why",
            "help": "how",
            "path": "a",
            "file": "f.yaml",
            "line": 3,
            "column": 4,
            "end_line": 3,
            "end_column": 5,
        },
        {
            "severity": "warning",
            "code": "lint",
            "message": "odd",
            "reason": "",
            "help": "",
            "path": "",
            "file": None,
            "line": None,
            "column": None,
            "end_line": None,
            "end_column": None,
        },
    ]
    assert render_json([]) == "[]"


def test_github() -> None:
    span = at("a: b", "b", number=3, name="odd,name:1.yaml")
    fault = Diagnostic("50% wrong", span, reason="two\nlines", help="fix: it", code="bad-value")
    assert render_github(fault) == (
        "::error file=odd%2Cname%3A1.yaml,line=3,col=4,endColumn=5,title=bad-value"
        "::50%25 wrong%0Atwo%0Alines%0Ahelp: fix: it"
    )
    assert render_github(Diagnostic("odd", severity="warning", code="lint")) == "::warning title=lint::odd"


@given(st.text(), st.data())
def test_any_place_in_any_text_can_be_shown(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    fault = Diagnostic("wrong", Source("f", text).span(start, end))
    for line in render_text(fault).split("\n"):
        assert line.isprintable() or max(line) >= "\u00a0"
    json.loads(render_json([fault]))
    assert "\n" not in render_github(fault)


def test_a_line_stays_within_its_width() -> None:
    line = "x" * 1000
    for start in range(0, 1000, 37):
        span = Source("f", line).span(start, min(start + 90, 1000))
        assert len(render_text(Diagnostic("wrong", span)).splitlines()[3]) <= MAX_LINE + 6


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("environment", "colored", "moved"),
    [
        ({}, True, True),
        ({"NO_COLOR": "1"}, False, True),
        ({"NO_COLOR": ""}, True, True),
        ({"TERM": "dumb"}, False, False),
    ],
)
def test_colours_are_left_out_where_they_are_not_wanted(
    environment: dict[str, str], colored: bool, moved: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    terminal = Terminal()
    print_diagnostics([Diagnostic("wrong", at("a: b", "b"))], terminal)
    assert ("\033[" in terminal.getvalue()) == colored
    assert isinstance(display(stream=terminal), Bar if moved else Lines)
    assert not shows_colors(io.StringIO())
    table = Terminal()
    monkeypatch.setattr("sys.stdout", table)
    graph = build_graph("specbuild: 1\ninputs: {x: [4]}\nlayers: [{layer: Dense, units: 3}]\n")
    print_summary(summarize(graph, batch=1))
    assert ("\033[" in table.getvalue()) == colored
    assert "Dense" in table.getvalue()
