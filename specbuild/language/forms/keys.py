"""Mappings of the language as classes: a field for each key, and reading what is written with its faults."""

from functools import cache
from typing import ClassVar, Self

from pydantic import BaseModel, ConfigDict

from specbuild.catalog import Layer
from specbuild.document import Entry, Mapping, Node, Report, did_you_mean, nearest
from specbuild.language.equations import refuse_cut
from specbuild.language.forms.values import Located
from specbuild.language.spec import is_written
from specbuild.language.validation import has_known_faults, validate


class Keys(BaseModel):
    """A mapping of the language: a field for each key, which says what it is and what may be written."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    NEEDED: ClassVar[dict[str, str]] = {}
    """What messages say where a key is missing, if not that the mapping needs it."""
    EXAMPLE: ClassVar[str] = ""
    """What to write where a key is missing."""
    TAKES_ARGUMENTS: ClassVar[bool] = False
    """Whether all other keys are arguments, which the catalog checks."""
    UNOFFERED: ClassVar[tuple[str, ...]] = ()
    """Keys that are read for the sake of a good message, but have no place."""
    NOUN: ClassVar[str] = ""
    """What messages call the mapping, where they list its keys."""
    FORGIVEN: ClassVar[frozenset[str]] = frozenset()
    """Keys that count as left out where their value is faulty, so that all else is read and checked as well."""

    @classmethod
    def arguments(cls) -> type[Layer] | None:
        """Return the layer of the catalog whose arguments stand among the keys."""
        return None

    @classmethod
    def key_names(cls) -> list[str]:
        """Return every key that may be written."""
        layer = cls.arguments()
        return list(dict.fromkeys([*_own_keys(cls), *(name for name in (layer.model_fields if layer else ()))]))

    @classmethod
    def unbound(cls) -> list[str]:
        """Return the keys whose values bring variables of their own."""
        return [key for key, located in _own_keys(cls).items() if located is not None and located.unbound]

    @classmethod
    def meant(cls, item: Mapping) -> set[str]:
        """Return the keys that are left out, and of which an unknown key is a misspelling."""
        if cls.TAKES_ARGUMENTS:
            return set()
        known = cls.key_names()
        absent = [key for key in known if item.entry(key) is None]
        near = (nearest(name, absent) for name in item.names() if name not in known)
        return {key for key in near if key is not None}

    @classmethod
    def hint(cls, key: str, item: Mapping) -> str:  # noqa: ARG003 - for forms that know better
        """Return where an unknown key belongs."""
        return ""

    @classmethod
    def read(cls, item: Mapping, report: Report, *, owner: str = "", at: Node | None = None) -> Self | None:
        """Return the mapping as an instance, or None after reporting why there is none.

        `owner` is what messages call it, `at` what they point at where a key is missing. An unknown key is reported
        and left out. An optional key without a value, `trainable:`, counts as left out.
        """
        own, required = _own_keys(cls), _required_keys(cls)
        plain: list[Entry] = []
        given: dict[str, Node] = {}
        meant = cls.meant(item)
        for entry in item.entries:
            name = entry.name
            if name in own:
                if own[name]:
                    given[name] = entry.value
                elif is_written(entry.value) or name in required or report.is_known(entry.value.span):
                    plain.append(entry)
            elif not cls.TAKES_ARGUMENTS and name not in (known := cls.key_names()):
                if refuse_cut(item, entry, report):
                    continue
                near = did_you_mean(entry.name, known) or (f"{cls.NOUN} has {', '.join(known)}" if cls.NOUN else "")
                help = cls.hint(entry.name, item) or near
                report.error(f'unknown key "{entry.name}"', entry.key.span, help=help, code="unknown-key")
        missing = [key for key in cls.NEEDED if not is_written(item.get(key))]
        for key in missing:
            if key in meant:
                continue
            report.error(cls.NEEDED[key].format(owner=owner), (at or item).span, help=cls.EXAMPLE, code="missing-key")
        if missing:
            return None
        at = at or item
        model = validate(cls, Mapping(tuple(plain), item.span), report, owner=owner, at=at, given=given, meant=meant)
        if model is not None:
            return model
        sound = tuple(entry for entry in plain if entry.name not in cls.FORGIVEN or not _faulty(entry.value, report))
        if len(sound) == len(plain):
            return None
        return validate(cls, Mapping(sound, item.span), report, owner=owner, at=at, given=given, meant=meant)


def _faulty(value: Node, report: Report) -> bool:
    """Whether a value, or one inside it, was reported."""
    return report.is_known(value.span) or has_known_faults(value, report)


@cache
def _own_keys(cls: type[Keys]) -> dict[str, Located | None]:
    """The keys of a class, each with how it is kept as a node of the document, if it is."""
    fields = ((info.alias or name, info.metadata) for name, info in cls.model_fields.items())
    return {key: next((x for x in metadata if isinstance(x, Located)), None) for key, metadata in fields}


@cache
def _required_keys(cls: type[Keys]) -> frozenset[str]:
    """The keys of a class that have no default."""
    return frozenset(info.alias or name for name, info in cls.model_fields.items() if info.is_required())
