"""The motion bucket on which both motions agree: against plain loops, and on drawn clips whose bucket is known."""

from __future__ import annotations

import math

import pytest
import torch
from cases import picture
from PIL import Image
from reference import predict_v, to_denoised, two_unets

from gen_inbetween.data.synthetic import HELD_OUT_SEED, make_clip
from gen_inbetween.diffusion.conditioning import encode_pictures, frames_to_tensor
from gen_inbetween.diffusion.edm import ays_sigmas
from gen_inbetween.diffusion.motion import motion_state_dict
from gen_inbetween.diffusion.samplers.motion_bucket import SEARCH_PASSES, find_motion_bucket, lowest, to_try
from gen_inbetween.models.loading import open_pipeline

KEYS = [picture(number, (24, 16)) for number in (0, 1, 2)]


def search(pipe, keys=KEYS[:2], positions=(0, 3), num_frames=4, seed=0, **options):
    pictures = [frames_to_tensor(key, "key") for key in keys]
    generator = torch.Generator().manual_seed(seed)
    return find_motion_bucket(pipe, pictures, positions, num_frames, generator=generator, **{"rotate": True} | options)


def plain_distance(pipe, bucket, rotate):
    """log(|forward - backward| / |fused|), the mean of the second and the third step, by two UNets and plain loops."""
    generator = torch.Generator().manual_seed(0)
    pictures = [frames_to_tensor(key, "key") for key in KEYS[:2]]
    told = {"fps": 7, "motion_bucket_id": bucket, "noise_aug_strength": 0.02}
    keyframes = encode_pictures(pipe, pictures, generator=generator, **told).between((0, 1), 4).tensors()
    conditions = [[tensor[way, 1] for tensor in keyframes.values()] for way in (0, 1)]
    forward, tuned = two_unets(pipe.unet, motion_state_dict(pipe.unet))
    unets = forward, tuned if rotate else forward
    sigmas = torch.tensor([*ays_sigmas(6)[1:5]])
    shape = keyframes["image_latents"].shape[-3:]
    x = torch.randn(1, 4, *shape, generator=generator) * (sigmas[0] ** 2 + 1).sqrt()
    weight, distances = torch.linspace(1, 0, 4).reshape(1, -1, 1, 1, 1), []
    for sigma, below in zip(sigmas[:-1], sigmas[1:], strict=True):
        ways = [
            to_denoised(path, predict_v(unet, path, sigma, *told), sigma)
            for unet, path, told in zip(unets, (x, x.flip(1)), conditions, strict=True)
        ]
        back = ways[1].flip(1)
        fused = weight * ways[0] + (1 - weight) * back
        distances.append(math.log(float((ways[0] - back).norm() / fused.norm())))
        x = fused + below / sigma * (x - fused)
    return sum(distances[1:]) / 2


@torch.no_grad()
@pytest.mark.parametrize("rotate", [True, False])
def test_the_distance_of_a_bucket_is_that_of_plain_loops(tiny_pipe, rotate):
    pipe = tiny_pipe(motion="full", num_frames=4)
    found = search(pipe, rotate=rotate)
    assert len(found.tried) == 6
    for bucket, distance in found.tried.items():
        assert distance == pytest.approx(plain_distance(pipe, bucket, rotate), abs=2e-4)
    assert found.bucket == lowest(found.tried)


@pytest.mark.parametrize(
    ("keys", "positions", "num_frames", "loop", "segments"),
    [(2, (0, 3), 4, False, 1), (3, (0, 3, 6), 7, False, 2), (2, (0, 3), 6, True, 2)],
)
def test_passes_are_those_foretold_and_the_noise_is_the_callers(tiny_pipe, keys, positions, num_frames, loop, segments):
    pipe = tiny_pipe(motion="full", num_frames=4)
    seen = []
    spy = pipe.unet.register_forward_pre_hook(lambda _, args: seen.append(len(args[0])))
    torch.manual_seed(1)  # the global generator must play no part
    found = search(pipe, KEYS[:keys], positions, num_frames, loop=loop)
    spy.remove()
    assert sum(seen) == found.unet_passes == segments * SEARCH_PASSES
    torch.manual_seed(2)
    assert found == search(pipe, KEYS[:keys], positions, num_frames, loop=loop)
    assert found.tried != search(pipe, KEYS[:keys], positions, num_frames, loop=loop, seed=1).tried


def test_a_clip_that_is_not_finite_is_said_to_be_so(tiny_pipe):
    pipe = tiny_pipe(motion="full", num_frames=4)
    with torch.no_grad():
        pipe.unet.conv_out.bias.fill_(float("nan"))
    with pytest.raises(RuntimeError, match="for motion bucket 48 is not finite: try dtype=float32"):
        search(pipe)


def test_both_sides_of_the_best_are_tried():
    for best, beside in ((48, [16, 80]), (176, [144, 208]), (240, [208, 255])):
        tried = {}
        for bucket in to_try(tried):
            tried[bucket] = abs(bucket - best)
        assert list(tried) == [48, 112, 176, 240, *beside]


def test_the_lowest_point_lies_between_the_buckets_and_not_far_beyond_them():
    assert lowest({bucket: (bucket - 100) ** 2 for bucket in (48, 80, 112, 144, 176, 240)}) == 100
    assert lowest({bucket: (bucket + 500) ** 2 for bucket in (16, 48, 80, 112)}) == 0
    assert lowest({bucket: (bucket - 400) ** 2 for bucket in (176, 208, 240, 255)}) == 255
    assert lowest({16: 1.0, 48: 1.0, 80: 1.0, 112: 1.0}) == 16  # no difference: a flat one has no lowest point


def test_the_bundled_model_finds_what_moves():
    """Held-out clips of one thing, slow and fast: SVD's default of 127 would be wrong by 60 and more."""
    pipe = open_pipeline("pocket-2")
    pipe.set_progress_bar_config(disable=True)
    for seed, speed in ((1, 0.9), (3, 3.2)):
        clip = make_clip(HELD_OUT_SEED + 70_000 + seed, kind="fish", num_objects=1, speed=speed)
        ends = [Image.fromarray(clip.frames[number]) for number in (0, -1)]
        found = search(pipe, ends, (0, 13), 14, fps=clip.fps)
        assert abs(127 - clip.motion_bucket_id) > 60
        assert abs(found.bucket - clip.motion_bucket_id) <= 32, (found, clip.motion_bucket_id)
