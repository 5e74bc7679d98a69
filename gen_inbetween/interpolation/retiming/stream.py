"""Frames of a video at any times, in constant memory.

    t within a pair a, b shown at t_a and t_b:    frame = f(a, b, (t - t_a) / (t_b - t_a))

Times that meet a source frame show it bit for bit. Kinds that look at a reference walk: each next frame of a pair
looks at the one before it (InterpAny-Clearer, section 3.2), so that many frames between two stay one motion. Nothing is
lost by that: 127 steps of tiny-di are as near to the truth as single ones, 28.54 dB and 28.53. Midpoint networks share
their halves.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from time import perf_counter
from typing import Any

import numpy as np
from torch import Tensor

from gen_inbetween.interpolation.film import draw_between, draw_changed, redraw
from gen_inbetween.interpolation.interpolator import FrameInterpolator, InterpolatorError, Reference
from gen_inbetween.interpolation.pairs import between_frames
from gen_inbetween.interpolation.retiming.curves import Array
from gen_inbetween.interpolation.retiming.frame_pairs import FramePair
from gen_inbetween.interpolation.retiming.large_motion import DRAWN, Treatment
from gen_inbetween.interpolation.retiming.workers import in_order
from gen_inbetween.media.frames.overlays import held
from gen_inbetween.media.frames.screen import Pixels
from gen_inbetween.runtime.progress import track

MEETS = 1e-6  # of a pair's time: a time this near to a source frame is the frame's


def retime_pairs(
    pairs: Iterable[FramePair],
    times: Iterable[float],
    interpolator: FrameInterpolator,
    *,
    passthrough: bool = True,
    iters: int = 1,
    treatment: Treatment = DRAWN,
    workers: int = 0,
    on_first: Callable[[float], object] | None = None,
) -> Iterator[Pixels]:
    """The frames shown at `times`; pairs are read as they are needed, and no further than the last time.

    Args:
        pairs: one or more, each beginning where the one before ends (`frame_pairs`).
        times: in the unit of the frames' seconds, rising or equal; before the first frame and after the last one, that
            frame is shown.
        passthrough: source frames appear as they are; False: passed through the interpolator (`pairs.pass_through`), so
            that no frame is sharper than its neighbours.
        iters: for the "+ref" kinds, steps from one frame to the next, or from the source frame to the first.
        treatment: of pairs whose motion is doubtful.
        workers: threads that draw pairs ahead, side by side; 0: each frame is drawn when it is asked for.
        on_first: called with the seconds that the first frame took to be drawn.

    Raises:
        InterpolatorError: while reading: frames as in `frame_pairs`, times that fall.
    """
    parts = _parts(pairs, _check_rising(times), _Source(interpolator, passthrough, iters, treatment, on_first))
    yield from in_order(parts, workers) if workers else itertools.chain.from_iterable(parts)


def _parts(pairs: Iterable[FramePair], rising: Iterator[float], source: _Source) -> Iterator[Iterator[Pixels]]:
    """The frames within each pair, and those after the last one."""
    time: float | None = None
    for number, pair in enumerate(pairs):
        time = next(rising, None) if number == 0 else time
        length = pair.last.seconds - pair.first.seconds
        shares: list[float] = []
        while time is not None and time < pair.last.seconds - MEETS * length:
            shares.append((time - pair.first.seconds) / length)
            time = next(rising, None)
        yield _within(pair, shares, source)
        if time is None:
            return
    yield (source(pair.last.pixels) for _ in itertools.chain([time], rising))


def retime_in_any_order(
    pairs: Iterable[FramePair],
    times: Array,
    interpolator: FrameInterpolator,
    *,
    passthrough: bool,
    iters: int,
    progress: bool,
    treatment: Treatment = DRAWN,
    workers: int = 0,
) -> list[Pixels]:
    """The frames of `retime_pairs` at times (N,) that may turn back; each different one is drawn once.

    The stream runs forwards; its frames are then put wherever they are wanted. progress: show a bar on stderr.
    """
    forwards, order = np.unique(times, return_inverse=True)
    options: dict[str, Any] = {"passthrough": passthrough, "iters": iters, "treatment": treatment, "workers": workers}
    frames = retime_pairs(pairs, forwards.tolist(), interpolator, **options)
    drawn = list(track(frames, interpolator.info.name, len(forwards), shown=progress))
    return [drawn[number] for number in order]


def draws_at(times: Array, first: float, last: float) -> bool:
    """Whether one of the rising `times` lies between two frames shown one after the other."""
    edge = MEETS * (last - first)
    return bool(np.searchsorted(times, last - edge) > np.searchsorted(times, first + edge, "right"))


def _check_rising(times: Iterable[float]) -> Iterator[float]:
    before = -float("inf")
    for time in times:
        if not time >= before:  # written so that NaN fails too
            raise InterpolatorError(f"expected times that rise, got {time:g} after {before:g}: sort them")
        yield time
        before = time


class _Source:
    """Source frames as they are to appear. The last one passed through is kept: held frames come often."""

    def __init__(
        self,
        interpolator: FrameInterpolator,
        passthrough: bool,
        iters: int,
        treatment: Treatment,
        on_first: Callable[[float], object] | None = None,
    ) -> None:
        self.interpolator, self.passthrough, self.iters, self.treatment = interpolator, passthrough, iters, treatment
        self.on_first = on_first
        self._last: tuple[Pixels, Pixels] | None = None

    def __call__(self, pixels: Pixels) -> Pixels:
        if self.passthrough:
            return pixels
        last = self._last  # read once and replaced whole: another thread's frame can never be handed out
        if last is None or last[0] is not pixels:
            last = self._last = pixels, redraw(pixels, self.interpolator, self.iters)
        return last[1]


def _within(pair: FramePair, shares: list[float], source: _Source) -> Iterator[Pixels]:
    """The frames at `shares` of a pair's time, below 1; those at 0 or before are its first frame."""
    inside = [share for share in shares if share > MEETS]
    yield from (source(pair.first.pixels) for _ in shares[len(inside) :])
    if pair.hold or (pair.doubtful and source.treatment.way == "hold"):
        turn = 1 if pair.first.stands else 0.5
        yield from (source(pair.first.pixels if share < turn else pair.last.pixels) for share in inside)
    elif inside:
        drawn = _drawn(pair, inside, source)
        if pair.overlay is None:
            yield from drawn
        else:
            ends = pair.first.pixels, pair.last.pixels
            yield from (held(each, *ends, share, pair.overlay) for each, share in zip(drawn, inside, strict=True))


