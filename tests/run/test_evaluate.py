from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from specbuild.catalog.baselines import BASELINES
from specbuild.data import open_data
from specbuild.data.sources.base import Coordinate
from specbuild.document import RunError, SpecError
from specbuild.evaluation import evaluate
from specbuild.evaluation.scores import Scoring
from specbuild.facade import build_graph
from specbuild.language import load_spec
from specbuild.prediction import predict
from specbuild.runs.folder import RunFolder
from specbuild.runs.trained import TrainedRun
from specbuild.training import Run, train
from tests.run.conftest import blobs


def test_persistence_is_scored_as_by_hand(trained: Run) -> None:
    frames = blobs()
    found = evaluate(trained.path)
    # 60 frames, 4 of them embargoed twice: 31 train, 10 + 11 validate and test; the last 11 hold 7 windows of 5.
    starts = range(len(frames) - found.windows - 4, len(frames) - 4)
    for index in (0, 1):
        errors = np.stack([frames[start + 2] - frames[start + 3 + index] for start in starts]).astype(np.float64)
        assert found.of("persistence").column("MSE").values[index] == pytest.approx(np.mean(errors**2))
        assert found.of("persistence").column("MAE").values[index] == pytest.approx(np.mean(np.abs(errors)))


def test_evaluating_again_gives_what_training_wrote(trained: Run) -> None:
    before = trained.folder.scores_file.read_bytes()
    assert trained.scores is not None
    assert evaluate(trained.path).to_dict() == trained.scores.to_dict()
    assert trained.folder.scores_file.read_bytes() == before


def test_the_files_say_what_the_scores_mean(trained: Run) -> None:
    found = json.loads(trained.folder.scores_file.read_text())
    assert (found["split"], found["variable"], found["units"]) == ("test", "rain rate", "mm/h")
    assert found["convention"].startswith("pooled over windows, pixels and channels in physical units")
    assert [table["forecast"] for table in found["forecasts"]] == [
        "model",
        "persistence",
        "training mean",
        "extrapolation",
    ]
    assert found["forecasts"][0]["leads"] == ["+5 min", "+10 min"]
    first = (trained.path / "scores.csv").read_text().splitlines()[:2]
    assert first[0] == "forecast,lead,score,threshold,window,value"
    assert first[1].startswith("model,+5 min,MSE,,,")
    assert found["conventions"]["RMSE"] == "root of the mean of e^2 over all windows"
    assert found["skill over the best baseline"]["overall"]["baseline"] in BASELINES
    assert found["forecasts"][1]["coverage"] == 1


