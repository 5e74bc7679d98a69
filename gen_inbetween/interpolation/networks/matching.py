"""Global matching (GMFlow): dense correlation of feature cells, softmax-argmax.

    P(q | p) = softmax_q( scale <f_0(p), f_1(q)> - near |q - p|^2 )        f: features of length 1 at 1/4 of the size
    F_01(p)  = sum_q P(q | p) q  -  p

Every cell of one frame is compared with every cell of the other (GMFlow, CVPR 2022, without its transformer). `scale`
is learned and starts at 30; `near`, learned too, prefers the shorter way where the picture cannot tell, as on a plain
wall. An IFBlock sees a few cells around, and trained alone it stays at the level of a cross-fade for long; this finds
motion of any length from the first steps on.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gen_inbetween.interpolation.networks.estimate import Matches
from gen_inbetween.interpolation.networks.layers import convolution

CELL = 4  # pixels along a side of a cell
SCALE = 30.0
NEAR = 0.01  # per cell squared
AT_ONCE = 1024  # cells


class Encoder(nn.Module):
    """A frame (B, 3, H, W) -> features (B, width, H / 4, W / 4) of length 1."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            convolution(3, width // 2, 2),
            convolution(width // 2, width // 2),
            convolution(width // 2, width, 2),
            convolution(width, width),
            convolution(width, width),
            nn.Conv2d(width, width, 1),
        )

    def forward(self, frame: Tensor) -> Tensor:
        return nn.functional.normalize(self.layers(frame - 0.5).float(), dim=1)


class Matching(nn.Module):
    """Both ways between two frames; one encoder sees both."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.encoder = Encoder(width)
        self.scale = nn.Parameter(torch.tensor(SCALE))
        self.near = nn.Parameter(torch.tensor(NEAR))

    def forward(self, a: Tensor, b: Tensor) -> tuple[Matches, Matches]:
        """a, b (B, 3, H, W) in [0, 1], H and W multiples of 4. Returns the matches from a to b and from b to a."""
        features0, features1 = self.encoder(a), self.encoder(b)
        height, width = features0.shape[-2:]
        positions = cells(height, width, a.device)
        with torch.autocast(a.device.type, enabled=False):  # differences of what is nearly alike decide
            left, right = self._embed(features0.flatten(2).mT, features1.flatten(2).mT, positions)
            if torch.is_grad_enabled():
                logits = left @ right.mT
                return _matches(logits, positions, height, width), _matches(logits.mT, positions, height, width)
            return _matches_in_chunks(left, right, positions, height, width), _matches_in_chunks(
                right, left, positions, height, width
            )

    def _embed(self, features0: Tensor, features1: Tensor, positions: Tensor) -> tuple[Tensor, Tensor]:
        """(B, N, C + 4) each, out of features (B, N, C): their product is the softmax's argument, distance included."""
        near = self.near.abs()
        far = near * positions.square().sum(1, keepdim=True)
        one = torch.ones_like(far)
        left = torch.cat((2 * near * positions, -far, -one), 1).expand(len(features0), -1, -1)
        right = torch.cat((positions, one, far), 1).expand(len(features1), -1, -1)
        return torch.cat((self.scale * features0, left), 2), torch.cat((features1, right), 2)


def _matches(logits: Tensor, positions: Tensor, height: int, width: int) -> Matches:
    expected, certainty = _expected(logits, positions)
    return Matches(_to_map(expected - positions, height, width), _to_map(certainty, height, width), logits)


def _matches_in_chunks(source: Tensor, target: Tensor, positions: Tensor, height: int, width: int) -> Matches:
    """The same without keeping N x N numbers: AT_ONCE cells are compared with all others at a time."""
    parts = [_expected(chunk @ target.mT, positions) for chunk in source.split(AT_ONCE, 1)]
    expected, certainty = (torch.cat(column, 1) for column in zip(*parts, strict=True))
    return Matches(_to_map(expected - positions, height, width), _to_map(certainty, height, width), None)


def _expected(logits: Tensor, positions: Tensor) -> tuple[Tensor, Tensor]:
    """Where cells are expected to be, (B, n, 2), and the largest probability (B, n, 1)."""
    probabilities = logits.softmax(-1)
    return probabilities @ positions, probabilities.amax(-1, keepdim=True)


def _to_map(values: Tensor, height: int, width: int) -> Tensor:
    """(B, N, C) -> (B, C, h, w)."""
    return values.mT.unflatten(2, (height, width))


def cells(height: int, width: int, device: torch.device) -> Tensor:
    """(height * width, 2): x and y of every cell, row by row."""
    y, x = torch.meshgrid(torch.arange(height, device=device), torch.arange(width, device=device), indexing="ij")
    return torch.stack((x, y), -1).flatten(0, 1).float()
