"""Deep features kept between steps: where they are exact, how far off they are elsewhere, and what they save."""

from __future__ import annotations

import pytest
import torch
from cases import fused, make_case, picture
from diffusers import UNetSpatioTemporalConditionModel

from gen_inbetween.diffusion.samplers.step_cache import StepCache, whole_steps
from gen_inbetween.memory.counter import counted
from gen_inbetween.memory.cross_attention import install_constant_cross_attention
from gen_inbetween.memory.footprint import META, build, unet_inputs
from gen_inbetween.models.configs import SVD_XT


def level(sigma):
    return torch.tensor(sigma, dtype=torch.float64)


@torch.no_grad()
def test_a_second_pass_over_the_same_input_is_exact_and_over_another_near(tiny_pipe):
    unet = tiny_pipe(motion="full", dtype=torch.float64).unet
    x, keyframes = make_case(6)
    plain, denoise = fused(unet, keyframes), fused(unet, keyframes)
    with StepCache(unet, 2) as cache:
        denoise.cache = cache
        first = denoise(x, level(4.0)).guided
        cache.steps = dict.fromkeys(cache.steps, (0, 5.0))  # as if at another noise level
        again = denoise(x, level(4.0)).guided
        assert not cache.whole
        near = x + 0.01 * torch.randn(x.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
        cache.steps = dict.fromkeys(cache.steps, (0, 5.0))
        kept = denoise(near, level(4.0)).guided
    wanted, moved = plain(x, level(4.0)).guided, plain(near, level(4.0)).guided
    torch.testing.assert_close(first, wanted, rtol=0, atol=1e-12)
    torch.testing.assert_close(again, wanted, rtol=0, atol=1e-12)
    assert 0 < (kept - moved).norm() < 0.5 * (moved - wanted).norm() + 0.02 * wanted.norm()
    assert torch.equal(fused(unet, keyframes)(x, level(4.0)).guided, wanted)  # nothing is left behind


def test_whole_passes_come_every_so_often_and_after_a_renoising(tiny_pipe):
    cache = StepCache(tiny_pipe().unet, 3)
    whole = []
    levels = (9.0, 8.0, 7.0, 6.0, 5.0, 5.0, 4.0)
    for sigma in levels:
        cache.next("forward", sigma)
        cache.kept["forward"] = torch.zeros(1)
        whole.append(cache.whole)
    assert whole == [True, False, False, True, False, True, False] == list(whole_steps(levels, 3))
    cache.next("backward", 4.0)
    assert cache.whole


def test_an_error_takes_the_cache_away(tiny_pipe):
    unet = tiny_pipe().unet
    with pytest.raises(KeyError), StepCache(unet, 2):
        raise KeyError
    assert "forward" not in unet.mid_block.__dict__


@pytest.mark.parametrize("method", ["gi", "vibid"])
def test_a_run_with_the_cache_is_near_one_without(tiny_pipe, method):
    """Off, it is the run as ever; on, the passes are counted alike, and the clip is another, not far away."""
    pipe = tiny_pipe(motion="full")
    more = {"renoise_steps": 1, "renoise_ratio": 0.2} if method == "gi" else {}

    def run(**options):
        generator = torch.Generator().manual_seed(0)
        call = {"method": method, "num_inference_steps": 6, "output_type": "latent", "generator": generator}
        return pipe(picture(1), picture(2), **call, **more, **options)

    plain, off, cached = run(), run(step_cache=1), run(step_cache=2)
    assert torch.equal(plain.latents, off.latents) and cached.unet_passes == plain.unet_passes
    distance = (cached.latents - plain.latents).norm() / plain.latents.norm()
    assert 0 < distance < 0.5


def test_flops_that_are_saved_on_svd():
    """Counted at full size: a pass between two whole ones costs 0.42 of one."""
    unet = build(UNetSpatioTemporalConditionModel, SVD_XT.unet, torch.float16)
    install_constant_cross_attention(unet)
    inputs = unet_inputs(unet, 1, 4, 72, 128)
    costs = []
    with torch.no_grad(), StepCache(unet, 2) as cache:
        for sigma in (2.0, 1.0):
            cache.next("forward", sigma)
            with counted() as cost:
                unet(**inputs)
            costs.append(cost.flops)
    assert inputs["sample"].device == META
    assert 0.40 < costs[1] / costs[0] < 0.44  # every second step 1.4 times fewer FLOPs, every fifth 1.9 times
