"""Files and stores at URLs: read from a server on this machine, piece by piece, and refused in plain words."""

from __future__ import annotations

import http.server
import os
import re
import socket
import sys
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import xarray

from specbuild.data.sources import FrameSource, open_source, sparse_file
from specbuild.data.sources.open import source_urls
from specbuild.document import RunError, SpecError
from specbuild.graph import build_graph
from specbuild.runs.provenance import check_data_unchanged, data_files
from tests.data.samples import frames, message, write_spec

fsspec = pytest.importorskip("fsspec")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")

RAIN = frames(40, 64, 64)
TIMES = np.datetime64("2019-06-10", "ns") + np.arange(40) * np.timedelta64(5, "m")


class Ranges(http.server.SimpleHTTPRequestHandler):
    """Serves files, whole or by range, and counts the bytes that it sends."""

    sent = 0

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        path, wanted = (
            Path(self.translate_path(self.path)),
            re.match(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")),
        )
        if path.is_dir():
            super().do_GET()
            return
        if not path.is_file():
            self.send_error(404)
            return
        content = path.read_bytes()
        first, last = (int(wanted[1]), int(wanted[2] or len(content) - 1)) if wanted else (0, len(content) - 1)
        self.send_response(206 if wanted else 200)
        self.send_header("Content-Length", str(last + 1 - first))
        self.send_header("Content-Range", f"bytes {first}-{last}/{len(content)}")
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("ETag", f'"{path.stat().st_mtime_ns}"')
        self.end_headers()
        Ranges.sent += last + 1 - first
        self.wfile.write(content[first : last + 1])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the same frames in several formats."""
    folder = tmp_path_factory.mktemp("served")
    data = xarray.Dataset({"rain": (("time", "y", "x"), RAIN)}, {"time": TIMES})
    data["rain"].attrs.update(units="mm/h", _FillValue=RAIN[0, 0, 0])
    one = {"rain": {"chunksizes": (1, 64, 64)}}
    data.to_netcdf(folder / "rain.nc", encoding=one)
    data.isel(time=slice(20)).to_netcdf(folder / "part_1.nc", encoding=one)
    data.isel(time=slice(20, 40)).to_netcdf(folder / "part_2.nc", encoding=one)
    data.to_netcdf(folder / "classic.nc", format="NETCDF3_CLASSIC")
    for version in (2, 3):  # that of version 3 without consolidated metadata
        encoding = {"rain": {"chunks": (1, 64, 64)}}
        data.to_zarr(folder / f"rain{version}.zarr", zarr_format=version, encoding=encoding, consolidated=version == 2)
    np.save(folder / "rain.npy", RAIN)
    with h5py.File(folder / "rain.h5", "w") as file:
        file["rain"] = RAIN
    (folder / "broken.nc").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    return folder


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Ranges, directory=str(folder))) as served:
        threading.Thread(target=served.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{served.server_port}"
        served.shutdown()


def opened(folder: Path, path: str, **source: Any) -> FrameSource:
    return open_source(write_spec(folder, {"source": {"path": path, "layout": "T H W", **source}}))


def refusal(folder: Path, path: str, **source: Any) -> str:
    with pytest.raises(SpecError) as caught:
        opened(folder, path, **source)
    return message(caught.value)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPECBUILD_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize(
    "name", ["rain.nc", "classic.nc", "rain2.zarr", "rain3.zarr", "rain.npy", "rain.h5", "rain.nc?v=2"]
)
def test_every_format_at_a_url(tmp_path: Path, server: str, name: str) -> None:
    source = opened(tmp_path, f"{server}/{name}")
    values = source.read(0, range(3, 40, 4))[..., 0]
    np.testing.assert_array_equal(values, RAIN[3::4])
    if "rain." not in name or ".nc" in name:
        np.testing.assert_array_equal(source.times(0), TIMES.astype("M8[s]"))
        assert source.metadata.units == "mm/h"


@pytest.mark.parametrize("name", ["rain.nc", "rain3.zarr"])
def test_only_what_is_needed_is_fetched(
    tmp_path: Path, server: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sparse_file, "BLOCK", 2**13)
    before = Ranges.sent
    source = opened(tmp_path, f"{server}/{name}")
    source.read(0, range(30, 32))
    assert 2 * 64 * 64 < Ranges.sent - before < RAIN.nbytes / 2


def test_a_spec_with_a_url_passes_check_and_is_told_apart_when_it_changes(
    tmp_path: Path, server: str, folder: Path
) -> None:
    spec = write_spec(tmp_path, {"source": {"path": f"{server}/rain.npy", "layout": "T H W"}})
    assert build_graph(spec).spec.data == spec.data
    assert f"path: {server}/rain.npy" in spec.resolved()
    first = data_files(spec)
    assert (first, first[0]["path"]) == (data_files(spec), f"{server}/rain.npy")
    np.save(folder / "rain.npy", RAIN[::-1][::-1])
    os.utime(folder / "rain.npy", (1, 1))  # the server tells times in whole seconds
    assert data_files(spec) != first
    assert [(key[-1], file.name) for key, file in source_urls(spec)] == [("path", "rain.npy")]


def test_s3(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("s3fs")
    server = pytest.importorskip("moto.server")
    for name, value in (
        ("AWS_ACCESS_KEY_ID", "x"),
        ("AWS_SECRET_ACCESS_KEY", "x"),
        ("AWS_DEFAULT_REGION", "us-east-1"),
    ):
        monkeypatch.setenv(name, value)
    bucket = server.ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    bucket.start()
    try:
        host, port = bucket.get_host_and_port()
        options = {"endpoint_url": f"http://{host}:{port}"}
        system = fsspec.filesystem("s3", **options)
        system.mkdir("radar")
        for name in ("part_1.nc", "part_2.nc", "rain3.zarr", "rain.npy"):
            system.put(str(folder / name), f"radar/{name}", recursive=True)
        for path in ("part_*.nc", "rain3.zarr", "rain.npy"):
            source = opened(tmp_path, f"s3://radar/{path}", storage=options)
            np.testing.assert_array_equal(source.read(0, range(18, 23))[..., 0], RAIN[18:23])
        assert refusal(tmp_path, "s3://radar/none.nc", storage=options).startswith(
            "data.source.path | s3://radar/none.nc does not exist"
        )
        assert refusal(tmp_path, "s3://radar/*.h5", storage=options).startswith(
            "data.source.path | nothing matches s3://radar/*.h5"
        )
        assert refusal(tmp_path, "s3://other/a.nc", storage=options).startswith("data.source.path | s3://other/a.nc")
    finally:
        bucket.stop()


@pytest.mark.parametrize("name", ["rain.nc", "rain2.zarr"])
def test_a_server_that_goes_away_is_named(
    tmp_path: Path, folder: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sparse_file, "BLOCK", 2**13)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Ranges, directory=str(folder))) as served:
        threading.Thread(target=served.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{served.server_port}/{name}"
        source, skipping = (
            opened(tmp_path, url),
            open_source(write_spec(tmp_path, {"source": {"path": url, "layout": "T H W"}, "on_error": "skip"})),
        )
        served.shutdown()
    fsspec.filesystem("http").invalidate_cache()
    monkeypatch.setattr(Ranges, "do_GET", lambda self: self.send_error(503))
    with pytest.raises(RunError, match=r"frame 38 \(2019-06-10 03:10\) of .* cannot be read: "):
        source.read(0, range(38, 40))
    assert np.isnan(skipping.read(0, range(38, 40))).all()


def test_refused(tmp_path: Path, server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{free.getsockname()[1]}/a.zarr"
    assert refusal(tmp_path, nobody).startswith(f"data.source.path | {nobody} cannot be reached | ")
    for name in ("none.nc", "none.npy"):
        assert refusal(tmp_path, f"{server}/{name}").startswith(f"data.source.path | {server}/{name} does not exist")
    assert refusal(tmp_path, f"{server}/none.zarr").startswith(f"data.source.path | {server}/none.zarr ")
    assert refusal(tmp_path, f"{server}/broken.nc").startswith(f"data.source.path | {server}/broken.nc ")
    monkeypatch.setitem(sys.modules, "s3fs", None)
    monkeypatch.delitem(sys.modules["fsspec.registry"]._registry, "s3", raising=False)
    assert refusal(tmp_path, "s3://radar/a.nc").startswith(
        "data.source.path | s3:// needs fsspec and s3fs, which are not installed | "
    )
    monkeypatch.setitem(sys.modules, "fsspec", None)
    assert refusal(tmp_path, "https://example.org/a.nc").endswith("| pip install 'specbuild[remote]'")


def test_data_at_urls_are_compared_with_those_of_a_run(tmp_path: Path, server: str) -> None:
    np.save(tmp_path / "rain.npy", RAIN)
    terrain = {"terrain": {"source": {"path": f"{server}/rain.npy", "layout": "C H W"}}, "rain": "past"}
    fed = {"source": {"path": "rain.npy", "layout": "T H W"}, "inputs": terrain}
    inputs = {"rain": [4, 64, 64, 1], "terrain": [64, 64, 40]}
    at_url = {"source": {"path": f"{server}/rain.npy", "layout": "T H W"}}
    for place, spec in {
        "data.source.path": write_spec(tmp_path, at_url),
        "data.inputs.terrain.source.path": write_spec(tmp_path, fed, inputs=inputs),
    }.items():
        recorded = data_files(spec)
        check_data_unchanged(spec, recorded)
        recorded[-1]["sha256"] = "0" * 64
        with pytest.raises(SpecError) as caught:
            check_data_unchanged(spec, recorded)
        assert [(fault.code, fault.path) for fault in caught.value.diagnostics] == [("changed-data", place)]
