"""Reading and checking a spec, asking Keras where needed: what Python and the command line use.

The stages before the model know no Keras. Here they are joined with it: a layer without a rule of its own is resolved
through Keras, which is imported with the first such layer and not before. Plugins are modules that the caller names; a
spec alone never imports one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from specbuild.document import Report
from specbuild.graph import Graph
from specbuild.graph import build as static
from specbuild.language import Spec
from specbuild.language import load as language

if TYPE_CHECKING:
    from specbuild.catalog import Shape
    from specbuild.catalog.generic import AskedLayer, Resolved
    from specbuild.model.resolve import KerasResolver


def load_spec(
    source: str | Path | Mapping[str, Any],
    *,
    overrides: Mapping[str, Any] | Iterable[str] = (),
    plugins: Iterable[str] = (),
) -> Spec:
    """Read and check a spec: its language, not yet its shapes (`build_graph` does those).

    Args:
        source: path of a YAML file, YAML text (recognised by its line breaks), or the same content as a mapping.
        overrides: `{"vars.filters": 64}` or `["vars.filters=64"]`, applied before variables are resolved.
        plugins: modules to import, which register layers of their own.

    Raises:
        SpecError: with every fault found, each with its line and column.
    """
    import_plugins(plugins)
    return language.load_spec(source, overrides=overrides)


def build_graph(
    spec: Spec | str | Path | Mapping[str, Any],
    *,
    overrides: Mapping[str, Any] | Iterable[str] = (),
    plugins: Iterable[str] = (),
) -> Graph:
    """Return the graph of a spec, with every shape, state, weight and cost worked out.

    Loads no framework, unless the spec has layers without a rule of their own; `Graph.resolved_by_keras` names those.

    Raises:
        SpecError: with everything that does not fit, each with its line and column.
    """
    import_plugins(plugins)
    return static.build_graph(spec, overrides=overrides, resolver=_LazyResolver())


def check(
    source: str | Path | Mapping[str, Any],
    *,
    overrides: Mapping[str, Any] | Iterable[str] = (),
    plugins: Iterable[str] = (),
    report: Report,
) -> Graph | None:
    """Read a spec and return its graph; put every fault of either into `report`, and return None if there is one."""
    import_plugins(plugins)
    return static.check(source, overrides=overrides, report=report, resolver=_LazyResolver())


def import_plugins(modules: Iterable[str]) -> None:
    """Import the modules that register custom layers; Keras comes with them.

    Raises:
        SpecError: a module does not exist or fails.
    """
    for module in modules:
        from specbuild.model.plugins import import_plugins

        import_plugins([module])


class _LazyResolver:
    """Asks Keras, which is imported with the first question."""

    def __init__(self) -> None:
        self._resolver: KerasResolver | None = None

    def resolve(self, layer: AskedLayer, inputs: tuple[Shape, ...]) -> Resolved:
        if self._resolver is None:
            from specbuild.model.resolve import KerasResolver

            self._resolver = KerasResolver()
        return self._resolver.resolve(layer, inputs)
