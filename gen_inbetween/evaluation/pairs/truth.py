"""True clips at the size of an evaluation.

Keyframes are taken from them, and generated clips compared with them.
"""

from __future__ import annotations

import os

import numpy as np
from PIL import Image

from gen_inbetween.evaluation.metrics.clip_metric import Sample
from gen_inbetween.evaluation.pairs.pair import Pair
from gen_inbetween.evaluation.pairs.sources import open_pair
from gen_inbetween.media.fit import fit


def open_truth(pair: Pair, root: str | os.PathLike[str] | None, width: int, height: int) -> Sample:
    """A pair's true clip, every frame fitted to width x height as `frames.fit_pair` fits keyframes.

    Returns:
        A Sample whose frames are its truth, (F, height, width, 3) uint8; its first and last frame are the keyframes.

    Raises:
        PairError: as `sources.open_pair`.
    """
    clip = open_pair(pair, root)
    frames = np.stack([np.asarray(fit(Image.fromarray(frame), width, height)[0]) for frame in clip.frames])
    return Sample(frames, truth=frames, synthetic=clip.synthetic)


class Truths:
    """`open_truth` at one size. The last clip is kept: work on one pair comes in a row."""

    def __init__(self, root: str | os.PathLike[str] | None, width: int, height: int) -> None:
        self.root, self.width, self.height = root, width, height
        self._last: tuple[str, Sample] | None = None

    def __call__(self, pair: Pair) -> Sample:
        last = self._last  # read once and replaced whole, for threads
        if last is None or last[0] != pair.sha256:
            last = self._last = pair.sha256, open_truth(pair, self.root, self.width, self.height)
        return last[1]
