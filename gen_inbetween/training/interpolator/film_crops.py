"""Training crops of films with the classical flow between their outer frames.

A crop is a triplet (a, target, b) of one place in a film: two frames 2 to 16 apart and one between them, scaled so that
the crop shows anything from all of the frame down to its single pixels. Crops in which little moves are passed over,
and those of a cut. Everything is drawn from a seed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from gen_inbetween.media.video import read_frames

GAPS = (2, 3, 4, 6, 8, 10, 12, 16)  # frames between the ends
LEAST_CHANGE = (3.0, 9.0)  # grey levels between the ends below which a crop is passed over, drawn for each
CUT = 70.0  # and above which
SMALLEST_SCALE = 0.2
TRIES = 12  # for each crop that is wanted
FRAMES = 400  # of a film that are used

Flow = Callable[[Tensor, Tensor], Tensor]


class Crops(NamedTuple):
    """N triplets of S x S pixels."""

    frames: NDArray[np.uint8]  # (N, 3, 3, S, S): a, target, b
    flows: NDArray[np.float16]  # (N, 4, S, S) pixels from a to b, then from b to a
    times: NDArray[np.float16]  # (N, 1, 1, 1) of the target, or (N, 1, S, S) path distances over a


def film_crops(path: Path, count: int, size: int, flow: Flow, seed: int) -> Crops:
    """Up to `count` crops of one film; fewer where too little moves. VideoError: the film cannot be read."""
    film = read_frames(path, stop=FRAMES).frames
    triplets = list(_drawn(film, count, size, np.random.default_rng([seed, *path.name.encode()])))
    pictures = np.array([triplet for triplet, _ in triplets], np.uint8).reshape(-1, 3, size, size, 3)
    frames = pictures.transpose(0, 1, 4, 2, 3)
    times = np.array([time for _, time in triplets], np.float16).reshape(-1, 1, 1, 1)
    return with_flows(frames, times, flow)


def with_flows(frames: NDArray[np.uint8], times: NDArray[np.float16], flow: Flow) -> Crops:
    """Crops of triplets (N, 3, 3, S, S) with `flow` both ways between their outer frames."""
    flows = np.empty((len(frames), 4, *frames.shape[-2:]), np.float16)
    for number, triplet in enumerate(frames):
        a, b = (torch.from_numpy(triplet[end : end + 1]).float() / 255 for end in (0, 2))
        flows[number] = torch.cat((flow(a, b), flow(b, a)), 1)[0].half().numpy()
    return Crops(np.ascontiguousarray(frames), flows, times)


def joined(parts: Sequence[Crops]) -> Crops:
    """All crops of several sets of one size and one kind of times."""
    return Crops(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def _drawn(
    film: Sequence[Image.Image], count: int, size: int, rng: np.random.Generator
) -> Iterator[tuple[NDArray[np.uint8], float]]:
    """(3, S, S, 3) triplets and their times."""
    short = min(film[0].size)
    gaps = [gap for gap in GAPS if gap < len(film)]
    left = count
    for _ in range(TRIES * count if gaps else 0):
        if not left:
            return
        gap = int(rng.choice(gaps))
        first = int(rng.integers(0, len(film) - gap))
        middle = int(rng.integers(1, gap))
        scale = np.exp(rng.uniform(np.log(max(size / short, SMALLEST_SCALE)), 0.0))
        side = min(short, round(size / scale))
        x, y = (int(rng.integers(0, length - side + 1)) for length in film[0].size)
        numbers = (first, first + middle, first + gap)
        crops = [
            film[number].resize((size, size), Image.Resampling.BOX, (x, y, x + side, y + side)) for number in numbers
        ]
        triplet = np.stack([np.asarray(crop.convert("RGB")) for crop in crops])
        change = np.abs(triplet[0].astype(np.int16) - triplet[2]).mean()
        if rng.uniform(*LEAST_CHANGE) < change < CUT:
            left -= 1
            yield triplet, middle / gap
