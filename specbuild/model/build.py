"""`build_model`: from a spec, in whatever form it comes, to a Keras model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from specbuild.graph import Graph, build_graph
from specbuild.language import Spec
from specbuild.model.choice import stock_layers
from specbuild.model.lower import build
from specbuild.model.plugins import import_plugins
from specbuild.model.resolve import KerasResolver


def build_model(
    spec: Graph | Spec | str | Path | Mapping[str, Any],
    *,
    overrides: Mapping[str, Any] | Iterable[str] = (),
    plugins: Iterable[str] = (),
    precision: str = "float32",
    stock: bool = False,
    teacher: bool = False,
) -> Any:
    """Compiles a spec into an ordinary `keras.Model`.

    Args:
        spec: a path, YAML text, a mapping, or what `load_spec` or `build_graph` gave.
        overrides: `{"vars.filters": 64}` or `["vars.filters=64"]`.
        plugins: modules to import, which register layers of their own.
        precision: a Keras dtype policy.
        stock: whether Keras's own ConvLSTM is taken even where ours is faster (see `specbuild.model.choice`).
        teacher: whether to build the model that scheduled sampling trains: one more input, `<id>_teacher`, takes the
            true future frames of each autoregressive node with `sampling`. Its weights are those of the model without.

    Returns:
        keras.Model: not compiled. Its input and layer names are the spec's ids.

    Raises:
        SpecError: with every fault of the spec, found before Keras builds anything.
    """
    import_plugins(plugins)
    if not isinstance(spec, Graph):
        spec = build_graph(spec, overrides=overrides, resolver=KerasResolver())
    with stock_layers() if stock else nullcontext():
        return build(spec, precision, teacher=teacher)
