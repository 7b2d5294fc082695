"""The configuration inside a Keras file, read as data: a `.keras` archive, a whole-model `.h5`, or JSON."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from specbuild.document import Diagnostic, SpecError

MAX_BYTES = 100_000_000
"""The largest configuration that is read; those of large models have a few megabytes."""

_ZIP, _HDF5 = b"PK", b"\x89HDF\r\n\x1a\n"
_SAVE = "in Python, load the model and call model.save('model.keras')"


@dataclass(frozen=True, slots=True)
class Stored:
    """The configuration of a model as JSON gives it, and the version of Keras that wrote it, where the file says so."""

    config: Any
    keras_version: str


def read_config(path: str | Path) -> Stored:
    """Return the model configuration that a file holds.

    Raises:
        SpecError: the file is missing, unreadable or broken, or holds no Keras model.
    """
    path = Path(path)
    start = _start(path)
    if start.startswith(_ZIP):
        config, metadata = _from_archive(path)
        return Stored(_json(path, config), _version(_json(path, metadata)))
    if start.startswith(_HDF5):
        config, version = _from_hdf5(path)
        return Stored(_json(path, config), version)
    if start.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
        with path.open("rb") as file:
            config = _json(path, _limited(path, file.read(MAX_BYTES + 1)))
        return Stored(config, _version(config))
    help = "name a file that model.save('model.keras') or model.to_json() wrote"
    reason = "it is neither a .keras archive, nor HDF5, nor JSON"
    raise _refusal(f"{path} is not a Keras model", reason=reason, help=help)


def _start(path: Path) -> bytes:
    try:
        if path.is_dir():
            saved = (path / "saved_model.pb").exists()
            raise _refusal(
                f"{path} is a folder, not a file",
                reason="a SavedModel holds operations, not layers" if saved else "",
                help=_SAVE if saved else "",
            )
        with path.open("rb") as file:
            return file.read(64)
    except FileNotFoundError:
        raise _refusal(f"there is no file {path}", code="no-file") from None
    except OSError as fault:
        raise _refusal(f"{path} cannot be read", reason=fault.strerror or str(fault), code="unreadable") from None


def _version(value: Any) -> str:
    return str(value.get("keras_version", "")) if isinstance(value, Mapping) else ""


def _from_archive(path: Path) -> tuple[bytes, bytes]:
    """config.json and metadata.json."""
    members: dict[str, bytes] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for name in {"config.json", "metadata.json"} & set(archive.namelist()):
                with archive.open(name) as file:
                    members[name] = file.read(MAX_BYTES + 1)
    except Exception as fault:  # a damaged archive raises BadZipFile, zlib.error, EOFError, RuntimeError, …
        raise _refusal(
            f"{path} is a broken archive", reason=str(fault), help="copy the file again, or save the model again"
        ) from None
    if "config.json" not in members:
        raise _refusal(f"{path} is not a Keras model", reason="the archive holds no config.json")
    return _limited(path, members["config.json"]), _limited(path, members.get("metadata.json", b"{}"))


def _from_hdf5(path: Path) -> tuple[bytes, str]:
    """The attributes model_config and keras_version."""
    import h5py

    try:
        with h5py.File(path, "r") as file:
            config, version = file.attrs.get("model_config"), file.attrs.get("keras_version", "")
    except OSError as fault:
        raise _refusal(f"{path} is a broken HDF5 file", reason=str(fault)) from None
    if config is None:
        raise _refusal(f"{path} holds weights and no model", help=_SAVE)
    return _limited(path, config if isinstance(config, bytes) else str(config).encode()), str(version)


def _limited(path: Path, data: bytes) -> bytes:
    if len(data) > MAX_BYTES:
        raise _refusal(f"the configuration in {path} is larger than {MAX_BYTES // 10**6} MB")
    return data


def _json(path: Path, data: bytes) -> Any:
    try:
        return json.loads(data.decode("utf-8-sig"))
    except ValueError as fault:  # not UTF-8, not JSON, or a number of too many digits
        raise _refusal(f"the configuration in {path} is not JSON", reason=str(fault)) from None
    except RecursionError:
        raise _refusal(f"the configuration in {path} is nested too deeply") from None


def _refusal(message: str, *, reason: str = "", help: str = "", code: str = "import") -> SpecError:
    return SpecError([Diagnostic(message, reason=reason, help=help, code=code)])
