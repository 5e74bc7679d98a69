"""A source frame as the interpolator would draw it, so that it looks like the frames made between its neighbours.

    redrawn = f(a, a, 1/2)

What is made between frames differs a little from them, in colour and in sharpness, and so every source frame among them
flickers. Squirrel-RIFE's cure is to pair each source frame with itself. The middle of such a pair is right for every
kind: midpoint networks know no other time, the reference kinds start from the frame itself, and no neighbour is needed,
so frames at cuts and ends are like all others. The times 0 and 1 of a real pair are not: no network is trained there,
and RIFE 4.0 answers with less detail than in between. Gradient energy against the source, two frames apart, 256 px
wide: f(a, b, 1/2) 0.96, f(a, a, 1/2) 0.99, f(a, b, 0) 0.81 to 0.92.

It takes away what the network does to any picture, not the softness of having been moved by a fraction of a pixel. That
is even among frames at the times 1/4 and 3/4, which is what phase 1/2 is for (`timing.py`). Mean bend of the gradient
energy from frame to frame at twice the rate (a jumping dog, 256 x 144):

                    as they are    redrawn    phase 1/2
    RIFE 4.0              0.054      0.049        0.002
    DIS                   0.069      0.069        0.004         a frame with itself is the frame: no cure
    tiny-di               0.121      0.052        0.005
"""

from __future__ import annotations

from torch import Tensor

from .interpolator import FrameInterpolator


def redrawn(frame: Tensor, interpolator: FrameInterpolator, iters: int = 1) -> Tensor:
    """`frame` (B, 3, H, W) in [0, 1] once through the interpolator, not moved."""
    return interpolator(frame, frame, 0.5, iters=iters)
