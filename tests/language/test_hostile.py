"""Hostile specs: each is refused at its place, with exit code 2, in little time and memory, and runs nothing.

On an idle machine the longest takes a second or two. Without its limit it would take hours, so the processor time
allowed is a minute, which no load on the machine uses up. Every case is a process of its own, forked from one that has
specbuild loaded, so that its time and memory are those of the check.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.language.hostile_cases import FILES, LARGE, OVERRIDES, RIGHT, SPECS

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="each case is forked, so that it can be measured")

SECONDS, MEGABYTES = 60, 300
SECRET = "hunter2"

RUNNER = """
import json, os, resource, signal, sys, traceback
import specbuild.cli, specbuild.cli.check, specbuild.facade

limit = int(sys.argv[2])
results = {}
for name, (folder, arguments) in json.load(sys.stdin).items():
    os.chdir(folder)
    child = os.fork()
    if child == 0:
        output = os.open("output", os.O_WRONLY | os.O_CREAT)
        os.dup2(output, 1)
        os.dup2(output, 2)
        resource.setrlimit(resource.RLIMIT_CPU, (limit, limit))
        signal.alarm(600)  # what waits uses no processor time
        code = 99
        try:
            specbuild.cli.main(["check", *arguments])
        except SystemExit as end:
            code = end.code or 0
        except BaseException:
            traceback.print_exc()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    _, status, used = os.wait4(child, 0)
    with open("output", encoding="utf-8", errors="replace") as output:
        said = output.read(20_000)
    os.remove("output")
    results[name] = [os.waitstatus_to_exitcode(status), used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, said]
with open(sys.argv[1], "w", encoding="utf-8") as file:
    json.dump(results, file)
"""


@dataclass(frozen=True)
class Verdict:
    code: int
    seconds: float
    megabytes: float
    said: str


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Verdict]:
    """What `specbuild check` makes of each case."""
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "large.yaml").write_text(LARGE, "utf-8")
    cases: dict[str, tuple[str, list[str]]] = {}
    for number, (name, (text, _)) in enumerate(SPECS.items()):
        cases[name] = str(furnished(folder / f"spec{number}", "hostile.yaml", text)), ["hostile.yaml"]
    home = str(furnished(folder / "others", "right.yaml", RIGHT))
    cases |= {name: (home, [name]) for name in FILES}
    cases |= {text: (home, ["right.yaml", "--set", text]) for text in OVERRIDES}
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "PYTHONIOENCODING": "utf-8"}
    command = [sys.executable, "-c", RUNNER, str(folder / "results"), str(SECONDS)]
    subprocess.run(command, input=json.dumps(cases), env=environment, text=True, check=True)
    assert not list(folder.rglob("ran")), "code of a spec ran"
    return {name: Verdict(*found) for name, found in json.loads((folder / "results").read_text("utf-8")).items()}


def furnished(folder: Path, name: str, text: str) -> Path:
    """A new folder with a spec, with what is not a file, and with what nobody shall see."""
    folder.mkdir()
    (folder / name).write_text(text, "utf-8")
    (folder / "folder").mkdir()
    (folder / "circle").symlink_to("circle")
    (folder / "away.npy").symlink_to("/etc/passwd")
    (folder / "secret.yaml").write_text(f"name: of a service\npassword: {SECRET}\n", "utf-8")
    (folder / "broken.yaml").write_text(f"password: {SECRET}\n}}\n", "utf-8")
    (folder / "header.npy").write_bytes(b"\x93NUMPY\x02\x00\xff\xff\xff\xff" + bytes(100_000))
    os.mkfifo(folder / "pipe")
    os.mkfifo(folder / "pipe.npy")
    return folder


MESSAGES = {name: message for name, (_, message) in SPECS.items()} | FILES | OVERRIDES


@pytest.mark.parametrize("name", MESSAGES, ids=lambda name: ascii(name[:40]))
def test_hostile(verdicts: dict[str, Verdict], name: str) -> None:
    verdict = verdicts[name]
    first, second, *_ = verdict.said.splitlines()
    assert first.startswith(f"error: {MESSAGES[name]}")
    assert "Traceback" not in verdict.said
    assert SECRET not in verdict.said
    assert "root:" not in verdict.said
    assert verdict.code == 2
    assert verdict.seconds < SECONDS
    assert verdict.megabytes < MEGABYTES
    assert second.lstrip().startswith("--> ") or name in FILES or "larger than" in first
