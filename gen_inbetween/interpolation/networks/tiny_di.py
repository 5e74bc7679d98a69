"""tiny-di, the bundled interpolation network: small, distance-indexed, with a reference frame.

1. F_01, F_10                 global matching at 1/4 of the size (`matching.py`)
2. carried to t               what starts at x and has come the share D of its way F_01 is at x + D F_01, and brings
                              (F_t0, F_t1) = (-D F_01, (1 - D) F_01) with it; the same from the other frame
3. two IFBlocks               correct flow and mask from both frames, the index input and what was carried
4. a small U-Net              repairs what neither frame shows

The index input has five channels [D, D_ref, I_ref] (InterpAny-Clearer, ECCV 2024), maps in coordinates of the first
frame. Step 2 is that paper's meaning of D taken at its word: a pixel is put where it is said to be, and the blocks need
not learn it. Splatting instead of Super SloMo's formula keeps the edges of what moves where it moves to.

Frames of more than CELLS cells are matched at 1/2, 1/4 ... of their size; the second block then runs once more at each
finer size, up to the full one, or to 1/2 in frames matched at 1/4 and less.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, cat
from torch.nn import functional

from gen_inbetween.interpolation.networks.blocks import ContextNet, IFBlock, Unet, merge
from gen_inbetween.interpolation.networks.estimate import Estimate, InterpolationNetwork, Matches
from gen_inbetween.interpolation.networks.matching import CELL, Matching
from gen_inbetween.interpolation.warping import rescale, rescale_flow, splat, warp

CELLS = 8192  # of a frame that is matched at once: 360 x 360 pixels; training sees up to 128 x 128
COARSE = 8  # times the size at which the first block's features are the smallest: 2 (scale) * 4 (its strides)
SPREAD = 1e-2  # weight with which what arrives also reaches the cells around, twice as far at each of LEVELS
LEVELS = 4
# The reduction at which a frame is matched up to which motion is corrected at full size, too. In larger frames that
# costs as much as all else and changes little: 32.21 dB without it, 32.24 with it, 0.2 grey levels apart (10 pairs of
# 1280x720, five films).
FULL_SIZE = 2


@dataclass(frozen=True)
class Shared:
    """What the times between two frames share."""

    matches: tuple[Matches, Matches]
    frames: dict[int, Tensor]  # both (B, 6, H / s, W / s), by the scale s of a block
    means: Tensor  # both (B, 6, H + 1, W + 1), as `between_pixels`
    context: tuple[list[Tensor], list[Tensor]]  # `ContextNet.features`


class TinyDI(InterpolationNetwork):
    """widths: of the two blocks; depth: convolutions in each; matching_width, context_width: of the other parts."""

    index_channels = 5
    multiple = 16  # of the refinement; `forward` pads further where the frame is matched at a smaller size

    def __init__(
        self,
        *,
        widths: Sequence[int] = (64, 48),
        depth: int = 4,
        matching_width: int = 64,
        context_width: int = 4,
    ) -> None:
        super().__init__()
        self.matching = Matching(matching_width)
        # Frames 6, index 5, carried certainty 1, warped frames 6, mask 1; the running flow 4.
        self.block0 = IFBlock(23, widths[0], depth=depth)
        self.block1 = IFBlock(23, widths[1], depth=depth)
        self.contextnet = ContextNet(context_width)
        self.unet = Unet(context_width)

    def forward(
        self,
        a: Tensor,
        b: Tensor,
        index: Tensor | None,
        small: int | None = None,
        shared: Shared | None = None,
    ) -> Estimate:
        """a, b (B, 3, H, W) in [0, 1]; index (B, 5, H, W); H and W multiples of 16.

        small: frames are matched at 1 / small of their size, a power of two; None: as large as CELLS allows.
        shared: of these two frames, where `prepare` has found it: then the estimate is drawn the fast way, and holds
            the last flow, mask and merged frame only.

        The estimate's first flow is what was carried, the others come from the blocks; `.matches` is from a to b and
        back.
        """
        assert index is not None
        height, width = a.shape[-2:]
        small = small or _matching_scale(height, width)
        a, b, index = (self._pad(x, small) for x in (a, b, index))
        if shared is None:
            estimate = self._estimate(a, b, index, small, self._match(a, b, small))
        else:
            estimate = self._draw(a, b, index, small, shared)
        return estimate if estimate.frame.shape[-2:] == (height, width) else _crop(estimate, height, width)

    def prepare(self, a: Tensor, b: Tensor) -> dict[str, Any]:
        """What is the same at every time between two frames."""
        small = _matching_scale(*a.shape[-2:])
        a, b = self._pad(a, small), self._pad(b, small)
        both = cat((a, b), 1)
        return {
            "shared": Shared(
                self._match(a, b, small),
                {scale: rescale(both, 1 / scale) for scale in _scales(small)},
                between_pixels(both),
                (self.contextnet.features(a), self.contextnet.features(b)),
            )
        }

    def _pad(self, x: Tensor, small: int) -> Tensor:
        unit = max(self.multiple, COARSE * small)
        height, width = x.shape[-2:]
        return functional.pad(x, (0, -width % unit, 0, -height % unit), mode="replicate")

    def _match(self, a: Tensor, b: Tensor, small: int) -> tuple[Matches, Matches]:
        return self.matching(functional.avg_pool2d(a, small), functional.avg_pool2d(b, small))

    def _estimate(self, a: Tensor, b: Tensor, index: Tensor, small: int, matches: tuple[Matches, Matches]) -> Estimate:
        forth, back = matches
        zoom = CELL * small
        carried, certainty = carry(forth, back, functional.avg_pool2d(index[:, :1], zoom))
        flow, certainty = rescale_flow(carried, zoom), rescale(certainty, zoom)
        logit = torch.logit(1 - index[:, :1], eps=0.05)  # near in time counts more, until a block knows better
        flows, masks, merged = [flow], [logit.sigmoid()], []
        warped = warp(a, flow[:, :2]), warp(b, flow[:, 2:])
        merged.append(merge(*warped, masks[-1]))
        for block, scale in self._steps(small):
            change, logit_change, _ = block(cat((a, b, index, certainty, *warped, logit), 1), flow, scale)
            flow, logit = flow + change.float(), logit + logit_change.float()
            warped = warp(a, flow[:, :2]), warp(b, flow[:, 2:])
            flows.append(flow)
            masks.append(logit.sigmoid())
            merged.append(merge(*warped, masks[-1]))
        context = self.contextnet(a, flow[:, :2]), self.contextnet(b, flow[:, 2:])
        repair = self.unet(cat((a, b, *warped, logit, flow), 1), *context).float()
        frame = (merged[-1] + 2 * repair - 1).clamp(0, 1)
        return Estimate(frame, flows, masks, merged, matches=(forth, back))

    def _steps(self, small: int) -> list[tuple[IFBlock, int]]:
        """The blocks in their order, each with the scale it works at."""
        first, *others = _scales(small)
        return [(self.block0, first), *((self.block1, scale) for scale in others)]

    def _draw(self, a: Tensor, b: Tensor, index: Tensor, small: int, shared: Shared) -> Estimate:
        """The last of `_estimate`, every tensor of a block at the block's own scale.

        The flow is kept as the parts it is the sum of, each at its own size: brought to a block's scale, they are what
        the whole flow at full size would be there.
        """
        zoom = CELL * small
        carried, certainty = carry(*shared.matches, functional.avg_pool2d(index[:, :1], zoom))
        start = torch.logit(1 - index[:, :1], eps=0.05)  # near in time counts more, until a block knows better
        parts = [(cat((carried * zoom, torch.zeros_like(certainty)), 1), zoom)]  # flow and logit, at 1 / zoom

        def running(scale: int) -> tuple[Tensor, Tensor]:
            """Flow (B, 4, h, w), in pixels of the full size, and logit (B, 1, h, w), at 1 / scale."""
            total = torch.stack([rescale(part, size / scale) for part, size in parts]).sum(0)
            return total[:, :4], total[:, 4:] + rescale(start, 1 / scale)

        for block, scale in self._steps(small):
            flow, logit = running(scale)
            warped = warp_reduced(shared, a, b, flow, scale)
            known = shared.frames[scale], rescale(index, 1 / scale), rescale(certainty, zoom / scale)
            out = block.reduced(cat((*known, *warped, logit, flow / scale), 1)).float().contiguous()
            parts.append((cat((out[:, :4] * 2 * scale, out[:, 4:]), 1), 2 * scale))
        flow, logit = running(1)
        warped, mask = warp_reduced(shared, a, b, flow, 1), logit.sigmoid()
        merged = merge(*warped, mask)
        context = (self.contextnet.warped(x, f) for x, f in zip(shared.context, flow.split(2, 1), strict=True))
        half = self.unet.down0.of_parts((a, b, *warped, logit, flow))
        repair = self.unet.from_half(half, *context).float()
        frame = (merged + 2 * repair - 1).clamp(0, 1)
        return Estimate(frame, [flow], [mask], [merged], matches=shared.matches)


def _scales(small: int) -> list[int]:
    """Of the blocks: 2 small, small, small / 2, ... down to 1, or to 2 for frames of more than FULL_SIZE."""
    return [2 * small >> k for k in range(small.bit_length() + (small <= FULL_SIZE))]


def between_pixels(image: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, C, H + 1, W + 1): the means of every four neighbours, those of the border seen twice."""
    image = functional.pad(image, (1, 1, 1, 1), mode="replicate")
    rows = image[..., 1:, :] + image[..., :-1, :]
    return (rows[..., 1:] + rows[..., :-1]) / 4


