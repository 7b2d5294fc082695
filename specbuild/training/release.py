"""The release of what Keras's `fit` holds when training breaks off."""

from __future__ import annotations

import gc
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from specbuild.model.exhaustion import with_causes
from specbuild.model.keras_internals import release_validation


@contextmanager
def releasing_iterators(model: Any) -> Iterator[None]:
    """Release the iterators over batches when training breaks off.

    The frames of Keras's `fit` hold them, and the traceback holds the frames until Python ends. TensorFlow would then
    wait for the thread that fills them, which can no longer run Python, and the process would never end.
    """
    try:
        yield
    except BaseException as error:
        _clear_frames(error)
        release_validation(model)
        gc.collect()
        raise


def _clear_frames(error: BaseException) -> None:
    """Clear the local variables of every frame that has ended and that an error or its context refers to.

    Keras leaves its own frames out of the traceback; its callbacks' frames still refer to them as their callers.
    """
    for each in with_causes(error):
        for frame, _ in traceback.walk_tb(each.__traceback__):
            caller: FrameType | None = frame
            while caller is not None:
                try:
                    caller.clear()
                except RuntimeError:  # it is still running, and so are its callers
                    break
                caller = caller.f_back
