"""Search for better values of a spec with Optuna, each trial an ordinary run. Optuna loads with the first use.

The package is not called `tune`: as an attribute of `specbuild` it would hide the function of that name.
"""

from specbuild.tuning.result import Study, TrialResult
from specbuild.tuning.tune import tune

__all__ = ["Study", "TrialResult", "tune"]
