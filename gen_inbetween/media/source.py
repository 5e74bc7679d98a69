"""Video sources: the base of containers, animations and folders.

A source gives its frames in two ways. `frames()` counts them, and gives every one or fails, as pictures to look at.
`between()` goes by the times they are shown at, which constant and variable rates both have, and gives arrays in the
film's own colour: of a damaged video what cannot be decoded is left out, counted and reported, and the frames around
it keep their times. Both hold one frame at a time.
"""

from __future__ import annotations

import itertools
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gen_inbetween.media.frames.colour import FilmColour
from gen_inbetween.media.frames.errors import VideoError
from gen_inbetween.media.frames.screen import WHITE, Pixels, image_of
from gen_inbetween.media.times.pauses import find_holds, mean_rate

log = logging.getLogger("gen_inbetween")

Seconds: TypeAlias = NDArray[np.float64]

VIDEO_SUFFIXES = (".mp4", ".webm", ".mkv", ".mov", ".avi", ".m4v", ".gif")  # what is looked for in a folder of clips
DEFAULT_RATE = 24  # frames a second where a source has no rate of its own


@dataclass(frozen=True)
class Timeline:
    """When the frames of a source are shown, in seconds from the first one's beginning."""

    times: Seconds  # of each frame's beginning, rising, and of the last one's end; 8 bytes a frame
    rate: Fraction | None  # frames a second; None where it varies
    variable: bool = False
    origin: float = 0.0  # the first frame's time on the file's own clock, which its sound keeps as well
    plays: int = 0  # how many times an animation is played; 0: without end


class Source(ABC):
    """One video, animation or folder of images; nothing is kept of it but the times of its frames."""

    path: Path

    @property
    @abstractmethod
    def fps(self) -> float | None:
        """Frames a second as the file states them; None where it does not."""

    @abstractmethod
    def read_timeline(self) -> Timeline:
        """Look through the source for the times of its frames. VideoError: there are none."""

    @property
    @abstractmethod
    def colour(self) -> FilmColour:
        """What the numbers of its frames mean. VideoError: no frame can be looked at."""

    @property
    def sample_aspect(self) -> Fraction | None:
        """Width : height of a pixel of the upright frames; None where it is square, or not said."""
        return None

    @abstractmethod
    def read(self, start: int, stop: int | None, stride: int) -> Iterator[Pixels]:
        """Frames start, start + stride, ... below stop, upright and of one size; VideoError: damage.

        Arrays (H, W, 3), or (H, W, 4) with straight alpha; uint8, or uint16 in 0..65535 for more than 8 bits.
        """

    def read_timed(self, chosen: slice, lose: Callable[[], None]) -> Iterator[tuple[Pixels, int]]:
        """(frame, number) of the chosen frames that can be decoded; `lose` is called for each packet that gives none.

        Here for sources that give every frame or fail.
        """
        numbers = range(chosen.start, chosen.stop)
        yield from zip(self.read(chosen.start, chosen.stop, 1), numbers, strict=True)

    @cached_property
    def timeline(self) -> Timeline:
        """When the frames are shown."""
        return self.read_timeline()

    @property
    def times(self) -> Seconds:
        """Seconds at which each frame begins, the first at 0."""
        return self.timeline.times[:-1]

    def frames(
        self, start: int = 0, stop: int | None = None, stride: int = 1, alpha: bool = False
    ) -> Iterator[Image.Image]:
        """Frames start, start + stride, ... below stop, as a slice would: upright RGB images of one size.

        They are as a screen shows them: 8 bits, square pixels, HDR tone-mapped, over white where they are transparent;
        alpha: RGBA instead where the source has transparency.
        The first is decoded at once, so that a damaged file or an empty range is known before any work.

        Raises:
            VideoError: an impossible range, no frame in it; damage, when the iterator gets there.
        """
        if start < 0 or stride < 1 or (stop is not None and stop <= start):
            raise VideoError(f"expected 0 <= start < stop and stride >= 1; got {start=}, {stop=}, {stride=}")
        frames = self.read(start, stop, stride)
        first = next(frames, None)
        if first is None and not start:
            raise VideoError(f"{self.path} holds no frame that can be read; it may be cut off")
        if first is None:
            raise VideoError(f"{self.path} has no frame {start}; it is shorter than that: choose an earlier start")
        colour, sample_aspect = self.colour, self.sample_aspect
        if colour.hdr:
            log.info("%s is HDR (%s): it is tone-mapped to BT.709", self.path, colour.transfer)
        ground = None if alpha else WHITE
        return (image_of(pixels, colour, sample_aspect, ground) for pixels in itertools.chain([first], frames))

    def between(self, start: float | None = None, stop: float | None = None) -> TimedVideo:
        """The frames that begin in start <= time < stop seconds from the first one, each shown whole.

        A picture that stands (a pause) is shown as far as it lies in the range, also where it began before.

        Raises:
            VideoError: an impossible range, or no frame in it.
        """
        low, high = start or 0.0, float("inf") if stop is None else stop
        if not 0 <= low < high:  # written so that NaN fails too
            raise VideoError(f"expected 0 <= start < stop in seconds; got start={start}, stop={stop}")
        line = self.timeline
        first, last = np.searchsorted(self.times, (low - 1e-9, high - 1e-9))  # 1.2 s is meant, whatever 36 / 30 is
        holds = find_holds(line.times)
        paused = first > 0 and bool(holds[first - 1]) and low < line.times[first] - 1e-9
        first -= paused
        if first == last:
            part = f"from {low:g} s on" if stop is None else f"from {low:g} to {high:g} s"
            raise VideoError(f"{self.path} has no frame {part}; it lasts {line.times[-1]:.3f} s")
        begin = low if paused else float(line.times[first])
        end = min(high, float(line.times[last])) if holds[last - 1] else float(line.times[last])
        times, stands, duration = (line.times[first:last] - begin).clip(0), holds[first:last], end - begin
        self._note_holds(np.diff(np.append(times, duration))[stands])
        return TimedVideo(
            self,
            slice(int(first), int(last)),
            times,
            duration,
            line.rate or mean_rate(line.times if stands.all() else line.times[first : last + 1]),
            line.variable,
            line.origin + begin,
            self.sample_aspect,
            self.colour,
            frozenset(times[stands].tolist()),
            line.plays,
        )

    def _note_holds(self, seconds: Seconds) -> None:
        if len(seconds):
            message = "%s: pictures that stand still: %d, for %.3g s at most; nothing is drawn while they stand"
            log.info(message, self.path, len(seconds), seconds.max())


