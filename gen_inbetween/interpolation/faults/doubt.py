"""Doubtful motion between the frames of a film.

    doubt     99th percentile of |W(a, F_t0) - W(b, F_t1)| at t = 1/2, grey levels: what the motion leaves unexplained
    motion    99th percentile of |F_t1 - F_t0|, how far things move from frame to frame

Both are those of method "auto" (`generation/auto.py`), in pictures HEIGHT pixels high or as high as they are, by DIS
flow, whichever interpolator draws. Above DOUBTFUL a frame in between shows what moves twice, as a double exposure.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

import numpy as np

PairKind: TypeAlias = Literal["drawn", "cut", "repeat", "stands"]
KINDS: tuple[PairKind, ...] = get_args(PairKind)

HEIGHT = 256  # pixels to which larger frames are brought
PERCENTILE = 99
DOUBTFUL = 24.0  # grey levels of 255
MOST_POINTS = 600  # of the curve in a manifest


@dataclass(frozen=True)
class PairQuality:
    """What lies between two source frames shown one after the other."""

    seconds: float  # when the first is shown, in the time of the source
    until: float  # when the last is
    kind: PairKind  # drawn: there is motion to be drawn; cut, repeat, stands: nothing is drawn between them
    motion: float = 0.0  # pixels of a frame HEIGHT high
    doubt: float = 0.0  # grey levels

    @property
    def doubtful(self) -> bool:
        return self.doubt > DOUBTFUL


class FilmQuality:
    """The pairs of a film in the order they were read, a few bytes each."""

    def __init__(self) -> None:
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
    def doubtful(self) -> list[tuple[float, float]]:
        """The spans (from, to) in seconds of the source in which motion is larger than can be followed."""
        spans: list[tuple[float, float]] = []
        for pair in self:
            if not pair.doubtful:
                continue
            if spans and spans[-1][1] == pair.seconds:
                spans[-1] = spans[-1][0], pair.until
            else:
                spans.append((pair.seconds, pair.until))
        return spans

    def record(self) -> dict[str, Any]:
        """For a manifest: counts of each kind, the doubtful spans, and the worst of at most MOST_POINTS stretches."""
        counts = {kind: self._kinds.count(number) for number, kind in enumerate(KINDS)}
        spans = [(round(start, 3), round(stop, 3)) for start, stop in self.doubtful]
        return {"pairs": counts, "limit": DOUBTFUL, "doubtful_seconds": spans, "curve": self.curve()}

    def curve(self) -> list[dict[str, float]]:
        """Of each of at most MOST_POINTS stretches: its begin in seconds, its largest motion and its largest doubt."""
        figures = np.array(self._figures).reshape(-1, 4)
        parts = np.array_split(figures, min(len(figures), MOST_POINTS)) if len(figures) else []
        return [
            {
                "seconds": round(float(part[0, 0]), 3),
                "motion": round(float(part[:, 2].max()), 2),
                "doubt": round(float(part[:, 3].max()), 2),
            }
            for part in parts
        ]
