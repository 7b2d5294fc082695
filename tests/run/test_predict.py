from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from PIL import Image

from specbuild.document import SpecError
from specbuild.pictures import DRAW, ColourScale, Scene
from specbuild.prediction import Forecaster, predict
from specbuild.training import Run
from tests.run.conftest import blobs


def refusal(error: pytest.ExceptionInfo[SpecError]) -> tuple[str, str]:
    (diagnostic,) = error.value.diagnostics
    return diagnostic.message, diagnostic.help


def test_the_last_frames_of_the_data_are_the_default(trained: Run, tmp_path: Path) -> None:
    np.save(tmp_path / "past.npy", blobs()[-3:])
    latest = predict(trained.path)
    assert latest.shape == (2, 12, 12, 1)
    assert latest.dtype == np.float32
    np.testing.assert_array_equal(latest, predict(trained.path, tmp_path / "past.npy"))


def test_forecasts_come_in_physical_units(trained: Run, tmp_path: Path) -> None:
    # Constant input ten standard deviations up: a forecast in transformed units would stay near ten.
    np.save(tmp_path / "past.npy", np.full((3, 12, 12, 1), blobs().mean()))
    assert np.abs(predict(trained.path, tmp_path / "past.npy") - blobs().mean()).max() < 5


def test_a_forecast_is_written_with_its_lead_times_and_units(trained: Run, tmp_path: Path) -> None:
    forecast = predict(trained.path, output=tmp_path / "out/forecast.npz")
    with np.load(tmp_path / "out/forecast.npz") as written:
        np.testing.assert_array_equal(written["forecast"], forecast)
        assert written["lead_times"].tolist() == ["+5 min", "+10 min"]
        assert (str(written["variable"]), str(written["units"])) == ("rain rate", "mm/h")


