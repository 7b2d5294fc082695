"""Pipes, devices, and headers that promise more than there is memory for end at once, in an error of one line."""

from __future__ import annotations

import gzip
import os
import shutil
import struct
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import netCDF4
import numcodecs
import numpy as np
import pytest
import zarr

from specbuild.data.samples.splits import open_splits
from specbuild.data.sources import limits, npz, open_source
from specbuild.data.survey import survey
from specbuild.document import RunError, SpecError
from specbuild.graph import build_graph
from specbuild.language import load_spec
from specbuild.runs.fingerprint import fingerprint
from tests.data.pictures import GREY, write_frames
from tests.data.samples import dataset, frames, message, write_spec

VALUES = frames(40, 2, 3)


def refused(folder: Path, name: str, **source: Any) -> str:
    spec = write_spec(folder, {"source": {"path": name, "layout": "T H W", **source}})
    with pytest.raises(SpecError) as caught:
        open_source(spec)
    return message(caught.value)


@pytest.mark.parametrize("name", ["a.npy", "a.npz", "a.h5", "a.nc", "a.tif", "a.mp4", "a.gif"])
def test_pipes_and_devices_are_not_opened(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)
    (tmp_path / f"zero_{name}").symlink_to("/dev/zero")
    assert refused(tmp_path, name) == f"data.source.path | {name} is a pipe, not a file | save its frames as a file"
    assert f"zero_{name} is a device, not a file" in refused(tmp_path, f"zero_{name}")


