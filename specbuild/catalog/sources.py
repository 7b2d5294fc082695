"""The formats of data sources: their suffixes and readers.

This table is all that the language and the data stage know of formats; a reader is imported when a file of its format
is opened.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePath
from typing import Literal

Kind = Literal["arrays", "images", "videos"]


@dataclass(frozen=True, slots=True)
class SourceFormat:
    """A format of files that frames are read from."""

    suffixes: tuple[str, ...]
    reader: str = ""
    """`module:class` of the `Container` (`specbuild.data.sources.file`) that opens a file of arrays. Images and videos,
    which come by folder and pattern, have one for all of them."""
    kind: Kind = "arrays"
    remote_reader: str = ""
    """What opens a file at a URL where it is; empty: it is copied first."""
    named_dimensions: bool = False
    """Whether dimensions have names, so that a layout can be proposed once the file is open."""
    is_folder: bool = False
    """Whether a file of this format is a folder on the disk."""


PACKED = ".gz"
"""The suffix of a file that is packed with gzip; the one before it is that of its format."""

_REMOTE_GRID = "specbuild.data.sources.grids:RemoteGrid"
FORMATS = (
    SourceFormat((".npy",), "specbuild.data.sources.npy:NpyFile"),
    SourceFormat((".npz",), "specbuild.data.sources.npz:NpzFile"),
    SourceFormat((".h5", ".hdf5", ".hdf"), "specbuild.data.sources.hdf5:Hdf5File"),
    SourceFormat(
        (".nc", ".nc4", ".cdf"),
        "specbuild.data.sources.grids:GridFile",
        remote_reader=_REMOTE_GRID,
        named_dimensions=True,
    ),
    SourceFormat(
        (".zarr",),
        "specbuild.data.sources.grids:GridFile",
        remote_reader=_REMOTE_GRID,
        named_dimensions=True,
        is_folder=True,
    ),
    SourceFormat((".grib", ".grib2", ".grb", ".grb2"), "specbuild.data.sources.grib:GribFile", named_dimensions=True),
    SourceFormat((".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".pgm", ".ppm"), kind="images"),
    SourceFormat((".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".gif"), kind="videos"),
)
"""Every format, in the order in which messages list their suffixes."""


GEOTIFF = SourceFormat((".tif", ".tiff"), "specbuild.data.sources.geotiff:GeoTiffFile", named_dimensions=True)
"""A TIFF with the tags of a grid, which only the file tells from a picture."""
PROTOCOLS = {"s3": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "https": "aiohttp", "http": "aiohttp"}
"""The protocols of URLs that are read, each with the package that fsspec needs for it."""
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")


def protocol_of(path: str) -> str:
    """Return the protocol of a URL; empty for a path on this machine."""
    match = _URL.match(path)
    return match[1].lower() if match else ""


def format_of(path: str | PurePath) -> SourceFormat | None:
    """Return the format of a file by its suffix, before `.gz` where it is packed; None where none has this suffix."""
    suffix = suffix_of(path)
    found = next((known for known in FORMATS if suffix in known.suffixes), None)
    is_packed = PurePath(path).suffix.lower() == PACKED
    return None if found is None or (is_packed and (found.is_folder or found.kind == "videos")) else found


def suffix_of(path: str | PurePath) -> str:
    """Return the suffix of a file in small letters, the one before `.gz` where it is packed."""
    path = PurePath(path.split("?")[0].rstrip("/") if isinstance(path, str) and protocol_of(path) else path)
    return PurePath(path.stem if path.suffix.lower() == PACKED else path).suffix.lower()


def suffixes_of(*kinds: Kind) -> tuple[str, ...]:
    """Return the suffixes of all formats of some kinds, by default of every one."""
    return tuple(suffix for known in FORMATS if not kinds or known.kind in kinds for suffix in known.suffixes)
