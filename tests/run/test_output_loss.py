"""The losses of `train:` in a run: physical thresholds in the units of training, masks, lead times; the loss falls."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from specbuild import SpecError, build_graph, build_model
from specbuild.data import Transform
from specbuild.data.transforms.kinds import ClipStep, DbzStep, Log1pStep, MinMaxStep, ScaleStep, StandardizeStep
from specbuild.data.transforms.step import Step
from specbuild.model.backend import keras
from specbuild.training import train
from specbuild.training.compile import compile_model
from tests.run.conftest import blobs

TEXT = """\
specbuild: 1
inputs: {x: [4, 16, 16, 1]}
layers:
  - {id: forecast, time_distributed: {layer: Conv2D, filters: 1, kernel_size: 3, padding: same}}
"""


def compiled(written: str, *steps: Step, weighted: bool = True, channels: int = 1) -> Any:
    graph, model = build_graph(TEXT + f"train: {written}\n"), build_model(TEXT)
    transform = Transform(tuple(steps), (0.0,) * channels)
    compile_model(model, graph.spec, weighted=weighted, outputs=["forecast"], transform=transform)
    return model


def refused(written: str, *steps: Step) -> str:
    with pytest.raises(SpecError) as error:
        compiled(written, *steps)
    [one] = error.value.diagnostics
    return f"{one.path}: {one.message}"


STANDARD = StandardizeStep((2.0,), (4.0,))


@pytest.mark.parametrize(
    "steps",
    [
        (),
        (STANDARD,),
        (Log1pStep(), STANDARD),
        (MinMaxStep((0.0,), (80.0,), -1.0, 1.0),),
        (ScaleStep(2.0, 3.0), Log1pStep()),
    ],
)
def test_weights_follow_the_physical_value_through_the_transform(steps: Sequence[Step]) -> None:
    """A value exactly at a threshold weighs as from the threshold on, whatever it is in training."""
    loss = compiled("{loss: balanced_mae}", *steps).loss
    transform = Transform(tuple(steps), (0.0,))
    rates = np.array([0, 1.99, 2, 4.99, 5, 9.99, 10, 29.99, 30, 70], np.float32)
    y = transform.apply(rates.reshape(1, 1, 1, 10, 1))
    found = [float(loss(one, one + 1)) for one in np.split(y, 10, axis=3)]
    assert found == pytest.approx([1, 1, 2, 2, 5, 5, 10, 10, 30, 30], rel=1e-3)


def test_thresholds_of_a_soft_csi_and_the_range_of_ssim_are_carried_too() -> None:
    written = "{loss: {sum: [{name: soft_csi, thresholds: [2, 6]}, {name: ssim, data_range: [0, 40], weight: 2}]}}"
    csi, ssim = compiled(written, STANDARD).loss.losses
    assert csi.edges == [[0.0], [1.0]]
    assert ssim.edges == [[-0.5], [9.5]]
    assert compiled(written, STANDARD).loss.weights == (1.0, 2.0)
    two = StandardizeStep((2.0, 0.0), (4.0, 1.0))
    assert compiled(written, two, channels=2).loss.losses[0].edges == [[0.0, 2.0], [1.0, 6.0]]
    assert compiled("{loss: ssim}", MinMaxStep((0.0,), (9.0,), -1.0, 1.0)).loss.edges == [[-1.0], [1.0]]


@pytest.mark.parametrize(
    ("written", "steps", "message"),
    [
        (
            "{loss: balanced_mse}",
            (ClipStep(0.0, 20.0),),
            "train.loss.thresholds: balanced_mse cannot tell what lies below 30",
        ),
        (
            "{loss: {sum: [mse, {name: soft_csi, thresholds: [0.05, 5]}]}}",
            (DbzStep(200.0, 1.6, 0.1),),
            "train.loss.sum.1.thresholds: soft_csi cannot tell what lies below 0.05",
        ),
        (
            "{loss: {name: soft_csi, thresholds: [5]}}",
            (ScaleStep(-1.0, 0.0),),
            "train.loss.thresholds: soft_csi cannot tell what lies below 5",
        ),
        (
            "{loss: {name: soft_csi, thresholds: [-5]}}",
            (Log1pStep(),),
            "train.loss.thresholds: soft_csi cannot carry -5 through the transform: log1p needs values above -1, "
            "found -5",
        ),
        (
            "{loss: {name: ssim, data_range: [30, 60]}}",
            (ClipStep(0.0, 20.0),),
            "train.loss.data_range: ssim cannot tell 30, 60 apart",
        ),
        ("{loss: ssim}", (STANDARD,), "train.loss: ssim needs the range of the data"),
    ],
)
def test_what_the_transform_does_not_keep_is_refused(written: str, steps: tuple[Step, ...], message: str) -> None:
    assert refused(written, *steps) == message


def test_missing_pixels_weigh_nothing_in_every_term() -> None:
    written = "{loss: {sum: [mse, {name: huber, weight: 3}, balanced_mse]}, lead_weights: [1, 0, 2, 1]}"
    model = compiled(written)
    numbers = np.random.default_rng(0)
    y_true, y_pred = numbers.gamma(2.0, 2.0, (2, 2, 4, 16, 16, 1)).astype(np.float32)
    weight = (numbers.random((2, 4, 16, 16)) > 0.2).astype(np.float32)
    other = np.where(weight[..., None] > 0, y_true, 99)
    assert float(model.loss(other, y_pred, weight)) == pytest.approx(float(model.loss(y_true, y_pred, weight)))
    only = (weight * np.reshape([1, 0, 2, 1], (1, 4, 1, 1)))[..., None]
    squared = (only * (y_true - y_pred) ** 2).sum() / weight.sum()
    found = compiled("{loss: mse, lead_weights: [1, 0, 2, 1]}").loss(y_true, y_pred, weight)
    assert float(found) == pytest.approx(squared, rel=1e-5)


def test_each_output_has_its_own_lead_weights() -> None:
    text = TEXT + "  - {id: other, time_distributed: {layer: Conv2D, filters: 1, kernel_size: 1}}\n"
    text += "outputs: [forecast, other]\n"
    text += "train: {loss: {forecast: mse, other: {sum: [mae, gdl]}}, lead_weights: {other: [1, 1, 1, 3]}}\n"
    model = build_model(text)
    compile_model(model, build_graph(text).spec, weighted=False, outputs=["forecast", "other"])
    first, second = model.loss
    assert type(first).__name__ == "MeanSquaredError"
    assert [type(one).__name__ for one in second.losses] == ["LeadWeighted"] * 2
    assert second.losses[0].weights == (1.0, 1.0, 1.0, 3.0)


EVERY = (
    "{sum: [mse, {name: balanced_mse, thresholds: [1, 3], weights: [1, 2, 4], weight: 0.1}, "
    "{name: ssim, data_range: [0, 9], weight: 0.1}, {name: gdl, weight: 0.1}, "
    "{name: soft_csi, thresholds: [1, 3], weight: 0.1}]}"
)


def test_training_falls_with_every_loss_on_data_with_holes(plain: Path, tmp_path: Path) -> None:
    frames = blobs()
    frames[:, :2, 3] = np.nan
    frames[20:22, 5] = np.nan
    np.save(plain.parent / "blobs.npy", frames)
    overrides = [f"train.loss={EVERY}", "train.lead_weights=[1, 2]", "train.epochs=2"]
    run = train(plain, overrides=overrides, out=tmp_path / "runs", quiet=True)
    losses = [row["loss"] for row in run.history]
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < 0.95 * losses[0]
    assert np.isfinite(run.history[-1]["val_loss"])
    again = keras.models.load_model(run.folder.model_file)
    assert [type(one.loss).__name__ for one in again.loss.losses] == [
        *("MeanSquaredError", "BalancedMSE", "SSIM", "GradientDifference", "SoftCSI"),
    ]
