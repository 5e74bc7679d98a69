"""A source frame as the interpolator would draw it, so that it looks like the frames made between its neighbours.

    redrawn = f(a, a, 1/2)

What is made between frames is a little softer than they are, and at every whole multiple of the rate a source frame
flashes by, sharper than the others. Squirrel-RIFE's cure is to pair each source frame with itself. The middle of such a
pair is right for every kind: midpoint networks know no other time, the reference kinds start from the frame itself, and
no neighbour is needed, so frames at cuts and ends are like all others. The times 0 and 1 of a real pair are not: no
network is trained there, and the published weights answer with less detail than in between. Gradient energy against the
source, RIFE 4.0, two frames apart, 256 px wide: f(a, b, 1/2) 0.96, f(a, a, 1/2) 0.99, f(a, b, 0) 0.81 to 0.92.

Where an interpolator has nothing but a flow (dis, blend, nearest), a frame with itself is the frame: no cure.
"""

from __future__ import annotations

from torch import Tensor

from .interpolator import FrameInterpolator


def redrawn(frame: Tensor, interpolator: FrameInterpolator, iters: int = 1) -> Tensor:
    """`frame` (B, 3, H, W) in [0, 1] once through the interpolator, not moved."""
    return interpolator(frame, frame, 0.5, iters=iters)
