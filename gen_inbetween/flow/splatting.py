"""Carry values along a flow: the other way round from `warp`, which looks up where a flow points.

    splat(values, flow, weight)(x + flow(x)) += weight(x) values(x)        shared among the four pixels around

(summation splatting, Niklaus and Liu, CVPR 2020.) What arrives divided by the weight that arrives is a weighted mean.
"""

from __future__ import annotations

import torch
from torch import Tensor


def splat(values: Tensor, flow: Tensor, weight: Tensor) -> Tensor:
    """Carry weighted values along `flow` (B, 2, H, W) pixels and add up what arrives, shared among four pixels.

    values (B, C, H, W), weight (B, 1, H, W). Returns (B, C + 1, H, W): the sums of weight * value, then of weight.
    """
    batch, channels, height, width = values.shape
    x = torch.arange(width, device=flow.device).view(1, 1, width) + flow[:, 0]
    y = torch.arange(height, device=flow.device).view(1, height, 1) + flow[:, 1]
    left, top = x.floor(), y.floor()
    payload = torch.cat((values * weight, weight), 1).flatten(2)
    sums = payload.new_zeros(batch, channels + 1, height * width)
    for column, row in ((left, top), (left + 1, top), (left, top + 1), (left + 1, top + 1)):
        share = (1 - (x - column).abs()) * (1 - (y - row).abs())
        inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
        place = (row.clamp(0, height - 1) * width + column.clamp(0, width - 1)).long()
        share = (share * inside).flatten(1)[:, None]
        sums.scatter_add_(2, place.flatten(1)[:, None].expand_as(sums), payload * share)
    return sums.view(batch, channels + 1, height, width)
