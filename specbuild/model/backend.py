"""The one place that knows which framework runs underneath Keras.

TensorFlow unless the user chose otherwise with `KERAS_BACKEND` or `~/.keras/keras.json`, as Keras itself decides.
Everything else imports Keras from here, so that it is set up before its first import.
"""

from __future__ import annotations

import os
import sys
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

from specbuild.document import RunError
from specbuild.document.extras import install_framework
from specbuild.model.nvidia import DriverError, as_capability, cards


@contextmanager
def _without_start_up_notes() -> Iterator[None]:
    """Keep what TensorFlow's C++ side writes while it starts (oneDNN, missing CUDA) off the user's terminal.

    Those lines come before its log levels take effect, so the file descriptor itself is set aside. They are shown
    after all if the start fails.
    """
    sys.stderr.flush()
    with tempfile.TemporaryFile() as notes:
        kept = os.dup(2)
        os.dup2(notes.fileno(), 2)
        try:
            yield
        except BaseException:
            notes.seek(0)
            os.write(kept, notes.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)


# At level 2 oneDNN still reports, as an error, that it leaves an operation to another kernel; failures are exceptions.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
with _without_start_up_notes(), warnings.catch_warnings():
    warnings.simplefilter("ignore")
    try:
        import keras as keras  # which all others import from here
    except (ImportError, ValueError) as error:
        backend = os.environ.get("KERAS_BACKEND") or "that ~/.keras/keras.json names"
        raise RunError(
            f"Keras cannot start with the backend {backend}: {error}",
            help=f"install it with {install_framework(backend)}, or leave KERAS_BACKEND unset for TensorFlow",
        ) from error


def _divide_cpu() -> None:
    """Make several devices of the processor, as `SPECBUILD_CPU_DEVICES` asks, before the backend finds its devices."""
    count = os.environ.get(CPU_DEVICES)
    if not count:
        return
    if not count.isascii() or not count.isdecimal() or not 1 <= int(count) <= 64:
        raise RunError(
            f"{CPU_DEVICES} is {count!r}, not a whole number from 1 to 64",
            help="it divides the CPU into that many devices, to try train.devices without accelerators",
        )
    if keras.backend.backend() == "jax":
        import jax

        jax.config.update("jax_num_cpu_devices", int(count))
    elif keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        with _without_start_up_notes():
            (processor,) = tf.config.list_physical_devices("CPU")
            parts = [tf.config.LogicalDeviceConfiguration() for _ in range(int(count))]
            tf.config.set_logical_device_configuration(processor, parts)


CPU_DEVICES = "SPECBUILD_CPU_DEVICES"
"""The variable of the environment that divides the processor into devices."""
_divide_cpu()


class Registered:
    """A class whose subclasses Keras saves and loads, under `specbuild>` and their names."""

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        keras.saving.register_keras_serializable(package="specbuild")(cls)


def start() -> None:
    """Find the devices, which TensorFlow does with notes of its own at the first operation."""
    devices()


def set_seed(seed: int) -> None:
    """Set every random seed. Keras also sets that of TensorFlow where it is installed, which then starts."""
    with _without_start_up_notes():
        keras.utils.set_random_seed(seed)


def backend_name() -> str:
    """`tensorflow`, `jax` or `torch`."""
    return str(keras.backend.backend())


def has_accelerator() -> bool:
    """Whether the backend has a GPU or TPU."""
    return not device_name().startswith("cpu")


def device_name() -> str:
    """The device that training runs on: `gpu:0`, `cpu:0`."""
    return devices()[0]


def device_memory() -> int | None:
    """The bytes of memory that the framework can have on the first accelerator; None where nothing tells it."""
    if backend_name() == "jax":
        import jax

        statistics = jax.local_devices()[0].memory_stats() or {}
        return statistics.get("bytes_limit")
    if backend_name() == "torch":
        import torch

        return int(torch.cuda.get_device_properties(0).total_memory) if torch.cuda.is_available() else None
    return _tensorflow_memory()


def _tensorflow_memory() -> int | None:
    """The limit that the program has set for the first GPU, or else what the driver says of cards of its name."""
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        return None
    limits = [each.memory_limit for each in tf.config.get_logical_device_configuration(gpus[0]) or ()]
    if limits and limits[0]:
        return int(limits[0]) * 2**20
    name = tf.config.experimental.get_device_details(gpus[0]).get("device_name")
    try:
        return min((card.memory for card in cards() if card.memory and card.name == name), default=None)
    except DriverError:
        return None


def compute_capability() -> tuple[int, int] | None:
    """NVIDIA's number for what the first GPU can do, such as (8, 0); None of any other device."""
    if backend_name() == "jax":
        import jax

        return as_capability(str(getattr(jax.local_devices()[0], "compute_capability", "")))
    if backend_name() == "torch":
        import torch

        return torch.cuda.get_device_capability(0) if torch.cuda.is_available() else None
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    return tf.config.experimental.get_device_details(gpus[0]).get("compute_capability") if gpus else None


def jit_compile() -> bool | str:
    """The value of `model.compile(jit_compile=…)` that is fastest here.

    TensorFlow's XLA on a CPU runs convolutional recurrences several times slower than its own kernels; elsewhere Keras
    decides.
    """
    return False if backend_name() == "tensorflow" and not has_accelerator() else "auto"


def unrolls(length: int | None) -> bool:
    """Whether a recurrence over so many steps (None: unknown) is written out instead of looped.

    On a CPU JAX runs convolutions inside of a loop on one thread and with a slow kernel, and TensorFlow's loop takes a
    tenth longer for small frames. One step needs no loop.
    """
    return length == 1 or (length is not None and length <= LONGEST_UNROLLED and not has_accelerator())


def loops_over_remat() -> bool:
    """Whether a loop may hold steps that the backward pass recomputes; gradients through TensorFlow's loops cannot."""
    return backend_name() != "tensorflow"


LONGEST_UNROLLED = 32
"""Steps beyond which compiling an unrolled recurrence takes too long."""


@cache
def devices() -> tuple[str, ...]:
    """The devices of this process, in order: its accelerators if it has any, else `cpu:0`."""
    if backend_name() == "torch":  # for which Keras has no list
        return ("cpu:0",) if device_memory() is None else ("gpu:0",)
    with _without_start_up_notes():
        return _named(_local()) if backend_name() == "jax" else _listed()


def processes() -> int:
    """The number of processes that train together now; one that JAX has joined to others may also train by itself."""
    return _together[-1]


@contextmanager
def together(count: int) -> Iterator[None]:
    """Let `count` processes train together within the block."""
    _together.append(count)
    try:
        yield
    finally:
        _together.pop()


_together = [1]


def everywhere(names: Sequence[str]) -> list[str]:
    """Return the devices of every process that stand where those of this process with given names stand."""
    import jax

    if processes() == 1:
        return list(names)
    at = [devices().index(name) for name in names]
    return [_named(_local(process))[index] for process in range(jax.process_count()) for index in at]


def _listed() -> tuple[str, ...]:
    return tuple(str(name).lower() for name in keras.distribution.list_devices())


def _local(process: int | None = None) -> list[Any]:
    """The devices of one process on JAX; None: this one."""
    import jax

    return sorted(jax.local_devices(process), key=lambda device: int(device.id))


def _named(found: list[Any]) -> tuple[str, ...]:
    return tuple(f"{device.platform}:{device.id}" for device in found)
