"""Read and check specs, with Keras where needed: the interface for Python and the command line.

The stages before the model do not use Keras. This module connects them to it: a layer without its own rule is resolved
through Keras, which is imported with the first such layer. Plugins are modules named by the caller; a spec by itself
never imports one.
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
    roots: Iterable[str | Path] = (),
) -> Spec:
    """Read and check a spec: its language, not yet its shapes (`build_graph` does those).

    Args:
        source: path of a YAML file, YAML text (recognized by its line breaks), or the same content as a mapping.
        overrides: `{"vars.filters": 64}` or `["vars.filters=64"]`, applied before variables are resolved.
        plugins: modules to import, which register custom layers.
        roots: folders besides the spec's own under which the files may lie that it names.

    Returns:
        The spec with variables, defaults and loops resolved, as values that never change.

    Raises:
        SpecError: with every fault found, each with its line and column.
    """
    import_plugins(plugins)
    return language.load_spec(source, overrides=overrides, roots=roots)


def build_graph(
    spec: Spec | str | Path | Mapping[str, Any],
    *,
    overrides: Mapping[str, Any] | Iterable[str] = (),
    plugins: Iterable[str] = (),
    roots: Iterable[str | Path] = (),
) -> Graph:
    """Return the graph of a spec, with every shape, state, weight and cost.

    Loads no framework, except for layers that only Keras knows; `Graph.resolved_by_keras` names them.

    Args:
        spec: a path, YAML text, a mapping, or the result of `load_spec`.
        overrides: `{"vars.filters": 64}` or `["vars.filters=64"]`, applied before variables are resolved.
        plugins: modules to import, which register custom layers.
        roots: folders besides the spec's own under which the files may lie that it names.

    Returns:
        The nodes in the order they run. Shapes leave out the batch axis; None is a length known only at run time.

    Raises:
        SpecError: with every fault, each with its line and column.
    """
    import_plugins(plugins)
    return static.build_graph(spec, overrides=overrides, resolver=_LazyResolver(), roots=roots)


def check(
    source: str | Path | Mapping[str, Any],
    *,
    overrides: Mapping[str, Any] | Iterable[str] = (),
    plugins: Iterable[str] = (),
    roots: Iterable[str | Path] = (),
    report: Report,
) -> Graph | None:
    """Read a spec and return its graph; put every fault of either into `report`, and return None if there is one."""
    import_plugins(plugins)
    return static.check(source, overrides=overrides, report=report, resolver=_LazyResolver(), roots=roots)


def import_plugins(modules: Iterable[str]) -> None:
    """Import the modules that register custom layers; Keras comes with them.

    Raises:
        SpecError: a module does not exist or fails.
    """
    for module in modules:
        from specbuild.model.plugins import import_plugins

        import_plugins([module])


class _LazyResolver:
    """Resolves layers through Keras, which is imported at first use."""

    def __init__(self) -> None:
        self._resolver: KerasResolver | None = None

    def resolve(self, layer: AskedLayer, inputs: tuple[Shape, ...]) -> Resolved:
        if self._resolver is None:
            from specbuild.model.resolve import KerasResolver

            self._resolver = KerasResolver()
        return self._resolver.resolve(layer, inputs)
