"""Arguments that are Keras objects themselves: `relu`, `{name: l2, l2: 1e-4}`, `{name: Adam, learning_rate: {…}}`.

A field of type `Activation`, `Initializer`, … takes the name of one, or a mapping of its name and arguments; null where
Keras takes None for "none". Names and arguments are checked against Keras's signatures, and every fault is reported at
the key it stands under.
"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, TypeAlias

from pydantic import ValidationError
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import InitErrorDetails, PydanticCustomError

from specbuild.catalog import losses
from specbuild.catalog.callbacks import INSTEAD
from specbuild.catalog.epochs import COUNTED, LIST_WORDS, WORDS, are_epochs, counted, epochs
from specbuild.catalog.object_limits import LIMITS
from specbuild.catalog.signatures import Family, Signature, names, signature
from specbuild.catalog.values import Nullable, Value, error, written
from specbuild.document.suggest import did_you_mean, nearest


@dataclass(frozen=True)
class KerasObject:
    """A Keras object by name, as the spec writes the name, and the arguments that the spec writes out."""

    name: str
    arguments: dict[str, Any] = field(default_factory=dict, hash=False)

    def written(self) -> str | dict[str, Any]:
        """Return the shortest form in a spec: `relu`, or `{name: leaky_relu, negative_slope: 0.2}`."""
        return self.as_mapping() if self.arguments else self.name

    def as_mapping(self) -> dict[str, Any]:
        """Return the name and the arguments, as a spec writes them."""
        plain = {
            key: value.written() if isinstance(value, KerasObject) else value for key, value in self.arguments.items()
        }
        return {"name": self.name, **plain}


@dataclass(frozen=True)
class LossSum(KerasObject):
    """A weighted sum of losses, `{sum: [{name: mse, weight: 1}, …]}`: its `arguments` are `losses` and `weights`."""

    @property
    def terms(self) -> tuple[tuple[KerasObject, float], ...]:
        """Losses with their weights."""
        return tuple(zip(self.arguments["losses"], self.arguments["weights"], strict=True))

    def written(self) -> dict[str, Any]:
        return {"sum": [{**loss.as_mapping(), "weight": weight} for loss, weight in self.terms]}


def keras_object(family: Family, value: Any) -> KerasObject:
    """Read a name or a mapping of name and arguments.

    Names with `>` belong to registered classes of a plugin; their arguments are left to the class.

    Raises:
        pydantic.ValidationError: all faults, each located inside `value`.
    """
    faults: list[InitErrorDetails] = []
    read = _read(family, value, (), faults)
    if faults or read is None:
        raise ValidationError.from_exception_data(_NOUNS[family], faults)
    return read


FAMILY = "x-keras"
"""The key under which the JSON Schema of such a field names its family."""


_NOUNS: dict[Family, str] = {
    "activations": "activation",
    "callbacks": "callback",
    "constraints": "constraint",
    "initializers": "initializer",
    "losses": "loss",
    "metrics": "metric",
    "optimizers": "optimizer",
    "regularizers": "regularizer",
    "schedules": "learning-rate schedule",
}


def _article(noun: str) -> str:
    return "an" if noun[0] in "aeiou" else "a"


class KerasValue(Value):
    """A Keras object of a family, by name or by name and arguments."""

    def __init__(self, family: Family) -> None:
        self.family: Family = family
        self.words = f"the name of {_article(_NOUNS[family])} {_NOUNS[family]} or {{name: …, and its arguments}}"

    def read(self, value: Any, expected: str = "") -> KerasObject:  # noqa: ARG002
        return keras_object(self.family, value)

    def schema(self) -> JsonSchemaValue:
        name = {"anyOf": [{"enum": list(names(self.family))}, {"type": "string", "pattern": ">"}]}
        written_out = {"type": "object", "properties": {"name": name}, "required": ["name"]}
        return {"anyOf": [name, written_out], FAMILY: self.family}

    def written(self, value: Any) -> Any:
        return value.written()


Activation: TypeAlias = Annotated[KerasObject, KerasValue("activations")] | None
"""null is linear."""
Constraint: TypeAlias = Annotated[KerasObject, KerasValue("constraints")] | None
Initializer: TypeAlias = Annotated[KerasObject, KerasValue("initializers")]
Loss: TypeAlias = Annotated[KerasObject, KerasValue("losses")]
Metric: TypeAlias = Annotated[KerasObject, KerasValue("metrics")]
Optimizer: TypeAlias = Annotated[KerasObject, KerasValue("optimizers")]
Regularizer: TypeAlias = Annotated[KerasObject, KerasValue("regularizers")] | None
Schedule: TypeAlias = Annotated[KerasObject, KerasValue("schedules")]

_NESTED: dict[str, Family] = {"inner_optimizer": "optimizers", "learning_rate": "schedules"}
"""Arguments that are, or may be, Keras objects again."""
_LISTS = frozenset({"boundaries", "values"})
"""Required arguments that are lists; every other required one is a number."""
_NUMBER_OR_LIST = frozenset({"axis", "alpha"})
"""Arguments with a number as their default that take a list of them as well."""
_NULLABLE_WORDS = frozenset({"window"})
"""Arguments with a word as their default that take null as well."""
_NUMBERS_BY_DEFAULT = frozenset({"optimizers", "schedules", "activations"})
"""Families whose null defaults stand for numbers."""

_Loc: TypeAlias = tuple[str | int, ...]


def _read(family: Family, value: Any, loc: _Loc, faults: list[InitErrorDetails]) -> KerasObject | None:
    if isinstance(value, KerasObject):
        value = {"name": value.name, **value.arguments}
    if isinstance(value, str):
        name, arguments, name_loc = value, {}, loc
    elif isinstance(value, Mapping) and isinstance(value.get("name"), str):
        name, name_loc = value["name"], (*loc, "name")
        arguments = {key: item for key, item in value.items() if key != "name"}
    else:
        _fault(faults, loc, "object", f"expected {KerasValue(family).words}, got {written(value)}", value)
        return None

    if ">" in name:
        return KerasObject(name, arguments)
    known = signature(family, name)
    if known is None:
        _fault(faults, name_loc, "unknown_name", _unknown_name(family, name), name)
        return None
    return KerasObject(name, _read_arguments(family, name, known, arguments, loc, faults))


def _read_arguments(
    family: Family, name: str, known: Signature, given: dict[str, Any], loc: _Loc, faults: list[InitErrorDetails]
) -> dict[str, Any]:
    read: dict[str, Any] = {}
    before = len(faults)
    for key, value in given.items():
        if key not in known.arguments:
            message = _unknown_argument(name, str(key), known)
            _fault(faults, (*loc, key), "unknown_argument", message, value)
        elif key in _NESTED and not _is_number(value):
            read[key] = _read_nested(name, key, value, loc, faults)
        elif family == "schedules" and key in COUNTED and _in_epochs(key, value):
            read[key] = value
        elif (limit := _limit(family, known, key)) is not None:
            try:
                read[key] = limit.read(value)
            except PydanticCustomError:
                expected = WORDS if isinstance(value, str) and key in COUNTED else limit.words
                message = f"{name} expects {expected} for {key}, got {written(value)}"
                _fault(faults, (*loc, key), "argument", message, value)
        else:
            read[key] = value
            expected, accepts = _expectation(family, known, key)
            if not accepts(value):
                message = f"{name} expects {expected} for {key}, got {written(value)}"
                _fault(faults, (*loc, key), "argument", message, value)
    for key in known.required:
        if key not in given:
            _fault(faults, loc, "missing_argument", f"{name} needs the argument {key}", given)
    if len(faults) == before and (wrong := losses.fault(name, read) if family == "losses" else _mismatch(name, read)):
        key, message = wrong
        _fault(faults, (*loc, key), "argument", message, given.get(key))
    return read


def _in_epochs(key: str, value: Any) -> bool:
    """Whether the length of a schedule is given in epochs; of the boundaries, all of them."""
    return are_epochs(value) if key in _LISTS else epochs(value) is not None


def _limit(family: Family, known: Signature, key: str) -> Value | None:
    """Return the limit of an argument, or null where that is its default and stands for none."""
    limit = LIMITS.get(f"{known.name}.{key}") or LIMITS.get(key)
    none_by_default = family in _NUMBERS_BY_DEFAULT and known.optional.get(key, 0) is None
    return Nullable(limit) if limit is not None and none_by_default and not isinstance(limit, Nullable) else limit


def _mismatch(name: str, arguments: dict[str, Any]) -> tuple[str, str] | None:
    """Return the argument that does not fit another, and why."""
    boundaries, values = arguments.get("boundaries"), arguments.get("values")
    if arguments.get("warmup_steps") and arguments.get("warmup_target") is None:
        return "warmup_steps", f"{name} warms up from initial_learning_rate to warmup_target, which is not given"
    if any(epochs(arguments.get(key)) == 0 for key in ("decay_steps", "first_decay_steps")):
        key = next(key for key in ("decay_steps", "first_decay_steps") if key in arguments)
        return key, f"{name} expects {key} above 0, got {written(arguments[key])}"
    if boundaries is not None and values is not None and len(values) != len(boundaries) + 1:
        return "values", f"{name} needs one value more than boundaries, got {len(values)} and {len(boundaries)}"
    if boundaries is not None and (numbers := counted(boundaries)) != sorted(set(numbers)):
        return "boundaries", f"{name} needs increasing boundaries, got {written(list(boundaries))}"
    if values is not None and min(values, default=0) < 0:
        return "values", f"{name} expects values of at least 0, got {written(min(values))}"
    least, most = arguments.get("min_value", 0.0), arguments.get("max_value", 1.0)
    if "min_value" in arguments and least > most:
        return "min_value", f"{name} needs a min_value of at most max_value, {written(most)}, got {written(least)}"
    classes, ids = arguments.get("num_classes", 2), arguments.get("target_class_ids", ())
    if wrong := [number for number in ids if number >= classes]:
        return "target_class_ids", f"{name} has the classes 0 to {classes - 1}, and {wrong[0]} is none of them"
    return None


def _read_nested(name: str, key: str, value: Any, loc: _Loc, faults: list[InitErrorDetails]) -> KerasObject | None:
    if isinstance(value, str | Mapping | KerasObject):
        return _read(_NESTED[key], value, (*loc, key), faults)
    noun = _NOUNS[_NESTED[key]]
    expected = f"a number or a {noun}" if _NESTED[key] == "schedules" else f"{_article(noun)} {noun}"
    _fault(faults, (*loc, key), "argument", f"{name} expects {expected} for {key}, got {written(value)}", value)
    return None


def _expectation(family: Family, known: Signature, key: str) -> tuple[str, Callable[[Any], bool]]:
    """Return what a value has to be, in words and as a test: of the type of the default, where that says enough."""
    if family == "schedules" and key in COUNTED and key in _LISTS:
        return LIST_WORDS, _is_numbers
    if key in _LISTS or isinstance(known.optional.get(key), list) or (family, key) == ("losses", "thresholds"):
        return "a list of numbers", _is_numbers
    if key in _NESTED and _NESTED[key] != "schedules":
        return f"{_article(_NOUNS[_NESTED[key]])} {_NOUNS[_NESTED[key]]}", lambda _: False
    default = known.optional.get(key, 0)
    if isinstance(default, bool):
        return "true or false", lambda value: isinstance(value, bool)
    if isinstance(default, str) and key in _NULLABLE_WORDS:
        return "a word or null", lambda value: isinstance(value, str | None)
    if isinstance(default, str):
        return "a word", lambda value: isinstance(value, str)
    if isinstance(default, int | float) and key in _NUMBER_OR_LIST:
        return "a number or a list of numbers", lambda value: _is_number(value) or _is_numbers(value)
    if isinstance(default, int | float):
        return "a number", _is_number
    if default is None and family in _NUMBERS_BY_DEFAULT and key != "exclude_layers":
        return "a number or null", lambda value: value is None or _is_number(value)
    return "a plain value", lambda value: not isinstance(value, Mapping)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_numbers(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(_is_number(item) for item in value)


def as_mapping_of_arguments(text: str, family: Family, key: str = "name") -> str:
    """Return how a spec writes a call in Python syntax: `{name: l2, l2: 1e-8}` for `l2(1e-8)`.

    Empty if the text is not a call of a known object, or has arguments other than numbers, words and lists of them.
    """
    match = re.fullmatch(r"\s*([A-Za-z_][\w.]*)\s*\((.*)\)\s*", text, re.DOTALL)
    name = match[1].rpartition(".")[2] if match else ""
    known = signature(family, name) if match else None
    if match is None or known is None:
        return ""
    try:
        call = ast.parse(text.strip(), mode="eval").body
        if not isinstance(call, ast.Call) or ast.unparse(call.func) != match[1]:
            return ""
        values = dict(zip(known.arguments, map(ast.literal_eval, call.args), strict=False))
        values |= {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in call.keywords}
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
        return ""
    if not all(isinstance(value, int | float | str | list | tuple | None) for value in values.values()):
        return ""
    shown = ", ".join(f"{argument}: {_plainly(value)}" for argument, value in values.items())
    return f"{{{key}: {name}, {shown}}}" if shown else name


def _plainly(value: Any) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_plainly, value))}]"
    return value if isinstance(value, str) else written(value)


def _unknown_name(family: Family, name: str) -> str:
    if call := as_mapping_of_arguments(name, family):
        return f"no {_NOUNS[family]} is called {written(name)}; write {call}"
    if family == "callbacks" and name in INSTEAD:
        return f"{name} cannot be used in train.callbacks: {INSTEAD[name]}"
    known = names(family)
    hint = did_you_mean(name, known)
    if family == "callbacks" and (near := nearest(name, [*known, *INSTEAD])) in INSTEAD:
        hint = f'did you mean "{near}"? It cannot be used in train.callbacks: {INSTEAD[near]}'
    elif family == "callbacks" and not hint:
        hint = f"known are {', '.join(known)}"
    return f"no {_NOUNS[family]} is called {written(name)}" + (f"; {hint}" if hint else "")


def _unknown_argument(name: str, key: str, known: Signature) -> str:
    if key == "alpha" and "negative_slope" in known.arguments:
        return f'{name} has no argument "alpha"; Keras 3 calls it negative_slope'
    related = next((argument for argument in known.arguments if _relates(key, argument)), None)
    hint = did_you_mean(key, known.arguments) or (f'did you mean "{related}"?' if related else "")
    if not hint and not known.arguments:
        hint = "it takes none"
    return f"{name} has no argument {written(key)}" + (f"; {hint}" if hint else "")


def _relates(key: str, argument: str) -> bool:
    """Tell whether a word stands for an argument as its initials (`lr`) or as a part of its name (`slope`)."""
    initials = "".join(word[0] for word in argument.split("_") if word)
    return key == initials or (len(key) > 2 and key in argument)


def _fault(faults: list[InitErrorDetails], loc: _Loc, code: str, message: str, value: Any) -> None:
    faults.append(InitErrorDetails(type=error(code, message), loc=loc, input=value))
