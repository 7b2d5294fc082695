"""Whether the frames of the inputs can be divided among devices."""

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
    """Yield an error if `train.devices` divides a height that is not a multiple of its parts.

    The axes of the frames are known (`data.source.axes`).
    """
    grid = spec.train.devices
    if not isinstance(grid, DeviceGrid) or grid.height == 1:
        return
    heights = sorted({height for height, _ in frame_sizes(spec)})
    uneven = [height for height in heights if height == 0 or height % grid.height]
    if not heights:
        message, help = "no input has frames with height and width", "write a number of devices"
    elif uneven:
        size = f"a height of {uneven[0]} pixels" if uneven[0] else "a height of any size"
        message = f"{size} does not divide into {grid.height} equal parts"
        help = "train.devices: {height: N} needs N to divide the height of every input"
    else:
        return
    yield spec.error(("train", "devices"), message, help=help, code="devices")
