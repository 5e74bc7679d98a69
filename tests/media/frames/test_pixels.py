"""A small file that hides large pictures is refused by its header, whatever decodes it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gen_inbetween.media.clip import Clip
from gen_inbetween.media.frames.colour import SDR
from gen_inbetween.media.frames.errors import VideoError
from gen_inbetween.media.frames.pixels import PIXELS_VARIABLE
from gen_inbetween.media.image import FrameError, array_of, load_image
from gen_inbetween.media.video import open_source
from gen_inbetween.media.video_writer import write_video
from gen_inbetween.media.writing.pictures import save_picture


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Pictures of 64 x 48 pixels in every kind of file."""
    frames = [Image.new("RGB", (64, 48), (20 * number, 60, 90)) for number in range(3)]
    for name in ("a.mp4", "a.gif", "a.webp", "a.apng", "folder"):
        write_video(frames, tmp_path / name, 10)
    frames[0].save(tmp_path / "a.png")
    deep = np.full((48, 64, 3), 40_000, np.uint16)
    for name in ("d.png", "d.tif", "d.exr"):
        save_picture(deep, tmp_path / name, deep=True, colour=SDR)
    return tmp_path


READERS: dict[str, Callable] = {
    "a.mp4": Clip.open, "a.gif": Clip.open, "a.webp": Clip.open, "a.apng": Clip.open, "folder": Clip.open,
    "a.png": load_image, "d.png": array_of, "d.tif": array_of, "d.exr": array_of,
}  # fmt: skip


@pytest.mark.parametrize("name", READERS)
def test_more_pixels_than_may_be_are_refused_by_the_header(
    files: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)
    assert READERS[name](files / name) is not None
    monkeypatch.setenv(PIXELS_VARIABLE, "2000")
    words = f"{name}.* has 0 million pixels; at most 0 million are read.*{PIXELS_VARIABLE}=3072"
    with pytest.raises((FrameError, VideoError), match=words):
        READERS[name](files / name)
    monkeypatch.setenv(PIXELS_VARIABLE, "3072")
    assert READERS[name](files / name) is not None


def test_a_film_that_grows_inside_loses_its_large_frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = []
    for number, size in enumerate(((32, 32), (2688, 1600))):
        path = write_video([Image.new("RGB", size, (90, 60, 30))] * 3, tmp_path / f"{number}.mkv", 10)
        parts.append(raw_h264(path))
    (tmp_path / "grows.h264").write_bytes(b"".join(parts))
    assert len(list(open_source(tmp_path / "grows.h264").between().frames())) == 6
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)
    monkeypatch.setenv(PIXELS_VARIABLE, "2000")
    assert [frame.shape for frame, _ in open_source(tmp_path / "grows.h264").between().frames()] == [(32, 32, 3)] * 3


def raw_h264(path: Path) -> bytes:
    """The pictures of a film without their container."""
    import av

    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        to_raw = av.BitStreamFilterContext("h264_mp4toannexb", stream)
        packets = [made for packet in container.demux(stream) if packet.size for made in to_raw.filter(packet)]
        return b"".join(bytes(packet) for packet in packets)
