"""Convolution layers that the interpolation networks share.

Sub-modules bear the names of the published files (hzwer/ECCV2022-RIFE and hzwer/Practical-RIFE, both MIT).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from torch import Tensor, nn, ones
from torch.nn import functional


def convolution(channels: int, width: int, stride: int = 1, *, learned_slope: bool = True) -> nn.Sequential:
    """A 3x3 convolution and its activation, named as in the published files: `.0` and, with a learned slope, `.1`."""
    activation = nn.PReLU(width) if learned_slope else nn.LeakyReLU(0.2)
    return nn.Sequential(nn.Conv2d(channels, width, 3, stride, 1), activation)


class ScaledConvolution(nn.Module):
    """act(x + beta * conv(x)), beta learned per channel ("ResConv")."""

    def __init__(self, width: int, groups: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, 1, 1, groups=groups)
        self.beta = nn.Parameter(ones(1, width, 1, 1))
        self.relu = nn.LeakyReLU(0.2)

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.conv(x) * self.beta + x)


class Halving(nn.Module):
    """Two convolutions, the first of stride 2."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.conv1 = convolution(channels, width, 2)
        self.conv2 = convolution(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv2(self.conv1(x))

    def of_parts(self, parts: Sequence[Tensor]) -> Tensor:
        """Of the parts (B, c, H, W) put together along their channels, without the large tensor that would be.

        A convolution of a few channels of a large picture needs no other order of them in memory, either.
        """
        first, activation = cast(nn.Conv2d, self.conv1[0]), self.conv1[1]
        assert first.bias is not None
        weights = first.weight.split([part.shape[1] for part in parts], 1)
        sums = first.bias.view(1, -1, 1, 1)
        for part, weight in zip(parts, weights, strict=True):
            sums = sums + functional.conv2d(part, weight.contiguous(), None, first.stride, first.padding)
        return self.conv2(activation(sums))


def doubling(channels: int, width: int) -> nn.Sequential:
    """A transposed convolution to twice the size, and its activation."""
    return nn.Sequential(nn.ConvTranspose2d(channels, width, 4, 2, 1), nn.PReLU(width))
