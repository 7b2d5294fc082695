"""Specs with `train` and `tune` sections drawn at random, for `tools/train_search.py`."""

from __future__ import annotations

import math
from random import Random
from typing import Any

from data_cases import DataCase, DataDrawing
from data_records import Tree

RATES = (1e-3, 3e-3, 0.01)
OPTIMIZERS = ("Adam", "AdamW", "SGD", "RMSprop", "Nadam", "Lion", "Adagrad", "Lamb")
EMA: tuple[Tree, ...] = ({"use_ema": True}, {"use_ema": True, "ema_momentum": 0.5, "ema_overwrite_frequency": 3})
CLIPPING: tuple[Tree, ...] = ({"clipnorm": 1.0}, {"global_clipnorm": 0.5}, {"clipvalue": 0.1})
PLAIN = ("mse", "mae", "huber")
"""Losses that can be terms of a sum."""


def generate(random: Random) -> DataCase:
    """Draw a case."""
    return TrainDrawing(random).case()


class TrainDrawing(DataDrawing):
    """One case while it is drawn: its windows are short, so that every split has some."""

    def windows(self, data: Tree) -> None:
        windows = data["windows"] = {"past": self.pick(1, 2), "future": self.pick(1, 2)}
        self.past, self.future, self.step_of_window, self.next = windows["past"], windows["future"], 1, False
        self.reach = self.past + self.future - 1

    def split(self, data: Tree) -> None:
        shares = {"train": 0.5, "validation": 0.25, "test": 0.25}
        data["split"] = {"by": "event", **shares} if len(self.lengths) > 1 else shares

    def training(self, data: Tree, outputs: dict[str, tuple[Tree | str, Any]]) -> Tree:
        """Draw how the outputs are trained, and what a study varies."""
        train: Tree = {
            "optimizer": self.optimizer(),
            "loss": self.summed(self.losses(data, outputs)),
            "epochs": self.pick(2, 3),
            "batch_size": self.pick(1, 2, 3, 4, "auto"),
            "seed": self.random.randrange(9),
            "checkpoints": {"every": self.pick("1 step", "2 steps", "10 min", None), "keep": self.pick(1, 2)},
        }
        if self.chance(0.8):
            train["steps_per_epoch"] = self.pick(1, 2, 3)
        if "targets" in data and self.chance(0.4):
            train["loss_weights"] = {name: self.pick(0.5, 2) for name in outputs if self.chance(0.7)}
        elif "targets" not in data and self.chance(0.3):
            train["lead_weights"] = [self.pick(0.5, 1, 2) for _ in range(self.future)]
        if "targets" not in data and outputs["out"][1] in PLAIN and self.chance(0.5):
            train["metrics"] = self.random.sample(["mae", "mse", "RootMeanSquaredError"], self.pick(1, 2))
        self.machine(train)
        self.followed(train)
        for key, value in train.items():
            if key not in ("loss", "epochs", "seed", "optimizer"):
                self.forms[f"{key} {value}" if isinstance(value, str | int) else key] += 1
        return {"train": train, **({"tune": self.study(train)} if self.chance(0.4) else {})}

    def summed(self, loss: Any) -> Any:
        """Return a loss, or a sum in its place."""
        if isinstance(loss, dict) or loss not in PLAIN or not self.chance(0.2):
            return loss
        self.forms["sum of losses"] += 1
        return {"sum": [loss, {"name": self.pick(*(each for each in PLAIN if each != loss)), "weight": 0.5}]}

    def optimizer(self) -> Tree:
        name = self.pick(*OPTIMIZERS)
        optimizer: Tree = {"name": name, "learning_rate": self.rate()}
        self.forms[f"optimizer {name}"] += 1
        if name == "SGD" and self.chance(0.5):
            optimizer["momentum"] = 0.9
        for options, share in ((EMA, 0.35), (CLIPPING, 0.3), (({"gradient_accumulation_steps": 2},), 0.15)):
            if self.chance(share):
                option = self.pick(*options)
                optimizer |= option
                self.forms["optimizer " + " ".join(option)] += 1
        if self.chance(0.1):
            self.forms["optimizer LossScaleOptimizer"] += 1
            optimizer.pop("gradient_accumulation_steps", None)
            return {"name": "LossScaleOptimizer", "inner_optimizer": optimizer, "initial_scale": 64.0}
        return optimizer

    def rate(self) -> Any:
        """Draw a number, or a schedule with its lengths in steps or in epochs."""
        start = self.pick(*RATES)
        if self.chance(0.4):
            return start
        kind = self.pick("warmup", "CosineDecay", "CosineDecayRestarts", "ExponentialDecay", "InverseTimeDecay")
        if self.chance(0.25):
            kind = self.pick("PolynomialDecay", "PiecewiseConstantDecay")
        self.forms[f"schedule {kind}"] += 1
        length = self.pick("1 epoch", "2 epochs", "0.5 epochs", 3, 5)
        common: Tree = {"initial_learning_rate": start, "decay_steps": length}
        if kind == "warmup":
            warmup = {"initial_learning_rate": 0.0, "warmup_target": start, "warmup_steps": self.pick("1 epoch", 2)}
            return {"name": "CosineDecay", **common, **warmup}
        if kind == "CosineDecayRestarts":
            return {"name": kind, "initial_learning_rate": start, "first_decay_steps": length, "alpha": 0.1}
        if kind == "PiecewiseConstantDecay":
            return {"name": kind, "boundaries": [self.pick("1 epoch", 2)], "values": [start, start / 2]}
        decay: Tree = {"decay_rate": 0.5} if kind in ("ExponentialDecay", "InverseTimeDecay") else {}
        if decay and self.chance(0.4):
            decay["staircase"] = True
        return {"name": kind, **common, **decay}

    def machine(self, train: Tree) -> None:
        """Draw what computes a step."""
        if self.chance(0.4):
            train["devices"] = self.pick(2, 2, [1], [0, 1], "auto", {"batch": 1, "height": 2})
        if self.chance(0.4):
            train["precision"] = self.pick("bfloat16", "auto", "float32")
        if self.chance(0.5):
            train["workers"] = self.pick(0, 2)

    def followed(self, train: Tree) -> None:
        """Draw what follows training: callbacks, loggers and early stopping."""
        optimizer = train["optimizer"]
        scheduled = isinstance(optimizer.get("inner_optimizer", optimizer)["learning_rate"], dict)
        if not scheduled and self.chance(0.6):
            plateau = {"name": "ReduceLROnPlateau", "factor": 0.5, "patience": 1, "min_delta": self.pick(0.0, 1e6)}
            train["callbacks"] = [{**plateau, "monitor": self.pick("loss", "val_loss"), "mode": "min"}]
        if self.chance(0.15):
            train["loggers"] = ["tensorboard"]
        if self.chance(0.3):
            stop = {"monitor": self.pick("val_loss", "loss"), "patience": self.pick(1, 2)}
            train["early_stopping"] = {**stop, "restore_best": self.pick(True, False)}

    def study(self, train: Tree) -> Tree:
        """Draw a search space of two trials."""
        self.forms["tune"] += 1
        optimizer = train["optimizer"]
        place = "train.optimizer" + (".inner_optimizer" if "inner_optimizer" in optimizer else "")
        rate = optimizer.get("inner_optimizer", optimizer)["learning_rate"]
        rate_path = f"{place}.learning_rate"
        if isinstance(rate, dict) and "initial_learning_rate" in rate:
            rate_path = f"{place}.learning_rate.initial_learning_rate"
        space: Tree = {
            rate_path: self.pick({"log": [1e-4, 1e-2]}, [1e-3, 2e-3]),
            "train.batch_size": self.pick([2, 3], {"int": [1, 4]}, {"int": [2, 4], "step": 2}, ["auto", 2]),
            "train.precision": ["float32", "bfloat16"],
            f"{place}.use_ema": [True, False],
            "train.optimizer": ["Adam", {"name": "SGD", "learning_rate": {**DECAY}}],
            "layers.trunk.activation": ["tanh", "relu", None],
            "train.devices": [1, 2],
        }
        if isinstance(rate, dict) and "initial_learning_rate" not in rate:
            del space[rate_path]
        paths = self.random.sample(sorted(space), self.pick(1, 2, 3))
        if "train.optimizer" in paths:
            paths = [path for path in paths if not path.startswith("train.optimizer.")]
        for path in paths:
            self.forms[f"tune {path.rpartition('.')[2]}"] += 1
        options = {
            "trials": 2,
            "pruner": "none",
            "sampler": self.pick("tpe", "random"),
            "seed": self.random.randrange(9),
        }
        return {**{path: space[path] for path in paths}, **options}


