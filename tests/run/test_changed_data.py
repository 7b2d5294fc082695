"""Data that changed, grew or moved after training: what evaluate and predict refuse, and what they say."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from click.testing import CliRunner

from specbuild.cli import main
from specbuild.document import RunError, SpecError
from specbuild.evaluation import evaluate
from specbuild.evaluation.places import Place
from specbuild.prediction import predict
from specbuild.runs.files import write_json
from specbuild.training import train
from tests.run.conftest import CONVOLUTION, SPEC, blobs


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the data and the run of one short epoch, which no test may change."""
    folder = tmp_path_factory.mktemp("made")
    write(folder / "rain.nc", blobs())
    text = SPEC[: SPEC.index("layers:")] + CONVOLUTION + SPEC[SPEC.index("\ndata:") :]
    source = "{path: rain.nc, key: rain, layout: {T: time, H: y, W: x}}"
    text = text.replace("past: 3", "past: 2").replace("{path: blobs.npy, layout: T H W}", source)
    (folder / "plain.yaml").write_text(text, "utf-8")
    overrides = ["train.epochs=1", "train.steps_per_epoch=1"]
    train(folder / "plain.yaml", overrides=overrides, out=folder / "runs", quiet=True)
    return folder


def write(path: Path, frames: np.ndarray, units: str = "mm/h") -> None:
    xr.Dataset({"rain": (("time", "y", "x"), frames, {"units": units})}).to_netcdf(path, engine="scipy")


@pytest.fixture
def run(made: Path, tmp_path: Path) -> Path:
    """A copy of the run, whose data is beside it in the temporary folder."""
    (folder,) = made.glob("runs/*")
    shutil.copy(made / "rain.nc", tmp_path)
    copy = Path(shutil.copytree(folder, tmp_path / "run"))
    manifest = json.loads((copy / "run.json").read_text("utf-8"))
    manifest["directory"] = str(tmp_path)
    write_json(copy / "run.json", manifest)
    return copy


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_run_json_records_the_samples(run: Path) -> None:
    assert json.loads((run / "run.json").read_text("utf-8"))["samples"] == {
        "frames": 60,
        "units": "mm/h",
        "classes": [],
        "splits": {"train": 29, "validation": 8, "test": 8},
    }


def test_data_that_changed_in_silence_are_not_scored(run: Path) -> None:
    before = files(run)
    write(run.parent / "rain.nc", blobs()[::-1])
    with pytest.raises(SpecError) as error:
        evaluate(run)
    (fault,) = error.value.diagnostics
    assert fault.message == "the data is not what this run began with"
    assert fault.reason == "its checksum differs from the one in run.json"
    assert fault.help == (
        "put the old data back, or score these as other data, in files of their own: "
        f"specbuild evaluate {run} --set data.source.path=rain.nc"
    )
    assert fault.path == "data.source.path"
    write(run.parent / "rain.nc", blobs(90))  # shares of the frames would move
    with pytest.raises(SpecError, match="the data is not what this run began with"):
        evaluate(run, horizon=1)
    assert files(run) == before


def test_other_data_are_scored_where_they_are_asked_for(run: Path) -> None:
    before = files(run)
    write(run.parent / "new.nc", blobs(90))
    overrides = ["data.source.path=new.nc", "data.split={train: [0, 10], validation: null, test: [20, 90]}"]
    scored = evaluate(run, overrides=overrides)
    assert scored.to_dict()["windows"] == 67
    new = set(files(run)) - set(before)
    assert {"scores-on-new.json", "scores-on-new.csv", "scores-on-new.png", "forecast-on-new.png"} <= new
    assert {name: content for name, content in files(run).items() if name in before} == before
    said = json.loads((run / "scores-on-new.json").read_text("utf-8"))
    assert said["data"][0]["path"] == str(run.parent / "new.nc")
    assert said["notes"] == [
        "scored on new.nc:rain, which is not what the run was trained with: then it had "
        f"{(run.parent / 'rain.nc').stat().st_size:,} bytes, now {(run.parent / 'new.nc').stat().st_size:,}; the "
        "transform is that of the training, and the baselines are fitted to the training split of these data",
        f"scored with {overrides[1]}",
    ]


def test_data_that_moved_are_found_with_set(run: Path) -> None:
    before = files(run)
    (run.parent / "elsewhere").mkdir()
    moved = Path(shutil.move(run.parent / "rain.nc", run.parent / "elsewhere" / "r.nc"))
    output = run.parent / "forecast.npy"
    for verb in (
        ["evaluate", str(run)],
        ["predict", str(run), "--output", str(output)],
        ["train", "--resume", str(run)],
    ):
        lost = CliRunner().invoke(main, verb)
        assert lost.exit_code == 2, lost.output
        assert "if the data have moved, name their new place with --set data.source.path=…" in lost.output
        assert files(run) == before
        found = CliRunner().invoke(main, [*verb, "--set", f"data.source.path={moved}"])
        assert found.exit_code == 0, found.output
        if verb[0] != "train":
            assert "note:" not in found.output
            assert files(run) == before
    assert np.load(output).shape == (2, 12, 12, 1)


