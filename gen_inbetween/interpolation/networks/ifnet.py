"""IFNet, the network of RIFE (ECCV 2022) and InterpAny-Clearer.

Coarse-to-fine flow from the frame between to both frames, and a mask that chooses.

One family by the channels of its index input, which stands right behind the two frames in every block's stack:
    0   RIFE                  the middle
    1   RIFEm, T, D           a time, or a distance index (InterpAny-Clearer, ECCV 2024)
    5   TR, DR                the map, the map of a reference frame, and that frame

Flow and mask logit are summed over the blocks. The refined frame is clamp(merged + 2 * unet - 1). In training a
privileged block sees the true frame and teaches the others (`losses.distillation`).
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, cat

from gen_inbetween.interpolation.networks.blocks import ContextNet, IFBlock, Unet, merge
from gen_inbetween.interpolation.networks.estimate import Estimate, InterpolationNetwork, Teacher
from gen_inbetween.interpolation.warping import warp

SCALES = (4.0, 2.0, 1.0)
WIDTHS = (240, 150, 90)
CONTEXT_WIDTH = 16


class IFNet(InterpolationNetwork):
    """The paper family.

    Args:
        index_channels: 0, 1 or 5, see the module.
        widths: of the three blocks; depth: convolutions in each; context_width: of the refinement's first scale.
        scale: the flow is estimated at this fraction of the frame's resolution (0.5 for 4K); same weights.
        teacher: build the privileged block, as wide as the last.
    """

    def __init__(
        self,
        index_channels: int = 1,
        *,
        widths: Sequence[int] = WIDTHS,
        depth: int = 8,
        context_width: int = CONTEXT_WIDTH,
        scale: float = 1.0,
        teacher: bool = False,
    ) -> None:
        super().__init__()
        if index_channels not in (0, 1, 5):
            raise ValueError(f"expected index_channels 0, 1 or 5, got {index_channels}")
        self.index_channels = index_channels
        self.scales = tuple(size / scale for size in SCALES)
        self.multiple = max(32, int(8 * self.scales[0]))
        first, later = 6 + index_channels, 17 + index_channels  # frames 6; then warped frames 6, mask 1 and flow 4
        self.block0 = IFBlock(first, widths[0], depth=depth)
        self.block1 = IFBlock(later, widths[1], depth=depth)
        self.block2 = IFBlock(later, widths[2], depth=depth)
        self.block_tea = IFBlock(later + 3, widths[2], depth=depth) if teacher else None
        self.contextnet = ContextNet(context_width)
        self.unet = Unet(context_width)

    def forward(self, a: Tensor, b: Tensor, index: Tensor | None, target: Tensor | None = None) -> Estimate:
        """a, b (B, 3, H, W) in [0, 1]; H, W multiples of `multiple`; index (B, index_channels, H, W), None for 0.

        target: the true frame, (B, 3, H, W); with it and a teacher block the estimate has a `.teacher`.
        """
        inputs = (a, b) if index is None else (a, b, index)
        # Blocks may run in bfloat16, whose steps at 30 pixels are an eighth; flows are summed and followed in float32.
        flow, logit, _ = (x.float() for x in self.block0(cat(inputs, 1), None, self.scales[0]))
        warped = warp(a, flow[:, :2]), warp(b, flow[:, 2:])
        flows, masks = [flow], [logit.sigmoid()]
        merged = [merge(*warped, masks[-1])]
        for block, scale in zip((self.block1, self.block2), self.scales[1:], strict=True):
            change, logit_change, _ = block(cat((*inputs, *warped, logit), 1), flow, scale)
            flow, logit = flow + change.float(), logit + logit_change.float()
            warped = warp(a, flow[:, :2]), warp(b, flow[:, 2:])
            flows.append(flow)
            masks.append(logit.sigmoid())
            merged.append(merge(*warped, masks[-1]))
        teacher = None
        if target is not None and self.block_tea is not None:
            change, logit_change, _ = self.block_tea(cat((*inputs, *warped, logit, target), 1), flow, 1.0)
            teacher = self._teach(a, b, flow + change.float(), logit + logit_change.float())
        context = self.contextnet(a, flow[:, :2]), self.contextnet(b, flow[:, 2:])
        repair = self.unet(cat((a, b, *warped, logit, flow), 1), *context).float()
        return Estimate((merged[-1] + 2 * repair - 1).clamp(0, 1), flows, masks, merged, teacher)

    def _teach(self, a: Tensor, b: Tensor, flow: Tensor, logit: Tensor) -> Teacher:
        return Teacher(flow, merge(warp(a, flow[:, :2]), warp(b, flow[:, 2:]), logit.sigmoid()))
