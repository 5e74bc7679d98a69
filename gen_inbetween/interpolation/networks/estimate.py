"""Output and interface of interpolation networks: frame, flows, masks, matches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn


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


class InterpolationNetwork(nn.Module):
    """forward(a, b, index, **shared) -> Estimate. H and W are multiples of `multiple`.

    index: (B, index_channels, H, W), None for 0 channels; shared: what `prepare` returned for these two frames.
    """

    index_channels: int
    multiple: int

    def prepare(self, a: Tensor, b: Tensor) -> dict[str, Any]:
        """Keywords of `forward` that are the same at every time between a and b (B, 3, H, W); here none."""
        return {}
