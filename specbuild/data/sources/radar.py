"""Radar composites in HDF5 of two public layouts: how their numbers are packed, and when they are.

ODIM_H5: Michelson et al. (2021), EUMETNET OPERA weather radar information model for implementation with the HDF5 file
format, version 2.4, sections 4.1 to 4.3. KNMI: Roozekrans and Holleman (2003), KNMI HDF5 data format specification 3.5.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import h5py
import numpy as np

from specbuild.data.sources.base import StoredArray
from specbuild.data.sources.cf import packing_of
from specbuild.data.sources.packing import Packing
from specbuild.data.time.times import times_of

UNITS = {
    **dict.fromkeys(("DBZH", "DBZV", "TH", "TV"), "dBZ"),
    **dict.fromkeys(("RATE",), "mm/h"),
    **dict.fromkeys(("ACRR",), "mm"),
    **dict.fromkeys(("VRAD", "VRADH", "VRADV", "WRAD", "WRADH"), "m/s"),
}
"""Units of the quantities of ODIM_H5 (table 16)."""
NO_ECHO = -32.0
"""Reflectivity in dBZ where nothing was detected and the packing gives no value, as in files of floats."""
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_DATASET = re.compile(r"dataset[0-9]+/data[0-9]+/data")
_IMAGE = re.compile(r"image[0-9]+/image_data")
_FORMULA = re.compile(r"GEO\s*=\s*([-+.0-9Ee]+)\s*\*\s*PV\s*\+?\s*([-+.0-9Ee]+)")


def data_names(names: tuple[str, ...], file: h5py.File) -> tuple[str, ...]:
    """Return the arrays of a radar file that are data, and not quality; of any other file all of them."""
    wanted = _DATASET if _is_odim(file) else _IMAGE if _is_knmi(file) else None
    return tuple(name for name in names if wanted is None or wanted.fullmatch(name)) or names


def as_radar(stored: StoredArray, file: h5py.File, name: str) -> StoredArray:
    """Return an array packed, and at the time, as a radar file says; that of any other file unchanged.

    Raises:
        ValueError: its date is none.
    """
    if _is_odim(file) and _DATASET.fullmatch(name):
        return _odim(stored, file, name)
    if _is_knmi(file) and _IMAGE.fullmatch(name):
        return _knmi(stored, file, name)
    return stored


def _odim(stored: StoredArray, file: h5py.File, name: str) -> StoredArray:
    what = {key: value for group in _above(file, name) for key, value in _attributes(group, "what").items()}
    quantity = _text(what.get("quantity", ""))
    units = UNITS.get(quantity, "")
    packing = packing_of(
        {"scale_factor": what.get("gain"), "add_offset": what.get("offset"), "_FillValue": what.get("nodata")}
    )
    undetect = what.get("undetect")
    if undetect is not None:
        raw = float(np.ravel(undetect)[0])
        packing = packing.with_code(raw, _undetected(units, raw, packing, stored.array.dtype))
    root = _attributes(file, "what")
    date, time = _text(root.get("date", "")), _text(root.get("time", ""))
    moment = times_of(np.array([date + time]))[0] if date and time else None
    return StoredArray(stored.array, packing, units, moment=moment)


def _undetected(units: str, raw: float, packing: Packing, dtype: np.dtype[Any]) -> float:
    """Return what a pixel is that a radar sees, and in which it detects nothing."""
    if units in ("mm/h", "mm"):
        return 0.0
    if units == "dBZ":
        return raw * packing.scale + packing.offset if dtype.kind in "iu" else NO_ECHO
    return float("nan")


def _knmi(stored: StoredArray, file: h5py.File, name: str) -> StoredArray:
    image = file[name].parent
    calibration = _attributes(image, "calibration")
    formula = _FORMULA.search(_text(calibration.get("calibration_formulas", "")))
    scale, offset = map(float, formula.groups()) if formula else (1.0, 0.0)
    codes = (
        float(np.ravel(calibration[key])[0])
        for key in ("calibration_missing_data", "calibration_out_of_image")
        if key in calibration
    )
    missing = tuple(dict.fromkeys(code for code in codes if code))  # 0 is the lowest value, without echo
    end = _text(_attributes(file, "overview").get("product_datetime_end", ""))
    moment = times_of(np.array([_knmi_date(end)]))[0] if end else None
    units = re.search(r"\[(.*)\]", _text(image.attrs.get("image_geo_parameter", "")))
    shown = {"DBZ": "dBZ", "MM": "mm", "MM/H": "mm/h"}.get(units[1].upper(), units[1]) if units else ""
    return StoredArray(stored.array, Packing(scale, offset, missing), shown, moment=moment)


def _knmi_date(text: str) -> str:
    """`10-JUN-2019;00:05:00.000` as `2019-06-10T00:05:00`."""
    match = re.fullmatch(r"([0-9]{2})-([A-Z]{3})-([0-9]{4});([0-9:]{8})(\..*)?", text.strip().upper())
    if match is None or match[2] not in _MONTHS:
        raise ValueError(f'"{text}" is not a date')
    return f"{match[3]}-{_MONTHS.index(match[2]) + 1:02}-{match[1]}T{match[4]}"


def _is_odim(file: h5py.File) -> bool:
    return _text(file.attrs.get("Conventions", "")).startswith("ODIM_H5") or (
        "object" in _attributes(file, "what") and "dataset1" in file
    )


def _is_knmi(file: h5py.File) -> bool:
    return "image1/image_data" in file and "image1/calibration" in file


def _above(file: h5py.File, name: str) -> Iterator[h5py.Group]:
    """Yield the groups that an array lies in, the outermost first: what an inner one says goes before."""
    parts = name.split("/")[:-1]
    for depth in range(len(parts) + 1):
        yield file["/".join(parts[:depth]) or "/"]


def _attributes(group: h5py.Group, name: str) -> dict[str, Any]:
    inner = group.get(name)
    return dict(inner.attrs) if inner is not None else {}


def _text(value: Any) -> str:
    """Return an attribute that is a text: of bytes, or in an array of one."""
    value = np.ravel(value)[0] if isinstance(value, np.ndarray) and value.size else value
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
