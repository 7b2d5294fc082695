"""`source.time: {from: name, format: …}`: the time of a frame in the name of its file."""

import re
from datetime import datetime
from itertools import takewhile
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from specbuild.catalog.values import refuse, written
from specbuild.language.dates import DatePair, Dates, dates
from specbuild.language.sections.base import Section

DIRECTIVES = {
    "Y": ("[0-9]{4}", "year"),
    "y": ("[0-9]{2}", "year of the century"),
    "m": ("[0-9]{2}", "month"),
    "d": ("[0-9]{2}", "day"),
    "j": ("[0-9]{3}", "day of the year"),
    "H": ("[0-9]{2}", "hour"),
    "M": ("[0-9]{2}", "minute"),
    "S": ("[0-9]{2}", "second"),
}
"""The directives of a format, each with its pattern and what it is; they are those of `datetime.strptime`."""
_DIRECTIVE = re.compile(r"%(.?)")
LONGEST = 200
"""Characters of a format."""


def _format(value: Any) -> str:
    if not isinstance(value, str) or not value:
        refuse("time", f'expected a format such as "%Y%m%d%H%M", got {written(value)}')
    if len(value) > LONGEST:
        refuse("time", f"expected a format of at most {LONGEST} characters, got {len(value)}")
    letters = _DIRECTIVE.findall(value)
    for letter in letters:
        if letter not in DIRECTIVES:
            known = ", ".join(f"%{letter} ({what})" for letter, (_, what) in DIRECTIVES.items())
            refuse("time", f"%{letter} is not a known directive; use {known}")
    if not {"Y", "y"} & set(letters):
        refuse("time", f'the format {written(value)} has no year; write one such as "%Y%m%d%H%M"')
    return value


def _dates(value: Any) -> Dates:
    if not isinstance(value, list | tuple) or len(value) != 2:
        refuse("time", f"expected dates such as [2010-01, 2017-12], got {written(value)}")
    return dates(value)


class NameTime(Section):
    """Times in the names of files, each of which holds one frame."""

    source: Literal["name"] = Field(alias="from", description="Where the time of a frame is: in the name of its file.")
    format: Annotated[str, Field(examples=["%Y%m%d%H%M"]), BeforeValidator(_format)] = Field(
        description="How it is written there, by %Y %m %d %j %H %M %S (%y: year of the century). A / stands for the "
        "name of a folder."
    )
    dates: Annotated[Dates, DatePair(), BeforeValidator(_dates)] | None = Field(
        None, description="First and last date to read, both included. Default: all."
    )

    def time_in(self, path: str) -> datetime | None:
        """Return the first time of this format in a path, or in its last parts where the format names folders."""
        name = "/".join(path.split("/")[-1 - self.format.count("/") :])
        pieces = _DIRECTIVE.split(self.format)  # text and directive by turns
        pattern = "".join(DIRECTIVES[piece][0] if odd % 2 else re.escape(piece) for odd, piece in enumerate(pieces))
        pattern = f"(?<![0-9])(?={pattern}(?![0-9]))(?P<time>{pattern})"
        for match in re.finditer(pattern, name):
            try:
                return datetime.strptime(match["time"], self.format)
            except ValueError:
                continue
        return None


GUESSES = (
    *("%Y%m%d%H%M%S", "%Y%m%d%H%M", "%Y%m%d%H", "%Y%m%d", "%Y-%m-%d", "%Y-%m", "%Y%m"),
    *(
        f"%Y{dash}%m{dash}%d{between}%H{colon}%M{end}"
        for dash in ("", "-", "_")
        for between in ("-", "_", "T", " ")
        for colon in ("", ":", "-", "_")
        for end in (f"{colon}%S", "")
    ),
)
"""Formats that names of files usually have, the most exact first."""


GUESSED = 100
"""Names of files of which a format is guessed."""


def guessed_format(names: list[str]) -> str:
    """Return a format in which every name has a time, all different; empty where none of the usual ones is."""
    for form in sorted(GUESSES, key=lambda form: (-form.count("%"), form)):
        section = NameTime.model_validate({"from": "name", "format": form})
        times = list(takewhile(lambda time: time is not None, map(section.time_in, names)))
        if names and len(set(times)) == len(names):
            return form
    return ""
