"""Validation of a mapping by pydantic, with every error at its line and column and in plain words."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from collections.abc import Mapping as AnyMapping
from typing import Any, TypeVar, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from specbuild.document import Mapping, Node, PathPart, Report, did_you_mean, locate, nearest, plain, shown

Model = TypeVar("Model", bound=BaseModel)


def validate(
    cls: type[Model],
    node: Node,
    report: Report,
    *,
    owner: str,
    at: Node | None = None,
    given: AnyMapping[str, Any] | None = None,
    beside: Sequence[str] = (),
    meant: Collection[str] = (),
) -> Model | None:
    """Return `node` as an instance of `cls`, or None after reporting everything that is wrong with it.

    `owner` is what the mapping describes (`Conv2D`, `train`); `at` is where a missing key is reported, if not at the
    mapping itself; `given` are values that come from elsewhere than the document; `beside` are keys that the mapping
    may have had in mind although its class does not know them; `meant` are those that an unknown key, reported already,
    is a misspelling of.
    """
    if not isinstance(node, Mapping):
        report.wrong_type(f"{owner} must be a mapping", node)
        return None
    try:
        model = cls.model_validate({**plain(node), **(given or {})})
        return None if has_known_faults(node, report) else model
    except ValidationError as error:
        details = error.errors(include_url=False)
        misspelt = _misspelt(details) | {(name,) for name in meant}
        for detail in details:
            if detail["type"] == "missing" and detail["loc"] in misspelt:
                continue
            _report(detail, cls, node, report, owner, at or node, beside)
    return None


def _misspelt(details: list[ErrorDetails]) -> set[tuple[PathPart, ...]]:
    """Return the missing keys of which an unknown key beside them is a misspelling: one mistake, reported once."""
    missing = [detail["loc"] for detail in details if detail["type"] == "missing"]
    meant = set()
    for detail in details:
        if detail["type"] == "extra_forbidden":
            *place, word = detail["loc"]
            beside = [str(loc[-1]) for loc in missing if loc[:-1] == tuple(place)]
            if near := nearest(str(word), beside):
                meant.add((*place, near))
    return meant


def _report(
    detail: ErrorDetails,
    cls: type[BaseModel],
    node: Mapping,
    report: Report,
    owner: str,
    at: Node,
    beside: Sequence[str],
) -> None:
    place = _existing(node, detail["loc"])
    if place and report.is_known(locate(node, place)):
        return
    context = detail.get("ctx", {})
    if detail["type"] == "extra_forbidden":
        word = str(detail["loc"][-1])
        found = _class_at(cls, place[:-1])
        known = _fields(found)
        elsewhere: dict[str, str] = getattr(found, "elsewhere", {})
        message = (
            f'{_owner(owner, place[:-1])} has no argument "{word}"' if owner[:1].isupper() else f'unknown key "{word}"'
        )
        near = nearest(word, [*known, *beside, *elsewhere])
        help = elsewhere.get(word) or did_you_mean(word, [*known, *beside]) or _listed(known)
        if word not in elsewhere and near in elsewhere:
            help = f'did you mean "{near}"? {elsewhere[near][:1].upper()}{elsewhere[near][1:]}'
        report.error(message, locate(node, place, key=True), help=help, code="unknown-key")
    elif detail["type"] == "missing":
        word = str(detail["loc"][-1])
        message = f"{_owner(owner, place)} needs {word}"
        report.error(message, locate(node, place) if place else at.span, code="missing-key")
    else:
        name = next((part for part in reversed(place) if isinstance(part, str)), owner)
        text = in_words(detail)
        message = f"{name}: {text}" if text.startswith("expected") else text
        key = detail["type"] == "specbuild.unknown_argument" or detail["loc"][-1:] == ("[key]",)
        reason, help = context.get("reason", ""), context.get("help", "")
        if detail["type"] in ("model_type", "dict_type") and not help and place:
            keys = _fields(_class_at(cls, place))
            help = f"its keys are {', '.join(keys)}" if keys else ""
        code = context.get("code") or ("wrong-type" if detail["type"] in _TYPES else "bad-value")
        report.error(message, locate(node, place, key=key), reason=reason, help=help, code=code)


def _existing(node: Node, loc: tuple[PathPart, ...]) -> tuple[PathPart, ...]:
    """Return the part of pydantic's location that the document has, without tags of unions and validators."""
    place: list[PathPart] = []
    for part in loc:
        if isinstance(node, Mapping) and isinstance(part, str) and (child := node.get(part)) is not None:
            place.append(part)
            node = child
        elif not isinstance(node, Mapping) and isinstance(part, int):
            items = getattr(node, "items", ())
            if part < len(items):
                place.append(part)
                node = items[part]
    return tuple(place)