def test_a_pipe_among_other_files(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", VALUES)
    os.mkfifo(tmp_path / "b.npy")
    assert "b.npy is a pipe, not a file" in refused(tmp_path, "*.npy")
    folder = tmp_path / "frames"
    folder.mkdir()
    os.mkfifo(folder / "a.png")
    assert "frames/ holds no frames" in refused(tmp_path, "frames")
    os.mkfifo(tmp_path / "digits.gz")
    spec = write_spec(tmp_path, {"source": {"generator": "moving_digits", "images": "digits.gz"}})
    with pytest.raises(SpecError, match=r"digits.gz is a pipe, not a file"):
        open_source(spec)


def test_a_pipe_inside_a_zarr_store(tmp_path: Path) -> None:
    group = zarr.create_group(tmp_path / "a.zarr", zarr_format=3)
    chunks = {"chunks": (1, 2, 3), "dimension_names": ["time", "y", "x"]}
    group.create_array("rain", data=VALUES, **chunks)
    (tmp_path / "a.zarr" / "rain" / "c" / "3" / "0" / "0").unlink()
    os.mkfifo(tmp_path / "a.zarr" / "rain" / "c" / "3" / "0" / "0")
    source = open_source(write_spec(tmp_path, {"source": {"path": "a.zarr", "layout": "T H W"}}))
    np.testing.assert_array_equal(source.read(0, range(3))[..., 0], VALUES[:3])
    with pytest.raises(RunError, match=r"frame 3 of a.zarr:rain cannot be read: rain/c/3/0/0 is a pipe, not a file"):
        source.read(0, range(5))
    (tmp_path / "a.zarr" / "rain" / "zarr.json").unlink()
    os.mkfifo(tmp_path / "a.zarr" / "rain" / "zarr.json")
    assert "zarr.json is a pipe, not a file" in refused(tmp_path, "a.zarr")


def test_pipes_are_not_opened_by_the_check_or_the_fingerprint(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "mask.npy")
    constant = "{id: mask, layer: Constant, from: x, path: mask.npy}"
    text = f"specbuild: 1\ninputs: {{x: [4, 4, 1]}}\nlayers: [{constant}]\n"
    (tmp_path / "spec.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(SpecError, match=r"mask.npy is not a regular file"):
        build_graph(load_spec(tmp_path / "spec.yaml"))
    np.save(tmp_path / "a.npy", VALUES)
    before = fingerprint(tmp_path, [tmp_path])
    os.mkfifo(tmp_path / "b.npy")
    assert before == fingerprint(tmp_path, [tmp_path])


def test_a_zarr_store_without_names(tmp_path: Path) -> None:
    for version in (2, 3):
        group = zarr.create_group(tmp_path / f"{version}.zarr", zarr_format=version)
        group.create_array("rain", data=VALUES)
        assert refused(tmp_path, f"{version}.zarr") == (
            f"data.source.path | the arrays of {version}.zarr have no dimension names | Zarr needs them to tell which "
            "axis is which | name the axes: dimension_names in format 3, the attribute _ARRAY_DIMENSIONS in format 2"
        )
    zarr.save_array(tmp_path / "single.zarr", VALUES)
    assert "single.zarr is a single array, not a group of arrays" in refused(tmp_path, "single.zarr")


def _png(path: Path, width: int, height: int) -> None:
    """A header that promises a size, and a few numbers."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(9))) + chunk(b"IEND", b"")
    )


def _gif(path: Path, width: int, height: int) -> None:
    screen = struct.pack("<HH", width, height) + b"\x80\x00\x00" + bytes(6)
    image = b"\x2c" + struct.pack("<HHHH", 0, 0, width, height) + b"\x00\x02\x02\x44\x01\x00"
    path.write_bytes(b"GIF89a" + screen + image + b"\x3b")


def _hdf5(path: Path, shape: tuple[int, ...], chunks: tuple[int, ...], **options: Any) -> None:
    with h5py.File(path, "w") as file:
        file.create_dataset("rain", shape, "f4", chunks=chunks, **options)


def _netcdf(path: Path) -> None:
    with netCDF4.Dataset(path, "w") as file:
        for name, length in (("time", 10**9), ("y", 2), ("x", 2)):
            file.createDimension(name, length)
        file.createVariable("rain", "f4", ("time", "y", "x"), zlib=True, chunksizes=(10**8, 2, 2))


def _long_coordinate(path: Path) -> None:
    with netCDF4.Dataset(path, "w") as file:
        for name, length in (("time", 10**9), ("y", 2), ("x", 2)):
            file.createDimension(name, length)
        file.createVariable("time", "f8", ("time",), zlib=True, chunksizes=(1000,))
        file.createVariable("rain", "f4", ("time", "y", "x"), zlib=True, chunksizes=(1, 2, 2))


def _long_header(path: Path) -> None:
    path.write_bytes(b"\x93NUMPY\x02\x00" + struct.pack("<I", 2**32 - 1) + b" " * 100)


def _nested_header(path: Path) -> None:
    text = b"(" * 5000
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text)


TOO_LARGE: list[tuple[str, Callable[[Path], None], str]] = [
    ("a.tif", lambda path: _png(path, 30_000, 40_000), "frame 0, {folder}/a.tif, is not an image that can be read"),
    ("a.tif", lambda path: _png(path, 9000, 9000), "frame 0, {folder}/a.tif, of 9000 × 9000 gray, uint8, takes 81 MB"),
    ("a.gif", lambda path: _gif(path, 12_000, 12_000), "a frame of a.gif, 12000 × 12000 color, uint8, takes 432 MB"),
    (
        "a.h5",
        lambda path: _hdf5(path, (40, 5000, 5000), (40, 5000, 5000), compression="gzip"),
        "a chunk of a.h5:rain takes 4 GB, and 50 MB of memory are free",
    ),
    (
        "a.h5",
        lambda path: _hdf5(path, (40, 100_000, 100_000), (1, 100, 100)),
        "a frame of a.h5:rain, 100000 × 100000, takes 80 GB, and 50 MB of memory are free",
    ),
    ("a.nc", _netcdf, "a chunk of a.nc:rain takes 1.6 GB, and 50 MB of memory are free"),
    ("a.nc", _long_coordinate, "time of a.nc, 1,000,000,000 numbers, takes 8 GB, and 50 MB of memory are free"),
    ("a.npy", _long_header, "a.npy is not a NumPy array | its header promises to be 4294967295 bytes long"),
    ("a.npy", _nested_header, "a.npy is not a NumPy array"),
]


@pytest.mark.parametrize(("name", "write", "expected"), TOO_LARGE)
def test_more_than_memory_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, write: Callable[[Path], None], expected: str
) -> None:
    write(tmp_path / name)
    monkeypatch.setattr(limits, "available_memory", lambda: 50 * 10**6)
    assert refused(tmp_path, name).startswith(f"data.source.path | {expected.format(folder=tmp_path.name)}")


def test_a_bomb_of_zeros(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(npz, "IN_MEMORY", 0)
    disk = shutil._ntuple_diskusage(10**9, 10**9, 1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: disk)
    monkeypatch.setenv("SPECBUILD_CACHE", str(tmp_path / "cache"))
    np.savez_compressed(tmp_path / "a.npz", rain=np.zeros((40, 20, 20)))
    assert refused(tmp_path, "a.npz") == (
        "data.source.path | a.npz unpacks to 128 kB, and 1 kB are free on the disk | "
        f"it is unpacked in {tmp_path / 'cache'} | set SPECBUILD_CACHE to a folder with more free space"
    )
    with zipfile.ZipFile(tmp_path / "b.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("rain.npy", b"\x93NUMPY\x02\x00" + struct.pack("<I", 10**8) + b" " * 10**8)
    assert "its header promises to be 100000000 bytes long" in refused(tmp_path, "b.npz")
    with gzip.open(tmp_path / "c.gz", "wb") as file:
        file.write(bytes((0, 0, 8, 3)) + struct.pack(">III", 2**16, 2**10, 2**10))
    spec = write_spec(tmp_path, {"source": {"generator": "moving_digits", "images": "c.gz"}})
    with pytest.raises(SpecError, match=r"c.gz holds 68.7 GB, at most 1.07 GB are read"):
        open_source(spec)


@pytest.mark.parametrize("codec", ["zstd", "gzip", "blosc"])
@pytest.mark.parametrize("version", [2, 3])
def test_a_chunk_that_unpacks_to_more_than_its_array_says(tmp_path: Path, codec: str, version: int) -> None:
    codecs: Any = numcodecs if version == 2 else zarr.codecs
    name = {"zstd": "Zstd", "gzip": "GZip", "blosc": "Blosc"}[codec] if version == 2 else f"{codec.capitalize()}Codec"
    names = ["time", "y", "x"]
    for folder, (height, width) in (("a.zarr", (2, 3)), ("b.zarr", (200, 300))):
        group = zarr.create_group(tmp_path / folder, zarr_format=version)
        options = {"compressors": [getattr(codecs, name)()], "chunks": (1, height, width)}
        if version == 3:
            options["dimension_names"] = names
        array = group.create_array("rain", shape=(40, height, width), dtype="f4", **options)
        if version == 2:
            array.attrs["_ARRAY_DIMENSIONS"] = names
        array[:] = np.arange(40, dtype=np.float32).reshape(40, 1, 1) + 1
    chunk = "rain/3.0.0" if version == 2 else "rain/c/3/0/0"
    spec = write_spec(tmp_path, {"source": {"path": "a.zarr", "layout": "T H W"}})
    np.testing.assert_array_equal(open_source(spec).read(0, range(40))[:, 0, 0, 0], np.arange(40) + 1)
    shutil.copyfile(tmp_path / "b.zarr" / chunk, tmp_path / "a.zarr" / chunk)
    with pytest.raises(RunError) as caught:
        open_source(spec).read(0, range(5))
    assert caught.value.message == (
        f"frame 3 of a.zarr:rain cannot be read: {chunk} unpacks to 240 kB, its chunk has 24 B"
    )
    whole = (tmp_path / "b.zarr" / chunk).read_bytes()
    (tmp_path / "b.zarr" / chunk).write_bytes(whole[:-9])
    with pytest.raises(RunError, match=r"frame 3 of b.zarr:rain cannot be read"):
        open_source(write_spec(tmp_path, {"source": {"path": "b.zarr", "layout": "T H W"}})).read(0, range(5))


def test_texts_longer_than_their_file(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["rain"], file["when"] = VALUES, [f"2019-03-{1 + day // 2:02}T{day % 2 * 12:02}" for day in range(40)]
        start = file["when"].id.get_offset()
    content = bytearray((tmp_path / "a.h5").read_bytes())
    content[start + 32 : start + 36] = b"\xff\xff\xff\x7f"
    (tmp_path / "a.h5").write_bytes(content)
    assert refused(tmp_path, "a.h5", key="rain", time="when") == (
        'data.source.path | a.h5 is damaged | "when" of it cannot be read: a text is longer than the file | '
        "copy the file again"
    )


def test_archives_without_arrays(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w"), h5py.File(tmp_path / "a.h5", "w"):
        pass
    assert "a.npz holds no arrays" in refused(tmp_path, "a.npz", key="rain")
    assert "a.h5 holds no arrays" in refused(tmp_path, "a.h5", key="rain")


def test_numbers_that_lie_in_other_files(tmp_path: Path) -> None:
    layout = h5py.VirtualLayout((40, 2, 3), "f4")
    layout[:] = h5py.VirtualSource("gone.h5", "rain", (40, 2, 3))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_virtual_dataset("rain", layout)
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file.create_dataset("rain", (40, 2, 3), "f4", external=[("/dev/zero", 0, 960)])
    assert refused(tmp_path, "a.h5") == (
        "data.source.path | a.h5 reads gone.h5, which does not exist | copy it next to the file"
    )
    assert "/dev/zero is a device, not a file" in refused(tmp_path, "b.h5")


def test_memory_that_runs_out_while_frames_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = dataset(tmp_path, VALUES)
    monkeypatch.setattr(np, "stack", lambda *_: (_ for _ in ()).throw(MemoryError))
    with pytest.raises(RunError, match="there is not enough memory for a batch of 2 samples") as caught:
        data.sampler("train", 2, 0).batch(0, 0)
    assert caught.value.help.startswith("read less at once: a smaller train.batch_size, fewer train.workers, data.crop")


LITTLE_MEMORY = """
import resource, sys
import specbuild.cli, specbuild.cli.data, specbuild.cli.survey, specbuild.data.survey, specbuild.data.sources.npy
limit = int(next(line for line in open("/proc/self/status") if line.startswith("VmSize")).split()[1]) * 1024 + 10**8
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
from specbuild.cli import main
main(sys.argv[1:])
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the limit is that of Linux")
def test_a_process_with_little_memory(tmp_path: Path) -> None:
    np.save(tmp_path / "rain.npy", np.zeros((40, 3000, 4000), np.uint8))
    write_spec(tmp_path, {"windows": {"past": 2, "future": 1}})
    command = [sys.executable, "-c", LITTLE_MEMORY, "data", str(tmp_path / "spec.yaml")]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 1, ended.stderr
    assert "Traceback" not in ended.stderr
    assert "there is not enough memory to read" in ended.stderr


DTYPES = ["bool", "complex64", "float16", "longdouble", ">i4", ">f8", "uint64", "datetime64[s]", "U3", "i4,f4"]


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_type_of_numbers_or_a_clear_error(tmp_path: Path, dtype: str) -> None:
    values = (VALUES > 1).astype(np.int8).astype(dtype)
    np.save(tmp_path / "a.npy", values)
    np.savez(tmp_path / "a.npz", rain=values)
    names = ["a.npy", "a.npz"]
    if values.dtype.kind not in "MU":
        with h5py.File(tmp_path / "a.h5", "w") as file:
            file["rain"] = values
        names.append("a.h5")
    if values.dtype.kind not in "UV" and dtype != "longdouble":
        zarr.create_group(tmp_path / "a.zarr").create_array("rain", data=values, dimension_names=["time", "y", "x"])
        names.append("a.zarr")
    for name in names:
        spec = write_spec(tmp_path, {"source": {"path": name, "layout": "T H W"}, "windows": {"past": 2, "future": 1}})
        if values.dtype.kind in "biuf":
            source = open_source(spec)
            np.testing.assert_array_equal(source.read(0, range(40))[..., 0], VALUES > 1)
            counted = survey(source, open_splits(spec, spec.require_data(), source))
            assert counted.edges == (0, 1)
        else:
            with pytest.raises(SpecError, match=r"not numbers|no variable with numbers"):
                open_source(spec)


@pytest.mark.parametrize("shape", [(), (7,), (0, 4, 4), (7, 0, 4), (1, 2, 2)])
def test_odd_shapes(tmp_path: Path, shape: tuple[int, ...]) -> None:
    np.save(tmp_path / "a.npy", np.zeros(shape, np.float32, order="F"))
    spec = write_spec(tmp_path, {"source": {"path": "a.npy", "layout": "T H W"}, "windows": {"past": 2, "future": 1}})
    with pytest.raises(SpecError) as caught:
        open_splits(spec, spec.require_data(), open_source(spec))
    assert all("\n" not in finding.message for finding in caught.value.diagnostics)


GARBAGE = ["a.npy", "a.npz", "a.h5", "a.nc", "a.tif", "a.gif", "a.mp4", "a.avi", "a.mkv", "a.webm", "a.mov"]


@pytest.mark.parametrize("name", GARBAGE)
@pytest.mark.parametrize("size", [0, 1, 7, 4000])
def test_garbage_is_named(tmp_path: Path, name: str, size: int) -> None:
    (tmp_path / name).write_bytes(np.random.default_rng(size).bytes(size))
    text = refused(tmp_path, name)
    assert name in text
    assert "\n" not in text


def test_images_that_are_cut_short(tmp_path: Path) -> None:
    write_frames(tmp_path / "frames", GREY)
    image = tmp_path / "frames" / "3.png"
    image.write_bytes(image.read_bytes()[:-30])
    source = open_source(write_spec(tmp_path, {"source": {"path": "frames", "layout": "T H W"}}))
    with pytest.raises(RunError, match=f"frame 3, .*{image.name}, cannot be decoded"):
        source.read(0, range(5))


def test_floats_that_the_netcdf_library_takes_for_texts(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.nc", "w") as file:
        file["rain"] = VALUES.astype(np.float16)
    assert refused(tmp_path, "a.nc") == (
        "data.source.path | rain of a.nc holds float16, which the NetCDF library does not read | "
        "save it as float32, or give the file the suffix .h5"
    )


def test_values_beyond_float32_are_missing(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["rain"] = np.arange(240, dtype=np.int16).reshape(40, 2, 3)
        file["rain"].attrs["scale_factor"] = 1e37
    source = open_source(write_spec(tmp_path, {"source": {"path": "a.h5", "layout": "T H W"}}))
    assert source.may_miss
    assert np.isfinite(source.read(0, range(5))).all()
    assert np.isnan(source.read(0, range(30, 31))).all()


def test_names_of_a_file_stay_on_one_line(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        for name in ("a\nb", "c\x1b[31m"):
            with archive.open(f"{name}.npy", "w") as file:
                np.save(file, VALUES)
    assert refused(tmp_path, "a.npz") == (
        "data.source.key | a.npz holds 2 arrays | say which with key: a\\nb, c\\x1b[31m"
    )


def test_texts_that_hdf5_would_read_without_end(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["rain"], file["when"] = VALUES, [f"2019-03-{1 + day // 2:02}T{day % 2 * 12:02}" for day in range(40)]
    spec = write_spec(tmp_path, {"source": {"path": "a.h5", "key": "rain", "time": "when", "layout": "T H W"}})
    assert str(open_source(spec).times(0)[39]) == "2019-03-20T12:00:00"
    content = bytearray((tmp_path / "a.h5").read_bytes())
    content[content.index(b"GCOL") + 24] = 0
    content[content.index(b"GCOL") + 16] = 0
    (tmp_path / "b.h5").write_bytes(content)
    assert refused(tmp_path, "b.h5", key="rain", time="when") == (
        "data.source.path | b.h5 is cut short or not HDF5 | a heap of texts is damaged | copy the file again"
    )


VERB = """
import sys
from specbuild.cli import main
for spec in sys.argv[1:]:
    try:
        main(["data", spec], prog_name="specbuild")
    except SystemExit as ended:
        print("exit", ended.code, file=sys.stderr)
"""


def test_the_verb_ends_in_an_error_and_nothing_else(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.npy")
    (tmp_path / "garbage.npz").write_bytes(bytes(range(200)))
    _hdf5(tmp_path / "large.h5", (40, 10**7, 10**7), (1, 100, 100))
    with netCDF4.Dataset(tmp_path / "times.nc", "w") as file:
        for name, length in (("time", 40), ("y", 2), ("x", 3)):
            file.createDimension(name, length)
        file.createVariable("time", "f8", ("time",)).units = "parsecs since 2000-01-01"
        file["time"][:] = np.arange(40)
        file.createVariable("rain", "f4", ("time", "y", "x"))[:] = VALUES
    expected = {
        "pipe.npy": "pipe.npy is a pipe, not a file",
        "garbage.npz": "garbage.npz is cut short or no .npz archive",
        "large.h5": "a frame of large.h5:rain, 10000000 × 10000000, takes 800 TB",
        "times.nc": "time of times.nc does not hold times",
    }
    for name in expected:
        write_spec(tmp_path, {"source": {"path": name, "layout": "T H W"}}, f"{name}.yaml")
    command = [sys.executable, "-c", VERB, *(f"{name}.yaml" for name in expected)]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    *texts, rest = ended.stderr.split("exit 2\n")
    assert (len(texts), rest, ended.stdout) == (4, "", "")
    for text, told in zip(texts, expected.values(), strict=True):
        assert f"error: {told}" in text
        assert "Traceback" not in text
