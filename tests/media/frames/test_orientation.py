"""Orientation: the eight ways a display matrix turns and mirrors a frame."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from colour_cases import patches, write

from gen_inbetween.media.video import open_source, read_frames


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
