"""The list of layer kinds and their modules. A module is imported when one of its kinds is first used.

A spec uses a handful of the hundred kinds, and defining a class takes longer than reading a spec.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module

from specbuild.catalog.base import Layer

OURS: dict[str, str] = {
    "recurrent": "LSTM GRU SimpleRNN",
    "conv_lstm": "ConvLSTM1D ConvLSTM2D ConvLSTM3D",
    "conv_gru": "ConvGRU1D ConvGRU2D ConvGRU3D",
    "st_lstm": "STLSTM2D",
    "traj_gru": "TrajGRU2D",
    "warp": "Warp",
    "plumbing": ("LastFrame RepeatFrame ZerosLike Slice SplitPart Gather Roll Stack ExpandDims Squeeze"),
    "patches": "SpaceToDepth DepthToSpace",
    "arithmetic": "Elementwise Clip Divide MatMul Reduce",
    "equation": "Equation",
    "constant": "Constant",
    "local": "LocalBias LocalScale",
    "variational": "GaussianSampling",
}
"""The kinds in modules of the catalog that have a Keras class of ours, in `specbuild.model.layers.<module>`."""

MODULES: dict[str, str] = {
    **OURS,
    "convolution": (
        "Conv1D Conv2D Conv3D Conv1DTranspose Conv2DTranspose Conv3DTranspose SeparableConv1D SeparableConv2D "
        "DepthwiseConv1D DepthwiseConv2D"
    ),
    "pooling": (
        "MaxPooling1D MaxPooling2D MaxPooling3D AveragePooling1D AveragePooling2D AveragePooling3D "
        "GlobalMaxPooling1D GlobalMaxPooling2D GlobalMaxPooling3D GlobalAveragePooling1D "
        "GlobalAveragePooling2D GlobalAveragePooling3D"
    ),
    "core": "Dense Embedding Masking Identity",
    "activation": "Activation ReLU LeakyReLU PReLU ELU Softmax",
    "normalization": (
        "BatchNormalization LayerNormalization GroupNormalization RMSNormalization UnitNormalization Rescaling"
    ),
    "regularization": (
        "Dropout AlphaDropout SpatialDropout1D SpatialDropout2D SpatialDropout3D GaussianDropout "
        "GaussianNoise ActivityRegularization"
    ),
    "reshaping": (
        "UpSampling1D UpSampling2D UpSampling3D ZeroPadding1D ZeroPadding2D ZeroPadding3D Cropping1D "
        "Cropping2D Cropping3D Flatten Reshape Permute RepeatVector"
    ),
    "merging": "Concatenate Add Multiply Average Maximum Minimum Subtract Dot",
}
"""The kinds that each module of the catalog describes: the one list of them."""


class _Kinds(Mapping[str, type[Layer]]):
    """Kinds by Keras's class name, each read from its module at first use."""

    def __init__(self, modules: Mapping[str, str]) -> None:
        self._modules = {kind: module for module, kinds in modules.items() for kind in kinds.split()}

    def __getitem__(self, kind: str) -> type[Layer]:
        cls: type[Layer] = getattr(import_module(f"specbuild.catalog.{self._modules[kind]}"), kind)
        return cls

    def __contains__(self, kind: object) -> bool:
        return kind in self._modules

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __len__(self) -> int:
        return len(self._modules)


KINDS: Mapping[str, type[Layer]] = _Kinds(MODULES)
"""What `layer:` can name with a rule of its own. The wrappers have forms of their own in the language."""


def kind_named(name: str) -> type[Layer] | None:
    """Return the class that `layer:` names: a kind with a rule of its own, another layer of Keras, or `package>Class`.

    Aliases of Keras, such as AvgPool2D, give the kinds that they stand for.
    """
    if name in KINDS:
        return KINDS[name]
    from specbuild.catalog.generic import other_kind

    return other_kind(name)


def kind_names() -> tuple[str, ...]:
    """Return the kinds that `layer:` can name, without plugins."""
    from specbuild.catalog.generic import other_names

    return (*KINDS, *other_names())


def argument_names(cls: type[Layer]) -> tuple[str, ...] | None:
    """Return the arguments of a kind under their names in a spec; None where only the plugin knows them."""
    if cls.package == "plugin":
        return None
    return tuple(field.alias or name for name, field in cls.model_fields.items())
