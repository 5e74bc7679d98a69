"""Conversion of frames: by their tags, without drift, without loss of depth or alpha."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from colour_cases import RED, SD, patches, tags, write

from gen_inbetween.media.frames.colour import FilmColour, colour_of
from gen_inbetween.media.frames.conversion import av_frame, fitted, padded, pixels_of
from gen_inbetween.media.frames.screen import sixteen_bit
from gen_inbetween.media.video import open_source, read_frames

HD = FilmColour()
WIDE = FilmColour("bt2020nc", "bt2020", "bt2020-10", bits=10)


@pytest.mark.parametrize(
    ("colour", "pix_fmt"),
    [
        (HD, "yuv420p"),
        (SD, "yuv420p"),
        (FilmColour(range="pc"), "yuv420p"),
        (HD, "yuv422p"),
        (WIDE, "yuv420p10le"),
        (FilmColour(bits=10), "yuv422p10le"),
        (FilmColour(bits=12, range="pc"), "yuv444p12le"),
        (FilmColour("smpte170m", range="pc"), "yuvj420p"),
        (FilmColour(bits=10, range="pc"), "yuv420p10le"),
    ],
)
def test_ten_generations_stay_within_half_a_grey_level(colour: FilmColour, pix_fmt: str) -> None:
    noise = np.random.default_rng(0).normal(0, 5, (48, 64, 3))
    first = (patches() + noise).clip(0, 255).round().astype(np.uint8)
    pixels = sixteen_bit(first) if colour.bits > 8 else first
    for _ in range(10):
        pixels = pixels_of(av_frame(pixels, colour, pix_fmt))
    level = 257 if colour.bits > 8 else 1
    assert np.abs(pixels.mean((0, 1)) / level - first.mean((0, 1))).max() < 0.5


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv420p10le", "yuv444p12le", "gray", "gray10le", "yuvj420p"])
def test_every_grey_level_comes_back(pix_fmt: str) -> None:
    layout = av.VideoFormat(pix_fmt, 16, 16)
    full = pix_fmt.startswith(("gray", "yuvj"))
    colour = FilmColour("smpte170m", "smpte170m", "smpte170m", "pc" if full else "tv")
    ramp = np.repeat(np.linspace(0, 65535, 256).round().astype(np.uint16)[None, :, None], 16, 0).repeat(3, 2)
    ramp = ramp if layout.components[0].bits > 8 else (ramp // 257).astype(np.uint8)
    pixels = pixels_of(av_frame(ramp, colour, pix_fmt))
    assert pixels.dtype == ramp.dtype
    assert pixels[0, 0].tolist() == [0, 0, 0]
    assert pixels[0, -1].tolist() == [np.iinfo(ramp.dtype).max] * 3
    step = 65535 / 219 / 4 if ramp.dtype == np.uint16 else 1
    assert np.abs(pixels.astype(int) - ramp).max() <= step


@pytest.mark.parametrize("pix_fmt", ["yuva420p", "yuva444p10le", "gbrap12le", "rgba", "argb"])
def test_alpha_is_straight_and_whole(pix_fmt: str) -> None:
    pixels = patches(alpha=True)
    deep = av.VideoFormat(pix_fmt, 16, 16).components[0].bits > 8
    pixels = sixteen_bit(pixels) if deep else pixels
    read = pixels_of(av_frame(pixels, HD, pix_fmt))
    assert np.array_equal(read[..., 3], pixels[..., 3])
    assert np.abs(read[12:20, 12:20].astype(int) - pixels[12:20, 12:20]).max() <= (514 if deep else 3)


@pytest.mark.parametrize(("size", "meant"), [((64, 48), SD), ((1280, 64), HD), ((64, 592), HD)])
def test_what_tags_leave_out_is_that_of_the_size(tmp_path: Path, size: tuple[int, int], meant: FilmColour) -> None:
    path = write(tmp_path / "a.mp4", [patches(*size)] * 2, like=meant, crf=2)
    assert tags(path)[0] == 2
    source = open_source(path)
    assert (source.colour.matrix, source.colour.range, source.colour.bits) == (meant.matrix, "tv", 8)
    ((timed, _), _) = source.between().frames()
    for pixels in (
        timed,
        np.asarray(read_frames(path).frames[0]),
        np.asarray(read_frames(path, reader="av").frames[1]),
    ):
        assert np.abs(pixels[12:20, 12:20].astype(int) - RED).max() <= 3


def test_tags_are_read_and_written(tmp_path: Path) -> None:
    colour = FilmColour("bt2020nc", "smpte432", "iec61966-2-1", "pc", 10, "422")
    path = write(tmp_path / "a.mkv", [sixteen_bit(patches())] * 2, "yuv422p10le", "libx264", colour, crf=2)
    assert open_source(path).colour == colour
    frame = av_frame(sixteen_bit(patches()), colour, "yuv422p10le")
    assert colour_of(frame) == colour


def test_planes_of_half_the_size_get_whole_pixels() -> None:
    pixels = patches()[:45, :63]
    assert padded(pixels, "yuv420p").shape == (46, 64, 3)
    assert padded(pixels, "yuv422p").shape == (45, 64, 3)
    assert padded(pixels, "yuv444p") is pixels
    assert np.array_equal(padded(pixels, "yuv420p")[:45, :63], pixels)


def test_another_size_is_shown_whole_between_bars() -> None:
    shown = fitted(np.full((40, 80, 3), 200, np.uint8), 64, 48)
    assert shown.shape == (48, 64, 3)
    assert (shown[:8] == 0).all() and (shown[-8:] == 0).all()
    assert np.abs(shown[8:40].astype(int) - 200).max() <= 1
    deep = fitted(np.full((40, 80, 4), 51400, np.uint16), 64, 48)
    assert deep[0, 0].tolist() == [0, 0, 0, 0] and np.abs(deep[20, 20].astype(int) - 51400).max() <= 257


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt"),
    [
        ("a.mp4", "libx264", "yuv420p"),
        ("a.mp4", "libx264", "yuv422p"),
        ("a.mp4", "libx265", "yuv420p10le"),
        ("a.webm", "libvpx-vp9", "yuv420p"),
        ("a.mp4", "libsvtav1", "yuv420p10le"),
        ("a.mov", "prores_ks", "yuv422p10le"),
        ("a.mkv", "ffv1", "yuv420p"),
        ("a.mkv", "mpeg2video", "yuv420p"),
        ("a.y4m", "rawvideo", "yuv420p"),
    ],
)
def test_colours_do_not_move(tmp_path: Path, name: str, codec: str, pix_fmt: str) -> None:
    ramp = np.full((64, 64, 3), 100, np.uint8)
    ramp[..., 2] = 60 + 2 * np.arange(64)
    more = {"libx265": {"x265-params": "log-level=error:bframes=0"}, "rawvideo": {}}.get(codec, {"b": "4M"})
    siting = "center" if codec == "rawvideo" else "left"  # what the header of a Y4M says
    path = write(tmp_path / name, [ramp] * 2, pix_fmt, codec, rate=25, siting=siting, **more)
    pixels = next(open_source(path).read(0, 1, 1)).astype(float)
    moved = (pixels[..., 2] / (257 if "10" in pix_fmt else 1) - ramp[..., 2])[8:-8, 8:-8].mean() / 2
    assert abs(moved) < 0.3  # pixels; 0.44 where two sitings are mixed up


@pytest.mark.parametrize(("pix_fmt", "black", "white"), [("gray", 16, 235), ("gray10le", 64, 940)])
def test_grey_frames_of_limited_range(pix_fmt: str, black: int, white: int) -> None:
    dtype = np.uint8 if pix_fmt == "gray" else np.uint16
    frame = av.VideoFrame.from_ndarray(np.array([[black, white] * 8] * 16, dtype), format=pix_fmt)
    frame.color_range = 1
    pixels = pixels_of(frame)
    assert pixels[0, :2, 0].tolist() == [0, np.iinfo(dtype).max] and pixels.shape == (16, 16, 3)
