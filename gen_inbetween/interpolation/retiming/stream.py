"""Any times out of a video of any length: the frames shown then, one after the other, in constant memory.

    t in the span from a to b, at t_a and t_b:    frame = f(a, b, (t - t_a) / (t_b - t_a))

Times that meet a source frame show it bit for bit. Kinds that look at a reference walk: each next frame of a span
looks at the one before it (InterpAny-Clearer, section 3.2), so that many frames between two stay one motion. Nothing is
worn away by that: 127 steps of tiny-di are as near to the truth as single ones, 28.54 dB and 28.53. Midpoint networks
share their halves.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from PIL import Image
from torch import Tensor

from gen_inbetween.interpolation.interpolator import FrameInterpolator, InterpolatorError, Reference, check_kind
from gen_inbetween.interpolation.pairs import between_frames, frame_tensor, redrawn, tensor_frame
from gen_inbetween.interpolation.retiming.frame_pairs import Duplicates, Span, Timed, check_duplicates, spans

__all__ = ["Duplicates", "Timed", "retime_spans", "retime_stream"]

MEETS = 1e-6  # of a span: a time this near to a source frame is the frame's


def retime_stream(
    frames: Iterable[Timed],
    times: Iterable[float],
    interpolator: FrameInterpolator,
    *,
    passthrough: bool = True,
    cuts: bool = True,
    duplicates: Duplicates = "keep",
    iters: int = 1,
) -> Iterator[Image.Image]:
    """The frames shown at `times`; frames are read as they are needed, and no further than the last time.

    Args:
        frames: two or more, of one size, sides of SMALLEST pixels or more, at times that rise.
        times: in the unit of the frames' seconds, rising or equal; before the first frame and after the last one, that
            frame is shown.
        passthrough: source frames appear as they are; False: as the interpolator draws them (`redrawing.py`), so that
            no frame is sharper than its neighbours.
        cuts, duplicates: see `spans`. Over a cut the nearer side's frame is repeated.
        iters: for the "+ref" kinds, steps from one frame to the next, or from the source frame to the first.

    Raises:
        InterpolatorError: here: duplicates or iters that cannot be; while reading: frames as in `spans`, times that
            fall.
    """
    check_duplicates(duplicates)
    check_kind(interpolator.kind, 0.5, None, iters)
    found = spans(frames, cuts=cuts, duplicates=duplicates)
    return retime_spans(found, times, interpolator, passthrough=passthrough, iters=iters)


def retime_spans(
    spans: Iterable[Span], times: Iterable[float], interpolator: FrameInterpolator, *, passthrough: bool, iters: int
) -> Iterator[Image.Image]:
    """`retime_stream` of spans: one or more, each beginning where the one before ends."""
    asked = _rising(times)
    source = _Source(interpolator, passthrough, iters)
    waiting: float | None = None
    for number, span in enumerate(spans):
        waiting = next(asked, None) if number == 0 else waiting
        width = span.last.seconds - span.first.seconds
        places: list[float] = []
        while waiting is not None and waiting < span.last.seconds - MEETS * width:
            places.append((waiting - span.first.seconds) / width)
            waiting = next(asked, None)
        yield from _within(span, places, source)
        if waiting is None:
            return
    while waiting is not None:  # at the last frame and after it
        yield source(span.last.image)
        waiting = next(asked, None)


def _rising(times: Iterable[float]) -> Iterator[float]:
    before = -float("inf")
    for time in times:
        if not time >= before:  # written so that NaN fails too
            raise InterpolatorError(f"expected times that rise, got {time:g} after {before:g}: sort them")
        yield time
        before = time


class _Source:
    """Source frames as they are to appear. What was redrawn last is remembered: held frames are asked for often."""

    def __init__(self, interpolator: FrameInterpolator, passthrough: bool, iters: int) -> None:
        self.interpolator, self.passthrough, self.iters = interpolator, passthrough, iters
        self._last: tuple[Image.Image, Image.Image] | None = None

    def __call__(self, image: Image.Image) -> Image.Image:
        if self.passthrough:
            return image
        if self._last is None or self._last[0] is not image:
            frame = frame_tensor(image, self.interpolator.device)
            self._last = image, tensor_frame(redrawn(frame, self.interpolator, self.iters))
        return self._last[1]


def _within(span: Span, places: list[float], source: _Source) -> Iterator[Image.Image]:
    """The frames at `places` of a span, below 1; those at 0 or before are its first frame."""
    inside = [place for place in places if place > MEETS]
    yield from (source(span.first.image) for _ in places[len(inside) :])
    if span.held:
        yield from (source(span.first.image if place < 0.5 else span.last.image) for place in inside)
    elif inside:
        device = source.interpolator.device
        a, b = (frame_tensor(frame.image, device) for frame in (span.first, span.last))
        yield from map(tensor_frame, _walk(a, b, inside, source.interpolator, source.iters))


def _walk(a: Tensor, b: Tensor, places: list[float], interpolator: FrameInterpolator, iters: int) -> Iterator[Tensor]:
    """The frames at rising places in (0, 1) between a and b."""
    if not interpolator.kind.endswith("+ref"):
        yield from between_frames(a, b, places, interpolator, iters)
        return
    reference: Reference | None = None
    for place in places:
        frame = interpolator(a, b, place, ref=reference, iters=iters)
        reference = frame, place
        yield frame
