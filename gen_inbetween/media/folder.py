"""Video source: a folder of images, or a list of image files."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from fractions import Fraction
from functools import cached_property
from pathlib import Path

import numpy as np
from PIL import Image

from gen_inbetween.media.frames.colour import FilmColour
from gen_inbetween.media.frames.screen import Pixels
from gen_inbetween.media.image import FrameError, array_of, has_alpha
from gen_inbetween.media.reading.sequences import frame_steps, image_files, is_pattern, missing_frames, sequences_in
from gen_inbetween.media.source import DEFAULT_RATE, Source, Timeline, VideoError
from gen_inbetween.runtime.messages import warn_once

log = logging.getLogger("gen_inbetween")

_SAID = 6  # sequences that a notice names at most


class Folder(Source):
    """The images of a folder or a pattern in the order of their numbers, or image files in the order given.

    Numbers that are left out are frames that are not there: the ones around them keep their times.

    Args:
        path: the folder, a pattern (shot/f_%04d.png), or the files.
        rate: frames a second; None assumes DEFAULT_RATE, with a notice, where a time is asked for.

    Raises:
        VideoError: no images, or a rate outside 0.1..1000.
    """

    def __init__(self, path: Path | Sequence[Path], rate: float | Fraction | None = None) -> None:
        self.path = path if isinstance(path, Path) else (path[0].parent if path else Path())
        self.files = image_files(path) if isinstance(path, Path) else list(path)
        self.rate = rate
        if not self.files:
            raise VideoError(_nothing_in(self.path))
        self.steps = (frame_steps(self.files) if isinstance(path, Path) else None) or list(range(len(self.files)))
        if isinstance(path, Path) and not is_pattern(path) and (parts := sequences_in(self.files)):
            listed = ", ".join(parts[:_SAID]) + (", ..." if len(parts) > _SAID else "")
            example = path / next(part for part in parts if part.endswith(")")).rpartition(" (")[0]
            warn_once(
                f"{path} holds more than one sequence: {listed}; they are read one after the other, as one film. "
                f"A pattern names one of them: {example}"
            )
        if rate is not None and not 0.1 <= rate <= 1000:
            raise VideoError(f"frames a second are between 0.1 and 1000; got {rate}")

    @property
    def fps(self) -> float | None:
        return None if self.rate is None else float(self.rate)

    @property
    def _missing(self) -> str | None:
        """Which frames are not there, in words; files in an order of their own lack none."""
        return missing_frames(self.files) if self.steps[-1] >= len(self.files) else None

    def read_timeline(self) -> Timeline:
        if self.rate is None:
            message = "%s is a folder of images, which has no rate: %d frames a second are assumed"
            log.info(message, self.path, DEFAULT_RATE)
        rate = Fraction(self.rate or DEFAULT_RATE).limit_denominator(1001)
        if missing := self._missing:
            log.info("%s: %s; their time is filled by interpolation", self.path, missing)
        return Timeline(np.array([*self.steps, self.steps[-1] + 1]) / float(rate), rate)

    def frames(
        self, start: int = 0, stop: int | None = None, stride: int = 1, alpha: bool = False
    ) -> Iterator[Image.Image]:
        """As the base class says; frames that are not there are named, and not counted."""
        if missing := self._missing:
            log.info("%s: %s; those around follow one another", self.path, missing)
        return super().frames(start, stop, stride, alpha)

    @cached_property
    def colour(self) -> FilmColour:
        """Of the first image; with alpha where any image may have some, which their headers say."""
        bits = 16 if self._open(self.files[0], alpha=False).dtype == np.uint16 else 8
        return FilmColour(bits=bits, chroma="rgb", alpha=any(map(has_alpha, self.files)))

    def read(self, start: int, stop: int | None, stride: int) -> Iterator[Pixels]:
        size: tuple[int, int] | None = None
        alpha, deep = self.colour.alpha, self.colour.bits > 8
        for path in self.files[start:stop:stride]:
            frame = self._open(path, alpha, deep)
            here = frame.shape[1], frame.shape[0]
            size = size or here
            if here != size:
                raise VideoError(f"frames of one folder have one size; {path} is {here}, those before it are {size}")
            yield frame

    @staticmethod
    def _open(path: Path, alpha: bool, deep: bool | None = None) -> Pixels:
        try:
            return array_of(path, alpha=alpha, deep=deep)
        except FrameError as error:
            raise VideoError(str(error)) from error


def _nothing_in(path: Path) -> str:
    """What to say where no image was found."""
    if is_pattern(path) and not path.parent.is_dir():
        return f"no such folder: {path.parent}"
    if is_pattern(path):
        return f"{path.parent} holds no images named as {path.name}; expected f_0001.png, ... where f_%04d.png is said"
    files = path.iterdir() if path.name else ()
    kinds = sorted({file.suffix.lower() for file in files if file.suffix and file.is_file()})
    others = f" (but {', '.join(kinds[:_SAID])})" if kinds else ""
    return f"{path} holds no images{others}; expected frames such as frame_00000.png"
