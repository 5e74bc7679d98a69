"""Doubtful motion between the frames of a film.

    doubt     what the motion between two frames leaves unexplained, grey levels (`pair_meter.py`)
    motion    how far things move from frame to frame, pixels of a frame 256 high

Above DOUBTFUL a frame in between is likely to show what moves twice, as a double exposure (`eval/doubt.md`).
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

import numpy as np

PairKind: TypeAlias = Literal["drawn", "passed", "cut", "repeat", "stands"]
KINDS: tuple[PairKind, ...] = get_args(PairKind)
Span: TypeAlias = tuple[float, float]  # from, to: seconds

DOUBTFUL = 40.0  # grey levels of 255
MOST_POINTS = 400  # of the curve in a manifest
MOST_SPANS = 100  # of a kind in a manifest; the nearest are joined where there are more
MOST_CUTS = 1000
SAID_SPANS = 6  # in a notice


@dataclass(frozen=True)
class PairQuality:
    """What lies between two source frames shown one after the other."""

    seconds: float  # when the first is shown, in the time of the source
    until: float  # when the last is
    kind: PairKind  # drawn: frames are; passed: none falls there; cut, repeat, stands: nothing is drawn in between
    motion: float = 0.0  # pixels of a frame 256 high
    doubt: float = 0.0  # grey levels


class FilmQuality:
    """The pairs of a film in the order they were read, a few bytes each; doubtful are those above `limit`."""

    def __init__(self, limit: float = DOUBTFUL) -> None:
        self.limit = limit
        self._figures = array("d")
        self._kinds = bytearray()

    def add(self, pair: PairQuality) -> None:
        """Note the next pair."""
        self._figures.extend((pair.seconds, pair.until, pair.motion, pair.doubt))
        self._kinds.append(KINDS.index(pair.kind))

    def __len__(self) -> int:
        return len(self._kinds)

    def __iter__(self) -> Iterator[PairQuality]:
        for number, kind in enumerate(self._kinds):
            seconds, until, motion, doubt = self._figures[4 * number : 4 * number + 4]
            yield PairQuality(seconds, until, KINDS[kind], motion, doubt)

    @property
    def doubtful(self) -> list[Span]:
        """The spans in seconds of the source in which motion is larger than can be followed."""
        return spans_of(filter(self.is_doubtful, self))

    def is_doubtful(self, pair: PairQuality) -> bool:
        return pair.doubt > self.limit

    def worst(self, count: int, limit: float | None = None) -> list[PairQuality]:
        """The pairs with most doubt, at most `count` of them and not all from one place, in the order of time.

        limit: those above it; None: the doubtful ones.
        """
        least = self.limit if limit is None else limit
        pairs = sorted((pair for pair in self if pair.doubt > least), key=lambda pair: -pair.doubt)
        if not pairs:
            return []
        apart = (self._figures[-3] - self._figures[0]) / (3 * count)
        chosen: list[PairQuality] = []
        for pair in pairs:
            if len(chosen) < count and all(abs(pair.seconds - other.seconds) >= apart for other in chosen):
                chosen.append(pair)
        return sorted(chosen, key=lambda pair: pair.seconds)

    def record(self) -> dict[str, Any]:
        """For a manifest: how many pairs are of each kind, and where; the curve of motion and doubt."""
        spans = {kind: spans_of(pair for pair in self if pair.kind == kind) for kind in ("repeat", "stands")}
        spans = {"doubtful": self.doubtful, **spans}
        return {
            "pairs": {kind: self._kinds.count(number) for number, kind in enumerate(KINDS)},
            "until": round(self._figures[-3], 3) if len(self) else 0.0,
            "limit": self.limit,
            "doubtful_seconds": round(sum(until - seconds for seconds, until in self.doubtful), 3),
            "spans": {kind: [rounded(span) for span in join_nearest(each, MOST_SPANS)] for kind, each in spans.items()},
            "cuts": [round(pair.until, 3) for pair in self if pair.kind == "cut"][:MOST_CUTS],
            "curve": self.curve(),
        }

    def curve(self) -> dict[str, list[float]]:
        """Of each of at most MOST_POINTS stretches: its begin in seconds, its largest motion and its largest doubt."""
        figures = np.array(self._figures).reshape(-1, 4)
        parts = np.array_split(figures, min(len(figures), MOST_POINTS)) if len(figures) else []
        return {
            "seconds": [round(float(part[0, 0]), 3) for part in parts],
            "motion": [round(float(part[:, 2].max()), 2) for part in parts],
            "doubt": [round(float(part[:, 3].max()), 2) for part in parts],
        }

    def notice(self) -> str | None:
        """Which seconds are doubtful, in a line; None: none are."""
        if not self.doubtful:
            return None
        total = sum(until - seconds for seconds, until in self.doubtful)
        length = self._figures[-3] - self._figures[0]
        return f"large motion at {spans_in_words(self.doubtful)} ({total:.1f} of {length:.1f} s)"


def spans_of(pairs: Iterable[PairQuality]) -> list[Span]:
    """The times of pairs, those that follow each other joined."""
    spans: list[Span] = []
    for pair in pairs:
        if spans and spans[-1][1] == pair.seconds:
            spans[-1] = spans[-1][0], pair.until
        else:
            spans.append((pair.seconds, pair.until))
    return spans


def join_nearest(spans: list[Span], most: int) -> list[Span]:
    """At most `most` spans, for which those with the smallest gaps between them are joined.

    >>> join_nearest([(0, 1), (1.5, 2), (8, 9)], 2)
    [(0, 2), (8, 9)]
    """
    if len(spans) <= most:
        return spans
    gaps = sorted(range(1, len(spans)), key=lambda number: spans[number][0] - spans[number - 1][1])
    begins = sorted([0, *gaps[len(spans) - most :]])
    return [
        (spans[begin][0], spans[stop - 1][1]) for begin, stop in zip(begins, [*begins[1:], len(spans)], strict=True)
    ]


def spans_in_words(spans: Iterable[Sequence[float]]) -> str:
    """At most SAID_SPANS spans as a player shows times; one of less than a tenth of a second is a moment.

    >>> spans_in_words([(0.5, 1), (12.42, 12.44)])
    '00:00.5-00:01.0, 00:12.4'
    """
    ends = [(clock(begin), clock(end)) for begin, end in join_nearest([(a, b) for a, b in spans], SAID_SPANS)]
    return ", ".join(begin if begin == end else f"{begin}-{end}" for begin, end in ends)


def rounded(span: Span) -> list[float]:
    return [round(seconds, 3) for seconds in span]


def clock(seconds: float) -> str:
    """Seconds as a player shows them.

    >>> clock(12.44), clock(3725.06)
    ('00:12.4', '1:02:05.1')
    """
    tenths = round(seconds * 10)
    minutes, tenths = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:" * bool(hours) + f"{minutes:02d}:{tenths / 10:04.1f}"
