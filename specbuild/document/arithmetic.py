"""Arithmetic in text: its tokens, its precedence, and the tree of an expression with the place of each part.

Two notations share the grammar. In `EXPRESSION`, which computes values of variables, a name is `$name`, and text in
quotes, `true`, `false`, `not`, `and` and `or` are known. In `EQUATION`, which computes tensors from nodes, a name is
bare and may have parts, `enc.last`, and functions are called, `tanh(x)`.

The parser is our own because Python's `ast` knows no `$name`, refuses numbers such as 012, which YAML reads as twelve,
and describes its faults in terms of Python.
"""

from __future__ import annotations

import operator
import re
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from specbuild.document.calculation import ExpressionError, Place, bounded

MAX_DEPTH = 50
"""Parentheses, powers and calls inside each other."""


# The tree


@dataclass(frozen=True, slots=True)
class Tree:
    """A part of an expression. Two parts are equal if they mean the same, wherever they stand."""

    at: Place = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Literal(Tree):
    """A number of at least 0, a text or a boolean."""

    value: int | float | str | bool


@dataclass(frozen=True, slots=True)
class Name(Tree):
    """A variable without its `$`, or what an equation reads."""

    name: str


@dataclass(frozen=True, slots=True)
class Call(Tree):
    """A function of one argument or several."""

    function: Name
    arguments: tuple[Tree, ...]


@dataclass(frozen=True, slots=True)
class Signed(Tree):
    """An operand with signs before it, which come to a minus or to none."""

    negative: bool
    operand: Tree


@dataclass(frozen=True, slots=True)
class Power(Tree):
    """`base ** exponent`."""

    base: Tree
    exponent: Tree


@dataclass(frozen=True, slots=True)
class Chain(Tree):
    """Operands joined by operators of one precedence, which are applied from left to right."""

    first: Tree
    rest: tuple[tuple[str, Tree], ...]


@dataclass(frozen=True, slots=True)
class Comparison(Tree):
    """Two sums, and how they compare."""

    symbol: str
    left: Tree
    right: Tree


@dataclass(frozen=True, slots=True)
class Negation(Tree):
    """A comparison with `not` before it, so many times."""

    times: int
    operand: Tree


@dataclass(frozen=True, slots=True)
class Choice(Tree):
    """Operands joined by `or`, or by `and`."""

    word: str
    operands: tuple[Tree, ...]


# Notations


class Notation(NamedTuple):
    """What an expression may contain."""

    token: re.Pattern[str]
    what: str
    """The name of this notation in messages."""
    contents: str
    """What it may contain, in words."""
    operand: str
    """What an operand is, in words."""


_NUMBER = r"(?P<number>(?:\d+\.\d*|\.\d+|\d+)(?:[eE][-+]?\d+)?)"
_OPERATOR = r"(?P<operator>\*\*|//|[=!<>]=|[-+*/%()<>])"

EXPRESSION = Notation(
    re.compile(
        rf"\s*(?:{_NUMBER}|\$(?P<name>[A-Za-z_]\w*)|(?P<quote>['\"])(?P<text>[^'\"$]*)(?P=quote)"
        rf"|{_OPERATOR}|(?P<word>(?:not|and|or|true|false)\b))"
    ),
    "an expression",
    "numbers, $name, text in quotes, + - * / // % **, comparisons and ( )",
    "a number or a $name",
)
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z0-9_]+)*")
"""A name in an equation: `f`, `enc.last`, `gates.f`."""
EQUATION = Notation(
    re.compile(rf"\s*(?:{_NUMBER}|(?P<name>{NAME.pattern})|{_OPERATOR}|(?P<comma>,))"),
    "an equation",
    "numbers, ids of nodes, functions, + - * / ** and ( )",
    "a number or the id of a node",
)

