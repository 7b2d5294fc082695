from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from specbuild.document import RunError
from specbuild.run import Run, evaluate, predict
from specbuild.run.folder import RunFolder
from specbuild.run.inference import TrainedRun
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
    assert [table["forecast"] for table in found["forecasts"]] == ["model", "persistence", "training mean"]
    assert found["forecasts"][0]["leads"] == ["+5 min", "+10 min"]
    first = trained.folder.scores_table.read_text().splitlines()[:2]
    assert first[0] == "forecast,lead,score,threshold,value"
    assert first[1].startswith("model,+5 min,MSE,,")


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


def test_the_pictures_show_the_forecast(trained: Run) -> None:
    with Image.open(trained.folder.picture("forecast.gif")) as animation:
        assert animation.n_frames == 3 + 2
    with Image.open(trained.folder.picture("forecast.png")) as strip:
        assert strip.width > 600


def test_a_run_without_a_model_says_how_to_get_one(trained: Run, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(trained.path, copy)
    (copy / "model.keras").unlink()
    with pytest.raises(RunError, match="has no trained model") as error:
        evaluate(copy)
    assert error.value.help == f"finish its training with: specbuild train --resume {copy}"


def test_a_run_without_an_epoch_is_refused(trained: Run, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(trained.path, copy)
    for path in (copy / "checkpoints").glob("*"):
        path.unlink()
    (copy / "checkpoints/epoch-0000.keras").write_bytes(b"")
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
    assert TrainedRun.open(copy).note == f"training of {copy} was interrupted after epoch 2 of 3"
