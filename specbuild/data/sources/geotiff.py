"""GeoTIFF, read by rasterio (GDAL): bands of a grid with coordinates, its value for no data, its scale and offset."""

from __future__ import annotations

import logging
import threading
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from specbuild.data.arrays import Array
from specbuild.data.sources.base import Coordinate, StoredArray
from specbuild.data.sources.errors import DamagedFileError, FileError
from specbuild.data.sources.lazy_arrays import Index, LazyArray
from specbuild.data.sources.packing import Packing
from specbuild.document.extras import install

_GEOGRAPHIC_TAGS = (33550, 33922, 34264, 34735, 42112, 42113)
"""Tags that a plain picture has not: scale, tie points, transformation and keys (OGC 19-008r4), GDAL's metadata and its
value for no data."""


def is_geotiff(path: Path) -> bool:
    """Whether a TIFF has tags of a GeoTIFF, or of GDAL; only its first directory is read.

    Raises:
        SourceError: the directory ends before its end, so that tags may be missing.
    """
    try:
        with path.open("rb") as file, warnings.catch_warnings():
            warnings.simplefilter("error")
            header = file.read(8)
            if header[2:3] == b"\x2b" or header[3:4] == b"\x2b":
                header += file.read(8)
            directory = ImageFileDirectory_v2(header)
            file.seek(directory.next)
            directory.load(file)
            return any(tag in directory for tag in _GEOGRAPHIC_TAGS)
    except UserWarning as error:
        raise DamagedFileError(f"{path.name} is cut short or damaged", error) from error
    except Exception:  # whatever Pillow raises over a damaged file, which its reader names
        return False


class GeoTiffFile:
    """One nameless array: (y, x) of a single band, (band, y, x) of several."""

    def __init__(self, path: Path) -> None:
        try:
            import rasterio
        except ImportError as error:
            message = f"{path.name} is a GeoTIFF, which needs rasterio"
            raise FileError(message, reason="it is not installed", help=install("geotiff")) from error
        logging.getLogger("rasterio").setLevel(logging.CRITICAL)  # what it tells of a fault is raised as well
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self._file = rasterio.open(path)
        except rasterio.errors.RasterioError as error:
            raise DamagedFileError(f"{path.name} is cut short or not a GeoTIFF", error) from error
        self._lock = threading.Lock()

    def names(self) -> tuple[str, ...]:
        return ()

    def array(self, name: str) -> StoredArray:
        if name:
            raise FileError(
                f"{Path(self._file.name).name} holds bands, not arrays with names", help="leave out the key"
            )
        file = self._file
        axes = [*(() if file.count == 1 else (self._bands(),)), *self._grid()]
        shape = (*((file.count,) * (file.count > 1)), file.height, file.width)
        missing = tuple(dict.fromkeys(float(value) for value in file.nodatavals if value is not None))
        packing = Packing(
            float(file.scales[0]), float(file.offsets[0]), tuple(value for value in missing if not np.isnan(value))
        )
        return StoredArray(
            LazyArray(shape, np.dtype(file.dtypes[0]), self._read),
            packing,
            file.units[0] or "",
            tuple(axis.name for axis in axes),
            coordinates={axis.name: axis for axis in axes},
        )

    def _read(self, index: Index) -> Array:
        """Read the window of an index; bands that it does not ask for are not read."""
        bands, rows, columns = index if len(index) == 3 else (0, *index)
        window = tuple(
            (part, part + 1) if isinstance(part, int) else part.indices(length)[:2]
            for part, length in ((rows, self._file.height), (columns, self._file.width))
        )
        wanted = bands + 1 if isinstance(bands, int) else [band + 1 for band in range(self._file.count)[bands]]
        with self._lock:
            values: Array = self._file.read(wanted, window=window)
        inside = tuple(0 if isinstance(part, int) else slice(None, None, part.step) for part in (rows, columns))
        return values[(..., *inside)]

    def _bands(self) -> Coordinate:
        named = all(self._file.descriptions)
        return Coordinate("band", np.array(self._file.descriptions) if named else None, letter="C" if named else "")

    def _grid(self) -> tuple[Coordinate, Coordinate]:
        """Return the coordinates of rows and columns; without values where the grid is rotated or has no place."""
        file: Any = self._file
        step = file.transform
        geographic = file.crs is not None and file.crs.is_geographic
        names = ("latitude", "longitude") if geographic else ("y", "x")
        units = ("degrees_north", "degrees_east") if geographic else ("m", "m") if file.crs is not None else ("", "")
        if step.b or step.d or step.is_identity:
            return Coordinate(names[0], letter="H"), Coordinate(names[1], letter="W")
        rows = step.f + step.e * (np.arange(file.height) + 0.5)
        columns = step.c + step.a * (np.arange(file.width) + 0.5)
        return Coordinate(names[0], rows, units[0], "H"), Coordinate(names[1], columns, units[1], "W")
