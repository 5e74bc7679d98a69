"""Two frames become a clip with its manifest."""

from __future__ import annotations

import pytest
import torch
from interpolation_cases import clip_tensor, psnr
from PIL import Image

from gen_inbetween.interpolation import (
    InterpolatorError,
    interpolate_pair,
    load_interpolator,
)
from gen_inbetween.interpolation.pairs import frame_tensor, tensor_frame


def test_a_pair_becomes_a_clip_whose_ends_are_the_pair():
    clip, _ = clip_tensor(3)
    first, last = tensor_frame(clip[:1]), tensor_frame(clip[4:])
    made = interpolate_pair(first, last, 5, load_interpolator("dis"), fps=12)
    assert len(made) == 5 and made.fps == 12 and made.size == (64, 64)
    assert made[0].tobytes() == first.tobytes() and made[4].tobytes() == last.tobytes()
    truth = [psnr(frame_tensor(made[k], torch.device("cpu")), clip[k : k + 1]) for k in (1, 2, 3)]
    assert min(truth) > 20
    assert made.manifest["interpolator"]["name"] == "dis" and made.manifest["settings"]["num_frames"] == 5
    assert [len(interpolate_pair(first, last, count, load_interpolator("blend"))) for count in (2, 3)] == [2, 3]


def test_pairs_that_cannot_be_are_refused():
    small, large = Image.new("RGB", (32, 32)), Image.new("RGB", (48, 32))
    blend = load_interpolator("blend")
    with pytest.raises(InterpolatorError, match="one size"):
        interpolate_pair(small, large, 5, blend)
    with pytest.raises(InterpolatorError, match="2 or more"):
        interpolate_pair(small, small, 1, blend)
    with pytest.raises(InterpolatorError, match="leave ref and iters alone"):
        interpolate_pair(small, small, 5, blend, iters=2)
