"""How much faster `specbuild summary` is than a script that imports Keras and prints the same model's summary.

    python benchmarks/summary.py [SPEC …] [--repeats N]

Both run as whole processes, in turns, so that other load on the machine affects both alike; the best processor time of
each counts, which is the time that passes on an idle machine, as both use one core. The other side is the shortest
honest script: it loads a Keras model's JSON configuration, builds it and prints `model.summary()`. Below the table are
the time of `specbuild --help`, and that of a Python which only imports the libraries that every check needs and defines
a model with them: no spec can be read in less.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from check import ROOT, seconds

_KERAS = """
import sys
from pathlib import Path
import keras
{layers}
keras.models.model_from_json(Path(sys.argv[1]).read_text()).summary()
"""
_LIBRARIES = """
import click, pydantic, yaml
class Model(pydantic.BaseModel):
    value: int = 1
Model()
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("specs", nargs="*", type=Path, default=sorted((ROOT / "specs").glob("*.yaml")))
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    print(f"{'spec':<24} {'specbuild':>10} {'Keras':>10} {'ratio':>7}")
    for spec in options.specs:
        ours, theirs = measure(spec, options.repeats)
        print(f"{spec.stem:<24} {ours:>8.3f} s {theirs:>8.3f} s {theirs / ours:>6.1f}×")
    for name, arguments in (("specbuild --help", ["-m", "specbuild", "--help"]), ("libraries", ["-c", _LIBRARIES])):
        print(f"{name:<24} {min(seconds([sys.executable, *arguments]) for _ in range(options.repeats)):>8.3f} s")


def measure(spec: Path, repeats: int) -> tuple[float, float]:
    """Return the seconds that the fastest run of each takes, of `repeats`, after one that is not counted."""
    from specbuild import build_model

    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "model.json"
        config.write_text(build_model(spec).to_json())
        layers = "import specbuild.model.layers" if "specbuild>" in config.read_text() else ""
        ours = [sys.executable, "-m", "specbuild", "summary", str(spec)]
        theirs = [sys.executable, "-c", _KERAS.format(layers=layers), str(config)]
        _, *runs = [(seconds(ours), seconds(theirs)) for _ in range(repeats + 1)]
    return min(ours for ours, _ in runs), min(theirs for _, theirs in runs)


if __name__ == "__main__":
    main()
