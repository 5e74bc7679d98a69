"""Painted keyframes carried along the motion to the frames around them.

A frame t looks its place in keyframe k up along the chain of optical flows between them,

    p_t(x) = p_s(x + f(x)),    f: flow from t to s, the next frame towards k,    p_k(x) = x

and adds up on its way by how much each flow misses itself on the way back, g(x) pixels: how far the chain can be
trusted. The painting is mixed with what
the network draws by the weight

    w = exp(-(g / DRIFT)^2) exp(-(|I_k(p_t) - I_t| / UNLIKE)^2) (1 - |t - k| / (reach + 1))

where the place is painted, else 0: the keyframe itself is the painting, and what was uncovered is the network's.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gen_inbetween.interpolation.dis_flow import opencv
from gen_inbetween.stylize.examples import Example
from gen_inbetween.stylize.guides import Estimator, Flow, Picture

VALUES = 300_000  # that are kept of a chain, at most: larger pictures have coarser ones, in the same memory
DRIFT = 1.5  # pixels, added up along the chain
GONE = 100.0  # pixels that count as missed where a chain leaves the picture
UNLIKE = 16.0  # grey levels between the frame and its place in the keyframe, averaged over SMOOTH pixels
SMOOTH = 5  # pixels of a side
PAINTED = 0.99  # least share of paint under a looked-up pixel
SHARP = 4  # power of the weights by which several keyframes are mixed: the better one, mostly


@dataclass(frozen=True)
class Chain:
    """Where a frame lies in a keyframe, every `grid` pixels."""

    keyframe: int
    grid: int
    offset: Flow  # (h, w, 2) pixels, from a place in the frame to that in the keyframe
    drift: NDArray[np.float32]  # (h, w) pixels that the flows between them miss

    def after(self, there: Flow, back: Flow) -> Chain:
        """The chain of a frame farther away: `there` is the flow from it to this one, `back` the flow back."""
        cv2 = opencv()
        place = grid_of(there.shape[:2], self.grid) + there
        at = place / self.grid
        size = np.array(there.shape[1::-1]) * self.grid
        gone = ((place < -0.5) | (place > size - 0.5)).any(-1)  # out of the picture on the way: never seen again

        def look_up(values: NDArray[np.float32]) -> NDArray[np.float32]:
            return cv2.remap(values, at, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)

        missed = np.linalg.norm(there + look_up(back), axis=-1)
        drift = look_up(self.drift) + missed + gone * np.float32(GONE)
        return Chain(self.keyframe, self.grid, there + look_up(self.offset), drift)


def grid_of(shape: tuple[int, ...], grid: int) -> Flow:
    """The places in a picture of values every `grid` pixels, (h, w, 2) pixels."""
    return np.stack(np.meshgrid(np.arange(shape[1]), np.arange(shape[0])), -1).astype(np.float32) * grid


def carry_keys(
    frames: Iterable[Picture], keys: Sequence[int], reach: int, estimate: Estimator
) -> dict[int, list[Chain]]:
    """The chains of all frames within `reach` of a keyframe, by number of the frame; one pass.

    Args:
        frames: all frames of the film in order, (H, W, 3) uint8.

    In memory: two frames, and per keyframe at most 2 reach + 1 chains and reach pairs of flows of VALUES values.
    """
    chains: dict[int, list[Chain]] = {}
    flows: dict[int, tuple[Flow, Flow]] = {}  # by number n: from n to n + 1, and back
    before: Picture | None = None
    for number, frame in enumerate(frames):
        grid = max(1, math.ceil(math.sqrt(frame.shape[0] * frame.shape[1] / VALUES)))
        near = [key for key in keys if abs(number - key) <= reach]
        if before is not None and any(abs(number - 1 - key) <= reach for key in near):
            pair = (estimate(before, frame), estimate(frame, before))
            flows[number - 1] = (pair[0][::grid, ::grid].copy(), pair[1][::grid, ::grid].copy())
        before = frame if near else None
        for key in near:
            if number == key:
                _begin(chains, flows, Chain(key, grid, *_start(frame.shape[:2], grid)), reach)
            elif number > key:
                last = next(chain for chain in chains[number - 1] if chain.keyframe == key)
                chains.setdefault(number, []).append(last.after(*flows[number - 1][::-1]))
        flows.pop(number - reach - 1, None)
        if number >= max(keys) + reach:
            break
    return chains


def _begin(chains: dict[int, list[Chain]], flows: dict[int, tuple[Flow, Flow]], own: Chain, reach: int) -> None:
    """A keyframe's own chain, and those of the frames before it."""
    chains.setdefault(own.keyframe, []).append(own)
    for number in range(own.keyframe - 1, max(-1, own.keyframe - reach - 1), -1):
        own = own.after(*flows[number])
        chains.setdefault(number, []).append(own)


def _start(size: tuple[int, int], grid: int) -> tuple[Flow, NDArray[np.float32]]:
    shape = (-(-size[0] // grid), -(-size[1] // grid))
    return np.zeros((*shape, 2), np.float32), np.zeros(shape, np.float32)


def mixed(
    drawn: Picture, frame: Picture, number: int, chains: Sequence[Chain], examples: Sequence[Example], reach: int
) -> Picture:
    """What the network drew of a frame, (H, W, 3) uint8, with the paintings that reach it where they can be trusted."""
    by_key = {example.number: example for example in examples}
    parts = [
        _carried(frame, chain, by_key[chain.keyframe], 1 - abs(number - chain.keyframe) / (reach + 1))
        for chain in chains
        if chain.keyframe in by_key
    ]
    if not parts:
        return drawn
    weights = np.stack([weight for _, weight in parts])
    shares = np.maximum(weights, 1e-6) ** SHARP
    shares /= shares.sum(0)
    painting = (shares[..., None] * np.stack([painted for painted, _ in parts])).sum(0)
    trust = weights.max(0)[..., None]
    return (drawn + trust * (painting - drawn)).round().clip(0, 255).astype(np.uint8)


def _carried(
    frame: Picture, chain: Chain, key: Example, fall: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The painting as it looks in a frame, (H, W, 3), and its weight, (H, W) in [0, 1]."""
    cv2 = opencv()
    height, width = frame.shape[:2]
    if fall == 1:
        return key.painted.astype(np.float32), key.mask.astype(np.float32)
    pixels = grid_of((height, width), 1)

    def finer(values: NDArray[np.float32]) -> NDArray[np.float32]:
        return cv2.remap(values, pixels / chain.grid, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)

    place = finer(chain.offset) + pixels

    def look_up(picture: NDArray[np.uint8]) -> NDArray[np.float32]:
        return cv2.remap(picture.astype(np.float32), place, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)

    inside = ((place >= -0.5) & (place <= np.array([width, height]) - 0.5)).all(-1)
    unlike = cv2.blur(np.abs(look_up(key.source) - frame).mean(-1), (SMOOTH, SMOOTH))
    trust = np.exp(-np.square(finer(chain.drift) / DRIFT) - np.square(unlike / UNLIKE))
    there = inside & (look_up(key.mask.astype(np.uint8)) > PAINTED)
    return look_up(key.painted), (fall * trust * there).astype(np.float32)
