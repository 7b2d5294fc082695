"""Trees, spans and limits of the parser; its error messages are in test_syntax.py."""

from __future__ import annotations

import math
import time
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from specbuild.document import Mapping, Node, Scalar, Sequence, Span, SpecError, locate, parse, plain
from specbuild.document.scalars import UnreadableNumber, resolve


def excerpt(span: Span) -> str:
    """The text that a span covers, computed from its lines and columns alone."""
    lines = span.source.text.split("\n")
    if span.line == span.end_line:
        return lines[span.line - 1][span.column - 1 : span.end_column - 1]
    first, last = lines[span.line - 1][span.column - 1 :], lines[span.end_line - 1][: span.end_column - 1]
    return "\n".join([first, *lines[span.line : span.end_line - 1], last])


def nodes(node: Node) -> list[Node]:
    if isinstance(node, Mapping):
        return [node, *(part for entry in node.entries for part in (entry.key, *nodes(entry.value)))]
    if isinstance(node, Sequence):
        return [node, *(part for item in node.items for part in nodes(item))]
    return [node]


# Values


def test_a_small_spec() -> None:
    text = """\
specbuild: 1
vars: {past: 6, rate: 1e-3}
layers:
  - {id: enc, layer: ConvLSTM2D, filters: $f * 2, kernel_size: [3, 3], bias: no}
  - id: dec   # a comment
    from: enc.last
    note: >
      folded
      text
outputs:
"""
    assert plain(parse(text)) == {
        "specbuild": 1,
        "vars": {"past": 6, "rate": 0.001},
        "layers": [
            {"id": "enc", "layer": "ConvLSTM2D", "filters": "$f * 2", "kernel_size": [3, 3], "bias": "no"},
            {"id": "dec", "from": "enc.last", "note": "folded text\n"},
        ],
        "outputs": None,
    }


def test_keys_are_the_text_as_written() -> None:
    assert plain(parse("on: 1\ntrue: 2\n012: 3\n1e3: 4\n'null': 5\n")) == {
        "on": 1,
        "true": 2,
        "012": 3,
        "1e3": 4,
        "null": 5,
    }


def test_quoted_text_is_never_a_number() -> None:
    node = parse("""[5, "5", '5', "null", '']""")
    assert plain(node) == [5, "5", "5", "null", ""]
    assert isinstance(node, Sequence)
    assert [item.quoted for item in node.items if isinstance(item, Scalar)] == [False, True, True, True, True]
    assert [item.raw for item in node.items if isinstance(item, Scalar)] == ["5", '"5"', "'5'", '"null"', "''"]


def test_aliases_stand_for_their_anchor() -> None:
    assert plain(parse("a: &x {b: [1, 2]}\nc: *x\nd: &y 3\ne: [*y, *y]\n")) == {
        "a": {"b": [1, 2]},
        "c": {"b": [1, 2]},
        "d": 3,
        "e": [3, 3],
    }


def test_roots_other_than_mappings() -> None:
    assert plain(parse("3")) == 3
    assert plain(parse("- a\n- b\n")) == ["a", "b"]
    assert plain(parse("null")) is None
    assert plain(parse("---\na: 1\n...\n")) == {"a": 1}


# Spans


def test_places_of_values_and_keys() -> None:
    text = "a:\n  b: [x, {c: ü1}]\n\n# end\nd: 'it''s'\n"
    node = parse(text, "f.yaml")
    assert excerpt(locate(node, ("a", "b", 1, "c"))) == "ü1"
    assert excerpt(locate(node, ("a", "b", 1, "c"), key=True)) == "c"
    assert excerpt(locate(node, ("a", "b"))) == "[x, {c: ü1}]"
    assert excerpt(locate(node, ("a",))) == "b: [x, {c: ü1}]"
    assert excerpt(locate(node, ("d",))) == "'it''s'"
    assert excerpt(locate(node, ("a", "b", 7))) == "[x, {c: ü1}]"
    assert excerpt(node.span) == text.rstrip()
    assert locate(node, ("d",)).line == 5


def test_a_place_excludes_the_anchor_and_the_blank_lines_after_block_text() -> None:
    text = "a: &x  word\nb: &y\n  c: 1\nd: |\n  two\n  lines\n\n\ne:\n"
    node = parse(text)
    assert excerpt(locate(node, ("a",))) == "word"
    assert excerpt(locate(node, ("b",))) == "c: 1"
    assert excerpt(locate(node, ("d",))) == "|\n  two\n  lines"
    empty = locate(node, ("e",))
    assert (empty.line, empty.column, empty.end_column) == (9, 3, 3)


def test_columns_count_characters() -> None:
    span = locate(parse("{é漢😀: x}"), ("é漢😀",))
    assert (span.column, span.end_column) == (7, 8)


