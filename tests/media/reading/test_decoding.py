"""Films as they come: interlaced, with transparency, of two sizes."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from colour_cases import RED, patches, write

from gen_inbetween.media.frames.colour import SDR
from gen_inbetween.media.frames.conversion import av_frame
from gen_inbetween.media.source import VideoError
from gen_inbetween.media.video import open_source, read_frames


def weave(count: int) -> list[np.ndarray]:
    """Interlaced frames: a bar that has moved four pixels from each field to the next."""
    fields = []
    for number in range(2 * count):
        field = np.full((48, 96, 3), 60, np.uint8)
        field[:, 4 + 4 * number : 20 + 4 * number] = 220
        fields.append(field)
    frames = []
    for first, second in zip(fields[::2], fields[1::2], strict=True):
        frame = first.copy()
        frame[1::2] = second[1::2]
        frames.append(frame)
    return frames


def combing(pixels: np.ndarray) -> float:
    rows = pixels[..., 0].astype(int)
    return float(np.abs(2 * rows[1:-1] - rows[:-2] - rows[2:]).mean())


@pytest.mark.parametrize(("codec", "name"), [("libx264", "a.mp4"), ("mpeg2video", "a.ts")])
def test_interlaced_film_is_deinterlaced_and_said_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, codec: str, name: str
) -> None:
    more = {"x264-params": "tff=1"} if codec == "libx264" else {"flags": "+ildct+ilme", "b": "4M"}
    path = write(tmp_path / name, weave(8), codec=codec, rate=25, **more)
    with caplog.at_level("INFO"):
        frames = [np.asarray(frame) for frame in read_frames(path).frames]
    assert caplog.text.count("is interlaced; it is deinterlaced") == 1
    timed = list(open_source(path).between().frames())
    kept = list(open_source(path, interlaced="keep").between().frames())
    assert len(frames) == len(timed) == len(kept) == 8
    assert [seconds for _, seconds in timed] == [seconds for _, seconds in kept]
    assert all(np.array_equal(pixels, one) for (one, _), pixels in zip(timed, frames, strict=True))
    for (whole, _), (combed, _) in zip(timed[1:-1], kept[1:-1], strict=True):
        assert combing(whole) < 0.35 * combing(combed)
    with pytest.raises(VideoError, match="interlaced is one of"):
        open_source(path, interlaced="drop")  # type: ignore[arg-type]


def test_progressive_film_is_left_as_it_is(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write(tmp_path / "a.mp4", weave(3))
    with caplog.at_level("INFO"):
        frames = read_frames(path).frames
    assert "interlaced" not in caplog.text
    assert np.array_equal(frames[1], next(open_source(path, interlaced="keep").read(1, 2, 1)))


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt"),
    [
        ("a.webm", "libvpx-vp9", "yuva420p"),
        ("a.webm", "libvpx", "yuva420p"),
        ("a.mov", "prores_ks", "yuva444p10le"),
        ("a.mov", "qtrle", "argb"),
        ("a.mov", "png", "rgba"),
        ("a.mkv", "ffv1", "bgra"),
    ],
)
def test_transparency_of_films_is_read(tmp_path: Path, name: str, codec: str, pix_fmt: str) -> None:
    more = {"profile": "4444"} if codec == "prores_ks" else {"b": "2M", "auto-alt-ref": "0"} if "vp" in codec else {}
    frames = [patches(shift=4 * number, alpha=True) for number in range(3)]
    path = write(tmp_path / name, frames, pix_fmt, codec, **more)
    source = open_source(path)
    assert source.colour.alpha
    for index, (pixels, _) in enumerate(source.between().frames()):
        level = 257 if pixels.dtype == np.uint16 else 1
        assert pixels.shape == (48, 64, 4)
        assert np.abs(pixels[..., 3] / level - frames[index][..., 3]).mean() < 4
        assert np.abs(pixels[12:20, 12 + 4 * index : 20 + 4 * index, :3] / level - RED).max() < 12
    picture = np.asarray(read_frames(path).frames[0])
    assert picture[40, 4].min() > 245  # white, and not the hidden green
    assert np.abs(picture[16, 16].astype(int) - RED).max() < 12


def test_a_size_that_changes_is_fitted_and_said_at_the_start(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    parts = [
        write(tmp_path / f"{number}.h264", [patches(width, 48)] * 4, **{"x264-params": "repeat-headers=1"})
        for number, width in enumerate((64, 96))
    ]
    path = tmp_path / "two.h264"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    source = open_source(path)
    with caplog.at_level("INFO"):
        video = source.between()
    assert "two.h264 changes its size inside (64x48, then 96x48): all frames are fitted to the first" in caplog.text
    shapes = [pixels.shape for pixels, _ in video.frames()]
    assert shapes == [(48, 64, 3)] * 8
    assert caplog.text.count("changes its size") == 1
    pictures = read_frames(path).frames
    assert {picture.size for picture in pictures} == {(64, 48)}
    assert np.asarray(pictures[-1])[:6].max() < 24  # a bar above


@pytest.mark.parametrize(("codec", "name"), [("libvpx", "a.webm"), ("libvpx-vp9", "a.webm"), ("mpeg2video", "a.ts")])
def test_other_streams_that_change_their_size(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, codec: str, name: str
) -> None:
    path = tmp_path / name
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for part, width in enumerate((64, 96)):
            encoder = av.CodecContext.create(codec, "w")
            encoder.width, encoder.height, encoder.pix_fmt, encoder.time_base = width, 48, "yuv420p", Fraction(1, 25)
            encoder.framerate = Fraction(25)
            frames = [av_frame(patches(width, 48), SDR, "yuv420p") for _ in range(4)]
            packets = []
            for number, frame in enumerate(frames):
                frame.pts, frame.time_base = 4 * part + number, Fraction(1, 25)
                packets += encoder.encode(frame)
            for packet in [*packets, *encoder.encode(None)]:
                packet.stream, packet.time_base = stream, Fraction(1, 25)
                container.mux(packet)
    with caplog.at_level("INFO"):
        video = open_source(path).between()
    assert "(64x48, then 96x48)" in caplog.text
    shapes = [pixels.shape for pixels, _ in video.frames()]
    assert set(shapes) == {(48, 64, 3)} and len(shapes) >= 7  # FFmpeg's MPEG-2 keeps the last one before the change


def test_streams_that_overlap_by_a_frame_lose_none(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "joined.ts"
    parts = []
    for number in range(2):
        with av.open(str(tmp_path / f"{number}.ts"), "w") as container:
            stream = container.add_stream("libx264", rate=25, options={"bf": "2"})
            stream.width, stream.height, stream.pix_fmt = 64 + 32 * number, 48, "yuv420p"
            for index in range(8):
                frame = av_frame(patches(64 + 32 * number, 48, index), SDR, "yuv420p")
                frame.pts, frame.time_base = index + 6 * number, Fraction(1, 25)
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
        parts.append((tmp_path / f"{number}.ts").read_bytes())
    path.write_bytes(b"".join(parts))
    with caplog.at_level("INFO"):
        seconds = [seconds for _, seconds in open_source(path).between().frames()]
    assert len(seconds) == 16 and seconds == sorted(seconds)
    assert "damaged" not in caplog.text and "changes its size" in caplog.text
