"""Fingerprints of data: every file of a pattern, a folder or a store counts, and large ones cost little."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from specbuild.document import SpecError
from specbuild.language import Spec, load_spec
from specbuild.runs import fingerprint as module
from specbuild.runs.fingerprint import difference, fingerprint
from specbuild.runs.provenance import check_data_unchanged, data_files
from tests.data.pictures import GREY, write_frames


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything above 100 bytes counts as large, of which five blocks of 8 bytes are read."""
    for name, value in {"WHOLE": 100, "BLOCKS": 5, "BLOCK": 8}.items():
        monkeypatch.setattr(module, name, value)


def test_one_file_has_its_own_checksum(tmp_path: Path) -> None:
    path = tmp_path / "rain.npy"
    path.write_bytes(b"rain" * 100)
    found = fingerprint(path, (path,))
    assert found == {"path": str(path), "bytes": 400, "sha256": hashlib.sha256(b"rain" * 100).hexdigest()}
    moved = Path(shutil.copy(path, tmp_path / "copy.npy"))
    assert difference(found, fingerprint(moved, (moved,))) == ""
    path.write_bytes(b"Rain" * 100)
    assert difference(found, fingerprint(path, (path,))) == "its checksum differs from the one in run.json"
    path.write_bytes(b"rain" * 99)
    assert difference(found, fingerprint(path, (path,))) == "then it had 400 bytes, now 396"


CHANGES: dict[str, Callable[[Path], object]] = {
    "a byte": lambda folder: (folder / "b" / "1").write_bytes(b"1" * 19 + b"x"),
    "a name": lambda folder: (folder / "b" / "1").rename(folder / "b" / "9"),
    "a file more": lambda folder: (folder / "b" / "2").write_bytes(b""),
    "a file less": lambda folder: (folder / "a").unlink(),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("large", [False, True])
def test_every_file_of_a_folder_counts(
    change: str, large: bool, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if large:
        request.getfixturevalue("small_blocks")
    folder = tmp_path / "store.zarr"
    (folder / "b").mkdir(parents=True)
    for name in ("a", "b/0", "b/1"):
        (folder / name).write_bytes(name[-1].encode() * (20 if name == "b/1" else 50))
    before = fingerprint(folder, (folder,))
    assert (before["files"], before["bytes"], "sampled_sha256" in before) == (3, 120, large)
    folder = folder.rename(tmp_path / "moved.zarr")
    assert difference(before, fingerprint(folder, (folder,))) == ""
    CHANGES[change](folder)
    assert difference(before, fingerprint(folder, (folder,)))


@pytest.mark.usefixtures("small_blocks")
def test_of_a_large_file_blocks_from_first_to_last_and_the_time_of_change_count(tmp_path: Path) -> None:
    path = tmp_path / "rain.npy"
    for place, told in {0: True, 7: True, 8: False, 499: True, 1000: True, 993: True, 992: False}.items():
        path.write_bytes(bytes(1001))
        os.utime(path, ns=(0, 10**18))
        before = fingerprint(path, (path,))
        path.write_bytes(bytes(place) + b"x" + bytes(1000 - place))
        os.utime(path, ns=(0, 10**18))
        assert bool(difference(before, fingerprint(path, (path,)))) is told, place
        os.utime(path, ns=(0, 10**18 + 1))
        assert difference(before, fingerprint(path, (path,))) == (
            "a name, a time of change or a block of its files differs from what run.json records"
        )


def spec_of(path: Path, layout: str = "T H W") -> Spec:
    return load_spec(
        {
            "specbuild": 1,
            "inputs": {"rain": [2, 6, 8, 1]},
            "layers": [{"layer": "Conv3D", "filters": 1, "kernel_size": 1}],
            "data": {"source": {"path": str(path), "layout": layout}, "windows": {"past": 2, "future": 2}},
        }
    )


def test_a_pattern_is_recorded_once_with_all_its_files(tmp_path: Path) -> None:
    for number in range(3):
        np.save(tmp_path / f"rain_{number}.npy", np.full((4, 2, 2), number))
    spec = spec_of(tmp_path / "rain_*.npy")
    recorded = data_files(spec)
    assert [(one["path"], one["files"]) for one in recorded] == [(str(tmp_path / "rain_*.npy"), 3)]
    check_data_unchanged(spec, recorded)
    np.save(tmp_path / "other.npy", np.zeros(3))
    check_data_unchanged(spec, recorded)
    np.save(tmp_path / "rain_1.npy", np.full((4, 2, 2), 9))
    with pytest.raises(SpecError) as error:
        check_data_unchanged(spec, recorded)
    (found,) = error.value.diagnostics
    assert found.message == "the data is not what this run began with"
    assert found.reason == "its checksum differs from the one in run.json"
    assert found.help == "start a new run, or put the old data back"


def test_a_folder_of_frames_that_changed(tmp_path: Path) -> None:
    write_frames(tmp_path / "frames", GREY)
    spec = spec_of(tmp_path / "frames")
    recorded = data_files(spec)
    (tmp_path / "frames" / "3.png").unlink()
    with pytest.raises(SpecError) as error:
        check_data_unchanged(spec, recorded)
    assert error.value.diagnostics[0].reason == "then it had 12 files, now 11"


@pytest.mark.usefixtures("small_blocks")
def test_a_copy_of_large_data_needs_its_times(tmp_path: Path) -> None:
    path = tmp_path / "rain.npy"
    np.save(path, np.zeros((40, 6, 8)))
    spec = spec_of(path)
    recorded = data_files(spec)
    os.utime(path)
    with pytest.raises(SpecError) as error:
        check_data_unchanged(spec, recorded)
    assert error.value.diagnostics[0].help == (
        "start a new run, or put the old data back; copies of large files must keep their modification times, "
        "as with cp -p"
    )


def test_data_that_is_gone_is_left_to_who_opens_it(tmp_path: Path) -> None:
    path = tmp_path / "rain.npy"
    np.save(path, np.zeros((40, 6, 8)))
    spec = spec_of(path)
    recorded = data_files(spec)
    path.unlink()
    check_data_unchanged(spec, recorded)


def test_a_sparse_file_of_20_gib_takes_no_time(tmp_path: Path) -> None:
    path = tmp_path / "rain.npy"
    with path.open("wb") as file:
        file.truncate(20 * 2**30)
    found = fingerprint(path, (path,))
    assert set(found) == {"path", "bytes", "sampled_sha256"}
