"""RIFE's blocks: coarse-to-fine flow estimation (IFBlock), and refinement of the merged frame.

IFBlock looks at a shrunken stack of pictures and returns a flow and a blending mask at full size:

    x -> resize 1/s -> two convolutions of stride 2 -> eight convolutions -> head -> resize back
         (the running flow is resized with it, its pixel values divided by s)

The refinement is a U-Net that repairs the merged frame, with features of both frames (ContextNet) warped into place.

Facts from hzwer/ECCV2022-RIFE, model/refine.py and IFNet.py, and hzwer/Practical-RIFE (both MIT). Sub-modules bear the
names of the published files.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor, cat, nn

from gen_inbetween.interpolation.networks.layers import Halving, ScaledConvolution, convolution, doubling
from gen_inbetween.interpolation.warping import rescale, rescale_flow, warp

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


def merge(a: Tensor, b: Tensor, mask: Tensor) -> Tensor:
    """mask * a + (1 - mask) * b."""
    return a * mask + b * (1 - mask)


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
        out = self.reduced(x)
        zoom = scale if self.style.shuffled else 2 * scale
        out = rescale(out, zoom)
        return out[:, :4] * zoom, out[:, 4:5], out[:, 5:]

    def reduced(self, x: Tensor) -> Tensor:
        """The outputs before they are brought back to full size, of a stack and flow that are reduced already."""
        x = self.conv0(x)
        deep = self.convblock(x)
        out: Tensor = self.lastconv(deep + x if self.style.body == "skip" else deep)
        return out


class ContextNet(nn.Module):
    """Features of one frame at 1/2 to 1/16 of its size, `width` to 8 * width channels, each warped by the flow."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = Halving(3, width)
        self.conv2 = Halving(width, 2 * width)
        self.conv3 = Halving(2 * width, 4 * width)
        self.conv4 = Halving(4 * width, 8 * width)

    def forward(self, image: Tensor, flow: Tensor) -> list[Tensor]:
        return self.warped(self.features(image), flow)

    def features(self, image: Tensor) -> list[Tensor]:
        """Before they are warped: the same whatever the flow."""
        features = [image]
        for stage in (self.conv1, self.conv2, self.conv3, self.conv4):
            features.append(stage(features[-1]))
        return features[1:]

    @staticmethod
    def warped(features: list[Tensor], flow: Tensor) -> list[Tensor]:
        """The features, each warped by the flow (B, 2, H, W) of the frame they are of."""
        warped = []
        for each in features:
            flow = rescale_flow(flow, 0.5)
            warped.append(warp(each, flow))
        return warped


class Unet(nn.Module):
    """Frames, warped frames, mask logit and flow (B, 17, H, W), and both frames' context -> (B, 3, H, W) in [0, 1]."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.down0 = Halving(17, 2 * width)
        self.down1 = Halving(4 * width, 4 * width)
        self.down2 = Halving(8 * width, 8 * width)
        self.down3 = Halving(16 * width, 16 * width)
        self.up0 = doubling(32 * width, 8 * width)
        self.up1 = doubling(16 * width, 4 * width)
        self.up2 = doubling(8 * width, 2 * width)
        self.up3 = doubling(4 * width, width)
        self.conv = nn.Conv2d(width, 3, 3, 1, 1)

    def forward(self, stack: Tensor, context0: list[Tensor], context1: list[Tensor]) -> Tensor:
        return self.from_half(self.down0(stack), context0, context1)

    def from_half(self, half: Tensor, context0: list[Tensor], context1: list[Tensor]) -> Tensor:
        """From the stack's features at 1/2 on, which are `down0` of it."""
        quarter = self.down1(cat((half, context0[0], context1[0]), 1))
        eighth = self.down2(cat((quarter, context0[1], context1[1]), 1))
        sixteenth = self.down3(cat((eighth, context0[2], context1[2]), 1))
        x = self.up0(cat((sixteenth, context0[3], context1[3]), 1))
        x = self.up1(cat((x, eighth), 1))
        x = self.up2(cat((x, quarter), 1))
        x = self.up3(cat((x, half), 1))
        return self.conv(x).sigmoid()
