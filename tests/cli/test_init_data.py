"""`specbuild init --data`: files are looked at, and a spec is written that trains on them."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import xarray
from click.testing import CliRunner, Result
from PIL import Image

from specbuild.cli import main
from specbuild.data import open_data
from specbuild.graph import build_graph
from specbuild.language import load_spec
from specbuild.language.sections.data import DataSection
from specbuild.training import train
from tests.data.samples import RECORDS, frames
from tests.data.test_radar_files import write_odim

MINUTES = np.datetime64("2019-06-10T22:00", "s") + np.arange(60) * np.timedelta64(5, "m")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["init", *arguments], prog_name="specbuild")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SPECBUILD_CACHE", str(tmp_path / "cache"))
    return tmp_path


def written(path: str, *more: str) -> tuple[DataSection, Any, str]:
    """The data section that is written for a path, the opened data, and what is printed."""
    done = run("--data", path, *more, "spec.yaml", "--force")
    assert done.exit_code == 0, done.output
    spec = load_spec("spec.yaml")
    return spec.require_data(), open_data(spec, build_graph(spec)), done.output


def test_a_spec_for_a_file_trains(tmp_path: Path) -> None:
    rain = frames(60, 10, 12) ** 2
    rain[:, :2, :2] = np.nan
    data = xarray.Dataset({"rain": (("time", "y", "x"), rain, {"units": "mm/h"})}, {"time": MINUTES.astype("M8[ns]")})
    data["mass"] = data["rain"] * 2
    data.to_netcdf(tmp_path / "my.nc")
    done = run("--data", "my.nc")
    assert done.output == (
        "my.nc:rain: 60 frames of 10 × 12, 5 min apart; values from "
        f"{np.nanmin(rain[::2][:24]):g} to {np.nanmax(rain[::2][:24]):g} mm/h; 3.3 % missing\n"
        "wrote my.yaml; look at its data section\n"
        "wrote specbuild.schema.json, which editors use to complete and check the spec\nnext: specbuild train my.yaml\n"
    )
    spec = load_spec("my.yaml")
    section = spec.require_data()
    assert (section.source.path, section.source.key, section.interval) == ("my.nc", "rain", "5 min")
    assert section.source.layout == {"T": "time", "H": "y", "W": "x"}
    assert [step.name for step in section.transform] == ["log1p", "standardize"]
    assert "# also in the file: mass" in Path("my.yaml").read_text(encoding="utf-8")
    finished = train("my.yaml", overrides=["train.epochs=1", "train.steps_per_epoch=2", "vars.filters=2"], quiet=True)
    assert [np.isfinite(epoch["loss"]) for epoch in finished.history] == [True]
    again = run("--data", "my.nc")
    assert again.exit_code == 2
    assert "my.yaml exists already; --force replaces it" in again.output


@pytest.mark.parametrize(
    ("name", "interval", "crop"),
    [
        ("era5_t2m_uk_2019-03.nc", "1 h", None),
        ("sst.mnmean.nc", "1 month", (64,)),
        ("mrms_preciprate_20190610_36x256x256.npz", "2 min", (64,)),
    ],
)
def test_records(name: str, interval: str, crop: tuple[int, ...] | None) -> None:
    section, data, _ = written(str(RECORDS / name))
    assert (section.interval, section.crop) == (interval, crop)
    assert all(len(split) for split in data.splits.values())
    assert section.missing == ((65535,) if "mrms" in name else ())


def test_radar_files_of_one_frame(tmp_path: Path) -> None:
    raw = np.random.default_rng(0).integers(0, 150, (30, 5, 4), dtype=np.uint8)
    raw[:, 0] = 255
    for kind in ("pgm", "odim"):
        (tmp_path / kind).mkdir()
    for number in range(30):
        time = str(MINUTES[number].astype("M8[m]")).translate(str.maketrans("", "", "-T:"))
        content = b"P5\n4 5\n255\n" + raw[number].tobytes()
        (tmp_path / "pgm" / f"{time}_fmi.pgm.gz").write_bytes(gzip.compress(content))
    section, data, said = written("pgm")
    assert section.source.time is not None
    assert (section.source.layout, section.missing, section.interval) == ("T H W", (255,), "5 min")
    np.testing.assert_array_equal(data.source.times(0), MINUTES[:30])
    assert "20.0 % missing" in said
    for number in range(30):
        write_odim(tmp_path / "odim" / f"{number}.h5", number, raw, MINUTES)
    section, data, _ = written("odim")
    assert (section.source.time, section.units, data.source.space) == (None, "dBZ", (5, 4))


def test_other_files(tmp_path: Path) -> None:
    np.save(tmp_path / "digits.npy", np.random.default_rng(0).integers(0, 255, (20, 30, 8, 8), dtype=np.uint8))
    section, data, _ = written("digits.npy")
    assert (section.source.layout, data.source.events, section.split.by) == ("T N H W", 30, "event")
    with h5py.File(tmp_path / "level.h5", "w") as file:
        file["level"] = frames(80, 7)
        file["times"] = np.array([str(time) for time in MINUTES.repeat(2)[:80]], "S19")
        file["times"][...] = [str(MINUTES[0] + np.timedelta64(number, "h")) for number in range(80)]
    section, data, _ = written("level.h5")
    assert (section.source.layout, section.source.time, section.interval) == ("T L", "times", "1 h")
    for number in range(60):
        (tmp_path / "frames").mkdir(exist_ok=True)
        Image.fromarray(np.random.default_rng(number).integers(0, 255, (8, 8, 3), dtype=np.uint8)).save(
            tmp_path / "frames" / f"{number}.png"
        )
    section, data, _ = written("frames")
    assert (section.source.layout, section.source.time, data.source.channels) == ("T H W C", None, 3)
    grid = xarray.Dataset({"t": (("time", "level", "nx", "ny"), frames(60, 3, 8, 8))}, {"level": [500, 700, 850]})
    grid.to_netcdf(tmp_path / "levels.nc")
    section, _, _ = written("levels.nc")
    assert section.source.layout == {"T": "time", "H": "nx", "W": "ny"}
    assert section.source.select == {"level": 500}


def test_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "short.npy", frames(5, 4, 4))
    np.save(tmp_path / "text.npy", np.array(["a"]))
    for arguments, expected in (
        (("--data", "none.nc"), "none.nc does not exist"),
        (("--data", "short.npy"), "short.npy has 5 frames, too few to train, validate and test on"),
        (("--data", "text.npy"), "text.npy holds no array of numbers"),
        (("--data", "a.nc", "radar-nowcast", "b.yaml"), "--data takes no template"),
    ):
        done = run(*arguments)
        assert done.exit_code in (1, 2)
        assert expected in done.output + str(done.exception)
