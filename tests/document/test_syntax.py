"""Every refusal of a text, word for word.

Each example is the text and, after it, exactly what the user reads. The place is the place in the text.
"""

from __future__ import annotations

import pytest

from specbuild.document import SpecError, parse

TAG_NOTE = """\
  | a spec holds only words, numbers, lists and mappings
  = help: remove the tag; put the text in quotes if the ! belongs to it
"""

EXAMPLES = {
    "a key given twice": (
        "a: 1\nb: {c: 1, 'c': 2}\na: 2\n",
        """\
error: the key "c" is given twice
 --> f.yaml:2:11  b.c
  |
2 | b: {c: 1, 'c': 2}
  |           ^^^
  | line 2 gives it first
  = help: remove one of the two

error: the key "a" is given twice
 --> f.yaml:3:1  a
  |
3 | a: 2
  | ^
  | line 1 gives it first
  = help: remove one of the two
""",
    ),
    "a tag": (
        "layers:\n  - layer: !!python/object/apply:os.system [x]\n",
        """\
error: the tag !!python/object/apply:os.system is not supported
 --> f.yaml:2:12  layers.0.layer
  |
2 |   - layer: !!python/object/apply:os.system [x]
  |            ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
"""
        + TAG_NOTE,
    ),
    "a local tag after an anchor": (
        "a: &x !mine b\n",
        """\
error: the tag !mine is not supported
 --> f.yaml:1:7  a
  |
1 | a: &x !mine b
  |       ^^^^^
"""
        + TAG_NOTE,
    ),
    "a tag with an unknown handle": (
        "a: !x!y b\n",
        """\
error: tags are not supported
 --> f.yaml:1:4
  |
1 | a: !x!y b
  |    ^
"""
        + TAG_NOTE,
    ),
    "a merge key": (
        "a: &x {b: 1}\nc:\n  <<: *x\n",
        """\
error: merge keys (<<) are not supported
 --> f.yaml:3:3  c
  |
3 |   <<: *x
  |   ^^
  = help: use "defaults" for values that layers share, or "vars" for a number that is needed twice
""",
    ),
    "keys that are not words": (
        "~: 1\n[a, b]: 2\n",
        """\
error: a key must be a word, not null
 --> f.yaml:1:1
  |
1 | ~: 1
  | ^
  = help: name the key, or put it in quotes

error: a key must be a word, not a list
 --> f.yaml:2:1
  |
2 | [a, b]: 2
  | ^^^^^^
  = help: put text that holds braces in quotes
""",
    ),
    "a template in braces": (
        "a: {{ past }}\n",
        """\
error: a key must be a word, not a mapping
 --> f.yaml:1:5  a
  |
1 | a: {{ past }}
  |     ^^^^^^^^
  = help: put text that holds braces in quotes
""",
    ),
    "an alias as a key": (
        "a: &x b\n*x : 1\n",
        """\
error: a key cannot be an alias
 --> f.yaml:2:1
  |
2 | *x : 1
  | ^^
  = help: write the key out
""",
    ),
    "an unknown alias": (
        "a: &base 1\nb: *bas\n",
        """\
error: there is no anchor &bas
 --> f.yaml:2:4  b
  |
2 | b: *bas
  |    ^^^^
  = help: did you mean "base"?
""",
    ),
    "an alias of itself": (
        "a: &x [*x]\n",
        """\
error: the alias *x contains itself
 --> f.yaml:1:8  a.0
  |
1 | a: &x [*x]
  |        ^^
""",
    ),
    "an anchor declared twice": (
        "a: &x 1\nb: &x 2\n",
        """\
error: the anchor &x is declared twice
 --> f.yaml:2:4  b
  |
2 | b: &x 2
  |    ^^
  = help: rename one of them
""",
    ),
    "a second document": (
        "a: 1\n---\nb: 2\n",
        """\
error: a second document starts here
 --> f.yaml:2:1
  |
2 | ---
  | ^^^
  | a spec is one YAML document
  = help: remove the line "---", or move what follows into a file of its own
""",
    ),
    "an empty text": (
        "",
        """\
error: f.yaml is empty
 --> f.yaml:1:1
  | it holds no key and no value
  = help: a spec starts with the line "specbuild: 1"
""",
    ),
    "a number out of range": (
        "a: 1e999\n",
        """\
error: the number 1e999 is too large
 --> f.yaml:1:4  a
  |
1 | a: 1e999
  |    ^^^^^
  = help: the largest is about 1.8e308; write .inf for infinity, or put the text in quotes
""",
    ),
    "a tab before a key": (
        "a:\n\tb: 1\n",
        """\
error: a tab cannot indent a line
 --> f.yaml:2:1
  |
2 |     b: 1
  | ^^^^
  | YAML indents with spaces only
  = help: replace the tab with spaces
""",
    ),
    "a tab before a list item that would join the item above it": (
        "a:\n- b\n \t- c\n",
        """\
error: a tab cannot indent a line
 --> f.yaml:3:2  a.0
  |
3 |      - c
  |  ^^^^
  | YAML indents with spaces only; so this line continues the text above it
  = help: replace the tab with spaces
""",
    ),
    "a control character": (
        "a: b\x00c\n",
        """\
error: the invisible character U+0000 is not allowed
 --> f.yaml:1:5
  |
1 | a: b\\x00c
  |     ^^^^
  = help: delete it; inside double quotes it can be written as an escape, such as \\t or \\u2028
""",
    ),
    "a carriage return alone": (
        "a: 1\rb: 2\n",
        """\
error: a line ends with a carriage return alone (U+000D)
 --> f.yaml:1:5
  |
1 | a: 1\\rb: 2
  |     ^^
  = help: save the file with the line endings of Unix or Windows
""",
    ),
    "half a surrogate pair": (
        'a: "\\ud800"\n',
        """\
error: half a surrogate pair is not a character
 --> f.yaml:1:4  a
  |
1 | a: "\\ud800"
  |    ^^^^^^^^
  = help: write the character itself, or \\U and its eight hexadecimal digits
""",
    ),
    "an unclosed list": (
        "a: [1, 2\nb: 3\n",
        """\
error: this "[" is not closed
 --> f.yaml:1:4
  |
1 | a: [1, 2
  |    ^
  | expected "," or "]" before line 2, column 2
  = help: close it with "]", or put "," between its items
""",
    ),
    "an unclosed mapping at the end": (
        "a: {b: [1], \n",
        """\
error: this "{" is never closed
 --> f.yaml:1:4
  |
1 | a: {b: [1],
  |    ^
  | the document ends inside it
  = help: add the closing "}"
""",
    ),
    "an unclosed quote": (
        "a: 'x\nb: 1\n",
        """\
error: this quote is not closed
 --> f.yaml:1:4
  |
1 | a: 'x
  |    ^
  = help: add the closing '; inside single quotes an apostrophe is written twice ('')
""",
    ),
    "a bracket too many": (
        "a: [1]]\n",
        """\
error: this "]" closes nothing
 --> f.yaml:1:7
  |
1 | a: [1]]
  |       ^
  = help: delete it, or put the text in quotes
""",
    ),
    "text after a quoted value": (
        "a: 'it's fine'\n",
        """\
error: text follows a value that has already ended
 --> f.yaml:1:8
  |
1 | a: 'it's fine'
  |        ^
  = help: put the whole value in quotes, or a "," between two values
""",
    ),
    "two keys on a line": (
        "a: b: c\n",
        """\
error: a key with ":" cannot stand here
 --> f.yaml:1:5
  |
1 | a: b: c
  |     ^
  | the text before it already is a value, or its line is indented further than the key above it
  = help: indent the line like the keys beside it; put text that holds ": " in quotes
""",
    ),
    "a list item on the line of its key": (
        "a: - b\n",
        """\
error: a list item "-" cannot stand here
 --> f.yaml:1:4
  |
1 | a: - b
  |    ^
  = help: start the list on the next line or write it as [a, b]; put text that starts with "- " in quotes
""",
    ),
    "indentation that matches nothing": (
        "a:\n    b: 1\n  c: 2\n",
        """\
error: this line does not belong to the mapping above it
 --> f.yaml:3:3
  |
3 |   c: 2
  |   ^
  | the mapping that starts on line 1 has its keys at column 1, this line starts at column 3
  = help: indent it like its neighbors
""",
    ),
    "a key among list items": (
        "layers:\n  - {a: 1}\n  b: 2\n",
        """\
error: this line does not belong to the list above it
 --> f.yaml:3:3
  |
3 |   b: 2
  |   ^
  | the list that starts on line 2 has its items at column 3
  = help: indent it like its neighbors
""",
    ),
    "a line without a colon": (
        "a: 1\nbatch 8\nc: 2\n",
        """\
error: this line has no ":"
 --> f.yaml:2:1
  |
2 | batch 8
  | ^^^^^^^
  | among the keys of a mapping every line is a key and its value
  = help: write "key: value"; indent the line further if it continues the text above it
""",
    ),
    "a reserved character": (
        "a: @home\n",
        """\
error: text cannot start with "@"
 --> f.yaml:1:4
  |
1 | a: @home
  |    ^
  = help: put the text in quotes
""",
    ),
    "a star": (
        "a: *.nc\n",
        """\
error: text cannot start with "*"
 --> f.yaml:1:4
  |
1 | a: *.nc
  |    ^
  | a "*" at the start of a value refers to an anchor, and a name must follow it
  = help: put the text in quotes
""",
    ),
    "an unknown escape": (
        'a: "C:\\data"\n',
        """\
error: this is not an escape of a text in double quotes
 --> f.yaml:1:7
  |
1 | a: "C:\\data"
  |       ^
  = help: write "\\\\" for a backslash, or use single quotes, in which a backslash is only a backslash
""",
    ),
    "an escape past the last character": (
        'a: "\\UFFFFFFFF"\n',
        """\
error: this is not an escape of a text in double quotes
 --> f.yaml:1:5
  |
1 | a: "\\UFFFFFFFF"
  |     ^
  = help: write "\\\\" for a backslash, or use single quotes, in which a backslash is only a backslash
""",
    ),
    "a missing item": (
        "a: [, 1]\n",
        """\
error: expected a value before ","
 --> f.yaml:1:5
  |
1 | a: [, 1]
  |     ^
  = help: write the value, or put the text in quotes
""",
    ),
    "block text on the line of its mark": (
        "a: |text\n",
        """\
error: the text of "|" starts on the next line
 --> f.yaml:1:5
  |
1 | a: |text
  |     ^
  = help: break the line after "|", or put the text in quotes
""",
    ),
    "text after the root": (
        "[a]\nb\n",
        """\
error: text follows the end of the document
 --> f.yaml:2:1
  |
2 | b
  | ^
  = help: indent it as part of the value above it, or put the whole value in quotes
""",
    ),
    "a directive": (
        "%YAML 2.0\n---\na: 1\n",
        """\
error: this line is not a YAML directive
 --> f.yaml:1:1
  |
1 | %YAML 2.0
  | ^
  = help: delete it; a line that starts with "%" is reserved
""",
    ),
    "an early fault and a syntax error": (
        "a: 1\na: 2\nb: [\n",
        """\
error: the key "a" is given twice
 --> f.yaml:2:1  a
  |
2 | a: 2
  | ^
  | line 1 gives it first
  = help: remove one of the two

error: this "[" is never closed
 --> f.yaml:3:4
  |
3 | b: [
  |    ^
  | the document ends inside it
  = help: add the closing "]"
""",
    ),
}


@pytest.mark.parametrize("example", EXAMPLES)
def test_what_the_user_reads(example: str) -> None:
    text, expected = EXAMPLES[example]
    with pytest.raises(SpecError) as caught:
        parse(text, "f.yaml")
    assert str(caught.value).removeprefix("\n") + "\n" == expected
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("text", [text for text, _ in EXAMPLES.values()])
def test_long_texts_are_refused_too(text: str) -> None:
    """Past 200,000 characters the messages are libyaml's, translated; the refusal is the same."""
    with pytest.raises(SpecError) as caught:
        parse(text + "\n#" + "x" * 200_000, "f.yaml")
    assert all(fault.span is not None for fault in caught.value.diagnostics)


def test_codes_are_stable() -> None:
    found = set()
    for text, _ in EXAMPLES.values():
        with pytest.raises(SpecError) as caught:
            parse(text)
        found |= {fault.code for fault in caught.value.diagnostics}
    assert found == {
        *("syntax", "tab", "character", "empty", "many-documents"),
        *("duplicate-key", "merge-key", "bad-key", "tag", "number-range"),
        *("unknown-alias", "recursive-alias", "duplicate-anchor"),
    }
