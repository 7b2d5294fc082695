"""Files and stores at URLs, through fsspec: Zarr and NetCDF 4 are read where they are, other files once as a copy."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, TypeAlias, cast

from specbuild.catalog.sources import PROTOCOLS, format_of, protocol_of
from specbuild.data.sources.errors import FileError, reason_of
from specbuild.data.sources.unpacking import cache_folder, write
from specbuild.document.extras import install

_WILD = re.compile(r"[*\[]")


@dataclass(frozen=True)
class RemoteFile:
    """A file or store at a URL."""

    url: str
    options: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """What the file system of fsspec is made with, such as `anon`."""

    @property
    def name(self) -> str:
        """The last part of the URL, for messages and for the times in names."""
        return PurePosixPath(self._path).name

    @property
    def is_store(self) -> bool:
        """Whether it is a Zarr store, of many objects."""
        source_format = format_of(self.url)
        return source_format is not None and source_format.is_folder

    @property
    def _path(self) -> str:
        return self.url.split("?")[0].rstrip("/")

    def as_posix(self) -> str:
        """Return the URL without the query."""
        return self._path

    def store(self) -> Any:
        """Return the Zarr store, to be read alone."""
        from zarr.storage import FsspecStore

        with reaching(self):
            self.system()
            options = {**self.options, "asynchronous": True}
            return FsspecStore.from_url(self._path, storage_options=options, read_only=True)

    def copy(self) -> Path:
        """Return a copy on the disk, made again when the file changes.

        Raises:
            SourceError: it is not there, cannot be reached, or does not fit onto the disk.
        """
        with reaching(self):
            state = f"{self.url}\0{self.system().ukey(self.url)}"
            folder = cache_folder() / hashlib.sha256(state.encode()).hexdigest()[:32]
            folder.mkdir(exist_ok=True)
            target = folder / self.name
            if not target.exists():
                with self.system().open(self.url, "rb") as remote:
                    write(cast(Any, remote), target, self.name)
        return target

    def state(self) -> dict[str, Any]:
        """Return what tells whether the file has changed: its size, and a digest of what the server says of it.

        Of a store it is that of its metadata.

        Raises:
            SourceError: it cannot be reached.
        """
        with reaching(self):
            names = ("/.zmetadata", "/zarr.json", "/.zgroup") if self.is_store else ("",)
            places = (f"{self._path}{name}" if name else self.url for name in names)
            place = next(filter(self.system().exists, places), self.url)
            info = self.system().info(place)
            known = sorted((key, str(value)) for key, value in info.items() if key.lower() in _STATE)
        entry: dict[str, Any] = {"path": self.url}
        if not self.is_store and info.get("size") is not None:
            entry["bytes"] = int(info["size"])
        return {**entry, "sha256": hashlib.sha256(repr(known).encode()).hexdigest()}

    def system(self) -> Any:
        """Return the file system of fsspec.

        Raises:
            SourceError: a package that it needs is not installed.
        """
        protocol = protocol_of(self.url)
        try:
            import fsspec

            return fsspec.filesystem(protocol, **self.options)
        except ImportError as error:
            package = PROTOCOLS[protocol]
            message = f"{protocol}:// needs fsspec and {package}, which are not installed"
            raise FileError(message, reason=reason_of(error), help=install("remote")) from error


AnyFile: TypeAlias = Path | RemoteFile
"""A file, or a folder that is one, on this machine or at a URL."""
_STATE = ("size", "etag", "content-md5", "digest", "last-modified", "lastmodified", "md5hash", "generation", "mtime")
"""What the servers of fsspec say of a file that changes with it."""


def remote_files(url: str, options: Mapping[str, Any]) -> list[RemoteFile]:
    """Return the files that a URL means: all that match where it has `*` or `[`.

    Raises:
        SourceError: none does, or the server cannot be reached.
    """
    file = RemoteFile(url, options)
    if not _WILD.search(url):
        return [file]
    with reaching(file):
        system = file.system()
        found = sorted(map(system.unstrip_protocol, system.glob(url)))
    if not found:
        raise FileError(f"nothing matches {url}", help="list the files there with fsspec, or name each")
    return [RemoteFile(match, options) for match in found]


@contextmanager
def reaching(file: RemoteFile) -> Iterator[None]:
    """Turn what the libraries of the network raise inside into an error over the file.

    Raises:
        SourceError: in place of it.
    """
    try:
        yield
    except (FileError, MemoryError):
        raise
    except Exception as error:  # each protocol has errors of its own, such as those of aiohttp and botocore
        name, reason = type(error).__name__, reason_of(error) or type(error).__name__
        if isinstance(error, FileNotFoundError):
            raise FileError(f"{file.url} does not exist", reason="the server has nothing under this name") from error
        if "Credential" in name or isinstance(error, PermissionError):
            help = "give credentials in the environment, or write storage: {anon: true} if the data is public"
            raise FileError(f"{file.url} may not be read", reason=reason, help=help) from error
        help = "check the URL and the network; data.source.storage has the options of the file system"
        raise FileError(f"{file.url} cannot be reached", reason=reason, help=help) from error
