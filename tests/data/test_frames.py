"""Folders and patterns of images give their frames, and what is wrong with one is said by file and number."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from specbuild.data.sources import FrameSource, open_source
from specbuild.data.sources.files import natural
from specbuild.data.sources.images import ImageHeader, read_header, read_pixels, resize, to_color
from specbuild.document import RunError, SpecError
from tests.data.pictures import GREY, RGB, write_deep_png, write_frames
from tests.data.samples import message, write_spec

DEEP = RGB.astype(np.uint16) * 257


def opened(folder: Path, path: str, layout: str = "T H W C", **source: Any) -> FrameSource:
    return open_source(write_spec(folder, {"source": {"path": path, "layout": layout, **source}}))


def refusal(folder: Path, path: str, layout: str = "T H W C", **source: Any) -> str:
    with pytest.raises(SpecError) as caught:
        opened(folder, path, layout, **source)
    assert caught.value.diagnostics[0].code == "bad-data"
    return message(caught.value)


@pytest.mark.parametrize("path", ["frames", "frames/", "frames/*.png", "fra*/?*.png"])
def test_a_folder_of_frames_in_natural_order(tmp_path: Path, path: str) -> None:
    write_frames(tmp_path / "frames", RGB)
    (tmp_path / "frames" / "readme.txt").write_text("not a frame")
    source = opened(tmp_path, path)
    assert (source.lengths, source.space, source.channels, source.dtype) == ((12,), (6, 8), 3, np.uint8)
    np.testing.assert_array_equal(source.read(0, range(12)), RGB.astype(np.float32))
    region = (slice(1, 4), slice(2, 7))
    np.testing.assert_array_equal(source.read(0, range(1, 12, 3), region), RGB[1::3, 1:4, 2:7])


@pytest.mark.parametrize("suffix", [".png", ".tif", ".bmp"])
@pytest.mark.parametrize("frames", [GREY, RGB], ids=["grey", "colour"])
def test_formats_without_loss(tmp_path: Path, suffix: str, frames: np.ndarray) -> None:
    write_frames(tmp_path / "frames", frames[:2], suffix)
    source = opened(tmp_path, "frames")
    np.testing.assert_array_equal(source.read(0, range(2)).squeeze(), frames[:2])


def test_jpeg(tmp_path: Path) -> None:
    Image.fromarray(np.full((6, 8, 3), 90, np.uint8)).save(tmp_path / "0.jpg", quality=95)
    found = opened(tmp_path, "*.jpg").read(0, range(1))
    np.testing.assert_allclose(found, 90, atol=2)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_sixteen_bits(tmp_path: Path, suffix: str) -> None:
    write_frames(tmp_path / "grey", DEEP[:2, ..., 0], suffix)
    source = opened(tmp_path, "grey", "T H W")
    assert source.dtype == np.uint16
    np.testing.assert_array_equal(source.read(0, range(2))[..., 0], DEEP[:2, ..., 0])


def test_sixteen_bits_of_colour_are_kept(tmp_path: Path) -> None:
    write_deep_png(tmp_path / "0.png", DEEP[0])
    source = opened(tmp_path, "*.png")
    assert source.dtype == np.uint16
    np.testing.assert_array_equal(source.read(0, range(1))[0], DEEP[0])


def test_floats(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(2, 4, 5)).astype(np.float32)
    values[1, 0, 0] = np.nan
    write_frames(tmp_path / "frames", values, ".tif")
    source = opened(tmp_path, "frames", "T H W")
    assert source.may_miss
    np.testing.assert_array_equal(source.read(0, range(2))[..., 0], values)


def test_the_pages_of_a_tiff_are_frames(tmp_path: Path) -> None:
    first, *rest = [Image.fromarray(frame) for frame in GREY]
    first.save(tmp_path / "stack.tif", save_all=True, append_images=rest)
    source = opened(tmp_path, "stack.tif", "T H W")
    assert source.length == 12
    np.testing.assert_array_equal(source.read(0, range(3, 12, 4))[..., 0], GREY[3::4])


def test_palettes_and_transparency(tmp_path: Path) -> None:
    Image.fromarray(np.dstack([RGB[0], GREY[0]])).save(tmp_path / "alpha.png")
    Image.fromarray(GREY[0] // 128).convert("1").save(tmp_path / "bits.png")
    Image.fromarray(RGB[0] // 128 * 255).convert("P").save(tmp_path / "palette.png")
    found = {}
    for name in ("alpha", "bits", "palette"):
        header = read_header(tmp_path / f"{name}.png")
        found[name] = read_pixels(tmp_path / f"{name}.png", header)
    np.testing.assert_array_equal(found["alpha"], RGB[0])
    assert found["bits"].dtype == np.uint8
    assert found["palette"].shape == (6, 8, 3)


def test_color(tmp_path: Path) -> None:
    write_frames(tmp_path / "frames", RGB[:2])
    luma = RGB[:2] @ np.array([0.299, 0.587, 0.114])
    for source in (opened(tmp_path, "frames", "T H W"), opened(tmp_path, "frames", color="gray")):
        assert source.channels == 1
        np.testing.assert_allclose(source.read(0, range(2))[..., 0], luma, atol=0.51)
    write_frames(tmp_path / "grey", GREY[:2])
    source = opened(tmp_path, "grey", color="rgb")
    np.testing.assert_array_equal(source.read(0, range(2)), np.repeat(GREY[:2, ..., None], 3, axis=-1))
    assert opened(tmp_path, "grey").channels == 1
    np.testing.assert_allclose(to_color(DEEP[0], 1), DEEP[0] @ np.array([0.299, 0.587, 0.114]), atol=0.51)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_shrinking_averages(dtype: type) -> None:
    board = np.indices((16, 16)).sum(0) % 2 * 200  # a chessboard: without antialiasing 0 or 200
    small = resize(board.astype(dtype), (4, 4))
    assert small.dtype == dtype
    np.testing.assert_allclose(small[1:3, 1:3], 100, atol=8)
    assert resize(np.repeat(board[..., None], 3, -1).astype(dtype), (4, 8)).shape == (4, 8, 3)
    np.testing.assert_array_equal(resize(np.full((9, 7), 50, dtype), (3, 3)), 50)


def test_size_makes_frames_alike(tmp_path: Path) -> None:
    write_frames(tmp_path / "frames", GREY[:1])
    Image.fromarray(np.full((20, 30), 7, np.uint8)).save(tmp_path / "frames" / "1.png")
    source = opened(tmp_path, "frames", "T H W", size=[4, 5])
    assert source.space == (4, 5)
    np.testing.assert_array_equal(source.read(0, range(1, 2)), 7)
    assert opened(tmp_path, "frames", "T H W", size=4).space == (4, 4)


@pytest.mark.parametrize("path", ["storms", "storms/*", "storms/*/*.png"])
def test_folders_are_events(tmp_path: Path, path: str) -> None:
    write_frames(tmp_path / "storms" / "9", GREY[:3])
    write_frames(tmp_path / "storms" / "10", GREY[3:8])
    source = opened(tmp_path, path, "N T H W")
    assert source.lengths == (3, 5)
    np.testing.assert_array_equal(source.read(0, range(3))[..., 0], GREY[:3])
    np.testing.assert_array_equal(source.read(1, range(1, 5))[..., 0], GREY[4:8])


def test_natural_order() -> None:
    names = ["a10.png", "a9.png", "A1.png", "10.png", "9.png", "a9b.png"]
    found = sorted(map(Path, names), key=natural)
    assert [path.name for path in found] == ["9.png", "10.png", "A1.png", "a9.png", "a9b.png", "a10.png"]


def test_header_words() -> None:
    assert ImageHeader(4, 6, 3, np.dtype("uint8")).words() == "4 × 6 color, uint8"


def test_refused(tmp_path: Path) -> None:
    write_frames(tmp_path / "frames", GREY[:3])
    write_frames(tmp_path / "mixed", GREY[:2])
    Image.fromarray(GREY[0, :5]).save(tmp_path / "mixed" / "2.png")
    write_frames(tmp_path / "colours", GREY[:1])
    Image.fromarray(RGB[0]).save(tmp_path / "colours" / "1.png")
    write_frames(tmp_path / "types", GREY[:1])
    Image.fromarray(DEEP[0, ..., 0]).save(tmp_path / "types" / "1.png")
    write_frames(tmp_path / "storms" / "a", GREY[:2])
    write_frames(tmp_path / "storms" / "b", GREY[:2])
    write_frames(tmp_path / "broken", GREY[:2])
    (tmp_path / "broken" / "1.png").write_bytes(b"not an image")
    (tmp_path / "both").mkdir()
    write_frames(tmp_path / "both", GREY[:1])
    (tmp_path / "both" / "a.gif").write_bytes(b"")
    assert refusal(tmp_path, "mixed") == (
        "data.source.path | frame 2, mixed/2.png, is 5 × 8 gray, uint8; frame 0, mixed/0.png, is 6 × 8 gray, uint8 | "
        "write size: [6, 8] to resize every frame"
    )
    assert refusal(tmp_path, "colours") == (
        "data.source.path | frame 1, colours/1.png, is 6 × 8 color, uint8; frame 0, colours/0.png, is 6 × 8 gray, "
        "uint8 | write color: gray or color: rgb to convert every frame"
    )
    assert refusal(tmp_path, "types", "T H W") == (
        "data.source.path | frame 1, types/1.png, is 6 × 8 gray, uint16; frame 0, types/0.png, is 6 × 8 gray, uint8 | "
        "convert them to one type"
    )
    assert refusal(tmp_path, "frames", "T H W", color="rgb") == (
        "data.source.color | color: rgb has three channels, the layout names none | add C to the layout"
    )
    assert refusal(tmp_path, "frames", "H W T") == (
        "data.source.layout | pictures have the axes [N] T H W [C] in this order, got H W T | write T H W"
    )
    assert refusal(tmp_path, "frames", "N T H W") == (
        "data.source.layout | the layout names N (event), but frames/ holds the images of one | "
        "leave N out, or put each event's images into a folder of its own"
    )
    assert refusal(tmp_path, "storms", "T H W") == (
        "data.source.layout | storms/ holds 2 clips, and the layout names no N (event) | a/, b/, … | "
        "add N to the layout: each is an event; or name one of them"
    )
    assert refusal(tmp_path, "frames/*.tif") == (
        f"data.source.path | nothing matches *.tif | looked in {tmp_path / 'frames'}"
    )
    assert refusal(tmp_path, "frames/0.png") == (
        "data.source.path | 0.png is a single image | name its folder, or a pattern such as *.png"
    )
    assert refusal(tmp_path, "frames", key="rain") == (
        "data.source.key | pictures are one array, which has no name | leave out the key"
    )
    assert refusal(tmp_path, "both") == (
        "data.source.path | both/ mixes images and videos | 0.png and a.gif | "
        "select one format with a pattern, such as frames/*.png"
    )
    assert refusal(tmp_path, "broken").startswith(
        "data.source.path | frame 1, broken/1.png, is not an image that can be read | cannot identify image file"
    )


def test_pages_in_a_folder_are_refused(tmp_path: Path) -> None:
    first, second = (Image.fromarray(frame) for frame in GREY[:2])
    (tmp_path / "frames").mkdir()
    first.save(tmp_path / "frames" / "0.tif", save_all=True, append_images=[second])
    assert refusal(tmp_path, "frames") == (
        "data.source.path | frame 0, frames/0.tif, holds 2 pages | name the file alone as path"
    )


def test_a_frame_that_cannot_be_decoded_is_named(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (3, 40, 40), dtype=np.uint8)
    write_frames(tmp_path / "frames", noise)
    path = tmp_path / "frames" / "1.png"
    path.write_bytes(path.read_bytes()[:400])
    source = opened(tmp_path, "frames", "T H W")
    source.read(0, range(1))
    with pytest.raises(RunError) as caught:
        source.read(0, range(3))
    assert caught.value.message == f"frame 1, {path}, cannot be decoded: image file is truncated"


def test_windows_of_a_folder(tmp_path: Path) -> None:
    from specbuild.data import open_data
    from tests.data.samples import model

    write_frames(tmp_path / "storms" / "a", GREY[:7])
    write_frames(tmp_path / "storms" / "b", GREY[:5])
    spec = write_spec(
        tmp_path,
        {
            "source": {"path": "storms", "layout": "N T H W"},
            "transform": ["minmax"],
            "split": {"train": 0.5, "test": 0.5},
        },
    )
    data = open_data(spec, model(spec))
    assert {name: len(windows) for name, windows in data.splits.items()} == {"train": 3, "test": 1}
    x, y, weight = data.sampler("train", 2, seed=0).batch(0, 0)
    assert (x.shape, y.shape, weight) == ((2, 2, 6, 8, 1), (2, 3, 6, 8, 1), None)
