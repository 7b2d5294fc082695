"""Checkpoints: a model, its optimizer and everything else needed to resume, in one file.

A `.keras` file is a zip archive. Keras stores the weights and the optimizer in it but not the state of the random
seeds that dropout draws from; these and the history stand in one more member, `specbuild.json`.
"""

from __future__ import annotations

import json
import re
import warnings
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from specbuild.document import RunError
from specbuild.runs.files import replacing

_MEMBER = "specbuild.json"
_MISFIT = re.compile(
    r"variable\.shape=\(([^)]*)\), Received: value\.shape=\(([^)]*)\)\. Target variable: <\w+ path=([^,]+)"
)


@dataclass(frozen=True, slots=True)
class Progress:
    """Progress of a run: one row per finished epoch, and the random seeds after the last."""

    history: tuple[dict[str, float], ...] = ()
    seeds: tuple[tuple[int, ...], ...] = ()

    @property
    def epoch(self) -> int:
        """The number of finished epochs."""
        return len(self.history)


def save(model: Any, path: Path, history: Sequence[dict[str, float]]) -> None:
    """Write the model, its optimizer and the progress to `path`, which exists afterwards whole or not at all."""
    from specbuild.model import save as save_model
    from specbuild.model.backend import keras

    seeds = [keras.ops.convert_to_numpy(seed).tolist() for seed in _seeds(model)]
    progress = {"history": list(history), "seeds": seeds}
    with replacing(path) as new:
        save_model(model, new)
        with zipfile.ZipFile(new, "a") as archive:
            archive.writestr(_MEMBER, json.dumps(progress))


def restore(model: Any, path: Path) -> Progress:
    """Put a checkpoint's weights, optimizer and seeds into a compiled model of the same spec.

    Raises:
        RunError: the file is damaged or belongs to another model.
    """
    progress = read(path)
    model.optimizer.build(model.trainable_variables)
    load_weights(model, path)
    seeds = _seeds(model)
    if len(seeds) != len(progress.seeds):
        raise RunError(f"{path} has {len(progress.seeds)} random seeds, the model of this spec {len(seeds)}")
    for variable, seed in zip(seeds, progress.seeds, strict=True):
        variable.assign(list(seed))
    return progress


def read(path: Path) -> Progress:
    """Return the progress that a checkpoint holds besides the model.

    Raises:
        RunError: the file is damaged.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            value = json.loads(archive.read(_MEMBER))
        return Progress(tuple(value["history"]), tuple(tuple(seed) for seed in value["seeds"]))
    except (OSError, zipfile.BadZipFile, KeyError, ValueError) as error:
        raise RunError(
            f"the checkpoint {path} cannot be read: {error}", help="delete it to continue from the one before"
        ) from error


def load_weights(model: Any, path: Path) -> None:
    """Put the weights of a `.keras` file into a model of the same spec, and its optimizer if the model has one.

    Raises:
        RunError: the file is damaged or belongs to another model.
    """
    with warnings.catch_warnings(record=True) as caught:
        # Keras warns of every part that it skips, before it fails; the error says it once.
        warnings.simplefilter("always")
        try:
            model.load_weights(path)
        except zipfile.BadZipFile as error:
            raise RunError(f"the weights in {path} cannot be read: {error}") from error
        except (OSError, ValueError, KeyError) as error:
            raise RunError(
                f"the weights in {path} do not fit the model of this spec{_misfit(str(error))}",
                help="the model is that of spec.yaml and the overrides in run.json, which must be those it was trained "
                "with; --set may change train.epochs, not layers or the kind of optimizer",
            ) from error
    for warning in caught:
        warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)


def _misfit(message: str) -> str:
    """Return the first weight that does not fit and both its shapes, if Keras's message has them; else nothing."""
    match = _MISFIT.search(message)
    if match is None:
        return ""
    here, there = (re.sub(r",? *$", "", shape).replace(", ", " × ") or "no axes" for shape in match.group(1, 2))
    layer, weight = match[3].split("/")[0], match[3].split("/")[-1]
    return f": {layer}.{weight} has {there} in the file and {here} in the model"


def _seeds(model: Any) -> list[Any]:
    """The variables of a model that Keras does not save: the states of its random seeds."""
    saved = {id(variable) for variable in model.weights}
    return [
        variable
        for variable in model.variables
        if id(variable) not in saved and variable.name == "seed_generator_state"
    ]
