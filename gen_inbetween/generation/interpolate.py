"""Method "flow" of `inbetween`: the clip between two keyframes by a frame interpolator.

No diffusion model is opened and nothing is drawn at random: every seed is the same clip.
"""

from __future__ import annotations

from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from gen_inbetween.diffusion.methods import AUTO, FLOW, find_method
from gen_inbetween.generation.settings import Settings
from gen_inbetween.interpolation.interpolator import FrameInterpolator, KindChoice
from gen_inbetween.interpolation.pairs import inbetween_frames, interpolations
from gen_inbetween.interpolation.registry import DEFAULT, INTERPOLATORS, load_interpolator
from gen_inbetween.media.clip import Clip
from gen_inbetween.media.fit import fit_pair
from gen_inbetween.runtime import manifest as manifests
from gen_inbetween.runtime.cost import measure_cost
from gen_inbetween.runtime.hashing import images_sha256

LENGTH = 25  # frames of a clip that nobody gave a length: SVD-XT's, at which methods are compared with each other
FLOWS_ALONE = ("interpolator", "iters")
FLOW_TAKES = (
    *FLOWS_ALONE, "method", "seed", "num_frames", "width", "height", "fit", "background", "exact_ends", "fps", "device",
)  # fmt: skip
DEFAULTS: dict[str, Any] = {item.name: item.default for item in fields(Settings)}
DIFFUSIONS_ALONE = tuple(name for name in DEFAULTS if name not in FLOW_TAKES)


def check_belonging(settings: Settings) -> None:
    """ValueError for no method at all, and for settings of the other kind. "auto" takes all, as it becomes either."""
    if settings.method == AUTO:
        return
    if settings.method not in (None, FLOW):
        find_method(settings.method)
    foreign = DIFFUSIONS_ALONE if settings.method == FLOW else FLOWS_ALONE
    given = [name for name in foreign if getattr(settings, name) != DEFAULTS[name]]
    if not given:
        return
    said, verb = ", ".join(f"{name} {getattr(settings, name)}" for name in given), "belong" if given[1:] else "belongs"
    if settings.method == FLOW:
        takes = ", ".join(name for name in FLOW_TAKES if name != "method")
        raise ValueError(f"{said}: {verb} to the methods that sample a diffusion model; method flow takes {takes}")
    raise ValueError(f"{said}: {verb} to the methods flow and auto, got method {settings.method}")


def without(settings: Settings, names: tuple[str, ...]) -> Settings:
    """The settings with these back at their defaults."""
    return replace(settings, **{name: DEFAULTS[name] for name in names})


def open_for(settings: Settings, expected: dict[str, Any] | None = None) -> FrameInterpolator:
    """The interpolator the settings name; as `expected`, the record of an earlier run's, has it, or ManifestError.

    InterpolatorError, ImportError: as `flow.load_interpolator`.
    """
    name, device = settings.interpolator or DEFAULT, flow_device(settings.device)
    if expected is None:
        return load_interpolator(name, device=device)
    kind: KindChoice = expected["kind"]
    interpolator = load_interpolator(name, kind, device, scale=expected.get("scale", 1.0))
    if interpolator.info.sha256 != expected["sha256"]:
        raise manifests.ManifestError(
            f"the interpolator {name} has changed since: other weights than the clip was made with"
        )
    return interpolator


def flow_device(name: str | None) -> torch.device:
    """The device of that name; for None a CUDA card or the CPU, since not every mps samples beyond a frame's border."""
    return torch.device(name or ("cuda" if torch.cuda.is_available() else "cpu"))


def decide_flow(settings: Settings, size: tuple[int, int], interpolator: FrameInterpolator) -> Settings:
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
    name = settings.interpolator or DEFAULT
    return replace(
        settings,
        width=width,
        height=height,
        num_frames=settings.num_frames or LENGTH,
        interpolator=name if name in INTERPOLATORS else str(Path(name).expanduser().resolve()),
        iters=settings.iters or 1,
        device=str(interpolator.device),
    )


def interpolated(
    opened: tuple[Image.Image, Image.Image], settings: Settings, progress: bool, expected: dict[str, Any] | None = None
) -> Clip:
    """The clip of two opened keyframes, its manifest holding what this method knows.

    expected: the manifest of a clip that is made again.
    """
    interpolator = open_for(settings, expected["interpolator"] if expected else None)
    settings = decide_flow(settings, opened[0].size, interpolator)
    assert settings.width and settings.height and settings.num_frames and settings.iters
    frame0, frame1, geometry = fit_pair(*opened, settings.width, settings.height, settings.fit)
    how: dict[str, Any] = {"iters": settings.iters, "exact_ends": settings.exact_ends, "progress": progress}
    with measure_cost(interpolator.device) as cost:
        made = inbetween_frames(frame0, frame1, settings.num_frames, interpolator, **how)
    frames = [geometry.undo(frame) for frame in made]
    record = {
        "interpolator": asdict(interpolator.info),
        "settings": {name: getattr(settings, name) for name in DEFAULTS if name in FLOW_TAKES},
        "interpolations": interpolations(interpolator.info.kind, settings.num_frames, settings.iters),
        "unet_passes": 0,
        **cost,
        "frames_sha256": images_sha256(frames),
    }
    return Clip(frames, settings.fps, record)


def plan_flow(interpolator: str | None, width: int | None, height: int | None, num_frames: int | None) -> str:
    """One line on what a clip by flow takes, without making it; the weights are opened to know their kind."""
    info = open_for(Settings(interpolator=interpolator)).info
    count = num_frames or LENGTH
    size = f"{width}x{height}" if width and height else "the keyframes' own size"
    weights = f", {info.parameters / 1e6:.1f} M parameters" if info.parameters else ""
    return (
        f"flow by {info.name} ({info.architecture} {info.version}{weights}), {count} frames of {size}: 0 UNet passes, "
        f"{interpolations(info.kind, count)} interpolations; no diffusion model is opened"
    )
