"""The table of Keras's names and arguments is what the installed Keras says."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from specbuild.catalog.losses import SIGNATURES
from specbuild.catalog.signatures import keras_version, names, signature
from specbuild.model.backend import keras

TOOL = Path(__file__).parents[2] / "tools" / "keras_signatures.py"

only_with_its_keras = pytest.mark.skipif(
    keras.__version__ != keras_version(), reason=f"the table was written from Keras {keras_version()}"
)


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("keras_signatures", TOOL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@only_with_its_keras
def test_the_table_is_fresh(tool: ModuleType) -> None:
    fresh = tool.render(tool.table())
    assert tool.TABLE.read_text(encoding="utf-8") == fresh, "run python tools/keras_signatures.py"


def test_check_fails_on_a_stale_table(
    tool: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stale = tmp_path / "keras_signatures.json"
    stale.write_text("{}\n", encoding="utf-8")
    monkeypatch.setattr(tool, "TABLE", stale)
    monkeypatch.setattr("sys.argv", ["keras_signatures.py", "--check"])
    assert tool.main() == 1
    assert "keras_signatures.json does not fit Keras" in capsys.readouterr().err
    assert stale.read_text(encoding="utf-8") == "{}\n"

    monkeypatch.setattr("sys.argv", ["keras_signatures.py"])
    assert tool.main() == 0
    monkeypatch.setattr("sys.argv", ["keras_signatures.py", "--check"])
    assert tool.main() == 0


FAMILIES: list[tuple[Any, Any]] = [
    ("losses", keras.losses),
    ("metrics", keras.metrics),
    ("initializers", keras.initializers),
    ("regularizers", keras.regularizers),
    ("constraints", keras.constraints),
    ("activations", keras.activations),
]
BEYOND_GET = {"l1_l2", "acc", "CategoricalGeneralizedCrossEntropy", "categorical_generalized_cross_entropy"}
"""Names that Keras exports or that `compile` knows, but not `keras.<family>.get`."""


UNMADE_BY_NAME = {"Constant"}
"""What Keras cannot make from its bare name, although each of its arguments has a default."""


@only_with_its_keras
@pytest.mark.parametrize(("family", "module"), FAMILIES)
def test_keras_knows_every_name(family: Any, module: Any) -> None:
    for name in set(names(family)) - BEYOND_GET - set(SIGNATURES):
        known = signature(family, name)
        assert known is not None
        assert hasattr(module, known.name)
        if not known.required and known.name not in UNMADE_BY_NAME:
            module.get(name)
