"""The generator's truth is true: flow carries pixels, masks show the objects, and time has a direction."""

from __future__ import annotations

import numpy as np
import pytest

from gen_inbetween.data.sprites import KINDS
from gen_inbetween.data.synthetic import make_clip, make_loop, motion_bucket
from gen_inbetween.data.textures import sample
from gen_inbetween.data.tracking import track


def test_same_seed_same_clip_and_another_seed_another() -> None:
    first, again, other = make_clip(5), make_clip(5), make_clip(6)
    assert np.array_equal(first.frames, again.frames)
    assert np.array_equal(first.flow, again.flow)
    assert not np.array_equal(first.frames, other.frames)


@pytest.mark.parametrize("kind", list(KINDS))
def test_shapes_and_ranges(kind: str) -> None:
    clip = make_clip(1, kind=kind, num_objects=2, num_frames=9, size=48)
    assert clip.frames.shape == (9, 48, 48, 3) and clip.frames.dtype == np.uint8
    assert clip.positions.shape == (9, 2, 2) and clip.headings.shape == (9, 2)
    assert clip.masks.shape == (9, 2, 48, 48) and clip.flow.shape == (8, 2, 48, 48)
    assert clip.kinds[0] == kind and 0 <= clip.motion_bucket_id <= 255
    assert not (clip.masks[:, 0] & clip.masks[:, 1]).any(), "a pixel shows one object at most"
    assert np.isnan(clip.headings[:, 0]).all() == (kind == "ball")


@pytest.mark.parametrize("kind", list(KINDS))
def test_flow_carries_the_frame_to_the_next(kind: str) -> None:
    """Backward check: the colour found where the flow points, in the next frame, is the colour it left."""
    clip = make_clip(11, kind=kind, num_objects=1, speed=2.0)
    y, x = np.mgrid[: clip.frames.shape[1], : clip.frames.shape[2]].astype(np.float32)
    followed, still = [], []
    for frame, following, flow, mask in zip(clip.frames, clip.frames[1:], clip.flow, clip.masks[:, 0], strict=False):
        carried = sample(following.astype(np.float32), x + flow[0], y + flow[1])
        followed.append(np.abs(carried - frame)[mask].mean())
        still.append(np.abs(following.astype(np.float32) - frame)[mask].mean())
    assert np.mean(followed) < 0.5 * np.mean(still), "following the flow must explain most of the change"
    assert np.mean(followed) < 15


def test_mask_is_where_the_object_is() -> None:
    clip = make_clip(2, kind="dart", num_objects=1, speed=1.0)
    y, x = np.mgrid[: clip.frames.shape[1], : clip.frames.shape[2]]
    for mask, position in zip(clip.masks[:, 0], clip.positions[:, 0], strict=True):
        assert np.hypot(x[mask].mean() - position[0], y[mask].mean() - position[1]) < 4


def test_everything_with_a_nose_travels_nose_first() -> None:
    for seed in range(30):
        clip = make_clip(seed)
        steps = np.diff(clip.positions, axis=0)
        nose = np.stack([np.cos(clip.headings), np.sin(clip.headings)], -1)[:-1]
        along = (steps * nose).sum((0, 2))
        has_nose = ~np.isnan(clip.headings[0])
        assert (along[has_nose] > 0.8 * np.linalg.norm(steps, axis=-1).sum(0)[has_nose] - 5).all()


def test_a_ball_loses_height_with_every_bounce() -> None:
    losses = 0
    for seed in range(40):
        clip = make_clip(seed, kind="ball", num_objects=1, num_frames=60)
        height = clip.positions[:, 0, 1].max() - clip.positions[:, 0, 1]
        peaks = [h for a, h, b in zip(height, height[1:], height[2:], strict=False) if h > a and h >= b and h > 1]
        assert all(later < earlier + 1e-3 for earlier, later in zip(peaks, peaks[1:], strict=False))
        losses += len(peaks) > 1
    assert losses > 20, "most of these clips must bounce more than once, or the test shows nothing"


