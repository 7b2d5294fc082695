"""Puts the shipped specs, and the data that they name, into the built package as `specbuild/templates`.

Everything else about the build is in pyproject.toml. A checkout and an editable install read `specs/` itself.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

SPECS = Path(__file__).parent / "specs"


class BuildWithTemplates(build_py):
    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            for source, place in shipped():
                target = Path(self.build_lib, "specbuild", "templates", place)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, target)


def shipped() -> list[tuple[Path, Path]]:
    """Each file to ship and its place below `templates`: every spec, and of `specs/data` what a spec names."""
    specs = sorted(SPECS.rglob("*.yaml"))
    said = "".join(spec.read_text("utf-8") for spec in specs)
    data = [file for file in sorted((SPECS / "data").iterdir()) if file.name in said or file.name == "README.md"]
    return [(file, file.relative_to(SPECS)) for file in (*specs, *data)]


setup(cmdclass={"build_py": BuildWithTemplates})
