"""Files of arrays by name: `.npz` and `.safetensors`. Pickles are refused, since reading one runs its code."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from specbuild.document import Diagnostic, SpecError, did_you_mean
from specbuild.document.extras import install

SUFFIXES = (".npz", ".safetensors")
PICKLES = (".pt", ".pth", ".ckpt", ".bin", ".tar", ".pkl", ".pickle")
Arrays = dict[str, np.ndarray]


def read_checkpoint(path: str | Path) -> Arrays:
    """Return the arrays of a checkpoint by name, as they are stored.

    Raises:
        SpecError: the file is missing, is a pickle, or holds no arrays of numbers.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix in PICKLES:
        raise _refusal(f"{path} is a pickle, which is not read", "reading one runs the code in it", _convert(path))
    if suffix not in SUFFIXES:
        near = did_you_mean(suffix, SUFFIXES)
        raise _refusal(f"{path} is not a checkpoint", f"its suffix is not {' or '.join(SUFFIXES)}", near)
    if not path.is_file():
        names = sorted(x.name for x in path.parent.iterdir() if x.suffix in SUFFIXES) if path.parent.is_dir() else []
        raise _refusal(f"there is no file {path}", "", did_you_mean(path.name, names))
    return _npz(path) if suffix == ".npz" else _safetensors(path)


def without_prefixes(arrays: Mapping[str, np.ndarray], prefixes: Iterable[str]) -> Arrays:
    """Return the arrays whose names have one of the prefixes, without it; all of them where there are no prefixes."""
    prefixes = tuple(prefixes)
    if not prefixes:
        return dict(arrays)
    named: Arrays = {}
    for name, array in arrays.items():
        prefix = next((prefix for prefix in prefixes if name.startswith(prefix)), None)
        if prefix is not None:
            named[name.removeprefix(prefix)] = array
    return named


def _npz(path: Path) -> Arrays:
    if not zipfile.is_zipfile(path):
        raise _refusal(f"{path} cannot be read", "it is not an archive of arrays, which numpy.savez writes", "")
    try:
        with np.load(path, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except (ValueError, OSError, zipfile.BadZipFile, EOFError) as error:
        reason = "it holds objects, which only a pickle can" if "pickle" in str(error) else str(error)
        raise _refusal(f"{path} cannot be read", reason, "") from None


def _safetensors(path: Path) -> Arrays:
    try:
        from safetensors import SafetensorError, safe_open
    except ImportError:
        reason = "the package safetensors is not installed"
        raise _refusal(f"{path} cannot be read", reason, install("safetensors")) from None
    try:
        with safe_open(path, framework="np") as stored:
            return {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118 - it is not a mapping
    except (SafetensorError, TypeError, ValueError, OSError) as error:
        raise _refusal(f"{path} cannot be read", str(error), "") from None


def _convert(path: Path) -> str:
    new = path.with_suffix(".npz").name
    return (
        "convert it once, in Python:\n"
        f'import numpy, torch; state = torch.load("{path.name}", map_location="cpu", weights_only=True)\n'
        f'numpy.savez("{new}", **{{name: array.float().numpy() for name, array in state.items()}})'
    )


def _refusal(message: str, reason: str, help: str) -> SpecError:
    return SpecError([Diagnostic(message, reason=reason, help=help, code="checkpoint")])
