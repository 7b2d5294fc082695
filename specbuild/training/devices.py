"""The devices that one process trains on. Imports Keras.

`batch_size` is the number of windows of a step over all devices, and a step computes what it computes on one device:
sums run over the whole batch, in another order. On JAX the batch is one array that lies in parts on the devices, and
XLA divides the whole step. On TensorFlow the layers run on each device with its part of the rows, and everything else
on the first one (see `divided.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from specbuild.language import Spec
from specbuild.language.resolved import inline
from specbuild.model.backend import backend_name, devices, everywhere, has_accelerator, keras, processes


@dataclass(frozen=True)
class Devices:
    """The devices of a run by name, such as `gpu:0`: here one, the one that the framework chooses by itself."""

    names: tuple[str, ...]
    """Those of this process."""

    @property
    def count(self) -> int:
        """The number of devices over all processes."""
        return len(self.names)

    def scope(self) -> AbstractContextManager[Any]:
        """Return what is entered while the variables of a model, its optimizer and its metrics are made."""
        return nullcontext()

    def prepare(self, model: Any) -> None:
        """Divide the steps of a compiled model whose variables exist, before it is fitted."""

    def place(self, batch: Any, rows: Callable[[], int]) -> Any:  # noqa: ARG002 - for several devices
        """Return a batch where the step reads it.

        Args:
            batch: arrays, each with a row for a sample.
            rows: gives the number of rows over all processes. Where they divide among all devices, `batch` has those of
                this process; otherwise it has all of them.
        """
        return batch

    def per_device(self, batch: int) -> int:
        """Return the rows of a batch over all processes that the device with most of them computes."""
        return -(-batch // self.count)

    def words(self, batch: int) -> str:
        """`8 windows per step, 4 on each of 2 devices`; empty for one device."""
        if self.count == 1:
            return ""
        each = f"{batch // self.count}" if batch % self.count == 0 else f"at most {self.per_device(batch)}"
        return f"{batch} windows per step, {each} on each of {self.count} devices"


class _OnJax(Devices):
    """Arrays that lie in parts on the devices: `jax.sharding` over the rows, and XLA divides the step."""

    @property
    def count(self) -> int:
        return int(self._distribution.device_mesh.devices.size)

    @cached_property
    def _distribution(self) -> Any:
        return keras.distribution.DataParallel(devices=everywhere(self.names), auto_shard_dataset=False)

    def scope(self) -> AbstractContextManager[Any]:
        scope: AbstractContextManager[Any] = self._distribution.scope()
        return scope

    def prepare(self, model: Any) -> None:
        # Keras would lay out every batch as the first one, and the last of a pass may be smaller: it sees the
        # distribution only while the steps are made, and batches come to it as they lie.
        for name in ("train_step", "test_step"):
            setattr(model, name, self._divided(getattr(model, name)))
        with self.scope():
            model.make_train_function()
            model.make_test_function()

    def place(self, batch: Any, rows: Callable[[], int]) -> Any:
        import jax

        sharding = self._by_rows if rows() % self.count == 0 else self._whole
        return _each(lambda array: jax.make_array_from_process_local_data(sharding, array), batch)

    def _divided(self, step: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
        """Return a step that divides its rows. Those that do not divide evenly come whole; XLA fills up the parts."""
        import jax

        def divided(state: Any, batch: Any) -> Any:
            return step(state, _each(lambda array: jax.lax.with_sharding_constraint(array, self._by_rows), batch))

        return divided

    @cached_property
    def _by_rows(self) -> Any:
        return self._sharding(self._distribution.batch_dim_name)

    @cached_property
    def _whole(self) -> Any:
        return self._sharding()

    def _sharding(self, *axes: str) -> Any:
        import jax

        mesh = self._distribution.device_mesh.backend_mesh
        return jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec(*axes))


class _OnTensorFlow(Devices):
    """Layers that run on every device; weights, loss and optimizer are on the first."""

    def scope(self) -> AbstractContextManager[Any]:
        import tensorflow as tf

        scope: AbstractContextManager[Any] = tf.device(self.names[0])
        return scope

    def prepare(self, model: Any) -> None:
        from specbuild.training.divided import Divided

        model.jit_compile = False  # XLA compiles for one device
        model.call = Divided(model, self.names)


_DIVIDING: dict[str, type[Devices]] = {"jax": _OnJax, "tensorflow": _OnTensorFlow}


def chosen(spec: Spec) -> Devices:
    """Return the devices that `train.devices` asks for.

    Raises:
        SpecError: this machine does not have them, or the backend trains on one device alone.
    """
    known, asked = devices(), spec.train.devices
    if asked == "auto":
        numbers: Sequence[int] = range(len(known) if has_accelerator() else 1)
    else:
        numbers = range(asked) if isinstance(asked, int) else asked
    names = tuple(known[number] for number in numbers if number < len(known))
    if len(names) < len(numbers):
        raise spec.error(
            ("train", "devices"),
            f"train.devices asks for {inline(asked)}, and this machine has {len(known)}: {', '.join(known)}",
            help="devices: auto takes all that there are",
            code="devices",
        )
    if names == known[:1] and processes() == 1:
        return Devices(names)
    if backend_name() not in _DIVIDING:
        raise spec.error(
            ("train", "devices"),
            f"{backend_name()} trains on one device here",
            help="write devices: 1, or train with KERAS_BACKEND=jax or tensorflow",
            code="devices",
        )
    taken = _DIVIDING[backend_name()](names)
    if spec.batch_size < taken.count:
        raise spec.error(
            ("train", "devices"),
            f"{taken.count} devices are too many for {spec.batch_size} windows per step",
            reason="train.batch_size is the number of windows per step over all devices",
            help=f"use at most {spec.batch_size} devices, or a larger batch_size",
            code="devices",
        )
    return taken


def _each(place: Callable[[Any], Any], batch: Any) -> Any:
    """Return a batch with every array of it placed; None stays None."""
    return keras.tree.map_structure(lambda array: None if array is None else place(array), batch)
