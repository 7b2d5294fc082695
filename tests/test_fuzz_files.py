"""A short run of `tools/fuzz_files.py`: damaged files of every format are read or refused."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

TOOL = Path(__file__).parent.parent / "tools" / "fuzz_files.py"


def test_damaged_files_are_read_or_refused() -> None:
    command = [sys.executable, TOOL, "--cases", "300", "--seed", "2026"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stdout
    counts = {name: int(count) for name, count in re.findall(r"^  (.*): (\d+)$", ended.stdout, re.MULTILINE)}
    assert sum(count for name, count in counts.items() if name.endswith(" read")) > 40
    assert sum(count for name, count in counts.items() if "refused" in name) > 100
