"""Why the framework does or does not see an NVIDIA card: the driver, CUDA's libraries, the build, the environment.

Only metadata of packages, the environment and `nvidia-smi` are looked at; the framework itself is asked by the caller.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import Iterator, Mapping
from pathlib import Path

from specbuild.document.extras import install_framework
from specbuild.model.nvidia import Card, DriverError, cards, has_card_without_driver

LEAST_DRIVER = {"12": 525, "13": 580}
"""The oldest series of the driver that runs each version of CUDA."""
_DRIVER = "install NVIDIA's driver, or in a container start it with the card (docker run --gpus all)"


def missing(backend: str, seen: bool, environment: Mapping[str, str] = os.environ) -> tuple[bool, str]:
    """Return whether everything is there for an NVIDIA card, and what was found, with the command that fixes it.

    Args:
        backend: the framework.
        seen: whether it sees an accelerator.
        environment: the variables of the process.
    """
    try:
        found = cards()
    except DriverError as error:
        return seen, f"nvidia-smi fails: {error}; reinstall NVIDIA's driver, or reboot if it was just updated"
    named = described(found)
    if seen:
        return True, named or "the framework sees an accelerator"
    if not found:
        if has_card_without_driver():
            return False, f"there is an NVIDIA card, but no driver that can use it; {_DRIVER}"
        return True, "no NVIDIA card was found"
    return False, f"{named}: {backend} does not see it: {'; '.join(_reasons(backend, found, environment))}"


def described(found: tuple[Card, ...]) -> str:
    """Return the cards in words: `2 × NVIDIA A100 (80 GiB each, driver 550.54)`."""
    if not found:
        return ""
    first = found[0]
    number = f"{len(found)} × " if len(found) > 1 else ""
    each = " each" if len(found) > 1 else ""
    return f"{number}{first.name} ({first.memory / 2**30:.0f} GiB{each}, driver {first.driver})"


def _reasons(backend: str, found: tuple[Card, ...], environment: Mapping[str, str]) -> list[str]:
    """Return why a framework may not see the cards that the driver lists, the most certain reasons first."""
    reasons = [*_hidden(backend, environment), *_by_backend(backend, found, environment)]
    return reasons or [
        f"its libraries are installed but cannot be loaded; to see why, run TF_CPP_MIN_LOG_LEVEL=0 specbuild doctor, "
        f"or reinstall them with {_install(backend)}"
    ]


def _hidden(backend: str, environment: Mapping[str, str]) -> Iterator[str]:
    """What in the environment hides a card."""
    visible = environment.get("CUDA_VISIBLE_DEVICES")
    if visible is not None and visible.strip() in ("", "-1", "none", "NoDevFiles"):
        yield f'CUDA_VISIBLE_DEVICES is "{visible}", which hides every card: unset CUDA_VISIBLE_DEVICES'
    platforms = environment.get("JAX_PLATFORMS", "")
    if backend == "jax" and platforms and not {"cuda", "gpu", "rocm"} & set(platforms.split(",")):
        yield f"JAX_PLATFORMS is {platforms}: unset JAX_PLATFORMS"


def _by_backend(backend: str, found: tuple[Card, ...], environment: Mapping[str, str]) -> Iterator[str]:
    if backend == "tensorflow":
        yield from _of_tensorflow(found, environment)
    elif backend == "jax":
        yield from _of_jax(found, environment)
    elif backend == "torch" and "+cpu" in (_version("torch") or ""):
        yield f"torch {_version('torch')} is a CPU-only build; {_install('torch')}"


def _of_tensorflow(found: tuple[Card, ...], environment: Mapping[str, str]) -> Iterator[str]:
    if platform.system() == "Windows":
        yield "TensorFlow does not use GPUs on Windows: run it in WSL2, or use KERAS_BACKEND=jax there"
    if (cpu := _version("tensorflow-cpu")) is not None:
        yield f"tensorflow-cpu {cpu} cannot use GPUs: pip uninstall tensorflow-cpu, then {_install('tensorflow')}"
    if _version("nvidia-cudnn-cu12") is None:
        yield f"CUDA's libraries are not installed: {_install('tensorflow')}"
    else:
        yield from _conflicts(environment)
    yield from _old_driver(found, "12")


def _of_jax(found: tuple[Card, ...], environment: Mapping[str, str]) -> Iterator[str]:
    plugins = {cuda: version for cuda in LEAST_DRIVER if (version := _version(f"jax-cuda{cuda}-plugin")) is not None}
    if not plugins:
        yield f"jax has no CUDA plugin: {_install('jax')}"
    for cuda, version in plugins.items():
        if (own := _version("jaxlib")) is not None and own != version:
            yield f"jax-cuda{cuda}-plugin {version} does not match jaxlib {own}: pip install -U 'jax[cuda{cuda}]'"
        yield from _old_driver(found, cuda)
    if plugins:
        yield from _conflicts(environment)


def _old_driver(found: tuple[Card, ...], cuda: str) -> Iterator[str]:
    series, least = found[0].driver_series, LEAST_DRIVER[cuda]
    if 0 < series < least:
        other = ", or pip install 'jax[cuda12]'" if cuda == "13" and series >= LEAST_DRIVER["12"] else ""
        yield f"CUDA {cuda} needs driver {least} or newer, this is {found[0].driver}: update it{other}"


def _conflicts(environment: Mapping[str, str]) -> Iterator[str]:
    """Folders of LD_LIBRARY_PATH with libraries of CUDA, which are loaded instead of those that pip installed."""
    for folder in filter(None, environment.get("LD_LIBRARY_PATH", "").split(os.pathsep)):
        files = [
            file for name in ("libcudnn.so*", "libcudart.so*", "libcublas.so*") for file in _matching(folder, name)
        ]
        if files:
            yield f"LD_LIBRARY_PATH has {folder}, whose {files[0].name} is loaded instead: unset LD_LIBRARY_PATH"


def _matching(folder: str, pattern: str) -> list[Path]:
    try:
        return sorted(Path(folder).glob(pattern))
    except (OSError, ValueError):
        return []


def _install(backend: str) -> str:
    return install_framework(backend, gpu=True)


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
