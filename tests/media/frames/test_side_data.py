"""What frames carry beside their pixels is read, and the frames leave when nobody holds them."""

from __future__ import annotations

import gc
import io
import subprocess
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import pytest
from film_cases import film, number_of, write_film
from PIL import Image, ImageCms

from gen_inbetween.media.frames.side_data import dynamic_metadata, light_of, orientation_of
from gen_inbetween.media.video import open_source, read_frames


@pytest.fixture
def no_collector() -> Iterator[None]:
    """Without Python's search for circles, which a large program seldom makes."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def frames_held() -> int:
    return sum(type(each) is av.VideoFrame for each in gc.get_objects())


def test_a_frame_that_was_looked_at_leaves_at_once(no_collector: None) -> None:
    before = frames_held()
    for look in (orientation_of, light_of, dynamic_metadata):
        look(av.VideoFrame(64, 48, "yuv420p"))
    assert frames_held() == before


@pytest.mark.parametrize(("name", "codec"), [("a.mp4", "libx264"), ("a.webm", "libvpx-vp9")])
def test_a_film_is_read_without_being_kept(tmp_path: Path, no_collector: None, name: str, codec: str) -> None:
    source = open_source(write_film(tmp_path / name, film(60), codec=codec))
    before = frames_held()
    for read in (source.frames(), source.between().frames()):
        held = [frames_held() for number, _ in enumerate(read) if number == 59]
        assert held[0] - before < 20, "the last ones come out of a decoder together"


def store(path: Path, codec: str, pix_fmt: str, kind: str, **stored: object) -> Path:
    """A film of four frames that Pillow has encoded."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=12, width=64, height=48, pix_fmt=pix_fmt)
        for number, frame in enumerate(film(4)):
            content = io.BytesIO()
            frame.save(content, kind, **stored)
            packet = av.Packet(content.getvalue())
            packet.stream, packet.pts, packet.dts, packet.time_base = stream, number, number, Fraction(1, 12)
            container.mux(packet)
    return path


def test_side_data_that_pyav_does_not_know_is_passed_over(tmp_path: Path) -> None:
    """EXIF in the frames of a camera's Motion JPEG."""
    exif = Image.Exif()
    exif[271] = "a camera"
    path = store(tmp_path / "camera.avi", "mjpeg", "yuvj420p", "JPEG", exif=exif, quality=95)
    assert [number_of(frame) for frame in read_frames(path).frames] == [0, 1, 2, 3]
    assert open_source(path).colour.light is None


def test_words_beside_side_data_do_not_crash(tmp_path: Path) -> None:
    """A colour profile has a name; in a process of its own, which a crash ends."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    path = store(tmp_path / "drawn.mov", "png", "rgb24", "PNG", icc_profile=profile)
    words = f"from gen_inbetween.media.video import read_frames; print(len(read_frames({str(path)!r}).frames))"
    ended = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == (0, "4\n"), ended.stderr