def _fields(cls: type[BaseModel] | None) -> list[str]:
    """Return the keys that a model knows."""
    return [] if cls is None else [field.alias or name for name, field in cls.model_fields.items()]


def _class_at(cls: type[BaseModel], place: tuple[PathPart, ...]) -> type[BaseModel] | None:
    """Return the model at `place` below `cls`; None where there is none."""
    names = [part for part in place if isinstance(part, str)]  # an item of a list has the keys of its class
    parts = iter(names)
    for part in parts:
        field = cls.model_fields.get(part)
        inner = (
            [a for a in _flat(field.annotation) if isinstance(a, type) and issubclass(a, BaseModel)] if field else []
        )
        if not inner:
            return None
        cls = inner[0]
        if field is not None and get_origin(field.annotation) is dict and next(parts, None) is not None:
            # A mapping of names to one of several models: the one that has the key below the name.
            following = names[names.index(part) + 2 :]
            cls = next((each for each in inner if following and following[0] in each.model_fields), cls)
    return cls


def _listed(known: list[str]) -> str:
    """Return the known keys in words, where they are few enough to read."""
    return f"known are {', '.join(known)}" if 0 < len(known) <= 24 else ""


def _flat(annotation: Any) -> list[Any]:
    arguments = getattr(annotation, "__args__", ())
    return [annotation, *(a for argument in arguments for a in _flat(argument))]


def _owner(owner: str, place: tuple[PathPart, ...]) -> str:
    return str(place[-1]) if place else owner


def first_problem(error: ValidationError) -> str:
    """Return the first of pydantic's findings in a record, with its key: `steps[0].mean: expected a list, …`."""
    detail = error.errors(include_url=False)[0]
    if detail["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        *parents, key = detail["loc"]
        return f"{_dotted(parents)}unknown key {json.dumps(key)}"
    if detail["type"] in ("missing", "missing_argument"):
        *parents, key = detail["loc"]
        return f"{_dotted(parents)}it has no {json.dumps(key)}"
    return _dotted(detail["loc"]) + in_words(detail)


def _dotted(parts: Sequence[int | str]) -> str:
    place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts).removeprefix(".")
    return f"{place}: " if place else ""


def in_words(detail: ErrorDetails) -> str:
    """Return what pydantic found in plain words; what a validator of ours found, in its own."""
    if (expected := _TYPES.get(detail["type"])) is not None:
        return f"expected {expected}, got {shown(detail['input'])}"
    if detail["type"] == "literal_error":
        return _choice(detail["ctx"], detail["input"])
    return detail["msg"].removeprefix("Value error, ")


def _choice(context: dict[str, Any], value: Any) -> str:
    choices = [choice.strip().strip("'") for choice in str(context["expected"]).replace(" or ", ", ").split(",")]
    text = f"expected {context['expected']}, got {shown(value)}".replace("'", '"')
    suggestion = did_you_mean(value, choices) if isinstance(value, str) else ""
    return f"{text}; {suggestion}" if suggestion else text


_TYPES = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "string_type": "text",
    "bool_type": "true or false",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
}
"""What pydantic expects where it finds a value of another type, in words."""


def has_known_faults(node: Node, report: Report) -> bool:
    """Tell whether a value below `node` was already reported (an unknown variable, say)."""
    if isinstance(node, Mapping):
        return any(has_known_faults(entry.value, report) for entry in node.entries)
    if hasattr(node, "items"):
        return any(has_known_faults(item, report) for item in node.items)
    return report.is_known(node.span)
