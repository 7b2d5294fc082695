"""Damage valid data files at random, and verify that each is read, or refused in an error of one line, in time.

    python tools/fuzz_files.py [--cases N] [--seed N] [--formats npy,h5,…] [--keep FOLDER]

A file of every format that data can have is damaged in its bytes, its header, its attributes or its metadata, and
opened as the data of a spec; times and frames of every event are read. What must not happen is a traceback, a warning
of a library, a crash of the process, a case of more than two seconds, or one that takes more than 500 MB of memory.
Cases run in a process of their own, which is started again after a crash. Findings go to FOLDER, one for each place
that they come from; the exit code is 1 if there are any.
"""

from __future__ import annotations

import argparse
import gzip
import logging
import multiprocessing
import re
import resource
import shutil
import struct
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random
from typing import Any

import av
import h5py
import netCDF4
import numpy as np
import xarray
import yaml
import zarr
from findings import Wrong, place_of
from PIL import Image

from specbuild.data.samples.splits import open_splits
from specbuild.data.sources import FrameSource, open_source
from specbuild.data.survey import survey
from specbuild.document import RunError, SpecError
from specbuild.language import Spec, load_spec

SLOW = 2.0
"""Seconds of the processor after which a case counts as a finding."""
DEAD = 40.0
"""Seconds after which the process of a case is ended."""
MUCH = 500 * 2**20
"""Bytes that a case may take at most."""
READ = 2**21
"""Numbers that are read of a source at most."""

VALUES = np.random.default_rng(0).gamma(1.0, 30.0, (12, 8, 10)).astype(np.float32)
"""(T, H, W)"""
TIMES = np.datetime64("2019-03-01T00", "s") + np.arange(12) * np.timedelta64(1, "h")


@dataclass
class Findings:
    """How many cases ended how, and what should not have happened: case and traceback by the place it comes from."""

    counts: Counter[str] = field(default_factory=Counter)
    found: dict[str, tuple[int, str, str]] = field(default_factory=dict)
    """The number of the case, its format and what happened."""


@dataclass(frozen=True)
class Format:
    """A kind of file: what writes it, what a spec says of it, and the damage of its own that it can take."""

    write: Callable[[Path], None]
    name: str
    source: dict[str, Any]
    damage: tuple[Callable[[Random, Path], None], ...] = ()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--formats", default=",".join(FORMATS))
    parser.add_argument("--keep", type=Path)
    options = parser.parse_args()
    started = time.perf_counter()
    findings = fuzz(options.cases, options.seed, options.formats.split(","))
    for where, (number, name, what) in findings.found.items():
        print(f"--- {where} (case {number}, {name})\n{what}")
        if options.keep:
            keep = options.keep / re.sub(r"[^a-z0-9]+", "-", where.lower())[:80]
            keep.mkdir(parents=True, exist_ok=True)
            _damaged(options.seed, number, options.formats.split(","), keep)
    rate = options.cases / (time.perf_counter() - started)
    print(f"{options.cases:,} cases, {rate:.0f} a second; {len(findings.found)} findings")
    for outcome, count in sorted(findings.counts.items()):
        print(f"  {outcome}: {count:,}")
    return 1 if findings.found else 0


def fuzz(cases: int, seed: int, formats: list[str]) -> Findings:
    """Judges so many damaged files, in a process that is started again where one of them ends it."""
    findings, first = Findings(), 0
    while first < cases:
        here, there = multiprocessing.Pipe(duplex=False)
        process = multiprocessing.get_context("fork").Process(target=_run, args=(there, first, cases, seed, formats))
        process.start()
        there.close()
        number, name, reading = first, "?", False
        try:
            while first < cases and here.poll(DEAD):
                number, name, outcome, where, what = here.recv()
                reading = outcome == "damaged"
                if outcome in ("begun", "damaged"):
                    continue
                _count(findings, number, name, outcome, where, what)
                first = number + 1
        except EOFError:
            pass
        if first < cases:
            alive = process.is_alive()
            process.kill()
            process.join()
            how = "it hangs" if alive else f"the process ends with {process.exitcode}"
            if reading:
                _count(findings, number, name, "wrong", f"{how}: {name}", "")
            else:
                findings.counts["a library ends the process while it damages a file"] += 1
            first = max(first, number) + 1
        process.join()
    return findings


