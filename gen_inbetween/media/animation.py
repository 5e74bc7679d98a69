"""Video source: a GIF, WebP or PNG animation, read by Pillow.

FFmpeg misjudges the rate of a GIF whose frame times differ. Pillow knows how long a frame shows only once it is
decoded, so the first look decodes all of them; they are kept for the reading that follows as long as they are few.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageSequence

from gen_inbetween.media.frames.colour import FilmColour
from gen_inbetween.media.frames.pixels import most_pixels, said_of_bomb
from gen_inbetween.media.frames.screen import Pixels
from gen_inbetween.media.image import FrameError, open_image
from gen_inbetween.media.source import Source, Timeline, VideoError
from gen_inbetween.media.times.pauses import mean_rate

ANIMATION_SUFFIXES = frozenset({".gif", ".webp", ".png", ".apng"})
KEPT_BYTES = 128e6  # of decoded frames: 650 of 256 x 256 pixels; a larger animation is decoded again when it is read
_FASTEST_MS, _UNTIMED_MS = 10, 100  # browsers show a frame that says 0 to 10 ms for 100 ms


@dataclass(frozen=True)
class _Decoded:
    durations: list[float]  # milliseconds of each frame, as it is played
    frames: list[Image.Image] | None  # None where they are too many
    alpha: bool
    plays: int  # 0: without end


class Animation(Source):
    """An animated GIF, WebP or PNG file. VideoError, at the first look: it does not move, or is damaged."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @cached_property
    def _decoded(self) -> _Decoded:
        durations: list[float] = []
        frames: list[Image.Image] | None = []
        alpha = False
        with _opened(self.path) as image:
            for frame in _frames_of(image):
                frame.load()
                durations.append(_as_played(frame.info.get("duration", 0)))
                alpha = alpha or frame.has_transparency_data
                if frames is not None and 4 * frame.width * frame.height * len(durations) <= KEPT_BYTES:
                    frames.append(open_image(frame))
                else:
                    frames = None
            return _Decoded(durations, frames, alpha, _plays(image))

    @property
    def fps(self) -> float | None:
        durations = self._decoded.durations
        return 1000 * len(durations) / sum(durations)

    def read_timeline(self) -> Timeline:
        durations = self._decoded.durations
        times = np.concatenate([[0], np.cumsum(durations)]) / 1000
        return Timeline(times, mean_rate(times), len(set(durations)) > 1, plays=self._decoded.plays)

    @property
    def colour(self) -> FilmColour:
        return FilmColour(chroma="rgb", alpha=self._decoded.alpha)

    def read(self, start: int, stop: int | None, stride: int) -> Iterator[Pixels]:
        kept, mode = self._decoded.frames, "RGBA" if self._decoded.alpha else "RGB"
        if kept is not None:
            yield from (np.array(frame.convert(mode)) for frame in kept[start:stop:stride])
            return
        with _opened(self.path) as image:
            for frame in itertools.islice(_frames_of(image), start, stop, stride):
                yield np.array(open_image(frame).convert(mode))


def _frames_of(image: Any) -> Iterator[Any]:
    """The frames that are played: not the picture an animated PNG holds for programs that show only one."""
    return itertools.islice(ImageSequence.Iterator(image), bool(getattr(image, "default_image", False)), None)


def _as_played(milliseconds: float) -> float:
    return milliseconds if milliseconds > _FASTEST_MS else _UNTIMED_MS


def _plays(image: Any) -> int:
    """How many times the animation is played; 0: without end. A GIF says how often it is played again, or nothing."""
    loop = image.info.get("loop")
    if image.format == "GIF":
        return 1 if loop is None else (loop and loop + 1)
    return int(loop or 0)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """The animation as Pillow opens it. VideoError: it does not move, or is damaged."""
    most_pixels()
    try:
        with Image.open(path) as image:
            image.load()
            if not (getattr(image, "is_animated", False) or image.info.get("duration")):
                raise VideoError(f"{path} is a still image; expected a video, an animation or a folder of images")
            yield image
    except Image.DecompressionBombError as error:
        raise VideoError(said_of_bomb(path, error)) from error
    except (OSError, SyntaxError, FrameError) as error:
        raise VideoError(f"{path} is not an animation that can be read, or is damaged: {error}") from error
