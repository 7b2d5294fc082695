"""Reading the file of a spec, with a named reason for every way in which that can fail."""

from __future__ import annotations

import codecs
from pathlib import Path
from typing import NoReturn

from specbuild.document.diagnostics import Diagnostic
from specbuild.document.errors import SpecError
from specbuild.document.nodes import Source
from specbuild.document.suggest import did_you_mean

MAX_BYTES = 4_000_000
SUFFIXES = (".yaml", ".yml")


def read_text(path: str | Path) -> str:
    """The UTF-8 text of `path`, without a byte order mark, its line endings as written.

    Raises SpecError if it is missing, a folder, unreadable, larger than 4 MB or not UTF-8.
    """
    data = _read_bytes(Path(path))
    if len(data) > MAX_BYTES:
        _refuse(f"{path} is larger than {MAX_BYTES // 10**6} MB", help="is it a spec?", code="too-large")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as fault:
        _refuse_encoding(str(path), data, fault.start)


def _read_bytes(path: Path) -> bytes:
    try:
        if path.is_dir():
            _refuse(f"{path} is a folder, not a file", help=_specs_in(path), code="not-a-file")
        if path.exists() and not path.is_file():
            _refuse(f"{path} is not a regular file", help="write the spec into a file", code="not-a-file")
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        if not path.parent.is_dir():
            _refuse(f"there is no file {path}", reason=f"there is no folder {path.parent}", code="no-file")
        help = did_you_mean(path.name, files_in(path.parent)) or _specs_in(path.parent)
        _refuse(f"there is no file {path}", help=help, code="no-file")
    except NotADirectoryError:
        _refuse(f"there is no file {path}", reason=f"{path.parent} is not a folder", code="no-file")
    except PermissionError:
        _refuse(f"{path} cannot be read", reason="permission denied", code="no-permission")
    except (OSError, ValueError) as fault:
        reason = (fault.strerror if isinstance(fault, OSError) else None) or str(fault)
        _refuse(f"{str(path)!r} cannot be read", reason=reason, code="unreadable")


def _refuse(message: str, *, reason: str = "", help: str = "", code: str) -> NoReturn:
    raise SpecError([Diagnostic(message, reason=reason, help=help, code=code)]) from None


def _refuse_encoding(name: str, data: bytes, offset: int) -> NoReturn:
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        _refuse(f"{name} is not UTF-8 text", reason="it is UTF-16", help="save it as UTF-8", code="encoding")
    readable = data[:offset].decode("utf-8-sig")
    source = Source(name, readable + data[offset:].decode("utf-8", "replace"))
    fault = Diagnostic(
        f"{name} is not UTF-8 text",
        source.span(len(readable), len(readable) + 1),
        reason=f"byte {offset + 1:,} of the file is 0x{data[offset]:02X}, which no UTF-8 text has there",
        help="save it as UTF-8",
        code="encoding",
    )
    raise SpecError([fault]) from None


def _specs_in(folder: Path) -> str:
    specs = [name for name in files_in(folder) if name.endswith(SUFFIXES)]
    return f"the specs in it are {', '.join(specs[:5])}" + (" and more" if len(specs) > 5 else "") if specs else ""


def files_in(folder: Path, suffix: str = "") -> list[str]:
    """Return the names of the files of a folder that end in `suffix`, specs first; none if it cannot be read."""
    try:
        names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(suffix) and entry.is_file())
    except OSError:
        return []
    return sorted(names, key=lambda name: not name.endswith(SUFFIXES))
