"""Every script in `examples/` runs, in a folder of its own, and prints what it is there to show."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SHOWN: dict[str, tuple[str, ...]] = {
    "build_and_train": ("enc1", "(1, 4, 32, 32, 1) -> (1, 6, 32, 32, 1)", "RMSE of rain rate", "run folder: runs"),
    "custom_layer": (
        'no plugin has registered the package "my_layers"',
        "gate gives (16, 16, 6) and has 6 parameters",
        'has no argument "begin"',
        "[0.9 0.9 0.9 0.9 0.9 0.9]",
    ),
    "import_keras_model": (
        "  - {id: decoder, layer: ConvLSTM2D, filters: 8, kernel_size: 3, padding: same, initial_state: encoder}",
        "largest difference of the outputs: ",
        "error: running_sum is a Lambda, which a spec cannot say",
    ),
    "overrides": ("\n     32     12 ", "enc1 with a kernel of 5 x 5", "vars.filter does not exist"),
    "spec_in_python": ("output (6, 32, 32, 1)", "  - {id: dec1, layer: ConvLSTM2D", "help: set filters: 8 on dec1"),
}
"""Words of what each prints."""
MODULES = {"my_layers"}
"""Files beside the scripts that a script reads."""


def test_every_example_is_run() -> None:
    assert {path.stem for path in (ROOT / "examples").glob("*.py")} == set(SHOWN) | MODULES


@pytest.mark.parametrize(("name", "shown"), SHOWN.items(), ids=SHOWN)
def test_example(name: str, shown: tuple[str, ...], tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8", "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, str(ROOT / "examples" / f"{name}.py")]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, encoding="utf-8", timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    missing = [text for text in shown if text not in done.stdout]
    assert not missing, done.stdout
    for difference in re.findall(r"largest difference of the outputs: (\S+)", done.stdout):
        assert float(difference) < 1e-6


def test_the_docstrings_say_how_to_run_them() -> None:
    for name in SHOWN:
        text = (ROOT / "examples" / f"{name}.py").read_text("utf-8")
        assert f"\n    python examples/{name}.py\n" in text
