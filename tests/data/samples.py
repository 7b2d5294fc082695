"""Small specs, files and models that the tests of the data stage share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import yaml

from specbuild.data import Dataset, open_data
from specbuild.document import SpecError
from specbuild.graph.model import Graph, Input, Output, Port
from specbuild.language import Spec, load_spec

RECORDS = Path(__file__).parents[2] / "specs" / "data"
"""The records that are shipped with the project."""
MRMS = RECORDS / "mrms_preciprate_20190610_36x256x256.npz"


def frames(*shape: int, seed: int = 0) -> np.ndarray:
    """Positive numbers, all different."""
    return np.random.default_rng(seed).gamma(1.0, 2.0, shape).astype(np.float32)


def write_spec(
    folder: Path,
    data: dict[str, Any],
    name: str = "spec.yaml",
    inputs: dict[str, Any] | None = None,
    outputs: dict[str, str] | None = None,
) -> Spec:
    """A loaded spec with the data section `data`; what is not given there is filled in."""
    section = {"source": {"path": "rain.npy", "layout": "T H W"}, "windows": {"past": 2, "future": 3}, **data}
    document = {
        "specbuild": 1,
        "inputs": inputs or {"rain": [None, None, None, 1]},
        "layers": [{"id": "forecast", "layer": "Conv3D", "from": "rain", "filters": 1, "kernel_size": 1}],
        "data": section,
        **({"outputs": outputs} if outputs else {}),
    }
    path = folder / name
    path.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    return load_spec(path)


def model(spec: Spec, given: tuple[int | None, ...] | None = None, read: tuple[int | None, ...] | None = None) -> Graph:
    """A graph of the shapes that fit the spec's data in two dimensions, or of the ones that are named."""
    assert spec.data is not None
    windows = spec.data.windows
    inputs = (Input("rain", read or (windows.past, None, None, 1), "float32", None),)
    outputs = (Output("forecast", Port("forecast"), given or (windows.targets, None, None, 1)),)
    return Graph("test", inputs, (), outputs, spec)


def dataset(folder: Path, values: np.ndarray, **data: Any) -> Dataset:
    """The opened data of a spec whose frames are `values` (T, H, W)."""
    np.save(folder / "rain.npy", values)
    spec = write_spec(folder, data)
    return open_data(spec, model(spec))


def message(error: SpecError) -> str:
    """What a user reads: message, reason and help of every finding."""
    return "\n".join(
        " | ".join(filter(None, (one.path, one.message, one.reason, one.help))) for one in error.diagnostics
    )
