"""Pairs of frames: cuts and repeats."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gen_inbetween.interpolation.retiming.frame_pairs import TimedFrame, frame_pairs
from gen_inbetween.media.scenes import scene_cuts, thumbnail

SIZE = 24, 16


def flat(level: float) -> np.ndarray:
    return np.full((*SIZE[::-1], 3), round(level), np.uint8)


def flats(*levels: float, step: float = 1.0) -> list[TimedFrame]:
    return [TimedFrame(flat(level), index * step) for index, level in enumerate(levels)]


def levels(images: Iterator[np.ndarray]) -> list[int]:
    found = [np.asarray(image) for image in images]
    assert all(image.min() == image.max() for image in found)
    return [int(image.max()) for image in found]


def test_cuts_are_judged_as_in_a_whole_file():
    generator = np.random.default_rng(1)
    values = np.concatenate([base + np.cumsum(generator.uniform(1, 4, count)) for base, count in SCENES])
    frames = flats(*values)
    held = [index + 1 for index, pair in enumerate(frame_pairs(frames)) if pair.hold]
    assert held == scene_cuts(np.stack([thumbnail(frame.pixels) for frame in frames])) == [12, 15, 40]


SCENES = ((10, 12), (150, 3), (60, 25), (5, 9))


def test_repeats_do_not_turn_every_step_of_an_animation_on_twos_into_a_cut():
    frames = flats(*(level for level in range(0, 250, 25) for _ in range(2)))
    assert [pair.hold for pair in frame_pairs(frames)] == [True, False] * 9 + [True]
