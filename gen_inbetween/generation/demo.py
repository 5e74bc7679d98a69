"""Demonstration: every method on the bundled pairs, side by side."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

from PIL import Image

from gen_inbetween.diffusion.options import INTERPOLATE
from gen_inbetween.generation.generate import inbetween
from gen_inbetween.media.contact_sheet import contact_sheet, side_by_side
from gen_inbetween.media.fit import crossfade
from gen_inbetween.media.video_writer import write_video
from gen_inbetween.models.loading import open_pipeline
from gen_inbetween.models.registry import resolve_model
from gen_inbetween.runtime.files import save_image

log = logging.getLogger("gen_inbetween")

PAIRS = ("synthetic", "photo")


def keyframes(pair: str) -> tuple[Path, Path]:
    """The two image files of a bundled pair; ValueError where this installation has none."""
    folder = Path(str(resources.files("gen_inbetween.models") / "pocket" / "demo"))
    first, last = folder / f"{pair}_first.png", folder / f"{pair}_last.png"
    for path in (first, last):
        if not path.is_file():
            raise ValueError(f"the demo's keyframe {path.name} is not installed: install from a full clone")
    return first, last


def make_demo(out: Path, **settings: Any) -> Iterator[Path]:
    """Make the demo clips and yield each file as it is written.

    The photographs are interpolated where the model is pocket, which knows drawn things only.

    Args:
        out: folder; each pair gets NAME_METHOD.mp4 with its manifest, NAME.mp4 (side by side) and NAME.png (a sheet).
        settings: keywords of `inbetween`, for all clips alike.
    """
    spec = resolve_model(settings.get("model", "pocket"))
    motion = open_pipeline(spec).motion
    methods = ("trf", "vibid") if motion is None else ("gi", "trf", "vibid")
    if motion is None:
        log.warning("gi is left out: this model has no backward motion yet (`inbetween run --motion FILE` takes one)")
    for pair in PAIRS:
        drawn_only = spec.name == "pocket" and pair == "photo"  # on photographs it fails: docs/limits.md
        clips: dict[str, list[Image.Image]] = {}
        for method in (INTERPOLATE,) if drawn_only else methods:
            log.info("%s, %s", pair, method)
            clip = inbetween(*keyframes(pair), method=method, **({} if drawn_only else settings))
            yield clip.save(out / f"{pair}_{method}.mp4")
            clips[method] = list(clip)
        clips["cross-fade"] = crossfade(clip[0], clip[-1], len(clip))
        yield write_video(side_by_side(clips), out / f"{pair}.mp4", clip.fps)
        yield save_image(out / f"{pair}.png", contact_sheet(clips))
