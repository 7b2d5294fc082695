"""Faults of files, which are reported at the key of `data.source` that is to be changed."""

from __future__ import annotations

from specbuild.document.printable import printable


class SourceError(Exception):
    """A file that cannot be read as the spec says. `part` is the key of `data.source` that is at fault."""

    def __init__(self, part: str, message: str, *, reason: str = "", help: str = "") -> None:
        super().__init__(message)
        self.part, self.message, self.reason, self.help = part, message, reason, help


class FileError(SourceError):
    """A file that is at fault itself, or files that do not fit together."""

    def __init__(self, message: str, *, reason: str = "", help: str = "") -> None:
        super().__init__("path", message, reason=reason, help=help)


class DamagedFileError(FileError):
    """A file that is cut short, damaged or of another format."""

    def __init__(self, message: str, reason: object) -> None:
        super().__init__(message, reason=reason_of(reason), help="copy the file again")


def reason_of(error: object) -> str:
    """Return what a library says of a file in one line of at most 200 characters, all of them printable."""
    text = printable(" ".join(str(error).split()))
    return text if len(text) <= 200 else f"{text[:199]}…"
