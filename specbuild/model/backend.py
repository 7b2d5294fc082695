"""The one place that knows which framework runs underneath Keras.

TensorFlow unless the user chose otherwise with `KERAS_BACKEND` or `~/.keras/keras.json`, as Keras itself decides.
Everything else imports Keras from here, so that it is set up before its first import.
"""

from __future__ import annotations

import os
import warnings

# TensorFlow's C++ start-up notes (oneDNN, CUDA) are no news to a user of specbuild; its errors still show.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import keras

__all__ = ["backend_name", "device_name", "has_accelerator", "keras"]


def backend_name() -> str:
    """`tensorflow`, `jax` or `torch`."""
    return str(keras.backend.backend())


def has_accelerator() -> bool:
    """Whether the backend sees a GPU or TPU."""
    return any(not name.startswith("cpu") for name in _devices())


def device_name() -> str:
    """The device that training runs on: `gpu:0`, `cpu:0`."""
    devices = _devices()
    return next((name for name in devices if not name.startswith("cpu")), devices[0] if devices else "cpu:0")


def _devices() -> list[str]:
    return [str(name).lower() for name in keras.distribution.list_devices()]
