"""Which module describes each layer kind. Modules are imported when one of their kinds is first asked for.

A spec uses a handful of the hundred kinds, and defining a class takes longer than reading a spec.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module

from specbuild.catalog.base import Layer

MODULES: dict[str, str] = {
    "conv_lstm": "ConvLSTM1D ConvLSTM2D ConvLSTM3D",
    "conv_gru": "ConvGRU1D ConvGRU2D ConvGRU3D",
    "st_lstm": "STLSTM2D",
    "traj_gru": "TrajGRU2D",
    "recurrent": "LSTM GRU SimpleRNN",
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
    "normalization": "BatchNormalization LayerNormalization GroupNormalization RMSNormalization UnitNormalization",
    "regularization": (
        "Dropout AlphaDropout SpatialDropout1D SpatialDropout2D SpatialDropout3D GaussianDropout "
        "GaussianNoise ActivityRegularization"
    ),
    "reshaping": (
        "UpSampling1D UpSampling2D UpSampling3D ZeroPadding1D ZeroPadding2D ZeroPadding3D Cropping1D "
        "Cropping2D Cropping3D Flatten Reshape Permute RepeatVector"
    ),
    "merging": "Concatenate Add Multiply Average Maximum Minimum Subtract Divide Dot",
    "frames": "RepeatFrame",
    "plumbing": "LastFrame Slice Gather Stack ExpandDims Squeeze SpaceToDepth DepthToSpace",
    "arithmetic": "Elementwise Clip Rescaling Reduce",
}
"""The kinds that each module of the catalogue describes."""


class _Kinds(Mapping[str, type[Layer]]):
    """Kinds by Keras's class name, each read from its module at first use."""

    def __init__(self, modules: Mapping[str, str]) -> None:
        self._module = {kind: module for module, kinds in modules.items() for kind in kinds.split()}
        self._read: dict[str, type[Layer]] = {}

    def __getitem__(self, kind: str) -> type[Layer]:
        if kind not in self._read:
            module = import_module(f"specbuild.catalog.{self._module[kind]}")
            self._read.update({cls.__name__: cls for cls in module.KINDS})
        return self._read[kind]

    def __contains__(self, kind: object) -> bool:
        return kind in self._module

    def __iter__(self) -> Iterator[str]:
        return iter(self._module)

    def __len__(self) -> int:
        return len(self._module)


KINDS: Mapping[str, type[Layer]] = _Kinds(MODULES)
"""What `layer:` can name with a rule of its own. The wrappers have forms of their own in the language."""


def kind_named(name: str) -> type[Layer] | None:
    """The class of what `layer:` names: a kind with a rule of its own, the rest of Keras, or `package>Class`.

    Keras's aliases, such as AvgPool2D, are the kinds they stand for.
    """
    if name in KINDS:
        return KINDS[name]
    from specbuild.catalog.generic import other_kind

    return other_kind(name)


def kind_names() -> tuple[str, ...]:
    """What `layer:` can name, without plugins."""
    from specbuild.catalog.generic import other_names

    return (*KINDS, *other_names())


def argument_names(cls: type[Layer]) -> tuple[str, ...] | None:
    """The arguments of a kind under their names in a spec; None where only the plugin knows them."""
    if cls.package == "plugin":
        return None
    return tuple(field.alias or name for name, field in cls.model_fields.items())
