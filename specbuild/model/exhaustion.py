"""Errors that say that memory ran out, whichever framework or library raised them."""

from __future__ import annotations

from collections.abc import Iterator

_TYPES = ("ResourceExhaustedError", "OutOfMemoryError")
"""Names of the frameworks' exceptions."""
_OTHERS = ("InternalError", "UnknownError", "NotFoundError")
"""Names of exceptions of TensorFlow that may mean it, besides every RuntimeError."""
_WORDS = (
    *("RESOURCE_EXHAUSTED", "Out of memory", "OOM when allocating", "out of memory", "bad_alloc"),
    *("CUDA_ERROR_OUT_OF_MEMORY", "ALLOC_FAILED", "failed to allocate memory", "can't allocate memory"),
)
"""What these say."""


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error, or one that it comes from, says that memory ran out."""
    return any(
        isinstance(each, MemoryError)
        or type(each).__name__ in _TYPES
        or (_may_mean_it(each) and any(word in str(each) for word in _WORDS))
        for each in with_causes(error)
    )


def _may_mean_it(error: BaseException) -> bool:
    return isinstance(error, RuntimeError) or type(error).__name__ in _OTHERS


def with_causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error, and those that it comes from or that were handled when it came, each once."""
    known: set[int] = set()
    left: list[BaseException | None] = [error]
    while left:
        each = left.pop()
        if each is not None and id(each) not in known:
            known.add(id(each))
            yield each
            left += [each.__cause__, each.__context__]
