"""Plugins: modules of users that register custom Keras layers. They are named by the caller, never by a spec."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable
from pathlib import Path

from specbuild.document import Diagnostic, SpecError
from specbuild.model.backend import keras

__all__ = ["import_plugins", "keras"]  # Keras is set up before a plugin imports it.


def import_plugins(modules: Iterable[str]) -> None:
    """Import the modules that register custom layers, found as Python finds them or in the working directory.

    Raises:
        SpecError: a module does not exist or fails.
    """
    for name in modules:
        if name in sys.modules:
            continue
        sys.path.append(str(Path.cwd()))
        try:
            importlib.import_module(name)
        except Exception as error:  # a module can fail in any way
            missing = isinstance(error, ModuleNotFoundError) and f"{name}.".startswith(f"{error.name}.")
            raise SpecError([_missing(name) if missing else _failing(name, error)]) from error
        finally:
            sys.path.pop()


def _missing(name: str) -> Diagnostic:
    return Diagnostic(
        f'there is no module "{name}" to load as a plugin',
        reason="it is looked for where Python looks, and in the working directory",
        help=f"name it as Python imports it: {name.removesuffix('.py')}" if name.endswith(".py") else "",
        code="plugin",
    )


def _failing(name: str, error: Exception) -> Diagnostic:
    return Diagnostic(f"the plugin {name} cannot be imported", reason=f"{type(error).__name__}: {error}", code="plugin")
