"""Whether the values that `specbuild tune` tries fit the data. Imports no framework."""

from __future__ import annotations

from collections.abc import Callable

from specbuild.document import Diagnostic, Report, SpecError
from specbuild.graph import Graph
from specbuild.graph.space import check_space
from specbuild.training.opened import open_everything


def check_with_data(graph: Graph, read: Callable[[tuple[str, ...]], Graph], report: Report) -> None:
    """Report every choice, and every end of a range, with which the data cannot be opened, such as windows too long.

    The data are opened once for all values that do not change how they are opened.

    Args:
        graph: of the spec, whose data can be opened.
        read: returns its graph with some overrides, or raises a SpecError.
        report: takes the errors.
    """
    known: dict[str, tuple[Diagnostic, ...]] = {_read_by(graph): ()}

    def faults(changes: tuple[str, ...]) -> tuple[Diagnostic, ...]:
        try:
            varied = read(changes)
            key = _read_by(varied)
            if key not in known:
                known[key] = _faults_of(varied)
        except SpecError as error:
            return error.diagnostics
        return known[key]

    if graph.spec.tuning is not None:
        check_space(graph.spec.tuning.space, faults, report, what="data")


def _read_by(graph: Graph) -> str:
    """Return everything that determines how the data are opened."""
    spec = graph.spec
    shapes = [(each.id, each.shape) for each in graph.inputs], [(each.name, each.shape) for each in graph.outputs]
    train = spec.train
    return repr((spec.data, spec.evaluate, train.loss, train.init_from, train.loggers, shapes))


def _faults_of(graph: Graph) -> tuple[Diagnostic, ...]:
    try:
        open_everything(graph)
    except SpecError as error:
        return error.diagnostics
    return ()
