"""RIFE's last step: a U-Net that repairs the merged frame, with features of both frames warped into place.

Facts from hzwer/ECCV2022-RIFE, model/refine.py (MIT); sub-modules bear the names of the published files.
"""

from __future__ import annotations

from torch import Tensor, cat, nn

from gen_inbetween.interpolation.networks.ifblock import convolution
from gen_inbetween.interpolation.warping import rescale_flow, warp


class Halving(nn.Module):
    """Two convolutions, the first of stride 2."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.conv1 = convolution(channels, width, 2)
        self.conv2 = convolution(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv2(self.conv1(x))


class ContextNet(nn.Module):
    """Features of one frame at 1/2 to 1/16 of its size, `width` to 8 * width channels, each warped by the flow."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = Halving(3, width)
        self.conv2 = Halving(width, 2 * width)
        self.conv3 = Halving(2 * width, 4 * width)
        self.conv4 = Halving(4 * width, 8 * width)

    def forward(self, image: Tensor, flow: Tensor) -> list[Tensor]:
        features, warped = image, []
        for stage in (self.conv1, self.conv2, self.conv3, self.conv4):
            features, flow = stage(features), rescale_flow(flow, 0.5)
            warped.append(warp(features, flow))
        return warped


def doubling(channels: int, width: int) -> nn.Sequential:
    return nn.Sequential(nn.ConvTranspose2d(channels, width, 4, 2, 1), nn.PReLU(width))


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
        half = self.down0(stack)
        quarter = self.down1(cat((half, context0[0], context1[0]), 1))
        eighth = self.down2(cat((quarter, context0[1], context1[1]), 1))
        sixteenth = self.down3(cat((eighth, context0[2], context1[2]), 1))
        x = self.up0(cat((sixteenth, context0[3], context1[3]), 1))
        x = self.up1(cat((x, eighth), 1))
        x = self.up2(cat((x, quarter), 1))
        x = self.up3(cat((x, half), 1))
        return self.conv(x).sigmoid()
