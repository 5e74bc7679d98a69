"""Super SloMo (CVPR 2018): two U-Nets for flow and visibility.

Flows between the two frames are combined for a time t, corrected, and blended by visibility:

    F_t0 = -(1-t) t F_01 + t^2 F_10            F_t1 = (1-t)^2 F_01 - t (1-t) F_10
    I_t  = [(1-t) V_0 W(I_0, F_t0) + t V_1 W(I_1, F_t1)] / [(1-t) V_0 + t V_1],       V_1 = 1 - V_0

One U-Net gives F_01 and F_10, a second one corrects F_t0 and F_t1 and gives V_0. The published weights are those of
avinashpaliwal/Super-SloMo (MIT); what is odd in that code was trained in, so `compat` keeps it for them: the frame is
sampled on a grid that divides by W instead of W - 1, with zeros outside, and the last layer is rectified too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, cat, nn
from torch.nn import functional

from gen_inbetween.interpolation.networks.estimate import Estimate, InterpolationNetwork
from gen_inbetween.interpolation.warping import rescale, warp

WIDTHS = (32, 64, 128, 256, 512, 512)
MEAN = (0.429, 0.431, 0.397)  # RGB, of Adobe240, taken off the frames
SLOPE = 0.1


def _rectify(x: Tensor) -> Tensor:
    return functional.leaky_relu(x, SLOPE)


class Down(nn.Module):
    def __init__(self, channels: int, width: int, kernel: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, kernel, padding=kernel // 2)
        self.conv2 = nn.Conv2d(width, width, kernel, padding=kernel // 2)

    def forward(self, x: Tensor) -> Tensor:
        return _rectify(self.conv2(_rectify(self.conv1(functional.avg_pool2d(x, 2)))))


class Up(nn.Module):
    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, padding=1)
        self.conv2 = nn.Conv2d(2 * width, width, 3, padding=1)

    def forward(self, x: Tensor, skipped: Tensor) -> Tensor:
        x = _rectify(self.conv1(rescale(x, 2.0)))
        return _rectify(self.conv2(cat((x, skipped), 1)))


class Unet(nn.Module):
    """(B, channels, H, W) -> (B, outputs, H, W); H and W multiples of 2 ** (len(widths) - 1)."""

    def __init__(self, channels: int, outputs: int, widths: Sequence[int], *, rectify_last: bool) -> None:
        super().__init__()
        self.rectify_last = rectify_last
        self.depth = len(widths) - 1
        self.conv1 = nn.Conv2d(channels, widths[0], 7, padding=3)
        self.conv2 = nn.Conv2d(widths[0], widths[0], 7, padding=3)
        for level in range(self.depth):
            self.add_module(f"down{level + 1}", Down(widths[level], widths[level + 1], 3 if level else 5))
        for level in reversed(range(self.depth)):
            self.add_module(f"up{self.depth - level}", Up(widths[level + 1], widths[level]))
        self.conv3 = nn.Conv2d(widths[0], outputs, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        skips = [_rectify(self.conv2(_rectify(self.conv1(x))))]
        for level in range(1, self.depth + 1):
            skips.append(self.get_submodule(f"down{level}")(skips[-1]))
        x = skips.pop()
        for level in range(1, self.depth + 1):
            x = self.get_submodule(f"up{level}")(x, skips.pop())
        x = self.conv3(x)
        return _rectify(x) if self.rectify_last else x


class SuperSloMo(InterpolationNetwork):
    """Both U-Nets. widths: of the U-Net's levels, fine to coarse; compat: behave as the published weights expect."""

    index_channels = 1

    def __init__(self, *, widths: Sequence[int] = WIDTHS, compat: bool = False) -> None:
        super().__init__()
        self.compat = compat
        self.multiple: int = 2 ** (len(widths) - 1)
        self.flow = Unet(6, 4, widths, rectify_last=compat)
        self.synthesis = Unet(20, 5, widths, rectify_last=compat)

    def forward(self, a: Tensor, b: Tensor, index: Tensor | None) -> Estimate:
        """a, b (B, 3, H, W) in [0, 1]; index (B, 1, H, W), the time; H and W multiples of `multiple`.

        The estimate has two flows, combined and corrected, one mask, and `.between`.
        """
        assert index is not None
        mean = a.new_tensor(MEAN).view(1, 3, 1, 1)
        a, b, t = a - mean, b - mean, index
        between = self.flow(cat((a, b), 1)).float()  # in bfloat16 flows would be an eighth of a pixel coarse
        to0, to1 = combine(between[:, :2], between[:, 2:], t)
        warped0, warped1 = self._warp(a, to0), self._warp(b, to1)
        raw = self.synthesis(cat((a, b, between, to1, to0, warped1, warped0), 1)).float()
        corrected = cat((to0, to1), 1) + raw[:, :4]
        visible = raw[:, 4:].sigmoid()
        share0, share1 = (1 - t) * visible, t * (1 - visible)
        mask = share0 / (share0 + share1).clamp(min=1e-12)
        merged = mask * self._warp(a, corrected[:, :2]) + (1 - mask) * self._warp(b, corrected[:, 2:])
        frame = merged + mean
        return Estimate(frame.clamp(0, 1), [cat((to0, to1), 1), corrected], [mask], [frame], between=between)

    def _warp(self, image: Tensor, flow: Tensor) -> Tensor:
        outside: Literal["zeros", "border"] = "zeros" if self.compat else "border"
        return warp(image, off_grid(flow) if self.compat else flow, outside=outside)


def combine(flow01: Tensor, flow10: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """Flows from the frame at t to both frames, out of the flows between those (B, 2, H, W); t (B, 1, H, W)."""
    return -(1 - t) * t * flow01 + t * t * flow10, (1 - t) ** 2 * flow01 - t * (1 - t) * flow10


def off_grid(flow: Tensor) -> Tensor:
    """The flow that makes `warp` sample where the published code does: pixel p is looked up at p (W - 1) / W."""
    height, width = flow.shape[-2:]
    x = torch.arange(width, device=flow.device, dtype=flow.dtype).view(1, 1, width)
    y = torch.arange(height, device=flow.device, dtype=flow.dtype).view(1, height, 1)
    moved_x = (x + flow[:, 0]) * (width - 1) / width - x
    moved_y = (y + flow[:, 1]) * (height - 1) / height - y
    return torch.stack((moved_x, moved_y), 1)
