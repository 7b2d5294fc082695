"""Zarr stores on the disk, of which only files are read: a pipe in place of one would be waited for without end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from zarr.storage import LocalStore

from specbuild.data.sources.errors import SourceError
from specbuild.data.sources.limits import check_regular


def local_store(path: Path) -> LocalStore:
    """Return the store in a folder, to be read alone."""
    return _FilesOnly(path, read_only=True)


class _FilesOnly(LocalStore):  # type: ignore[misc]
    async def get(self, key: str, *arguments: Any, **named: Any) -> Any:
        try:
            check_regular(self.root / key, key)
        except SourceError as error:
            raise ValueError(error.message) from error
        except OSError:  # a key that is not there, which has a meaning of its own
            return None
        return await super().get(key, *arguments, **named)
