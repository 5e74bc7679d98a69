"""Tracks and colour maps of the drawn objects of a synthetic clip."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from gen_inbetween.data.synthetic import DESIGN_SIZE, SyntheticClip
from gen_inbetween.data.tracking import Tracks, likeness, track
from gen_inbetween.evaluation.metrics.clip_metric import Sample, cached_per_sample

FAINT = 0.5  # of the strength of colour in the true frame: below it an object is a ghost, and counts as not found
TRUSTED = 5.0  # pixels of 64 that the tracker may be off in the true frame; where it is more, nothing is asked there
SEEN = 0.5  # share of its largest visible area that an object must show in the true frame to be asked for


@dataclass(frozen=True)
class Objects:
    """F frames, K objects, lengths in pixels of 64.

    made, true: tracks of the clip and of the true clip. asked (F, K): where the true object is in sight and the tracker
    finds it in the true clip, so that one that leaves the frame or hides behind another is never missed. found (F, K):
    where it was asked for and is there, solid.
    """

    made: Tracks
    true: Tracks
    asked: NDArray[np.bool_]
    found: NDArray[np.bool_]
    has_nose: NDArray[np.bool_]  # (K,)


def frames_as_drawn(sample: Sample) -> tuple[NDArray[np.uint8], SyntheticClip]:
    """The frames at the size that the truth is drawn at, and the truth.

    Raises:
        ValueError: without a synthetic truth, or for one of another shape or length.
    """
    if sample.synthetic is None:
        raise ValueError("expected a sample with a synthetic truth, got none: give Sample(..., synthetic=clip)")
    frames, truth = sample.frames, sample.synthetic
    count, height, width = frames.shape[:3]
    if height != width or count != len(truth.frames):
        raise ValueError(
            f"expected {len(truth.frames)} square frames to compare with the drawn truth, got {count} of "
            f"{width} x {height}: compare drawn pairs without cropping, at their own length"
        )
    size = truth.frames.shape[1]
    if height != size:
        frames = np.stack([cv2.resize(frame, (size, size), interpolation=cv2.INTER_AREA) for frame in frames])
    return frames.astype(np.uint8), truth


@cached_per_sample
def objects_of(sample: Sample) -> Objects:
    """The objects, followed through the sample's frames and through the true ones by the same tracker."""
    frames, truth = frames_as_drawn(sample)
    scale = DESIGN_SIZE / truth.frames.shape[1]
    made, true = (scale_tracks(track(clip, truth), scale) for clip in (frames, truth.frames))
    area = truth.masks.sum((2, 3))
    off = np.linalg.norm(true.centre - truth.positions * scale, axis=-1)
    asked = true.found & (off < TRUSTED) & (area >= SEEN * area.max(0))
    found = asked & made.found & (made.strength >= FAINT * true.strength)
    return Objects(made, true, asked, found, ~np.isnan(truth.headings[0]))


def scale_tracks(tracks: Tracks, scale: float) -> Tracks:
    """Tracks with their places multiplied by `scale`."""
    return replace(tracks, centre=tracks.centre * scale, front=tracks.front * scale, rear=tracks.rear * scale)


def extra_way_back(made: NDArray[np.float64], true: NDArray[np.float64]) -> float:
    """How much further back than the true object one runs; both are places along a line, see way_back."""
    return way_back(made) - way_back(true)


def way_back(along: NDArray[np.float64]) -> float:
    """The longest way that `along` (N,), a place along a line over time, goes back: 0 where it only goes on.

    NaNs are left out; 0 where nothing is left.

    >>> way_back(np.array([0.0, 4.0, 1.0, 5.0]))
    3.0
    """
    along = along[~np.isnan(along)]
    return float((np.maximum.accumulate(along) - along).max()) if len(along) else 0.0


@cached_per_sample
def colour_maps(sample: Sample) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """For each colour of each object, (F, S, S) how much of it is in each pixel: of the clip, and of the true clip.

    Balls have no rear, so no second colour.
    """
    frames, truth = frames_as_drawn(sample)
    wanted = [
        colour
        for colours, heading in zip(truth.colours, truth.headings[0], strict=True)
        for colour in colours[: 1 if np.isnan(heading) else 2]
    ]

    def maps(clip: NDArray[np.uint8], colour: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.stack([likeness(frame, colour) for frame in clip]).astype(np.float32)

    return [(maps(frames, colour), maps(truth.frames, colour)) for colour in wanted]


SMOOTHING = 1.2  # pixels of 64: closes a stripe or a window within one object
EDGE = 0.2  # of the frame's strongest likeness: where a blob ends
APART = 9.0  # pixels of 64 between the centres of two blobs: more than between the halves of a striped ball
COMPARABLE = 0.3  # a blob counts from this share of the largest one's mass on
LEAST_MASS = 0.05  # and from this share of the colour's mass in the true clip on


def blobs(likeness: NDArray[np.float32], least: float, comparable: float = COMPARABLE) -> int:
    """The separate blobs in one map (S, S): the heaviest, and those of comparable mass that lie apart from it.

    Blobs of a mass below `least` do not count.
    """
    unit = len(likeness) / DESIGN_SIZE
    smooth = cv2.GaussianBlur(likeness, (0, 0), SMOOTHING * unit)
    if smooth.max() <= 1e-3:
        return 0
    count, labels = cv2.connectedComponents((smooth > EDGE * smooth.max()).astype(np.uint8))
    mass = np.array(
        [np.bincount(labels.ravel(), (likeness * axis).ravel(), count)[1:] for axis in (1, *np.indices(labels.shape))]
    )
    heaviest = mass[0].argmax()
    centres = mass[1:] / np.maximum(mass[0], 1e-6)
    apart = np.hypot(*(centres - centres[:, heaviest, None])) >= APART * unit
    apart[heaviest] = True
    return int((apart & (mass[0] >= max(comparable * mass[0].max(), least))).sum())


def find_doubled(made: NDArray[np.float32], true: NDArray[np.float32]) -> NDArray[np.bool_]:
    """(F,) where the maps `made` (F, S, S) show more blobs than any of the true ones does.

    In the true ones, blobs of half that mass count already, so that what just misses it there may pass it here.
    """
    least = LEAST_MASS * float(np.median(true.sum((1, 2))))
    allowed = max(1, *(blobs(frame, least / 2, COMPARABLE / 2) for frame in true))
    return np.array([blobs(frame, least) > allowed for frame in made])
