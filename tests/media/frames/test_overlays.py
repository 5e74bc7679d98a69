"""Static overlays: found where the surroundings move, held as they stand, lost with the first change."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw

from gen_inbetween.interpolation import load_interpolator
from gen_inbetween.interpolation.retiming.frame_pairs import TimedFrame, frame_pairs, with_overlays
from gen_inbetween.interpolation.retiming.stream import retime_pairs
from gen_inbetween.media.frames.overlays import STEPS, OverlayFinder, check_overlays, held
from gen_inbetween.media.source import VideoError


def film(count: int, *, logo: bool = True, depth: type = np.uint8) -> tuple[list[np.ndarray], np.ndarray]:
    """A textured ground that runs to the left by five pixels a frame, a word drawn over it; where the word is."""
    ground = np.random.default_rng(0).uniform(0, 255, (24, 80, 3)).astype(np.uint8)
    ground = np.asarray(Image.fromarray(ground).resize((640, 192), Image.Resampling.BICUBIC))
    page = Image.new("L", (256, 192))
    ImageDraw.Draw(page).text((60, 70), "NEWS", 255, font_size=44)
    letters = np.asarray(page) > 127
    frames = []
    for number in range(count):
        frame = ground[:, 5 * number : 5 * number + 256].copy()
        if logo:
            frame[letters] = (255, 255, 255)
        frames.append(frame.astype(depth) * (257 if depth is np.uint16 else 1))
    return frames, letters


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_a_word_is_found_and_the_moving_ground_is_not(depth):
    frames, letters = film(STEPS + 3, depth=depth)
    finder = OverlayFinder()
    masks = [finder.see(*pair) for pair in zip(frames, frames[1:], strict=False)]
    assert all(mask is None for mask in masks[: STEPS - 1])
    mask = masks[-1][..., 0]
    assert (mask[letters] > 0.5).mean() > 0.9
    assert mask[:40].max() == mask[130:].max() == 0
    assert film(4, logo=False)[0][0].shape == frames[0].shape


def test_nothing_is_found_where_nothing_stands_or_nothing_moves():
    for frames in (film(STEPS + 3, logo=False)[0], [film(1)[0][0]] * (STEPS + 3)):
        finder = OverlayFinder()
        assert all(finder.see(*pair) is None for pair in zip(frames, frames[1:], strict=False))


def test_a_subtitle_that_goes_is_none_from_that_step_on():
    frames, letters = film(STEPS + 4)
    bare = film(STEPS + 4, logo=False)[0]
    finder = OverlayFinder()
    shown = [*frames[: STEPS + 2], *bare[STEPS + 2 :]]
    masks = [finder.see(*pair) for pair in zip(shown, shown[1:], strict=False)]
    assert masks[STEPS] is not None
    assert masks[STEPS + 1] is None or (masks[STEPS + 1][letters] > 0.5).mean() < 0.2


def test_held_pixels_are_those_of_both_frames_and_the_others_stay():
    first, last, drawn = (np.full((4, 4, 3), value, np.uint8) for value in (10, 20, 200))
    mask = np.zeros((4, 4, 1), np.float32)
    mask[:2] = 1
    frame = held(drawn, first, last, 0.25, mask)
    assert frame.dtype == np.uint8 and set(frame[:2].ravel()) <= {12, 13} and (frame[2:] == 200).all()


def test_a_word_stands_in_drawn_frames_where_it_is_held():
    frames, letters = film(STEPS + 4)
    timed = [TimedFrame(frame, float(number)) for number, frame in enumerate(frames)]
    times = [STEPS + 0.5, STEPS + 1.5]
    errors = {}
    for name, pairs in (("ignore", frame_pairs(timed)), ("hold", with_overlays(frame_pairs(timed)))):
        drawn = list(retime_pairs(pairs, times, load_interpolator("dis-splat")))
        errors[name] = np.mean([np.abs(frame[letters].astype(float) - 255).mean() for frame in drawn])
    assert errors["hold"] < 1 and errors["hold"] < errors["ignore"] / 4


def test_what_is_no_word_of_it_is_refused():
    with pytest.raises(VideoError, match="overlays is ignore or hold"):
        check_overlays("keep")
