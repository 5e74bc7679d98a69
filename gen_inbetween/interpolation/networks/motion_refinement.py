"""A convolutional refinement of carried motion, occlusion and blending.

    frame_t = s_0 W(a, F_t0 + d_0) + s_1 W(b, F_t1 + d_1) + s_2 a + s_3 b        s >= 0, their sum 1

A U-Net at half the size looks at both warped frames, at the frames themselves and at what speaks for the motion, and
gives the corrections d in pixels and logits added to those of the classical blend. It draws no colour of its own: the
frame holds only what one of the two shows, looked up bicubically, and so stays as sharp as they are. With all weights
of the last layer zero it is the classical blend.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, cat, nn
from torch.nn import functional

from gen_inbetween.interpolation.carried_motion import Carried, classical_shares, mixed
from gen_inbetween.interpolation.warping import warp

MULTIPLE = 32  # of the padded size: half of it is halved four times
WIDTHS = (32, 48, 64, 96)
MOTION = 20.0  # pixels of motion that the network sees as 1
PIXELS = 4.0  # of a correction, for one unit of the last layer
LEAST_SHARE = 1e-3  # of a source before its logarithm, so that the network can bring any of them back
INPUTS = 2 * 12 + 6 + 2 + 1 + 2 + 1  # warped frames by four pixels, frames, trust, arrived weight, motion, time


class Refined(NamedTuple):
    """The frame at t and what it is put together from."""

    frame: Tensor  # (B, 3, H, W)
    to0: Tensor  # (B, 2, H, W) pixels
    to1: Tensor  # (B, 2, H, W) pixels
    shares: Tensor  # (B, 4, H, W) of a warped, b warped, a and b as they stand


class Refinement(nn.Module):
    """The U-Net. widths: channels at 1/4, 1/8, 1/16 and 1/32 of the frame's size."""

    def __init__(self, widths: tuple[int, ...] = WIDTHS) -> None:
        super().__init__()
        self.down = nn.ModuleList()
        channels = INPUTS
        for width in widths:
            self.down.append(nn.Sequential(_convolution(channels, width, 2), _convolution(width, width)))
            channels = width
        self.up = nn.ModuleList(
            _convolution(deep + shallow, shallow) for deep, shallow in zip(widths[:0:-1], widths[-2::-1], strict=True)
        )
        self.head = nn.Sequential(_convolution(widths[0], widths[0]), nn.Conv2d(widths[0], 8 * 4, 3, padding=1))
        last = self.head[-1]
        assert isinstance(last, nn.Conv2d) and last.bias is not None
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)

    def forward(self, a: Tensor, b: Tensor, carried: Carried) -> Refined:
        """a, b (B, 3, H, W) in [0, 1], H and W multiples of MULTIPLE; carried: the motion at the time asked for."""
        to0, to1 = carried.to0, carried.to1
        warped0, warped1 = warp(a, to0), warp(b, to1)
        outputs = self._outputs(cat(_inputs(a, b, carried, warped0, warped1), 1))
        outputs = functional.interpolate(outputs, scale_factor=2.0, mode="bilinear", align_corners=False)
        to0, to1 = to0 + PIXELS * outputs[:, :2], to1 + PIXELS * outputs[:, 2:4]
        shares = classical_shares(carried, warped0, warped1).clamp(min=LEAST_SHARE)
        shares = (shares.log() + outputs[:, 4:]).softmax(1)
        frame = mixed(shares, (warp(a, to0, mode="bicubic"), warp(b, to1, mode="bicubic"), a, b))
        return Refined(frame, to0, to1, shares)

    def _outputs(self, x: Tensor) -> Tensor:
        """(B, 8, H / 2, W / 2): corrections of both flows, then logits of the four sources."""
        features = []
        for stage in self.down:
            x = stage(x)
            features.append(x)
        for stage, skip in zip(self.up, features[-2::-1], strict=True):
            x = functional.interpolate(x, scale_factor=2.0, mode="nearest")
            x = stage(cat((x, skip), 1))
        return functional.pixel_shuffle(self.head(x), 2)


def _inputs(a: Tensor, b: Tensor, carried: Carried, warped0: Tensor, warped1: Tensor) -> list[Tensor]:
    """What the network sees, INPUTS channels at half of the size."""
    half = functional.avg_pool2d
    return [
        functional.pixel_unshuffle(warped0 - 0.5, 2),
        functional.pixel_unshuffle(warped1 - 0.5, 2),
        half(a - 0.5, 2),
        half(b - 0.5, 2),
        half(carried.trust0, 2),
        half(carried.trust1, 2),
        half(carried.arrived.clamp(max=1), 2),
        half(carried.motion, 2) / MOTION,
        half(carried.times, 2),
    ]


def _convolution(channels: int, width: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(channels, width, 3, stride, 1), nn.LeakyReLU(0.1))
