"""Demonstration: methods on the bundled pairs, side by side."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image

from gen_inbetween.diffusion.options import INTERPOLATE
from gen_inbetween.generation.generate import inbetween, read_settings
from gen_inbetween.media.clip import check_output, save_sheet
from gen_inbetween.media.contact_sheet import contact_sheet, side_by_side
from gen_inbetween.media.fit import crossfade
from gen_inbetween.media.video_writer import write_video
from gen_inbetween.models.demo_pairs import KNOWN, PAIRS, keyframes
from gen_inbetween.models.registry import resolve_model
from gen_inbetween.runtime.hub import BUNDLED

log = logging.getLogger("gen_inbetween")

SHOWN = 192  # pixels of a side that small drawn clips are enlarged to for the animation


def make_demo(out: Path, *, overwrite: bool = False, **settings: Any) -> Iterator[Path]:
    """Make the demo clips and yield each file as it is written.

    gi (where the model has its motion), trf and vibid make the walker, the first of them the other drawn pairs. The
    photographs are interpolated where the model is a bundled one, which knows drawn things only.

    Args:
        out: folder; each pair gets NAME_METHOD.mp4 with its manifest, NAME.mp4 (side by side) and NAME.png (a sheet);
            demo.gif shows the drawn pairs together, over their cross-fades.
        overwrite: replace files of these names that were not written by this package, too.
        settings: keywords of `inbetween`, for all clips alike.

    Raises:
        ValueError: a setting out of its range, an unknown model. OutputError: one of the files cannot be written. Both
            are found before the work.
    """
    spec = resolve_model(settings.setdefault("model", "pocket-2"))
    read_settings(settings, {})  # what is wrong with them is said before anything is written
    has_motion = spec.motion_file(settings.get("motion", "default")) is not None
    methods = ("gi", "trf", "vibid") if has_motion else ("trf", "vibid")
    if not has_motion:
        log.warning("gi is left out: this model has no backward motion yet (`inbetween run --motion FILE` takes one)")
    chosen: dict[str, tuple[str, ...]] = dict.fromkeys(PAIRS, methods[:1])
    chosen |= {pair: methods for pair in ("walker", "photo") if pair in chosen}
    if spec.name in BUNDLED:  # they know drawn things only: docs/limits.md
        chosen["photo"] = (INTERPOLATE,)
    for pair in PAIRS:
        for end in (*(f"_{method}.mp4" for method in chosen[pair]), ".mp4", ".png"):
            check_output(out / f"{pair}{end}", overwrite=overwrite)
    check_output(out / "demo.gif", overwrite=overwrite)
    drawn: dict[str, dict[str, list[Image.Image]]] = {}
    for pair in PAIRS:
        clips: dict[str, list[Image.Image]] = {}
        for method in chosen[pair]:
            log.info("%s, %s", pair, method)
            told = {} if method == INTERPOLATE else KNOWN.get(pair, {}) | settings
            clip = inbetween(*keyframes(pair), method=method, **told)
            yield clip.save(out / f"{pair}_{method}.mp4", overwrite=overwrite)
            clips[method] = list(clip)
        clips["cross-fade"] = crossfade(clip[0], clip[-1], len(clip))
        yield write_video(side_by_side(clips), out / f"{pair}.mp4", clip.fps, overwrite=overwrite)
        save_sheet(out / f"{pair}.png", contact_sheet(clips))
        yield out / f"{pair}.png"
        if pair in KNOWN:
            drawn[pair] = clips
    if drawn:
        rows = (methods[0], "cross-fade")
        shown = {f"{pair}: {row}": enlarged(clips[row]) for row in rows for pair, clips in drawn.items()}
        yield write_video(side_by_side(shown, columns=len(drawn)), out / "demo.gif", 8, overwrite=overwrite)


def enlarged(frames: list[Image.Image]) -> list[Image.Image]:
    """Small frames at SHOWN pixels, smoothly; larger ones as they are."""
    factor = SHOWN / max(frames[0].size)
    if factor <= 1:
        return frames
    size = round(frames[0].width * factor), round(frames[0].height * factor)
    return [frame.resize(size, Image.Resampling.BICUBIC) for frame in frames]
