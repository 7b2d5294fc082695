"""Runs whose loss makes the output a distribution: trained, saved, opened again, forecast and scored."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from specbuild import SpecError, build_graph
from specbuild.data import open_data
from specbuild.language import load_spec
from specbuild.prediction import predict
from specbuild.runs.trained import TrainedRun
from specbuild.training import train


def with_head(plain: Path, loss: str, parts: int) -> Path:
    text = plain.read_text("utf-8").replace("filters: 1,", f"filters: {parts},").replace("  metrics: [mae]\n", "")
    plain.write_text(text.replace("loss: mse", f"loss: {loss}"), encoding="utf-8")
    return plain


def test_trained_quantiles_cover_their_share(plain: Path, tmp_path: Path) -> None:
    """Of noise without a pattern, quantiles that were learned cover as much as they say."""
    noise = np.random.default_rng(0).gamma(2.0, 1.0, (160, 12, 12)).astype(np.float32)
    np.save(plain.parent / "blobs.npy", noise)
    path = with_head(plain, "{name: pinball, quantiles: [0.1, 0.5, 0.9]}", 3)
    run = train(
        path, overrides=["train.epochs=12", "data.transform=[log1p]", "train.seed=1"], out=tmp_path / "runs", quiet=True
    )
    trained = TrainedRun.open(run.folder.path)
    dataset, head = trained.dataset, trained.dataset.head
    assert head is not None
    below, count = np.zeros(3), 0
    for window in dataset.forecasts("test"):
        at = (window.event, window.start)
        raw = dataset.raw_forecast(window.past, trained.predict, at)
        quantiles = dataset.in_physical_units(head.quantiles(raw, head.head.levels), at)
        np.testing.assert_allclose(dataset.forecast(window.past, trained.predict, at), quantiles[1], rtol=1e-5)
        below += (window.future <= quantiles).sum(axis=(1, 2, 3, 4))
        count += window.future.size
    np.testing.assert_allclose(below / count, [0.1, 0.5, 0.9], atol=0.05)
    assert predict(run.folder.path).shape == (2, 12, 12, 1)


@pytest.mark.parametrize(("loss", "parts"), [("gaussian_nll", 2), ("{name: csgd, floor: 0}", 3)])
def test_likelihoods_train_on_data_with_holes(plain: Path, tmp_path: Path, loss: str, parts: int) -> None:
    from tests.run.conftest import blobs

    frames = blobs()
    frames[frames < 0.5] = 0
    frames[:, :2, 3] = np.nan
    np.save(plain.parent / "blobs.npy", frames)
    path = with_head(plain, loss, parts)
    run = train(path, overrides=["train.epochs=2", "train.lead_weights=[1, 2]"], out=tmp_path / "runs", quiet=True)
    losses = [row["loss"] for row in run.history]
    assert losses[1] < losses[0]
    assert np.isfinite(run.history[-1]["val_loss"])
    forecast = predict(run.folder.path)
    never = np.isnan(frames).all(axis=0)
    assert (np.isfinite(forecast) == ~never[..., np.newaxis]).all()
    if parts == 3:
        assert np.nanmin(forecast) >= -1e-5
    if parts == 2:
        more = train(resume=run.folder.path, overrides=["train.epochs=3"], quiet=True)
        assert [row["loss"] for row in more.history][:2] == losses


def test_the_floor_is_carried_into_units_of_training(plain: Path) -> None:
    spec = load_spec(with_head(plain, "csgd", 3))
    dataset = open_data(spec, build_graph(spec))
    assert dataset.head is not None
    expected = dataset.transform.apply(np.zeros((1, 1), np.float32))
    assert dataset.head.floor == pytest.approx(tuple(expected.ravel()))


def test_an_output_with_too_few_channels_is_refused(plain: Path) -> None:
    with pytest.raises(SpecError) as error:
        build_graph(load_spec(with_head(plain, "gaussian_nll", 3)))
    [fault] = error.value.diagnostics
    assert fault.message == "the output forecast has 3 channels, its loss needs 2 channels"
    assert fault.reason == "the mean and the logarithm of the standard deviation of each variable"
    assert fault.help == "end the model with filters: 2"
