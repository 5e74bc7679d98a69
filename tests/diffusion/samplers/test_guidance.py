"""Guidance: its shape, its range of noise levels, what is reused, its projection; and the passes that each takes."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from cases import fused, make_case, noise

from gen_inbetween.diffusion.methods import COUNTS, METHODS
from gen_inbetween.diffusion.options import SamplerOptions
from gen_inbetween.diffusion.samplers.guidance import GuidancePlan, Projection, guidance_scales
from gen_inbetween.diffusion.samplers.orders import restart_order, stop_when_settled


def level(sigma):
    return torch.tensor(sigma, dtype=torch.float64)


def test_a_triangle_guides_the_middle_alone_and_both_ways_alike():
    triangle = guidance_scales(1.0, 3.0, 25, "average", shape="triangle")
    assert triangle[0] == triangle[-1] == 1 and triangle[12] == 3 == triangle.max()
    torch.testing.assert_close(triangle, triangle.flip(0), rtol=0, atol=1e-14)
    assert torch.equal(guidance_scales(2.0, 2.0, 6, shape="triangle"), torch.full((6,), 2.0, dtype=torch.float64))


@torch.no_grad()
def test_outside_its_range_there_is_no_unconditional_pass(unet):
    x, keyframes = make_case(6)
    plain, ranged = fused(unet, keyframes), fused(unet, keyframes, plan=GuidancePlan(sigma_range=(1.0, 100.0)))
    unguided = fused(unet, keyframes, guidance=(1, 1))
    for sigma, other, halves in ((5.0, plain, 2), (1.0, plain, 2), (100.5, unguided, 1), (0.5, unguided, 1)):
        before = ranged.passes
        denoised = ranged(x, level(sigma))
        torch.testing.assert_close(denoised.guided, other(x, level(sigma)).guided, rtol=0, atol=1e-12)
        assert ranged.passes - before == 2 * halves and (denoised.unconditional is None) == (halves == 1)


@torch.no_grad()
def test_cfg_plus_plus_keeps_its_unconditional_clip_outside_the_range(unet):
    x, keyframes = make_case(6)
    denoise = fused(unet, keyframes, plan=GuidancePlan(sigma_range=(1.0, 100.0), need_unconditional=True))
    denoised = denoise(x, level(0.5))
    wanted = fused(unet, keyframes, guidance=(1, 1))(x, level(0.5)).guided
    torch.testing.assert_close(denoised.guided, wanted, rtol=0, atol=1e-12)
    assert denoised.unconditional is not None and denoise.passes == 4


@torch.no_grad()
def test_repeats_reuse_the_unconditional_clip_of_the_first(unet):
    x, keyframes = make_case(6)
    denoise, plain = fused(unet, keyframes, plan=GuidancePlan(reuse=True)), fused(unet, keyframes)
    first = denoise(x, level(4.0))
    assert torch.equal(first.guided, plain(x, level(4.0)).guided) and denoise.passes == 4
    other = x + noise(*x.shape)
    again = denoise(other, level(4.0))
    assert denoise.passes == 6 and torch.equal(again.unconditional, first.unconditional)
    assert not torch.allclose(again.guided, first.guided)
    denoise(other, level(3.0))  # another level has an unconditional clip of its own
    assert denoise.passes == 10


def passes(name, **options):
    return METHODS[name].unet_passes(SamplerOptions(**options))


def test_passes_say_so():
    whole = {"num_inference_steps": 25, "renoise_steps": 0, "noise_schedule": "karras"}
    assert passes("gi", **whole) == 100
    assert passes("gi", **whole, guidance_max_sigma=1.0) == 50 + 2 * sum(s <= 1 for s in levels(25))
    assert passes("vibid", guidance_max_sigma=1.0) == 100  # CFG++ computes both halves everywhere
    repeated = {"num_inference_steps": 10, "renoise_steps": 2, "renoise_ratio": 0.5}
    assert passes("gi", **repeated) == 20 * 4
    assert passes("gi", **repeated, reuse_unconditional=True) == 10 * 4 + 10 * 2
    assert passes("trf", reuse_unconditional=True) == 50 * 4 + 5 * 2


def levels(steps):
    from gen_inbetween.diffusion.edm import svd_sigmas

    return svd_sigmas(steps)[:-1]


def test_projected_guidance_leaves_out_what_lies_along_the_clip():
    cond, difference = noise(1, 3, 4, 5, 6), noise(1, 3, 4, 5, 6, seed=1)
    guided = Projection().guide(cond, difference, torch.tensor(3.0))
    along = ((guided - cond) * cond).sum((-3, -2, -1))
    torch.testing.assert_close(along, torch.zeros_like(along), rtol=0, atol=1e-9)
    whole = Projection(parallel=1.0).guide(cond, difference, torch.tensor(3.0))
    torch.testing.assert_close(whole, cond + 2 * difference)
    cut = Projection(parallel=1.0, norm=0.1).guide(cond, difference, torch.tensor(2.0)) - cond
    torch.testing.assert_close(cut.square().mean((-3, -2, -1)).sqrt(), torch.full((1, 3), 0.1, dtype=torch.float64))
    small = Projection(parallel=1.0, norm=9.0).guide(cond, difference, torch.tensor(2.0))
    torch.testing.assert_close(small, cond + difference)


@torch.no_grad()
def test_the_whole_projection_is_plain_guidance_and_momentum_restarts_after_a_renoising(unet):
    x, keyframes = make_case(6)
    plain = fused(unet, keyframes)
    whole = fused(unet, keyframes, plan=GuidancePlan(projection=Projection(parallel=1.0)))
    torch.testing.assert_close(whole(x, level(4.0)).guided, plain(x, level(4.0)).guided, rtol=0, atol=1e-11)
    running = fused(unet, keyframes, plan=GuidancePlan(projection=Projection(parallel=1.0, momentum=-0.5)))
    clips = {sigma: running(x, level(sigma)).guided for sigma in (4.0, 2.0)}
    plains = {sigma: plain(x, level(sigma)).guided for sigma in (4.0, 2.0)}
    torch.testing.assert_close(clips[4.0], plains[4.0], rtol=0, atol=1e-11)
    assert not torch.allclose(clips[2.0], plains[2.0])
    torch.testing.assert_close(running(x, level(4.0)).guided, plains[4.0], rtol=0, atol=1e-11)


def test_restart_repeats_an_interval_of_noise_levels():
    sigmas = [80.0, 40.0, 20.0, 10.0, 5.0, 0.0]
    assert restart_order(sigmas, 2, 9.0, 50.0) == [0, 1, 2, 1, 2, 1, 2, 3, 4]
    assert restart_order(sigmas, 2, 6.0, 9.0) == [0, 1, 2, 3, 4]  # no whole step lies inside
    assert restart_order(sigmas, 1, 0.0, 1e6) == [0, 1, 2, 3, 4] * 2
    options = METHODS["gi"].resolve(
        SamplerOptions(num_inference_steps=5, renoise_steps=1, renoise_min_sigma=1.0, renoise_max_sigma=300.0)
    )
    inside = [i for i in METHODS["gi"].step_order(options) if METHODS["gi"].step_order(options).count(i) == 2]
    assert inside and {levels(5)[i] <= 300 for i in inside} == {True}


def test_repeats_stop_where_they_no_longer_help():
    """The disagreement falls twice, then stands: the third repeat shows it, and no fourth is made."""
    given = iter([1.0, 0.6, 0.5, 0.499, 0.3, 0.3, 0.3])
    order = [0, 0, 0, 0, 0, 0, 1, 1, 1, 2]
    assert list(stop_when_settled(order, lambda: next(given), 0.05)) == [0, 0, 0, 0, 1, 1, 2]
    falling = iter(0.5**k for k in range(20))
    assert list(stop_when_settled(order, lambda: next(falling), 0.05)) == order


def test_a_stretch_is_left_out_as_a_whole():
    order = [0, 1, 2, 3, 2, 3, 2, 3, 2, 3, 4, 5]  # as time travel goes, over stretches of two
    assert list(stop_when_settled(order, lambda: 1.0, 0.05)) == [0, 1, 2, 3, 2, 3, 4, 5]


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("budget", [60, 100, 333])
def test_a_run_is_planned_to_its_budget(name, budget):
    method = METHODS[name]
    options = method.resolve(SamplerOptions(passes=budget))
    used = method.unet_passes(options)
    assert used <= budget and method.resolve(options) == options
    published = method.resolve(SamplerOptions(preset="published"))
    if method.unet_passes(published) <= budget:
        counts = {name: getattr(published, name) for name in COUNTS}
        assert options == replace(method.defaults, **counts, passes=budget)
    else:
        assert used > 0.8 * budget  # what is allowed is made use of


def test_a_budget_leaves_what_was_asked_for_and_says_when_it_cannot():
    options = METHODS["gi"].resolve(SamplerOptions(num_inference_steps=20, passes=100))
    assert options.num_inference_steps == 20 and METHODS["gi"].unet_passes(options) == 80 + 40 * options.renoise_steps
    with pytest.raises(ValueError, match="passes=60, num_inference_steps=20: method gi takes at least 80"):
        METHODS["gi"].resolve(SamplerOptions(num_inference_steps=20, passes=60))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"solver": "heun"}, "expected solver out of euler, dpmpp_2m, gradient, got 'heun'"),
        ({"guidance_shape": "cone"}, "guidance_shape out of ramp, triangle"),
        ({"guidance_min_sigma": 5.0, "guidance_max_sigma": 1.0}, "guidance_min_sigma below guidance_max_sigma"),
        ({"renoise_tolerance": 2.0}, "renoise_tolerance as a number from 0 to 1"),
        ({"guidance_max_sigma": float("nan")}, "guidance_max_sigma as a number"),
        ({"passes": -1}, "passes as a whole number"),
        ({"apg_momentum": 1.0}, "apg_momentum as a number"),
    ],
)
def test_values_out_of_range_are_refused(given, message):
    with pytest.raises(ValueError, match=message):
        SamplerOptions(**given)


@pytest.mark.parametrize("name", ["renoise_tolerance", "reuse_unconditional", "renoise_max_sigma", "mpd_ratio"])
def test_a_method_without_repeats_takes_no_options_of_them(name):
    with pytest.raises(ValueError, match=f"method svd takes no {name}"):
        METHODS["svd"].resolve(SamplerOptions(**{name: 0.5 if name != "reuse_unconditional" else True}))
