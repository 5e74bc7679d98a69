"""Motion Prior Distillation against the residuals that its paper sums up, in float64."""

from __future__ import annotations

import torch
from cases import make_case, noise, raw
from reference import (
    fused_v,
    halves,
    karras_sigmas,
    moved_by_residuals,
    parallel_step,
    sample_mpd,
    to_denoised,
    two_unets,
    vibid_step,
)

from gen_inbetween.diffusion.fusion import loop_arguments, open_denoisers
from gen_inbetween.diffusion.holds import Holds
from gen_inbetween.diffusion.methods import METHODS
from gen_inbetween.diffusion.motion import motion_state_dict
from gen_inbetween.diffusion.options import SamplerOptions
from gen_inbetween.diffusion.samplers.distillation import Distillation, blur

FRAMES = 6


@torch.no_grad()
def run(unet, name, **given):
    x, keyframes = make_case(FRAMES)
    method = METHODS[name]
    options = method.resolve(SamplerOptions(**given))
    sigmas, ends = karras_sigmas(options.num_inference_steps, 0.002, 700.0), noise(2, 1, 4, 4, 8, seed=5)
    denoisers = open_denoisers(method, unet, keyframes, options)
    pinned = [Holds.of_frames({0: ends[0], -1: ends[1]}, FRAMES)] if options.pin_ends else []
    arguments = loop_arguments(method, options, keyframes, ends)
    out = method.sample(*denoisers, x, sigmas, method.step_order(options), holds=pinned, **arguments)
    assert sum(denoise.passes for denoise in denoisers) == method.unet_passes(options)
    return out, x, sigmas, raw(keyframes), ends


def distillation(ends, **options):
    return Distillation(ends, steps=1, repeats=1, **options)


def test_the_summed_residuals_are_one_translation():
    x, denoised, last = noise(2, 25, 4, 6, 8), noise(2, 25, 4, 6, 8, seed=1), noise(2, 4, 6, 8, seed=2)
    moved = distillation(torch.stack([last, last])).shift(denoised, last)
    torch.testing.assert_close(moved, moved_by_residuals(300 * x, denoised, 150.0, last), rtol=0, atol=1e-10)
    torch.testing.assert_close(moved[:, -1], last)


@torch.no_grad()
def test_mpd_equals_the_naive_method(unet, draws):
    given = {"num_inference_steps": 4, "mpd_ratio": 0.5, "mpd_repeats": 2}
    out, x, sigmas, keyframes, ends = run(unet, "mpd", **given)
    forward, _ = two_unets(unet, {})

    def rest(x, i, noises):
        return vibid_step(forward, x, sigmas[i], sigmas[i + 1], keyframes, ends, noises)

    wanted = sample_mpd(forward, x, sigmas, keyframes, ends, draws, 2, 2, rest)
    torch.testing.assert_close(out, wanted, rtol=0, atol=1e-9)


@torch.no_grad()
def test_mpd_parallel_equals_the_naive_method(unet, draws):
    given = {"num_inference_steps": 3, "mpd_ratio": 0.4, "mpd_repeats": 1, "renoise_steps": 2}
    out, x, sigmas, keyframes, ends = run(unet, "mpd-parallel", **given)
    forward, _ = two_unets(unet, {})
    weight = torch.linspace(1, 0, FRAMES, dtype=torch.float64)

    def rest(x, i, noises):
        sigma, down = sigmas[i], sigmas[i + 1]
        for repeat in range(3):
            x = x + (sigma**2 - down**2).sqrt() * next(noises) if repeat else x
            x = parallel_step(forward, x, sigma, down, keyframes, weight)
        return x

    wanted = sample_mpd(forward, x, sigmas, keyframes, ends, draws, 1, 1, rest)
    torch.testing.assert_close(out, wanted, rtol=0, atol=1e-9)


