"""Image-to-image network of few-shot stylisation, and its patch discriminator.

After Texler et al., "Interactive Video Stylization Using Few-Shot Patch-Based Training", SIGGRAPH 2020: two halvings,
residual blocks at a quarter of the size, two doublings with skips, a head that sees the input again. At inference the
network looks no further than `reach` pixels, so a picture in tiles with that much overlap is the picture in one piece.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

MULTIPLE = 4  # heights and widths that the network takes
SLOPE = 0.2  # of the leaky rectifiers


def _down(inputs: int, outputs: int, kernel: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2), nn.BatchNorm2d(outputs), nn.LeakyReLU(SLOPE)
    )


def _up(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Upsample(scale_factor=2), nn.Conv2d(inputs, outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()
    )


class ResidualBlock(nn.Module):
    """y = x + conv(relu(norm(conv(relu(x)))))."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.ReLU(),
            nn.Conv2d(width, width, 3, 1, 1),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, 1, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


class StyleNetwork(nn.Module):
    """Frames, with guides if any, to painted frames.

    Args:
        inputs: channels: 3, and 3 for each guide picture.
        widths: channels of the full size, the half, the quarter, the way up (two) and the head.
        blocks: residual blocks at a quarter of the size.
        head: width of the head's first kernel, odd.
    """

    def __init__(self, inputs: int, widths: Sequence[int], blocks: int, head: int) -> None:
        super().__init__()
        full, half, quarter, up_half, up_full, last = widths
        self.blocks, self.head_kernel = blocks, head
        self.at_full = _down(inputs, full, 7, 1)
        self.at_half = _down(full, half, 3, 2)
        self.at_quarter = _down(half, quarter, 3, 2)
        self.residual = nn.Sequential(*[ResidualBlock(quarter) for _ in range(blocks)])
        self.up_half = _up(2 * quarter, up_half)
        self.up_full = _up(up_half + half, up_full)
        self.head = nn.Sequential(
            nn.Conv2d(up_full + full + inputs, last, head, 1, head // 2), nn.ReLU(),
            nn.Conv2d(last, last, 3, 1, 1), nn.ReLU(), nn.BatchNorm2d(last),
            nn.Conv2d(last, last, 3, 1, 1), nn.ReLU(), nn.Conv2d(last, 3, 1),
        )  # fmt: skip
        # On CPUs a fifth less time to learn, a quarter less to translate.
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @property
    def reach(self) -> int:
        """How far an output pixel looks, layer by layer in and out: pixels, a multiple of MULTIPLE."""
        pixels = 3 + 1 + 2 + 4 * 2 * self.blocks + 4 + 4 + 2 + self.head_kernel // 2 + 2
        return -(-pixels // MULTIPLE) * MULTIPLE

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) in [-1, 1], sides multiples of MULTIPLE -> (N, 3, H, W) in [-1, 1]."""
        x = x.contiguous(memory_format=torch.channels_last)
        full = self.at_full(x)
        half = self.at_half(full)
        quarter = self.at_quarter(half)
        up = self.up_half(torch.cat([self.residual(quarter), quarter], 1))
        up = self.up_full(torch.cat([up, half], 1))
        return self.head(torch.cat([up, full, x], 1)).tanh()


class PatchDiscriminator(nn.Module):
    """Painted or not, for overlapping parts of a patch (least-squares GAN, Mao et al. 2017)."""

    def __init__(self, widths: Sequence[int] = (12, 24, 48)) -> None:
        super().__init__()
        first, second, third = widths
        self.layers = nn.Sequential(
            nn.Conv2d(3, first, 4, 2, 1), nn.LeakyReLU(SLOPE),
            nn.Conv2d(first, second, 4, 2, 1), nn.InstanceNorm2d(second), nn.LeakyReLU(SLOPE),
            nn.Conv2d(second, third, 4, 1, 1), nn.InstanceNorm2d(third), nn.LeakyReLU(SLOPE),
            nn.Conv2d(third, 1, 4, 1, 1),
        )  # fmt: skip
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, S, S) in [-1, 1], S of 24 or more -> (N, 1, s, s), 1 for painted."""
        return self.layers(x)


@torch.no_grad()
def translate(network: StyleNetwork, x: Tensor, tile: int) -> Tensor:
    """A whole picture (1, inputs, H, W) through the network in tiles of `tile` pixels: (1, 3, H, W).

    Each tile is computed with the network's reach around it, so that seams cannot be told from the rest; memory depends
    on `tile` alone.
    """
    height, width = x.shape[-2:]
    reach = network.reach
    if max(height, width) <= tile:
        return _padded(network, x)
    out = x.new_empty(1, 3, height, width)
    for top in range(0, height, tile):
        for left in range(0, width, tile):
            above, before = max(0, top - reach), max(0, left - reach)
            part = x[..., above : top + tile + reach, before : left + tile + reach]
            drawn = _padded(network, part)[..., top - above :, left - before :]
            out[..., top : top + tile, left : left + tile] = drawn[..., :tile, :tile]
    return out


def _padded(network: StyleNetwork, x: Tensor) -> Tensor:
    """The network on a picture of any size: its last row and column are repeated up to a multiple of MULTIPLE."""
    height, width = x.shape[-2:]
    filled = functional.pad(x, (0, -width % MULTIPLE, 0, -height % MULTIPLE), "replicate")
    return network(filled)[..., :height, :width]
