"""The rich world's truth is true: flow carries pixels, masks show objects, and what stands still is still."""

from __future__ import annotations

import numpy as np
import pytest

from gen_inbetween.data.synthetic import make_clip
from gen_inbetween.data.textures import sample
from gen_inbetween.data.worlds import WORLD_KINDS, make_world_clip

PICTURE = np.random.default_rng(0).integers(0, 256, (160, 200, 3), dtype=np.uint8)


def unlike(seed: int, size: int = 48) -> float:
    """Median difference, in grey levels, of pixels and what they become where the flow says that they go."""
    clip = make_world_clip(seed, num_frames=4, size=size)
    y, x = np.mgrid[:size, :size].astype(np.float32)
    differences = [
        np.abs(sample(following.astype(np.float32), x + flow[0], y + flow[1]) - frame)
        for frame, following, flow in zip(clip.frames, clip.frames[1:], clip.flow, strict=False)
    ]
    return float(np.median(differences))


def test_same_seed_same_clip_and_no_draws_shared_with_the_plain_world() -> None:
    first, again = make_world_clip(5, num_frames=3), make_world_clip(5, num_frames=3)
    assert np.array_equal(first.frames, again.frames) and np.array_equal(first.flow, again.flow)
    assert not np.array_equal(first.frames, make_world_clip(6, num_frames=3).frames)
    assert first.kinds != make_clip(5, num_frames=3).kinds


def test_shapes_and_ranges_over_many_seeds() -> None:
    kinds: set[str] = set()
    for seed in range(60):
        clip = make_world_clip(seed, num_frames=3, size=32)
        count = len(clip.kinds)
        assert clip.frames.shape == (3, 32, 32, 3) and clip.frames.dtype == np.uint8
        assert clip.positions.shape == (3, count, 2) and clip.headings.shape == (3, count)
        assert clip.masks.shape == (3, count, 32, 32) and clip.masks.sum(1).max() <= 1
        assert clip.flow.shape == (2, 2, 32, 32) and np.isfinite(clip.flow).all()
        assert clip.colours.shape == (count, 2, 3) and 0 <= clip.motion_bucket_id <= 255
        noseless = np.array([kind in ("ball", "wheel") for kind in clip.kinds])
        assert (np.isnan(clip.headings[0]) == noseless).all()
        kinds.update(clip.kinds)
    assert kinds == set(WORLD_KINDS)


def test_flow_carries_pixels_to_the_next_frame() -> None:
    assert np.mean([unlike(seed) for seed in range(20)]) < 1.5


def test_a_background_that_is_still_is_still_to_the_bit() -> None:
    """Most cameras stand still, and then nothing changes but by objects, their shadows and a stream."""
    still = 0
    for seed in range(20):
        clip = make_world_clip(seed, num_frames=3, size=32)
        unmoved = (clip.flow == 0).all((0, 1)) & ~clip.masks.any((0, 1))
        changed = (clip.frames[0] != clip.frames[2]).any(-1) & unmoved
        still += bool(unmoved.mean() > 0.3 and changed.mean() < 0.15)
    assert still >= 8


def test_a_photograph_moves_as_its_flow_says_and_has_no_objects() -> None:
    clip = make_world_clip(3, num_frames=5, size=32, photograph=True, textures=[PICTURE])
    assert clip.kinds == () and clip.positions.shape == (5, 0, 2) and clip.masks.shape == (5, 0, 32, 32)
    assert np.abs(clip.flow).max() > 0.1 and clip.motion_bucket_id > 0


def test_mask_is_where_the_object_is() -> None:
    off = []
    y, x = np.mgrid[:64, :64]
    for seed in range(12):
        clip = make_world_clip(seed, num_frames=2)
        for mask, position in zip(clip.masks[0], clip.positions[0], strict=True):
            inside = 16 < position[0] < 48 and 16 < position[1] < 48
            if inside and mask.sum() > 100:
                off.append(np.hypot(x[mask].mean() - position[0], y[mask].mean() - position[1]))
    assert len(off) > 5 and np.median(off) < 4


@pytest.mark.parametrize("wrong", [{"num_frames": 1}, {"size": 8}, {"photograph": True}])
def test_what_cannot_be_drawn_is_said(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="expected"):
        make_world_clip(0, **wrong)  # type: ignore[arg-type]
