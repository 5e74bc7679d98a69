"""Object metrics of synthetic clips, against the generator's exact truth.

Objects are followed by their colours (`tracking.py`), in the clip and in the true one alike. Lengths are in pixels of a
64-pixel frame. The shares of clips are 0 or 1 for a clip: whether what they name is to be seen in it.
"""

from __future__ import annotations

from typing import ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from gen_inbetween.data.synthetic import DESIGN_SIZE
from gen_inbetween.data.tracking import Tracks
from gen_inbetween.evaluation.metrics.clip_metric import Better, ClipMetric, Family, Sample
from gen_inbetween.evaluation.metrics.objects import (
    Objects,
    colour_maps,
    extra_way_back,
    find_doubled,
    frames_as_drawn,
    objects_of,
)

BACK = 3.0  # pixels of 64 to run back, or tail-first, before it counts: a tracker's wobble stays below
TRAVELS = 4.0  # pixels of 64 from its first to its last place below which an object's way has no direction
DOUBLED_FRAMES = 2  # inner frames that must show a second copy
COLOURED = 0.15  # likeness to an object's colour from which on a pixel is no background
LEAST_BACKGROUND = 50  # pixels of background without which nothing is said about it


class _Truth(ClipMetric):
    family: ClassVar[Family] = "Motion against the generator's exact truth"
    needs = frozenset({"synthetic"})


class TrajectoryError(_Truth):
    """Mean distance of an object to where it truly is, over the inner frames in which it is found; pixels of 64, lower.

    Both places are centroids of the object's colours by the same tracker, so the true clip scores 0. Read it with
    `lost`: an object that fades, vanishes or jumps out of the tracker's reach counts there, as it has no place here.
    NaN where none is found at all.
    """

    name = "trajectory_error"
    unit = "px of 64"
    better: ClassVar[Better] = "lower"

    def score(self, sample: Sample) -> float:
        objects = objects_of(sample)
        off = np.linalg.norm(objects.made.centre - objects.true.centre, axis=-1)[1:-1][objects.found[1:-1]]
        return float(off.mean()) if len(off) else float("nan")


class Lost(_Truth):
    """The share of object-frames between the keyframes in which an object in sight in truth is not there; lower.

    Not there: less than a quarter of its colour within 15 pixels of 64 of its last place, or a colour half as solid as
    the true one's (a ghost). Where the true object is out of the frame, hidden by half, or beyond the tracker, it is
    not asked for; NaN where that is everywhere.
    """

    name = "lost"
    unit = "share of object-frames"
    better: ClassVar[Better] = "lower"

    def score(self, sample: Sample) -> float:
        objects = objects_of(sample)
        asked = objects.asked[1:-1]
        return float(1 - objects.found[1:-1].sum() / asked.sum()) if asked.any() else float("nan")


class NoseFirst(_Truth):
    """The part of their way that objects go towards their nose, 1 nose-first to -1 tail-first; higher.

    The mean over the objects that have a nose (balls have none: NaN) of the distance along the nose over all distance.
    """

    name = "nose_first"
    unit = "-1 to 1"
    better: ClassVar[Better] = "higher"

    def score(self, sample: Sample) -> float:
        objects = objects_of(sample)
        return mean_or_nan(objects.made.nose_first()[objects.has_nose])


class TailFirst(_Truth):
    """The share of clips in which something travels tail-first for a stretch of 3 pixels of 64 or more; lower.

    The way along the object's own nose is added up step by step; the stretch is the longest way back along it, less
    that of the true object. Steps in which the true object is out of sight are left out. NaN where nothing has a nose.
    """

    name = "tail_first"
    unit = "share of clips"
    better: ClassVar[Better] = "lower"

    def score(self, sample: Sample) -> float:
        objects = objects_of(sample)
        made, true = (along_nose(tracks, objects.asked) for tracks in (objects.made, objects.true))
        extra = [extra_way_back(made[:, k], true[:, k]) for k in np.flatnonzero(objects.has_nose)]
        return float(max(extra) >= BACK) if extra else float("nan")


