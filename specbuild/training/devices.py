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

from specbuild.document import SpecError
from specbuild.graph.device_checks import crowded, device_faults, frame_sizes
from specbuild.language import Spec
from specbuild.language.resolved import inline
from specbuild.language.sections.train import DeviceGrid
from specbuild.model.backend import backend_name, devices, everywhere, has_accelerator, keras, processes


@dataclass(frozen=True)
class Devices:
    """The devices of a run by name, such as `gpu:0`: here one, the one that the framework chooses by itself."""

    names: tuple[str, ...]
    """Those of this process."""
    height: int = 1
    """The number of parts of the height of each window."""
    frames: frozenset[tuple[int, ...]] = frozenset()
    """Height and width of the inputs, where the height is divided."""

    @property
    def count(self) -> int:
        """The number of devices over all processes."""
        return len(self.names)

    @property
    def label(self) -> str:
        """`gpu:0, gpu:1`; where several processes train together, `gpu:0, gpu:1 (8 in all processes)`."""
        own = ", ".join(self.names)
        return own if self.count == len(self.names) else f"{own} ({self.count} in all processes)"

    @property
    def parts(self) -> int:
        """The number of parts that the windows of a step are divided into, over all processes."""
        return self.count // self.height

    def scope(self) -> AbstractContextManager[Any]:
        """Return what is entered while the variables of a model, its optimizer and its metrics are made."""
        return nullcontext()

    def prepare(self, model: Any) -> None:
        """Divide the steps of a compiled model whose variables exist, before it is fitted."""

    def notes(self, model: Any) -> list[str]:  # noqa: ARG002 - for several devices
        """Return what a user should know of how a compiled model is divided."""
        return []

    def place(self, batch: Any, rows: Callable[[], int]) -> Any:  # noqa: ARG002 - for several devices
        """Return a batch where the step reads it.

        Args:
            batch: arrays, each with a row for a sample.
            rows: gives the number of rows over all processes. Where they divide into `parts`, `batch` has those of this
                process; otherwise it has all of them.
        """
        return batch

    def per_device(self, batch: int) -> int:
        """Return the windows of a batch over all processes that the device with most of them computes."""
        return -(-batch // self.parts)

    def words(self, batch: int) -> str:
        """`8 windows per step, 4 on each of 2 devices`; empty for one device."""
        if self.count == 1:
            return ""
        each = f"{batch // self.parts}" if batch % self.parts == 0 else f"at most {self.per_device(batch)}"
        part = f", 1/{self.height} of their height" if self.height > 1 else ""
        return f"{batch} windows per step, {each} on each of {self.count} devices{part}"


class _OnJax(Devices):
    """Arrays that lie in parts on the devices (`jax.sharding`); XLA divides the step."""

    @property
    def count(self) -> int:
        return int(self._distribution.device_mesh.devices.size)

    @cached_property
    def _distribution(self) -> Any:
        names = everywhere(self.names)
        shape = (len(names) // self.height, self.height)
        mesh = keras.distribution.DeviceMesh(shape, ["batch", "height"], names)
        # Every variable is whole on every device: the layout names none.
        return keras.distribution.ModelParallel(
            layout_map=keras.distribution.LayoutMap(mesh), batch_dim_name="batch", auto_shard_dataset=False
        )

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

        across = "batch" if rows() % self.parts == 0 else None
        return _each(lambda array: jax.make_array_from_process_local_data(self._lies(array, across), array), batch)

    def _divided(self, step: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
        """Return a step that divides its rows. Those that do not divide evenly come whole; XLA fills up the parts."""
        import jax

        def divided(state: Any, batch: Any) -> Any:
            return step(
                state, _each(lambda array: jax.lax.with_sharding_constraint(array, self._lies(array, "batch")), batch)
            )

        return divided

    def _lies(self, array: Any, across: str | None) -> Any:
        """Return how an array lies on the devices: its rows across an axis of them, and its height if that is divided.

        Arrays with other frames than the inputs, and without any, are not divided by their height.
        """
        import jax

        axes: list[str | None] = [across]
        if self.height > 1:
            shape = tuple(array.shape)
            frame = next((axis for axis in range(1, len(shape) - 1) if shape[axis : axis + 2] in self.frames), None)
            axes += [None] * (frame - 1) + ["height"] if frame is not None else []
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

    def notes(self, model: Any) -> list[str]:
        from specbuild.training.divided import reads_all_rows

        plain = keras.layers.BatchNormalization
        alone = [layer.name for layer in model.layers if type(layer) is not plain and reads_all_rows(layer)]
        if not alone:
            return []
        return [
            f"{', '.join(alone)}: computed on {self.names[0]} alone in training, as TensorFlow does not divide layers "
            "that read the whole batch; KERAS_BACKEND=jax does"
        ]


_DIVIDING: dict[str, type[Devices]] = {"jax": _OnJax, "tensorflow": _OnTensorFlow}


_AVAILABLE = "write devices: auto, which uses all devices"
_WITHOUT_ACCELERATORS = (
    "leave devices out: there is no accelerator; SPECBUILD_CPU_DEVICES={} divides the CPU, to try it"
)


def chosen(spec: Spec) -> Devices:
    """Return the devices that `train.devices` asks for.

    Raises:
        SpecError: this machine does not have them, or they cannot divide a step on this backend.
    """
    known, asked = devices(), spec.train.devices
    if asked == "auto":
        numbers: Sequence[int] = range(len(known) if has_accelerator() else 1)
    elif isinstance(asked, DeviceGrid):
        numbers = range(asked.batch * asked.height)
    else:
        numbers = range(asked) if isinstance(asked, int) else asked
    names = tuple(known[number] for number in numbers if number < len(known))
    if len(names) < len(numbers):
        taking = f"{inline(asked)}, {len(numbers)} devices" if isinstance(asked, DeviceGrid) else inline(asked)
        raise _error(
            spec,
            f"train.devices asks for {taking}, and this machine has {len(known)}: {', '.join(known)}",
            reason="" if isinstance(asked, int | DeviceGrid) else "devices are numbered from 0",
            help=_AVAILABLE if has_accelerator() else _WITHOUT_ACCELERATORS.format(max(numbers) + 1),
        )
    if names == known[:1] and processes() == 1:
        return Devices(names)
    if backend_name() not in _DIVIDING:
        raise _error(
            spec,
            f"{backend_name()} trains on one device here",
            help="write devices: 1, or train with KERAS_BACKEND=jax or tensorflow",
        )
    height = asked.height if isinstance(asked, DeviceGrid) else 1
    taken = _DIVIDING[backend_name()](names, height, frame_sizes(spec) if height > 1 else frozenset())
    for error in crowded(spec, taken.count, height):
        raise error
    if height > 1:
        _check_height(spec)
    return taken


def _check_height(spec: Spec) -> None:
    """Refuse a height that cannot be divided.

    Raises:
        SpecError: the backend does not, or the frames of an input have no height of so many equal parts.
    """
    if backend_name() != "jax":
        raise _error(
            spec,
            f"{backend_name()} does not divide the height of frames",
            help="train with KERAS_BACKEND=jax, or divide only the windows of a step: devices: 2",
        )
    for error in device_faults(spec):
        raise error


def _error(spec: Spec, message: str, *, help: str, reason: str = "") -> SpecError:
    return spec.error(("train", "devices"), message, reason=reason, help=help, code="devices")


def _each(place: Callable[[Any], Any], batch: Any) -> Any:
    """Return a batch with every array of it placed; None stays None."""
    return keras.tree.map_structure(lambda array: None if array is None else place(array), batch)
