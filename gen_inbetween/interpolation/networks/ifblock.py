"""The block of every RIFE: look at a shrunken stack of pictures, return a flow and a blending mask at full size.

    x -> resize 1/s -> two convolutions of stride 2 -> eight convolutions -> head -> resize back
         (the running flow is resized with it, its pixel values divided by s)

Facts from hzwer/ECCV2022-RIFE and hzwer/Practical-RIFE (both MIT). Sub-modules bear the names of the published files.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor, cat, nn, ones

from gen_inbetween.interpolation.warping import rescale, rescale_flow

Body = Literal["skip", "plain", "scaled"]


@dataclass(frozen=True)
class BlockStyle:
    """How the blocks of a version are built."""

    learned_slope: bool  # PReLU with a slope per channel, otherwise LeakyReLU(0.2)
    body: Body  # convolutions with one skip over all of them, without any, or with a scaled skip over each
    outputs: int  # channels at full size: flow 4, mask 1, then features
    shuffled: bool  # the head ends in a pixel shuffle, so at 1/s of the frame instead of 1/2s
    groups: int = 1  # of the convolutions in the body


PAPER = BlockStyle(learned_slope=True, body="skip", outputs=5, shuffled=False)


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


class IFBlock(nn.Module):
    """One step of the coarse-to-fine estimate.

    channels: of the stack and the running flow together; width: of the body; depth: convolutions in the body.
    """

    def __init__(self, channels: int, width: int, style: BlockStyle = PAPER, *, depth: int = 8) -> None:
        super().__init__()
        self.style = style
        self.conv0 = nn.Sequential(
            convolution(channels, width // 2, 2, learned_slope=style.learned_slope),
            convolution(width // 2, width, 2, learned_slope=style.learned_slope),
        )
        if style.body == "scaled":
            self.convblock = nn.Sequential(*(ScaledConvolution(width, style.groups) for _ in range(depth)))
        else:
            layers = (convolution(width, width, learned_slope=style.learned_slope) for _ in range(depth))
            self.convblock = nn.Sequential(*layers)
        self.lastconv: nn.Module = nn.ConvTranspose2d(width, style.outputs, 4, 2, 1)
        if style.shuffled:
            head = nn.ConvTranspose2d(width, 4 * style.outputs, 4, 2, 1)
            self.lastconv = nn.Sequential(head, nn.PixelShuffle(2))

    def forward(self, stack: Tensor, flow: Tensor | None, scale: float) -> tuple[Tensor, Tensor, Tensor]:
        """stack (B, C, H, W), flow (B, 4, H, W) pixels or None; H and W multiples of 4 * scale.

        Returns the change of the flow (B, 4, H, W) pixels, of the mask (B, 1, H, W), and features (B, n, H, W).
        """
        x = rescale(stack, 1 / scale)
        if flow is not None:
            x = cat((x, rescale_flow(flow, 1 / scale)), 1)
        x = self.conv0(x)
        deep = self.convblock(x)
        out = self.lastconv(deep + x if self.style.body == "skip" else deep)
        zoom = scale if self.style.shuffled else 2 * scale
        out = rescale(out, zoom)
        return out[:, :4] * zoom, out[:, 4:5], out[:, 5:]
