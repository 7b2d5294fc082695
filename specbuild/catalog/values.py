"""Types of values in a spec: each declares what it accepts, its words for errors and its JSON Schema.

Numbers are strict: a boolean is never a number, a whole float is not a whole number, and no count exceeds `LARGEST`.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Collection, Mapping, Sized
from operator import ge, gt, le, lt
from typing import Annotated, Any, Literal, NoReturn, TypeAlias, TypeVar, get_args

from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationError
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, InitErrorDetails, PydanticCustomError, core_schema

from specbuild.document.suggest import did_you_mean

Item = TypeVar("Item")

LARGEST = 2**31 - 1
"""The largest whole number accepted anywhere: frameworks count axes in 32 bits."""


def refuse(code: str, message: str) -> NoReturn:
    """Raise the error whose message a user reads; `code` is its stable machine name."""
    raise error(code, message)


def error(code: str, message: str) -> PydanticCustomError:
    """Return the error whose message a user reads; `code` is its stable machine name."""
    return PydanticCustomError("specbuild." + code, "{message}", {"message": message})


def fault(place: tuple[str | int, ...], message: str, code: str = "invalid") -> ValidationError:
    """Return the error at a place below the model or value that finds it."""
    details = InitErrorDetails(type=error(code, message), loc=place, input=None)
    return ValidationError.from_exception_data("value", [details])


def written(value: Any) -> str:
    """Return a value as a spec writes it, cut where it is long: `true`, `null`, `"same"`, `[1, 2]`."""
    if isinstance(value, float) and not math.isfinite(value):
        return ".nan" if math.isnan(value) else ".inf" if value > 0 else "-.inf"
    try:
        text = json.dumps(value, ensure_ascii=False, default=str)
    except ValueError:  # an integer beyond Python's limit of digits
        return "a number of thousands of digits"
    return text if len(text) <= 60 else f"{text[:57]}…"


def read_default(default: Any, description: str) -> Any:
    """Return a field whose default is read like a written value: an initializer by name, one number for every axis."""
    return Field(default, validate_default=True, description=description)


def check_length(values: Sized, limit: int) -> None:
    """Refuse more than `limit` values."""
    if len(values) > limit:
        refuse("length", f"expected at most {limit:,} of them, got {len(values):,}")


def read_each(read: Callable[[Any], Item], values: Mapping[Any, Any], *place: str) -> dict[Any, Item]:
    """Return every value as `read` returns it, by key.

    Raises:
        ValidationError: all faults, each below its key, which stands at `place`.
    """
    items: dict[Any, Item] = {}
    faults: list[InitErrorDetails] = []
    for key, value in values.items():
        try:
            items[key] = read(value)
        except PydanticCustomError as raised:
            faults.append(InitErrorDetails(type=raised, loc=(*place, key), input=value))
        except ValidationError as raised:
            faults += [
                InitErrorDetails(
                    type=PydanticCustomError(inner["type"], "{message}", {"message": inner["msg"]}),
                    loc=(*place, key, *inner["loc"]),
                    input=value,
                )
                for inner in raised.errors()
            ]
    if faults:
        raise ValidationError.from_exception_data("value", faults)
    return items


class Value:
    """A type of value: `Annotated[int, Whole(1)]`. Subclasses give `words`, `read` and `schema`."""

    words: str
    """What the value has to be, to follow "expected"."""

    def read(self, value: Any, expected: str = "") -> Any:
        """Return the value as it is stored; `expected` replaces `words` in the error.

        Raises:
            PydanticCustomError: it does not fit.
        """
        raise NotImplementedError

    def schema(self) -> JsonSchemaValue:
        """Return the JSON Schema of what may be written."""
        raise NotImplementedError

    def mismatch(self, value: Any, expected: str = "", hint: str = "") -> PydanticCustomError:
        """Return the error `expected <words>, got <value>`."""
        return error("value", f"expected {expected or self.words}, got {written(value)}{hint}")

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        written = core_schema.plain_serializer_function_ser_schema(self.written) if hasattr(self, "written") else None
        return core_schema.no_info_plain_validator_function(self.read, serialization=written)

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return self.schema()


class Whole(Value):
    """A whole number from `minimum` to `maximum`; `unit` is what it counts."""

    def __init__(self, minimum: int = -LARGEST, maximum: int = LARGEST, words: str = "", unit: str = "") -> None:
        self.minimum, self.maximum = minimum, maximum
        noun = f"a whole number of {unit}" if unit else "a whole number"
        least = {-LARGEST: noun, 1: noun.replace("a whole", "a positive whole")}
        unbounded = least.get(minimum, f"{noun} of at least {minimum}")
        self.words = words or (unbounded if maximum == LARGEST else f"{noun} from {minimum} to {maximum}")

    def read(self, value: Any, expected: str = "") -> int:
        if isinstance(value, int) and not isinstance(value, bool) and self.minimum <= value <= self.maximum:
            return value
        raise self.mismatch(value, expected, _hint(value, self.maximum))

    def schema(self) -> JsonSchemaValue:
        bounds = {} if self.minimum == -LARGEST else {"minimum": self.minimum, "maximum": self.maximum}
        return {"type": "integer", **bounds}


_WITHIN = {"minimum": ge, "maximum": le, "exclusiveMinimum": gt, "exclusiveMaximum": lt}
"""How a number compares with the bounds of a JSON Schema."""


class Real(Value):
    """A finite number within bounds; `noun` is what it is. It is stored as a float."""

    def __init__(
        self,
        minimum: float | None = None,
        maximum: float | None = None,
        *,
        above: float | None = None,
        below: float | None = None,
        noun: str = "a number",
    ) -> None:
        bounds = {"minimum": minimum, "maximum": maximum, "exclusiveMinimum": above, "exclusiveMaximum": below}
        self._bounds = {name: bound for name, bound in bounds.items() if bound is not None}
        self.words = (
            noun
            + {
                (): "",
                ("exclusiveMinimum",): f" above {above}",
                ("minimum",): f" of at least {minimum}",
                ("maximum",): f" of at most {maximum}",
                ("exclusiveMinimum", "exclusiveMaximum"): f" between {above} and {below}",
                ("maximum", "exclusiveMinimum"): f" above {above} and at most {maximum}",
                ("minimum", "maximum"): f" from {minimum} to {maximum}",
                ("minimum", "exclusiveMaximum"): f" from {minimum} to below {below}",
            }[tuple(self._bounds)]
        )

    def read(self, value: Any, expected: str = "") -> float:
        numeric = isinstance(value, int | float) and not isinstance(value, bool)
        within = numeric and all(_WITHIN[name](value, bound) for name, bound in self._bounds.items())
        if within and abs(value) <= sys.float_info.max:
            return float(value)
        raise self.mismatch(value, expected, _hint(value, LARGEST))

    def schema(self) -> JsonSchemaValue:
        return {"type": "number", **self._bounds}


class Choice(Value):
    """One of a few words, or `true` or `false`: those given, or those of the `Literal` that it annotates."""

    def __init__(self, *choices: str | bool) -> None:
        self.choices = choices
        names = [choice if isinstance(choice, str) else written(choice) for choice in choices]
        listed = " or ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))
        self.words = f"one of {', '.join(names)}" if len(names) > 8 else listed

    def read(self, value: Any, expected: str = "") -> str | bool:
        if any(value is choice or (isinstance(value, str) and value == choice) for choice in self.choices):
            return value  # type: ignore[no-any-return]  # one of the choices
        words = [choice for choice in self.choices if isinstance(choice, str)]
        suggestion = did_you_mean(value, words) if isinstance(value, str) else ""
        raise self.mismatch(value, expected, f"; {suggestion}" if suggestion else "")

    def schema(self) -> JsonSchemaValue:
        return {"enum": list(self.choices)}

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        own = self if self.choices else Choice(*get_args(source))
        return core_schema.no_info_before_validator_function(own.read, core_schema.literal_schema([*own.choices]))

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return handler(core)


class Text(Value):
    """Text that is not empty; `words` say what it is."""

    def __init__(self, words: str = "text") -> None:
        self.words = words

    def read(self, value: Any, expected: str = "") -> str:
        if isinstance(value, str) and value:
            return value
        raise self.mismatch(value, expected)

    def schema(self) -> JsonSchemaValue:
        return {"type": "string", "minLength": 1}


class Name(Value):
    """One of the names that are known of something, which `noun` says."""

    def __init__(self, noun: str, names: Collection[str]) -> None:
        self.noun, self.names, self.words = noun, names, f"the name of a {noun}"

    def read(self, value: Any, expected: str = "") -> str:  # noqa: ARG002
        if isinstance(value, str) and value in self.names:
            return value
        near = did_you_mean(value, self.names) if isinstance(value, str) else ""
        hint = near or f"known are {', '.join(self.names)}"
        raise error("unknown_name", f"no {self.noun} is called {written(value)}; {hint}")

    def schema(self) -> JsonSchemaValue:
        return {"enum": list(self.names)}


class Nullable(Value):
    """A value or null, inside a list; a field says `… | None`."""

    def __init__(self, inner: Value) -> None:
        self.inner, self.words = inner, f"{inner.words} or null"

    def read(self, value: Any, expected: str = "") -> Any:
        return None if value is None else self.inner.read(value, expected or self.words)

    def schema(self) -> JsonSchemaValue:
        return {"anyOf": [self.inner.schema(), {"type": "null"}]}


class OrWord(Value):
    """A value, or one word instead of it."""

    def __init__(self, inner: Value, word: str) -> None:
        self.inner, self.word, self.words = inner, word, f"{inner.words} or {word}"

    def read(self, value: Any, expected: str = "") -> Any:
        if value == self.word:
            return value
        if isinstance(value, str) and (near := did_you_mean(value, [self.word])):
            raise self.mismatch(value, expected, f"; {near}")
        return self.inner.read(value, expected or self.words)

    def schema(self) -> JsonSchemaValue:
        return {"anyOf": [self.inner.schema(), {"const": self.word}]}


class Truth(Value):
    """`true` or `false`."""

    words = "true or false"

    def read(self, value: Any, expected: str = "") -> bool:
        if isinstance(value, bool):
            return value
        raise self.mismatch(value, expected)

    def schema(self) -> JsonSchemaValue:
        return {"type": "boolean"}


Flag: TypeAlias = Annotated[bool, Truth()]
"""true or false."""
PositiveInt: TypeAlias = Annotated[int, Whole(1)]
NonNegativeInt: TypeAlias = Annotated[int, Whole(0)]
Number: TypeAlias = Annotated[float, Real()]
PositiveNumber: TypeAlias = Annotated[float, Real(above=0)]
NonNegativeNumber: TypeAlias = Annotated[float, Real(0)]
Fraction: TypeAlias = Annotated[float, Real(0, below=1, noun="a fraction")]
"""0 ≤ x < 1: a dropout rate."""
Share: TypeAlias = Annotated[float, Real(0, 1)]
"""0 ≤ x ≤ 1: a momentum, a probability."""

Policy: TypeAlias = Annotated[
    Literal["float16", "bfloat16", "float32", "float64", "mixed_float16", "mixed_bfloat16"], Choice()
]
"""The numbers that a layer computes with and keeps its weights in, under Keras's name."""
Padding: TypeAlias = Annotated[Literal["valid", "same"], Choice()]
CausalPadding: TypeAlias = Annotated[Literal["valid", "same", "causal"], Choice()]
"""`Padding` of Conv1D, which can also pad the past alone."""
DataFormat: TypeAlias = Annotated[Literal["channels_last", "channels_first"], Choice()] | None
"""Where the channel axis stands; None is channels_last."""
Interpolation: TypeAlias = Annotated[Literal["nearest", "bilinear", "bicubic", "lanczos3", "lanczos5"], Choice()]


_ARITHMETIC = frozenset("0123456789. ()+-*/%")


def _hint(value: Any, maximum: int) -> str:
    if isinstance(value, str) and set(value) <= _ARITHMETIC and set(value) & set("+*/%"):
        return f" (to compute it, write ${{{value.strip()}}})"
    if isinstance(value, bool):
        return " (true and false are not numbers)"
    if isinstance(value, float) and value.is_integer() and abs(value) <= maximum:
        return f" (write {int(value)}, without the fraction)"
    if isinstance(value, int) and value > maximum:
        return f" (the largest is {maximum})"
    return ""
