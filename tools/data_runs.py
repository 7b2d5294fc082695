"""Runs of drawn specs, for `tools/data_search.py`: trained for one step, scored a second time, and forecast."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray
from data_cases import DataCase
from data_records import Array
from data_samples import Refused, same
from findings import Wrong
from naive_data import NaiveData

from specbuild.data import Dataset
from specbuild.document import ArgumentError, SpecError
from specbuild.prediction import predict
from specbuild.runs.trained import TrainedRun
from specbuild.training import train


def run(case: DataCase, folder: Path, path: Path, data: Dataset, naive: NaiveData) -> None:
    """Train a case for one step, score it and forecast."""
    try:
        trained = train(path, overrides=case.overrides, out=folder / "runs", quiet=True)
    except SpecError as error:
        raise Refused("train", error.diagnostics) from error
    if not all(np.isfinite(value) for value in trained.history[0].values()):
        raise Wrong(f"the loss is not finite: {trained.history}")
    if "test" in naive.splits:
        check_scores(trained, naive)
    for name in ("forecast.npz", "forecast.nc"):
        try:
            forecast = predict(trained.path, output=folder / name)
        except ArgumentError as error:
            # Another source ends before the forecast does, or the last frames have a gap.
            if "has nothing for" not in str(error) and " apart: " not in str(error):
                raise
            return
        view = next(iter(data.views.values()), data)
        same("forecast shape", forecast.shape, (len(view.leads), *data.source.space, view.source.channels))
    check_file(folder / "forecast.nc", data)


def check_file(path: Path, data: Dataset) -> None:
    """Check that a forecast has every output, at the lead times of all of them."""
    with xarray.open_dataset(path) as grid:
        for name in data.views:
            if not any(each == name or str(each).startswith(f"{name}_") for each in grid.data_vars):
                raise Wrong(f"no variable in the file: {name} of {list(grid.data_vars)}")
        axis = grid["lead_time" if "lead_time" in grid.coords else "lead"]
        leads = {lead for view in data.views.values() for lead in view.leads} or set(data.leads)
        if axis.isnull().any() or axis.size != len(leads):
            raise Wrong(f"lead times in the file: {axis.values}, not {sorted(leads)}")


def check_scores(trained: Any, naive: NaiveData) -> None:
    """Work out the errors of persistence and of the model a second time, from every window of the test split."""
    scores = trained.scores.to_dict()
    targets = naive.data.get("targets") or {"out": "future"}
    losses = naive.tree["train"]["loss"]
    model = None if "crop" in naive.data or naive.source.record.misses else TrainedRun.open(trained.path).predict
    for (name, target), found in zip(targets.items(), [scores, *scores.get("outputs", [])], strict=True):
        loss = losses[name] if "targets" in naive.data else losses
        exact = model if loss in ("mse", "mae", "huber", "binary_crossentropy") else None
        errors = {"persistence": Errors(), **({"model": Errors()} if exact else {})}
        for event, start in naive.starts("test"):
            past = naive.frames(event, naive.numbers(start, "past"), naive.whole())
            future = naive.frames(event, naive.numbers(start, "future"), naive.whole())
            if np.isnan(past).all() or np.isnan(future).all():
                continue
            observed = naive.compared(target, future)
            errors["persistence"].add(naive.compared(target, np.repeat(past[-1:], len(future), axis=0)), observed)
            if exact:
                output = forecast_of(exact, naive, name, event, start)[-len(observed) :]
                errors["model"].add(naive.physical(target, output, event, start), observed)
        for forecast, own in errors.items():
            table = next(each for each in found["forecasts"] if each["forecast"] == forecast)
            values = next(each["values"] for each in table["scores"] if each["score"] == "MSE")
            ours = np.array([np.nan if value is None else value for value in values])
            if not np.allclose(ours, own.mean, rtol=5e-3, atol=1e-3, equal_nan=True):
                raise Wrong(f"MSE of {forecast}: of {name} {ours}, not {own.mean}")


@dataclass
class Errors:
    """Squared errors by lead time."""

    total: Array | float = 0.0
    count: Array | float = 0

    def add(self, forecast: Array, observed: Array) -> None:
        squares = ((forecast - observed) ** 2).reshape(len(observed), -1)
        self.total = self.total + np.nansum(squares, axis=1)
        self.count = self.count + (~np.isnan(squares)).sum(axis=1)

    @property
    def mean(self) -> Array:
        return np.asarray(self.total) / self.count


def forecast_of(model: Any, naive: NaiveData, name: str, event: int, start: int) -> Array:
    """Return what a model gives for an output, (F, *space, C), of inputs that are read a second time."""
    inputs = naive.as_declared(naive.inputs(event, start, naive.whole()))
    batch = {key: each[None].astype(np.float32) for key, each in inputs.items()}
    outputs = model(batch if len(batch) > 1 else next(iter(batch.values())))
    output = np.asarray(outputs[name] if isinstance(outputs, dict) else outputs)[0]
    return output if output.ndim > len(naive.whole()) + 1 else output[None]