def run_here(cases: int, seed: int, formats: list[str]) -> Findings:
    """The same in this process, without protection from a crash."""
    findings = Findings()
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), formats)
        for number in range(cases):
            random, name = bench.damage(seed, number)
            _count(findings, number, name, *bench.judge(random, name))
    return findings


def _run(pipe: Connection, first: int, cases: int, seed: int, formats: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), formats)
        for number in range(first, cases):
            pipe.send((number, "?", "begun", "", ""))
            random, name = bench.damage(seed, number)
            pipe.send((number, name, "damaged", "", ""))
            pipe.send((number, name, *bench.judge(random, name)))


def _count(findings: Findings, number: int, name: str, outcome: str, where: str, what: str) -> None:
    findings.counts[f"{name} {outcome}"] += 1
    if outcome == "wrong":
        findings.found.setdefault(where, (number, name, what))


class Bench:
    """A valid file of each format, a spec that reads it, and a place for the damaged one."""

    def __init__(self, folder: Path, formats: list[str]) -> None:
        self._names, self._whole, self._folder = formats, folder / "whole", folder / "damaged"
        self._specs: dict[tuple[str, bool], Spec] = {}
        self._records: list[str] = []
        handler = logging.Handler()
        handler.emit = lambda record: self._records.append(handler.format(record))  # type: ignore[method-assign]
        logging.getLogger().handlers[:] = [handler]
        for name in formats:
            form = FORMATS[name]
            (self._whole / name).mkdir(parents=True)
            (self._folder / name).mkdir(parents=True)
            form.write(self._whole / name / form.name)
            for skip in (False, True):
                self._specs[name, skip] = _spec(self._folder / name, form, skip=skip)
            self.check(name)

    def check(self, name: str) -> None:
        """A file that is whole is read."""
        self._copy(name)
        source = open_source(self._specs[name, False])
        if _read(source) != source.events:
            raise Wrong(f"a whole file of the format {name} is not read")

    def _logged(self) -> str:
        """What was logged since this was last asked."""
        logged, self._records[:] = "\n".join(self._records), []
        return logged

    def damage(self, seed: int, number: int) -> tuple[Random, str]:
        """Writes the damaged file of a case: what draws further numbers, and its format."""
        random = Random(f"{seed}.{number}")
        name = random.choice(self._names)
        damage(random, self._copy(name), FORMATS[name])
        return random, name

    def judge(self, random: Random, name: str) -> tuple[str, str, str]:
        """Reads a damaged file: the outcome and, if it is wrong, the place it comes from and more."""
        before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
        outcome, where, what = "read", "", ""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")  # as specbuild does
                outcome = _outcome(self._specs[name, random.random() < 0.3], every=random.random() < 0.1)
        except Exception as fault:  # anything at all is a finding
            outcome, (where, what) = "wrong", place_of(fault)
        taken = time.process_time() - started
        if logged := self._logged():
            outcome, where, what = "wrong", f"logged: {name}", logged
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
        if taken > SLOW:
            outcome, where, what = "wrong", f"slow: {name}", f"{taken:.1f} s, {outcome}\n{what}"
        if grown > MUCH:
            outcome, where, what = "wrong", f"large: {name}", f"{grown / 2**20:.0f} MB, {outcome}\n{what}"
        return outcome, where, what

    def _copy(self, name: str) -> Path:
        whole, path = (folder / name / FORMATS[name].name for folder in (self._whole, self._folder))
        if path.is_dir():
            shutil.rmtree(path)
        if whole.is_dir():
            shutil.copytree(whole, path)
        else:
            path.unlink(missing_ok=True)
            shutil.copyfile(whole, path)
        return path


