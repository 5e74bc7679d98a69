"""Look a frame up where a flow points.

    warp(image, flow)(x) = image(x + flow(x))        bilinear; flow in pixels, x to the right, y down

The grid runs from -1 to 1 between the centres of the outer pixels (align_corners=True) and outside of the frame the
nearest border pixel is seen: the convention of RIFE and of every network trained from its code. With the other
alignment each sample would be shifted by up to half a pixel.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional


def warp(image: Tensor, flow: Tensor, *, outside: Literal["border", "zeros"] = "border") -> Tensor:
    """Sample `image` (B, C, H, W) at x + flow(x); flow (B, 2, H, W) in pixels. Returns (B, C, H, W).

    outside: what is seen beyond the frame, its nearest border pixel or zeros.
    """
    height, width = image.shape[-2:]
    x = torch.linspace(-1.0, 1.0, width, device=flow.device, dtype=flow.dtype).view(1, 1, width)
    y = torch.linspace(-1.0, 1.0, height, device=flow.device, dtype=flow.dtype).view(1, height, 1)
    grid = torch.stack(
        [x + flow[:, 0] / (max(width - 1, 1) / 2), y + flow[:, 1] / (max(height - 1, 1) / 2)],
        dim=-1,
    )
    return functional.grid_sample(image, grid, mode="bilinear", padding_mode=outside, align_corners=True)


def rescale(image: Tensor, factor: float) -> Tensor:
    """(B, C, H, W) at `factor` times the size, bilinear, pixel areas aligned (align_corners=False)."""
    if factor == 1:
        return image
    return functional.interpolate(image, scale_factor=factor, mode="bilinear", align_corners=False)


def rescale_flow(flow: Tensor, factor: float) -> Tensor:
    """A flow at `factor` times the size; its values, which are pixels, grow by the same factor."""
    return rescale(flow, factor) * factor
