"""Training a model into a run folder. Frameworks load with the first use.

The package is not called `train`: as an attribute of `specbuild` it would hide the function of that name.
"""

from specbuild.training.interrupt import Interrupted
from specbuild.training.run import Run
from specbuild.training.train import train

__all__ = ["Interrupted", "Run", "train"]