@torch.no_grad()
def test_mpd_before_the_fused_steps_of_gi(unet, draws):
    out, x, sigmas, keyframes, ends = run(unet, "mpd-gi", num_inference_steps=2, mpd_ratio=0.5, mpd_repeats=1)
    forward, _ = two_unets(unet, {})
    unets = two_unets(unet, motion_state_dict(unet))
    uncond, cond = halves(forward, x, sigmas[0], keyframes, 0)
    clip = moved_by_residuals(x, cond, sigmas[0], ends[1])
    clip[:, 0] = ends[0]
    wanted = clip + sigmas[1] / sigmas[0] * (x - uncond) + (sigmas[0] ** 2 - sigmas[1] ** 2).sqrt() * draws[0]
    twos, halved = torch.full((FRAMES,), 2.0), torch.full((FRAMES,), 0.5)
    for sigma, down in zip(sigmas, sigmas[1:], strict=False):
        denoised = to_denoised(wanted, fused_v(unets, wanted, sigma, keyframes, twos, halved)[0], sigma)
        wanted = denoised + down / sigma * (wanted - denoised)
    torch.testing.assert_close(out, wanted, rtol=0, atol=1e-9)


def test_published_costs():
    passes = {name: METHODS[name].unet_passes() for name in ("mpd", "mpd-parallel", "mpd-gi")}
    assert passes == {"mpd": 130, "mpd-parallel": 370, "mpd-gi": 130}


def test_a_ramp_leaves_the_first_frame_and_moves_the_last():
    ends, denoised = noise(2, 1, 4, 6, 8), noise(1, 5, 4, 6, 8, seed=3)
    moved = distillation(ends, ramp=True).shift(denoised, ends[1])
    assert torch.equal(moved[:, 0], denoised[:, 0])
    torch.testing.assert_close(moved[:, -1], ends[1])
    torch.testing.assert_close(moved[:, 2] - denoised[:, 2], (ends[1] - denoised[:, -1]) / 2)


def test_strength_and_decay_weigh_the_shift():
    ends, denoised = noise(2, 1, 4, 6, 8), noise(1, 5, 4, 6, 8, seed=3)
    whole = distillation(ends).shift(denoised, ends[1]) - denoised
    part = distillation(ends, strength=0.5, decay=True).shift(denoised, ends[1], torch.tensor(0.2)) - denoised
    torch.testing.assert_close(part, 0.1 * whole)


def test_a_low_passed_shift_keeps_colours_and_drops_detail():
    flat = torch.full((1, 2, 12, 16), 0.7, dtype=torch.float64)
    torch.testing.assert_close(blur(flat, 2.0), flat)
    checks = torch.tensor([[1.0, -1.0], [-1.0, 1.0]], dtype=torch.float64).repeat(6, 8).expand(1, 2, 12, 16)
    assert blur(checks, 2.0)[..., 4:-4, 5:-5].abs().max() < 0.05
    ramp = torch.arange(16, dtype=torch.float64).expand(1, 1, 12, 16)
    torch.testing.assert_close(blur(ramp, 1.0)[..., 4:-4], ramp[..., 4:-4])


@torch.no_grad()
def test_a_symmetric_distillation_looks_the_same_from_either_end(tiny_pipe, monkeypatch):
    """With keyframes and noise exchanged and flipped, its clip is the flipped clip; the published one's is not."""
    unet = tiny_pipe(dtype=torch.float64).unet
    x, keyframes = make_case(FRAMES)
    ends, sigmas = noise(2, 1, 4, 4, 8, seed=5), karras_sigmas(2, 0.002, 700.0)
    turned = keyframes.__class__(*(t.flip(0) for t in raw(keyframes)), FRAMES)
    method = METHODS["mpd"]

    def distil(x, keyframes, ends, symmetric):
        options = method.resolve(SamplerOptions(2, mpd_ratio=0.5, mpd_repeats=1, mpd_symmetric=symmetric))
        denoisers = open_denoisers(method, unet, keyframes, options)
        first = []
        arguments = loop_arguments(method, options, keyframes, ends)
        order = method.step_order(options)[:1]  # the distilling evaluation alone

        def keep(step, sigma, x, denoised):
            first.append(denoised)
            return x

        method.sample(*denoisers, x, sigmas, order, on_step=keep, **arguments)
        assert sum(denoise.passes for denoise in denoisers) == (4 if symmetric else 2)
        return first[0]

    for symmetric in (True, False):
        clip = distil(x, keyframes, ends, symmetric)
        other = distil(x.flip(1), turned, ends.flip(0), symmetric).flip(1)
        assert torch.allclose(clip, other, rtol=0, atol=1e-9) == symmetric
