"""Pictures of frames: a forecast or a window of the data as a strip or an animation."""

from specbuild.pictures.drawing import DRAW, draw_animation, draw_sample, draw_strip, save_figure
from specbuild.pictures.scene import ColourScale, Scene, forecast_scene, scale_of

__all__ = [
    "DRAW",
    "ColourScale",
    "Scene",
    "draw_animation",
    "draw_sample",
    "draw_strip",
    "forecast_scene",
    "save_figure",
    "scale_of",
]
