"""IFNet of RIFE 4: more blocks, no refinement, learned features.

Each block sees the warped frames only. From 4.7 on an encoder gives k channels per frame, which are warped along, and
each block replaces the mask instead of adding to it; from 4.21 on a block also hands eight features to the next.
Facts from hzwer/Practical-RIFE (code and weights MIT) and HolyWu/vs-rife (MIT), which keeps every version's network.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from torch import Tensor, cat, nn

from gen_inbetween.interpolation.networks.blocks import BlockStyle, IFBlock, merge
from gen_inbetween.interpolation.networks.estimate import Estimate, InterpolationNetwork
from gen_inbetween.interpolation.warping import warp

FAR = 32.0  # pixels: 4.0 and 4.1 start again at twice the scales when the second block moves both flows further


@dataclass(frozen=True)
class Layout:
    """What tells one version of the network from another. All but `scales` can be read off a file's shapes."""

    style: BlockStyle
    widths: tuple[int, ...]
    scales: tuple[float, ...] = (8, 4, 2, 1)
    encoder: Literal["none", "short", "sequence", "named"] = "none"
    encoder_width: int = 0
    encoded: int = 0  # channels per frame

    @property
    def handed_on(self) -> int:
        """Features from block to block. 4.6 to 4.20 compute one and drop it."""
        return self.style.outputs - 5 if self.style.outputs > 6 else 0


PLAIN_LEARNED = BlockStyle(learned_slope=True, body="skip", outputs=5, shuffled=False)
PLAIN = BlockStyle(learned_slope=False, body="plain", outputs=5, shuffled=False)
SCALED_5 = BlockStyle(learned_slope=False, body="scaled", outputs=5, shuffled=True)
SCALED_6 = BlockStyle(learned_slope=False, body="scaled", outputs=6, shuffled=True)
SCALED_6_GROUPED = BlockStyle(learned_slope=False, body="scaled", outputs=6, shuffled=True, groups=2)
SCALED_13 = BlockStyle(learned_slope=False, body="scaled", outputs=13, shuffled=True)

WIDE, LITE = (192, 128, 96, 64), (128, 96, 64, 48)
FIVE_SCALES, LITE_SCALES = (16, 8, 4, 2, 1), (32, 16, 8, 4, 1)

# Versions in one row have the same shapes, so a file does not say which of them it is; nothing here depends on it.
LAYOUTS: dict[str, Layout] = {
    "4.0-4.1": Layout(PLAIN_LEARNED, WIDE),
    "4.2-4.4": Layout(PLAIN, WIDE),
    "4.5": Layout(SCALED_5, WIDE),
    "4.6": Layout(SCALED_6, WIDE),
    "4.7-4.9": Layout(SCALED_6, WIDE, (8, 4, 2, 1), "short", 16, 4),
    "4.10-4.12": Layout(SCALED_6, WIDE, (8, 4, 2, 1), "sequence", 32, 8),
    "4.12.lite-4.13.lite": Layout(SCALED_6, LITE, (8, 4, 2, 1), "sequence", 32, 4),
    "4.13-4.19, 4.24": Layout(SCALED_6, WIDE, (8, 4, 2, 1), "named", 32, 8),
    "4.14.lite": Layout(SCALED_6_GROUPED, WIDE, (8, 4, 2, 1), "named", 32, 8),
    "4.15.lite-4.17.lite": Layout(SCALED_6, LITE, (8, 4, 2, 1), "named", 16, 4),
    "4.20": Layout(SCALED_6, (384, 192, 96, 48), (8, 4, 2, 1), "named", 32, 8),
    "4.21-4.23": Layout(SCALED_13, (256, 192, 96, 48), (8, 4, 2, 1), "named", 32, 8),
    "4.22.lite": Layout(SCALED_13, (192, 128, 64, 32), (8, 4, 2, 1), "named", 16, 4),
    "4.25-4.26": Layout(SCALED_13, (192, 128, 96, 64, 32), FIVE_SCALES, "named", 16, 4),
    "4.25.lite": Layout(SCALED_13, (192, 128, 96, 64, 24), LITE_SCALES, "named", 16, 4),
    "4.25.heavy": Layout(SCALED_13, (384, 256, 192, 128, 64), FIVE_SCALES, "named", 16, 4),
    "4.26.heavy": Layout(SCALED_13, (192, 128, 96, 64, 32), FIVE_SCALES, "named", 16, 16),
}


class NamedEncoder(nn.Module):
    """Features (B, encoded, H, W) of a frame; the layers of later versions have names of their own."""

    def __init__(self, width: int, encoded: int) -> None:
        super().__init__()
        self.cnn0 = nn.Conv2d(3, width, 3, 2, 1)
        self.cnn1 = nn.Conv2d(width, width, 3, 1, 1)
        self.cnn2 = nn.Conv2d(width, width, 3, 1, 1)
        self.cnn3 = nn.ConvTranspose2d(width, encoded, 4, 2, 1)
        self.relu = nn.LeakyReLU(0.2)

    def forward(self, image: Tensor) -> Tensor:
        for layer in (self.cnn0, self.cnn1, self.cnn2):
            image = self.relu(layer(image))
        return self.cnn3(image)


