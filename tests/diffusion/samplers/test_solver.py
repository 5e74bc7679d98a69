"""Second-order steps against the closed form, against diffusers' own solver, and at a re-noising."""

from __future__ import annotations

import pytest
import torch
from cases import noise
from diffusers import EDMDPMSolverMultistepScheduler
from reference import karras_sigmas

from gen_inbetween.diffusion.edm import Denoised
from gen_inbetween.diffusion.samplers.orders import repeat_early_order
from gen_inbetween.diffusion.samplers.solver import StepHistory
from gen_inbetween.diffusion.sampling import sample_euler, sample_sequential

SOLVERS = ("euler", "dpmpp_2m", "gradient")


class Gaussian:
    """The exact denoiser of clips drawn from N(mean, 1), and unconditionally from N(other, 1); it counts its calls."""

    def __init__(self, mean=0.5, other=0.5):
        self.mean, self.other, self.calls = mean, other, 0

    def __call__(self, x, sigma):
        self.calls += 1
        return Denoised(*((x + sigma**2 * mean) / (1 + sigma**2) for mean in (self.mean, self.other)))


def error(steps, solver, **options):
    sigmas = karras_sigmas(steps, 0.002, 80.0)
    x = noise(1, 3, 2, 4, 4) * (sigmas[0] ** 2 + 1).sqrt()
    exact = 0.5 + (x - 0.5) / (sigmas[0] ** 2 + 1).sqrt()
    out = sample_euler(Gaussian(), x, sigmas, range(steps), solver=solver, **options)
    return (out - exact).abs().max().item()


def test_orders_of_convergence():
    assert error(100, "euler") / error(200, "euler") == pytest.approx(2, rel=0.15)
    assert error(100, "dpmpp_2m") / error(200, "dpmpp_2m") > 3.4
    assert error(20, "dpmpp_2m") < 0.5 * error(20, "euler")
    assert error(10, "gradient") < 0.7 * error(10, "euler")  # a gain where steps are few


@pytest.mark.parametrize("solver", SOLVERS)
def test_cfg_plus_plus_without_guidance_is_the_plain_step(solver):
    assert error(20, solver, cfg_plus_plus=True) == pytest.approx(error(20, solver), rel=1e-9)


def test_dpmpp_2m_is_diffusers_solver():
    """EDMDPMSolverMultistepScheduler with sigma_data 1, which is SVD's preconditioning, on the same noise levels."""
    steps = 8
    scheduler = EDMDPMSolverMultistepScheduler(
        sigma_min=0.002, sigma_max=700.0, sigma_data=1.0, sigma_schedule="karras", prediction_type="v_prediction"
    )
    scheduler.set_timesteps(steps)
    sigmas = scheduler.sigmas.double()
    torch.testing.assert_close(sigmas, karras_sigmas(steps, 0.002, 700.0), rtol=1e-5, atol=1e-6)
    x = noise(1, 3, 2, 4, 4) * (sigmas[0] ** 2 + 1).sqrt()
    out = sample_euler(curved, x, sigmas, range(steps), solver="dpmpp_2m")
    theirs = x
    for step, timestep in enumerate(scheduler.timesteps):
        c_skip, c_out = 1 / (sigmas[step] ** 2 + 1), -sigmas[step] / (sigmas[step] ** 2 + 1).sqrt()
        v = (curved(theirs, sigmas[step]).guided - c_skip * theirs) / c_out
        theirs = scheduler.step(v, timestep, theirs).prev_sample
    torch.testing.assert_close(out, theirs.double(), rtol=1e-4, atol=1e-4)
    euler = sample_euler(curved, x, sigmas, range(steps))
    assert (euler - out).abs().max() > 0.01


def curved(x, sigma):
    """A denoiser that no step follows exactly."""
    clean = torch.tanh(x / (1 + sigma)) + 0.1 * torch.sin(3 * x / (1 + sigma))
    return Denoised(clean, 0.9 * clean)


def test_the_cfg_plus_plus_form_of_dpmpp_2m():
    """x' = D + q (x - U) + (1 - q) / (2 r) (D - U_before), by hand over three steps; the first and last are Euler's."""
    sigmas = torch.tensor([9.0, 4.0, 1.5, 0.0], dtype=torch.float64)
    x = wanted = noise(1, 3, 2, 4, 4)
    before = None
    for i in range(3):
        sigma, down = sigmas[i], sigmas[i + 1]
        denoised, uncond = curved(wanted, sigma)
        q = down / sigma
        second = torch.zeros_like(x)
        if i == 1:
            h, h_before = torch.log(sigma / down), torch.log(sigmas[0] / sigma)
            second = (1 - q) / (2 * h_before / h) * (denoised - before)
        wanted, before = denoised + q * (wanted - uncond) + second, uncond
    out = sample_euler(curved, x, sigmas, range(3), solver="dpmpp_2m", cfg_plus_plus=True)
    torch.testing.assert_close(out, wanted, rtol=0, atol=1e-12)


@pytest.mark.parametrize("solver", ["dpmpp_2m", "gradient"])
def test_a_renoised_step_forgets_what_came_before(solver):
    """Steps that are all repeated are Euler's but for those that follow on one another."""
    sigmas = karras_sigmas(4, 0.002, 80.0)
    history = StepHistory(solver, sigmas)
    x, denoised = noise(1, 3, 2, 4, 4), noise(1, 3, 2, 4, 4, seed=1)
    second_order = []
    for i in repeat_early_order(4, 1, 0.5):  # 0 0 1 1 2 3
        plain = StepHistory("euler", sigmas).at(i)(x, denoised, denoised, sigmas[i], sigmas[i + 1])
        stepped = history.at(i)(x, denoised, denoised, sigmas[i], sigmas[i + 1])
        second_order.append(not torch.equal(stepped, plain))
        denoised = denoised + 0.1
    assert second_order == [False, False, True, False, True, False]


@pytest.mark.parametrize("solver", SOLVERS)
def test_each_direction_has_its_own_history(solver):
    """Two directions that denoise to other clips: what one did is nothing to the other."""
    sigmas, seen = karras_sigmas(5, 0.002, 80.0), []

    class Constant:
        def __init__(self, value):
            self.value = value

        def __call__(self, x, sigma):
            seen.append(sigma)
            return Denoised(torch.full_like(x, self.value), torch.full_like(x, self.value))

    generator, ways = torch.Generator(), (Constant(1.0), Constant(-1.0))
    x = noise(1, 3, 2, 4, 4)
    outs = [
        sample_sequential(*ways, x, sigmas, range(5), generator=generator.manual_seed(0), solver=each)
        for each in ("euler", solver)
    ]
    if solver == "dpmpp_2m":  # a constant clip has no change to extrapolate, in either direction
        torch.testing.assert_close(*outs)
    assert len(seen) == 20


@pytest.mark.parametrize("solver", SOLVERS)
def test_every_solver_takes_one_call_a_step(solver):
    denoise = Gaussian()
    sample_euler(denoise, noise(1, 3, 2, 4, 4), karras_sigmas(6, 0.002, 80.0), range(6), solver=solver)
    assert denoise.calls == 6
