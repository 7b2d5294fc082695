"""Files of every format give the same frames, and what is wrong with a file is said at its line."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import h5py
import numpy as np
import pytest

from specbuild.catalog import sources as formats
from specbuild.catalog.sources import SourceFormat, suffixes_of
from specbuild.data.sources import npz, open_source
from specbuild.data.sources.base import StoredArray
from specbuild.data.sources.packing import Packing
from specbuild.data.time.intervals import unbroken
from specbuild.data.time.times import times_of
from specbuild.document import RunError, SpecError
from specbuild.language import load_spec
from tests.data.samples import MRMS, frames, message, write_spec

RAW = np.random.default_rng(0).integers(0, 900, (7, 5, 6), dtype=np.uint16)
"""(T, H, W)"""


def _npy(path: Path) -> None:
    np.save(path, RAW)


def _fortran(path: Path) -> None:
    np.save(path, np.asfortranarray(RAW))


def _stored(path: Path) -> None:
    np.savez(path, other=np.zeros(3), rain=RAW)


def _compressed(path: Path) -> None:
    np.savez_compressed(path, other=np.zeros(3), rain=RAW)


def _hdf5(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["group/rain"] = RAW
        file["other"] = np.zeros(3)


FORMATS = [
    (_npy, "rain.npy", None),
    (_fortran, "rain.npy", None),
    (_stored, "rain.npz", "rain"),
    (_compressed, "rain.npz", "rain"),
    (_hdf5, "rain.h5", "group/rain"),
]


@pytest.mark.parametrize("in_memory", [2**26, 0])
@pytest.mark.parametrize(("write", "name", "key"), FORMATS, ids=lambda value: getattr(value, "__name__", None))
def test_formats_agree(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Any, name: str, key: str | None, in_memory: int
) -> None:
    monkeypatch.setattr(npz, "IN_MEMORY", in_memory)
    monkeypatch.setenv("SPECBUILD_CACHE", str(tmp_path / "cache"))
    write(tmp_path / name)
    spec = write_spec(tmp_path, {"source": {"path": name, "key": key, "layout": "T H W"}, "scale": 0.1, "offset": -1})
    source = open_source(spec)
    assert (source.events, source.length, source.space, source.channels) == (1, 7, (5, 6), 1)
    expected = (RAW * 0.1 - 1).astype(np.float32)[..., np.newaxis]
    np.testing.assert_array_equal(source.read(0, range(7)), expected)
    region = (slice(1, 3), slice(2, 6))
    np.testing.assert_array_equal(source.read(0, range(1, 7, 2), region), expected[1:7:2, 1:3, 2:6])


def test_unpacked_archive_is_kept_until_the_archive_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(npz, "IN_MEMORY", 0)
    monkeypatch.setenv("SPECBUILD_CACHE", str(tmp_path / "cache"))
    spec = write_spec(tmp_path, {"source": {"path": "rain.npz", "key": "rain", "layout": "T H W"}})
    for values, files in ((RAW, 1), (RAW, 1), (RAW + 1, 2)):
        if values is not RAW or not (tmp_path / "rain.npz").exists():
            np.savez_compressed(tmp_path / "rain.npz", rain=values)
        np.testing.assert_array_equal(open_source(spec).read(0, range(7))[..., 0], values.astype(np.float32))
        assert len(list((tmp_path / "cache").iterdir())) == files


@pytest.mark.parametrize("layout", ["N T H W", "T N H W", "N H W T", "T H W N", "C T N H W"])
def test_layouts_agree(tmp_path: Path, layout: str) -> None:
    axes = dict(zip("NTHWC", (2, 3, 4, 5, 6), strict=True))
    values = np.arange(720, dtype=np.float32).reshape(tuple(axes.values()))  # (N, T, H, W, C)
    if "C" not in layout:
        values = values[..., :1]
    letters = layout.split()
    stored = values if "C" in letters else values[..., 0]
    stored = stored.transpose(["NTHWC".index(letter) for letter in letters])
    np.save(tmp_path / "rain.npy", stored)
    source = open_source(write_spec(tmp_path, {"source": {"path": "rain.npy", "layout": layout}}))
    assert (source.events, source.length, source.space) == (2, 3, (4, 5))
    for event in range(2):
        np.testing.assert_array_equal(source.read(event, range(3)), values[event])


def test_missing_values_are_nan() -> None:
    packing = Packing(0.01, 0.0, (65535,))
    physical = packing.unpack(np.array([0, 70, 65535], np.uint16))
    assert np.isnan(physical[2])
    assert physical[1] >= np.float32(0.7)
    floats = Packing(missing=(-999.9,)).unpack(np.array([1, -999.9, np.nan, np.inf], np.float32))
    np.testing.assert_array_equal(np.isnan(floats), [False, True, True, True])


def test_netcdf_says_itself_how_it_is_packed(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "rain.nc", "w") as file:
        file["rain"] = np.array([1, 2, -1], np.int16).reshape(3, 1, 1)
        file["rain"].attrs.update(scale_factor=0.5, add_offset=10.0, _FillValue=np.array([-1], np.int16))
        file["time"] = np.array([0, 1, 2])
        file["time"].attrs["units"] = "hours since 2019-03-01 06:00"
    spec = write_spec(tmp_path, {"source": {"path": "rain.nc", "key": "rain", "layout": "T H W", "time": "time"}})
    source = open_source(spec)
    np.testing.assert_array_equal(source.read(0, range(3)).ravel(), [10.5, 11, np.nan])
    times = source.times(0)
    assert times is not None
    assert str(times[1]) == "2019-03-01T07:00:00"


def test_times() -> None:
    texts = times_of(np.array(["20190610-000000", "20190610-000200"]))
    assert str(texts[1]) == "2019-06-10T00:02:00"
    assert str(times_of(np.array(["2019-01", "2019-02"]))[1]) == "2019-02-01T00:00:00"
    assert str(times_of(np.array([1.0, 1.5]), "days since 1800-01-01")[1]) == "1800-01-02T12:00:00"
    with pytest.raises(ValueError, match=r"frame 1 \(1970-01-01 00:00:02\) is not later than frame 0"):
        times_of(np.array([3, 2]))
    with pytest.raises(ValueError, match='the time of frame 0, "soon", is not a time'):
        times_of(np.array(["soon"]))


def test_a_gap_breaks_the_frames() -> None:
    times = times_of(np.array([0, 2, 4, 10, 12, 14, 16]))
    assert unbroken(times, 7) == (range(3), range(3, 7))
    assert unbroken(None, 7) == (range(7),)
    months = np.arange("2019-01", "2020-01", dtype="datetime64[M]")
    assert unbroken(times_of(months), 12) == (range(12),)


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def _empty(path: Path) -> None:
    np.save(path, np.zeros((0, 4, 4)))


def _objects(path: Path) -> None:
    np.save(path, np.array([{"a": 1}], object), allow_pickle=True)


def _object_member(path: Path) -> None:
    np.savez(path, rain=np.array([{"a": 1}], object))


def _cut(write: Any, size: int) -> Any:
    def cut(path: Path) -> None:
        write(path)
        path.write_bytes(path.read_bytes()[:size])

    return cut


def _flipped(path: Path) -> None:
    _compressed(path)
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        start = archive.getinfo("rain.npy").header_offset
    content[start + 200] ^= 0xFF
    path.write_bytes(bytes(content))


SUFFIXES = f"{', '.join(suffixes_of())}; all but videos and .zarr also with .gz"

REFUSED: list[tuple[Any, dict[str, Any], str]] = [
    (
        None,
        {"path": "rian.npy"},
        'data.source.path | rian.npy does not exist | looked in {folder} | did you mean "rain.npy"?',
    ),
    (
        None,
        {"path": "far/rain.npy"},
        "data.source.path | far/rain.npy does not exist | there is no folder {folder}/far",
    ),
    (
        Path.mkdir,
        {"path": "radar"},
        "data.source.path | radar holds no files that can be read | known are {suffixes}",
    ),
    (
        None,
        {"path": "spec.yaml"},
        'data.source.path | no reader knows the suffix ".yaml" of spec.yaml | known are {suffixes}',
    ),
    (None, {"key": "rain"}, "data.source.key | rain.npy holds one array, which has no name | leave out the key"),
    (
        None,
        {"layout": "T H W C"},
        "data.source.layout | the layout names 4 axes, rain.npy has 3 | its shape is 7 × 5 × 6 | name each axis in its "
        "order, out of T (time), N (event), D (depth), H (height), W (width), L (length), C (channel)",
    ),
    (
        _cut(_npy, 300),
        {},
        "data.source.path | rain.npy is cut short | its header promises 420 bytes of numbers, 172 are there",
    ),
    (_empty, {}, "data.source.key | rain.npy is empty: its shape is 0 × 4 × 4"),
    (
        _objects,
        {"layout": "T"},
        "data.source.path | rain.npy holds pickled Python objects, which are never loaded | "
        "save it as an array of numbers",
    ),
    (
        lambda path: np.save(path, np.array(["a", "b"])),
        {"layout": "T"},
        "data.source.key | rain.npy holds <U1, not numbers",
    ),
    (
        _stored,
        {"path": "rain.npz", "key": "rian"},
        'data.source.key | rain.npz has no array "rian" | it has other, rain | did you mean "rain"?',
    ),
    (_stored, {"path": "rain.npz"}, "data.source.key | rain.npz holds 2 arrays | say which with key: other, rain"),
    (
        _stored,
        {"path": "rain.npz", "key": "rain", "time": "other"},
        "data.source.time | rain.npz:other must hold one time per frame | it has 3, not 7",
    ),
    (
        _object_member,
        {"path": "rain.npz", "layout": "T"},
        "data.source.path | rain.npz:rain holds pickled Python objects, which are never loaded | "
        "save it as an array of numbers",
    ),
    (
        _cut(_stored, 300),
        {"path": "rain.npz", "key": "rain"},
        "data.source.path | rain.npz is cut short or no .npz archive | File is not a zip file | copy the file again",
    ),
    (
        _hdf5,
        {"path": "rain.h5", "key": "rain"},
        'data.source.key | rain.h5 has no array "rain" | it has group/rain, other',
    ),
    (
        lambda path: _write(path, b"CDF\x01"),
        {"path": "rain.nc"},
        "data.source.path | rain.nc is cut short | its header ends too soon | copy the file again",
    ),
]


@pytest.mark.parametrize(("write", "source", "expected"), REFUSED)
def test_refused(tmp_path: Path, write: Any, source: dict[str, Any], expected: str) -> None:
    section = {"path": "rain.npy", "layout": "T H W", **source}
    (write or _npy)(tmp_path / (section["path"] if write else "rain.npy"))
    spec = write_spec(tmp_path, {"source": section})
    with pytest.raises(SpecError) as caught:
        open_source(spec)
    assert message(caught.value) == expected.format(folder=tmp_path, suffixes=SUFFIXES)
    assert caught.value.diagnostics[0].span is not None
    assert caught.value.diagnostics[0].code == "bad-data"


@pytest.mark.parametrize(
    ("write", "name"),
    [(lambda path: _write(path, b"not an array"), "rain.npy"), (_flipped, "rain.npz"), (_cut(_hdf5, 900), "rain.h5")],
    ids=["npy", "npz", "h5"],
)
def test_damaged(tmp_path: Path, write: Any, name: str) -> None:
    write(tmp_path / name)
    key = None if name == "rain.npy" else "rain"
    spec = write_spec(tmp_path, {"source": {"path": name, "key": key, "layout": "T H W"}})
    with pytest.raises(SpecError, match=r"is not a NumPy array|is cut short or damaged|is cut short or not HDF5"):
        open_source(spec)


def test_missing_is_a_raw_value(tmp_path: Path) -> None:
    np.save(tmp_path / "rain.npy", RAW)
    with pytest.raises(SpecError) as caught:
        open_source(write_spec(tmp_path, {"missing": -1}))
    assert message(caught.value) == (
        "data.missing | missing: -1 cannot occur in rain.npy | it holds uint16, from 0 to 65535; "
        "missing is a raw value, before the scale"
    )


def test_a_file_that_vanishes_fails_the_run(tmp_path: Path) -> None:
    np.save(tmp_path / "rain.npy", RAW)
    source = open_source(write_spec(tmp_path, {}))
    (tmp_path / "rain.npy").unlink()
    with pytest.raises(RunError, match="can no longer be read"):
        source.read(0, range(2))


def test_mrms_record(tmp_path: Path) -> None:
    data = {
        "source": {"path": str(MRMS), "key": "precip_rate_x100", "layout": "T H W", "time": "time"},
        "scale": 0.01,
        "missing": 65535,
    }
    source = open_source(write_spec(tmp_path, data))
    assert (source.length, source.space, source.channels, source.dtype) == (36, (256, 256), 1, np.uint16)
    times = source.times(0)
    assert times is not None
    assert str(times[-1]) == "2019-06-10T01:10:00"
    assert sum(int(np.isnan(source.read(0, range(t, t + 1))).sum()) for t in range(36)) == 1584


class TextFile:
    """A reader of a format that specbuild does not have."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def names(self) -> tuple[str, ...]:
        return ()

    def array(self, _name: str) -> StoredArray:
        return StoredArray(np.loadtxt(self._path), units="mm", dims=("time", "place"))


