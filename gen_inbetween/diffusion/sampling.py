"""Sampling loops: steps from noise level to noise level.

    x = sample_euler(denoise, sigmas[0] * noise, sigmas, plain_order(25))

A model is anything called as `guided, unconditional = denoise(x, sigma)`; a step to the noise level sigma' is

    x' = D(x) + sigma' / sigma (x - anchor),    anchor = D(x): Euler,    anchor = D_uncond(x): CFG++ (arXiv 2406.08070)

and re-noising goes back up: x + sqrt(sigma^2 - sigma'^2) noise has noise level sigma again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from gen_inbetween.diffusion.edm import FRAME, Denoised, Generator
from gen_inbetween.diffusion.holds import Holds, apply_holds
from gen_inbetween.diffusion.samplers.solver import Advance, StepHistory, step_euler

OnStep = Callable[[int, Tensor, Tensor, Tensor], Tensor]  # (steps done - 1, sigma, x, denoised) -> x
Step = Callable[[Tensor, int], tuple[Tensor, Tensor]]  # (x at sigmas[i], i) -> (x at sigmas[i + 1], denoised)


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
    holds: Sequence[Holds] = (),
    solver: str = "euler",
    on_step: OnStep = keep_x,
) -> Tensor:
    """Euler steps in the given order; an order that goes back re-noises first. (EDM, algorithm 2, without churn.)

    Args:
        x: (pair, frame, channel, height, width) at noise level sigmas[0].
        sigmas: falling noise levels, (steps + 1,).
        order: which step comes when: step i goes from sigmas[i] to sigmas[i + 1]. It is read as the steps are made.
        generator: draws the re-noising.
        holds: what the denoised clip keeps, at every step.
        solver: of the steps, see `samplers.solver`.
        on_step: called after every step as (steps done - 1, the sigma it started at, x, the denoised clip it stepped
            along, with what it keeps); what it returns is x from then on.
    """
    history = StepHistory(solver, sigmas)

    def step(x: Tensor, i: int) -> tuple[Tensor, Tensor]:
        return take_step(denoise, x, sigmas[i], sigmas[i + 1], cfg_plus_plus, holds, history.at(i))

    return run_steps(step, x, sigmas, order, generator, on_step)


def run_steps(
    step: Step, x: Tensor, sigmas: Tensor, order: Iterable[int], generator: Generator, on_step: OnStep
) -> Tensor:
    """The loop of every sampler: its steps in the given order; an order that goes back re-noises first."""
    level = 0  # x has noise level sigmas[level]
    for count, i in enumerate(order):
        if i < level:
            x = renoise(x, sigmas[i], sigmas[level], generator)
        x, denoised = step(x, i)
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
    holds: Sequence[Holds] = (),
    solver: str = "euler",
    on_step: OnStep = keep_x,
) -> Tensor:
    """ViBiDSampler (arXiv 2410.05651, algorithm 1): a step forward from frame0, re-noise, a step backward from frame1.

    Each direction keeps what `holds` say, in its own order of time, but for the frame it starts from: that it is
    conditioned on. Of pinned ends that leaves each direction's far frame, as published; the paper's conjugate gradient
    on a one-frame mask comes to the same. The arguments are `sample_euler`'s; `order` counts the steps up, and
    `on_step` sees the backward half's denoised clip, in forward order.
    """
    step = SequentialSteps(forward, backward, sigmas, generator, cfg_plus_plus, holds, solver)
    return run_steps(step, x, sigmas, order, generator, on_step)


class SequentialSteps:
    """Steps of `sample_sequential`: `step(x, i)` is x at the next level, and the backward half's denoised clip.

    Each direction has a history of its own: what the other one denoised is another clip.
    """

    def __init__(
        self,
        forward: Denoiser,
        backward: Denoiser,
        sigmas: Tensor,
        generator: Generator,
        cfg_plus_plus: bool,
        holds: Sequence[Holds],
        solver: str,
    ) -> None:
        self.denoisers, self.sigmas, self.generator = (forward, backward), sigmas, generator
        self.cfg_plus_plus = cfg_plus_plus
        self.holds = [hold.without_frame(0) for hold in holds], [hold.flip().without_frame(0) for hold in holds]
        self.histories = StepHistory(solver, sigmas), StepHistory(solver, sigmas)

    def __call__(self, x: Tensor, i: int) -> tuple[Tensor, Tensor]:
        x, _ = self.half(0, x, i)
        x = renoise(x, self.sigmas[i], self.sigmas[i + 1], self.generator)
        x, denoised = self.half(1, x.flip(FRAME), i)
        return x.flip(FRAME), denoised.flip(FRAME)

    def half(self, way: int, x: Tensor, i: int) -> tuple[Tensor, Tensor]:
        """The step of one direction, in its own order of time."""
        levels = self.sigmas[i], self.sigmas[i + 1]
        advance = self.histories[way].at(i)
        return take_step(self.denoisers[way], x, *levels, self.cfg_plus_plus, self.holds[way], advance)


def take_step(
    denoise: Denoiser,
    x: Tensor,
    sigma: Tensor,
    sigma_next: Tensor,
    cfg_plus_plus: bool,
    holds: Sequence[Holds] = (),
    advance: Advance = step_euler,
) -> tuple[Tensor, Tensor]:
    """(x', D), x' as `advance` makes it of D, which is what the model denoises, with what is kept in it."""
    guided, unconditional = denoise(x, sigma)
    denoised = apply_holds(holds, guided, sigma)
    anchor = unconditional if cfg_plus_plus else denoised
    if anchor is None:
        raise ValueError("CFG++ steps along the unconditional clip, and this denoiser returned none")
    return advance(x, denoised, anchor, sigma, sigma_next), denoised


def randn_tensor(shape: torch.Size, **options: Any) -> Tensor:
    """diffusers' own, imported when it is called: the table of methods is read without diffusers."""
    from diffusers.utils import torch_utils

    return torch_utils.randn_tensor(shape, **options)


def renoise(x: Tensor, sigma: Tensor, sigma_now: Tensor, generator: Generator) -> Tensor:
    """x from noise level `sigma_now` up to `sigma`."""
    noise = randn_tensor(x.shape, generator=generator, device=x.device, dtype=torch.float32)
    return x + (sigma**2 - sigma_now**2).sqrt() * noise


def start_of(noise: Tensor, sigma: Tensor, *, draft: Tensor | None = None, moments: Tensor | None = None) -> Tensor:
    """x at the noise level the steps begin with.

    Args:
        noise: unit normal (pair, frame, channel, height, width).
        draft: a clean clip of that shape (SDEdit, arXiv 2108.01073): draft + sigma noise.
        moments: mean and variance of clean clips, as `mean_and_variance` gives them. Without either, clips have mean 0
            and variance 1, as `EulerDiscreteScheduler` scales for SVD.
    """
    if draft is not None:
        return draft.to(noise) + sigma * noise
    if moments is None:
        return noise * (sigma**2 + 1).sqrt()
    mean, variance = moments.to(noise)
    return mean + (sigma**2 + variance).sqrt() * noise


def mean_and_variance(keys: Tensor, positions: Sequence[int], num_frames: int) -> Tensor:
    """(2, pair, frame, channel, height, width): mean and variance of every frame, from its two neighbouring keyframes.

    At the share t of the way a frame is taken to be the first with probability 1 - t, else the last: its mean is their
    linear blend, its variance t (1 - t) (last - first)^2. (Analytic-Init of arXiv 2406.15735 takes the moments of a
    folder of clips.)

    Args:
        keys: clean latents (key, pair, channel, height, width). positions: their frames, rising from 0; frames after
            the last of them, in a loop, lie between it and the first.
    """
    marks = [*positions, num_frames]
    shape = keys.shape[1], num_frames, *keys.shape[2:]
    mean, variance = keys.new_zeros(shape), keys.new_zeros(shape)
    for number in range(len(positions)):
        first, last = keys[number], keys[(number + 1) % len(keys)]
        for frame in range(marks[number], marks[number + 1]):
            t = (frame - marks[number]) / (marks[number + 1] - marks[number])
            mean[:, frame] = first + t * (last - first)
            variance[:, frame] = t * (1 - t) * (last - first) ** 2
    return torch.stack([mean, variance])