@dataclass
class TimedVideo:
    """The chosen frames of a source and when they are shown; `frames()` decodes them one at a time."""

    source: Source
    chosen: slice  # of the source's frames
    times: Seconds  # of each frame, the first at 0, rising
    duration: float  # seconds from the first frame's beginning to the last one's end
    rate: Fraction  # frames a second; where it varies, on average
    variable: bool
    origin: float  # the first frame's time on the file's own clock, which its sound keeps as well
    sample_aspect: Fraction | None  # width : height of a pixel, where it is not square
    colour: FilmColour  # what the numbers of the frames mean
    holds: frozenset[float] = frozenset()  # the times of frames that stand: pauses, in which nothing is drawn
    plays: int = 0  # how many times an animation is played; 0: without end
    damaged: int = 0  # packets that gave no whole frame, counted while reading

    @property
    def path(self) -> Path:
        """Of the source."""
        return self.source.path

    def lose(self) -> None:
        """Count a packet that gave no whole frame."""
        self.damaged += 1

    def frames(self) -> Iterator[tuple[Pixels, float]]:
        """(array, seconds) of every frame that can be decoded; says at the end what could not be.

        Upright arrays (H, W, 3), or (H, W, 4) with straight alpha, in `colour`; uint8, or uint16 in 0..65535 where the
        source has more than 8 bits.
        """
        self.damaged = 0
        try:
            for pixels, number in self.source.read_timed(self.chosen, self.lose):
                yield pixels, float(self.times[number - self.chosen.start])
        finally:  # also where the reader has enough before the end
            if self.damaged:
                message = "%s is damaged: packets that could not be decoded, or only in part: %d; %s"
                remainder = "their frames are left out, and those built on them may show traces"
                log.warning(message, self.path, self.damaged, remainder)