Token: TypeAlias = re.Match[str]
LEVELS = (("+", "-"), ("*", "/", "//", "%"))
"""The operators by how tightly they bind, the loosest first; those of a level are applied from left to right."""
COMPARISONS: dict[str, Callable[[int | float, int | float], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def tokens(text: str, notation: Notation) -> tuple[deque[Token], str]:
    """Return the tokens that text starts with, and what follows the last of them."""
    read: deque[Token] = deque()
    position, text = 0, text.rstrip()
    while match := notation.token.match(text, position):
        read.append(match)
        position = match.end()
    return read, text[position:].lstrip()


def parse(text: str, notation: Notation) -> Tree:
    """Return the tree of a text.

    Raises:
        ExpressionError: bad syntax, or a number out of bounds; with its place.
    """
    read, rest = tokens(text, notation)
    if rest:
        start = len(text.rstrip()) - len(rest)
        message = f'"{rest[:20]}" cannot be part of {notation.what}; it may have {notation.contents}'
        raise ExpressionError(message, at=(start, start + 1))
    parser = _Parser(read, notation, len(text.rstrip()))
    tree = parser.choice(0)
    if parser.tokens:
        raise _unexpected(parser.tokens[0])
    return tree


class _Parser:
    """A recursive-descent parser. `tokens` are those still to be read; `depth` is the nesting depth of an operand."""

    def __init__(self, tokens: deque[Token], notation: Notation, end: int) -> None:
        self.tokens, self._notation, self._end = tokens, notation, end
        self._read = 0
        """The end of the token read last."""

    def _next(self) -> Token:
        token = self.tokens.popleft()
        self._read = token.end()
        return token

    def _start(self) -> int:
        return _place(self.tokens[0])[0] if self.tokens else self._end

    def _operator(self, wanted: Collection[str]) -> str | None:
        if self.tokens and self.tokens[0]["operator"] in wanted:
            return self._next()["operator"]
        return None

    def _taken(self, group: str, wanted: str) -> bool:
        """Whether the next token is the one wanted, which is then read."""
        if not self.tokens or self.tokens[0].groupdict().get(group) != wanted:
            return False
        self._next()
        return True

    def choice(self, depth: int, word: str = "or") -> Tree:
        """Read what `or` joins, or one level below `and`."""
        start = self._start()
        operands = [self._below(depth, word)]
        while self._taken("word", word):
            operands.append(self._below(depth, word))
        return operands[0] if len(operands) == 1 else Choice((start, self._read), word, tuple(operands))

    def _below(self, depth: int, word: str) -> Tree:
        return self.choice(depth, "and") if word == "or" else self.negation(depth)

    def negation(self, depth: int) -> Tree:
        """Read a comparison, with any number of `not` before it."""
        start, count = self._start(), 0
        while self._taken("word", "not"):
            count += 1
        operand = self.comparison(depth)
        return Negation((start, self._read), count, operand) if count else operand

    def comparison(self, depth: int) -> Tree:
        """Read one sum, or two with a comparison between them."""
        start, left = self._start(), self.operation(depth)
        symbol = self._operator(COMPARISONS)
        if symbol is None:
            return left
        right = self.operation(depth)
        return Comparison((start, self._read), symbol, left, right)

    def operation(self, depth: int, level: int = 0) -> Tree:
        """Read a sum; further levels are products and operands."""
        if level == len(LEVELS):
            return self.operand(depth)
        start, first = self._start(), self.operation(depth, level + 1)
        rest = []
        while symbol := self._operator(LEVELS[level]):
            rest.append((symbol, self.operation(depth, level + 1)))
        return Chain((start, self._read), first, tuple(rest)) if rest else first

    def operand(self, depth: int) -> Tree:
        """Read an atom, its power and the signs before it, which bind less tightly than the power."""
        if depth > MAX_DEPTH:
            message = f"parentheses and powers are nested more than {MAX_DEPTH} deep"
            raise ExpressionError(message, at=(self._start(), self._start() + 1))
        start, signs = self._start(), []
        while sign := self._operator(LEVELS[0]):
            signs.append(sign)
        inner, tree = self._start(), self.atom(depth)
        if self._operator(("**",)):
            exponent = self.operand(depth + 1)
            tree = Power((inner, self._read), tree, exponent)
        return Signed((start, self._read), signs.count("-") % 2 == 1, tree) if signs else tree

    def atom(self, depth: int) -> Tree:
        if not self.tokens:
            message = f"{self._notation.operand} is missing at the end"
            raise ExpressionError(message, at=(max(self._read - 1, 0), self._end))
        token = self._next()
        place, groups = _place(token), token.groupdict()
        if number := groups["number"]:
            return Literal(place, bounded(int(number) if number.isdigit() else float(number)))
        if name := groups["name"]:
            return self._named(Name(place, name), depth)
        if groups.get("text") is not None:
            return Literal(place, groups["text"])
        if groups.get("word") in ("true", "false"):
            return Literal(place, groups["word"] == "true")
        if groups["operator"] != "(":
            raise _unexpected(token)
        tree = self.choice(depth + 1)
        self._close(place)
        return tree

    def _named(self, name: Name, depth: int) -> Tree:
        """Return a name, or the call of the function that it names in an equation."""
        if self._notation is not EQUATION or not self._taken("operator", "("):
            return name
        arguments = [] if self._taken("operator", ")") else [self.choice(depth + 1)]
        if arguments:
            while self._taken("comma", ","):
                arguments.append(self.choice(depth + 1))
            self._close(name.at)
        return Call((name.at[0], self._read), name, tuple(arguments))

    def _close(self, opened: Place) -> None:
        if self._taken("operator", ")"):
            return
        if self._notation is EQUATION and self.tokens:
            raise _unexpected(self.tokens[0])
        raise ExpressionError('a ")" is missing', at=opened)


def _place(token: Token) -> Place:
    return token.end() - len(token[0].lstrip()), token.end()


def _unexpected(token: Token) -> ExpressionError:
    factor = token["name"] or token["number"] or token["operator"] == "("
    help = "write * between two factors" if factor else ""
    return ExpressionError(f'unexpected "{token[str(token.lastgroup)]}"', at=_place(token), help=help)


def names_in(tree: Tree) -> tuple[Name, ...]:
    """Return the names in a tree, with repetitions; the names of functions are left out."""
    match tree:
        case Name():
            return (tree,)
        case Call(_, _, arguments):
            parts = arguments
        case Signed(_, _, operand) | Negation(_, _, operand):
            parts = (operand,)
        case Power(_, base, exponent):
            parts = (base, exponent)
        case Chain(_, first, rest):
            parts = (first, *(operand for _, operand in rest))
        case Comparison(_, _, left, right):
            parts = (left, right)
        case Choice(_, _, operands):
            parts = operands
        case _:
            parts = ()
    return tuple(name for part in parts for name in names_in(part))


def written(tree: Tree, rename: Callable[[str], str] = str) -> str:
    """Return the text of an equation with no more parentheses than it needs, its names replaced."""

    def inside(part: Tree, tightness: int) -> str:
        text = written(part, rename)
        return text if _tightness(part) > tightness else f"({text})"

    match tree:
        case Literal(_, value):
            return repr(value)
        case Name(_, name):
            return rename(name)
        case Call(_, function, arguments):
            return f"{function.name}({', '.join(written(argument, rename) for argument in arguments)})"
        case Signed(_, negative, operand):
            return "-" * negative + inside(operand, _SIGN)
        case Power(_, base, exponent):
            return f"{inside(base, _POWER)} ** {inside(exponent, _SIGN - 1)}"
        case Chain(_, first, rest):
            own = _tightness(tree)
            return inside(first, own) + "".join(f" {symbol} {inside(operand, own)}" for symbol, operand in rest)
    raise AssertionError(f"an equation has no {type(tree).__name__}")


_SIGN, _POWER, _ATOM = len(LEVELS), len(LEVELS) + 1, len(LEVELS) + 2


def _tightness(tree: Tree) -> int:
    """Return the precedence of the loosest operator of a part, on the scale of `LEVELS`."""
    if isinstance(tree, Chain):
        return next(level for level, symbols in enumerate(LEVELS) if tree.rest[0][0] in symbols)
    if isinstance(tree, Signed):
        return _SIGN if tree.negative else _tightness(tree.operand)
    return _POWER if isinstance(tree, Power) else _ATOM
