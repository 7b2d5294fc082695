"""Zarr stores on the disk, of which only files are read: a pipe in place of one would be waited for without end."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from zarr.storage import LocalStore

from specbuild.data.sources.errors import SourceError
from specbuild.data.sources.limits import check_regular


def local_store(path: Path) -> LocalStore:
    """Return the store in a folder, to be read alone."""
    return _FilesOnly(path, read_only=True)


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
    async def get(self, key: str, *arguments: Any, **named: Any) -> Any:
        try:
            check_regular(self.root / key, key)
        except SourceError as error:
            raise ValueError(error.message) from error
        except OSError:  # a key that is not there, which has a meaning of its own
            return None
        return await super().get(key, *arguments, **named)
