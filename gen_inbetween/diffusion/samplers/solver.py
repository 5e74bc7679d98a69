"""Second-order steps between noise levels, one model call each.

With D the denoised clip of this step, a the clip it steps along (D itself; CFG++: the unconditional clip), q =
sigma' / sigma, h = log(sigma / sigma'), r = h_before / h, and D_before, a_before those of the step before:

    euler       x' = D + q (x - a)
    dpmpp_2m    x' = D + q (x - a) + (1 - q) / (2 r) (D - a_before)
    gradient    x' = D + q (x - a) + (sigma' - sigma) (d - d_before),    d = (x - a) / sigma

"dpmpp_2m" is DPM-Solver++(2M) (arXiv 2211.01095) and, along the unconditional clip, its CFG++ form; "gradient" is
gradient estimation with gamma 2 (arXiv 2306.04848). Both need the step before: after a re-noising, at the first step
and at the last, which ends at sigma' = 0, they are Euler's.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

Advance = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], Tensor]  # (x, D, a, sigma, sigma') -> x'


def step_euler(x: Tensor, denoised: Tensor, anchor: Tensor, sigma: Tensor, sigma_next: Tensor) -> Tensor:
    """x' = D + sigma' / sigma (x - a)."""
    return denoised + sigma_next / sigma * (x - anchor)


class StepHistory:
    """Steps of one direction of motion that look back at the one before.

    Args:
        solver: "euler", "dpmpp_2m" or "gradient".
        sigmas: falling noise levels, (steps + 1,).
    """

    def __init__(self, solver: str, sigmas: Tensor) -> None:
        self.solver, self.sigmas = solver, sigmas
        self.index = -1  # of the step before
        self.before: Tensor | None = None  # a or d of that step

    def at(self, i: int) -> Advance:
        """The step from sigmas[i] to sigmas[i + 1], which remembers itself for the next."""
        if self.solver == "euler":
            return step_euler

        def advance(x: Tensor, denoised: Tensor, anchor: Tensor, sigma: Tensor, sigma_next: Tensor) -> Tensor:
            remembered = anchor if self.solver == "dpmpp_2m" else (x - anchor) / sigma
            before = self.before if self.index == i - 1 else None  # a step done again follows a re-noising
            self.index, self.before = i, remembered
            stepped = step_euler(x, denoised, anchor, sigma, sigma_next)
            if before is None or i + 2 == len(self.sigmas):
                return stepped
            if self.solver == "gradient":
                return stepped + (sigma_next - sigma) * (remembered - before)
            return stepped + self.second_order(i) * (denoised - before)

        return advance

    def second_order(self, i: int) -> Tensor:
        """(1 - q) / (2 r) of step i; a tensor, so that nothing waits for a GPU."""
        above, sigma, below = self.sigmas[i - 1 : i + 2]
        ratio = (above / sigma).log() / (sigma / below).log()
        return (1 - below / sigma) / (2 * ratio)
