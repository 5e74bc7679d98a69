"""Scores of masks that follow things through films with exact truth."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gen_inbetween.evaluation.masks.click_list import LEAST, Row, drawn
from gen_inbetween.evaluation.masks.scores import iou
from gen_inbetween.interpolation.editing.mask_propagation import LEFT, propagate_masks

Bool = NDArray[np.bool_]
Frames = Sequence[NDArray[np.uint8]]

GOOD = 0.5  # IoU below which a mask does not follow any more


@dataclass(frozen=True)
class Moment:
    """One thing in one frame."""

    film: str
    thing: int
    frame: int
    iou: float  # of the mask and what is seen of the thing
    gone: bool  # hardly anything is seen of it
    likeness: float
    lost: bool  # what the follower says

    @property
    def followed(self) -> bool:
        """Whether the mask shows the thing."""
        return self.iou >= GOOD and not self.gone


def films(kinds: dict[str, Iterable[int]], num_frames: int, size: int, backdrops: tuple[str, ...]) -> Iterator[
    tuple[str, Frames, list[Bool]]
]:  # fmt: skip
    """Films with the truth (K, H, W) of each frame; of the first kind also each with a cut to the next, halfway."""
    first = True
    for kind, seeds in kinds.items():
        before: tuple[str, Frames, list[Bool]] | None = None
        for seed in seeds:
            clip = drawn(kind, seed, size, backdrops, num_frames)
            keep = [thing for thing in range(clip.masks.shape[1]) if clip.masks[0, thing].mean() >= LEAST]
            film = f"{kind} {seed}", list(clip.frames), list(clip.masks[:, keep])
            if keep:
                yield film
            if before is not None and first and before[2][0].shape[0]:
                half = num_frames // 2
                empty = [np.zeros_like(before[2][0])] * (num_frames - half)
                yield f"cut {seed}", [*before[1][:half], *film[1][half:]], [*before[2][:half], *empty]
            before = film
        first = False


def follow(name: str, frames: Frames, truth: Sequence[Bool]) -> list[Moment]:
    """Each thing in each frame but the first, whose true masks are what is followed."""
    areas = truth[0].sum((1, 2))
    moments = []
    steps = propagate_masks([Image.fromarray(frame) for frame in frames], truth[0])
    for number, (step, seen) in enumerate(zip(steps, truth, strict=True)):
        for thing in range(len(areas) if number else 0):
            overlap, gone = iou(step.masks[thing], seen[thing]), bool(seen[thing].sum() < LEFT * areas[thing])
            likeness, lost = float(step.likeness[thing]), bool(step.lost[thing])
            moments.append(Moment(name, thing, number, overlap, gone, likeness, lost))
    return moments


def said_of_lost(moments: Sequence[Moment]) -> Row:
    """How often "lost" is said, and rightly: counts, precision, recall (NaN: of nothing)."""
    said = np.array([moment.lost for moment in moments], bool)
    true = np.array([not moment.followed for moment in moments], bool)
    right = int((said & true).sum())
    return {
        "said": int(said.sum()),
        "true": int(true.sum()),
        "right": right,
        "precision": right / said.sum() if said.any() else np.nan,
        "recall": right / true.sum() if true.any() else np.nan,
    }
