"""Stable Video Diffusion as an EDM denoiser with v-prediction.

    D(x; sigma) = c_skip x + c_out U(cat[c_in x, z], c_noise)
    c_skip = 1 / (sigma^2 + 1)    c_out = -sigma / sqrt(sigma^2 + 1)
    c_in = 1 / sqrt(sigma^2 + 1)  c_noise = log(sigma) / 4

where U is the UNet and z the image latents that stand beside every frame (Karras et al. 2022, arXiv 2206.00364).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

Generator = torch.Generator | list[torch.Generator] | None  # a list holds one per pair

FRAME, CHANNEL = -4, -3  # in (..., frame, channel, height, width)


class Denoised(NamedTuple):
    """What `denoise(x, sigma)` returns: the clean clip as the model sees it, of the shape and dtype of x.

    unconditional: the same without the keyframes, which CFG++ steps along; None where nothing needed it.
    """

    guided: Tensor
    unconditional: Tensor | None


def edm_scalings(sigma: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """(c_skip, c_out, c_in, c_noise) for noise levels `sigma` > 0 of any shape.

    >>> [round(scaling.item(), 3) for scaling in edm_scalings(torch.tensor(1.0))]
    [0.5, -0.707, 0.707, 0.0]
    """
    variance = sigma**2 + 1
    return 1 / variance, -sigma / variance.sqrt(), 1 / variance.sqrt(), sigma.log() / 4


def denoise(
    unet: Callable[..., Any],
    x: Tensor,
    sigma: Tensor,
    *,
    image_latents: Tensor,
    image_embeds: Tensor,
    added_time_ids: Tensor,
) -> Tensor:
    """D(x; sigma): the clean clip as the UNet sees it.

    Args:
        unet: a `UNetSpatioTemporalConditionModel`, bare or wrapped (compiled, DDP).
        x: noisy latents (batch, frame, channel, height, width), clean latents plus sigma times unit noise; float32 or
            wider, because sigma starts at 700 where half precision is too coarse.
        sigma: noise level > 0, shape () or (batch,).
        image_latents: (batch, 1 or frame, channel, height, width), unscaled; its dtype is the one the UNet runs in.
        image_embeds: (batch, 1, embedding).
        added_time_ids: (batch, 3): fps - 1, motion bucket, noise augmentation.

    Returns:
        Denoised latents with the shape and dtype of `x`.
    """
    c_skip, c_out, c_in, _ = edm_scalings(sigma.reshape(-1, 1, 1, 1, 1))
    c_noise = edm_scalings(sigma)[-1]
    z = image_latents.expand(-1, x.shape[1], -1, -1, -1)
    v = unet(
        torch.cat([(c_in * x).to(z.dtype), z], dim=CHANNEL),
        c_noise,
        encoder_hidden_states=image_embeds,
        added_time_ids=added_time_ids,
        return_dict=False,
    )[0]
    return c_skip * x + c_out * v.to(x.dtype)


def scheduler_sigmas(
    scheduler: Any, num_inference_steps: int, start_sigma: float | None = None, schedule: str = "karras"
) -> Tensor:
    """The noise levels of a checkpoint's own scheduler: float32 (num_inference_steps + 1,), falling, ending in 0.

    start_sigma: where they begin, in place of the scheduler's largest (700 for SVD), as many of them.
    schedule: "karras", as the scheduler sets them; "ays", see `ays_sigmas`, between the scheduler's largest and least.

    Raises:
        ValueError: the scheduler is not SVD's kind. `DPMSolver`, `UniPC` and `Heun` made with `from_config` from SVD's
            scheduler carry its sigmas no longer, without saying so; that is caught here. Or `start_sigma` is none of
            its noise levels.
    """
    from diffusers import EulerDiscreteScheduler  # here: the table of methods is read without diffusers

    expected = {"prediction_type": "v_prediction", "timestep_type": "continuous", "use_karras_sigmas": True}
    wrong = {name: scheduler.config.get(name) for name, value in expected.items()}
    wrong = {name: value for name, value in wrong.items() if value != expected[name]}
    is_euler = isinstance(scheduler, EulerDiscreteScheduler)
    if not is_euler or wrong:
        raise ValueError(
            f"expected SVD's EulerDiscreteScheduler with {expected}; got {type(scheduler).__name__}"
            f"{f' with {wrong}' if wrong else ''}: load the scheduler from the checkpoint again"
        )
    low, high = scheduler.config.sigma_min, scheduler.config.sigma_max
    if start_sigma is not None:
        if not (low or 0.0) < start_sigma <= (high or math.inf):
            most = high or math.inf
            raise ValueError(f"expected start_sigma above {low or 0:g} and at most {most:g}, got {start_sigma:g}")
        scheduler = type(scheduler).from_config(scheduler.config, sigma_max=start_sigma)
    if schedule == "ays":
        return torch.tensor(ays_sigmas(num_inference_steps, start_sigma or high or SIGMA_MAX, low or SIGMA_MIN))
    scheduler.set_timesteps(num_inference_steps)
    sigmas: Tensor = scheduler.sigmas
    return sigmas


SIGMA_MIN, SIGMA_MAX = 0.002, 700.0  # of SVD's scheduler as published
AYS_LEVELS = (700.0, 54.5, 15.886, 7.977, 4.248, 1.789, 0.981, 0.403, 0.173, 0.034, 0.002)  # ten steps of SVD


def ays_sigmas(num_inference_steps: int, start_sigma: float = SIGMA_MAX, last_sigma: float = SIGMA_MIN) -> list[float]:
    """The noise levels that Align Your Steps found for SVD, falling, ending in 0 (arXiv 2404.14507).

    A tenth of them lies above 54.5, of Karras' more than a third. Other numbers of steps than the published ten are
    interpolated in the logarithm, as the authors advise.

    start_sigma: where they begin; as many of them, on what is left of the curve.
    last_sigma: the level that would follow the last step, which ends in 0 instead.

    >>> [round(sigma, 3) for sigma in ays_sigmas(5)]
    [700.0, 15.886, 4.248, 0.981, 0.173, 0.0]
    """
    levels = [max(start_sigma, AYS_LEVELS[0]), *AYS_LEVELS[1:-1], min(last_sigma, AYS_LEVELS[-1])]
    falling, places = -np.log(levels), np.arange(len(levels))
    first, last = np.interp(-np.log([start_sigma, last_sigma]), falling, places)
    steps = np.linspace(first, last, num_inference_steps + 1)[:-1]
    return [*np.exp(-np.interp(steps, places, falling)).astype(np.float32).tolist(), 0.0]  # as a run has them


def svd_sigmas(num_inference_steps: int, start_sigma: float | None = None, schedule: str = "karras") -> list[float]:
    """The noise levels of SVD's scheduler as published, falling, ending in 0 (Karras et al. 2022, eq. 5, rho 7).

    To plan by: a run takes those of its checkpoint. start_sigma: where they begin, in place of 700. schedule: "karras"
    or "ays", see `ays_sigmas`.

    >>> [round(sigma, 3) for sigma in svd_sigmas(3)]
    [700.0, 15.59, 0.002, 0.0]
    """
    if schedule == "ays":
        return ays_sigmas(num_inference_steps, start_sigma or SIGMA_MAX)
    low, high = SIGMA_MIN ** (1 / 7), (start_sigma or SIGMA_MAX) ** (1 / 7)
    ramp = [step / max(num_inference_steps - 1, 1) for step in range(num_inference_steps)]
    return [*((high + share * (low - high)) ** 7 for share in ramp), 0.0]


def sample_sigma(
    shape: tuple[int, ...], generator: torch.Generator | None, mean: float = 0.7, std: float = 1.6
) -> Tensor:
    """Training noise levels, log-normal: exp(mean + std n). The defaults are SVD's (arXiv 2311.15127, appendix)."""
    return torch.exp(mean + std * torch.randn(shape, generator=generator))


def edm_loss(denoised: Tensor, clean: Tensor, sigma: Tensor) -> Tensor:
    """Mean of (sigma^2 + 1) / sigma^2 (denoised - clean)^2, a scalar.

    Args:
        denoised, clean: (batch, frame, channel, height, width), clean scaled by the VAE's factor.
        sigma: () or (batch,).
    """
    sigma = sigma.reshape(-1, 1, 1, 1, 1)
    return ((sigma**2 + 1) / sigma**2 * (denoised - clean) ** 2).mean()
