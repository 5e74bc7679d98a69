"""One UNet, one pass, against two UNets with whole maps; and what fusion must keep."""

from __future__ import annotations

import pytest
import torch
from cases import fused, make_case, raw
from reference import fused_v, predict_v, to_denoised, two_unets

from gen_inbetween.diffusion.attention import BidirectionalAttnProcessor
from gen_inbetween.diffusion.conditioning import KeyframeConditioning
from gen_inbetween.diffusion.fusion import MotionDenoiser, fusion_weights
from gen_inbetween.diffusion.motion import (
    add_backward_motion,
    motion_state_dict,
    remove_backward_motion,
    temporal_self_attentions,
)
from gen_inbetween.diffusion.samplers.guidance import GuidancePlan, guidance_scales

SIGMA = torch.tensor(3.0, dtype=torch.float64)


@pytest.fixture(scope="module")
def unet(tiny_pipe):
    return tiny_pipe(motion="full", dtype=torch.float64).unet


@pytest.fixture(autouse=True)
def no_grad():
    with torch.no_grad():
        yield


@pytest.mark.parametrize("num_frames", [14, 25])
@pytest.mark.parametrize("fusion", ["average", "linear"])
def test_one_pass_equals_two_unets_with_whole_maps(unet, num_frames, fusion):
    x, keyframes = make_case(num_frames)
    denoise = fused(unet, keyframes, fusion)
    guided, uncond = denoise(x, SIGMA)
    unets = two_unets(unet, motion_state_dict(unet))
    ramp = torch.linspace(1, 3, num_frames, dtype=torch.float64)
    scales = torch.full((num_frames,), 2.0, dtype=torch.float64) if fusion == "average" else ramp
    weights = (
        torch.full((num_frames,), 0.5, dtype=torch.float64)
        if fusion == "average"
        else torch.linspace(1, 0, num_frames, dtype=torch.float64)
    )
    wanted = [to_denoised(x, v, SIGMA) for v in fused_v(unets, x, SIGMA, raw(keyframes), scales, weights)]
    torch.testing.assert_close(guided, wanted[0], rtol=0, atol=1e-12)
    torch.testing.assert_close(uncond, wanted[1], rtol=0, atol=1e-12)
    assert torch.equal(denoise(x, SIGMA).guided, guided)


@pytest.mark.parametrize("rotate", [True, False])
def test_guidance_in_one_batch_or_two_passes(unet, rotate):
    x, keyframes = make_case(5, pairs=2)
    whole, split = (fused(unet, keyframes, "linear", rotate=rotate, split_guidance=split) for split in (False, True))
    torch.testing.assert_close(whole(x, SIGMA), split(x, SIGMA), rtol=0, atol=1e-12)
    assert whole.passes == split.passes == 8  # 2 directions x 2 guidance halves x 2 pairs


def test_a_pair_does_not_see_its_neighbours(unet):
    x, keyframes = make_case(5, pairs=2)
    together = fused(unet, keyframes)(x, SIGMA).guided
    for pair in (0, 1):
        part = [value[:, :, pair : pair + 1] for value in raw(keyframes)]
        alone = fused(unet, KeyframeConditioning(*part, num_frames=5))(x[pair : pair + 1], SIGMA).guided
        torch.testing.assert_close(together[pair : pair + 1], alone, rtol=0, atol=1e-12)


def test_zero_update_and_forward_is_stock_svd(tiny_pipe):
    """To the bit once stock SVD is frozen too: weights that ask for gradients are multiplied in another order."""
    stock = tiny_pipe(dtype=torch.float64).unet
    x, keyframes = make_case(5)
    latents = x.expand(2, -1, -1, -1, -1).repeat(1, 1, 2, 1, 1)
    told = SIGMA, keyframes.image_embeds[0, :, 0], keyframes.added_time_ids[0, :, 0]
    as_opened = stock(latents, *told).sample
    frozen = stock.requires_grad_(False)(latents, *told).sample
    add_backward_motion(stock)
    ours = stock(latents, *told).sample
    assert torch.equal(ours, frozen)
    torch.testing.assert_close(ours, as_opened, rtol=0, atol=1e-12)


