"""Writing of animations: GIF, WebP and animated PNG, endless and with their transparency."""

from __future__ import annotations

import itertools
import logging
from pathlib import Path

import numpy as np
from PIL import Image

log = logging.getLogger("gen_inbetween")

_CLEAR = 255  # the colour of a GIF's palette that is kept for what is transparent


def save_animation(images: list[Image.Image], path: Path, kind: str, fps: float, quality: int) -> None:
    """Write RGB or RGBA images of one size as "gif", "webp" or "apng".

    Equal neighbours are stored once and shown longer. GIF counts hundredths of a second, and knows no half-transparent
    pixel: those of less than half are left clear.
    """
    _SAVERS[kind](images, path, fps, quality)


def _save_gif(images: list[Image.Image], path: Path, fps: float, quality: int) -> None:
    durations = frame_times(len(images), fps, unit=10)
    if min(durations) < 20:
        log.warning("GIF players slow down above 50 fps; %s is written with 50 fps instead of %g", path.name, fps)
        durations = [max(20, duration) for duration in durations]
    clear = any(image.mode == "RGBA" for image in images)
    palette = _shared_palette(images, 255 if clear else 256)  # one for all frames: with one each, still parts flicker
    indexed = [_indexed(image, palette) for image in images]
    options = {"transparency": _CLEAR, "disposal": 2} if clear else {"disposal": 1}
    indexed[0].save(path, "GIF", save_all=True, append_images=indexed[1:], duration=durations, loop=0, **options)


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


def _save_webp(images: list[Image.Image], path: Path, fps: float, quality: int) -> None:
    durations = frame_times(len(images), fps, unit=1)
    first, *others = images
    first.save(path, "WEBP", save_all=True, append_images=others, duration=durations, loop=0, quality=quality)


def _save_apng(images: list[Image.Image], path: Path, fps: float, quality: int) -> None:
    durations = frame_times(len(images), fps, unit=1)
    first, *others = images
    first.save(path, "PNG", save_all=True, append_images=others, duration=durations, loop=0)


def frame_times(num_frames: int, fps: float, unit: int) -> list[int]:
    """How long each frame shows, in ms: each starts at the multiple of `unit` ms that is nearest to its time."""
    starts = [round(1000 * index / fps / unit) * unit for index in range(num_frames + 1)]
    return [max(unit, after - before) for before, after in itertools.pairwise(starts)]


_SAVERS = {"gif": _save_gif, "webp": _save_webp, "apng": _save_apng}
