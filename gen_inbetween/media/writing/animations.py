"""Writing of animations: GIF, WebP and animated PNG, with their transparency."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

log = logging.getLogger("gen_inbetween")

_CLEAR = 255  # the colour of a GIF's palette that is kept for what is transparent


def save_animation(
    images: list[Image.Image], path: Path, kind: str, starts: Sequence[float], quality: int, plays: int = 0
) -> None:
    """Write RGB or RGBA images of one size as "gif", "webp" or "apng".

    Equal neighbours are stored once and shown longer. GIF counts hundredths of a second, and knows no half-transparent
    pixel: those of less than half are left clear.

    Args:
        starts: seconds at which each image begins, and at which the last one ends.
        plays: how many times it is played; 0: without end.
    """
    unit, least = (10, 20) if kind == "gif" else (1, 11)  # ms; browsers show for 100 ms what says less
    durations = frame_times(starts, unit)
    if min(durations) < least:
        rate, most = len(images) / (starts[-1] - starts[0]), 1000 / least
        message = "%s players slow down above %.3g fps: what is faster is written with %.3g fps instead of %.6g"
        log.warning(message, kind.upper(), most, most, rate)
        durations = [max(least, duration) for duration in durations]
    _SAVERS[kind](images, path, durations, quality, plays)


def _save_gif(images: list[Image.Image], path: Path, durations: list[int], quality: int, plays: int) -> None:
    clear = any(image.mode == "RGBA" for image in images)
    palette = _shared_palette(images, 255 if clear else 256)  # one for all frames: with one each, still parts flicker
    indexed = [_indexed(image, palette) for image in images]
    options: dict[str, int] = {"transparency": _CLEAR, "disposal": 2} if clear else {"disposal": 1}
    if plays != 1:  # it says how often it is played again, or nothing
        options["loop"] = max(0, plays - 1)
    indexed[0].save(path, "GIF", save_all=True, append_images=indexed[1:], duration=durations, **options)


def _indexed(image: Image.Image, palette: Image.Image) -> Image.Image:
    indices = image.convert("RGB").quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG)
    if image.mode != "RGBA":
        return indices
    values = np.array(indices)
    values[np.asarray(image)[..., 3] < 128] = _CLEAR
    with_clear = Image.fromarray(values, "P")
    with_clear.putpalette(indices.getpalette() or [])
    return with_clear


def _shared_palette(images: list[Image.Image], colours: int, samples: int = 16) -> Image.Image:
    chosen = images[:: max(1, len(images) // samples)]
    strip = Image.new("RGB", (chosen[0].width, chosen[0].height * len(chosen)))
    for row, image in enumerate(chosen):
        strip.paste(image, (0, row * image.height))
    return strip.quantize(colours, method=Image.Quantize.MEDIANCUT)


def _save_webp(images: list[Image.Image], path: Path, durations: list[int], quality: int, plays: int) -> None:
    first, *others = images
    first.save(path, "WEBP", save_all=True, append_images=others, duration=durations, loop=plays, quality=quality)


def _save_apng(images: list[Image.Image], path: Path, durations: list[int], quality: int, plays: int) -> None:
    first, *others = images
    first.save(path, "PNG", save_all=True, append_images=others, duration=durations, loop=plays)


def frame_times(starts: Sequence[float], unit: int) -> list[int]:
    """How long each frame shows, in ms: each starts at the multiple of `unit` ms that is nearest to its time.

    Of the seconds at which frames begin and the last one ends; no error adds up.
    """
    rounded = [round(1000 * start / unit) * unit for start in starts]
    return [max(unit, after - before) for before, after in itertools.pairwise(rounded)]


_SAVERS = {"gif": _save_gif, "webp": _save_webp, "apng": _save_apng}
