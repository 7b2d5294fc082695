"""Zarr stores on the disk, of which only files are read: reading a pipe in place of one would never end."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from zarr.storage import LocalStore

from specbuild.data.sources.errors import SourceError
from specbuild.data.sources.limits import check_regular
from specbuild.data.sources.zarr_chunks import Packed


def local_store(path: Path) -> LocalStore:
    """Return the store in a folder, to be read alone."""
    return _FilesOnly(path)


class _Retrieved(logging.Filter):
    """Leaves out what asyncio logs of a store with several faults: Zarr raises the first of them, which is reported."""

    def filter(self, record: logging.LogRecord) -> bool:
        place = record.exc_info[2] if record.exc_info else None
        while place is not None and place.tb_next is not None:
            place = place.tb_next
            if "zarr" in Path(place.tb_frame.f_code.co_filename).parts:
                return not record.getMessage().startswith("Task exception was never retrieved")
        return True


logging.getLogger("asyncio").addFilter(_Retrieved())


class _FilesOnly(LocalStore):  # type: ignore[misc]
    """A store that looks at files before they are read, and at chunks before they are unpacked."""

    def __init__(self, root: Path, *, read_only: bool = True) -> None:
        super().__init__(root, read_only=read_only)
        self._packed: dict[str, Packed | None] = {}
        """How the chunks of each array are packed, by its path, once its metadata was read."""

    async def get(self, key: str, *arguments: Any, **named: Any) -> Any:
        try:
            check_regular(self.root / key, key)
        except SourceError as error:
            raise ValueError(error.message) from error
        except OSError:  # a key that is not there, which has a meaning of its own
            return None
        content = await super().get(key, *arguments, **named)
        if content is None or any(part is not None for part in (*arguments[1:], named.get("byte_range"))):
            return content
        array, _, name = key.rpartition("/")
        if name in (".zarray", "zarr.json"):
            self._packed[array] = Packed.of(content.to_bytes())
        elif not name.startswith("."):
            packed = next((self._packed[path] for path in _above(key) if path in self._packed), None)
            if packed is not None:
                packed.check(key, content.to_bytes())
        return content


def _above(key: str) -> Iterator[str]:
    """Yield the paths of the folders that a key lies in, the innermost first."""
    while key:
        key = key.rpartition("/")[0]
        yield key
