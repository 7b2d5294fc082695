"""The formats of exported files: their suffixes, what makes them, and which packages they need."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from typing import Literal

from specbuild.document import RunError
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
        packages: modules that making and running it need, besides those of specbuild.
        install: how these are installed.
        unrolls: whether recurrences over up to 64 steps are written out: the loops of TensorFlow do not all convert.
        note: what whoever runs the file has to know of its runtime.
    """

    name: FormatName
    title: str
    suffix: str
    backend: Backend | Literal["torch"] = "tensorflow"
    packages: tuple[str, ...] = ()
    install: str = ""
    unrolls: bool = False
    note: str = ""

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
        Format("savedmodel", "TensorFlow SavedModel", ".savedmodel", packages=("tensorflow",)),
        Format("keras", "Keras", ".keras", packages=("tensorflow",)),
        Format(
            "onnx",
            "ONNX",
            ".onnx",
            packages=("tensorflow", "tf2onnx", "onnx", "onnxruntime"),
            install="pip install 'specbuild[onnx]'",
            unrolls=True,
        ),
        Format(
            "litert",
            "LiteRT",
            ".tflite",
            packages=("tensorflow", "ai_edge_litert"),
            install="pip install 'specbuild[litert]'",
            unrolls=True,
        ),
        Format(
            "openvino",
            "OpenVINO",
            ".xml",
            packages=("tensorflow", "openvino"),
            install="pip install 'specbuild[openvino]'",
            unrolls=True,
            note="processors that support bfloat16 use it unless the file is compiled with "
            '{"EXECUTION_MODE_HINT": "ACCURACY"}, as it was when it was verified',
        ),
        Format(
            "torch",
            "PyTorch ExportedProgram",
            ".pt2",
            backend="torch",
            packages=("torch",),
            install="pip install torch",
        ),
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
    missing = [name for name in format.packages if importlib.util.find_spec(name) is None]
    if missing:
        install = format.install if missing != ["tensorflow"] else "pip install tensorflow"
        are = "are" if len(missing) > 1 else "is"
        raise RunError(f"{format.title} needs {' and '.join(missing)}, which {are} not installed", help=install)
