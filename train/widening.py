"""A UNet widened at its first level, function preserved (net2net, arXiv 1511.05641).

The first level of SVD's UNet works at the latents' full size, and its GroupNorms have 32 groups whatever its width:
with 32 channels every group is one channel, and the last norm takes each channel's mean and contrast away from every
frame. Here each of those channels becomes `copies` neighbours in one group, so that every norm sees the statistics it
saw, and a weight that reads a channel is split over its copies unevenly, so that they learn apart. New attention heads,
hidden units and time-embedding channels start at random and are read with weight zero.

Two norms cannot be kept: where the up blocks concatenate an unwidened tensor with a widened skip, groups shift.
"""

from __future__ import annotations

import re

import torch
from diffusers import UNetSpatioTemporalConditionModel
from torch import Tensor

ATTENTION_INNER = re.compile(r"attn\d\.to_([qkv]|out\.0)\.weight$")
SINUSOIDS = re.compile(r"(time_embedding|time_pos_embed)\.linear_1\.weight$")
UNEVEN = 0.5  # standard deviation of the copies' shares, relative


def widen_top(unet: UNetSpatioTemporalConditionModel, copies: int, seed: int = 0) -> UNetSpatioTemporalConditionModel:
    """A new UNet, `copies` times as wide in its first level and time embedding, that predicts nearly the same.

    ValueError: the widened first level would be as wide as the second, which has then no shortcut to take over.
    """
    channels, heads = list(unet.config.block_out_channels), list(unet.config.num_attention_heads)
    top = channels[0]
    channels[0], heads[0] = top * copies, heads[0] * copies
    if channels[0] == channels[1]:
        raise ValueError(f"expected levels of different widths, got {channels}: choose another number of copies")
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        config = {"block_out_channels": channels, "num_attention_heads": heads}
        wide = UNetSpatioTemporalConditionModel.from_config({**unet.config, **config})
        old, new = unet.state_dict(), wide.state_dict()
        wide.load_state_dict({name: widen(name, old[name], new[name], top, copies) for name in new})
    return wide


def widen(name: str, old: Tensor, new: Tensor, top: int, copies: int) -> Tensor:
    """The tensor `old` in the shape of `new`, whose values it keeps where `old` has none."""
    sources = [sources_of(name, axis, old.shape[axis], new.shape[axis], top, copies) for axis in range(old.ndim)]
    result, known = new.clone(), sources[0] >= 0
    rows = old[sources[0][known]]
    if old.ndim > 1 and old.shape[1] != new.shape[1]:
        columns = sources[1]
        rows = rows[:, columns.clamp(min=0)] * shares(columns, rows.shape[0]).view(
            rows.shape[0], -1, *[1] * (old.ndim - 2)
        )
    result[known] = rows
    return result


def sources_of(name: str, axis: int, old: int, new: int, top: int, copies: int) -> Tensor:
    """(new,) for each new place along an axis the old one it takes over, or -1."""
    if old == new:
        return torch.arange(old)
    inner = ATTENTION_INNER.search(name) is not None and (axis == 1) == ("to_out" in name)
    places = torch.full((new,), -1)
    if new - old == top * (copies - 1) and old > top:  # [unwidened, skip] concatenated
        keep = old - top
        return torch.cat([torch.arange(keep), keep + torch.arange(new - keep) // copies])
    if SINUSOIDS.search(name) and axis == 1:  # [cos, sin] of evenly spaced log frequencies
        half = torch.arange(old // 2)
        places[copies * half], places[new // 2 + copies * half] = half, old // 2 + half
        return places
    if name.endswith(("ff.net.0.proj.weight", "ff_in.net.0.proj.weight", "net.0.proj.bias")) and axis == 0:
        half = torch.arange(old // 2)  # [value, gate]
        places[half], places[new // 2 + half] = half, old // 2 + half
        return places
    hidden = old == 4 * top and new == 4 * top * copies
    if inner or hidden:
        places[:old] = torch.arange(old)
        return places
    return torch.arange(new) // copies


def shares(columns: Tensor, rows: int) -> Tensor:
    """(rows, new columns) factors by which old columns are split: they sum to one over the copies of a column."""
    counts = torch.bincount(columns[columns >= 0])
    noise = UNEVEN * torch.randn(rows, len(columns))
    factors = torch.zeros(rows, len(columns))
    for column in range(len(counts)):
        copies = (columns == column).nonzero().flatten()
        uneven = noise[:, copies] - noise[:, copies].mean(1, keepdim=True)
        factors[:, copies] = (1 + (uneven if len(copies) > 1 else 0)) / len(copies)
    return factors
