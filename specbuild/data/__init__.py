"""The data of a spec: windows, splits and transforms. NumPy only; frames are read lazily."""

from specbuild.data.climatology import Climatology
from specbuild.data.samples.dataset import Dataset
from specbuild.data.samples.opening import open_data
from specbuild.data.samples.sampler import Sampler
from specbuild.data.samples.tiles import Tiling
from specbuild.data.samples.windows import Window
from specbuild.data.transforms.pipeline import Transform

__all__ = ["Climatology", "Dataset", "Sampler", "Tiling", "Transform", "Window", "open_data"]
