"""The values that a trial draws, repeatable after any interruption. Imports Optuna."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from specbuild.language import normalize
from specbuild.language.tuning import Dimension

if TYPE_CHECKING:
    import optuna


def suggest(trial: optuna.trial.Trial, dimension: Dimension) -> Any:
    """Return what Optuna draws for a path in a trial; if it was drawn before, the same."""
    if dimension.range is None:
        return trial.suggest_categorical(dimension.path, [_label(choice) for choice in dimension.choices])
    (low, _), (high, _) = dimension.extremes
    if dimension.step is not None:
        return trial.suggest_int(dimension.path, low, high, step=dimension.step)
    return trial.suggest_float(dimension.path, low, high, log=dimension.log)


def override(dimension: Dimension, drawn: Any) -> str:
    """Return the override `path=value` of what Optuna drew."""
    return normalize({dimension.path: _value(dimension, drawn)})[0]


def drawn(params: Mapping[str, Any], space: Iterable[Dimension]) -> dict[str, Any]:
    """Return what Optuna drew as values of the spec, by path, in the order of the space."""
    known = {
        dimension.path: _value(dimension, params[dimension.path]) for dimension in space if dimension.path in params
    }
    return {**known, **{path: value for path, value in params.items() if path not in known}}


def _value(dimension: Dimension, drawn: Any) -> Any:
    """Return the value of the spec that Optuna drew."""
    if dimension.range is not None:
        return drawn
    return next(choice for choice in dimension.choices if _same(_label(choice), drawn))


def _label(choice: Any) -> Any:
    """Return a choice as Optuna keeps it: a list or a mapping as the text of its YAML."""
    return choice if isinstance(choice, str | int | float | None) else normalize({"": choice})[0].removeprefix("=")


def _same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and one == other


def sampler(kind: str, seed: int) -> optuna.samplers.BaseSampler:
    """Return a sampler whose draws depend on the seed, the number of the trial and the finished trials alone.

    A sampler of Optuna goes on from its last draw, so that a process that is started again would repeat the first draws
    of its seed. This one starts afresh for each value.
    """
    from optuna.samplers import BaseSampler, RandomSampler, TPESampler

    def fresh(*parts: object) -> BaseSampler:
        text = "/".join(map(str, (seed, *parts)))
        number = zlib.crc32(text.encode())
        return TPESampler(seed=number) if kind == "tpe" else RandomSampler(seed=number)

    class Repeatable(BaseSampler):  # type: ignore[misc]
        """Asks a new sampler, with a seed of its own, for each value."""

        def infer_relative_search_space(self, study: Any, trial: Any) -> Any:
            return fresh(trial.number).infer_relative_search_space(study, trial)

        def sample_relative(self, study: Any, trial: Any, search_space: Any) -> Any:
            return fresh(trial.number).sample_relative(study, trial, search_space)

        def sample_independent(self, study: Any, trial: Any, param_name: str, param_distribution: Any) -> Any:
            return fresh(trial.number, param_name).sample_independent(study, trial, param_name, param_distribution)

    return Repeatable()
