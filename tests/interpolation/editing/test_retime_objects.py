"""Things of a clip at other times than the rest: where they are, and what is seen where they were."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import torch
from PIL import Image

from gen_inbetween.interpolation import InterpolatorError
from gen_inbetween.interpolation.baselines import Still
from gen_inbetween.interpolation.editing.clean_plates import clean_plates
from gen_inbetween.interpolation.editing.mask_propagation import follow_things, propagate_masks
from gen_inbetween.interpolation.editing.masks import MaskError
from gen_inbetween.interpolation.editing.retime_objects import retime_objects
from gen_inbetween.media.clip import Clip

HEIGHT, WIDTH, SIDE, STEP, FRAMES = 64, 112, 20, 5, 7


def smooth_noise(seed: int, height: int, width: int, coarse: int) -> np.ndarray:
    small = np.random.default_rng(seed).integers(0, 256, (height // coarse + 2, width // coarse + 2, 3))
    return np.asarray(Image.fromarray(small.astype(np.uint8)).resize((width, height), Image.Resampling.BICUBIC))


def filmed(pan: int = 0) -> tuple[list[Image.Image], np.ndarray, np.ndarray]:
    """A bright thing going STEP pixels a frame to the right before a dim wall, the camera panning `pan` to the right.

    Returns the frames, the masks (F, 1, H, W) and the frames without the thing (F, H, W, 3).
    """
    wall = smooth_noise(1, HEIGHT, WIDTH + pan * FRAMES, 6) // 3
    thing = 155 + smooth_noise(2, SIDE, SIDE, 6) // 3
    frames, masks, walls = [], np.zeros((FRAMES, 1, HEIGHT, WIDTH), bool), []
    for number in range(FRAMES):
        shown = wall[:, pan * number : pan * number + WIDTH].copy()
        walls.append(shown.copy())
        left = 20 + number * (STEP - pan)
        shown[22 : 22 + SIDE, left : left + SIDE] = thing
        masks[number, 0, 22 : 22 + SIDE, left : left + SIDE] = True
        frames.append(Image.fromarray(shown))
    return frames, masks, np.stack(walls)


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    return float((one & other).sum() / (one | other).sum())


def off_by(frame: Image.Image | np.ndarray, truth: np.ndarray) -> float:
    return float(np.abs(np.asarray(frame).astype(float) - truth).mean())


@pytest.mark.parametrize("pan", [0, 2])
def test_masks_follow_and_plates_are_clean(pan):
    frames, masks, walls = filmed(pan)
    followed = np.stack([step.masks for step in propagate_masks(frames, masks[0])])
    assert min(overlap(found, truth) for found, truth in zip(followed, masks, strict=True)) > 0.8
    plates = clean_plates(frames, list(followed))
    where = masks[:, 0]
    assert off_by(np.stack(plates)[where], walls[where]) < 5
    assert off_by(np.stack([np.asarray(frame) for frame in frames])[where], walls[where]) > 100


def test_a_thing_that_waits_stays_and_leaves_nothing_behind():
    frames, masks, walls = filmed()
    held = retime_objects(frames, masks[0], ["0:0,1:0"], interpolator="blend")
    inside = np.s_[25 : 22 + SIDE - 3, 23 : 20 + SIDE - 3]  # its edge is soft
    elsewhere = ~masks[0, 0]
    for number, frame in enumerate(held):
        assert off_by(np.asarray(frame)[inside], np.asarray(frames[0])[inside]) < 1
        assert off_by(np.asarray(frame)[elsewhere], walls[number][elsewhere]) < 3


def test_a_thing_is_where_its_curve_says_at_times_between_frames():
    frames, masks, _ = filmed()
    clip = retime_objects(frames, masks[0], ["0:0,0.5:0.75,1:1"], num_frames=5, interpolator="dis")
    lit = np.asarray(clip[2]).min(2) > 130
    assert np.flatnonzero(lit.any(0)).mean() == pytest.approx(20 + 9.5 + 0.75 * STEP * (FRAMES - 1), abs=1)
    assert len(clip) == 5


def test_one_time_for_all_is_the_clip_itself():
    frames, masks, _ = filmed()
    clip = Clip(frames, 12)
    same = retime_objects(clip, masks[0], ["linear"], interpolator="blend")
    assert [np.asarray(a).tolist() for a in same] == [np.asarray(a).tolist() for a in frames] and same.fps == 12
    back = retime_objects(clip, [], [], background="0:1,1:0", interpolator="blend")
    assert np.asarray(back[0]).tolist() == np.asarray(frames[-1]).tolist()
    assert same.manifest["settings"]["method"] == "retime-objects" and len(same.manifest["frames"]) == FRAMES


class Black(Still):
    """Whatever is drawn is black."""

    def __call__(self, a, b, t, *, ref=None, iters=1):
        return torch.zeros_like(a)


@pytest.mark.parametrize("count", [14, 50])  # whose shares are no whole frames again in single precision
def test_a_frame_that_is_there_is_not_drawn(count):
    frames = [Image.fromarray(smooth_noise(number, 32, 32, 6) // 2 + 100) for number in range(count)]
    clip = Clip(frames, 12)
    shown = retime_objects(clip, [], [], interpolator=Black(hard=False), progress=False)
    assert [np.asarray(a).tolist() for a in shown] == [np.asarray(a).tolist() for a in frames]


def test_where_a_thing_is_lost_is_said_and_stands_in_the_manifest(caplog):
    frames, masks, walls = filmed()
    clip = Clip([*frames[:3], *(Image.fromarray(wall) for wall in walls[3:5]), frames[5]], 10)
    with caplog.at_level(logging.WARNING, "gen_inbetween"):
        followed, records = follow_things(clip, masks[0], progress=False)
    assert overlap(followed[2], masks[2]) > 0.8 and len(followed) == 6
    assert records == [{"lost": [{"frames": [3, 5], "seconds": [0.3, 0.5]}]}]
    assert "thing 1 is lost from frame 3 (0.30 s) on" in caplog.text
    moved = retime_objects(clip, masks[0], ["linear"], interpolator="blend", progress=False)
    assert moved.manifest["settings"]["masks"][0]["lost"][0]["frames"] == [3, 5]
    whole = retime_objects(frames, masks[0], ["linear"], interpolator="blend", progress=False)
    assert whole.manifest["settings"]["masks"][0].keys() == {"sha256"}


def test_a_mask_does_not_grow_into_what_the_thing_uncovers():
    """A blurred thing on a blurred ground: the outline alone drifts outwards."""
    rng = np.random.default_rng(3)
    ground = np.asarray(Image.fromarray(rng.integers(40, 120, (12, 20, 3)).astype(np.uint8)).resize((160, 96), 3))
    frames, truth = [], []
    for number in range(10):
        y, x = np.mgrid[:96, :160]
        distance = np.hypot(x - 30 - 9 * number, y - 48) - 14
        cover = np.clip(0.5 - distance / 8, 0, 1)[..., None]
        frames.append(Image.fromarray((ground + cover * ((200, 60, 40) - ground.astype(float))).astype(np.uint8)))
        truth.append(distance < 0)
    followed = [step.masks[0] for step in propagate_masks(frames, truth[0][None])]
    assert min(overlap(*pair) for pair in zip(followed, truth, strict=True)) > 0.6  # 0.30 without the colours


def test_what_cannot_be():
    frames, masks, _ = filmed()
    with pytest.raises(InterpolatorError, match="2 frames or more"):
        retime_objects(frames[:1], masks[0], ["linear"], interpolator="blend")
    with pytest.raises(InterpolatorError, match="2 frames or more"):
        retime_objects(frames, masks[0], ["linear"], num_frames=1, interpolator="blend")
    with pytest.raises(MaskError, match="mask 1 is 64x64"):
        retime_objects(frames, [np.ones((64, 64))], ["linear"], interpolator="blend")
    with pytest.raises(MaskError, match="one curve for each"):
        retime_objects(frames, masks[0], [], interpolator="blend")