def warp_reduced(shared: Shared, a: Tensor, b: Tensor, flow: Tensor, scale: int) -> tuple[Tensor, Tensor]:
    """Both frames as warped at full size and then rescaled, by a flow (B, 4, h, w) at 1 / scale, in full-size pixels.

    Of each scale x scale pixels, rescaling takes the mean of the middle four: they are warped together.
    """
    if scale == 1:
        return warp(a, flow[:, :2]), warp(b, flow[:, 2:])
    height, width = a.shape[-2:]
    x = torch.arange(scale / 2, width, scale, device=flow.device).view(1, 1, -1)
    y = torch.arange(scale / 2, height, scale, device=flow.device).view(1, -1, 1)
    warped = []
    for means, to in zip(shared.means.split(3, 1), flow.split(2, 1), strict=True):
        grid = torch.stack(((x + to[:, 0]) * (2 / width) - 1, (y + to[:, 1]) * (2 / height) - 1), -1)
        warped.append(functional.grid_sample(means, grid, padding_mode="border", align_corners=True))
    return warped[0], warped[1]


def _matching_scale(height: int, width: int) -> int:
    """The power of two by which a frame is reduced so that at most CELLS cells of it are matched."""
    return 2 ** math.ceil(max(0.0, math.log(height * width / CELL**2 / CELLS, 4)))


