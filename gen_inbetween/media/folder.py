"""Video source: a folder of images, or a list of image files."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image

from gen_inbetween.media.image import FrameError, load_image
from gen_inbetween.media.source import DEFAULT_RATE, IMAGE_SUFFIXES, Source, Timeline, VideoError

log = logging.getLogger("gen_inbetween")


class Folder(Source):
    """The images of a folder in natural order, or image files in the order given.

    Args:
        path: the folder, or the files.
        rate: frames a second; None assumes DEFAULT_RATE, with a notice, where a time is asked for.

    Raises:
        VideoError: no images, or a rate outside 0.1..1000.
    """

    def __init__(self, path: Path | Sequence[Path], rate: float | None = None) -> None:
        self.path = path if isinstance(path, Path) else (path[0].parent if path else Path())
        self.files = image_files(path) if isinstance(path, Path) else list(path)
        self.rate = rate
        if not self.files:
            raise VideoError(f"{self.path} holds no images; expected frames such as frame_00000.png")
        if rate is not None and not 0.1 <= rate <= 1000:
            raise VideoError(f"frames a second are between 0.1 and 1000; got {rate}")

    @property
    def fps(self) -> float | None:
        return self.rate

    def read_timeline(self) -> Timeline:
        if self.rate is None:
            message = "%s is a folder of images, which has no rate: %d frames a second are assumed"
            log.info(message, self.path, DEFAULT_RATE)
        rate = Fraction(self.rate or DEFAULT_RATE).limit_denominator(1001)  # 29.97 means 30000/1001
        return Timeline(np.arange(len(self.files) + 1) / float(rate), rate)

    def read(self, start: int, stop: int | None, stride: int) -> Iterator[Image.Image]:
        size: tuple[int, int] | None = None
        for path in self.files[start:stop:stride]:
            try:
                frame = load_image(path)
            except FrameError as error:
                raise VideoError(str(error)) from error
            size = size or frame.size
            if frame.size != size:
                raise VideoError(
                    f"frames of one folder have one size; {path} is {frame.size}, those before it are {size}"
                )
            yield frame


def image_files(folder: Path) -> list[Path]:
    """The images of a folder in natural order, 2 before 10; hidden files are none."""
    images = (file for file in folder.iterdir() if file.suffix.lower() in IMAGE_SUFFIXES and file.name[0] != ".")
    return sorted(images, key=natural_order)


def natural_order(path: Path) -> list[tuple[int, int, str]]:
    """Sort key by which numbers in names count as numbers.

    >>> [path.name for path in sorted(map(Path, ["f10.png", "F2.png", "f1.png"]), key=natural_order)]
    ['f1.png', 'F2.png', 'f10.png']
    """
    parts = re.split(r"(\d+)", path.name)
    return [(1, int(part), "") if part.isdecimal() else (0, 0, part.lower()) for part in parts] + [(0, 0, path.name)]
