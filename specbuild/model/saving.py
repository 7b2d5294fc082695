"""Saving a model so that it loads without specbuild wherever Keras has all its layers, in the same bytes each time."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from specbuild.catalog import KINDS
from specbuild.catalog.registry import OURS
from specbuild.model.backend import keras

_CONFIG, _METADATA = "config.json", "metadata.json"
_SHARED = re.compile(r'("shared_object_id": )(\d+)')
_TWINS = {f"specbuild>{kind}": kind for kinds in OURS.values() for kind in kinds.split() if hasattr(keras.layers, kind)}


class _Memory(io.BytesIO):
    """A `.keras` file in memory; Keras wants a name with that suffix."""

    def __str__(self) -> str:
        return "model.keras"


def save(model: Any, path: str | Path) -> None:
    """Write a model, with its optimizer if it has one, as a `.keras` file.

    Our LSTM, GRU and SimpleRNN, and our ConvLSTM where it has no option of its own, are written as Keras's layers of
    those names, whose weights and results are the same, except behind a mask. Other layers of ours stay as they are:
    `import specbuild.model` before loading a file with one.

    Args:
        model: a `keras.Model`.
        path: with the suffix `.keras`.

    Raises:
        ValueError: it has another suffix.
    """
    if Path(path).suffix != ".keras":
        raise ValueError(f"expected a file name that ends in .keras, got {path}")
    write_members(members(model), path)


def members(model: Any) -> dict[str, bytes]:
    """Return what the `.keras` file of a model consists of, by the names of the archive's members.

    It depends on the model alone: Keras's time of saving is left out, and the objects that layers share are numbered in
    their order instead of by their addresses.
    """
    buffer = _Memory()
    keras.saving.save_model(model, buffer)
    with zipfile.ZipFile(buffer) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    config = json.dumps(with_stock_layers(json.loads(parts[_CONFIG])))
    numbers: dict[str, int] = {}
    config = _SHARED.sub(lambda match: f"{match[1]}{numbers.setdefault(match[2], len(numbers))}", config)
    metadata = json.loads(parts[_METADATA])
    metadata.pop("date_saved", None)
    return {**parts, _METADATA: json.dumps(metadata).encode(), _CONFIG: config.encode()}


def write_members(members: Mapping[str, bytes], path: str | Path) -> None:
    """Write an archive with these members, which is the same whenever it is written."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content)


def with_stock_layers(config: Any) -> Any:
    """Return the configuration of a model or layer, as JSON, with Keras's layers wherever they can replace ours."""
    if isinstance(config, list):
        return [with_stock_layers(entry) for entry in config]
    if not isinstance(config, dict):
        return config
    if config.get("registered_name") == "specbuild>Autoregressive" or _is_masked(config):
        # Autoregressive is ours in any case, and its steps are faster with our layers inside.
        return config
    config = {key: with_stock_layers(value) for key, value in config.items()}
    name = _TWINS.get(str(config.get("registered_name")))
    kind: Any = None if name is None else KINDS[name]
    if kind is None or kind.model_construct(**config["config"]).origin != "keras":
        return config
    beyond = getattr(kind, "beyond_keras", ())
    arguments = {name: value for name, value in config["config"].items() if name not in beyond}
    return {
        **config,
        "module": "keras.layers",
        "class_name": kind.__name__,
        "config": arguments,
        "registered_name": None,
    }


def _is_masked(config: dict[str, Any]) -> bool:
    """Whether a layer of a model is called with a mask, which changes what Keras's recurrent layers compute.

    A model inside of a model is called with a list: the mask of each input, or None.
    """
    nodes = config.get("inbound_nodes") or ()
    masks = [node.get("kwargs", {}).get("mask") for node in nodes if isinstance(node, dict)]
    return any(mask is not None for mask in keras.tree.flatten(masks))
