"""specbuild: recurrent-convolutional models as short YAML specs.

    from specbuild import build_model, load_spec, train

Importing this loads no framework; `build_model`, `import_weights`, `train`, `evaluate`, `compare`, `predict`, `export`
and `report` do when they are first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from specbuild.version import __version__

if TYPE_CHECKING:
    from specbuild.document import RunError, SpecbuildError, SpecError
    from specbuild.evaluation import compare, evaluate
    from specbuild.exporting import export
    from specbuild.facade import build_graph, load_spec
    from specbuild.model import build_model
    from specbuild.model.mapping import import_weights
    from specbuild.prediction import Forecaster, predict
    from specbuild.reporting import report
    from specbuild.training import Run, train
    from specbuild.tuning import tune

_HOMES = {
    "Forecaster": "specbuild.prediction",
    "Run": "specbuild.training",
    "RunError": "specbuild.document",
    "SpecError": "specbuild.document",
    "SpecbuildError": "specbuild.document",
    "build_graph": "specbuild.facade",
    "build_model": "specbuild.model",
    "compare": "specbuild.evaluation",
    "evaluate": "specbuild.evaluation",
    "export": "specbuild.exporting",
    "import_weights": "specbuild.model.mapping",
    "load_spec": "specbuild.facade",
    "predict": "specbuild.prediction",
    "report": "specbuild.reporting",
    "train": "specbuild.training",
    "tune": "specbuild.tuning",
}

__all__ = [
    "Forecaster",
    "Run",
    "RunError",
    "SpecError",
    "SpecbuildError",
    "__version__",
    "build_graph",
    "build_model",
    "compare",
    "evaluate",
    "export",
    "import_weights",
    "load_spec",
    "predict",
    "report",
    "train",
    "tune",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'specbuild' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
