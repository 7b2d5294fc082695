"""Whether the windows of a step, and the frames of the inputs, can be divided among devices."""

from collections.abc import Iterator

from specbuild.document import SpecError
from specbuild.language import Spec
from specbuild.language.sections.train import DeviceGrid


def frame_sizes(spec: Spec) -> frozenset[tuple[int, ...]]:
    """Return height and width of every input that has both, 0 for an axis of any size."""
    if spec.data is None or len(spec.data.source.space) != 2:
        return frozenset()
    shapes = (x.section.shape for x in spec.inputs)
    return frozenset(tuple(size or 0 for size in shape[-3:-1]) for shape in shapes if len(shape) > 2)


def device_faults(spec: Spec) -> Iterator[SpecError]:
    """Yield an error if `train.devices` names more devices than a step has windows, or divides a height unevenly.

    The axes of the frames are known (`data.source.axes`).
    """
    asked = spec.train.devices
    height = asked.height if isinstance(asked, DeviceGrid) else 1
    if asked != "auto" and not isinstance(spec.train.batch_size, str):
        written = asked if isinstance(asked, int) else asked.batch if isinstance(asked, DeviceGrid) else len(asked)
        yield from crowded(spec, written * height, height)
    if height == 1:
        return
    heights = sorted({rows for rows, _ in frame_sizes(spec)})
    uneven = [rows for rows in heights if rows == 0 or rows % height]
    if not heights:
        message, help = "no input has frames with height and width", "write a number of devices"
    elif uneven:
        size = f"a height of {uneven[0]} pixels" if uneven[0] else "a height of any size"
        message = f"{size} does not divide into {height} equal parts"
        help = "train.devices: {height: N} needs N to divide the height of every input"
    else:
        return
    yield _fault(spec, message, help=help)


def crowded(spec: Spec, devices: int, height: int) -> Iterator[SpecError]:
    """Yield an error if some of the devices would have no window of a step.

    Args:
        spec: with the number of windows per step.
        devices: how many there are.
        height: the number of them that share a window.
    """
    windows = spec.batch_size
    if windows < devices // height:
        yield _fault(
            spec,
            f"{devices} devices are too many for a batch_size of {windows}",
            reason="it is the number of windows per step over all devices",
            help=f"choose a larger batch_size, or {windows * height} as the number of devices",
        )


def _fault(spec: Spec, message: str, *, reason: str = "", help: str) -> SpecError:
    return spec.error(("train", "devices"), message, reason=reason, help=help, code="devices")
