"""The table of kinds says what the modules hold, and reads no more of them than is asked for."""

from __future__ import annotations

import inspect
import subprocess
import sys
from importlib import import_module

import pytest

from specbuild.catalog import KINDS, Layer
from specbuild.catalog.base import Recurrent
from specbuild.catalog.registry import MODULES
from specbuild.model.backend import keras
from specbuild.model.layers import LAYERS


@pytest.mark.parametrize("module", MODULES)
def test_the_table_says_what_the_module_holds(module: str) -> None:
    classes = inspect.getmembers(import_module(f"specbuild.catalog.{module}"), inspect.isclass)
    own = {name: cls for name, cls in classes if issubclass(cls, Layer) and cls.__module__.endswith(f".{module}")}
    kinds = {name: cls for name, cls in own.items() if not cls.__subclasses__()}
    assert {kind: KINDS[kind] for kind in MODULES[module].split()} == kinds
    assert all(cls.__name__ == kind for kind, cls in kinds.items())


def test_every_kind_of_our_own_has_a_keras_class_of_its_name() -> None:
    ours = [kind for kind, cls in KINDS.items() if cls.package == "specbuild" or issubclass(cls, Recurrent)]
    assert sorted(LAYERS) == sorted(ours)
    assert all(cls.__name__ == kind and issubclass(cls, keras.layers.Layer) for kind, cls in LAYERS.items())
    assert all(keras.saving.get_registered_object(f"specbuild>{kind}") is cls for kind, cls in LAYERS.items())


def test_a_kind_stands_in_one_module() -> None:
    kinds = [kind for kinds in MODULES.values() for kind in kinds.split()]
    assert len(kinds) == len(set(kinds)) == len(KINDS) > 80


def test_only_what_is_asked_for_is_read() -> None:
    code = "import sys; from specbuild.catalog import KINDS; KINDS['Dense']; 'LSTM' in KINDS; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "specbuild.catalog.core" in loaded
    assert "specbuild.catalog.recurrent" not in loaded
    assert "specbuild.catalog.convolution" not in loaded
