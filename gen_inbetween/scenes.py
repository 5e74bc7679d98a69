"""Where one scene of a video ends and the next begins: a change of the picture far beyond what is usual around it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from .video import stream_frames

THUMBNAIL = 24  # pixels along each side: enough to tell scenes apart, and blind to small motion
CUT_CHANGE = 0.08  # mean change of a thumbnail (values in [0, 1]) that can be a cut ...
CUT_RATIO = 4.0  # ... if it is so many times what is usual around it: fast motion changes every frame alike
NEIGHBOURS = 8  # frames on each side that say what is usual


def look_through(file: Path) -> tuple[np.ndarray, tuple[int, int]]:
    """Thumbnails (frame, y, x, 3) in [0, 1] of every frame, and the size (width, height) of the frames."""
    frames, _ = stream_frames(file)
    thumbnails, size = [], (0, 0)
    for frame in frames:
        small = frame.resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX)
        thumbnails.append(np.asarray(small, dtype=np.float32) / 255)
        size = frame.size
    return np.stack(thumbnails), size


def scene_cuts(thumbnails: np.ndarray) -> list[int]:
    """Numbers of the frames that begin another scene, of thumbnails (frame, y, x, 3) in [0, 1]."""
    change = np.abs(np.diff(thumbnails, axis=0)).mean((1, 2, 3))
    cuts = []
    for index in np.flatnonzero(change > CUT_CHANGE).tolist():
        around = np.concatenate(
            [change[max(0, index - NEIGHBOURS) : index], change[index + 1 : index + 1 + NEIGHBOURS]]
        )
        if around.size == 0 or change[index] > CUT_RATIO * np.median(around):
            cuts.append(index + 1)
    return cuts
