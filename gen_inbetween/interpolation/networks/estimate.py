"""What an interpolation network computes on the way to its frame; the losses of training need all of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor


@dataclass(frozen=True)
class Matches:
    """(B, ..., h, w) over the cells of a frame."""

    flow: Tensor  # (B, 2, h, w) cells, to the other frame
    certainty: Tensor  # (B, 1, h, w) in [0, 1]: the largest probability
    # (B, h * w, h * w): log P but for a constant, from a cell (second axis) to one there (third); for training only.
    logits: Tensor | None


@dataclass(frozen=True)
class Teacher:
    """The guess of the privileged block, which has seen the true frame (RIFE, section 3.3). Exists in training only."""

    flow: Tensor  # (B, 4, H, W) pixels, to a then to b
    merged: Tensor  # (B, 3, H, W)


@dataclass(frozen=True)
class Estimate:
    """One forward pass. Lists run from the coarsest block to the finest; every tensor has the size of the frames."""

    frame: Tensor  # (B, 3, H, W) in [0, 1], the result
    flows: Sequence[Tensor]  # (B, 4, H, W) pixels, to a then to b
    masks: Sequence[Tensor]  # (B, 1, H, W) in [0, 1], the share of a
    merged: Sequence[Tensor]  # (B, 3, H, W), mask * warp(a) + (1 - mask) * warp(b)
    teacher: Teacher | None = None
    matches: tuple[Matches, Matches] | None = None  # tiny-di: from a to b, and back
    between: Tensor | None = None  # Super SloMo: (B, 4, H, W) pixels, the flow from a to b, then from b to a


class InterpolationNetwork(Protocol):
    """An nn.Module; H and W are multiples of `multiple`, and index has `index_channels` channels (None for 0)."""

    index_channels: int
    multiple: int

    def __call__(self, a: Tensor, b: Tensor, index: Tensor | None) -> Estimate: ...
