"""Painted keyframes: patches to learn from, and frames that judge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gen_inbetween.interpolation.dis_flow import opencv
from gen_inbetween.stylize.guides import Picture, flow_between

CONSISTENT = 1.0  # pixels between a point and itself, carried to another frame and back
ENOUGH = 0.2  # share of a picture that must be consistent for it to judge
WINDOW = 128  # pixels of a side of what is judged in a large frame
WINDOWS = 4  # of a large frame that are judged
AWAY = (6, 3, 1)  # frames from a keyframe to those that judge; the first distance at which enough is consistent


@dataclass(frozen=True)
class Example:
    """One painted keyframe. All (H, W, ...)."""

    number: int  # of its frame
    source: Picture  # the frame as the network sees it
    guide: Picture | None
    painted: Picture
    mask: NDArray[np.bool_]  # where it is painted


@dataclass(frozen=True)
class Judge:
    """A frame that is not learnt from, what it should look like, and where that is known."""

    keyframe: int  # the painted one that says so
    source: Picture
    guide: Picture | None
    wanted: Picture
    known: NDArray[np.bool_]


def windows_of(judge: Judge) -> list[Judge]:
    """A judge, or WINDOWS parts of one that is a large frame, so that looks cost the same at any size."""
    height, width = judge.known.shape
    if height * width <= WINDOWS * WINDOW**2:
        return [judge]
    corners = [(top, left) for top in range(0, height, WINDOW) for left in range(0, width, WINDOW)]
    places = [np.s_[top : top + WINDOW, left : left + WINDOW] for top, left in corners]
    shares = np.array([judge.known[place].mean() for place in places])
    fit = np.flatnonzero(shares >= min(ENOUGH, shares.max()))
    chosen = np.unique(fit[np.linspace(0, len(fit) - 1, WINDOWS).round().astype(int)])
    return [_part(judge, places[index]) for index in chosen]


def _part(judge: Judge, place: tuple[slice, slice]) -> Judge:
    guide = None if judge.guide is None else judge.guide[place]
    return Judge(judge.keyframe, judge.source[place], guide, judge.wanted[place], judge.known[place])


def network_input(source: Picture, guide: Picture | None) -> Tensor:
    """(1, 3 or 6, H, W) in [-1, 1]."""
    channels = source if guide is None else np.concatenate([source, guide], -1)
    return signal(channels)[None]


def signal(picture: Picture) -> Tensor:
    """(H, W, C) uint8 -> (C, H, W) in [-1, 1]."""
    return torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1))).float() / 127.5 - 1


class PatchBank:
    """Random patches of the examples, drawn evenly from them: network inputs, painted patches and their masks."""

    def __init__(self, examples: Sequence[Example], size: int, device: torch.device) -> None:
        self.size = size
        self.inputs = [network_input(one.source, one.guide)[0].to(device) for one in examples]
        self.painted = [signal(one.painted).to(device) for one in examples]
        self.masks = [torch.from_numpy(one.mask)[None].to(device) for one in examples]
        self.corners = [self._corners(one.mask) for one in examples]

    def _corners(self, mask: NDArray[np.bool_]) -> Tensor:
        """Top left corners (N, 2) of the patches whose centres are painted, moved into the picture."""
        limit = np.array(mask.shape) - self.size
        return torch.from_numpy(np.unique((np.argwhere(mask) - self.size // 2).clip(0, limit), axis=0))

    def draw(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """(inputs, painted, masks, other painted patches) of `count` random patches, (count, C, S, S) each."""
        of = torch.randint(len(self.inputs), (count,), generator=generator).tolist()
        cuts = [self._cut(example, generator) for example in of]
        inputs, painted, masks = (torch.stack(parts) for parts in zip(*[cut for cut, _ in cuts], strict=True))
        return inputs, painted, masks, torch.stack([other for _, other in cuts])

    def _cut(self, example: int, generator: torch.Generator) -> tuple[tuple[Tensor, Tensor, Tensor], Tensor]:
        corners, size = self.corners[example], self.size
        places = corners[torch.randint(len(corners), (2,), generator=generator)].tolist()

        def patch(picture: Tensor, place: list[int]) -> Tensor:
            return picture[:, place[0] : place[0] + size, place[1] : place[1] + size]

        whole = (self.inputs[example], self.painted[example], self.masks[example])
        first, second, third = (patch(picture, places[0]) for picture in whole)
        return (first, second, third), patch(self.painted[example], places[1])


def carried(
    painted: Picture, mask: NDArray[np.bool_], key: Picture, frame: Picture
) -> tuple[Picture, NDArray[np.bool_]]:
    """A painted keyframe carried to another frame by optical flow, and where that can be relied on.

    A point is relied on where it comes back to itself within CONSISTENT pixels, and was painted.
    """
    cv2 = opencv()
    back, ahead = flow_between(frame, key), flow_between(key, frame)
    height, width = mask.shape
    grid = np.stack(np.meshgrid(np.arange(width), np.arange(height)), -1).astype(np.float32)
    place = grid + back
    inside = ((place >= 0) & (place <= np.array([width - 1, height - 1]))).all(-1)
    returned = cv2.remap(ahead, place, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) + back
    was_painted = cv2.remap(mask.astype(np.float32), place, None, cv2.INTER_LINEAR) > 0.99
    known = inside & was_painted & (np.linalg.norm(returned, axis=-1) < CONSISTENT)
    return cv2.remap(painted, place, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), known
