"""Forecasting further, or less far, than a model was trained for: which values of its spec that changes."""

from __future__ import annotations

from collections.abc import Iterator

from specbuild.document import Mapping, Node, Scalar, Sequence, parse
from specbuild.language import Spec

FORMS = ("autoregressive", "encoder_decoder")
"""The forms of node that have a horizon of their own."""


def horizon_overrides(spec: Spec, frames: int) -> tuple[str, ...]:
    """Overrides with which the model of a spec, and its windows, forecast `frames` frames.

    Where `data.windows.future` is a variable, as in `$future`, it is that variable, on which the model depends as well.
    Otherwise it is the number itself and the `horizon` of every node that has one. The splits are given up: a longer
    window may not fit into them, and nothing but the end of the data is read. So are weights of lead times, which only
    training uses.
    """
    variable = _variable(parse(spec.written, "spec.yaml"))
    if variable is not None and variable in spec.vars:
        changed = [f"vars.{variable}={frames}"]
    else:
        changed = ["data.windows.future=" + str(frames), *(f"{path}.horizon={frames}" for path in _horizons(spec))]
    split = _at(spec.document, "data", "split")
    if isinstance(split, Mapping):
        changed.append("data.split.train=1")
        changed += [f"data.split.{key}=null" for key in split.names() if key in ("validation", "test", "embargo")]
    if spec.train.lead_weights is not None:
        changed.append("train.lead_weights=null")
    return tuple(changed)


def _variable(written: Node) -> str | None:
    """The variable that `data.windows.future` is; None where it is a number or an expression."""
    future = _at(written, "data", "windows", "future")
    text = str(future.value) if isinstance(future, Scalar) else ""
    return text[1:] if text.startswith("$") and text[1:].isidentifier() else None


def _horizons(spec: Spec) -> Iterator[str]:
    layers = spec.document.get("layers")
    for item in layers.items if isinstance(layers, Sequence) else ():
        identity = item.get("id") if isinstance(item, Mapping) else None
        if not isinstance(item, Mapping) or not isinstance(identity, Scalar):
            continue
        for form in FORMS:
            if _at(item, form, "horizon") is not None:
                yield f"layers.{identity.value}.{form}"


def _at(node: Node | None, *keys: str) -> Node | None:
    for key in keys:
        node = node.get(key) if isinstance(node, Mapping) else None
    return node
