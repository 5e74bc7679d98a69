"""Clips between pictures, seed after seed, previewed and judged in words."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from gen_inbetween.diffusion.options import AUTO, INTERPOLATE
from gen_inbetween.generation.auto import lacking_model
from gen_inbetween.generation.interpolate import LENGTH
from gen_inbetween.generation.settings import DIFFUSION_ONLY, Settings
from gen_inbetween.interpolation.faults.faults import find_faults
from gen_inbetween.interpolation.faults.words import faults_in_words
from gen_inbetween.interpolation.registry import DEFAULT
from gen_inbetween.interpolation.retiming.cost import pair_bytes
from gen_inbetween.media.clip import Clip
from gen_inbetween.media.image import load_image
from gen_inbetween.models.registry import SVD_REMEDY
from gen_inbetween.runtime.devices import free_memory

if TYPE_CHECKING:
    from gen_inbetween.generation.stream import Progress, Stream

STRIP = (1200, 120)  # pixels at most, on the page
STRIP_FRAMES = 12
THUMB = 256  # pixels of the longer side of a moving thumbnail


@dataclass(frozen=True)
class Saved:
    """A clip on disk, and what is said of it."""

    path: Path
    last: Path  # its last frame, to go on from
    thumb: Path  # small and moving
    words: str


def settle(pictures: Sequence[Image.Image], settings: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """The settings, and the command's sentence where SVD is lacking and they are interpolated."""
    shown = Settings(model=settings.get("model", AUTO), method=settings.get("method"))
    lacking = lacking_model(shown, pictures)
    if lacking is None:
        return settings, ""
    kept = {name: value for name, value in settings.items() if name not in DIFFUSION_ONLY and name != "model"}
    sentence = f"Interpolated, since there is {lacking} here; {SVD_REMEDY}."
    return kept | {"method": INTERPOLATE}, sentence


def check_memory(size: tuple[int, int], num_frames: int | None, interpolator: str | None) -> None:
    """ValueError: to interpolate so many frames of this size (width, height) takes more memory than is free.

    The page would be ended by the system, and everybody's runs with it.
    """
    count, free = num_frames or LENGTH, free_memory()
    needed = pair_bytes(interpolator or DEFAULT, *size) + 3 * count * size[0] * size[1]
    if free is not None and needed > free:
        raise ValueError(
            f"{count} frames of {size[0]}x{size[1]} take some {needed / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free: "
            "choose fewer frames, or smaller pictures"
        )


def clips_of(
    stream: Stream, pictures: Sequence[Image.Image], seeds: int, settings: dict[str, Any]
) -> Generator[tuple[int, Progress], None, None]:
    """(number, progress) of the clips of several seeds, one after another, each made by `stream`."""
    seed = settings.get("seed", 0)
    if settings.get("method") == INTERPOLATE:
        size = settings.get("width", pictures[0].width), settings.get("height", pictures[0].height)
        check_memory(size, settings.get("num_frames"), settings.get("interpolator"))
    for number in range(seeds):
        steps = stream(list(pictures), preview_every=1, **settings | {"seed": seed + number})
        with closing(steps):
            for progress in steps:
                yield number, progress


def save(clip: Clip, folder: Path, name: str) -> Saved:
    """Write a clip, its last frame and its thumbnail."""
    path = clip.save(folder / f"{name}.mp4")
    last, thumb = folder / f"{name}_last.png", folder / f"{name}_thumb.webp"
    clip[-1].save(last)
    write_thumb(clip, thumb)
    return Saved(path, last, thumb, judged(clip))


def write_thumb(clip: Clip, path: Path) -> None:
    """A small animation, which plays in a gallery; tiny clips are enlarged with their pixels seen."""
    scale = THUMB / max(clip.size)
    size = (max(1, round(clip.size[0] * scale)), max(1, round(clip.size[1] * scale)))
    how = Image.Resampling.NEAREST if scale > 1 else Image.Resampling.LANCZOS
    frames = [load_image(frame).resize(size, how) for frame in clip]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=round(1000 / clip.fps), loop=0, quality=80)


def judged(clip: Clip) -> str:
    """The faults of a clip in words; of two frames nothing is said."""
    if len(clip) < 3:
        return "too short to be judged"
    scale = min(1.0, THUMB / max(clip.size))
    size = (max(16, round(clip.size[0] * scale)), max(16, round(clip.size[1] * scale)))
    frames = np.stack([np.asarray(load_image(frame).resize(size)) for frame in clip])
    return faults_in_words(find_faults(frames, [frames[0], frames[-1]]))


def strip_of(clip: Clip) -> Image.Image:
    """Frames of a finished clip side by side."""
    chosen = np.unique(np.linspace(0, len(clip) - 1, min(len(clip), STRIP_FRAMES)).round().astype(int))
    height = STRIP[1]
    width = max(1, round(height * clip.size[0] / clip.size[1]))
    sheet = Image.new("RGB", (width * len(chosen), height))
    for place, number in enumerate(chosen):
        sheet.paste(load_image(clip[int(number)]).resize((width, height)), (place * width, 0))
    return shrunk(sheet)


def shrunk(strip: Image.Image) -> Image.Image:
    """A strip as wide as the page shows it; the few pixels of latents are enlarged softly."""
    width = STRIP[0]
    return strip.resize((width, max(1, min(4 * STRIP[1], round(strip.height * width / strip.width)))))
