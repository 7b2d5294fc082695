"""The table of kinds says what the modules hold, and reads no more of them than is asked for."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest

from specbuild.catalog import KINDS
from specbuild.catalog.registry import MODULES


@pytest.mark.parametrize("module", MODULES)
def test_the_table_says_what_the_module_holds(module: str) -> None:
    held = [kind.__name__ for kind in import_module(f"specbuild.catalog.{module}").KINDS]
    assert MODULES[module].split() == held
    assert all(KINDS[kind].__name__ == kind for kind in held)


def test_a_kind_stands_in_one_module() -> None:
    kinds = [kind for kinds in MODULES.values() for kind in kinds.split()]
    assert len(kinds) == len(set(kinds)) == len(KINDS) > 80


def test_only_what_is_asked_for_is_read() -> None:
    code = "import sys; from specbuild.catalog import KINDS; KINDS['Dense']; 'LSTM' in KINDS; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "specbuild.catalog.core" in loaded
    assert "specbuild.catalog.recurrent" not in loaded
    assert "specbuild.catalog.convolution" not in loaded
