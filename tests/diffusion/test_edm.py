"""Noise levels and preconditioning, held against diffusers and against closed forms."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from diffusers import DPMSolverMultistepScheduler, EulerDiscreteScheduler, HeunDiscreteScheduler
from diffusers.schedulers import AysSchedules
from reference import karras_sigmas

from gen_inbetween.diffusion.edm import (
    ays_sigmas,
    denoise,
    edm_loss,
    edm_scalings,
    sample_sigma,
    scheduler_sigmas,
    svd_sigmas,
)


@pytest.mark.parametrize("steps", [1, 2, 14, 25, 50])
def test_noise_levels_are_those_of_karras(tiny_pipe, steps):
    scheduler = tiny_pipe().scheduler
    sigmas = scheduler_sigmas(scheduler, steps)
    torch.testing.assert_close(sigmas, karras_sigmas(steps, 0.002, 700.0).float(), rtol=2e-7, atol=0)
    torch.testing.assert_close(edm_scalings(sigmas[:-1])[-1], scheduler.timesteps, rtol=1e-6, atol=1e-7)
    torch.testing.assert_close((sigmas[0] ** 2 + 1).sqrt(), scheduler.init_noise_sigma)


def test_noise_levels_follow_the_checkpoints_config(tiny_pipe):
    scheduler = EulerDiscreteScheduler.from_config(tiny_pipe().scheduler.config, sigma_max=80.0, sigma_min=0.01)
    sigmas = scheduler_sigmas(scheduler, 5)
    torch.testing.assert_close(sigmas[[0, 4, 5]], torch.tensor([80.0, 0.01, 0.0]))


@pytest.mark.parametrize("steps", [1, 2, 10, 17, 50])
def test_noise_levels_of_align_your_steps(tiny_pipe, steps):
    """The ten published ones, which diffusers carries too, and between them by the authors' rule."""
    sigmas = scheduler_sigmas(tiny_pipe().scheduler, steps, schedule="ays")
    published = np.array([*AysSchedules["StableDiffusionVideoSigmas"][:-1], 0.002])
    logs = np.interp(np.linspace(0, 1, steps + 1), np.linspace(0, 1, 11), np.log(published))
    wanted = torch.tensor([*np.exp(logs)[:-1], 0.0], dtype=torch.float32)
    torch.testing.assert_close(sigmas, wanted, rtol=1e-6, atol=0)
    assert sigmas.tolist() == svd_sigmas(steps, schedule="ays"), "a plan counts the passes that a run makes"


@pytest.mark.parametrize(("start", "last"), [(80.0, 0.002), (54.5, 0.01), (20.0, 0.1), (1000.0, 0.0005)])
def test_align_your_steps_between_other_noise_levels_is_the_same_curve(start, last):
    sigmas = ays_sigmas(60, start, last)
    assert sigmas[0] == pytest.approx(start) and sigmas[-1] == 0 and len(sigmas) == 61
    assert all(above > below for above, below in itertools.pairwise(sigmas)) and sigmas[-2] > last
    whole = np.log(ays_sigmas(6000)[:-1])
    middle = [sigma for sigma in sigmas if max(last, 0.04) < sigma < min(start, 50)]
    places = np.interp(-np.log(middle), -whole, np.arange(6000))
    assert np.ptp(np.diff(places)) < 2, "even steps along the published curve"


def test_align_your_steps_follows_the_checkpoints_config_and_the_start(tiny_pipe):
    config = tiny_pipe().scheduler.config
    scheduler = EulerDiscreteScheduler.from_config(config, sigma_max=80.0, sigma_min=0.01)
    assert scheduler_sigmas(scheduler, 5, schedule="ays").tolist() == ays_sigmas(5, 80.0, 0.01)
    assert scheduler_sigmas(scheduler, 5, 30.0, schedule="ays").tolist() == ays_sigmas(5, 30.0, 0.01)
    with pytest.raises(ValueError, match="start_sigma above 0.01 and at most 80, got 700"):
        scheduler_sigmas(scheduler, 5, 700.0, schedule="ays")


