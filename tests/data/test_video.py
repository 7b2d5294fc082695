"""Any frame of a video is exactly the one that decoding from the start gives, whatever was read before."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from specbuild.data.sources import FrameSource, open_source, video
from specbuild.data.sources.clip import FrameCache
from specbuild.document import RunError, SpecError
from tests.data.pictures import decoded, write_video
from tests.data.samples import message, write_spec

X264 = {"bf": "3", "g": "12", "x264-params": "log-level=none"}
OPEN = {"bf": "3", "g": "12", "x264-params": "open-gop=1:log-level=none"}
FORMATS: dict[str, tuple[str, str, dict[str, str]]] = {
    "h264.mp4": ("libx264", "yuv420p", X264),
    "open_gop.mkv": ("libx264", "yuv420p", OPEN),
    "no_times.avi": ("libx264", "yuv420p", X264),
    "mpeg4.avi": ("mpeg4", "yuv420p", {"bf": "2", "g": "12"}),
    "mjpeg.avi": ("mjpeg", "yuvj420p", {}),
    "mpeg4.mov": ("mpeg4", "yuv420p", {"bf": "2", "g": "12"}),
    "vp8.webm": ("libvpx", "yuv420p", {"g": "12", "auto-alt-ref": "1", "lag-in-frames": "10"}),
    "palette.gif": ("gif", "rgb8", {}),
    "grey.mkv": ("ffv1", "gray", {}),
    "deep.mkv": ("ffv1", "gray16le", {}),
}
SHAPE = (30, 32, 48)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    for name, (codec, pixels, options) in FORMATS.items():
        write_video(folder / name, codec, pixels, SHAPE[0], options)
    return folder


def opened(folder: Path, path: str, layout: str = "T H W C", **source: Any) -> FrameSource:
    return open_source(write_spec(folder, {"source": {"path": path, "layout": layout, **source}}))


def expected(path: Path) -> np.ndarray:
    pixels = {"grey.mkv": "gray", "deep.mkv": "gray16le"}.get(path.name, "rgb24")
    frames = decoded(path, pixels)
    return frames if frames.ndim == 4 else frames[..., np.newaxis]


@pytest.mark.parametrize("name", FORMATS)
def test_random_access_is_sequential_access(folder: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("specbuild.data.sources.clip.CACHED", 0)
    frames, source = expected(folder / name), opened(folder, name)
    assert source.lengths == (len(frames),) == (SHAPE[0],)
    assert (source.space, source.channels) == (SHAPE[1:], frames.shape[-1])

    @settings(max_examples=12, deadline=None)
    @given(st.lists(st.tuples(st.integers(0, 29), st.integers(1, 9), st.integers(1, 3)), min_size=1, max_size=5))
    def check(windows: list[tuple[int, int, int]]) -> None:
        for start, count, step in windows:
            wanted = range(start, min(start + count * step, len(frames)), step)
            np.testing.assert_array_equal(source.read(0, wanted), frames[wanted].astype(np.float32))

    check()


def test_cached_frames_are_the_same(folder: Path) -> None:
    frames, source = expected(folder / "h264.mp4"), opened(folder, "h264.mp4")
    for start in (20, 3, 21, 3, 0):
        np.testing.assert_array_equal(source.read(0, range(start, start + 6)), frames[start : start + 6])


def test_decoding_begins_at_the_keyframe_before(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("specbuild.data.sources.clip.CACHED", 0)
    source = opened(folder, "h264.mp4")
    source.read(0, range(1))
    stepped: list[int] = []
    step = video._Decoder._next

    def counted(self: video._Decoder, number: int) -> Any:
        stepped.append(number)
        return step(self, number)

    monkeypatch.setattr(video._Decoder, "_next", counted)
    source.read(0, range(26, 28))
    assert len(stepped) < 16
    stepped.clear()
    source.read(0, range(28, 30))
    assert len(stepped) == 2


def test_several_threads(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("specbuild.data.sources.clip.CACHED", 0)
    frames, source = expected(folder / "h264.mp4"), opened(folder, "h264.mp4")
    starts = [*range(0, 26, 3), *range(25, 0, -4)] * 3
    with ThreadPoolExecutor(4) as pool:
        read = list(pool.map(lambda start: source.read(0, range(start, start + 4)), starts))
    for start, found in zip(starts, read, strict=True):
        np.testing.assert_array_equal(found, frames[start : start + 4])


def test_videos_are_events(tmp_path: Path) -> None:
    (tmp_path / "clips").mkdir()
    write_video(tmp_path / "clips" / "2.mp4", "mpeg4", frames=4)
    write_video(tmp_path / "clips" / "10.mp4", "mpeg4", frames=7)
    for path in ("clips", "clips/*.mp4"):
        source = opened(tmp_path, path, "N T H W", size=[16, 24])
        assert (source.lengths, source.space, source.channels) == ((4, 7), (16, 24), 1)
    with pytest.raises(SpecError, match="holds 2 clips, and the layout names no N"):
        opened(tmp_path, "clips")


def test_grey_of_colour(folder: Path) -> None:
    frames, source = expected(folder / "h264.mp4"), opened(folder, "h264.mp4", "T H W")
    luma = frames[:3] @ np.array([0.299, 0.587, 0.114])
    np.testing.assert_allclose(source.read(0, range(3))[..., 0], luma, atol=0.51)


@pytest.mark.parametrize("name", ["h264.mp4", "open_gop.mkv", "mpeg4.avi", "mjpeg.avi", "vp8.webm", "palette.gif"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.95])
def test_a_video_that_is_cut_short_is_refused(folder: Path, tmp_path: Path, name: str, share: float) -> None:
    content = (folder / name).read_bytes()
    (tmp_path / name).write_bytes(content[: int(len(content) * share)])
    with pytest.raises(SpecError, match=rf"{name} (is cut short|is cut short or no video|has no pictures)") as caught:
        opened(tmp_path, name)
    assert caught.value.diagnostics[0].path == "data.source.path"


def test_what_is_no_video(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"text, not a film" * 100)
    with pytest.raises(SpecError) as caught:
        opened(tmp_path, "a.mp4")
    assert message(caught.value) == (
        "data.source.path | a.mp4 is cut short or no video | Invalid data found when processing input | "
        "copy the file again"
    )


def test_a_frame_that_cannot_be_decoded_is_named(folder: Path, tmp_path: Path) -> None:
    content = bytearray((folder / "mpeg4.mov").read_bytes())
    with av.open(str(folder / "mpeg4.mov")) as file:
        packet = [bytes(one) for one in file.demux(video=0) if one.size][15]
    start = content.index(packet)
    content[start : start + len(packet)] = b"\xa5" * len(packet)
    (tmp_path / "mpeg4.mov").write_bytes(bytes(content))
    source = opened(tmp_path, "mpeg4.mov")
    source.read(0, range(10))
    with pytest.raises(RunError, match=r"frame \d+ of .*mpeg4\.mov cannot be decoded: Invalid data found"):
        source.read(0, range(20))


def test_idle_decoders_are_few(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "clips").mkdir()
    for number in range(video.IDLE + 3):
        write_video(tmp_path / "clips" / f"{number}.avi", "mjpeg", "yuvj420p", frames=2)
    closed: list[Path] = []
    close = video._Decoder.close
    source = opened(tmp_path, "clips", "N T H W")
    monkeypatch.setattr(video._Decoder, "close", lambda self: (closed.append(self.path), close(self))[1])
    for event in range(source.events):
        source.read(event, range(2))
    assert [path.name for path in closed] == ["0.avi", "1.avi", "2.avi"]


def test_the_cache_forgets_what_was_used_longest_ago() -> None:
    cache = FrameCache(3 * 100)
    for number in range(3):
        cache.put((0, number), np.zeros(100, np.uint8))
    cache.get((0, 0))
    cache.put((0, 3), np.zeros(100, np.uint8))
    cache.put((0, 4), np.zeros(1000, np.uint8))
    assert [number for number in range(5) if cache.get((0, number)) is not None] == [0, 2, 3]
