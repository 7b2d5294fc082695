"""Check the generated parts of `README.md` and `docs/install.md`, or write them.

They are a summary, an error, the list of commands and the table of extras.

python tools/readme.py            exit code 1 if a page is stale
python tools/readme.py --write
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from specbuild import build_graph
from specbuild.cli import VERBS
from specbuild.document import Report
from specbuild.document.render import render_text
from specbuild.graph import check
from specbuild.graph.summary import summarize
from specbuild.graph.tables import summary_text

ROOT = Path(__file__).parent.parent
PAGES = (ROOT / "README.md", ROOT / "docs" / "install.md")
SPEC = ROOT / "specs" / "radar_convlstm.yaml"
EXTRAS = {
    "geotiff": "GeoTIFF files",
    "grib": "GRIB files",
    "gpu": "TensorFlow with CUDA, for NVIDIA cards",
    "jax": "JAX on the CPU: `KERAS_BACKEND=jax`, or `train.backend: jax`",
    "jax-gpu": "JAX with CUDA, for NVIDIA cards",
    "pysteps": "the baselines of pySTEPS",
    "remote": "data at `https://`, `s3://` and `gs://`",
    "safetensors": "weights in `.safetensors` files",
    "units": "input frames in units other than those used in training",
    "onnx": "`specbuild export --format onnx`",
    "litert": "`specbuild export --format litert`",
    "openvino": "`specbuild export --format openvino`",
    "torch": "`specbuild export --format torch`",
    "report": "`specbuild report`",
    "tune": "`specbuild tune`",
    "tensorboard": "`train.loggers: tensorboard`",
    "mlflow": "`train.loggers: mlflow`",
    "wandb": "`train.loggers: wandb` (Weights & Biases)",
    "docs": "the documentation site: `mkdocs serve`",
    "test": "the tests: `python -m pytest`",
}
"""What each extra of pyproject.toml is for, in the order of the table."""


def summary() -> str:
    """What `specbuild summary` prints for the radar spec."""
    graph = build_graph(SPEC)
    return _fenced(summary_text(summarize(graph, batch=graph.spec.train.batch_size), width=200))


def mistake() -> str:
    """What `specbuild check` says of the radar spec with a state that does not fit."""
    report = Report()
    right = "{id: enc1, layer: ConvLSTM2D, filters: $filters}"
    text = SPEC.read_text("utf-8").replace(right, right.replace("$filters", "64"))
    check(text, report=report)
    said = (render_text(one).replace("<text>", "radar_convlstm.yaml") for one in report.sorted_errors())
    return _fenced("\n\n".join(said))


def commands() -> str:
    """The first line of every verb's help."""
    rows = [(verb, import_module(module).command.get_short_help_str(200)) for verb, module in VERBS.items()]
    lines = (f"| `specbuild {verb}` | {help} |" for verb, help in rows)
    return "\n".join(["| command | what it does |", "|---|---|", *lines])


def extras() -> str:
    """The extras of pyproject.toml, and the packages that each installs.

    Raises:
        ValueError: one has no description here.
    """
    given = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    if unknown := sorted(set(given) - set(EXTRAS)):
        raise ValueError(f"say in EXTRAS of tools/readme.py what {', '.join(unknown)} is for")
    rows = (f"| `{name}` | {text} | {_packages(name, given[name])} |" for name, text in EXTRAS.items() if name in given)
    return "\n".join(["| extra | for | packages |", "|---|---|---|", *rows])


def _packages(extra: str, requirements: list[str]) -> str:
    names = [re.split(r"[<>=!~; ]", requirement)[0] for requirement in requirements]
    return "everything that the tests and the style checks need" if extra == "test" else ", ".join(names)


PARTS: dict[str, Callable[[], str]] = {
    "summary": summary,
    "mistake": mistake,
    "commands": commands,
    "extras": extras,
}


def rewritten(page: str) -> str:
    """Return the page with the current generated parts."""
    for name, part in PARTS.items():
        marked = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.S)
        page = marked.sub(lambda match, part=part: f"{match[1]}{part()}\n{match[2]}", page)
    return page


def _fenced(text: str) -> str:
    return f"```text\n{text.strip()}\n```"


def main() -> int:
    stale = False
    for path in PAGES:
        page = path.read_text("utf-8")
        now = rewritten(page)
        if "--write" in sys.argv:
            path.write_text(now, "utf-8")
        elif page != now:
            stale = True
            print(f"{path.relative_to(ROOT)} is stale: run python tools/readme.py --write")
    return int(stale)


if __name__ == "__main__":
    sys.exit(main())
