"""`.npz`: named arrays in a zip archive.

An array that was stored as it is (`numpy.savez`) is read in place. A compressed one (`numpy.savez_compressed`) is
unpacked: into memory where it is small, else once into a cache folder, from where it is read piece by piece.
`numpy.load` cannot do that: it ignores `mmap_mode` for archives and reads whole arrays into memory.
"""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import IO

import numpy as np

from specbuild.data.sources.base import StoredArray
from specbuild.data.sources.errors import DamagedFileError, FileError
from specbuild.data.sources.npy import Header, mapped, read_header
from specbuild.data.sources.packing import RawArray
from specbuild.data.sources.unpacking import unpacked_part

IN_MEMORY = 64 * 2**20
"""Compressed arrays of up to this many bytes are held in memory."""
_LOCAL_HEADER = 30
"""Bytes of a zip member's local header before its name."""


class NpzFile:
    """The arrays of an archive by name."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            with zipfile.ZipFile(path) as archive:
                members = [member for member in archive.infolist() if member.filename.endswith(".npy")]
        except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
            raise DamagedFileError(f"{path.name} is cut short or no .npz archive", error) from error
        if not members:
            raise FileError(f"{path.name} holds no arrays", help="numpy.savez writes arrays by name")
        self._members = {member.filename.removesuffix(".npy"): member for member in members}

    def names(self) -> tuple[str, ...]:
        return tuple(self._members)

    def array(self, name: str) -> StoredArray:
        member = self._members[name]
        try:
            with zipfile.ZipFile(self._path) as archive, archive.open(member) as file:
                header = read_header(file)
                if not header.dtype.hasobject and header.size + header.data_size != member.file_size:
                    raise self._damaged(name, f"its header promises {header.data_size} bytes of numbers")
                file.seek(0)
                return StoredArray(self._numbers(member, header, file))
        except _DAMAGE as error:
            raise self._damaged(name, error) from error

    def _numbers(self, member: zipfile.ZipInfo, header: Header, file: IO[bytes]) -> RawArray:
        if member.compress_type == zipfile.ZIP_STORED or header.dtype.hasobject:
            return mapped(self._path, self._start(member), header)
        if header.data_size <= IN_MEMORY:
            return np.lib.format.read_array(file, allow_pickle=False)
        return mapped(self._unpacked(member, file), 0, header)

    def _start(self, member: zipfile.ZipInfo) -> int:
        """Return the byte of the archive at which a stored member begins, after its local header."""
        with self._path.open("rb") as file:
            file.seek(member.header_offset)
            local = file.read(_LOCAL_HEADER)
            if len(local) < _LOCAL_HEADER or local[:4] != b"PK\x03\x04":
                raise zipfile.BadZipFile("a member's header is missing")
            lengths = int.from_bytes(local[26:28], "little") + int.from_bytes(local[28:30], "little")
        return member.header_offset + _LOCAL_HEADER + lengths

    def _unpacked(self, member: zipfile.ZipInfo, packed: IO[bytes]) -> Path:
        """Return the member as a file of its own, under a name that changes when the archive does."""
        return unpacked_part(self._path, f"{member.filename}\0{member.CRC}", member.file_size, packed)

    def _damaged(self, name: str, reason: object) -> DamagedFileError:
        return DamagedFileError(f'"{name}" of {self._path.name} is cut short or damaged', reason)


_DAMAGE = (zipfile.BadZipFile, zlib.error, ValueError, EOFError, RuntimeError, NotImplementedError)
"""What zipfile and NumPy raise over a member that is damaged, encrypted or packed in an unknown way."""
