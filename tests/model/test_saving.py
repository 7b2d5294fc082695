"""The bytes of a saved model."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from specbuild.model import build_model, save

SPEC = """\
specbuild: 1
inputs: {x: [6, 6, 1]}
layers:
  - {id: a, layer: Conv2D, filters: 2, kernel_size: 3}
  - {id: b, layer: Dropout, rate: 0.1}
"""


def test_a_model_is_saved_in_the_same_bytes_whenever_it_is(tmp_path: Path) -> None:
    model = build_model(SPEC)
    first, second = tmp_path / "first.keras", tmp_path / "second.keras"
    save(model, first)
    save(model, second)
    assert first.read_bytes() == second.read_bytes()
    with zipfile.ZipFile(first) as archive:
        assert list(json.loads(archive.read("metadata.json"))) == ["keras_version"]
        assert {member.date_time for member in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_a_model_is_saved_as_keras_alone(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"expected a file name that ends in \.keras, got .*model\.h5"):
        save(build_model(SPEC), tmp_path / "model.h5")
    assert list(tmp_path.iterdir()) == []
