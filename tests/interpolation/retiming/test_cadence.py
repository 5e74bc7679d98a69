"""The cadence of hand-drawn animation, read off exposures and off drawn films."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from PIL import Image

from gen_inbetween.interpolation.interpolator import InterpolatorError
from gen_inbetween.interpolation.retiming.cadence import Cadence, cadence_of, duplicates_for, exposures_of, name_cadence
from gen_inbetween.interpolation.retiming.retime_video import retime_video
from gen_inbetween.media.clip import Clip
from gen_inbetween.media.writing.options import VideoOptions


@pytest.mark.parametrize(
    ("exposures", "name"),
    [
        ({2: 12}, "twos"),
        ({2: 20, 1: 3, 3: 2}, "twos"),
        ({3: 12, 2: 1}, "threes"),
        ({2: 8, 3: 8}, "mixed"),
        ({4: 10, 3: 1}, "fours"),
        ({1: 50}, None),
        ({1: 40, 2: 10}, None),  # 24 frames a second made 30 by repeating
        ({1: 30, 12: 2}, None),  # film with two pauses
        ({2: 3}, None),  # too short to tell
        ({}, None),
    ],
)
def test_what_counts_as_a_cadence(exposures, name):
    found = name_cadence(exposures)
    assert (found and found.name) == name


def test_exposures_are_runs_of_what_changes_little():
    assert exposures_of([]) == {1: 1}
    assert exposures_of([0, 0.3, 0, 0.3, 0, 0, 0.2]) == {2: 2, 3: 1, 1: 1}
    noisy = [0.02, 0.3] * 8  # twos, compressed: more than ALIKE, little beside the next drawing
    assert cadence_of(noisy).name == "twos"
    steady = list(np.random.default_rng(0).uniform(0.1, 0.3, 60))
    assert cadence_of(steady) is None


def test_it_is_said_in_drawings_a_second():
    assert Cadence("twos", 2.0).describe(24) == "drawn on twos: 12 drawings a second"
    assert Cadence("mixed", 2.5).describe(24).endswith("9.6 drawings a second")


def drawn(exposures: list[int]) -> list[Image.Image]:
    """A disc that moves four pixels from drawing to drawing, each shown for so many frames."""
    frames = []
    rows, columns = np.mgrid[:48, :128]
    for number, count in enumerate(exposures):
        disc = (rows - 24) ** 2 + (columns - 12 - 4 * number) ** 2 < 81
        pixels = np.where(disc[..., None], (220, 60, 40), (230, 225, 210)).astype(np.uint8)
        frames += [Image.fromarray(pixels)] * count
    return frames


@pytest.mark.parametrize(
    ("exposures", "name"), [([2] * 12, "twos"), ([3] * 9, "threes"), ([2, 3] * 5, "mixed"), ([1] * 24, None)]
)
@pytest.mark.parametrize("video", [VideoOptions(codec="ffv1"), VideoOptions(codec="h264", crf=24)])
def test_films_are_read_whatever_the_compression(tmp_path, exposures, name, video, caplog):
    Clip(drawn(exposures), 24).save(tmp_path / "film.mkv", video=video)
    options = {"interpolator": "blend", "progress": False, "fps": 48}
    with caplog.at_level("INFO"):
        made = retime_video(tmp_path / "film.mkv", tmp_path / "out.mkv", **options)
    assert made.cadence == name
    assert Clip.open(tmp_path / "out.mkv").manifest["counts"]["cadence"] == name
    assert ("film.mkv is drawn on" in caplog.text) == (name is not None)
    smooth = retime_video(tmp_path / "film.mkv", tmp_path / "smooth.mkv", duplicates="replace", **options)
    assert smooth.cadence == name  # those that were left out were shown, too


def test_smoothing_draws_between_the_drawings(tmp_path):
    Clip(drawn([2] * 10), 24).save(tmp_path / "film.mkv", video=VideoOptions(codec="ffv1"))
    lossless = {"video": VideoOptions(codec="ffv1"), "interpolator": "blend", "progress": False, "fps": 24}
    retime_video(tmp_path / "film.mkv", tmp_path / "keep.mkv", **lossless)
    retime_video(tmp_path / "film.mkv", tmp_path / "smooth.mkv", duplicates="replace", **lossless)
    keep, smooth = (Clip.open(tmp_path / name) for name in ("keep.mkv", "smooth.mkv"))
    assert len(keep) == len(smooth) == 20

    def repeats(clip) -> int:
        return sum(first.tobytes() == second.tobytes() for first, second in itertools.pairwise(clip))

    assert repeats(keep) == 10 and repeats(smooth) <= 2  # the last drawing has none after it


def test_the_words_of_animation_say_what_becomes_of_repeated_frames():
    assert [duplicates_for("keep", each) for each in (None, "keep", "smooth")] == ["keep", "keep", "replace"]
    assert [duplicates_for("replace", each) for each in (None, "smooth")] == ["replace", "replace"]
    with pytest.raises(InterpolatorError, match="choose"):
        duplicates_for("replace", "keep")
    with pytest.raises(InterpolatorError, match="keep or smooth, got 'twos'"):
        duplicates_for("keep", "twos")
