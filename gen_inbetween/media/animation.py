"""Video source: a GIF, WebP or PNG animation, read by Pillow.

FFmpeg misjudges the rate of a GIF whose frame times differ. Pillow knows how long a frame shows only once it is
decoded, so the first look decodes all of them; they are kept for the reading that follows as long as they are few.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageSequence

from gen_inbetween.media.frames.colour import FilmColour
from gen_inbetween.media.frames.screen import Pixels
from gen_inbetween.media.image import FrameError, open_image
from gen_inbetween.media.source import Source, Timeline, VideoError

ANIMATION_SUFFIXES = frozenset({".gif", ".webp", ".png", ".apng"})
KEPT_BYTES = 128e6  # of decoded frames: 650 of 256 x 256 pixels; a larger animation is decoded again when it is read
_UNTIMED_MS = 100  # what browsers make of an animation's frame that says 0 ms


class Animation(Source):
    """An animated GIF, WebP or PNG file. VideoError, at the first look: it does not move, or is damaged."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @cached_property
    def _decoded(self) -> tuple[list[float], list[Image.Image] | None, bool]:
        """Milliseconds of each frame, as the file states them; the frames, or None where they are too many; alpha."""
        durations: list[float] = []
        frames: list[Image.Image] | None = []
        alpha = False
        with _opened(self.path) as image:
            for frame in ImageSequence.Iterator(image):
                frame.load()
                durations.append(frame.info.get("duration", 0))
                alpha = alpha or frame.has_transparency_data
                if frames is not None and 4 * frame.width * frame.height * len(durations) <= KEPT_BYTES:
                    frames.append(open_image(frame))
                else:
                    frames = None
        return durations, frames, alpha

    @property
    def fps(self) -> float | None:
        durations = self._decoded[0]
        return 1000 * len(durations) / sum(durations) if sum(durations) else None

    def read_timeline(self) -> Timeline:
        durations = [duration or _UNTIMED_MS for duration in self._decoded[0]]
        times = np.concatenate([[0], np.cumsum(durations)]) / 1000
        return Timeline(times, Fraction(len(durations) / times[-1]).limit_denominator(1001), len(set(durations)) > 1)

    @property
    def colour(self) -> FilmColour:
        return FilmColour(chroma="rgb", alpha=self._decoded[2])

    def read(self, start: int, stop: int | None, stride: int) -> Iterator[Pixels]:
        _, kept, alpha = self._decoded
        mode = "RGBA" if alpha else "RGB"
        if kept is not None:
            yield from (np.array(frame.convert(mode)) for frame in kept[start:stop:stride])
            return
        with _opened(self.path) as image:
            for frame in itertools.islice(ImageSequence.Iterator(image), start, stop, stride):
                yield np.array(open_image(frame).convert(mode))


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """The animation as Pillow opens it. VideoError: it does not move, or is damaged."""
    try:
        with Image.open(path) as image:
            image.load()
            if not (getattr(image, "is_animated", False) or image.info.get("duration")):
                raise VideoError(f"{path} is a still image; expected a video, an animation or a folder of images")
            yield image
    except (OSError, SyntaxError, FrameError) as error:
        raise VideoError(f"{path} is not an animation that can be read, or is damaged: {error}") from error
