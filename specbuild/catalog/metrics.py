"""The names of metrics in the history."""

from collections.abc import Iterable

from specbuild.catalog.objects import KerasObject
from specbuild.catalog.signatures import signature


def reported_names(metrics: Iterable[KerasObject]) -> tuple[str | None, ...]:
    """Return the name that each metric of an output reports under; None for one that a plugin names.

    It is the name in the spec if that is in lower case (`mae`), otherwise that of the class (`io_u` for `IoU`). If
    several have the same, all but the first are numbered: `auc`, `auc_1`.
    """
    names: list[str | None] = []
    times: dict[str, int] = {}
    for metric in metrics:
        known = signature("metrics", metric.name)
        if known is None:
            names.append(None)
            continue
        name = metric.name if metric.name.islower() else known.reports
        number = times.get(name, 0)
        times[name] = number + 1
        names.append(f"{name}_{number}" if number else name)
    return tuple(names)