def test_time_reversal_symmetry(tiny_pipe):
    """No update, average fusion: swapping the keyframes and flipping the noise flips the clip."""
    unet = tiny_pipe(dtype=torch.float64).unet
    x, keyframes = make_case(5)
    swapped = KeyframeConditioning(*(value.flip(0) for value in raw(keyframes)), num_frames=5)
    clip = fused(unet, keyframes, rotate=False)(x, SIGMA).guided
    mirrored = fused(unet, swapped, rotate=False)(x.flip(1), SIGMA).guided
    torch.testing.assert_close(mirrored, clip.flip(1), rtol=0, atol=1e-12)
    assert (clip - clip.flip(1)).abs().max() > 0.1  # the clip itself is no palindrome


def test_the_update_and_the_rotated_map_both_matter(unet, tiny_pipe):
    x, keyframes = make_case(5)
    stock = tiny_pipe(dtype=torch.float64).unet
    reversed_only = fused(stock, keyframes, rotate=False)(x, SIGMA).guided
    add_backward_motion(stock)
    rotated = fused(stock, keyframes)(x, SIGMA).guided
    tuned = fused(unet, keyframes)(x, SIGMA).guided
    assert (rotated - reversed_only).abs().max() > 1e-4 and (tuned - rotated).abs().max() > 1e-4


def test_guidance_of_one_skips_the_unconditional_half(unet):
    x, keyframes = make_case(5)
    denoise = fused(unet, keyframes, guidance=(1, 1))
    clip, uncond = denoise(x, SIGMA)
    assert denoise.passes == 2 and uncond is None
    denoise = fused(unet, keyframes, guidance=(1, 1), plan=GuidancePlan(need_unconditional=True))  # as CFG++ does
    guided, uncond = denoise(x, SIGMA)
    assert denoise.passes == 4 and uncond.shape == clip.shape
    torch.testing.assert_close(clip, guided, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("direction", "way"), [("forward", 0), ("backward", 1)])
def test_one_direction_is_stock_svd_from_its_keyframe(unet, direction, way):
    x, keyframes = make_case(5)
    denoise = MotionDenoiser(unet, keyframes, guidance_scales(1, 3, 5), direction)
    guided, uncond = denoise(x, SIGMA)
    forward, _ = two_unets(unet, {})
    both = [predict_v(forward, x, SIGMA, *(value[way, half] for value in raw(keyframes))) for half in (0, 1)]
    wanted_uncond, wanted_cond = (to_denoised(x, v, SIGMA) for v in both)
    ramp = torch.linspace(1, 3, 5, dtype=torch.float64).reshape(-1, 1, 1, 1)
    torch.testing.assert_close(uncond, wanted_uncond, rtol=0, atol=1e-12)
    torch.testing.assert_close(guided, uncond + ramp * (wanted_cond - uncond), rtol=0, atol=1e-12)
    assert denoise.passes == 2


def test_the_unet_is_left_as_stock_svd_even_after_an_error(unet):
    x, keyframes = make_case(5)
    denoise = fused(unet, keyframes)
    with pytest.raises(RuntimeError):
        denoise(x[..., :2], SIGMA)  # latents of another size than the keyframes'
    processors = [attn.processor for attn in temporal_self_attentions(unet).values()]
    assert all(isinstance(p, BidirectionalAttnProcessor) and p.direction == "forward" for p in processors)


def test_rotation_without_motion_says_what_to_do(tiny_pipe):
    unet = tiny_pipe(dtype=torch.float64).unet
    x, keyframes = make_case(5)
    add_backward_motion(unet)
    denoise = fused(unet, keyframes)
    denoise(x, SIGMA)
    remove_backward_motion(unet)  # as enable_xformers_memory_efficient_attention does
    with pytest.raises(RuntimeError, match="load the motion"):
        denoise(x, SIGMA)


def test_bad_arguments(unet):
    _, keyframes = make_case(5)
    with pytest.raises(ValueError, match="average, linear, got 'max'"):
        fusion_weights("max", 5)
    with pytest.raises(ValueError, match="5 frames, got \\(4,\\)"):
        MotionDenoiser(unet, keyframes, torch.ones(4), "forward")