# Limits


def timed(text: str) -> tuple[float, str]:
    started = time.process_time()
    try:
        parse(text)
        message = ""
    except SpecError as error:
        message = error.diagnostics[0].message
    return time.process_time() - started, message


def test_ten_thousand_layers() -> None:
    line = "  - {id: l%d, layer: ConvLSTM2D, filters: 32, kernel_size: [3, 3], padding: same}\n"
    seconds, message = timed("layers:\n" + "".join(line % number for number in range(10_000)))
    assert message == ""
    assert seconds < 5


@pytest.mark.parametrize("opening", ["[", "[\n", "- ", "{a: ", "? ", "- - "])
def test_deep_nesting_fails_at_once(opening: str) -> None:
    seconds, message = timed(opening * 10_000)
    assert message == "nested deeper than 64 levels"
    assert seconds < 2


def test_sixty_four_levels_are_allowed() -> None:
    assert timed("[" * 64 + "]" * 64)[1] == ""
    assert timed("[" * 65 + "]" * 65)[1] == "nested deeper than 64 levels"


def test_alias_bombs() -> None:
    lines = ["a0: &a0 [" + ", ".join("x" * 9) + "]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10)]
    seconds, message = timed("\n".join(lines))
    assert message == "the document has more than 150,000 values"
    assert seconds < 2


def test_aliases_cannot_nest_past_the_limit() -> None:
    lines = ["a0: &a0 [x]"] + [f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, 100)]
    assert timed("\n".join(lines))[1] == "nested deeper than 64 levels"


def test_too_large() -> None:
    assert timed("#" * 4_000_001)[1] == "<text> is larger than 4 MB"


def test_the_hundredth_fault_ends_the_reading() -> None:
    with pytest.raises(SpecError) as caught:
        parse("a: 1\n" * 100_000)
    assert len(caught.value.diagnostics) == 100


# Properties


class Dumper(yaml.SafeDumper):
    """Writes YAML in which text is quoted wherever YAML 1.2 would read something else."""


def _represent_text(dumper: Dumper, text: str) -> yaml.ScalarNode:
    try:
        is_text = isinstance(resolve(text), str)
    except UnreadableNumber:
        is_text = False
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if is_text else '"')


Dumper.add_representer(str, _represent_text)

# PyYAML writes these three as they are; we refuse them unless they are escaped.
words = st.text(st.characters(codec="utf-8", exclude_characters="\x85\u2028\u2029"))
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | words
trees = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=4),
    max_leaves=20,
)


@settings(deadline=None)
@given(trees, st.sampled_from([None, True, False]), st.booleans())
def test_what_pyyaml_writes_is_read_back(tree: Any, flow: bool | None, unicode: bool) -> None:
    text = yaml.dump(tree, Dumper=Dumper, default_flow_style=flow, allow_unicode=unicode)
    assert plain(parse(text)) == tree


@settings(deadline=None)
@given(trees)
def test_spans_cover_what_was_written(tree: Any) -> None:
    text = yaml.dump(tree, Dumper=Dumper, allow_unicode=True)
    for node in nodes(parse(text)):
        if isinstance(node, Scalar):
            assert excerpt(node.span) == node.raw
        assert node.span.line >= 1
        assert (node.span.line, node.span.column) <= (node.span.end_line, node.span.end_column)


yaml_like = st.lists(
    st.sampled_from(
        [*"[]{},:-?&*!|>'\"%@`#~\\$", "\n", "  ", " ", "\t", "a", "b: ", "- ", "1", "<<", "---\n", "\r\n", "é"]
    ),
    max_size=40,
).map("".join)


def read(text: str) -> tuple[Node | None, SpecError | None]:
    try:
        return parse(text, "f.yaml"), None
    except SpecError as error:
        return None, error


@settings(deadline=None, max_examples=300)
@given(st.text() | yaml_like)
def test_any_text_parses_or_is_refused(text: str) -> None:
    node, error = read(text)
    if node is not None:
        plain(node)
    if error is not None:
        assert error.diagnostics
        assert str(error).startswith("\nerror: ")
        for fault in error.diagnostics:
            assert fault.span is not None
            assert fault.span.line <= text.count("\n") + 1


@settings(deadline=None, max_examples=300)
@given(yaml_like)
def test_both_readers_of_pyyaml_give_the_same_nodes(text: str) -> None:
    fast, _ = read(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.delattr(yaml, "CSafeLoader", raising=False)
        slow, _ = read(text)
    if fast is not None and slow is not None:
        assert [node.span for node in nodes(fast)] == [node.span for node in nodes(slow)]
        assert plain(fast) == plain(slow)


def test_not_a_number_is_read() -> None:
    assert math.isnan(plain(parse(".nan")))
