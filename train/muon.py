"""Muon: momentum whose matrices are made orthogonal, with Adam for what is no matrix.

Jordan et al. 2024; step size as in arXiv 2502.16982, so that one learning rate serves both.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable

import torch
from torch import Tensor

BETAS, EPSILON = (0.9, 0.99), 1e-8


class Muon(torch.optim.Optimizer):
    """Weights of two and more axes are flattened to (outputs, rest); vectors go through Adam.

    Args:
        parameters: what learns. lr: Adam's scale (the root mean square of a matrix's change is 0.2 lr).
        momentum: of the matrices, Nesterov's.
        bfloat16: the orthogonalisation in half precision, as Muon's authors do.
    """

    def __init__(self, parameters: Iterable[Tensor], lr: float, momentum: float = 0.95, bfloat16: bool = False) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum, "bfloat16": bfloat16})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            matrices: dict[tuple[int, int], list[tuple[Tensor, Tensor]]] = defaultdict(list)
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                if weight.ndim < 2 or min(weight.flatten(1).shape) == 1:
                    weight.add_(self.adam(weight), alpha=-group["lr"])
                    continue
                average = self.state[weight].setdefault("average", torch.zeros_like(weight))
                average.lerp_(weight.grad, 1 - group["momentum"])
                ahead = weight.grad.lerp(average, group["momentum"]).flatten(1)
                rows, columns = ahead.shape
                matrices[rows, columns].append((weight, ahead))
            for alike in matrices.values():  # one batch a shape: many small products cost more than a large one
                directions = orthogonalised(torch.stack([ahead for _, ahead in alike]), group["bfloat16"])
                for (weight, _), direction in zip(alike, directions, strict=True):
                    weight.add_(direction.view_as(weight), alpha=-group["lr"])

    def adam(self, weight: Tensor) -> Tensor:
        state = self.state[weight]
        if not state:
            state |= {"first": torch.zeros_like(weight), "second": torch.zeros_like(weight), "count": torch.zeros(())}
        assert weight.grad is not None
        state["count"] += 1
        state["first"].lerp_(weight.grad, 1 - BETAS[0])
        state["second"].lerp_(weight.grad.square(), 1 - BETAS[1])
        count = float(state["count"])
        first, second = state["first"] / (1 - BETAS[0] ** count), state["second"] / (1 - BETAS[1] ** count)
        return first / (second.sqrt() + EPSILON)


def orthogonalised(matrices: Tensor, bfloat16: bool = False, steps: int = 5) -> Tensor:
    """The nearest semi-orthogonal matrices to (N, rows, columns), nearly, by Newton-Schulz steps.

    Scaled so that the root mean square of their values is about 0.2, what Adam's changes have.
    """
    tall = matrices.shape[1] > matrices.shape[2]
    x = (matrices.mT if tall else matrices).to(torch.bfloat16 if bfloat16 else torch.float32)
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(steps):
        gram = x @ x.mT
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    x = (x.mT if tall else x).to(matrices.dtype)
    return x * 0.2 * math.sqrt(max(matrices.shape[1:]))