def build_encoder(layout: Layout) -> nn.Module | None:
    width, encoded = layout.encoder_width, layout.encoded
    if layout.encoder == "none":
        return None
    if layout.encoder == "named":
        return NamedEncoder(width, encoded)
    first, last = nn.Conv2d(3, width, 3, 2, 1), nn.ConvTranspose2d(width, encoded, 4, 2, 1)
    if layout.encoder == "short":
        return nn.Sequential(first, last)
    middle = [nn.Conv2d(width, width, 3, 1, 1) for _ in range(2)]
    slope = nn.LeakyReLU(0.2)
    return nn.Sequential(first, slope, middle[0], slope, middle[1], slope, last)


class IFNetV4(InterpolationNetwork):
    """One of LAYOUTS. scale: the flow is estimated at this fraction of the frame's resolution (0.5 for 4K)."""

    index_channels = 1

    def __init__(self, layout: Layout, *, scale: float = 1.0) -> None:
        super().__init__()
        self.layout = layout
        self.scales = tuple(size / scale for size in layout.scales)
        # A block halves its shrunken input twice. 4.0 and 4.1 may double their scales, so they need twice as much.
        self.multiple = max(32, int((8 if self._starts_again else 4) * self.scales[0]))
        first = 7 + 2 * layout.encoded  # frames 6, index 1
        later = 12 + 2 * layout.encoded + layout.handed_on  # warped frames 6, index 1, mask 1, flow 4
        for number, width in enumerate(layout.widths):
            self.add_module(f"block{number}", IFBlock(later if number else first, width, layout.style))
        self.encode = build_encoder(layout)

    @property
    def _starts_again(self) -> bool:
        return self.layout.style.learned_slope

    def forward(self, a: Tensor, b: Tensor, index: Tensor | None) -> Estimate:
        """a, b (B, 3, H, W) in [0, 1]; index (B, 1, H, W), the time; H and W multiples of `multiple`."""
        assert index is not None
        estimate = self._cascade(a, b, index, self.scales)
        if not self._starts_again or self.training:
            return estimate
        # Upstream asks this of the whole batch; asked of each sample, a frame does not depend on its neighbours.
        moved = (estimate.flows[1] - estimate.flows[0]).abs()
        far = (moved[:, :2].amax((1, 2, 3)) > FAR) & (moved[:, 2:].amax((1, 2, 3)) > FAR)
        if not far.any():
            return estimate
        again = self._cascade(a[far], b[far], index[far], tuple(2 * scale for scale in self.scales))
        return _replace_samples(estimate, far, again)

    def _cascade(self, a: Tensor, b: Tensor, index: Tensor, scales: tuple[float, ...]) -> Estimate:
        images = warped = (a, b)
        features = warped_features = () if self.encode is None else (self.encode(a), self.encode(b))
        flow = logit = None
        flows, masks, merged = [], [], []
        for number, scale in enumerate(scales):
            block = self.get_submodule(f"block{number}")
            if flow is None or logit is None:
                flow, logit, handed = block(cat((*images, *features, index), 1), None, scale)
            else:
                rest = (handed,) if self.layout.handed_on else ()
                change, new_logit, handed = block(cat((*warped, *warped_features, index, logit, *rest), 1), flow, scale)
                flow = flow + change
                logit = new_logit if self.layout.encoded else logit + new_logit
            to0, to1 = flow[:, :2], flow[:, 2:]
            warped = warp(a, to0), warp(b, to1)
            if features:
                warped_features = warp(features[0], to0), warp(features[1], to1)
            flows.append(flow)
            masks.append(logit.sigmoid())
            merged.append(merge(*warped, masks[-1]))
        return Estimate(merged[-1].clamp(0, 1), flows, masks, merged)


def _replace_samples(estimate: Estimate, chosen: Tensor, other: Estimate) -> Estimate:
    """`estimate` with the chosen samples, (B,) bool, taken from `other`, which holds those only."""

    def put(into: Tensor, values: Tensor) -> Tensor:
        return into.masked_scatter(chosen.view(-1, 1, 1, 1), values)

    def put_all(into: Sequence[Tensor], values: Sequence[Tensor]) -> list[Tensor]:
        return [put(*pair) for pair in zip(into, values, strict=True)]

    return Estimate(
        put(estimate.frame, other.frame),
        put_all(estimate.flows, other.flows),
        put_all(estimate.masks, other.masks),
        put_all(estimate.merged, other.merged),
    )
