"""Types of values that are lists, or one value for a whole list."""

from __future__ import annotations

import sys
from typing import Any

from pydantic.json_schema import JsonSchemaValue
from pydantic_core import PydanticCustomError

from specbuild.catalog.values import Value, check_length, error, fault, read_each, written


class ListOf(Value):
    """A list of so many values, stored as a tuple; `words` are those of the whole.

    More than `limit` are refused before any is read; `once` is the noun for items that may not be repeated.
    """

    def __init__(
        self,
        item: Value,
        words: str,
        minimum: int = 0,
        maximum: int = sys.maxsize,
        *,
        limit: int = sys.maxsize,
        once: str = "",
    ) -> None:
        self.item, self.words, self.once = item, words, once
        self.minimum, self.maximum, self.limit = minimum, maximum, limit

    def read(self, value: Any, expected: str = "") -> Any:
        if not isinstance(value, list | tuple) or not self.minimum <= len(value) <= self.maximum:
            raise self.mismatch(value, expected)
        check_length(value, self.limit)
        items = tuple(self._item(number, item, expected or self.words) for number, item in enumerate(value))
        if self.once and len(set(items)) < len(items):
            raise error("value", f"{self.once} is listed twice in {written(list(value))}")
        return items

    def _item(self, number: int, item: Any, expected: str) -> Any:
        """Read an item; a fault in one of a list of names is reported at its own place."""
        try:
            return self.item.read(item, expected)
        except PydanticCustomError as wrong:
            if not self.once:
                raise
            raise fault((number,), wrong.message(), wrong.type.removeprefix("specbuild.")) from None

    def schema(self) -> JsonSchemaValue:
        most = min(self.maximum, self.limit)
        bounds = {"minItems": self.minimum} if self.minimum else {}
        bounds |= {"maxItems": most} if most < sys.maxsize else {}
        unique = {"uniqueItems": True} if self.once else {}
        return {"type": "array", "items": self.item.schema(), **bounds, **unique}


class Each(ListOf):
    """A list, of which every faulty item is reported, each at its place."""

    def read(self, value: Any, expected: str = "") -> tuple[Any, ...]:
        if not isinstance(value, list | tuple):
            raise self.mismatch(value, expected)
        check_length(value, self.limit)
        return tuple(read_each(self.item.read, dict(enumerate(value))).values())


class OneOrList(ListOf):
    """One value, stored unchanged, or a list of them."""

    def read(self, value: Any, expected: str = "") -> Any:
        if isinstance(value, list | tuple):
            return super().read(value, expected)
        return self.item.read(value, expected or self.words)

    def schema(self) -> JsonSchemaValue:
        return {"anyOf": [self.item.schema(), super().schema()]}


class Several(OneOrList):
    """One value or a list of them, stored as a tuple in either case."""

    def read(self, value: Any, expected: str = "") -> tuple[Any, ...]:
        items = super().read(value, expected)
        return items if isinstance(value, list | tuple) else (items,)


class PerAxis(ListOf):
    """One value that holds for every axis, or a list with one for each; stored as one for each."""

    def __init__(self, item: Value, count: int, words: str = "") -> None:
        super().__init__(item, words or f"{item.words} or a list of {count}", count, count)
        self.single: Value = item.single if isinstance(item, PerAxis) else item
        self._in_list = words or f"{self.words} such numbers"

    def read(self, value: Any, expected: str = "") -> tuple[Any, ...]:
        if isinstance(value, list | tuple) and len(value) == self.minimum:
            return tuple(self.item.read(entry, expected or self._in_list) for entry in value)
        self.single.read(value, expected or self.words)
        return (self.item.read(value, expected or self.words),) * self.minimum

    def schema(self) -> JsonSchemaValue:
        return {"anyOf": [self.single.schema(), super().schema()]}
