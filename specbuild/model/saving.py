"""Saving a model so that it loads without specbuild wherever Keras has all its layers."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

from specbuild.catalog import KINDS
from specbuild.catalog.registry import OURS
from specbuild.model.backend import keras

_CONFIG = "config.json"
_TWINS = {f"specbuild>{kind}": kind for kinds in OURS.values() for kind in kinds.split() if hasattr(keras.layers, kind)}


def save(model: Any, path: str | Path) -> None:
    """Write a model, with its optimizer if it has one, as a `.keras` file.

    Our LSTM, GRU and SimpleRNN, and our ConvLSTM where it has no option of its own, are written as Keras's layers of
    those names, whose weights are the same. Other layers of ours stay as they are: `import specbuild.model` before
    loading a file with one.

    Args:
        model: a `keras.Model`.
        path: with the suffix `.keras`.
    """
    model.save(path)
    with zipfile.ZipFile(path) as archive:
        text = archive.read(_CONFIG).decode()
    config = json.loads(text)
    stock = with_stock_layers(config)
    if stock != config:
        _replace(Path(path), json.dumps(stock))


def with_stock_layers(config: Any) -> Any:
    """Return the configuration of a model or layer, as JSON, with Keras's layers wherever they can replace ours."""
    if isinstance(config, list):
        return [with_stock_layers(entry) for entry in config]
    if not isinstance(config, dict):
        return config
    if config.get("registered_name") == "specbuild>Autoregressive":
        return config  # It is ours in any case, and its steps are faster with our layers inside.
    config = {key: with_stock_layers(value) for key, value in config.items()}
    name = _TWINS.get(str(config.get("registered_name")))
    kind: Any = None if name is None else KINDS[name]
    if kind is None or kind.model_construct(**config["config"]).origin != "keras":
        return config
    arguments = {
        name: value for name, value in config["config"].items() if name not in getattr(kind, "beyond_keras", ())
    }
    return {
        **config,
        "module": "keras.layers",
        "class_name": kind.__name__,
        "config": arguments,
        "registered_name": None,
    }


def _replace(path: Path, text: str) -> None:
    """Put another configuration into a `.keras` file."""
    new = path.with_name(f".{path.name}.new")
    try:
        with zipfile.ZipFile(path) as old, zipfile.ZipFile(new, "w") as archive:
            for member in old.infolist():
                archive.writestr(member, text if member.filename == _CONFIG else old.read(member))
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)