def test_wheels_roll_without_slipping() -> None:
    """The flow of a wheel's rim on the ground is zero: the wheel turns by what the cart drives."""
    clip = make_clip(4, kind="cart", num_objects=1, speed=1.5)
    cart = clip.masks[0, 0]
    speed = np.abs(clip.flow[0, 0])[cart]
    assert speed.max() > 1.5 * 1.2, "the top of a wheel moves faster than the cart"
    assert speed.min() < 1.5 * 0.5, "and its foot stands nearly still"


def test_speed_asked_for_is_the_speed_and_the_bucket() -> None:
    for speed in (0.7, 1.5, 3.0):
        clip = make_clip(8, kind="car", num_objects=1, speed=speed)
        assert clip.speed == pytest.approx(speed, rel=0.25)
        assert clip.motion_bucket_id == motion_bucket(clip.speed, 64)
    assert motion_bucket(2.0, 64) == motion_bucket(4.0, 128) == 128


def test_the_size_scales_the_same_scene() -> None:
    small, large = make_clip(9, kind="fish"), make_clip(9, kind="fish", size=128)
    assert np.allclose((small.positions + 0.5) * 2, large.positions + 0.5, atol=1e-3)


def test_photographs_become_backgrounds() -> None:
    photo = np.random.default_rng(0).integers(0, 255, (90, 120, 3), np.uint8)
    clips = [make_clip(seed, textures=[photo]).frames[0] for seed in range(12)]
    plain = [make_clip(seed).frames[0] for seed in range(12)]
    changed = [not np.array_equal(a, b) for a, b in zip(clips, plain, strict=True)]
    assert any(changed)


def test_the_tracker_follows_the_truth_and_sees_reversed_time() -> None:
    forward, backward, errors = [], [], []
    for seed in range(1000, 1030):
        clip = make_clip(seed, kind=("dart", "fish", "car", "walker", "cart")[seed % 5], num_objects=1)
        tracks = track(clip.frames, clip)
        errors.append(np.nanmean(np.linalg.norm(tracks.centre - clip.positions, axis=-1)))
        forward.append(tracks.nose_first()[0])
        reversed_truth = make_clip(seed, kind=clip.kinds[0], num_objects=1)
        object.__setattr__(reversed_truth, "positions", clip.positions[::-1])
        backward.append(track(clip.frames[::-1], reversed_truth).nose_first()[0])
    assert np.nanmean(errors) < 3
    assert np.mean(np.array(forward) > 0) > 0.95
    assert np.mean(np.array(backward) < 0) > 0.95


@pytest.mark.parametrize("wrong", [{"kind": "boat"}, {"num_frames": 1}, {"size": 8}, {"num_objects": 0}])
def test_bad_arguments_are_named(wrong: dict) -> None:
    with pytest.raises(ValueError, match="expected .* got"):
        make_clip(0, **wrong)


@pytest.mark.parametrize("seed", range(4))
def test_a_loop_ends_where_it_began_and_goes_nose_first(seed: int) -> None:
    clip = make_loop(seed, num_frames=27)
    assert np.array_equal(clip.frames[0], clip.frames[-1]) and len({frame.tobytes() for frame in clip.frames}) == 26
    steps = np.diff(clip.positions[:, 0], axis=0)
    nose = np.stack([np.cos(clip.headings[:, 0]), np.sin(clip.headings[:, 0])], -1)
    lengths = np.linalg.norm(steps, axis=-1)
    assert ((steps * nose[:-1]).sum(-1) / lengths).min() > 0.9 and lengths.max() < 1.6 * lengths.min()


def test_a_loop_of_too_few_frames_is_refused() -> None:
    with pytest.raises(ValueError, match="num_frames >= 4 and size >= 16, got num_frames=3"):
        make_loop(0, num_frames=3)
