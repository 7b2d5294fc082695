"""The formats of exported files: their suffixes, what makes them, and which packages they need."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from specbuild.document import RunError
from specbuild.document.extras import EXTRAS, install, install_framework, missing, not_installed
from specbuild.language.sections.train import Backend

FormatName = Literal["savedmodel", "keras", "onnx", "litert", "openvino", "torch"]


@dataclass(frozen=True, slots=True)
class Format:
    """One format.

    Attributes:
        name: as `--format` has it.
        title: as text has it.
        suffix: of the file or, of a SavedModel, the folder.
        backend: the framework under Keras that the file is made with.
        extra: what installs the packages that making and running it need, besides the framework; empty: none.
        unrolls: whether recurrences over up to 64 steps are written out: the loops of TensorFlow do not all convert.
        holds_layers: whether it stores layers rather than operations, so that it cannot hold any of ours with weights.
        note: what whoever runs the file has to know of its runtime.
    """

    name: FormatName
    title: str
    suffix: str
    backend: Backend | Literal["torch"] = "tensorflow"
    extra: str = ""
    unrolls: bool = False
    holds_layers: bool = False
    note: str = ""

    @property
    def packages(self) -> tuple[str, ...]:
        """The modules that making and running it need, the framework first."""
        return (self.backend, *EXTRAS.get(self.extra, ()))

    @property
    def may_fix_batch(self) -> bool:
        """Whether a model that does not convert with a variable batch size is tried with one sample."""
        return self.name in ("litert", "openvino", "torch", "onnx")

    @property
    def parts(self) -> tuple[str, ...]:
        """The suffixes of the files that it consists of."""
        return (self.suffix, ".bin") if self.name == "openvino" else (self.suffix,)


FORMATS: dict[str, Format] = {
    each.name: each
    for each in (
        Format("savedmodel", "TensorFlow SavedModel", ".savedmodel"),
        Format("keras", "Keras", ".keras", holds_layers=True),
        Format(
            "onnx",
            "ONNX",
            ".onnx",
            extra="onnx",
            unrolls=True,
        ),
        Format(
            "litert",
            "LiteRT",
            ".tflite",
            extra="litert",
            unrolls=True,
        ),
        Format(
            "openvino",
            "OpenVINO",
            ".xml",
            extra="openvino",
            unrolls=True,
            note="processors that support bfloat16 use it unless the file is compiled with "
            '{"EXECUTION_MODE_HINT": "ACCURACY"}, as it was when it was verified',
        ),
        Format("torch", "PyTorch ExportedProgram", ".pt2", backend="torch"),
    )
}
"""Every format, by name."""
LONGEST_UNROLLED = 64
"""The most steps of a recurrence that is unrolled; longer ones stay loops in every format."""


def check_installed(format: Format) -> None:
    """Check that the packages of a format are installed.

    Raises:
        RunError: one is not; with the command that installs it.
    """
    if absent := missing(format.packages):
        help = install_framework(format.backend) if absent == (format.backend,) else install(format.extra)
        raise RunError(not_installed(format.title, absent), help=help)