def test_a_forecast_may_start_from_data_that_have_grown(run: Path) -> None:
    notes: list[str] = []
    assert predict(run, note=notes.append).shape == (2, 12, 12, 1)
    assert notes == []
    write(run.parent / "rain.nc", blobs(90))
    grown = predict(run, note=notes.append)
    assert notes.pop() == "rain.nc:rain has grown since training, from 60 to 90 frames"
    write(run.parent / "rain.nc", blobs(90)[30:])
    np.testing.assert_array_equal(predict(run, note=notes.append), grown)
    assert notes.pop() == (
        "the data are not what the run was trained with: its checksum differs from the one in run.json"
    )
    result = CliRunner().invoke(main, ["predict", str(run)])
    assert "note: the data are not what the run was trained with" in result.stderr


def test_other_units_are_refused(run: Path) -> None:
    write(run.parent / "si.nc", blobs(), units="K")
    message = r"si\.nc:rain is in K, the run was trained on mm/h"
    with pytest.raises(RunError, match=message):
        evaluate(run, overrides=["data.source.path=si.nc"])
    with pytest.raises(RunError, match=message):
        predict(run, overrides=["data.source.path=si.nc"])
    with pytest.raises(RunError, match=message):
        predict(run, run.parent / "si.nc")
    write(run.parent / "none.nc", blobs(), units="")
    assert predict(run, run.parent / "none.nc").shape == (2, 12, 12, 1)


def test_splits_that_moved_with_the_same_data_are_refused(run: Path) -> None:
    manifest = json.loads((run / "run.json").read_text("utf-8"))
    manifest["samples"]["splits"]["test"] = 9
    (run / "run.json").write_text(json.dumps(manifest), "utf-8")
    with pytest.raises(RunError) as error:
        evaluate(run)
    assert error.value.message == (
        "the splits have moved since training: train 29, validation 8, test 9 then, train 29, validation 8, test 8 now"
    )


@pytest.mark.parametrize(
    ("verb", "override", "message"),
    [
        (
            "evaluate",
            "train.batch_size=1",
            r"^train.batch_size=1 cannot be set when a run is scored\n"
            r".*it can change data.source, data.inputs, data.split, evaluate$",
        ),
        ("evaluate", "evaluated=1", "evaluated=1 cannot be set when a run is scored"),
        ("evaluate", "data.transform=[log1p]", r"data.transform=\[log1p\] cannot be set when a run is scored"),
        ("predict", "train={epochs: 9}", r"train=\{epochs: 9\} has no effect on a forecast"),
        ("predict", "train.epochs=9", "train.epochs=9 has no effect on a forecast"),
        ("predict", "data.transform=[log1p]", r"data.transform=\[log1p\] has no effect on a forecast"),
    ],
)
def test_overrides_without_effect_are_refused(verb: str, override: str, message: str, run: Path) -> None:
    with pytest.raises(RunError, match=message):
        (evaluate if verb == "evaluate" else predict)(run, overrides=[override])


@pytest.mark.parametrize("override", ["evaluate.thresholds=[2]", "evaluate={thresholds: [2]}"])
def test_what_is_scored_may_change(override: str, run: Path) -> None:
    """Scores with other settings have files of their own, which the note names."""
    before = files(run)
    scored = evaluate(run, split="validation", overrides=[override]).to_dict()
    file = "scores-validation-with-thresholds-2.json"
    assert f"scored with {override}; {file} has these scores" in scored["notes"]
    assert {score["threshold"] for score in scored["forecasts"][0]["scores"]} == {None, 2}
    assert [name for name in set(files(run)) - set(before) if name.endswith("json")] == [file]
    assert {name: content for name, content in files(run).items() if name in before} == before


def test_settings_that_are_those_of_the_training_change_no_name(run: Path) -> None:
    before = files(run)
    assert evaluate(run, overrides=["data.split.test=0.2"]).notes == ("scored with data.split.test=0.2",)
    assert set(files(run)) == set(before)


def test_names_of_files_say_what_is_scored_and_how(tmp_path: Path) -> None:
    place = Place(tmp_path, "validation", "wet-u10", 3, "2024", "members-8")
    assert place.file("scores.json").name == "scores-wet-u10-on-2024-validation-horizon-3-with-members-8.json"
    assert Place(tmp_path).file("forecast.png") == tmp_path / "forecast.png"
