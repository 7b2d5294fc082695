"""`specbuild import-weights` as a user runs it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from specbuild import build_model
from specbuild.cli import main
from specbuild.model.backend import keras

SPEC = "specbuild: 1\nvars: {units: 2}\ninputs: {x: [3]}\nlayers: [{id: head, layer: Dense, units: $units}]\n"
TABLE = """\
specbuild-mapping: 1
weights:
  head/kernel: {from: w, order: linear}
  head/bias: b
"""
W, B = np.arange(6, dtype="float32").reshape(2, 3), np.array([0.5, -1], "float32")
X = np.array([[1, 2, 3]], "float32")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "spec.yaml").write_text(SPEC, "utf-8")
    (tmp_path / "table.yaml").write_text(TABLE, "utf-8")
    np.savez(tmp_path / "c.npz", w=W, b=B)
    return tmp_path


def run(*arguments: str) -> Result:
    result = CliRunner().invoke(main, ["import-weights", *arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_it_lists_the_weights() -> None:
    result = run("spec.yaml", "--list", "--set", "vars.units=4")
    assert (result.exit_code, result.stdout) == (0, "head/kernel  (3, 4)\nhead/bias  (4,)\n")


def test_without_output_the_table_is_checked() -> None:
    result = run("spec.yaml", "table.yaml", "c.npz")
    assert (result.exit_code, result.stdout) == (0, "c.npz: ok (2 weights, 8 numbers)\n")


def test_prefixes_of_the_names() -> None:
    np.savez("lightning.npz", **{"model.w": W, "model.b": B, "epoch": np.array(3)})
    assert run("spec.yaml", "table.yaml", "lightning.npz", "--prefix", "model.").exit_code == 0
    assert run("spec.yaml", "table.yaml", "lightning.npz").exit_code == 2
    assert (
        run("spec.yaml", "table.yaml", "lightning.npz", "--prefix", "net.").stderr
        == """\
error: no array of the checkpoint begins with net.
  = help: it has model.w, model.b, epoch

1 error
"""
    )


def test_it_writes_weights_or_the_whole_model() -> None:
    for file in ("head.keras", "head.weights.h5"):
        assert run("spec.yaml", "table.yaml", "c.npz", "-o", file).stdout == f"wrote {file}\n"
        refused = run("spec.yaml", "table.yaml", "c.npz", "-o", file)
        assert refused.exit_code == 2
        assert f"{file} exists already; --force replaces it" in refused.stderr
        assert run("spec.yaml", "table.yaml", "c.npz", "-o", file, "--force").exit_code == 0
    whole, weights = keras.models.load_model("head.keras"), build_model("spec.yaml")
    weights.load_weights("head.weights.h5")
    for model in (whole, weights):
        np.testing.assert_allclose(model.predict(X, verbose=0), X @ W.T + B)


def test_errors_point_at_the_table() -> None:
    result = run("spec.yaml", "table.yaml", "c.npz", "--set", "vars.units=3")
    assert result.exit_code == 2
    assert (
        result.stderr
        == """\
error: head/kernel is (3, 3), and the table gives (3, 2)
 --> table.yaml:3:23  weights.head/kernel.from
  |
3 |   head/kernel: {from: w, order: linear}
  |                       ^
  | it is made from w (2, 3)

error: head/bias is (3,), and the table gives (2,)
 --> table.yaml:4:14  weights.head/bias
  |
4 |   head/bias: b
  |              ^
  | it is made from b (2,)

2 errors
"""
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["table.yaml"], "name a TABLE and a CHECKPOINT, or --list the model's weights"),
        (["table.yaml", "c.npz", "-o", "model.h5"], "its suffix must be .weights.h5 or .keras"),
    ],
)
def test_wrong_arguments(arguments: list[str], words: str) -> None:
    result = run("spec.yaml", *arguments)
    assert result.exit_code == 2
    assert words in result.stderr
