"""Windows of a clip between several keyframes, and their weights.

A segment lies between two neighbouring keyframes, both included. A window centred on an inner keyframe reaches from the
middle of the segment before it to the middle of the one after. With d the distance from that keyframe and h that of the
middle of the segment,

    weight of the centred window = (1 + cos(pi d / h)) / 2        the segment has the rest, so that they sum to one

so that what moves is judged across a keyframe near it, and towards a keyframe away from it. That holds below a noise
level, CENTRED_BELOW; above it the segments alone decide. There a window over a keyframe does not know yet where the
keyframe has things, and what it makes jumps at it (tried on 12 clips of the bundled model's first edition: the step at
the keyframe was 1.87 times the median with such windows at every level, 1.05 times with segments alone).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from gen_inbetween.diffusion.methods import Method

SHORTEST = 3  # frames of a segment: the two keyframes and one between
CENTRED_BELOW = 5.0  # the noise level from which on windows lie over the inner keyframes as well
OVERLAP = 2  # frames before and after an inner keyframe over which two decoded spans are blended


@dataclass(frozen=True)
class Window:
    """A stretch of the clip that goes through the UNet at once.

    frames: of the clip, in order; those of a loop may pass its end and go on at 0.
    keys: numbers of the two keyframes of a segment; of a centred window those of the three it touches.
    """

    frames: tuple[int, ...]
    keys: tuple[int, ...]

    @property
    def centred(self) -> bool:
        return len(self.keys) == 3


def lay_windows(positions: Sequence[int], num_frames: int, *, loop: bool = False) -> list[Window]:
    """Every segment, in order, then the windows centred on the inner keyframes, in order.

    Args:
        positions: rising frame numbers of the keyframes; the first is 0, the last num_frames - 1, unless it is a loop.
        loop: the clip goes on from its last frame to frame 0, which is a keyframe like the others.

    >>> [window.frames for window in lay_windows([0, 2, 5], 6)]
    [(0, 1, 2), (2, 3, 4, 5), (1, 2, 3)]
    >>> [window.frames for window in lay_windows([0, 3], 6, loop=True)]
    [(0, 1, 2, 3), (3, 4, 5, 0), (5, 0, 1), (2, 3, 4)]
    """
    marks = [*positions, num_frames] if loop else list(positions)
    keys = len(positions)

    def window(start: int, stop: int, *numbers: int) -> Window:
        frames = tuple(frame % num_frames for frame in range(start, stop + 1))
        return Window(frames, tuple(number % keys for number in numbers))

    segments = [window(*marks[m : m + 2], m, m + 1) for m in range(len(marks) - 1)]
    gaps = [later - earlier for earlier, later in zip(marks, marks[1:], strict=False)]
    inner = range(keys) if loop else range(1, keys - 1)
    centred = [window(marks[m] - gaps[m - 1] // 2, marks[m] + gaps[m] // 2, m - 1, m, m + 1) for m in inner]
    return segments + centred


def window_weights(windows: Sequence[Window], positions: Sequence[int], num_frames: int) -> list[Tensor]:
    """The weight of each window on each of its frames, float64, as above; over each frame they sum to one."""
    centred: dict[int, Tensor] = {}
    share = torch.zeros(num_frames, dtype=torch.float64)  # of the centred windows, on each frame of the clip
    for number, window in enumerate(windows):
        if window.centred:
            middle = window.frames.index(positions[window.keys[1]])
            distance = torch.arange(len(window.frames), dtype=torch.float64) - middle
            reach = torch.where(distance < 0, middle, len(window.frames) - 1 - middle)
            centred[number] = (1 + torch.cos(torch.pi * distance / reach)) / 2
            share[list(window.frames)] += centred[number]
    covered = torch.zeros(num_frames, dtype=torch.float64)  # by how many segments: keyframes by two
    for window in windows:
        if not window.centred:
            covered[list(window.frames)] += 1
    return [
        centred[number] if window.centred else ((1 - share) / covered)[list(window.frames)]
        for number, window in enumerate(windows)
    ]


def segment_weights(windows: Sequence[Window], num_frames: int) -> list[Tensor]:
    """The weights of the segments alone: half each on the keyframe that two of them share; 0 for centred windows."""
    covered = torch.zeros(num_frames, dtype=torch.float64)
    for window in windows:
        covered[list(window.frames)] += not window.centred
    return [float(not window.centred) / covered[list(window.frames)] for window in windows]


def decode_spans(
    positions: Sequence[int], num_frames: int, *, loop: bool = False
) -> list[tuple[tuple[int, ...], Tensor]]:
    """Stretches to decode one by one, so that memory does not grow with the clip: (their frames, float64 weights).

    Each is a segment and OVERLAP frames more at either inner keyframe; over each frame the weights sum to one.
    """
    spans = []
    total = torch.zeros(num_frames, dtype=torch.float64)
    marks = [*positions, num_frames] if loop else list(positions)
    for start, stop in zip(marks, marks[1:], strict=False):
        over = min(OVERLAP, (num_frames - (stop - start + 1)) // 2) if loop else OVERLAP
        before = over if loop else min(over, start)
        after = over if loop else min(over, num_frames - 1 - stop)
        frames = range(start - before, stop + after + 1)
        inside = [
            min(
                frame - start + before + 1 if before or loop else over + 1,
                stop + after + 1 - frame if after or loop else over + 1,
                2 * over + 1,
            )
            for frame in frames
        ]
        numbers = tuple(frame % num_frames for frame in frames)
        weight = torch.tensor(inside, dtype=torch.float64)
        total[list(numbers)] += weight
        spans.append((numbers, weight))
    return [(numbers, weight / total[list(numbers)]) for numbers, weight in spans]


def kept_keyframes(
    positions: Sequence[int], num_frames: int, strengths: Mapping[int, float], *, pin_ends: bool, loop: bool
) -> dict[int, float]:
    """How much of each keyframe its frame keeps, by frame number; those that keep nothing are not in it."""
    outer = () if loop else (0, num_frames - 1)
    kept = {}
    for position in positions:
        default = float(pin_ends) if position in outer else 1.0
        strength = strengths.get(position, default)
        if strength == 1 and position in outer:
            strength = default  # to be kept whole is what the method makes of its ends
        if strength:
            kept[position] = strength
    return kept


def check_positions(method: Method, num_frames: int, inner: Iterable[int], loop: bool, has_last: bool) -> list[int]:
    """The frames of all keyframes, in order; ValueError where the clip cannot go through them."""
    positions = [0, *sorted(inner), *([] if loop else [num_frames - 1])]
    if len(positions) > 2 and method.motions == "forward":
        raise ValueError(f"method {method.name} looks at the first keyframe only; gi, trf and vibid go through several")
    if loop and (has_last or len(positions) < 2):
        raise ValueError(
            "expected of a loop frame0 and at least one keyframe between, and no frame1: it ends at frame0"
        )
    marks = [*positions, num_frames] if loop else positions
    for earlier, later in zip(marks, marks[1:], strict=False):
        if later - earlier < SHORTEST - 1 and len(marks) > 2:
            raise ValueError(
                f"keyframes at the frames {earlier} and {later} are {later - earlier} apart in a clip of {num_frames}: "
                f"expected at least {SHORTEST - 1}, so that there is a frame between them"
            )
    return positions
