"""`build_model`: from a spec, in whatever form it comes, to a Keras model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from specbuild.graph import Graph, build_graph
from specbuild.model.lower import build
from specbuild.spec import Spec


def build_model(
    spec: Graph | Spec | str | Path | Mapping[str, Any],
    *,
    overrides: Mapping[str, Any] | Iterable[str] = (),
    precision: str = "float32",
) -> Any:
    """Compiles a spec into an ordinary `keras.Model`.

    Args:
        spec: a path, YAML text, a mapping, or what `load_spec` or `build_graph` gave.
        overrides: `{"vars.filters": 64}` or `["vars.filters=64"]`.
        precision: a Keras dtype policy.

    Returns:
        keras.Model: not compiled. Its input and layer names are the spec's ids.

    Raises:
        SpecError: with every fault of the spec, found before Keras builds anything.
    """
    graph = spec if isinstance(spec, Graph) else build_graph(spec, overrides=overrides)
    return build(graph, precision)
