"""Optional packages: the extra that installs each, and the message if one is missing."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec

from specbuild.document.errors import RunError

EXTRAS: dict[str, tuple[str, ...]] = {
    "geotiff": ("rasterio",),
    "gpu": ("tensorflow",),
    "grib": ("cfgrib", "eccodes"),
    "jax": ("jax",),
    "jax-gpu": ("jax",),
    "litert": ("ai_edge_litert",),
    "mlflow": ("mlflow", "sqlalchemy", "alembic"),
    "onnx": ("tf2onnx", "onnx", "onnxruntime"),
    "openvino": ("openvino",),
    "pysteps": ("pysteps",),
    "remote": ("fsspec", "aiohttp", "gcsfs", "h5netcdf", "s3fs"),
    "report": ("jinja2", "plotly", "pygments"),
    "safetensors": ("safetensors",),
    "tensorboard": ("tensorboard",),
    "tune": ("optuna",),
    "units": ("pint",),
    "wandb": ("wandb",),
}
"""The modules that each extra of `pyproject.toml` installs."""
_FRAMEWORKS = {"tensorflow": ("", "gpu"), "jax": ("jax", "jax-gpu")}
"""The extra of each framework, without and with its CUDA libraries; empty if specbuild itself installs it."""


def install(extra: str) -> str:
    """Return the command that installs an extra.

    Raises:
        KeyError: there is none of that name.
    """
    assert EXTRAS[extra]
    return f"pip install 'specbuild[{extra}]'"


def install_framework(backend: str, *, gpu: bool = False) -> str:
    """Return the command that installs a framework, with its CUDA libraries if `gpu`."""
    if extra := _FRAMEWORKS.get(backend, ("", ""))[gpu]:
        return install(extra)
    return f"pip install {backend}" + (", a CUDA build from pytorch.org" if gpu and backend == "torch" else "")


def missing(modules: Iterable[str]) -> tuple[str, ...]:
    """Return those of the modules that are not installed; none is imported."""
    return tuple(module for module in modules if find_spec(module) is None)


def not_installed(what: str, modules: Iterable[str]) -> str:
    """Return that something needs modules: `the logger mlflow needs mlflow and alembic, which are not installed`."""
    names = tuple(modules)
    return f"{what} needs {' and '.join(names)}, which {'are' if len(names) > 1 else 'is'} not installed"


def require(extra: str, what: str) -> None:
    """Check that the modules of an extra are installed.

    Args:
        what: needs them, for the message.

    Raises:
        RunError: one is not; with the command that installs it.
    """
    if absent := missing(EXTRAS[extra]):
        raise RunError(not_installed(what, absent), help=install(extra))