def along_nose(tracks: Tracks, asked: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(F, K) how far each object has come towards its nose since the first frame, over the steps that are asked for."""
    axis = tracks.front - tracks.rear
    axis = (axis / np.linalg.norm(axis, axis=-1, keepdims=True))[:-1]
    steps = (axis * np.diff(tracks.centre, axis=0)).sum(-1)
    steps = np.where(asked[1:] & asked[:-1], np.nan_to_num(steps), 0)
    return np.cumsum(np.concatenate([np.zeros_like(steps[:1]), steps]), axis=0)


class TurnsBack(_Truth):
    """The share of clips in which something runs back along its true way by 3 pixels of 64 or more; lower: the bounce.

    Places are projected on the line from the object's true first place to its last (a ball's: on the ground alone, as
    balls do fall and rise), and what the true object runs back itself is taken off. NaN where nothing truly travels 4
    pixels.
    """

    name = "turns_back"
    unit = "share of clips"
    better: ClassVar[Better] = "lower"

    def score(self, sample: Sample) -> float:
        objects = objects_of(sample)
        extra = []
        for k, asked in enumerate(objects.asked.T):
            line = travel(objects, k)
            if line is not None:
                extra.append(
                    extra_way_back(*(tracks.centre[asked, k] @ line for tracks in (objects.made, objects.true)))
                )
        return float(max(extra) >= BACK) if extra else float("nan")


def travel(objects: Objects, k: int) -> NDArray[np.float64] | None:
    """(2,) the unit vector that object k truly travels along, None where it hardly travels."""
    centres = objects.true.centre[objects.asked[:, k], k]
    if len(centres) < 2:
        return None
    way = (centres[-1] - centres[0]) * (1.0, float(objects.has_nose[k]))
    length = np.linalg.norm(way)
    return way / length if length >= TRAVELS else None


class TwoCopies(_Truth):
    """The share of clips in which an object is doubled in two inner frames or more; lower: the ghost.

    Doubled: one of its colours is in more separate blobs than the true clip ever shows (two objects may share a
    colour), the lesser of at least 0.3 of the greater one's mass. Copies must lie apart to be two: those that overlap
    are for `lost` (too faint), `ghosting` and `sharpness` to tell.
    """

    name = "two_copies"
    unit = "share of clips"
    better: ClassVar[Better] = "lower"

    def score(self, sample: Sample) -> float:
        seen = np.any([find_doubled(made[1:-1], true) for made, true in colour_maps(sample)], axis=0)
        return float(seen.sum() >= DOUBLED_FRAMES)


class BackgroundFlicker(_Truth):
    """Mean absolute second difference in time of the background, grey levels of 255; lower.

    Background is where no object's colour ever shows, two pixels away from any. A panning camera gives true clips
    theirs. NaN where hardly any background is left.
    """

    name = "background_flicker"
    unit = "grey levels"
    better: ClassVar[Better] = "lower"

    def score(self, sample: Sample) -> float:
        frames, truth = frames_as_drawn(sample)
        seen = np.max([made.max(0) for made, _ in colour_maps(sample)], axis=0) > COLOURED
        reach = round(2 * truth.frames.shape[1] / DESIGN_SIZE)
        rest = cv2.dilate(seen.astype(np.uint8), np.ones((2 * reach + 1,) * 2, np.uint8)) == 0
        if rest.sum() < LEAST_BACKGROUND:
            return float("nan")
        grey = frames.astype(np.float32).mean(-1)[:, rest]
        return float(np.abs(np.diff(grey, 2, axis=0)).mean())


def mean_or_nan(values: NDArray[np.float64]) -> float:
    """The mean of the values that are there; NaN where none is.

    >>> mean_or_nan(np.array([1.0, np.nan, 3.0]))
    2.0
    """
    present = values[~np.isnan(values)]
    return float(present.mean()) if len(present) else float("nan")


METRICS = (TrajectoryError, Lost, NoseFirst, TailFirst, TurnsBack, TwoCopies, BackgroundFlicker)
