"""Small images and videos that the tests write."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image

RGB = np.random.default_rng(0).integers(0, 256, (12, 6, 8, 3), dtype=np.uint8)
"""(T, H, W, C)"""
GREY = RGB[..., 0]


def write_frames(folder: Path, frames: np.ndarray, suffix: str = ".png") -> None:
    """Frames as `0.png`, `1.png`, …, `10.png`: natural order is not that of the alphabet."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, frame in enumerate(frames):
        Image.fromarray(frame).save(folder / f"{number}{suffix}")


def write_deep_png(path: Path, frame: np.ndarray) -> None:
    """An RGB image of 16 bits, which Pillow cannot write."""
    codec = av.CodecContext.create("png", "w")
    codec.height, codec.width, codec.pix_fmt, codec.time_base = *frame.shape[:2], "rgb48be", Fraction(1)
    packets = codec.encode(av.VideoFrame.from_ndarray(frame, format="rgb48le").reformat(format="rgb48be"))
    path.write_bytes(b"".join(bytes(packet) for packet in [*packets, *codec.encode(None)]))


def write_video(
    path: Path, codec: str, pixels: str = "yuv420p", frames: int = 30, options: Mapping[str, str] | None = None
) -> None:
    """A video of 32 × 48 pixels in which every frame differs from every other."""
    height, width = 32, 48
    noise = np.random.default_rng(1).integers(0, 60, (height, width), dtype=np.uint8)
    with av.open(str(path), "w") as file:
        stream = file.add_stream(codec, rate=10, options=dict(options or {}))
        stream.height, stream.width, stream.pix_fmt = height, width, pixels
        for number in range(frames):
            frame = np.zeros((height, width, 3), np.uint8)
            frame[number % height :, :, 0] = number * 7
            frame[:, number * 5 % width :, 1] = 200
            frame[..., 2] = noise
            for packet in stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")):
                file.mux(packet)
        for packet in stream.encode(None):
            file.mux(packet)


def decoded(path: Path, pixels: str = "rgb24") -> np.ndarray:
    """All frames of a video, decoded one after the other."""
    with av.open(str(path)) as file:
        return np.stack([frame.to_ndarray(format=pixels) for frame in file.decode(video=0)])
