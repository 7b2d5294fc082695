"""A file at a URL for libraries that read local files: pieces of it are in memory, others are fetched in between.

HDF5 holds a lock while it reads. If it waited for the network in that time, and the thread of the network had to free
an object of HDF5, neither would ever go on. So a read of what is not there fails, and the whole operation is repeated
once the piece has been fetched.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from specbuild.data.sources.remote import RemoteFile, reaching

BLOCK = 2**18
"""Bytes that are fetched at least."""
KEPT = 256 * 2**20
"""Bytes that are kept between two operations."""
Result = TypeVar("Result")


class SparseFile(io.RawIOBase):
    """The bytes of a remote file, as far as they have been fetched."""

    def __init__(self, file: RemoteFile) -> None:
        """Fetch the beginning.

        Raises:
            SourceError: the file cannot be reached.
        """
        self._file, self._lock = file, threading.Lock()
        with reaching(file):
            self._system = file.system()
            self._size = int(self._system.info(file.url).get("size") or 0)  # 0: not known, so nothing can be read
        self._blocks: dict[int, bytes] = {}
        self._wanted: set[int] = set()
        self._at = 0
        self._fetch({0})

    def complete(self, operation: Callable[[], Result]) -> Result:
        """Return the result of an operation that reads the file, repeated until nothing that it reads is missing.

        Raises:
            SourceError: the file cannot be reached.
        """
        with self._lock:
            if len(self._blocks) * BLOCK > KEPT:
                self._blocks.clear()
            while True:
                self._wanted.clear()
                try:
                    result = operation()
                except Exception:
                    if not self._wanted:
                        raise
                else:
                    if not self._wanted:
                        return result
                self._fetch(self._wanted)

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        end = min(self._at + len(view), self._size)
        blocks = range(self._at // BLOCK, -(-end // BLOCK)) if end > self._at else range(0)
        lacking = [number for number in blocks if number not in self._blocks]
        if lacking:
            self._wanted.update(lacking)
            raise OSError("a piece of the file has not been fetched yet")
        content = b"".join(self._blocks[number] for number in blocks)
        start = self._at - blocks.start * BLOCK if blocks else 0
        count = max(0, end - self._at)
        view[:count] = content[start : start + count]
        self._at += count
        return count

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def _fetch(self, numbers: set[int]) -> None:
        """Fetch blocks, those that follow each other at once."""
        with reaching(self._file):
            left = sorted(numbers)
            while left:
                count = next((n for n in range(1, len(left)) if left[n] != left[0] + n), len(left))
                first, end = left[0] * BLOCK, min((left[0] + count) * BLOCK, self._size)
                content = self._system.cat_file(self._file.url, start=first, end=end) if end > first else b""
                if len(content) == self._size > end - first:  # a server that knows no ranges sends everything
                    first, end = 0, self._size
                if len(content) != end - first:
                    raise OSError(f"{end - first} bytes were requested, {len(content)} received")
                for number in range(first // BLOCK, -(-end // BLOCK)):
                    at = number * BLOCK - first
                    self._blocks[number] = content[at : at + BLOCK]
                left = left[count:]
