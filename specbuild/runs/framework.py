"""The framework under Keras, which a spec chooses with `train.backend` before Keras is imported. Imports none."""

from __future__ import annotations

import os
import sys
from typing import get_args

from specbuild.document.extras import install_framework, missing
from specbuild.language import Spec
from specbuild.language.sections.train import Backend

BACKENDS: tuple[Backend, ...] = get_args(Backend)

_VARIABLE = "KERAS_BACKEND"
_named = ""
"""What this process itself has put into `KERAS_BACKEND`, rather than the user."""


def settle(spec: Spec, recorded: Backend | None = None) -> None:
    """Make Keras start with the framework that the spec names; for `auto`, the faster one.

    Args:
        spec: of the model.
        recorded: the framework that a run began with, which it keeps under `auto`.

    Raises:
        SpecError: `KERAS_BACKEND` names another, Keras runs on another already, or it is not installed.
    """
    _withdraw()
    wanted = spec.train.backend
    if wanted == "auto":
        prefer(recorded or faster())
    if wanted is None or wanted == "auto":
        return
    place = ("train", "backend")
    started, variable = _started(), os.environ.get(_VARIABLE)
    if started is not None and started != wanted:
        raise spec.error(
            place,
            f"the spec asks for {wanted}, but Keras already runs on {started}",
            reason="a Python process has one framework, which is chosen when Keras is first imported",
            help=f"start a new process, or leave train.backend out to train on {started}",
            code="backend",
        )
    if variable and variable != wanted:
        raise spec.error(
            place,
            f"the spec asks for {wanted}, but {_VARIABLE} for {variable}",
            help=f"unset {_VARIABLE}, or leave train.backend out",
            code="backend",
        )
    if not _installed(wanted):
        raise spec.error(
            place, f"{wanted} is not installed", help=f"install it with: {install_framework(wanted)}", code="backend"
        )
    if not variable:
        _name(wanted)


def _name(backend: Backend) -> None:
    global _named
    os.environ[_VARIABLE] = _named = backend


def _withdraw() -> None:
    """Forget the framework that an earlier call named, if that call ended before Keras was started."""
    global _named
    if _named and _started() is None and os.environ.get(_VARIABLE) == _named:
        del os.environ[_VARIABLE]
    _named = ""


def faster() -> Backend:
    """Return the installed framework that trains models faster.

    That is TensorFlow: a training step of small convolutional recurrences takes as long on JAX as on TensorFlow or
    longer, and JAX takes longer to compile the first. docs/performance.md has the measurements.
    """
    return "tensorflow" if _installed("tensorflow") or not _installed("jax") else "jax"


def prefer(backend: Backend | None) -> None:
    """Make Keras start with a framework if nothing has settled that yet and the framework is installed."""
    if backend is not None and _started() is None and not os.environ.get(_VARIABLE) and _installed(backend):
        _name(backend)


def _started() -> str | None:
    """Return the framework that Keras runs on, once it is imported."""
    keras = sys.modules.get("keras")
    return None if keras is None else str(keras.backend.backend())


def _installed(backend: str) -> bool:
    return not missing((backend,))
