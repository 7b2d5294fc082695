"""Which class stands for a layer that both Keras and specbuild have: whichever is measured to be faster.

That is ConvLSTM without options of our own. Weights, their names, first values and results are the same, so the choice
changes nothing but the time. (On JAX ours also keeps the state of a stateful layer from call to call; Keras's loses it
in compiled ones.) `benchmarks/recurrent.py` measures it; docs/performance.md holds the numbers.

| backend    | device      | class    | why                                                                          |
| ---------- | ----------- | -------- | ---------------------------------------------------------------------------- |
| TensorFlow | CPU         | Keras's  | neither is ahead throughout, and Keras's is everywhere                       |
| JAX        | CPU         | ours     | unrolled: XLA trains Keras's loop more than 10 times slower                  |
| any        | accelerator | ours     | one convolution a step in place of eight; expected, not measured             |

Keras's own class is taken everywhere with `SPECBUILD_STOCK_LAYERS=1`, or by `build_model(…, stock=True)`. What
`specbuild.model.save` writes names Keras's class in either case.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from specbuild.catalog import Layer
from specbuild.model.backend import backend_name, has_accelerator
from specbuild.model.layers import LAYERS


def is_ours(layer: Layer) -> bool:
    """Whether a layer of the catalogue becomes a class of `LAYERS`: Keras has none for it, or a slower one."""
    if layer.origin == "specbuild":
        return True
    return layer.kind in LAYERS and not _stock.get() and not _asked_for_stock() and ours_is_faster()


def ours_is_faster() -> bool:
    """The table above, for the backend and device at hand."""
    return has_accelerator() or backend_name() != "tensorflow"


@contextmanager
def stock_layers() -> Iterator[None]:
    """Keras's own classes wherever it has them, for what is built inside."""
    before = _stock.set(True)
    try:
        yield
    finally:
        _stock.reset(before)


_stock: ContextVar[bool] = ContextVar("stock", default=False)


def _asked_for_stock() -> bool:
    return os.environ.get("SPECBUILD_STOCK_LAYERS", "0") not in ("", "0")
