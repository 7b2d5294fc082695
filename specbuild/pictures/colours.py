"""The colors of values: how a scale is drawn, wherever it is."""

from __future__ import annotations

from matplotlib import colormaps
from matplotlib.colors import Colormap, Normalize, PowerNorm

from specbuild.pictures.scene import ColourScale

MISSING_GREY = "#9a9a9a"
DIFFERENCES = "RdBu_r"
"""The colors of differences: red above 0, white at 0, blue below."""


def norm_of(scale: ColourScale) -> Normalize:
    """Return what maps values to the colors of a scale, 0 to 1."""
    return PowerNorm(0.5, scale.low, scale.high) if scale.skewed else Normalize(scale.low, scale.high)


def colormap_of(scale: ColourScale) -> Colormap:
    """Return the colors of a scale, gray where a value is missing."""
    return colormaps["magma" if scale.skewed else "viridis"].with_extremes(bad=MISSING_GREY)


def colormap_of_differences() -> Colormap:
    """Return the colors of differences, gray where one is missing."""
    return colormaps[DIFFERENCES].with_extremes(bad=MISSING_GREY)
