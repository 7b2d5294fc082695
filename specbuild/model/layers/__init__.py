"""Keras layers of our own, by what they do. Each is registered under `specbuild>` so that saved models load again."""

from __future__ import annotations

from typing import Any

from specbuild.model.layers.arithmetic import Clip, Divide, Elementwise, Reduce
from specbuild.model.layers.autoregressive import Autoregressive
from specbuild.model.layers.conv_gru import ConvGRU1D, ConvGRU2D, ConvGRU3D
from specbuild.model.layers.conv_lstm import ConvLSTM1D, ConvLSTM2D, ConvLSTM3D
from specbuild.model.layers.moving import (
    DepthToSpace,
    ExpandDims,
    Gather,
    LastFrame,
    Slice,
    SpaceToDepth,
    Squeeze,
    Stack,
)
from specbuild.model.layers.repeat_frame import RepeatFrame
from specbuild.model.layers.st_lstm import STLSTM2D
from specbuild.model.layers.traj_gru import TrajGRU2D

LAYERS: dict[str, type[Any]] = {
    "Clip": Clip,
    "ConvGRU1D": ConvGRU1D,
    "ConvGRU2D": ConvGRU2D,
    "ConvGRU3D": ConvGRU3D,
    "ConvLSTM1D": ConvLSTM1D,
    "ConvLSTM2D": ConvLSTM2D,
    "ConvLSTM3D": ConvLSTM3D,
    "DepthToSpace": DepthToSpace,
    "Divide": Divide,
    "Elementwise": Elementwise,
    "ExpandDims": ExpandDims,
    "Gather": Gather,
    "LastFrame": LastFrame,
    "Reduce": Reduce,
    "RepeatFrame": RepeatFrame,
    "STLSTM2D": STLSTM2D,
    "Slice": Slice,
    "SpaceToDepth": SpaceToDepth,
    "Squeeze": Squeeze,
    "Stack": Stack,
    "TrajGRU2D": TrajGRU2D,
}
"""The Keras class of each kind whose package is specbuild."""

__all__ = ["LAYERS", "Autoregressive", *LAYERS]
