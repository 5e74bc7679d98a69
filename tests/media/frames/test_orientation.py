"""Orientation: the eight ways a display matrix turns and mirrors a frame."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from colour_cases import patches, write

from gen_inbetween.interpolation.retiming.retime_video import retime_video
from gen_inbetween.media.frames.screen import square_pixels
from gen_inbetween.media.video import open_source, read_frames
from gen_inbetween.media.video_writer import write_video
from gen_inbetween.media.writing.options import VideoOptions


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_all_eight_orientations_by_every_way_of_reading(tmp_path: Path, rotation: int, mirrored: bool) -> None:
    pixels = patches()
    path = write(tmp_path / "a.mp4", [pixels] * 2, rotation=rotation, mirrored=mirrored, crf=2)
    meant = np.rot90(pixels, rotation // 90)  # FFmpeg turns, then mirrors
    meant = meant[:, ::-1] if mirrored else meant
    source = open_source(path)
    ((timed, _), _) = source.between().frames()
    for shown in (timed, np.asarray(read_frames(path).frames[0])):
        assert shown.shape == meant.shape
        assert np.abs(shown.astype(int) - meant).mean() < 4


@pytest.mark.parametrize(("rotation", "aspect", "size"), [(0, Fraction(2), (128, 48)), (90, Fraction(1, 2), (48, 128))])
def test_pixels_that_are_not_square_turn_with_the_frame(
    tmp_path: Path, rotation: int, aspect: Fraction, size: tuple[int, int]
) -> None:
    path = write(tmp_path / "a.mp4", [patches()] * 2, rotation=rotation, aspect=Fraction(2))
    source = open_source(path)
    assert source.sample_aspect == source.between().sample_aspect == aspect
    assert read_frames(path).frames[0].size == size


@pytest.mark.parametrize(
    "name",
    [
        *("h264.mp4", "vp9.mp4", "av1.mp4", "prores.mov", "h264.mkv", "vp9.mkv", "av1.mkv", "ffv1.mkv", "prores.mkv"),
        *("vp9.webm", "av1.webm", "h264.avi", "ffv1.avi", "none.y4m", "none.gif", "none.webp", "none.apng", "none"),
    ],
)
def test_every_output_shows_pixels_that_are_not_square_at_their_shape(tmp_path: Path, name: str) -> None:
    path, codec = tmp_path / name, name.partition(".")[0]
    options = VideoOptions(codec=None if codec == "none" else codec)
    write_video([patches(), patches(shift=1)], path, 10, options=options, sample_aspect=Fraction(2))
    shown = read_frames(path).frames[0]
    assert shown.size == (128, 48), "the shape it is shown in: kept, or resampled where it cannot be said"
    assert np.abs(np.asarray(shown.convert("RGB").resize((64, 48))).astype(int) - patches()).mean() < 6


def test_deep_frames_and_transparency_are_resampled_as_they_are() -> None:
    deep = np.full((4, 6, 4), 65535, np.uint16)
    deep[:, :3] = (1000, 60000, 1000, 0)  # hidden, and not to be seen
    deep[:, 3:, :3] = (40000, 300, 20000)
    wide = square_pixels(deep, Fraction(2))
    assert wide.dtype == np.uint16 and wide.shape == (4, 12, 4)
    seen = wide[wide[..., 3] > 20000][:, :3].astype(int)
    assert np.abs(seen - (40000, 300, 20000)).max() < 40
    assert square_pixels(deep, None) is deep and square_pixels(deep[..., :3], Fraction(1, 2)).shape == (8, 6, 3)


def test_a_film_retimed_into_webm_says_that_its_pixels_become_square(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write(tmp_path / "a.mp4", [patches(shift=step) for step in range(3)], aspect=Fraction(4, 3))
    caplog.set_level("INFO", "gen_inbetween")
    retime_video(path, tmp_path / "b.webm", fps=20, interpolator="nearest")
    assert "pixels that are not square become square" in caplog.text
    assert read_frames(tmp_path / "b.webm").frames[0].size == (86, 48)  # 85 and one more, as 4:2:0 wants it
