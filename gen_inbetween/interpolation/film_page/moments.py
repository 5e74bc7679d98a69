"""Pictures for a film's page: its moments and a strip."""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gen_inbetween.interpolation.faults.doubt import FilmQuality, PairQuality
from gen_inbetween.media.frames.screen import image_of
from gen_inbetween.media.source import Source, TimedVideo, VideoError
from gen_inbetween.media.video import open_source
from gen_inbetween.media.writing.outputs import place_of
from gen_inbetween.runtime.outputs import STDOUT
from gen_inbetween.runtime.progress import track

MOST_MOMENTS = 8
FOLLOWED = 2  # shown where none is doubtful
STRIP = 8  # pictures along the film
WIDTH = 560  # pixels of a picture at most
QUALITY = 80  # of WebP


@dataclass(frozen=True)
class Moment:
    """A pair of source frames, what was made in between, and how much to doubt it; a picture may be missing."""

    pair: PairQuality
    shown: float | None  # seconds of the output at which `between` is seen
    before: str | None  # a data URI, as the next two
    between: str | None
    after: str | None


@dataclass(frozen=True)
class Pictures:
    """What a page shows of a film: its moments, and (seconds, data URI) along the source."""

    moments: Sequence[Moment] = ()
    strip: Sequence[tuple[float, str]] = ()


def shown_pairs(quality: FilmQuality) -> list[PairQuality]:
    """The pairs that are worth a look: the doubtful ones, or the two with most doubt where none is."""
    return quality.worst(MOST_MOMENTS) or quality.worst(FOLLOWED, limit=0.0)


def pictures_of(
    quality: FilmQuality,
    film: TimedVideo,
    out: Path,
    rate: float,
    number_at: Callable[[float], int],
    *,
    progress: bool,
) -> Pictures:
    """The pictures of a film and its output, each read once from begin to end.

    Args:
        out: the output as it was named; nothing is read again of standard output.
        rate: frames a second of the output.
        number_at: the frame of the output that shows this second of the film, or the nearest to it.
    """
    pairs = shown_pairs(quality)
    length = max((pair.until for pair in quality), default=0.0)
    along = [length * (place + 0.5) / STRIP for place in range(STRIP)]
    wanted = [*along, *(time for pair in pairs for time in (pair.seconds, pair.until))]
    source = pictures_at(film.source, film.chosen.start, film.times, wanted, progress)
    shown = [number_at((pair.seconds + pair.until) / 2) / rate for pair in pairs]
    made: dict[float, str] = {}
    if os.fspath(out) != STDOUT:
        again = open_source(out, folder_rate=rate if place_of(out).is_dir() else None)
        made = pictures_at(again, 0, again.times, shown, progress)
    moments = [
        Moment(pair, second, source.get(pair.seconds), made.get(second), source.get(pair.until))
        for pair, second in zip(pairs, shown, strict=True)
    ]
    return Pictures(moments, [(time, source[time]) for time in along if time in source])


def pictures_at(
    source: Source, first: int, times: NDArray[np.float64], seconds: Iterable[float], progress: bool
) -> dict[float, str]:
    """The frames shown at these seconds, as data URIs; the source is read once, as far as it can be.

    first, times: the number of the first frame, and when it and those after it are shown.
    """
    wanted: dict[int, list[float]] = {}
    for time in set(seconds):
        number = first + max(0, int((times <= time + 1e-6).sum()) - 1)
        wanted.setdefault(number, []).append(time)
    pictures: dict[float, str] = {}
    count = max(wanted, default=first) + 1 - first
    frames = source.read_timed(slice(first, first + count), lambda: None)
    with suppress(VideoError):  # what cannot be read was said while the film was made
        for pixels, number in track(frames, f"pictures of {source.path.name}", count, shown=progress):
            for time in wanted.get(number, ()):
                pictures[time] = data_uri(image_of(pixels, source.colour, source.sample_aspect))
    return pictures


def data_uri(image: Image.Image) -> str:
    """An image, made smaller where it is large, inside of a page."""
    if image.width > WIDTH:
        image = image.resize((WIDTH, max(1, round(image.height * WIDTH / image.width))), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    image.convert("RGB").save(file, "WEBP", quality=QUALITY, method=4)
    return "data:image/webp;base64," + base64.b64encode(file.getvalue()).decode()
