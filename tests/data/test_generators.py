"""Sequences that are drawn: the same for everybody, in whatever order they are read."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from specbuild.data import open_data
from specbuild.data.generators import open_generated
from specbuild.data.generators.base import Painter
from specbuild.data.generators.glyphs import HANDS, glyphs
from specbuild.data.generators.moving_digits import trajectory
from specbuild.data.sources import open_source
from specbuild.data.sources.packing import RawArray
from specbuild.document import SpecError
from specbuild.language import load_spec
from specbuild.language.sections.data import DataSection
from specbuild.language.sections.generator import GENERATORS, GeneratorSection
from tests.data.samples import message, model, write_spec

MNIST = Path(__file__).parents[3] / "shared" / "data" / "t10k-images-idx3-ubyte.gz"
SECTIONS: dict[str, dict[str, Any]] = {
    "digits": {"generator": "moving_digits", "sequences": 9, "frames": 12, "size": 20, "digit_size": 10, "seed": 3},
    "shapes": {
        "generator": "moving_shapes",
        "sequences": 9,
        "frames": 12,
        "size": 24,
        "seed": 3,
        "radius": [2, 5],
        "rotation": [5, 20],
        "noise": 0.05,
    },
}


def drawn(**section: Any) -> RawArray:
    return open_generated(DataSection(source=section, windows={"past": 1, "future": 1}), Path).array


def sequence(array: RawArray, number: int) -> np.ndarray:
    return array[number, slice(None), slice(None), slice(None)]


@pytest.mark.parametrize("name", SECTIONS)
def test_random_access_is_sequential_access(name: str) -> None:
    array = drawn(**SECTIONS[name])
    whole = np.stack([sequence(array, number) for number in range(9)])
    assert whole.shape == array.shape
    assert whole.dtype == array.dtype == np.uint8

    @settings(max_examples=25, deadline=None)
    @given(st.integers(0, 8), st.slices(12), st.slices(array.shape[2]), st.slices(array.shape[3]))
    def check(number: int, frames: slice, rows: slice, columns: slice) -> None:
        np.testing.assert_array_equal(array[number, frames, rows, columns], whole[number, frames, rows, columns])

    check()


@pytest.mark.parametrize("name", SECTIONS)
def test_a_sequence_depends_on_its_number_and_the_seed_alone(name: str) -> None:
    section = SECTIONS[name]
    array, more = drawn(**section), drawn(**section | {"sequences": 90, "frames": 15})
    np.testing.assert_array_equal(sequence(array, 4), sequence(more, 4)[:12])
    assert (sequence(array, 4) != sequence(array, 5)).any()
    assert (sequence(array, 4) != sequence(drawn(**section | {"seed": 4}), 4)).any()


def test_the_glyphs_are_ten_figures_in_several_hands() -> None:
    pictures = glyphs(28)
    assert pictures.shape == (10 * HANDS, 28, 28)
    assert pictures.max() == 255
    assert not pictures[:, 0].any()
    assert len({picture.tobytes() for picture in pictures}) == 10 * HANDS
    # Each picture is nearest to another one of its own figure.
    flat = pictures.reshape(len(pictures), -1).astype(float)
    distance = ((flat[:, None] - flat[None]) ** 2).sum(-1) + np.diag([np.inf] * len(flat))
    assert (distance.argmin(1) // HANDS == np.arange(len(flat)) // HANDS).mean() > 0.9


def test_digits_move_as_in_the_authors_code() -> None:
    """The loop of the Moving MNIST generator (Srivastava et al. 2015), written as they wrote it."""
    found = trajectory(np.random.default_rng(5), 3, 40, 0.1)
    random = np.random.default_rng(5)
    places, angles = random.random((3, 2)), random.random(3) * 2 * np.pi
    for digit in range(3):
        y, x = places[digit]
        v_y, v_x = np.sin(angles[digit]), np.cos(angles[digit])
        for frame in range(40):
            y += v_y * 0.1
            x += v_x * 0.1
            if x <= 0:
                x, v_x = 0, -v_x
            if x >= 1.0:
                x, v_x = 1.0, -v_x
            if y <= 0:
                y, v_y = 0, -v_y
            if y >= 1.0:
                y, v_y = 1.0, -v_y
            np.testing.assert_allclose(found[frame, digit], (y, x), atol=1e-12)
    assert found.min() == 0
    assert found.max() == 1


def test_overlapping_digits_show_the_brighter_pixel(tmp_path: Path) -> None:
    np.save(tmp_path / "digits.npy", np.stack([np.full((8, 8), value, np.uint8) for value in (90, 200)]))
    array = drawn(generator="moving_digits", images=str(tmp_path / "digits.npy"), digits=6, size=12, sequences=20)
    values = np.concatenate([sequence(array, number) for number in range(20)])
    assert set(np.unique(values)) == {0, 90, 200}


def test_shapes_stay_inside_and_are_as_large_as_they_should_be() -> None:
    section = {"generator": "moving_shapes", "shapes": 1, "kinds": "disc", "radius": 5, "brightness": 1, "size": 40}
    array = drawn(**section, speed=[6, 6], frames=60)
    frames = sequence(array, 0) / 255
    np.testing.assert_allclose(frames.sum((1, 2)), np.pi * 25, rtol=0.02)
    centres = np.stack([(frames * axis).sum((1, 2)) / frames.sum((1, 2)) for axis in np.indices((40, 40)) + 0.5], -1)
    assert (centres > 4.8).all()
    assert (centres < 35.2).all()
    assert np.hypot(*(centres[1] - centres[0])) == pytest.approx(6, abs=0.2) or np.abs(np.diff(centres, axis=0)).any()
    for kind, area in (("square", 2 * 25), ("triangle", 3 * np.sqrt(3) / 4 * 25)):
        picture = sequence(drawn(**section | {"kinds": kind}, rotation=10), 0)[0] / 255
        np.testing.assert_allclose(picture.sum(), area, rtol=0.05)


def test_noise() -> None:
    array = drawn(generator="moving_shapes", shapes=1, radius=1, brightness=0, noise=0.1, size=64, sequences=1)
    frames = sequence(array, 0) / 255
    np.testing.assert_allclose(frames.mean(), 0.1 / np.sqrt(2 * np.pi), rtol=0.02)
    assert (frames[0] != frames[1]).mean() > 0.5


@pytest.mark.skipif(not MNIST.exists(), reason="needs the MNIST test digits")
def test_baselines_of_moving_mnist() -> None:
    """Near those of the published test set (OpenSTL's MSE: mean over batch and time, sum over pixels, 10 → 10)."""
    array = drawn(generator="moving_digits", images=str(MNIST), sequences=1000)
    frames = np.stack([sequence(array, number) for number in range(1000)]).astype(np.float32) / 255
    future = frames[:, 10:]

    def mse(forecast: Any) -> float:
        return float(((forecast - future) ** 2).sum((2, 3)).mean())

    assert mse(frames[:, 9:10]) == pytest.approx(291.7, rel=0.04)
    assert mse(0) == pytest.approx(178.3, rel=0.04)
    assert mse(frames.mean((0, 1))) == pytest.approx(156.6, rel=0.04)


def _npz(path: Path, pictures: np.ndarray) -> None:
    np.savez(path, labels=np.arange(4), pictures=pictures)


def _idx(path: Path, pictures: np.ndarray) -> None:
    header = bytes((0, 0, 8, 3)) + b"".join(length.to_bytes(4) for length in pictures.shape)
    content = header + pictures.tobytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


@pytest.mark.parametrize(
    ("name", "write", "key"),
    [("a.npy", np.save, None), ("a.npz", _npz, "pictures"), ("a-idx3-ubyte", _idx, None), ("a-idx3.gz", _idx, None)],
)
def test_digits_of_ones_own(tmp_path: Path, name: str, write: Any, key: str | None) -> None:
    pictures = np.random.default_rng(0).integers(1, 256, (4, 9, 8), dtype=np.uint8)
    write(tmp_path / name, pictures)
    spec = write_spec(
        tmp_path,
        {
            "source": {"generator": "moving_digits", "images": name, "images_key": key, "size": 16, "digits": 1},
            "split": {"train": 0.9, "test": 0.1},
        },
    )
    source = open_source(spec)
    frame = source.read(0, range(1))[0, ..., 0] * 255
    rows, columns = np.nonzero(frame)
    found = frame[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    assert any(np.allclose(found, picture) for picture in pictures)


def test_shares_of_brightness(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.full((2, 8, 8), 0.5))
    array = drawn(generator="moving_digits", images=str(tmp_path / "a.npy"), size=8, digits=1)
    assert (sequence(array, 0) == 128).all()


class Ramp(GeneratorSection):
    """A generator that specbuild does not have: brightness rises from frame to frame."""

    generator: Literal["ramp"] = "ramp"
    painter = f"{__name__}:ramp_painter"
    rise: int = 10


def ramp_painter(section: Ramp, _resolve: object) -> Painter:
    def draw(sequence: int, frames: range) -> np.ndarray:
        shape = (len(frames), section.size, section.size)
        return np.broadcast_to(np.array(frames, np.uint8)[:, None, None] * section.rise + sequence, shape)

    return draw


def test_a_generator_is_a_section_that_names_its_painter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(GENERATORS, "ramp", Ramp)
    section = {"generator": "ramp", "sequences": 3, "frames": 6, "size": 8, "rise": 20}
    source = open_source(write_spec(tmp_path, {"source": section}))
    np.testing.assert_allclose(source.read(2, range(3))[:, 0, 0, 0] * 255, [2, 22, 42], rtol=1e-6)


def test_events_of_a_generator_split(tmp_path: Path) -> None:
    spec = write_spec(
        tmp_path,
        {
            "source": {"generator": "moving_shapes", "sequences": 10, "frames": 6, "size": 32},
            "split": {"train": 0.6, "validation": 0.2, "test": 0.2},
        },
    )
    data = open_data(spec, model(spec))
    assert {name: len(windows) for name, windows in data.splits.items()} == {"train": 12, "validation": 4, "test": 4}
    x, y, weight = data.sampler("train", 3, seed=0).batch(0, 1)
    assert (x.shape, y.shape, weight) == ((3, 2, 32, 32, 1), (3, 3, 32, 32, 1), None)
    assert 0 <= x.min() < x.max() <= 1


REFUSED: list[tuple[Any, dict[str, Any], str]] = [
    (None, {"images": "a.gz"}, "data.source.images | a.gz does not exist | looked in {folder}"),
    (
        lambda path: _idx(path, np.zeros((2, 40, 9), np.uint8)),
        {"images": "a.gz", "size": 32},
        "data.source.images | digits of 40 × 9 do not fit into frames of 32",
    ),
    (
        lambda path: path.write_bytes(gzip.compress(b"\0\0\x08\x03" + bytes(20))),
        {"images": "a.gz"},
        "data.source.images | a.gz is cut short | its header declares 0 bytes, the file has more",
    ),
    (
        lambda path: path.write_bytes(b"\x1f\x8b rubbish"),
        {"images": "a.gz"},
        "data.source.images | a.gz is cut short or damaged | Unknown compression method",
    ),
    (
        lambda path: path.write_bytes(b"text"),
        {"images": "a-idx3-ubyte"},
        "data.source.images | a-idx3-ubyte is not an IDX file of bytes | "
        "give an .npy, .npz or images-idx3-ubyte file; the last may be compressed (.gz)",
    ),
    (
        lambda path: np.save(path, np.zeros((3, 8))),
        {"images": "a.npy"},
        "data.source.images | a.npy has the shape 3 × 8, not pictures, height, width",
    ),
    (
        lambda path: np.save(path, np.full((3, 8, 8), 7.0)),
        {"images": "a.npy"},
        "data.source.images | a.npy holds float64, not brightness | save whole numbers from 0 to 255 as uint8",
    ),
    (
        lambda path: _npz(path, np.zeros((4, 8, 8), np.uint8)),
        {"images": "a.npz"},
        "data.source.images_key | a.npz holds labels, pictures | say which with images_key",
    ),
]


@pytest.mark.parametrize(("write", "section", "expected"), REFUSED)
def test_refused(tmp_path: Path, write: Any, section: dict[str, Any], expected: str) -> None:
    if write is not None:
        write(tmp_path / section["images"])
    spec = write_spec(tmp_path, {"source": {"generator": "moving_digits", **section}})
    with pytest.raises(SpecError) as caught:
        open_source(spec)
    assert message(caught.value) == expected.format(folder=tmp_path)


@pytest.mark.parametrize(
    "source",
    [
        {"generator": "moving_digits", "sequences": 4, "speed": 0.2},
        {"generator": "moving_digits", "images": "digits.npy", "size": 32},
        {"generator": "moving_shapes", "kinds": ["disc"], "radius": [2, 3]},
    ],
)
def test_a_resolved_spec_draws_the_same(tmp_path: Path, source: dict[str, Any]) -> None:
    np.save(tmp_path / "digits.npy", np.full((3, 9, 9), 200, np.uint8))
    spec = write_spec(tmp_path, {"source": source})
    again = load_spec(spec.resolved())
    np.testing.assert_array_equal(open_source(again).read(2, range(4)), open_source(spec).read(2, range(4)))
