"""Backward warping, rescaling and splatting of images by optical flow.

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


def warp(
    image: Tensor,
    flow: Tensor,
    *,
    outside: Literal["border", "zeros"] = "border",
    mode: Literal["bilinear", "bicubic"] = "bilinear",
) -> Tensor:
    """Sample `image` (B, C, H, W) at x + flow(x); flow (B, 2, H, W) in pixels. Returns (B, C, H, W).

    outside: what is seen beyond the frame, its nearest border pixel or zeros.
    mode: bilinear blurs between pixels; bicubic keeps fine texture and may leave the image's range by a little.
    """
    height, width = image.shape[-2:]
    x = torch.linspace(-1.0, 1.0, width, device=flow.device, dtype=flow.dtype).view(1, 1, width)
    y = torch.linspace(-1.0, 1.0, height, device=flow.device, dtype=flow.dtype).view(1, height, 1)
    grid = torch.stack(
        [x + flow[:, 0] / (max(width - 1, 1) / 2), y + flow[:, 1] / (max(height - 1, 1) / 2)],
        dim=-1,
    )
    return functional.grid_sample(image, grid, mode=mode, padding_mode=outside, align_corners=True)


def rescale(image: Tensor, factor: float) -> Tensor:
    """(B, C, H, W) at `factor` times the size, bilinear, pixel areas aligned (align_corners=False)."""
    if factor == 1:
        return image
    return functional.interpolate(image, scale_factor=factor, mode="bilinear", align_corners=False)


def rescale_flow(flow: Tensor, factor: float) -> Tensor:
    """A flow at `factor` times the size; its values, which are pixels, grow by the same factor."""
    return rescale(flow, factor) * factor


def splat(values: Tensor, flow: Tensor, weight: Tensor) -> Tensor:
    """Carry weighted values along `flow` (B, 2, H, W) pixels and add up what arrives, shared among four pixels.

    values (B, C, H, W), weight (B, 1, H, W). Returns (B, C + 1, H, W): the sums of weight * value, then of weight.
    """
    batch, channels, height, width = values.shape
    # One pixel of margin all around takes what leaves the frame, so that nothing is asked of each of four places.
    x = (torch.arange(width, device=flow.device).view(1, 1, width) + flow[:, 0]).clamp(-1, width)
    y = (torch.arange(height, device=flow.device).view(1, height, 1) + flow[:, 1]).clamp(-1, height)
    left, top = x.floor().clamp(max=width - 1), y.floor().clamp(max=height - 1)
    right_share, lower_share = (x - left).flatten(1)[:, None], (y - top).flatten(1)[:, None]
    place = ((top + 1) * (width + 2) + left + 1).long().flatten(1)[:, None]
    payload = torch.cat((values * weight, weight), 1).flatten(2)
    sums = payload.new_zeros(batch, channels + 1, (height + 2) * (width + 2))
    for row, rows_share in ((0, 1 - lower_share), (width + 2, lower_share)):
        part = payload * rows_share
        right = part * right_share
        sums.scatter_add_(2, (place + row).expand_as(part), part - right)
        sums.scatter_add_(2, (place + row + 1).expand_as(part), right)
    return sums.view(batch, channels + 1, height + 2, width + 2)[..., 1:-1, 1:-1]
