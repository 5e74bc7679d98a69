"""Writing of animations: GIF, WebP and animated PNG, with their transparency."""

from __future__ import annotations

import io
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
    _SAVERS[kind](images, path, durations, quality, min(plays, _MOST_PLAYS[kind]))


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
    if _all_equal(images):
        _save_standing_webp(first, path, sum(durations), quality, plays)
        return
    first.save(path, "WEBP", save_all=True, append_images=others, duration=durations, loop=plays, quality=quality)


def _save_apng(images: list[Image.Image], path: Path, durations: list[int], quality: int, plays: int) -> None:
    first, *others = images
    blend: int | list[int] = 0
    if others and _all_equal(images):  # Pillow makes a still picture of frames that it need not tell apart
        others, durations, blend = [first], [durations[0], sum(durations[1:])], [0, 1]
    first.save(path, "PNG", save_all=True, append_images=others, duration=durations, loop=plays, blend=blend)


def _all_equal(images: list[Image.Image]) -> bool:
    first = images[0].tobytes()
    return all(image.tobytes() == first for image in images[1:])


def _save_standing_webp(image: Image.Image, path: Path, duration: int, quality: int, plays: int) -> None:
    """An animation of one picture, which libwebp would make a still one, without its time.

    The chunks of the still picture, as a frame: https://developers.google.com/speed/webp/docs/riff_container
    """
    still = io.BytesIO()
    image.save(still, "WEBP", quality=quality)
    data, place, pixels = still.getvalue(), 12, b""
    while place < len(data):
        end = place + 8 + int.from_bytes(data[place + 4 : place + 8], "little")
        end += end % 2
        if data[place : place + 4] in (b"ALPH", b"VP8 ", b"VP8L"):
            pixels += data[place:end]
        place = end
    size = _bytes3(image.width - 1) + _bytes3(image.height - 1)
    animated, transparent = 0x02, 0x10 * (image.mode == "RGBA")
    chunks = _chunk(b"VP8X", bytes([animated | transparent, 0, 0, 0]) + size)
    chunks += _chunk(b"ANIM", bytes(4) + plays.to_bytes(2, "little"))
    chunks += _chunk(b"ANMF", bytes(6) + size + _bytes3(min(duration, 2**24 - 1)) + b"\2" + pixels)
    path.write_bytes(_chunk(b"RIFF", b"WEBP" + chunks))


def _chunk(name: bytes, content: bytes) -> bytes:
    return name + len(content).to_bytes(4, "little") + content + bytes(len(content) % 2)


def _bytes3(number: int) -> bytes:
    return number.to_bytes(3, "little")


def frame_times(starts: Sequence[float], unit: int) -> list[int]:
    """How long each frame shows, in ms: each starts at the multiple of `unit` ms that is nearest to its time.

    Of the seconds at which frames begin and the last one ends; no error adds up.
    """
    rounded = [round(1000 * start / unit) * unit for start in starts]
    return [max(unit, after - before) for before, after in itertools.pairwise(rounded)]


_MOST_PLAYS = {"gif": 2**16, "webp": 2**16 - 1, "apng": 2**31 - 1}  # that the format can say
_SAVERS = {"gif": _save_gif, "webp": _save_webp, "apng": _save_apng}
