"""Method "interpolate": the clip between two keyframes by a frame interpolator.

No diffusion model is opened and nothing is drawn at random: every seed is the same clip.
"""

from __future__ import annotations

import os
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

from PIL import Image

from gen_inbetween.generation.settings import INTERPOLATION_FIELDS, Settings
from gen_inbetween.generation.timeline.timeline import Timeline
from gen_inbetween.interpolation.film import draw_parts
from gen_inbetween.interpolation.interpolator import FrameInterpolator, KindChoice
from gen_inbetween.interpolation.pairs import check_held, check_pair, inbetween_frames, interpolations
from gen_inbetween.interpolation.registry import DEFAULT, INTERPOLATORS, introduction, load_interpolator
from gen_inbetween.interpolation.retiming.cost import predicted_cost
from gen_inbetween.runtime.cost import measure_cost
from gen_inbetween.runtime.devices import open_device
from gen_inbetween.runtime.hashing import images_sha256
from gen_inbetween.runtime.manifest import ManifestError

LENGTH = 25  # frames of a clip that nobody gave a length: SVD-XT's, at which methods are compared with each other


def open_for(settings: Settings, earlier: dict[str, Any] | None = None) -> FrameInterpolator:
    """The interpolator that the settings name.

    earlier: its record in the manifest of a clip that is made again; ManifestError where it has changed since.
    InterpolatorError, ImportError: as `load_interpolator`.
    """
    name, device = settings.interpolator or DEFAULT, open_device(settings.device, mps=False)
    if earlier is None:
        return load_interpolator(name, device=device)
    kind: KindChoice = earlier["kind"]
    interpolator = load_interpolator(name, kind, device, scale=earlier.get("scale", 1.0))
    if interpolator.info.sha256 != earlier["sha256"]:
        raise ManifestError(f"the interpolator {name} has changed since: other weights than the clip was made with")
    return interpolator


def resolve_interpolation(settings: Settings, size: tuple[int, int], interpolator: FrameInterpolator) -> Settings:
    """The settings a clip is made with, complete.

    size: (width, height) of frame0: the clip's own where nothing else is asked for; its aspect where one side is.
    """
    width, height = settings.width, settings.height
    if width is None and height is None:
        width, height = size
    elif height is None:
        height = max(1, round(size[1] * (width or 0) / size[0]))
    elif width is None:
        width = max(1, round(size[0] * height / size[1]))
    num_frames = settings.num_frames or LENGTH
    check_held(width or 0, height or 0, num_frames)
    name = settings.interpolator or interpolator.info.name
    return replace(
        settings,
        width=width,
        height=height,
        num_frames=num_frames,
        interpolator=name if name in INTERPOLATORS else str(Path(os.path.expanduser(name)).resolve()),
        iters=settings.iters or 1,
        device=str(interpolator.device),
    )


def interpolate_timeline(
    timeline: Timeline, settings: Settings, interpolator: FrameInterpolator, progress: bool
) -> tuple[list[Image.Image], dict[str, Any]]:
    """The frames of a clip, interpolated between what is known, and the parts of its manifest that this method knows.

    Keyframes are all RGB, or all RGBA: then the frames are too.
    What is kept of a segment with whole frames in it (`Timeline.context`) divides it: every known frame is an end.
    """
    settings = resolve_interpolation(settings, timeline.keyframes[0].size, interpolator)
    assert settings.width and settings.height and settings.num_frames and settings.iters
    options: dict[str, Any] = {"iters": settings.iters, "exact_ends": settings.exact_ends, "progress": progress}
    timeline, geometry = timeline.fit(settings.width, settings.height, settings.fit)
    check_pair(timeline.keyframes[0], timeline.keyframes[-1], timeline.num_frames)
    known = {**dict(zip(timeline.positions, timeline.keyframes, strict=True)), **timeline.context}
    if timeline.loop:
        known[timeline.num_frames] = timeline.keyframes[0]
    marks = sorted(known)
    frames: list[Image.Image] = []
    with measure_cost(interpolator.device) as cost:
        for first, last in zip(marks, marks[1:], strict=False):
            draw = partial(_inbetween, last - first + 1, interpolator, options)
            fitted = draw_parts(draw, (known[first], known[last]))
            frames += fitted if not frames else fitted[1:]
    frames = timeline.put_back(frames[: timeline.num_frames], exact=False)
    frames = [geometry.undo(frame) for frame in frames]
    lengths = [last - first + 1 for first, last in zip(marks, marks[1:], strict=False)]
    return frames, {
        "interpolator": asdict(interpolator.info),
        "settings": {name: getattr(settings, name) for name in INTERPOLATION_FIELDS} | {"num_frames": len(frames)},
        "interpolations": sum(interpolations(interpolator.info.kind, length, settings.iters) for length in lengths),
        "unet_passes": 0,
        "frames_sha256": images_sha256(frames),
        **cost,
    }


def _inbetween(
    num_frames: int, interpolator: FrameInterpolator, options: dict[str, Any], ends: list[Image.Image]
) -> list[Image.Image]:
    return inbetween_frames(ends[0], ends[1], num_frames, interpolator, **options)


def describe_interpolation(interpolator: FrameInterpolator, settings: Settings) -> str:
    """One line on what a clip by this interpolator takes, without making it."""
    info, count, width, height = interpolator.info, settings.num_frames or LENGTH, settings.width, settings.height
    size = f"{width}x{height}" if width and height else "the keyframes' own size"
    drawn = interpolations(info.kind, count)
    cost = f"\n{predicted_cost(interpolator, count, drawn, height, width)}" if width and height else ""
    weights = f" ({info.parameters / 1e6:.1f} M parameters)" if info.parameters else ""
    return (
        f"interpolated by {introduction(info)}{weights}: {count} frames of {size}: "
        f"0 UNet passes, {drawn} interpolations; no diffusion model is opened{cost}"
    )
