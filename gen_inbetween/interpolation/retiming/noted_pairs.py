"""Pairs of a film, counted and measured while they are read."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

from gen_inbetween.interpolation.faults.doubt import FilmQuality, PairKind, PairQuality
from gen_inbetween.interpolation.faults.pair_meter import PairMeter
from gen_inbetween.interpolation.retiming.frame_pairs import Duplicates, FramePair, TimedFrame, frame_pairs
from gen_inbetween.interpolation.retiming.workers import one_thread_each


@dataclass
class Notes:
    """What is noted of a film while it is read; number_at: the output's frame that shows a second of the source."""

    quality: FilmQuality = field(default_factory=FilmQuality)
    cuts: int = 0
    duplicates: int = 0  # frames that repeat the one before: bit for bit, or left out
    changes: list[float] = field(default_factory=list)  # from frame to frame, as `FramePair.change`; 0: left out
    number_at: Callable[[float], int] = int


def noted_pairs(
    frames: Iterable[TimedFrame],
    notes: Notes,
    draws: Callable[[float, float], bool],
    *,
    cuts: bool = True,
    duplicates: Duplicates = "keep",
    seam: float | None = None,
    seconds: Callable[[float], float] = float,
) -> Iterator[FramePair]:
    """The pairs of the frames, those whose motion is doubtful marked.

    Args:
        draws: whether a frame is drawn between two times of the frames.
        cuts, duplicates: as in `frame_pairs`. seam: when a loop shows its first frame again.
        seconds: of the source, of a time of the frames.
    """
    unpaired: deque[float] = deque()
    meter = PairMeter()

    def noting_times() -> Iterator[TimedFrame]:
        for frame in frames:
            unpaired.append(frame.seconds)
            yield frame

    for pair in frame_pairs(noting_times(), cuts=cuts, duplicates=duplicates, seam=seam is not None):
        left_out = -1
        while unpaired[0] < pair.last.seconds:
            unpaired.popleft()
            left_out += 1
        kind = _kind(pair, draws)
        notes.duplicates += left_out + (kind == "repeat" and pair.last.seconds != seam)
        notes.cuts += pair.cut
        notes.changes += [0.0] * left_out + [pair.change]
        measured = 0.0, 0.0
        if kind == "drawn":
            with one_thread_each():  # for the same figures, whether a run goes on or begins, and whoever draws
                measured = meter.measure(pair.first.pixels, pair.last.pixels)
        quality = PairQuality(seconds(pair.first.seconds), seconds(pair.last.seconds), kind, *measured)
        notes.quality.add(quality)
        yield replace(pair, doubtful=notes.quality.is_doubtful(quality))


def _kind(pair: FramePair, draws: Callable[[float, float], bool]) -> PairKind:
    if pair.cut:
        return "cut"
    if pair.hold:
        return "stands" if pair.first.stands else "repeat"
    return "drawn" if draws(pair.first.seconds, pair.last.seconds) else "passed"
