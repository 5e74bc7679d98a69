"""The loops against closed forms and plain loops; the order of steps and their cost against published counts."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from cases import make_case, noise, raw
from reference import karras_sigmas, published_time_travel, sample_gi, sample_trf, sample_vibid, two_unets

from gen_inbetween.diffusion import sampling
from gen_inbetween.diffusion.edm import Denoised
from gen_inbetween.diffusion.fusion import loop_arguments, open_denoisers
from gen_inbetween.diffusion.holds import Holds
from gen_inbetween.diffusion.methods import METHODS, find_method
from gen_inbetween.diffusion.motion import motion_state_dict
from gen_inbetween.diffusion.options import SamplerOptions
from gen_inbetween.diffusion.samplers.orders import repeat_early_order, time_travel_order
from gen_inbetween.diffusion.sampling import sample_euler, sample_sequential


class GaussianDenoiser:
    """The exact denoiser of clips whose every value is drawn from N(mean, 1), with another mean unconditionally."""

    def __init__(self, mean=0.5):
        self.mean = mean

    def __call__(self, x, sigma):
        return Denoised((x + sigma**2 * self.mean) / (1 + sigma**2), x / (1 + sigma**2))


def test_euler_is_a_first_order_solver_of_the_closed_form_flow():
    def error(steps):
        sigmas = karras_sigmas(steps, 0.002, 700.0)
        x = noise(1, 3, 2, 4, 4) * (sigmas[0] ** 2 + 1).sqrt()
        exact = 0.5 + (x - 0.5) / (sigmas[0] ** 2 + 1).sqrt()  # the probability-flow ODE keeps each value's quantile
        return (sample_euler(GaussianDenoiser(), x, sigmas, range(steps)) - exact).abs().max().item()

    assert error(1000) < 0.02
    assert error(500) / error(1000) == pytest.approx(2, rel=0.1)


def test_renoising_keeps_the_distribution():
    sigmas = karras_sigmas(300, 0.002, 700.0)
    x = noise(1, 4, 4, 32, 32) * (sigmas[0] ** 2 + 1).sqrt()
    generator = torch.Generator().manual_seed(1)
    out = sample_euler(GaussianDenoiser(), x, sigmas, repeat_early_order(300, 3, 0.5), generator=generator)
    assert out.mean() == pytest.approx(0.5, abs=0.03) and out.std() == pytest.approx(1, abs=0.03)


def test_renoise_restores_the_noise_level():
    generator = torch.Generator().manual_seed(0)
    x = 2.0 * noise(1, 4, 4, 64, 64, seed=1)
    up = sampling.renoise(x, torch.tensor(5.0), torch.tensor(2.0), generator)
    assert up.std() == pytest.approx(5, rel=0.01)


def test_cfg_plus_plus_steps_along_the_unconditional_clip():
    sigma, sigma_next = torch.tensor(2.0), torch.tensor(1.0)
    x = noise(1, 3, 2, 4, 4)
    out, denoised = sampling.take_step(GaussianDenoiser(), x, sigma, sigma_next, True)
    assert torch.equal(denoised, (x + 4 * 0.5) / 5)
    torch.testing.assert_close(out, (x + 4 * 0.5) / 5 + (x - x / 5) / 2)


@pytest.mark.parametrize("sample", [sample_euler, sample_sequential])
def test_pinned_ends_are_reached(sample):
    sigmas = karras_sigmas(4, 0.002, 700.0)
    ends = noise(2, 1, 2, 4, 4, seed=2)
    holds = [Holds.of_frames({0: ends[0], -1: ends[1]}, 3)]
    denoisers = [GaussianDenoiser()] * (1 if sample is sample_euler else 2)
    generator = torch.Generator().manual_seed(0)
    out = sample(*denoisers, 700 * noise(1, 3, 2, 4, 4), sigmas, range(4), generator=generator, holds=holds)
    torch.testing.assert_close(out[:, 0], ends[0])
    if sample is sample_euler:  # the last half-step of the sequential sampler pins its far end only: frame0
        torch.testing.assert_close(out[:, -1], ends[1])


def test_a_step_may_be_changed_from_outside():
    sigmas = karras_sigmas(3, 0.002, 700.0)
    seen = []

    def on_step(step, sigma, x, denoised):
        seen.append((step, sigma.item()))
        assert denoised.shape == x.shape
        return torch.zeros_like(x)

    out = sample_euler(GaussianDenoiser(), noise(1, 3, 2, 4, 4), sigmas, range(3), on_step=on_step)
    assert seen == [(step, sigma.item()) for step, sigma in enumerate(sigmas[:3])] and not out.any()


def test_order_of_repeats():
    assert repeat_early_order(4, 2, 0.5) == [0, 0, 0, 1, 1, 1, 2, 3]
    assert repeat_early_order(4, 0, 0.5) == repeat_early_order(4, 2, 0.0) == [0, 1, 2, 3]
    assert len(repeat_early_order(50, 5, 0.5)) == 175  # the published script


@pytest.mark.parametrize(("again", "span"), [(1, 5), (2, 5), (1, 3), (3, 2)])
def test_time_travel_is_the_published_loops(again, span):
    """Counting the early steps instead agrees with it only where the share of steps is whole."""
    for steps in range(1, 100):
        for ratio, late in ((0.2, 0.8), (0.3, 0.7), (0.5, 0.5), (0.8, 0.2)):
            published = published_time_travel(steps, 1 + again, late, span)
            assert time_travel_order(steps, again, ratio, span) == published, (steps, ratio)


def test_order_of_time_travel():
    order = time_travel_order(50, 1, 0.2, 5)  # N 50, jump_length 5, jump_n_sample 2, repeat_step_ratio 0.8
    assert order == [*range(10), *range(5, 10), *range(10, 50)] and len(order) == 55
    assert len(time_travel_order(50, 1, 0.5, 3)) == 74
    assert time_travel_order(3, 1, 1.0, 5) == [0, 1, 2]


PUBLISHED = {"gi": 700, "trf": 220, "vibid": 100, "mpd": 130, "mpd-parallel": 370, "mpd-gi": 130, "svd": 50}


def test_published_costs():
    published = SamplerOptions(preset="published")
    assert {name: method.unet_passes(published) for name, method in METHODS.items()} == PUBLISHED
    gi = METHODS["gi"]
    assert gi.unet_passes(SamplerOptions(25, renoise_steps=0)) == 100
    assert gi.unet_passes(SamplerOptions(25, renoise_steps=0, max_guidance_scale=1.0)) == 50  # no unconditional half
    plus_plus = SamplerOptions(25, renoise_steps=0, max_guidance_scale=1.0, cfg_plus_plus=True)
    assert gi.unet_passes(plus_plus) == 100
    assert METHODS["vibid"].unet_passes(SamplerOptions(cfg_plus_plus=False)) == 50


@pytest.mark.parametrize(
    ("method", "given", "message"),
    [
        ("gi", {"num_inference_steps": 0}, "num_inference_steps as a whole number from 1 to 10000, got 0"),
        ("gi", {"num_inference_steps": 10**9}, "num_inference_steps as a whole number from 1 to 10000, got 1000000000"),
        ("gi", {"renoise_steps": 10**9}, "renoise_steps as a whole number from 0 to 1000, got 1000000000"),
        ("mpd", {"mpd_repeats": 10**9}, "mpd_repeats as a whole number from 0 to 1000, got 1000000000"),
        ("gi", {"num_inference_steps": 2.5}, "got 2.5"),
        ("gi", {"renoise_steps": -1}, "renoise_steps"),
        ("gi", {"renoise_ratio": 1.5}, "renoise_ratio as a number from 0 to 1, got 1.5"),
        ("gi", {"renoise_span": 5}, "gi takes no renoise_span, got 5; it takes num_inference_steps"),
        ("trf", {"renoise_span": 0}, "from 1 to 10000, got 0"),
        ("vibid", {"fusion": "linear"}, "vibid takes no fusion"),
        ("svd", {"max_guidance_scale": float("nan")}, "max_guidance_scale as a finite number, got nan"),
    ],
)
def test_options_are_checked(method, given, message):
    with pytest.raises(ValueError, match=message):
        METHODS[method].resolve(SamplerOptions(**given))


def test_options_fill_in_defaults_and_let_off_switches_pass():
    chosen = SamplerOptions(num_inference_steps=10, cfg_plus_plus=False, renoise_steps=0, fusion=None)
    options = METHODS["vibid"].resolve(chosen)
    assert options.num_inference_steps == 10 and options.cfg_plus_plus is False and options.pin_ends is True
    assert options.renoise_steps is None  # vibid has no such option
    assert METHODS["vibid"].resolve(options) == options


def test_the_defaults_are_the_library_s_and_a_word_gives_the_published_ones():
    gi = METHODS["gi"]
    ours, published = gi.resolve(), gi.resolve(SamplerOptions(preset="published"))
    assert (ours.num_inference_steps, ours.renoise_steps) == (10, 1)
    assert (ours.fusion, ours.solver, ours.noise_schedule) == ("linear", "euler", "ays")
    assert (published.num_inference_steps, published.renoise_steps) == (50, 5)
    assert (published.fusion, published.solver, published.noise_schedule) == ("average", "euler", "karras")
    assert gi.unet_passes() == 60 and gi.unet_passes(published) == 700
    mixed = gi.resolve(SamplerOptions(preset="published", solver="dpmpp_2m"))
    assert mixed.solver == "dpmpp_2m" and mixed.renoise_steps == 5  # what is said wins
    larger = gi.resolve(SamplerOptions(passes=300))  # a budget above the default's buys more
    assert gi.unet_passes(larger) == 300 and larger.num_inference_steps == 50
    kept = gi.resolve(SamplerOptions(passes=60))  # one that the default keeps to buys no less
    assert kept == replace(ours, passes=60)
    assert gi.resolve(SamplerOptions(passes=100)) == replace(ours, passes=100, num_inference_steps=17)
    drafted = gi.resolve(SamplerOptions(draft_strength=0.6))  # as far from a draft as the published levels go
    assert drafted.noise_schedule == "karras" and gi.resolve(drafted) == drafted
    assert gi.resolve(SamplerOptions(draft_strength=0.6, noise_schedule="ays")).noise_schedule == "ays"
    with pytest.raises(ValueError, match="preset out of published, got 'fast'"):
        SamplerOptions(preset="fast")


def test_an_unknown_method_names_the_nearest():
    assert find_method("trf") is METHODS["trf"]
    with pytest.raises(ValueError, match="got 'vibit'; did you mean 'vibid'"):
        find_method("vibit")


@torch.no_grad()
def run(unet, method, num_frames=14, holds=(), **given):
    x, keyframes = make_case(num_frames)
    sigmas = karras_sigmas(given["num_inference_steps"], 0.002, 700.0)
    method = METHODS[method]
    options = method.resolve(SamplerOptions(**given, preset="published"))
    ends = noise(2, 1, 4, 4, 8, seed=5)
    denoisers = open_denoisers(method, unet, keyframes, options)
    pinned = [Holds.of_frames({0: ends[0], -1: ends[1]}, num_frames)] if options.pin_ends else []
    arguments = loop_arguments(method, options, keyframes, ends) | {"holds": [*holds, *pinned]}
    out = method.sample(*denoisers, x, sigmas, method.step_order(options), **arguments)
    assert sum(denoise.passes for denoise in denoisers) == method.unet_passes(options)
    return out, x, sigmas, raw(keyframes), ends


@torch.no_grad()
@pytest.mark.parametrize(
    ("fusion", "num_frames", "steps", "repeats", "until"), [("average", 14, 3, 2, 2), ("linear", 25, 2, 1, 1)]
)
def test_gi_equals_the_naive_method(unet, draws, fusion, num_frames, steps, repeats, until):
    """With SVD's 14 frames several steps are repeated twice; with SVD-XT's 25, which take twice the time, one once."""
    given = {"num_inference_steps": steps, "renoise_steps": repeats, "renoise_ratio": 0.7, "fusion": fusion}
    out, x, sigmas, keyframes, _ = run(unet, "gi", num_frames, **given)
    guidance, weight = {
        "average": (torch.tensor(2.0).expand(num_frames), torch.tensor(0.5).expand(num_frames)),
        "linear": [torch.linspace(*ends, num_frames, dtype=torch.float64) for ends in ((1, 3), (1, 0))],
    }[fusion]
    unets = two_unets(unet, motion_state_dict(unet))
    wanted = sample_gi(unets, x, sigmas, keyframes, guidance, weight, repeats, until, draws)
    torch.testing.assert_close(out, wanted, rtol=0, atol=1e-12)


@torch.no_grad()
def test_trf_equals_the_naive_method(unet, draws):
    given = {"num_inference_steps": 5, "renoise_ratio": 0.8, "renoise_span": 2}
    out, x, sigmas, keyframes, _ = run(unet, "trf", **given)
    forward, _ = two_unets(unet, {})
    ramp, weight = torch.linspace(1, 3, 14, dtype=torch.float64), torch.linspace(1, 0, 14, dtype=torch.float64)
    wanted = sample_trf(forward, x, sigmas, keyframes, ramp, weight, {4: 2}, draws)
    torch.testing.assert_close(out, wanted, rtol=0, atol=1e-12)


@torch.no_grad()
def test_vibid_equals_the_naive_method(unet, draws):
    out, x, sigmas, keyframes, ends = run(unet, "vibid", num_inference_steps=3, max_guidance_scale=1.5)
    forward, _ = two_unets(unet, {})
    wanted = sample_vibid(forward, x, sigmas, keyframes, torch.linspace(1, 1.5, 14, dtype=torch.float64), ends, draws)
    torch.testing.assert_close(out, wanted, rtol=0, atol=1e-12)


@pytest.fixture
def holds():
    """Three, as in a retake with a still region: context frames, a region softly, a frame while noise is high."""
    generator = torch.Generator().manual_seed(9)
    strength = torch.zeros(3, 14, 4, 8, dtype=torch.float64)
    strength[0, [0, 1, 12, 13]] = 1
    strength[1, :, 1:3, 2:5] = torch.rand(14, 2, 3, dtype=torch.float64, generator=generator)
    strength[2, 6] = 0.8
    ranges = [(0.0, float("inf")), (0.0, float("inf")), (1.0, 700.0)]
    return [
        Holds(noise(1, 14, 4, 4, 8, seed=20 + number), each, span)
        for number, (each, span) in enumerate(zip(strength, ranges, strict=True))
    ]


def plainly(holds):
    return [(hold.latents[0], hold.strength, *hold.sigma_range) for hold in holds]


@torch.no_grad()
def test_every_method_keeps_what_it_is_given(unet, draws, holds):
    """In float64 against loops over frames, channels and pixels; every way of vibid in its own order of time."""
    forward, _ = two_unets(unet, {})
    ramp, weight = torch.linspace(1, 3, 14, dtype=torch.float64), torch.linspace(1, 0, 14, dtype=torch.float64)
    out, x, sigmas, keyframes, _ = run(unet, "gi", holds=holds, num_inference_steps=3, renoise_steps=1)
    average = torch.tensor(2.0).expand(14), torch.tensor(0.5).expand(14)
    unets = two_unets(unet, motion_state_dict(unet))
    wanted = sample_gi(unets, x, sigmas, keyframes, *average, 1, 1, draws, plainly(holds))
    torch.testing.assert_close(out, wanted, rtol=0, atol=1e-12)
    torch.testing.assert_close(out[:, 0], holds[0].latents[:, 0].lerp(holds[1].latents[:, 0], holds[1].strength[0]))

    draws.clear()
    given = {"num_inference_steps": 3, "renoise_ratio": 0.6, "renoise_span": 1}
    out, x, sigmas, keyframes, _ = run(unet, "trf", holds=holds, **given)
    wanted = sample_trf(forward, x, sigmas, keyframes, ramp, weight, {2: 1}, draws, plainly(holds))
    torch.testing.assert_close(out, wanted, rtol=0, atol=1e-12)

    draws.clear()
    out, x, sigmas, keyframes, _ = run(unet, "vibid", holds=holds, num_inference_steps=2, pin_ends=False)
    guidance = torch.ones(14, dtype=torch.float64)
    wanted = sample_vibid(forward, x, sigmas, keyframes, guidance, None, draws, plainly(holds))
    torch.testing.assert_close(out, wanted, rtol=0, atol=1e-12)
