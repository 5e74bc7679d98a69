"""Motion by looking everywhere: every cell of one frame is compared with every cell of the other.

    P(q | p) = softmax_q( scale <f_0(p), f_1(q)> - near |q - p|^2 )        f: features of length 1 at 1/4 of the size
    F_01(p)  = sum_q P(q | p) q  -  p

(global matching as in GMFlow, CVPR 2022, without its transformer.) `scale` is learned and starts at 30; `near`, learned
too, prefers the shorter way where the picture cannot tell, as on a plain wall. An IFBlock sees a few cells around, and
trained alone it stays at the level of a cross-fade for long; this finds motion of any length from the first steps on.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .ifblock import convolution

CELL = 4  # pixels along a side of a cell
SCALE = 30.0
NEAR = 0.01  # per cell squared


@dataclass(frozen=True)
class Matches:
    """(B, ..., h, w) over the cells of a frame."""

    flow: Tensor  # (B, 2, h, w) cells, to the other frame
    certainty: Tensor  # (B, 1, h, w) in [0, 1]: the largest probability
    logits: Tensor  # (B, h * w, h * w): log P but for a constant, from a cell (second axis) to one there (third)


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
        places = cells(height, width, a.device)
        with torch.autocast(a.device.type, enabled=False):  # differences of what is nearly alike decide
            logits = self._compare(features0.flatten(2).mT, features1.flatten(2).mT, places)
            return _read(logits, places, height, width), _read(logits.mT, places, height, width)

    def _compare(self, features0: Tensor, features1: Tensor, places: Tensor) -> Tensor:
        """The softmax's argument (B, N, N) for features (B, N, C); the distance rides along in the one product."""
        near = self.near.abs()
        far = near * places.square().sum(1, keepdim=True)
        one = torch.ones_like(far)
        left = torch.cat((2 * near * places, -far, -one), 1).expand(len(features0), -1, -1)
        right = torch.cat((places, one, far), 1).expand(len(features1), -1, -1)
        return torch.cat((self.scale * features0, left), 2) @ torch.cat((features1, right), 2).mT


def _read(logits: Tensor, places: Tensor, height: int, width: int) -> Matches:
    chances = logits.softmax(-1)
    flow = (chances @ places - places).mT.unflatten(2, (height, width))
    certainty = chances.amax(-1).unflatten(1, (height, width))[:, None]
    return Matches(flow, certainty, logits)


def cells(height: int, width: int, device: torch.device) -> Tensor:
    """(height * width, 2): x and y of every cell, row by row."""
    y, x = torch.meshgrid(torch.arange(height, device=device), torch.arange(width, device=device), indexing="ij")
    return torch.stack((x, y), -1).flatten(0, 1).float()