@pytest.mark.parametrize("kind", [DPMSolverMultistepScheduler, HeunDiscreteScheduler])
def test_a_scheduler_made_from_svds_config_is_refused(tiny_pipe, kind):
    with pytest.raises(ValueError, match=f"got {kind.__name__}"):
        scheduler_sigmas(kind.from_config(tiny_pipe().scheduler.config), 5)


def test_another_parametrisation_is_refused(tiny_pipe):
    scheduler = EulerDiscreteScheduler.from_config(tiny_pipe().scheduler.config, prediction_type="epsilon")
    with pytest.raises(ValueError, match="'prediction_type': 'epsilon'"):
        scheduler_sigmas(scheduler, 5)


def test_scalings_keep_unit_variance():
    sigma = torch.logspace(-2, 2, 9, dtype=torch.float64)
    c_skip, c_out, c_in, c_noise = edm_scalings(sigma)
    torch.testing.assert_close(c_in**2 * (sigma**2 + 1), torch.ones_like(sigma))  # of the UNet's input
    torch.testing.assert_close(c_out**2, (1 - c_skip) ** 2 + sigma**2 * c_skip**2)  # and of its target
    torch.testing.assert_close(c_noise, sigma.log() / 4)


def test_denoise_with_the_exact_v_returns_the_clean_clip():
    """v = (noise - sigma clean) / sqrt(sigma^2 + 1), with a level for each clip of the batch."""
    generator = torch.Generator().manual_seed(0)
    clean, noise = torch.randn(2, 2, 3, 4, 5, 6, dtype=torch.float64, generator=generator)
    sigma = torch.tensor([0.3, 40.0], dtype=torch.float64)
    wide = sigma.reshape(-1, 1, 1, 1, 1)
    seen = {}

    def unet(sample, timestep, *, encoder_hidden_states, added_time_ids, return_dict):
        seen.update(sample=sample, timestep=timestep)
        return ((noise - wide * clean) / (wide**2 + 1).sqrt(),)

    z = torch.ones(2, 1, 4, 5, 6, dtype=torch.float64)
    x = clean + wide * noise
    out = denoise(unet, x, sigma, image_latents=z, image_embeds=z, added_time_ids=z)
    torch.testing.assert_close(out, clean)
    torch.testing.assert_close(seen["sample"][:, :, :4], x / (wide**2 + 1).sqrt())
    assert seen["sample"][:, :, 4:].eq(1).all() and seen["sample"].shape == (2, 3, 8, 5, 6)
    torch.testing.assert_close(seen["timestep"], sigma.log() / 4)


def test_denoise_casts_at_the_unet_only():
    def unet(sample, *_, **__):
        assert sample.dtype == torch.bfloat16
        return (sample[:, :, :4],)

    z = torch.zeros(1, 1, 4, 2, 2, dtype=torch.bfloat16)
    x = torch.randn(1, 3, 4, 2, 2)
    out = denoise(unet, x, torch.tensor(700.0), image_latents=z, image_embeds=z, added_time_ids=z)
    assert out.dtype == torch.float32


def test_loss_is_weighted_by_level():
    clean = torch.zeros(2, 1, 1, 1, 1)
    off = torch.tensor([2.0, 3.0]).reshape(2, 1, 1, 1, 1)
    sigma = torch.tensor([1.0, 0.5])
    assert edm_loss(off, clean, sigma) == pytest.approx((2 * 4 + 5 * 9) / 2)


def test_training_levels_are_log_normal_and_seeded():
    draw = sample_sigma((20000,), torch.Generator().manual_seed(0)).log()
    assert draw.mean() == pytest.approx(0.7, abs=0.05) and draw.std() == pytest.approx(1.6, abs=0.05)
    assert torch.equal(draw, sample_sigma((20000,), torch.Generator().manual_seed(0)).log())