def test_other_splits_are_written_beside_the_test_split(trained: Run, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(trained.path, copy)
    before = (copy / "scores.json").read_bytes()
    assert evaluate(copy, split="validation").split == "validation"
    assert (copy / "scores-validation.csv").exists()
    assert (copy / "scores.json").read_bytes() == before


def test_a_split_that_is_not_there_is_named(trained: Run) -> None:
    with pytest.raises(RunError, match="the data has no tset split"):
        evaluate(trained.path, split="tset")


EVERY_SCORE = [
    "evaluate.thresholds=[1]",
    "evaluate.scores=[bias, pod, fss, ssim, psnr, correlation, acc, acc_centred]",
    "evaluate.fss_windows=[3]",
    "evaluate.period=7",
    "evaluate.convention=openstl",
]


@pytest.mark.usefixtures("drawn")
def test_every_score_that_a_spec_asks_for_is_there(plain: Path, tmp_path: Path) -> None:
    run = train(plain, overrides=[*EVERY_SCORE, "train.epochs=1"], out=tmp_path / "runs", quiet=True)
    found = run.scores
    assert found is not None
    names = [column.label for column in found.tables[0].columns]
    assert names == [
        *("MSE", "MAE", "RMSE", "bias"),
        *(f"{name} ≥ 1" for name in ("CSI", "POD", "FAR", "BIAS", "HSS")),
        *("FSS ≥ 1 in 3 × 3", "SSIM", "PSNR", "correlation", "ACC", "ACC (centred)", "MSE (sum)", "MAE (sum)"),
    ]
    assert [column.score for column in found.on_show] == [
        *("RMSE", "MAE", "CSI", "bias", "POD", "FSS", "SSIM", "PSNR"),
        *("correlation", "ACC", "ACC (centred)", "MSE (sum)", "MAE (sum)"),
    ]
    assert [table.name for table in found.tables[3:]] == ["climatology", "same phase", "anomaly persistence"]
    undefined = [column.label for column in found.of("persistence").columns if not np.isfinite(column.values).all()]
    assert undefined == []
    assert found.of("model").column("MSE (sum)").overall == pytest.approx(144 * found.of("model").column("MSE").overall)
    assert "data range 0 to 1, values clipped to it" in found.conventions["SSIM"]
    assert "the training mean of each phase of 7 frames" in found.conventions["ACC"]
    with Image.open(run.folder.path / "scores.png") as picture:
        assert picture.width > 1000


def test_the_data_range_is_that_of_the_training_split_unless_written(plain: Path) -> None:
    spec = load_spec(plain, overrides=["evaluate.scores=[psnr]"])
    dataset = open_data(spec, build_graph(spec))
    training = blobs()[:32]
    convention = Scoring.of(spec, dataset).conventions["PSNR"]
    assert f"data range {training.min():g} to {training.max():g};" in convention
    spec = load_spec(plain, overrides=["evaluate.scores=[psnr]", "evaluate.data_range=[0, 6]", "evaluate.clip=true"])
    assert "data range 0 to 6, values clipped to it;" in Scoring.of(spec, dataset).conventions["PSNR"]


def test_rows_weigh_by_latitude_where_the_data_has_latitudes(plain: Path) -> None:
    spec = load_spec(plain)
    dataset = open_data(spec, build_graph(spec))
    rows = np.linspace(60, 49, 12)

    def weighed(axis: Coordinate | None, weighting: str) -> list[str]:
        known = {} if axis is None else {"H": axis}
        source = replace(dataset.source, metadata=replace(dataset.source.metadata, coordinates=known))
        written = load_spec(plain, overrides=[f"evaluate.latitude_weights={weighting}"])
        return [name for name in Scoring.of(written, replace(dataset, source=source)).conventions if "lat" in name]

    assert weighed(Coordinate("latitude", rows, "degrees_north"), "auto") == ["RMSE (latitude)"]
    assert weighed(Coordinate("lat", rows), "auto") == ["RMSE (latitude)"]
    assert weighed(Coordinate("latitude", rows, "degrees_north"), "false") == []
    assert weighed(Coordinate("y", rows * 1000, "m"), "auto") == []
    assert weighed(Coordinate("row", rows), "true") == ["RMSE (latitude)"]
    assert weighed(None, "auto") == []
    with pytest.raises(SpecError) as error:
        weighed(None, "true")
    assert error.value.diagnostics[0].message == "blobs.npy has no coordinate along H, which latitudes would be"
    with pytest.raises(SpecError) as error:
        weighed(Coordinate("y", rows * 1000, "m"), "true")
    assert (
        error.value.diagnostics[0].message
        == "y of blobs.npy cannot weigh rows: latitudes lie between -90 and 90 degrees"
    )


def test_ssim_of_frames_smaller_than_its_window_is_refused_before_training(plain: Path, tmp_path: Path) -> None:
    np.save(plain.parent / "blobs.npy", blobs(size=10))
    overrides = ["inputs.rain=[2, 10, 10, 1]", "evaluate.scores=[ssim]"]
    with pytest.raises(SpecError) as error:
        train(plain, overrides=overrides, out=tmp_path / "runs", quiet=True)
    assert error.value.diagnostics[0].message == (
        "ssim needs frames of at least 11 × 11, those of blobs.npy are 10 × 10"
    )
    assert not (tmp_path / "runs").exists()


def test_the_pictures_show_the_forecast(trained: Run) -> None:
    with Image.open(trained.folder.path / "forecast.gif") as animation:
        assert animation.n_frames == 3 + 2
    with Image.open(trained.folder.path / "forecast.png") as strip:
        assert strip.width > 600


def test_a_run_that_was_killed_is_scored_with_its_last_checkpoint(trained: Run, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(trained.path, copy)
    (copy / "model.keras").unlink()
    (copy / "checkpoints/epoch-0003.keras").unlink()
    RunFolder(copy).update_manifest(status="running")
    run = TrainedRun.open(copy)
    assert run.note == (
        f"the training of {copy} is not finished: it was interrupted after epoch 2 of 3; "
        "there is no model.keras yet; the weights are those after epoch 2"
    )
    assert run.weights_file == run.folder.checkpoint(2)
    assert evaluate(copy).of("model") != trained.scores.of("model")


def test_a_run_without_an_epoch_is_refused(trained: Run, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(trained.path, copy)
    for path in (copy / "checkpoints").glob("*"):
        path.unlink()
    (copy / "checkpoints/epoch-0001-step-000004.keras").write_bytes(b"")
    for verb in (evaluate, predict):
        with pytest.raises(RunError) as error:
            verb(copy)
        assert error.value.message == f"{copy} has no trained model: no epoch was finished"


def test_a_run_that_was_interrupted_says_so(trained: Run, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(trained.path, copy)
    assert TrainedRun.open(copy).note == ""
    RunFolder(copy).update_manifest(status="interrupted")
    (copy / "checkpoints/epoch-0003.keras").unlink()
    assert TrainedRun.open(copy).note == (
        f"the training of {copy} is not finished: it was interrupted after epoch 2 of 3"
    )
