"""Colour, geometry and transparency of films through retiming."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from colour_cases import RED, SD, patches, pix_fmt, tags, write
from PIL import Image

from gen_inbetween.interpolation.retiming.retime_video import retime_video
from gen_inbetween.media.frames.colour import MATRICES, PRIMARIES, RANGES, TRANSFERS, FilmColour
from gen_inbetween.media.frames.screen import sixteen_bit
from gen_inbetween.media.video import open_source, read_frames

HD = FilmColour()
PQ = FilmColour("bt2020nc", "bt2020", "smpte2084", bits=10)
HLG = replace(PQ, transfer="arib-std-b67")


def retime(path: Path, out: Path, **more: Any) -> Path:
    return retime_video(path, out, interpolator="nearest", progress=False, **more).path


def numbers_of(colour: FilmColour) -> tuple[int, int, int, int]:
    return (
        MATRICES[colour.matrix], PRIMARIES[colour.primaries], TRANSFERS[colour.transfer], RANGES[colour.range]
    )  # fmt: skip


def level(path: Path) -> np.ndarray:
    """Mean of Y, and of the pictures' R, G and B."""
    with av.open(str(path)) as container:
        luma = np.mean([frame.reformat(format="gray").to_ndarray().mean() for frame in container.decode(video=0)])
    return np.append(luma, np.stack([np.asarray(frame) for frame in read_frames(path).frames]).mean((0, 1, 2)))


@pytest.mark.parametrize("colour", [HD, SD, replace(SD, range="pc")])
def test_passes_do_not_darken(tmp_path: Path, colour: FilmColour) -> None:
    path = write(tmp_path / "0.mp4", [patches(shift=2 * number) for number in range(3)], colour=colour, crf=6)
    before = level(path)
    for generation in range(1, 4):
        path = retime(path, tmp_path / f"{generation}.mp4", fps=10)
        assert tags(path) == numbers_of(colour)
    assert np.abs(level(path) - before).max() < 0.5


def test_untagged_films_are_tagged_as_they_were_taken(tmp_path: Path) -> None:
    for width, colour in ((64, SD), (1280, HD)):
        path = write(tmp_path / "a.mp4", [patches(width)] * 2, like=colour, crf=4)
        made = retime(path, tmp_path / "o.mp4", fps=10)
        assert tags(made) == numbers_of(colour)
        red = np.asarray(read_frames(made).frames[0])[16, 16].astype(int)
        assert np.abs(red - RED).max() <= 4


@pytest.mark.parametrize("colour", [PQ, HLG])
def test_hdr_is_kept_with_its_tags(tmp_path: Path, colour: FilmColour) -> None:
    frames = [sixteen_bit(patches())] * 2
    path = write(
        tmp_path / "a.mkv", frames, "yuv420p10le", "libx265", colour, **{"x265-params": "log-level=error:bframes=0"}
    )
    made = retime(path, tmp_path / "o.mp4", fps=10)
    assert tags(made) == numbers_of(colour) and pix_fmt(made) == "yuv420p10le"
    pixels, source = (next(open_source(each).read(0, 1, 1)).astype(int) for each in (made, path))
    assert np.abs(pixels - source).mean() < 2 * 257


def test_hdr_is_tone_mapped_where_it_cannot_be_kept(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    grey = np.full((48, 64, 3), round(0.38 * 65535), np.uint16)  # HDR's grey card
    path = write(
        tmp_path / "a.mkv", [grey] * 2, "yuv420p10le", "libx265", PQ, **{"x265-params": "log-level=error:bframes=0"}
    )
    for name in ("o.gif", "o"):
        caplog.clear()
        with caplog.at_level("INFO"):
            made = retime(path, tmp_path / name, fps=10)
        assert "tone-mapped" in caplog.text
        picture = np.asarray(read_frames(made).frames[0])
        assert np.abs(picture.mean() / 255 - (26.2 / 203) ** (1 / 2.4)) < 0.03
    assert np.abs(np.asarray(read_frames(path).frames[0]).astype(int) - picture).max() <= 2  # edit, train, evaluation


def test_pixels_stay_or_become_square_in_every_output(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", [patches()] * 2, rotation=90, aspect=Fraction(2), crf=4)
    made = retime(path, tmp_path / "o.mp4", fps=10)
    with av.open(str(made)) as container:
        stream = container.streams.video[0]
        assert (stream.width, stream.height, stream.sample_aspect_ratio) == (48, 64, Fraction(1, 2))
    for name in ("o.gif", "o.webp", "o"):
        with Image.open(
            next(iter(sorted((tmp_path / name).iterdir())))
            if name == "o" and retime(path, tmp_path / name, fps=10)
            else retime(path, tmp_path / name, fps=10)
        ) as picture:
            assert picture.size == (48, 128)


def test_a_mirrored_film_stays_as_it_is_seen(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", [patches()] * 2, mirrored=True, crf=4)
    made = np.asarray(read_frames(retime(path, tmp_path / "o.mp4", fps=10)).frames[0]).astype(int)
    assert np.abs(made - patches()[:, ::-1]).mean() < 4


def test_interlaced_film(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    frames = [patches(shift=4 * number) for number in range(4)]
    for frame, other in zip(frames, frames[1:], strict=False):
        frame[1::2] = other[1::2]
    path = write(tmp_path / "a.mp4", frames, colour=SD, crf=4, **{"x264-params": "tff=1"})
    with caplog.at_level("INFO"):
        made = retime(path, tmp_path / "o.mp4", fps=10)
    assert "deinterlaced (bwdif)" in caplog.text
    kept = retime(path, tmp_path / "k.mp4", fps=10, interlaced="keep")
    rows = [np.asarray(read_frames(each).frames[1]).astype(int)[9:23, 8:32] for each in (made, kept)]
    combs = [np.abs(np.diff(each, 2, axis=0)).mean() for each in rows]
    assert combs[0] < 0.6 * combs[1]


ALPHA_OUTPUTS = ["o.mov", "o.webm", "o.webp", "o.gif", "o.apng", "o"]


@pytest.mark.parametrize("name", ALPHA_OUTPUTS)
def test_transparency_is_kept(tmp_path: Path, name: str) -> None:
    frames = [patches(shift=4 * number, alpha=True) for number in range(4)]
    path = write(tmp_path / "a.mov", frames, "argb", "qtrle")
    made = retime_video(path, tmp_path / name, fps=20, interpolator="dis-splat", progress=False)
    video = open_source(made.path, **({"folder_rate": 20} if name == "o" else {})).between()
    assert video.colour.alpha
    arrays = [pixels for pixels, _ in video.frames()]
    assert made.written == 8
    whole = np.iinfo(arrays[0].dtype).max
    moved = next(pixels for pixels, seconds in zip(arrays, video.times, strict=True) if abs(seconds - 0.05) < 1e-3)
    alpha = moved[..., 3] / whole
    assert alpha[16, 14:22].min() > 0.9 and alpha[2].max() < 0.1 and alpha[16, 40:].max() < 0.1
    colour = moved[16, 14:22, :3] / whole * 255
    assert np.abs(colour - RED).max() < 25  # no green of the hidden ground


def test_what_is_transparent_lies_over_a_background(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write(tmp_path / "a.mov", [patches(alpha=True)] * 2, "yuva444p10le", "prores_ks", profile="4444")
    with caplog.at_level("INFO"):
        made = retime(path, tmp_path / "flat.mp4", fps=10)
    assert "holds no transparency" in caplog.text
    picture = np.asarray(read_frames(made).frames[0]).astype(int)
    assert picture[40, 4].min() > 250 and np.abs(picture[16, 16] - RED).max() < 12
