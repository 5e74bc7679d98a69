"""Timeline of a clip: keyframes in their places, what else is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gen_inbetween.diffusion.windows.layout import SHORTEST, lay_windows
from gen_inbetween.generation.timeline.keyframe import KeyframeError
from gen_inbetween.media.fit import FitGeometry, FitMode, fit_pair

if TYPE_CHECKING:
    from gen_inbetween.models.configs import ModelConfigs

Mask = NDArray[np.float32]  # (height, width) in [0, 1]
MOST = 4.0  # times that the pace of one side may be the other's


@dataclass(frozen=True)
class Motion:
    """The pace of the frames beside a gap: the mean length of a step's flow, pixels."""

    before: float
    after: float

    def buckets(self, bucket: float) -> tuple[float, float]:
        """The motion buckets of the forward and the backward direction, 0 to 255."""
        ratio = float(np.clip(self.before / self.after if self.after else MOST, 1 / MOST, MOST))
        ahead, back = 2 * bucket * ratio / (1 + ratio), 2 * bucket / (1 + ratio)
        return round(min(ahead, 255.0), 2), round(min(back, 255.0), 2)


@dataclass(frozen=True)
class Timeline:
    """What a clip of `num_frames` frames is made from.

    keyframes, positions, strengths: pictures of one size, or of any before `fit`; rising frame numbers; in [0, 1].
    loop: from the last frame to the first is one more step.
    context: other frames that are kept whole, by frame number.
    still: where the clip keeps the linear blend of its keyframes, 1, and where it moves, 0.
    scene, redraw: of a retake inside a mask: the clip as it is (num_frames pictures), and where it is made anew, 1.
    draft: a rough clip of num_frames pictures to start from.
    motion: the paces beside its ends, which go on in it; None: an even one.
    """

    keyframes: tuple[Image.Image, ...]
    positions: tuple[int, ...]
    num_frames: int
    strengths: tuple[float, ...] = ()
    loop: bool = False
    context: Mapping[int, Image.Image] = field(default_factory=dict)
    still: Mask | None = None
    scene: tuple[Image.Image, ...] = ()
    redraw: Mask | None = None
    draft: tuple[Image.Image, ...] = ()
    motion: Motion | None = None

    @property
    def plain(self) -> bool:
        """Two keyframes at the ends and nothing else: what `pipe(frame0, frame1)` takes."""
        return len(self.keyframes) == 2 and not self.loop and set(self.strengths) <= {1.0}

    @property
    def ends(self) -> tuple[Image.Image | None, Image.Image | None]:
        """The keyframes at the first and the last frame, None where there is none."""
        at = dict(zip(self.positions, self.keyframes, strict=True))
        return at.get(0), at.get(self.num_frames - 1)

    @property
    def places(self) -> tuple[tuple[int, ...], bool] | None:
        """(positions, loop), as the planner takes them; None for a plain one."""
        return None if self.plain else (self.positions, self.loop)

    @property
    def windows(self) -> list[int]:
        """The lengths of its windows."""
        return [len(window.frames) for window in lay_windows(self.positions, self.num_frames, loop=self.loop)]

    @property
    def segments(self) -> list[tuple[int, int]]:
        """(first frame, last frame) of each segment; in a loop the last one ends at num_frames, which is frame 0."""
        marks = [*self.positions, *([self.num_frames] if self.loop else [])]
        return list(zip(marks, marks[1:], strict=False))

    def check_lengths(self, configs: ModelConfigs) -> None:
        """KeyframeError for a segment that the model cannot do, by name. A clip of two keyframes is checked as such."""
        if self.plain:
            return
        longest = configs.longest
        for number, (first, last) in enumerate(self.segments):
            length = last - first + 1
            if SHORTEST <= length <= longest:
                continue
            after = "the first again" if self.loop and number == len(self.segments) - 1 else f"keyframe {number + 2}"
            remedy = "put another keyframe between them" if length > longest else "leave a frame between them"
            raise KeyframeError(
                f"keyframe {number + 1} and {after} lie at the frames {first} and {last}, a segment of {length}: "
                f"{configs.name} does {SHORTEST} to {longest}; {remedy}"
            )

    def fit(self, width: int, height: int, mode: FitMode) -> tuple[Timeline, FitGeometry]:
        """Every picture and mask of it at this size, by the geometry of the first keyframe; and that geometry."""
        first = self.keyframes[0]
        fitted, _, geometry = fit_pair(first, first, width, height, mode)

        def paint(image: Image.Image) -> Image.Image:
            return fitted if image is first else fit_pair(first, image, width, height, mode)[1]

        def mask(values: Mask | None) -> Mask | None:
            if values is None:
                return None
            picture = Image.fromarray(np.round(values * 255).astype(np.uint8))
            return np.asarray(paint(picture), np.float32) / np.float32(255)

        return (
            replace(
                self,
                keyframes=tuple(paint(image) for image in self.keyframes),
                context={frame: paint(image) for frame, image in self.context.items()},
                still=mask(self.still),
                scene=tuple(paint(image) for image in self.scene),
                redraw=mask(self.redraw),
                draft=tuple(paint(image) for image in self.draft),
            ),
            geometry,
        )

    def put_back(self, frames: list[Image.Image], *, exact: bool) -> list[Image.Image]:
        """The frames made, with what they keep in it pixel for pixel; exact: whole keyframes, too.

        Everything is of the fitted size.
        """
        frames = list(frames)
        if self.redraw is not None:
            frames = [blend(scene, frame, self.redraw) for scene, frame in zip(self.scene, frames, strict=True)]
        if self.still is not None:
            frames = [blend(frame, self.between(number), self.still) for number, frame in enumerate(frames)]
        if exact:
            strengths = self.strengths or (1.0,) * len(self.keyframes)
            for position, strength, keyframe in zip(self.positions, strengths, self.keyframes, strict=True):
                if strength == 1:
                    frames[position] = keyframe
        return frames

    def between(self, frame: int) -> Image.Image:
        """The linear blend of the two keyframes beside a frame."""
        for number, (first, last) in enumerate(self.segments):
            if first <= frame <= last:
                later = self.keyframes[(number + 1) % len(self.keyframes)]
                return Image.blend(self.keyframes[number], later, (frame - first) / (last - first))
        raise ValueError(f"expected a frame of 0 to {self.num_frames - 1}, got {frame}")


def blend(first: Image.Image, second: Image.Image, weight: Mask) -> Image.Image:
    """(1 - weight) first + weight second; exactly one of them where the weight is 0 or 1."""
    a, b = (np.asarray(image, np.float32) for image in (first, second))
    mixed = a + weight[..., None] * (b - a)
    return Image.fromarray(np.round(mixed).clip(0, 255).astype(np.uint8))