def carry(forth: Matches, back: Matches, index: Tensor) -> tuple[Tensor, Tensor]:
    """Flows from the frame at `index` (B, 1, h, w) to both frames (B, 4, h, w), in cells, and how sure they are.

    A cell counts by the certainty of its match, and by how near its frame is in time. Where nothing arrives, the
    neighbourhood does (the sums are spread over ever larger cells), and the certainty (B, 1, h, w) is small.
    """
    index1 = warp(index, back.flow)  # the share that what is seen in b has come, by where it was in a
    values0 = cat((-index * forth.flow, (1 - index) * forth.flow), 1)
    values1 = cat((index1 * back.flow, -(1 - index1) * back.flow), 1)
    sums = splat(values0, index * forth.flow, forth.certainty * (1.05 - index))
    sums = sums + splat(values1, (1 - index1) * back.flow, back.certainty * (0.05 + index1))
    certainty = sums[:, -1:]
    height, width = sums.shape[-2:]
    for level in range(1, LEVELS + 1):
        if 2**level > min(height, width):
            break
        around = functional.avg_pool2d(sums, 2**level, ceil_mode=True)
        around = functional.interpolate(around, (height, width), mode="bilinear", align_corners=False)
        sums = sums + SPREAD * around
    return sums[:, :-1] / sums[:, -1:].clamp(min=1e-6), certainty.clamp(max=1)


def _crop(estimate: Estimate, height: int, width: int) -> Estimate:
    def cut(x: Tensor) -> Tensor:
        return x[..., :height, :width]

    return replace(
        estimate,
        frame=cut(estimate.frame),
        flows=[cut(x) for x in estimate.flows],
        masks=[cut(x) for x in estimate.masks],
        merged=[cut(x) for x in estimate.merged],
    )
