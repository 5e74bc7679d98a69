"""Sampling loops: steps from noise level to noise level.

    x = sample_euler(denoise, sigmas[0] * noise, sigmas, plain_order(25))

A model is anything called as `guided, unconditional = denoise(x, sigma)`; a step to the noise level sigma' is

    x' = D(x) + sigma' / sigma (x - anchor),    anchor = D(x): Euler,    anchor = D_uncond(x): CFG++ (arXiv 2406.08070)

and re-noising goes back up: x + sqrt(sigma^2 - sigma'^2) noise has noise level sigma again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol

import torch
from torch import Tensor

from gen_inbetween.diffusion.edm import FRAME, Denoised, Generator

OnStep = Callable[[int, Tensor, Tensor, Tensor], Tensor]  # (steps done - 1, sigma, x, denoised) -> x


class Denoiser(Protocol):
    """x: (pair, frame, channel, height, width) with noise of level sigma on it."""

    def __call__(self, x: Tensor, sigma: Tensor) -> Denoised: ...


def keep_x(_: int, __: Tensor, x: Tensor, ___: Tensor) -> Tensor:
    """The `on_step` that does nothing."""
    return x


def sample_euler(
    denoise: Denoiser,
    x: Tensor,
    sigmas: Tensor,
    order: Iterable[int],
    *,
    generator: Generator = None,
    cfg_plus_plus: bool = False,
    ends: Tensor | None = None,
    on_step: OnStep = keep_x,
) -> Tensor:
    """Euler steps in the given order; an order that goes back re-noises first. (EDM, algorithm 2, without churn.)

    Args:
        x: (pair, frame, channel, height, width) at noise level sigmas[0].
        sigmas: falling noise levels, (steps + 1,).
        order: which step comes when: step i goes from sigmas[i] to sigmas[i + 1]. It is read as the steps are made.
        generator: draws the re-noising.
        ends: clean latents (2, pair, channel, height, width) to pin the first and last frame to, or None.
        on_step: called after every step as (steps done - 1, the sigma it started at, x, the denoised clip it stepped
            along, ends pinned); what it returns is x from then on.
    """

    def pin(denoised: Tensor) -> Tensor:
        return denoised if ends is None else pin_frame(pin_frame(denoised, 0, ends[0]), -1, ends[1])

    level = 0  # x has noise level sigmas[level]
    for count, i in enumerate(order):
        if i < level:
            x = renoise(x, sigmas[i], sigmas[level], generator)
        x, denoised = take_step(denoise, x, sigmas[i], sigmas[i + 1], cfg_plus_plus, pin)
        x = on_step(count, sigmas[i], x, denoised)
        level = i + 1
    return x


def sample_sequential(
    forward: Denoiser,
    backward: Denoiser,
    x: Tensor,
    sigmas: Tensor,
    order: Iterable[int],
    *,
    generator: Generator = None,
    cfg_plus_plus: bool = True,
    ends: Tensor | None = None,
    on_step: OnStep = keep_x,
) -> Tensor:
    """ViBiDSampler (arXiv 2410.05651, algorithm 1): a step forward from frame0, re-noise, a step backward from frame1.

    With `ends` each direction's far frame is replaced by the other keyframe; the paper's conjugate gradient on a
    one-frame mask comes to the same. The arguments are `sample_euler`'s; `order` counts the steps up, and `on_step`
    sees the backward half's denoised clip, in forward order.
    """

    def pin_far(end: int) -> Callable[[Tensor], Tensor]:
        return lambda denoised: denoised if ends is None else pin_frame(denoised, -1, ends[end])

    for count, i in enumerate(order):
        sigma, sigma_next = sigmas[i], sigmas[i + 1]
        x, _ = take_step(forward, x, sigma, sigma_next, cfg_plus_plus, pin_far(1))
        x = renoise(x, sigma, sigma_next, generator)
        x, denoised = take_step(backward, x.flip(FRAME), sigma, sigma_next, cfg_plus_plus, pin_far(0))
        x = on_step(count, sigma, x.flip(FRAME), denoised.flip(FRAME))
    return x


def take_step(
    denoise: Denoiser,
    x: Tensor,
    sigma: Tensor,
    sigma_next: Tensor,
    cfg_plus_plus: bool,
    pin: Callable[[Tensor], Tensor],
) -> tuple[Tensor, Tensor]:
    """(x', D) with x' = D + sigma' / sigma (x - anchor); D is what the model denoises, with its ends pinned."""
    guided, unconditional = denoise(x, sigma)
    denoised = pin(guided)
    anchor = unconditional if cfg_plus_plus else denoised
    if anchor is None:
        raise ValueError("CFG++ steps along the unconditional clip, and this denoiser returned none")
    return denoised + sigma_next / sigma * (x - anchor), denoised


def randn_tensor(shape: torch.Size, **options: Any) -> Tensor:
    """diffusers' own, imported when it is called: the table of methods is read without diffusers."""
    from diffusers.utils import torch_utils

    return torch_utils.randn_tensor(shape, **options)


def renoise(x: Tensor, sigma: Tensor, sigma_now: Tensor, generator: Generator) -> Tensor:
    """x from noise level `sigma_now` up to `sigma`."""
    noise = randn_tensor(x.shape, generator=generator, device=x.device, dtype=torch.float32)
    return x + (sigma**2 - sigma_now**2).sqrt() * noise


def pin_frame(clip: Tensor, frame: int, latents: Tensor) -> Tensor:
    """`clip` (pair, frame, ...) with one frame replaced by `latents` (pair, ...)."""
    clip = clip.clone()
    clip[:, frame] = latents
    return clip
