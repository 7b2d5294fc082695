"""Values that float32 cannot tell apart are refused, with the offset that keeps them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from specbuild.data import Dataset
from specbuild.document import SpecError
from tests.data.samples import dataset, frames, message

NOISE = frames(40, 4, 5).astype(np.float64)


def opened(folder: Path, values: np.ndarray, **data: Any) -> Dataset:
    return dataset(folder, values, transform=["standardize"], windows={"past": 2, "future": 1}, **data)


@pytest.mark.parametrize(
    ("values", "data", "expected"),
    [
        (
            1e9 + 1e-3 * NOISE,
            {},
            "data.offset | rain.npy varies by only 0.0021 around 1e+09, which float32 cannot represent | "
            "float32 numbers are 64 apart there | "
            "write offset: -1000000000; values are then relative to 1000000000",
        ),
        ((2**30 + NOISE * 3).astype(np.int64), {}, "write offset: -1073742000;"),
        (
            (NOISE * 300).astype(np.int16),
            {"scale": 0.01, "offset": 1e8},
            "write offset: 0; values are then relative to 100000000",
        ),
    ],
)
def test_what_float32_loses(tmp_path: Path, values: np.ndarray, data: dict[str, Any], expected: str) -> None:
    with pytest.raises(SpecError) as caught:
        opened(tmp_path, values, **data)
    assert expected in message(caught.value)
    offset = float(message(caught.value).split("offset: ")[1].split(";")[0])
    kept = opened(tmp_path, values, **{**data, "offset": offset})
    scaled = values * data.get("scale", 1.0) + data.get("offset", 0.0)
    wanted = ((scaled - scaled.mean()) / scaled.std()).astype(np.float32)
    found = (kept.source.read(0, range(40))[..., 0] - kept.source.read(0, range(40)).mean()) / scaled.std()
    np.testing.assert_allclose(found, wanted, atol=1e-2)


@pytest.mark.parametrize(
    "values",
    [
        NOISE,
        NOISE.astype(np.float32) + np.float32(1e6),
        273.15 + NOISE,
        (NOISE * 1e7).astype(np.int64),
        np.full((40, 4, 5), 1e9),
        np.full((40, 4, 5), 273.15) * (1 + 1e-15 * NOISE),
        NOISE > 1,
        np.where(NOISE > 2, np.nan, NOISE),
    ],
)
def test_what_float32_keeps(tmp_path: Path, values: np.ndarray) -> None:
    assert opened(tmp_path, values).source.lengths == (40,)


def test_files_of_different_packing_are_read_as_exactly_as_they_are_stored(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", rain=1e9 + 1e-3 * NOISE)
    np.savez(tmp_path / "b.npz", rain=(NOISE * 3).astype(np.int16))
    source = {"path": "*.npz", "layout": "T H W", "key": "rain"}
    kept = dataset(tmp_path, NOISE, source=source, offset=-1e9, windows={"past": 2, "future": 1})
    np.testing.assert_allclose(kept.source.read(0, range(40))[..., 0], 1e-3 * NOISE, atol=1e-6)
