"""The scripts of `tools/` and `benchmarks/`: each is a module under its own name, by which they import each other."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parent.parent
TOOLS = ROOT / "tools"
BENCHMARKS = ROOT / "benchmarks"


def tool(name: str) -> ModuleType:
    """Return a script of `tools/` as a module."""
    return _script(TOOLS, name)


def benchmark_script(name: str) -> ModuleType:
    """Return a script of `benchmarks/` as a module."""
    return _script(BENCHMARKS, name)


def _script(folder: Path, name: str) -> ModuleType:
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
    return importlib.import_module(name)
