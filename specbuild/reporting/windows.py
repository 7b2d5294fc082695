"""The windows of a report: how well each is forecast, and which of them are shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from specbuild.catalog.baselines import PERSISTENCE
from specbuild.data import Dataset, Window
from specbuild.data.arrays import Floats
from specbuild.data.time.times import show
from specbuild.data.units import each_with_units
from specbuild.evaluation.baselines import Baseline, rivals_of
from specbuild.evaluation.ensembles import ScoredForecast, baseline_forecast, model_forecast
from specbuild.evaluation.scores import Frame
from specbuild.evaluation.scores.errors import measure
from specbuild.evaluation.scores.errors import rmse as root_mean_square
from specbuild.runs.trained import TrainedRun

MOST = 60
"""Windows that are forecast to find the best and the worst."""


@dataclass(frozen=True, slots=True)
class ScoredWindow:
    """A window and the RMSE of its forecasts, over all lead times, pixels and variables of the first output.

    Attributes:
        number: its number in the split, counted from 1.
        label: the time of its last past frame, or its number where that is not known.
        errors: by the name of the forecast, in physical units.
        why: how it was chosen to be shown; empty where it is not shown.
    """

    number: int
    event: int
    start: int
    label: str
    errors: dict[str, float]
    why: str = ""


@dataclass(frozen=True)
class Looker:
    """What forecasts windows of a run: its model, and the strongest baseline."""

    trained: TrainedRun
    rival: str = PERSISTENCE
    _rules: dict[str, Baseline] = field(default_factory=dict, repr=False)

    @property
    def views(self) -> list[Dataset]:
        """The data as each output is compared with them."""
        return list(self.trained.dataset.views.values()) or [self.trained.dataset]

    @property
    def split(self) -> str:
        """The split whose windows are shown: that for tests, where there is one."""
        splits = self.trained.dataset.splits
        return next(name for name in ("test", "validation", "train") if name in splits)

    def forecast(self, view: Dataset, event: int, start: int) -> ScoredForecast:
        """Return the forecast of one output, (F, *space, C), and its distribution where it has one."""
        return model_forecast(self.trained, view, self.trained.dataset.window(event, start))

    def baseline(self, view: Dataset, window: Window) -> tuple[str, Floats]:
        """Return the strongest baseline and its forecast; persistence for an output that does not have it."""
        if view.output not in self._rules:
            rules = {rule.name: rule for rule in rivals_of(self.trained.spec, view)}
            self._rules[view.output] = rules.get(self.rival, rules[PERSISTENCE])
        rule = self._rules[view.output]
        return rule.name, baseline_forecast(rule, window, chance=False, event=view.is_event).frames


@dataclass(frozen=True, slots=True)
class LookedAt:
    """The windows of a split that were forecast, of how many, and those of them that were left out."""

    split: str
    windows: tuple[ScoredWindow, ...]
    total: int
    left_out: tuple[tuple[int, int], ...]
    units: str
    """Units of the errors; empty if they are not known."""
    pooled: str
    """The variables with their units if the errors pool different units; empty otherwise."""

    @property
    def sampled(self) -> bool:
        """Whether some windows of the split were not looked at."""
        return self.total > len(self.windows) + len(self.left_out)


def look_at(looker: Looker, most: int = MOST) -> LookedAt:
    """Forecast the windows of a split, at most so many evenly spread ones, and measure the error of each."""
    view, split = looker.views[0], looker.split
    windows = view.split(split)
    numbers = spread(len(windows), most)
    found, left_out = [], []
    for number in numbers:
        event, start = windows[number]
        window = view.window(event, start)
        if view.skipped.skips((event, start), (window.past_frames, window.future_frames), window.past, window.future):
            left_out.append((event, start))
            continue
        name, rival = looker.baseline(view, window)
        errors = {
            "model": rmse(looker.forecast(view, event, start).frames, window.future),
            name: rmse(rival, window.future),
        }
        found.append(ScoredWindow(number + 1, event, start, _label(view, window), errors))
    labels = view.labels
    return LookedAt(split, tuple(found), len(windows), tuple(left_out), labels.common_units, each_with_units(labels))


def _label(view: Dataset, window: Window) -> str:
    times = view.source.times(window.event)
    if times is not None:
        return show(times[window.past_frames[-1]])
    event = f"event {window.event + 1}, " if view.source.events > 1 else ""
    return f"{event}frame {window.past_frames[-1]}"


def chosen(windows: Sequence[ScoredWindow], count: int) -> tuple[ScoredWindow, ...]:
    """Return the windows to show, in their order: the best, the worst and the median, then others evenly spread.

    A window without a known error is chosen only among the others.
    """
    known = sorted((w for w in windows if np.isfinite(w.errors["model"])), key=lambda w: w.errors["model"])
    reasons: dict[int, str] = {}
    if known:
        for window, why in ((known[-1], "worst"), (known[0], "best"), (known[len(known) // 2], "median")):
            if len(reasons) < count:
                reasons.setdefault(window.number, why)
    others = [window.number for window in windows if window.number not in reasons]
    for place in spread(len(others), max(count - len(reasons), 0)):
        reasons[others[place]] = "evenly spaced"
    return tuple(replace(window, why=reasons[window.number]) for window in windows if window.number in reasons)


def rmse(forecast: Floats, observed: Floats) -> float:
    """Return the root of the mean squared error over the values that both know; NaN where there are none."""
    return float(root_mean_square(np.array(measure(Frame(forecast, observed)), np.float64)))


def spread(count: int, most: int) -> list[int]:
    """Return at most `most` numbers below `count`, evenly spaced, with the first and the last."""
    if count <= most:
        return list(range(count))
    if most < 2:
        return [count // 2][:most]
    return [int(number) for number in np.unique(np.linspace(0, count - 1, most).round())]