def test_a_forecast_is_written_as_the_suffix_says(trained: Run, tmp_path: Path) -> None:
    forecast = predict(trained.path, output=tmp_path / "f.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "f.npy"), forecast)
    predict(trained.path, output=tmp_path / "f.png")
    predict(trained.path, output=tmp_path / "f.gif")
    with Image.open(tmp_path / "f.png") as strip, Image.open(tmp_path / "f.gif") as animation:
        assert strip.format == "PNG"
        assert animation.n_frames == 5


def test_it_needs_the_data_only_for_its_last_frames(trained: Run, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(trained.path, copy)
    manifest = (copy / "run.json").read_text().replace('"directory": "', '"directory": "/nowhere')
    (copy / "run.json").write_text(manifest)
    np.savez(tmp_path / "past.npz", frames=blobs()[-3:])
    np.testing.assert_array_equal(predict(copy, tmp_path / "past.npz"), predict(trained.path))
    with pytest.raises(SpecError):
        predict(copy)


@pytest.mark.parametrize("shape", [(4, 12, 12), (3, 10, 12), (3, 12, 12, 2), (3, 12), (1, 3, 12, 12, 1)])
def test_past_frames_of_another_shape_are_refused(shape: tuple[int, ...], trained: Run, tmp_path: Path) -> None:
    np.save(tmp_path / "past.npy", np.zeros(shape))
    with pytest.raises(SpecError) as error:
        predict(trained.path, tmp_path / "past.npy")
    given = " × ".join(str(length) for length in shape)
    assert refusal(error) == (
        f"{tmp_path}/past.npy is {given}, the model reads 3 × 12 × 12 × 1 (T × H × W × C)",
        "give the 3 frames before the forecast, in physical units",
    )


def test_files_that_hold_no_frames_are_refused(trained: Run, tmp_path: Path) -> None:
    np.save(tmp_path / "words.npy", np.array(["rain"]))
    np.savez(tmp_path / "two.npz", a=np.zeros(1), b=np.zeros(1))
    (tmp_path / "torn.npy").write_bytes(b"\x93NUMPY")
    (tmp_path / "torn.npz").write_bytes(b"PK\x03\x04")
    (tmp_path / "empty.npy").write_bytes(b"")
    expected = {
        "words.npy": (f"{tmp_path}/words.npy holds <U4, not numbers", ""),
        "two.npz": (f"{tmp_path}/two.npz has no array past", "it has a, b; call the past frames past"),
        "past.csv": (f"there is no file {tmp_path}/past.csv", ""),
        "tow.npz": (f"there is no file {tmp_path}/tow.npz", 'did you mean "two.npz"?'),
    }
    for name, told in expected.items():
        with pytest.raises(SpecError) as error:
            predict(trained.path, tmp_path / name)
        assert refusal(error) == told
    for name in ("torn.npy", "torn.npz", "empty.npy"):
        with pytest.raises(SpecError) as error:
            predict(trained.path, tmp_path / name)
        assert refusal(error)[0].startswith(f"{tmp_path}/{name} cannot be read: ")


def test_a_file_that_is_no_grid_is_named_without_a_line_of_the_spec(trained: Run, tmp_path: Path) -> None:
    (tmp_path / "empty.nc").touch()
    (tmp_path / "text.nc").write_text("hello\n")
    expected = {
        "empty.nc": ("empty.nc is empty: it has 0 bytes", "copy the file again"),
        "text.nc": ("text.nc is text, not arrays", "give a file that is what its suffix says, .nc"),
    }
    for name, told in expected.items():
        with pytest.raises(SpecError) as error:
            predict(trained.path, tmp_path / name)
        assert refusal(error) == told
        (diagnostic,) = error.value.diagnostics
        assert (diagnostic.span, diagnostic.where) == (None, "")


def test_past_frames_that_are_not_finite(trained: Run, tmp_path: Path) -> None:
    past = blobs()[-3:].astype(np.float64)
    infinite, beyond, missing, partly = past.copy(), past.copy(), np.full_like(past, np.nan), past.copy()
    infinite[1, :2, :3] = np.inf
    beyond[2, 0, 0] = -1e39
    partly[:2] = np.nan
    help = "write NaN where a value is missing"
    for frames, told in (
        (infinite, ("6 values are infinite in frame 1 of {path}", help)),
        (beyond, ("1 value is infinite in frame 2 of {path}", help)),
        (
            missing,
            (
                "every value of the 3 past frames of {path} is missing",
                "give frames with values; NaN marks missing ones",
            ),
        ),
    ):
        np.save(tmp_path / "past.npy", frames)
        with pytest.raises(SpecError) as error:
            predict(trained.path, tmp_path / "past.npy")
        assert refusal(error) == tuple(part.format(path=tmp_path / "past.npy") for part in told)
    grid = xr.Dataset({"rain": (("time", "y", "x"), np.concatenate([past, infinite]))})
    grid.to_netcdf(tmp_path / "past.nc")
    with pytest.raises(SpecError) as error:
        predict(trained.path, tmp_path / "past.nc")
    assert refusal(error) == ("6 values are infinite in frame 4 of past.nc:rain", help)
    np.save(tmp_path / "past.npy", partly)
    assert np.isfinite(predict(trained.path, tmp_path / "past.npy")).all()
    forecaster = Forecaster(trained.path)
    with pytest.raises(SpecError) as error:
        forecaster.update(infinite[1])
    assert refusal(error) == ("6 values are infinite in the frame", help)
    given = [forecaster.update(frame) for frame in (*missing, past[0])]
    assert np.isnan(given[2]).all()
    assert np.isfinite(given[3]).all()


def test_an_output_of_another_kind_is_refused_before_anything_is_computed(trained: Run, tmp_path: Path) -> None:
    with pytest.raises(SpecError) as error:
        predict(trained.path, output=tmp_path / "forecast.mp4")
    assert (
        refusal(error)[0]
        == f"a forecast is written as .npz, .npy, .nc, .zarr, .png, .gif, not as {tmp_path}/forecast.mp4"
    )


def test_a_picture_has_the_colours_of_the_run(trained: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Scene] = []
    monkeypatch.setitem(DRAW, ".png", lambda scene, _path: drawn.append(scene))
    predict(trained.path, output=tmp_path / "forecast.png")
    assert [scene.scale for scene in drawn] == [ColourScale(**trained.folder.manifest()["colours"])]