DECAY = {"name": "ExponentialDecay", "initial_learning_rate": 0.01, "decay_steps": "1 epoch", "decay_rate": 0.5}


# The learning rate, worked out a second time


def rates(optimizer: Tree, callbacks: list[Tree], steps: int, history: list[dict[str, float]]) -> list[float]:
    """Return the learning rate at the end of each epoch.

    Args:
        optimizer: as the spec has it.
        callbacks: likewise.
        steps: steps in an epoch. A schedule counts those that only accumulate gradients as well.
        history: the row of each epoch, which a plateau looks at.
    """
    own = optimizer.get("inner_optimizer", optimizer)
    rate = own["learning_rate"]
    if isinstance(rate, dict):
        return [scheduled(rate, (epoch + 1) * steps, steps) for epoch in range(len(history))]
    found, best, wait = [], math.inf, 0
    for row in history:
        found.append(rate)
        for plateau in callbacks:
            value = row[plateau["monitor"]]
            if value < best - plateau["min_delta"]:
                best, wait = value, 0
            elif (wait := wait + 1) >= plateau["patience"]:
                rate, wait = rate * plateau["factor"], 0
    return found


def scheduled(schedule: Tree, step: int, steps: int) -> float:
    """Return the learning rate of a schedule at a step, given the steps of an epoch."""

    def count(value: Any) -> float:
        if not isinstance(value, str):
            return float(value)
        return max(round(float(value.partition(" ")[0]) * steps), 1)

    name = schedule["name"]
    if name == "PiecewiseConstantDecay":
        return float(schedule["values"][step > count(schedule["boundaries"][0])])
    start, length = (
        schedule["initial_learning_rate"],
        count(schedule.get("decay_steps", schedule.get("first_decay_steps"))),
    )
    if name == "CosineDecayRestarts":
        part, passed, weight = step / length, length, 1.0
        while part >= 1:
            step, passed = step - passed, 2 * passed
            part = step / passed
        return float(start * weight * (0.9 * 0.5 * (1 + math.cos(math.pi * part)) + 0.1))
    if name == "CosineDecay":
        warmup = count(schedule["warmup_steps"]) if "warmup_steps" in schedule else 0
        if warmup and step < warmup:
            return float(start + (schedule["warmup_target"] - start) * step / warmup)
        top = schedule.get("warmup_target", start)
        return float(top * 0.5 * (1 + math.cos(math.pi * min(1, (step - warmup) / length))))
    if name == "PolynomialDecay":
        return float((start - 1e-4) * (1 - min(step, length) / length) + 1e-4)
    power = step / length
    if schedule.get("staircase"):
        power = math.floor(power)
    return float(start * 0.5**power if name == "ExponentialDecay" else start / (1 + 0.5 * power))
