"""Sampling loops that distil the forward motion in early steps.

Motion Prior Distillation (arXiv 2602.12679): each early step is first made a few times with the forward clip alone,
moved to end at the last keyframe (`samplers.distillation`), re-noised in between; an ordinary step closes it.

    sample_mpd             closed and followed by ViBiDSampler's steps                        ("mpd", published)
    sample_mpd_parallel    followed by fused steps along the forward unconditional clip       ("mpd-parallel")
    sample_mpd_fused       closed and followed by the fused steps of Generative Inbetweening  ("mpd-gi", ours)

The arguments are those of `sampling.sample_euler`, with `distillation`: which steps distil, and how.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from torch import Tensor

from gen_inbetween.diffusion.edm import FRAME, Denoised, Generator
from gen_inbetween.diffusion.holds import Holds
from gen_inbetween.diffusion.samplers.distillation import Distillation, average_of_both
from gen_inbetween.diffusion.samplers.solver import StepHistory
from gen_inbetween.diffusion.sampling import Denoiser, OnStep, SequentialSteps, Step, keep_x, run_steps, take_step


def sample_mpd(
    forward: Denoiser,
    backward: Denoiser,
    x: Tensor,
    sigmas: Tensor,
    order: Iterable[int],
    *,
    distillation: Distillation,
    generator: Generator = None,
    cfg_plus_plus: bool = True,
    holds: Sequence[Holds] = (),
    solver: str = "euler",
    on_step: OnStep = keep_x,
) -> Tensor:
    """Distilling steps, each closed by a step of ViBiDSampler; then ViBiDSampler."""
    sequential = SequentialSteps(forward, backward, sigmas, generator, cfg_plus_plus, holds, solver)
    pinned = SequentialSteps(forward, backward, sigmas, generator, True, [*holds, pins(distillation, x)], solver)

    def step(x: Tensor, i: int) -> tuple[Tensor, Tensor]:
        return (pinned if i < distillation.steps else sequential)(x, i)

    distil = distilling(forward, backward, sigmas, distillation, holds)
    return run_steps(distilling_first(distillation, distil, step), x, sigmas, order, generator, on_step)


def sample_mpd_parallel(
    forward: Denoiser,
    backward: Denoiser,
    x: Tensor,
    sigmas: Tensor,
    order: Iterable[int],
    *,
    weight: Tensor,
    distillation: Distillation,
    generator: Generator = None,
    cfg_plus_plus: bool = True,
    holds: Sequence[Holds] = (),
    solver: str = "euler",
    on_step: OnStep = keep_x,
) -> Tensor:
    """Distilling steps, each closed by a step of ViBiDSampler; then both ways fused.

    weight: of the forward clip on each frame, (num_frames, 1, 1, 1).
    """
    pinned = SequentialSteps(forward, backward, sigmas, generator, True, [*holds, pins(distillation, x)], "euler")
    history = StepHistory(solver, sigmas)

    def fused(x: Tensor, sigma: Tensor) -> Denoised:
        ahead, back = forward(x, sigma), backward(x.flip(FRAME), sigma)
        return Denoised(weight * ahead.guided + (1 - weight) * back.guided.flip(FRAME), ahead.unconditional)

    def step(x: Tensor, i: int) -> tuple[Tensor, Tensor]:
        if i < distillation.steps:
            return pinned(x, i)
        return take_step(fused, x, sigmas[i], sigmas[i + 1], cfg_plus_plus, holds, history.at(i))

    distil = distilling(forward, backward, sigmas, distillation, holds)
    return run_steps(distilling_first(distillation, distil, step), x, sigmas, order, generator, on_step)


def sample_mpd_fused(
    fused: Denoiser,
    forward: Denoiser,
    backward: Denoiser,
    x: Tensor,
    sigmas: Tensor,
    order: Iterable[int],
    *,
    distillation: Distillation,
    generator: Generator = None,
    cfg_plus_plus: bool = False,
    holds: Sequence[Holds] = (),
    solver: str = "euler",
    on_step: OnStep = keep_x,
) -> Tensor:
    """Distilling steps, each closed by a fused step; then fused steps.

    forward, backward: stock SVD from either keyframe; the second is called where the distillation is symmetric.
    """
    history = StepHistory(solver, sigmas)

    def step(x: Tensor, i: int) -> tuple[Tensor, Tensor]:
        return take_step(fused, x, sigmas[i], sigmas[i + 1], cfg_plus_plus, holds, history.at(i))

    distil = distilling(forward, backward, sigmas, distillation, holds)
    return run_steps(distilling_first(distillation, distil, step), x, sigmas, order, generator, on_step)


def distilling_first(distillation: Distillation, distil: Step, step: Step) -> Step:
    """`distil` where the distillation says so, by how often a step was done before; `step` elsewhere."""
    visits: Counter[int] = Counter()

    def either(x: Tensor, i: int) -> tuple[Tensor, Tensor]:
        visits[i] += 1
        return (distil if distillation.distils(i, visits[i] - 1) else step)(x, i)

    return either


def distilling(
    forward: Denoiser,
    backward: Denoiser,
    sigmas: Tensor,
    distillation: Distillation,
    holds: Sequence[Holds],
) -> Step:
    """A step along the moved forward clip, its first frame (and its last, whatever the shift left) the keyframes."""
    first, last = distillation.ends

    def step(x: Tensor, i: int) -> tuple[Tensor, Tensor]:
        level = sigmas[i] / sigmas[0]

        def moved(x: Tensor, sigma: Tensor) -> Denoised:
            ahead = forward(x, sigma)
            ahead = Denoised(distillation.shift(ahead.guided, last, level), ahead.unconditional)
            if not distillation.symmetric:
                return ahead
            back = backward(x.flip(FRAME), sigma)
            back = Denoised(distillation.shift(back.guided, first, level), back.unconditional)
            return average_of_both(ahead, back)

        kept = [*holds, pins(distillation, x)]
        return take_step(moved, x, sigmas[i], sigmas[i + 1], True, kept)

    return step


def pins(distillation: Distillation, x: Tensor) -> Holds:
    """Both keyframes held at the ends of a clip like `x`."""
    first, last = distillation.ends.to(x)
    return Holds.of_frames({0: first, -1: last}, x.shape[1])
