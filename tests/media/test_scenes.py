"""Scene cuts: fast motion is none."""

from __future__ import annotations

import numpy as np
import pytest

from gen_inbetween.interpolation.retiming.frame_pairs import TimedFrame, frame_pairs
from gen_inbetween.media.scenes import scene_cuts


def test_fast_motion_is_no_cut() -> None:
    generator = np.random.default_rng(0)
    restless = generator.random((12, 24, 24, 3)).astype(np.float32)  # every frame differs from the last alike
    assert scene_cuts(restless) == []
    assert scene_cuts(np.concatenate([0.02 * restless[:6], 0.9 + 0.02 * restless[6:]])) == [6]


def shot(seed: int, count: int, step: int) -> np.ndarray:
    """Thumbnails of a scene that moves sideways by whole cells."""
    ground = np.random.default_rng(seed).random((3, 12, 3)).repeat(8, 0).repeat(8, 1).astype(np.float32)
    return np.stack([ground[:, step * number : step * number + 24] for number in range(count)])


@pytest.mark.parametrize("length", [2, 3, 5])
@pytest.mark.parametrize("step", [0, 1])
def test_cuts_between_very_short_shots_are_found(length: int, step: int) -> None:
    montage = np.concatenate([shot(seed, length, step) for seed in range(10)])
    assert scene_cuts(montage) == list(range(length, 10 * length, length))


def test_motion_by_twos_is_no_montage() -> None:
    by_twos = shot(0, 10, 3).repeat(2, axis=0)  # a pan by an eighth of the picture, each drawing shown twice
    frames = [(255 * frame).astype(np.uint8).repeat(2, 0).repeat(2, 1) for frame in by_twos]
    pairs = list(frame_pairs(TimedFrame(frame, float(number)) for number, frame in enumerate(frames)))
    assert not any(pair.cut for pair in pairs)


def test_nothing_is_drawn_over_the_cuts_of_a_montage() -> None:
    scenes = [np.random.default_rng(seed).integers(0, 256, (6, 8, 3), np.uint8) for seed in range(6)]
    frames = [scene.repeat(8, 0).repeat(8, 1) for scene in scenes for _ in range(2)]
    pairs = list(frame_pairs(TimedFrame(frame, float(number)) for number, frame in enumerate(frames)))
    assert [number for number, pair in enumerate(pairs) if pair.cut] == [1, 3, 5, 7, 9]
    assert all(pair.hold for pair in pairs)


def test_two_frames_are_a_pair_to_be_joined() -> None:
    frames = [np.full((48, 64, 3), level, np.uint8) for level in (0, 255)]
    (pair,) = frame_pairs(TimedFrame(frame, float(number)) for number, frame in enumerate(frames))
    assert not pair.cut and not pair.hold