def _drawn(pair: FramePair, shares: list[float], source: _Source) -> Iterator[Pixels]:
    """The frames at `shares` in (0, 1) of a pair's time."""
    ends = pair.first.pixels, pair.last.pixels
    treated = source.treatment.frames(*ends, shares, source.interpolator) if pair.doubtful else None
    if treated is not None:
        yield from treated
        return

    def walk(a: Tensor, b: Tensor) -> Iterator[Tensor]:
        return _walk(a, b, shares, source.interpolator, source.iters)

    begun = perf_counter()
    # A source frame that is redrawn would flicker beside parts that are not.
    draw = draw_changed if source.passthrough else draw_between
    for pixels in draw(*ends, walk, source.interpolator.device):
        on_first, source.on_first = source.on_first, None
        if on_first:
            on_first(perf_counter() - begun)
        yield pixels


def _walk(a: Tensor, b: Tensor, shares: list[float], interpolator: FrameInterpolator, iters: int) -> Iterator[Tensor]:
    """The frames at rising shares in (0, 1) of the way from a to b."""
    if not interpolator.info.kind.endswith("+ref"):
        yield from between_frames(a, b, shares, interpolator, iters)
        return
    pair = interpolator.pair(a, b)
    reference: Reference | None = None
    for share in shares:
        frame = pair.at(share, ref=reference, iters=iters)
        reference = frame, share
        yield frame