def _damaged(seed: int, number: int, formats: list[str], keep: Path) -> None:
    """Writes the damaged file of a case into a folder."""
    with tempfile.TemporaryDirectory() as folder:
        _, name = Bench(Path(folder), formats).damage(seed, number)
        shutil.copytree(Path(folder) / "damaged" / name, keep, dirs_exist_ok=True)


def _outcome(spec: Spec, *, every: bool) -> str:
    """Reads what a spec says, and holds the errors to their form."""
    try:
        source = open_source(spec)
        _read(source)
        if every and sum(source.lengths) < 1000:
            survey(source, open_splits(spec, spec.require_data(), source))
    except SpecError as error:
        for finding in error.diagnostics:
            _check_line(finding.message, finding.reason, finding.help)
            if finding.span is None:
                raise Wrong(f"no place: {finding.message}") from error
        return "refused"
    except RunError as error:
        _check_line(error.message, error.help)
        return "refused when read"
    return "read"


def _check_line(message: str, *others: str) -> None:
    if not message or any("\n" in text or len(text) > 1000 for text in (message, *others)):
        raise Wrong(f"an error is empty, long or of several lines: {message!r} {others!r}")


def _read(source: FrameSource) -> int:
    """Reads the times of every event and, up to a limit, its frames."""
    left = READ
    for event in range(source.events):
        source.times(event)
        each = max(1, int(np.prod(source.space)) * source.channels)
        length = min(source.lengths[event], max(2, left // each))
        frames = source.read(event, range(length))
        if frames.shape != (length, *source.space, source.channels) or frames.dtype != np.float32:
            raise Wrong(f"frames are {frames.shape} of {frames.dtype}")
        if np.isinf(frames).any():
            raise Wrong("frames are infinite")
        left -= frames.size
        if left <= 0:
            break
    return source.events


def _spec(folder: Path, form: Format, *, skip: bool) -> Spec:
    path = form.source.get("path", form.name)
    source = {"path": path, **form.source} if "generator" not in form.source else form.source
    split: dict[str, Any] = {"by": "event", "train": 1.0} if "N" in str(source.get("layout")) else {"train": 1.0}
    data = {
        "source": source,
        "windows": {"past": 2, "future": 1},
        "split": {"train": 1.0} if "generator" in form.source else split,
        "on_error": "skip" if skip else "raise",
    }
    layers = [{"id": "y", "layer": "Conv3D", "filters": 1, "kernel_size": 1}]
    document = {"specbuild": 1, "inputs": {"x": [2, None, None, 1]}, "layers": layers, "data": data}
    file = folder / ("skip.yaml" if skip else "spec.yaml")
    file.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    return load_spec(file)


# Damage


def damage(random: Random, path: Path, form: Format) -> None:
    """Damages a file, or some file of a folder, in one to four places."""
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        if form.damage and random.random() < 0.5:
            with suppress(Exception):  # the file may be too damaged already for the library that changes it
                random.choice(form.damage)(random, path)
        else:
            files = [file for file in sorted(path.rglob("*")) if file.is_file()] if path.is_dir() else [path]
            if files:
                _damage_bytes(random, random.choice(files))


def _damage_bytes(random: Random, file: Path) -> None:
    content = bytearray(file.read_bytes())
    near = min(len(content), random.choice((64, 512, 4096, len(content))))
    at = random.randrange(near) if near else 0
    length = random.choice((1, 1, 1, 2, 4, 8, 40))
    kind = random.randrange(8)
    if kind == 0:
        content = content[: random.randrange(len(content) + 1)]
    elif kind == 1:
        content[at : at + length] = random.choice((b"\0", b"\xff", b"\x7f", b"\x80")) * length
    elif kind == 2:
        content[at : at + length] = random.randbytes(length)
    elif kind == 3:
        content[at:at] = random.choice((random.randbytes(length), bytes(content[at : at + length])))
    elif kind == 4:
        del content[at : at + length]
    elif kind == 5 and content:
        content[min(at, len(content) - 1)] ^= 1 << random.randrange(8)
    elif kind == 6:
        number = random.choice((0, 1, 2, 2**15, 2**16 - 1, 2**24, 2**31 - 1, 2**31, 2**32 - 1, 10**6, 10**9))
        content[at : at + 4] = struct.pack(random.choice("<>") + "I", number)
    else:
        number = random.choice((0, 2**32, 2**40, 2**62, 2**63 - 1, 2**64 - 1, 10**12))
        content[at : at + 8] = struct.pack(random.choice("<>") + "Q", number)
    file.write_bytes(bytes(content))


def _damage_text(pattern: str) -> Callable[[Random, Path], None]:
    """Changes a word or a number of the text files that a store or a header has."""

    def change(random: Random, path: Path) -> None:
        files = [path] if path.is_file() else sorted(path.rglob(pattern))
        file = random.choice(files)
        text = file.read_bytes().decode("latin-1")
        words = list(re.finditer(r"\"[^\"]*\"|'[^']*'|-?\d+|true|false|null|True|False", text[:4000]))
        match = random.choice(words)
        text = f"{text[: match.start()]}{random.choice(TOKENS)}{text[match.end() :]}"
        file.write_bytes(text.encode("latin-1", "replace"))

    return change


TOKENS = (
    *("0", "-1", "1", "3", "99999999", "1e400", "NaN", "null", "true", '""', '"x"', "[]", "{}", "[1, 2]", '"\\u0000"'),
    *(
        '"gzip"',
        '"<f8"',
        '"|O"',
        '">i2"',
        '"|S4"',
        '"<M8[s]"',
        '"zstd"',
        '"regular"',
        '"float16"',
        '"string"',
        "'<c16'",
    ),
    *("'|V8'", "'|b1'", "'<U4'", "()", "(5,)", "(2, 3, 4, 5)", "999999999999", "True", "'>f4'", "'|O'", "[[[[[[[["),
)


def _damage_npy_header(random: Random, path: Path) -> None:
    """Another header of the same length, which is well-formed."""
    content = path.read_bytes()
    size = int.from_bytes(content[8:10], "little")
    descr = random.choice(("<f4", "|b1", "<c8", "|O", "<U2", "|V4", ">i4", "<M8[s]", "<i8", "|S0", "<f2", "|u1", "<m8"))
    shape = random.choice(
        ((12, 8, 10), (0, 8, 10), (960,), (), (12, 8, -10), (10**6, 10**6, 10**6), (1, 1, 1), (1, 8, 10), (2, 2, 2))
    )
    text = f"{{'descr': '{descr}', 'fortran_order': {random.choice((True, False))}, 'shape': {shape}, }}"
    path.write_bytes(content[:10] + text.ljust(size - 1).encode() + b"\n" + content[10 + size :])


ATTRIBUTES = (
    *("scale_factor", "add_offset", "_FillValue", "missing_value", "units", "calendar", "_Unsigned", "axis", "bounds"),
    *("standard_name", "valid_range", "_ARRAY_DIMENSIONS", "coordinates", "dtype", "grid_mapping"),
)
NUMBERS = (0, 1, -1, 0.0, -999.0, np.nan, np.inf, 1e39, 2**40, np.int8(-1), np.float32(9.96921e36), True)
UNITS = (
    *("days since 1970-01-01", "parsecs since 2000", "hours since", "months since 1960-01-01", "since", " since "),
    *(
        "seconds since 99999-01-01",
        "hours since 2019-02-30",
        "days since -5000-01-01",
        "degrees_east",
        "\x1b[31m",
        "x" * 2000,
    ),
    *("360_day", "noleap", "foo", "julian", "true", "T", "X", "time", "lat", "time_bnds"),
)


def _attribute(random: Random) -> tuple[str, Any]:
    values = random.choice((NUMBERS, UNITS, ([1.0, 2.0], np.zeros((2, 2)), np.zeros(0), b"\xff\xfe", ["a", "b"])))
    return random.choice(ATTRIBUTES), random.choice(values)


def _damage_hdf5(random: Random, path: Path) -> None:
    with h5py.File(path, "a") as file:
        names: list[str] = []
        file.visit(names.append)
        name = random.choice(names)
        if random.random() < 0.7:
            key, value = _attribute(random)
            file[name].attrs[key] = value
        elif random.random() < 0.5:
            shape = file[name].shape
            del file[name]
            dtype = random.choice(("S4", "i1", "f2", ">f8", "c8", "bool", h5py.string_dtype(), "V3", "i4,f4"))
            file.create_dataset(name, random.choice((shape, (0, 8, 10), (12,), (12, 8, 10, 2), ())), dtype)
        else:
            del file[name]
            file[name] = random.choice(
                (
                    h5py.SoftLink("/rain"),
                    h5py.SoftLink("/gone"),
                    h5py.ExternalLink("gone.h5", "/a"),
                    np.arange(12),
                    "text",
                )
            )


def _damage_netcdf(random: Random, path: Path) -> None:
    with netCDF4.Dataset(path, "a") as file:
        variable = file[random.choice(list(file.variables))]
        if random.random() < 0.6:
            key, value = _attribute(random)
            variable.setncattr(key, value)
        else:
            variable.set_auto_maskandscale(False)
            number = random.choice((np.nan, np.inf, -999, 9.96921e36, 0, 1e18))
            variable[random.randrange(len(variable))] = np.array(number).astype(variable.dtype)


def _damage_zarr(random: Random, path: Path) -> None:
    group = zarr.open_group(path, mode="a", use_consolidated=False)
    array = random.choice([array for _, array in group.arrays()])
    key, value = _attribute(random)
    array.attrs[key] = value.tolist() if isinstance(value, np.ndarray | np.generic) else value


# Files of every format


def _npy(path: Path) -> None:
    np.save(path, VALUES)


def _npz(path: Path) -> None:
    np.savez(path, rain=VALUES, when=TIMES)


def _compressed(path: Path) -> None:
    np.savez_compressed(path, rain=VALUES.astype(np.uint16), when=TIMES)


def _hdf5(path: Path) -> None:
    with h5py.File(path, "w") as file:
        rain = file.create_dataset("rain", data=VALUES, chunks=(2, 8, 10), compression="gzip", fletcher32=True)
        rain.attrs.update(scale_factor=0.5, add_offset=1.0, _FillValue=-999.0, units="mm")
        file["when"] = np.arange(12.0)
        file["when"].attrs["units"] = "hours since 2019-03-01"


def _hdf5_texts(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["rain"] = VALUES.astype(np.int16)
        file["when"] = [str(moment) for moment in TIMES]


def _grid() -> xarray.Dataset:
    hours = ("time", np.arange(12.0), {"units": "hours since 2019-03-01", "calendar": "standard"})
    lat = ("lat", 50.0 + np.arange(8), {"units": "degrees_north"})
    lon = ("lon", 10.0 + np.arange(10), {"units": "degrees_east"})
    rain = (("time", "lat", "lon"), VALUES, {"units": "mm"})
    return xarray.Dataset({"rain": rain}, {"time": hours, "lat": lat, "lon": lon})


def _netcdf3(path: Path) -> None:
    _grid().to_netcdf(path, format="NETCDF3_CLASSIC", engine="netcdf4", unlimited_dims=["time"])


def _netcdf5(path: Path) -> None:
    _grid().to_netcdf(path, format="NETCDF3_64BIT_DATA", engine="netcdf4")


def _netcdf4(path: Path) -> None:
    packed = {"dtype": "i2", "scale_factor": 0.1, "add_offset": 3.0, "_FillValue": -1, "zlib": True}
    _grid().to_netcdf(path, engine="netcdf4", encoding={"rain": packed})


def _zarr(version: int) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        chunks = {"rain": {"chunks": (4, 8, 10)}}
        _grid().to_zarr(path, zarr_format=version, consolidated=False, encoding=chunks)  # type: ignore[call-overload]

    return write


def _images(suffix: str) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        path.mkdir()
        for number, frame in enumerate(np.clip(VALUES, 0, 255).astype(np.uint8)):
            Image.fromarray(frame).save(path / f"{number}{suffix}")

    return write


def _pages(path: Path) -> None:
    first, *others = [Image.fromarray(frame) for frame in VALUES]
    first.save(path, save_all=True, append_images=others, compression="tiff_deflate")


def _video(codec: str, pixels: str) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        with av.open(str(path), "w") as file:
            stream: Any = file.add_stream(codec, rate=10)
            stream.height, stream.width, stream.pix_fmt = 32, 48, pixels
            for number in range(12):
                frame = np.zeros((32, 48, 3), np.uint8)
                frame[number : number + 8, :, 0] = 200
                file.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24").reformat(format=pixels)))
            file.mux(stream.encode(None))

    return write


def _digits(path: Path) -> None:
    with gzip.open(path, "wb") as file:
        file.write(
            bytes((0, 0, 8, 3)) + struct.pack(">III", 12, 8, 10) + np.clip(VALUES, 0, 255).astype("u1").tobytes()
        )


def _named(suffix: str) -> Callable[[Path], None]:
    """A file for each frame, with its time in the name."""

    def write(path: Path) -> None:
        path.mkdir()
        for moment, frame in zip(TIMES, np.clip(VALUES, 0, 255).astype(np.uint8), strict=True):
            name = path / f"radar_{str(moment)[:13].replace('-', '').replace('T', '')}{suffix}"
            content = b"P5\n# radar\n10 8\n250\n" + frame.tobytes()
            name.write_bytes(gzip.compress(content) if suffix.endswith(".gz") else content)

    return write


def _packed_npy(path: Path) -> None:
    with gzip.open(path, "wb") as file:
        np.save(file, VALUES)


def _odim(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file.attrs["Conventions"] = np.bytes_("ODIM_H5/V2_2")
        file.create_group("what").attrs.update(date=np.bytes_("20190301"), time=np.bytes_("000500"))
        file["dataset1/data1/data"] = np.clip(VALUES[0], 0, 255).astype(np.uint8)
        packing = {"quantity": np.bytes_("DBZH"), "gain": 0.5, "offset": -32.0, "nodata": 255.0, "undetect": 0.0}
        file.create_group("dataset1/data1/what").attrs.update(packing)


def _knmi(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["image1/image_data"] = VALUES[0].astype(np.uint16)
        formula = np.bytes_("GEO = 0.010000 * PV + 0.000000")
        calibration = {"calibration_formulas": formula, "calibration_out_of_image": np.array([65535])}
        file.create_group("image1/calibration").attrs.update(calibration)
        file.create_group("overview").attrs["product_datetime_end"] = np.bytes_("01-MAR-2019;00:05:00.000")


def _damage_radar(random: Random, path: Path) -> None:
    with h5py.File(path, "a") as file:
        groups: list[Any] = []
        file.visititems(lambda _, item: groups.append(item) if len(item.attrs) else None)
        group = random.choice([file, *groups])
        key = random.choice(list(group.attrs) or ["x"])
        if random.random() < 0.2 and key in group.attrs:
            del group.attrs[key]
        else:
            group.attrs[key] = random.choice((_attribute(random)[1], np.bytes_("2019"), np.zeros(3), np.bytes_("")))


def _geotiff(path: Path) -> None:
    import rasterio

    place = rasterio.transform.Affine(0.5, 0, 10, 0, -0.25, 60)
    shape = {"count": 12, "height": 8, "width": 10, "dtype": "float32", "compress": "deflate"}
    with rasterio.open(path, "w", driver="GTiff", crs="EPSG:4326", transform=place, nodata=-1, **shape) as file:
        file.write(VALUES)


NAMED = {"key": "rain", "time": "when", "layout": "T H W"}
GRID = {"layout": {"T": "time", "H": "lat", "W": "lon"}, "key": "rain"}
HOURLY = {"layout": "T H W", "time": {"from": "name", "format": "%Y%m%d%H"}}
METADATA = (_damage_text("*.json"), _damage_text(".z*"), _damage_zarr, _damage_zarr)
FORMATS = {
    "npy": Format(_npy, "a.npy", {"layout": "T H W"}, (_damage_npy_header, _damage_text(""))),
    "npz": Format(_npz, "a.npz", NAMED, (_damage_text(""),)),
    "npz-compressed": Format(_compressed, "a.npz", NAMED),
    "h5": Format(_hdf5, "a.h5", NAMED, (_damage_hdf5,)),
    "h5-texts": Format(_hdf5_texts, "a.h5", NAMED, (_damage_hdf5,)),
    "nc3": Format(_netcdf3, "a.nc", GRID, (_damage_netcdf,)),
    "nc5": Format(_netcdf5, "a.nc", GRID, (_damage_netcdf,)),
    "nc4": Format(_netcdf4, "a.nc", GRID, (_damage_netcdf, _damage_hdf5)),
    "zarr2": Format(_zarr(2), "a.zarr", GRID, METADATA),
    "zarr3": Format(_zarr(3), "a.zarr", GRID, METADATA),
    "png": Format(_images(".png"), "frames", {"layout": "T H W"}),
    "jpg": Format(_images(".jpg"), "frames", {"layout": "T H W"}),
    "bmp": Format(_images(".bmp"), "frames", {"layout": "T H W", "size": [8, 10]}),
    "tif": Format(_images(".tif"), "frames", {"layout": "T H W C"}),
    "pages": Format(_pages, "a.tif", {"layout": "T H W"}),
    "mp4": Format(_video("mpeg4", "yuv420p"), "a.mp4", {"layout": "T H W C"}),
    "mkv": Format(_video("ffv1", "yuv420p"), "a.mkv", {"layout": "T H W"}),
    "avi": Format(_video("mjpeg", "yuvj420p"), "a.avi", {"layout": "T H W C", "size": 16}),
    "webm": Format(_video("libvpx", "yuv420p"), "a.webm", {"layout": "T H W"}),
    "gif": Format(_video("gif", "rgb8"), "a.gif", {"layout": "T H W"}),
    "idx": Format(_digits, "a.gz", {"generator": "moving_digits", "images": "a.gz", "sequences": 2, "size": 20}),
    "pgm": Format(_named(".pgm"), "frames", HOURLY),
    "pgm-gz": Format(_named(".pgm.gz"), "frames", {**HOURLY, "coarsen": [2, 3]}),
    "npy-gz": Format(_packed_npy, "a.npy.gz", {"layout": "T H W", "coarsen": {"factor": 2, "method": "max"}}),
    "odim": Format(_odim, "a.h5", {"layout": "T H W"}, (_damage_radar, _damage_radar, _damage_hdf5)),
    "knmi": Format(_knmi, "a.h5", {"layout": "T H W"}, (_damage_radar, _damage_radar, _damage_hdf5)),
}
if find_spec("rasterio"):
    FORMATS["geotiff"] = Format(_geotiff, "a.tif", {"layout": {"T": "band", "H": "latitude", "W": "longitude"}})
# GRIB is left out: ecCodes ends the process over some damaged messages.


if __name__ == "__main__":
    sys.exit(main())
