"""Pairs of neighbouring video frames, with scene cuts and repeated frames.

    frame --- pair --- frame --- pair (hold: a cut) --- frame ------- pair (repeats left out) ------- frame

Nothing is drawn within a pair over a scene cut: each side keeps its own picture (hold). Nor between two equal frames,
nor while a frame is meant to stand.
A frame is judged a cut by what is usual in the NEIGHBOURS frames before and after it (`scenes.py`), so that a window of
about twenty frames is in memory, however long the video is.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias, get_args

import numpy as np

from gen_inbetween.interpolation.interpolator import SMALLEST, InterpolatorError
from gen_inbetween.media.frames.overlays import Mask, OverlayFinder
from gen_inbetween.media.frames.screen import Pixels
from gen_inbetween.media.scenes import NEIGHBOURS, is_cut, thumbnail

log = logging.getLogger("gen_inbetween")

Duplicates: TypeAlias = Literal["keep", "replace"]

ALIKE = 1.5 / 255  # change of the most changed cell of a thumbnail below which a frame repeats the one before
LONGEST_RUN = 8  # repeats: drawings held for 8 frames are 7.5 a second at 60; what stands longer is meant to stand


@dataclass(frozen=True)
class TimedFrame:
    """A source frame and when it is shown, in seconds (or any other unit, the same for all).

    stands: it is meant to stand still until the next one is shown.
    """

    pixels: Pixels
    seconds: float
    stands: bool = False


@dataclass(frozen=True)
class FramePair:
    """Two frames shown one after the other.

    hold: nothing is drawn between them; the nearer one is shown, or the first alone where it stands.
    """

    first: TimedFrame
    last: TimedFrame
    hold: bool
    cut: bool = False  # hold because another scene begins
    change: float = 0.0  # of the most changed cell of a thumbnail, values in [0, 1]; of a merged pair, its last step's
    doubtful: bool = False  # its motion is larger than can be followed (`noted_pairs.py`)
    overlay: Mask | None = None  # what stands while all around it moves, and is not drawn but held


@dataclass(frozen=True)
class _Step:
    first: TimedFrame
    last: TimedFrame
    thumbnails: tuple[np.ndarray, np.ndarray]
    change: float  # mean over the thumbnail, values in [0, 1]
    most: float  # of its most changed cell
    alike: bool  # the last repeats the first, but for noise
    equal: bool  # bit for bit
    cut: bool = False


def frame_pairs(
    frames: Iterable[TimedFrame], *, cuts: bool = True, duplicates: Duplicates = "keep", seam: bool = False
) -> Iterator[FramePair]:
    """The pairs of neighbouring frames, in constant memory.

    Args:
        frames: of one size, at times that rise.
        cuts: hold the pairs over scene cuts.
        duplicates: "replace" leaves out frames that repeat the one before, so that motion runs evenly from the first of
            a run to the frame after it (RIFE's rule); runs before a cut, at the end, or of more than LONGEST_RUN
            repeats stay as they are.
        seam: the last step joins the end of a loop to its start; it is never taken for a cut.

    Raises:
        InterpolatorError: fewer than two frames, of two sizes, too small, at times that do not rise.
    """
    steps = _judge_cuts(_steps(frames), seam) if cuts else _steps(frames)
    run: list[_Step] = []  # repeats not given out yet
    pausing = False
    for step in steps:
        pausing = pausing and step.alike
        if duplicates == "replace" and step.alike and not pausing and not step.first.stands:
            run.append(step)
            pausing = len(run) > LONGEST_RUN
            if not pausing:
                continue
            yield from map(_pair, run)
        elif run and not step.cut and not step.first.stands:
            yield FramePair(run[0].first, step.last, hold=False, change=step.most)
        else:
            yield from map(_pair, (*run, step))
        run = []
    yield from map(_pair, run)


def with_overlays(pairs: Iterable[FramePair]) -> Iterator[FramePair]:
    """The pairs, each with what is known of overlays by then."""
    finder = OverlayFinder()
    for pair in pairs:
        mask = finder.see(pair.first.pixels, pair.last.pixels)
        yield pair if pair.hold else replace(pair, overlay=mask)


def check_duplicates(duplicates: str) -> None:
    """Raise InterpolatorError unless `duplicates` is one of its words."""
    if duplicates not in get_args(Duplicates):
        raise InterpolatorError(f"duplicates is {' or '.join(get_args(Duplicates))}, got {duplicates!r}")


def _pair(step: _Step) -> FramePair:
    return FramePair(step.first, step.last, step.cut or step.equal or step.first.stands, step.cut, step.most)


def _steps(frames: Iterable[TimedFrame]) -> Iterator[_Step]:
    before: tuple[TimedFrame, np.ndarray] | None = None
    number = -1
    for number, frame in enumerate(frames):
        height, width = frame.pixels.shape[:2]
        if min(height, width) < SMALLEST:
            raise InterpolatorError(f"frames are at least {SMALLEST} x {SMALLEST} pixels, got {width} x {height}")
        small = thumbnail(frame.pixels)
        if before is not None:
            _check_order(before[0], frame, number)
            yield _step(before[0], frame, (before[1], small))
        before = frame, small
    if number < 1:
        raise InterpolatorError(f"expected two frames or more, to find others between them; got {number + 1}")


def _check_order(first: TimedFrame, last: TimedFrame, number: int) -> None:
    if first.pixels.shape[:2] != last.pixels.shape[:2]:
        sizes = ["{1} x {0}".format(*frame.pixels.shape) for frame in (first, last)]
        raise InterpolatorError(f"frame {number} is {sizes[1]}, the ones before {sizes[0]}: fit them to one size first")
    if not first.seconds < last.seconds:
        raise InterpolatorError(
            f"expected the times of frames to rise; frame {number} is shown at {last.seconds:g}, "
            f"the one before at {first.seconds:g}"
        )


def _step(first: TimedFrame, last: TimedFrame, thumbnails: tuple[np.ndarray, np.ndarray]) -> _Step:
    change = np.abs(thumbnails[1] - thumbnails[0])
    most = float(change.max())
    alike = most < ALIKE
    equal = alike and np.array_equal(first.pixels, last.pixels)
    return _Step(first, last, thumbnails, float(change.mean()), most, alike, equal)


def _judge_cuts(steps: Iterable[_Step], seam: bool) -> Iterator[_Step]:
    """The same steps, each after NEIGHBOURS more have been seen, with those that are cuts marked.

    Repeats say little of what is usual. A step with no other beside it is none: two frames are a pair to be joined.
    """
    before: deque[_Pace] = deque(maxlen=NEIGHBOURS)
    ahead: deque[_Step] = deque()

    def judge() -> _Step:
        step = ahead.popleft()
        around = [*before, *((other.change, other.alike) for other in ahead)]
        before.append((step.change, step.alike))
        moving = [change for change, alike in around if not alike]
        cut = bool(around) and is_cut(*step.thumbnails, moving, repeats=len(around) - len(moving))
        if not cut or (seam and not ahead):
            return step
        log.debug("a scene cut at %g s is kept", step.last.seconds)
        return replace(step, cut=True)

    for step in steps:
        ahead.append(step)
        if len(ahead) > NEIGHBOURS:
            yield judge()
    while ahead:
        yield judge()


_Pace: TypeAlias = tuple[float, bool]  # the change of a step, and whether it is a repeat