def test_a_format_is_an_entry_of_the_table_and_a_reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = SourceFormat((".txt",), f"{__name__}:TextFile", named_dimensions=True)
    monkeypatch.setattr(formats, "FORMATS", (*formats.FORMATS, text))
    np.savetxt(tmp_path / "a.txt", np.arange(12).reshape(6, 2))
    with pytest.raises(SpecError) as caught:
        open_source(write_spec(tmp_path, {"source": {"path": "a.txt"}}))
    assert "its dimensions are time (6), place (2)" in message(caught.value)
    source = open_source(write_spec(tmp_path, {"source": {"path": "a.txt", "layout": {"T": "time", "L": "place"}}}))
    assert (source.lengths, source.space, source.metadata.units) == ((6,), (2,), "mm")
    np.testing.assert_array_equal(source.read(0, range(1, 3))[..., 0], [[2, 3], [4, 5]])


def test_every_format_of_arrays_has_a_reader() -> None:
    readers = [resolve_name(known.reader) for known in formats.FORMATS if known.kind == "arrays"]
    assert all(hasattr(reader, "names") and hasattr(reader, "array") for reader in readers)


READ_A_LARGE_FILE = """
import resource
import sys
from pathlib import Path
from pkgutil import resolve_name
import numpy as np
from specbuild.data.sources.base import FrameMetadata, FrameSource
from specbuild.data.sources.npy import NpyFile

source = FrameSource(NpyFile(Path(sys.argv[1])).array("").array, FrameMetadata("large", ("T", "H", "W")))
source.read(0, range(10))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for start in range(0, source.length - 10, 10):
    source.read(0, range(start, start + 10))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "large.npy"
    frames, side = 2000, 256
    header = np.lib.format.header_data_from_array_1_0(np.zeros((1, 1, 1), np.float32))
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {**header, "shape": (frames, side, side)})
        file.truncate(file.tell() + frames * side * side * 4)
    assert path.stat().st_size > 500 * 2**20
    grown = subprocess.run(
        [sys.executable, "-c", READ_A_LARGE_FILE, str(path)], capture_output=True, text=True, check=True
    ).stdout
    unit = 1 if sys.platform == "darwin" else 1024
    assert int(grown) * unit < 40 * 2**20


@pytest.mark.parametrize("name", ["rain.npy", "ra*.npy"])
def test_data_beside_the_base_of_a_spec_in_another_folder(name: str, tmp_path: Path) -> None:
    for folder in ("far", "sub"):
        (tmp_path / folder).mkdir()
    write_spec(tmp_path / "far", {"source": {"path": name, "layout": "T H W"}}, "base.yaml")
    np.save(tmp_path / "far/rain.npy", frames(20, 4, 4))
    child = tmp_path / "sub/child.yaml"
    child.write_text("extends: ../far/base.yaml\n", "utf-8")
    with pytest.raises(SpecError) as error:
        open_source(load_spec(child))
    help = f"the paths of a base are relative to the spec that extends it: write path: ../far/{name} there"
    assert error.value.diagnostics[0].help == help
    child.write_text(f"extends: ../far/base.yaml\nset: {{data.source.path: ../far/{name}}}\n", "utf-8")
    assert open_source(load_spec(child)).length == 20
