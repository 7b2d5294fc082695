"""Starting from the weights of another run: what is taken by name, what is said, what a resumed run needs."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from specbuild.document import SpecError
from specbuild.model.backend import keras
from specbuild.training import Run, train
from tests.run.conftest import SPEC, blobs

SHORT = ["train.epochs=1", "train.steps_per_epoch=1"]
STILL = [*SHORT, "train.optimizer={name: SGD, learning_rate: 0.0}"]
"""Overrides with which a run keeps the weights that it starts from."""


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("init")
    np.save(folder / "blobs.npy", blobs())
    path = folder / "nowcast.yaml"
    path.write_text(SPEC.replace("validation: 0.2, test: 0.2", "validation: 0.2"), "utf-8")
    return path


@pytest.fixture(scope="module")
def other(spec: Path) -> Run:
    """A run with other weights than its seed gives."""
    return train(spec, overrides=[*SHORT, "train.seed=9"], out=spec.parent / "runs", quiet=True)


def weights(run: Run) -> dict[str, np.ndarray]:
    model = keras.models.load_model(run.folder.checkpoint(1), compile=False)
    return {layer.name: layer.get_weights() for layer in model.layers if layer.weights}


def same(one: list[np.ndarray], other: list[np.ndarray]) -> bool:
    return all(np.array_equal(*pair) for pair in zip(one, other, strict=True))


def test_weights_are_taken_by_name_and_a_resumed_run_needs_them_no_more(
    spec: Path, other: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = Path(shutil.copytree(other.path, tmp_path / "source"))
    run = train(spec, overrides=[*STILL, f"train.init_from={source}"], out=tmp_path)
    there, here = weights(other), weights(run)
    assert set(there) == set(here) == {"enc", "dec", "forecast"}
    assert all(same(there[name], here[name]) for name in there)
    said = capsys.readouterr().out
    assert f"weights from {source}/model.keras: 8 of 8" in said
    assert "enc        kernel, recurrent_kernel, bias   taken" in said
    record = run.folder.manifest()["init_from"]
    assert record["path"] == f"{source}/model.keras"
    assert record["taken"][:3] == ["enc/kernel", "enc/recurrent_kernel", "enc/bias"]
    assert [record["missing"], record["surplus"], record["other_shape"]] == [[], [], {}]
    assert f"init_from: {source}" in run.folder.resolved_file.read_text("utf-8")
    shutil.rmtree(source)
    assert train(resume=run.path, overrides=["train.epochs=2"], quiet=True).history[0] == run.history[0]


def test_what_is_not_taken_is_said(spec: Path, other: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = spec.read_text("utf-8").replace("id: dec,", "id: decoder,").replace("id: forecast", "id: forecast")
    changed = spec.parent / "changed.yaml"
    changed.write_text(text.replace("filters: 1, kernel_size: 1", "filters: 1, kernel_size: 3, padding: same"), "utf-8")
    checkpoint = other.folder.checkpoint(1)
    run = train(changed, overrides=[*STILL, f"train.init_from={checkpoint}"], out=tmp_path)
    there, here = weights(other), weights(run)
    assert same(there["enc"], here["enc"])
    assert not same(there["dec"], here["decoder"])
    record = run.folder.manifest()["init_from"]
    assert record["taken"] == ["enc/kernel", "enc/recurrent_kernel", "enc/bias", "forecast/bias"]
    assert record["missing"] == ["decoder/kernel", "decoder/recurrent_kernel", "decoder/bias"]
    assert record["surplus"] == ["dec/kernel", "dec/recurrent_kernel", "dec/bias"]
    assert record["other_shape"] == {"forecast/kernel": [[1, 1, 3, 1], [3, 3, 3, 1]]}
    said = capsys.readouterr().out
    assert "decoder    kernel, recurrent_kernel, bias   missing there" in said
    assert "dec        kernel, recurrent_kernel, bias   only there" in said
    assert "forecast   kernel                           other shape: 1 × 1 × 3 × 1 there, 3 × 3 × 3 × 1 here" in said


def test_a_file_of_keras_alone(spec: Path, other: Run, tmp_path: Path) -> None:
    lone = Path(shutil.copy(other.folder.model_file, tmp_path / "lone.keras"))
    run = train(spec, overrides=[*STILL, f"train.init_from={lone}"], out=tmp_path, quiet=True)
    there, here = weights(other), weights(run)
    assert all(same(there[name], here[name]) for name in there)
    assert len(run.folder.manifest()["init_from"]["taken"]) == 8


def test_nothing_that_fits_is_an_error_that_names_layers_alike(spec: Path, other: Run, tmp_path: Path) -> None:
    text = spec.read_text("utf-8")
    for old, new in (("id: enc", "id: encoder"), ("enc.last", "encoder.last"), ("state: enc", "state: encoder")):
        text = text.replace(old, new)
    renamed = spec.parent / "renamed.yaml"
    renamed.write_text(text.replace("id: dec,", "id: decoder,").replace("id: forecast", "id: rain_rate"), "utf-8")
    with pytest.raises(SpecError) as error:
        train(renamed, overrides=[*SHORT, f"train.init_from={other.path}"], out=tmp_path / "runs", quiet=True)
    (fault,) = error.value.diagnostics
    assert fault.message == f"{other.path} has no weight of this model"
    assert fault.reason == (
        "weights are matched by the ids of layers: there enc, dec, forecast, here encoder, decoder, rain_rate"
    )
    assert "give the layers the same ids: encoder here has the shapes of enc there" in fault.help
    assert "rain_rate here has the shapes of forecast there" in fault.help
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("path", "message", "help"),
    [
        ("runs/nothing", "there is no run runs/nothing", "it is relative to the spec's folder"),
        (".", "is not a run folder: it has no run.json", ""),
        ("blobs.npy", "blobs.npy is not a Keras model", "name a run folder or a .keras file"),
    ],
)
def test_a_path_is_checked_before_a_framework_is_imported(
    path: str, message: str, help: str, spec: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "specbuild.model.build", None)
    with pytest.raises(SpecError) as error:
        train(spec, overrides=[*SHORT, f"train.init_from={path}"], out=tmp_path / "runs", quiet=True)
    (fault,) = error.value.diagnostics
    assert message in fault.message
    assert help in fault.help
    assert fault.path == "train.init_from"
    assert not (tmp_path / "runs").exists()


def test_a_file_that_is_no_model_is_an_error_in_our_words(spec: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.keras"
    broken.write_bytes(b"no archive")
    with pytest.raises(SpecError, match=r"broken\.keras cannot be read") as error:
        train(spec, overrides=[*SHORT, f"train.init_from={broken}"], out=tmp_path / "runs", quiet=True)
    assert "Traceback" not in str(error.value)
