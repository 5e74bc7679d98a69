"""From what was asked to what will be done: every None becomes a value, every value is held against the model."""

from __future__ import annotations

import logging
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from gen_inbetween.diffusion.methods import find_method
from gen_inbetween.diffusion.options import SamplerOptions
from gen_inbetween.diffusion.pipeline import InbetweenPipeline
from gen_inbetween.generation.settings import SAMPLER_OPTIONS, Settings
from gen_inbetween.memory.options import Levers, device_memory_gb
from gen_inbetween.memory.plan import plan
from gen_inbetween.models.registry import MODELS, ModelSpec
from gen_inbetween.runtime.devices import default_device
from gen_inbetween.runtime.messages import warn_once

log = logging.getLogger("gen_inbetween")

LONGEST = 2  # times the trained count of frames: further out, nothing that SVD learned about the pace of things holds


def decide(settings: Settings, spec: ModelSpec, pipe: InbetweenPipeline) -> Settings:
    """The settings a run is made with, complete but for those that memory decides: see `choose_levers`.

    Raises:
        ValueError: a size, a count of frames, a method or one of its options that this model or method cannot do.
    """
    method = pipe.choose_method(settings.method)
    height, width = settings.height or spec.height, settings.width or spec.width
    check_size(width, height, size_factor(pipe))
    num_frames = settings.num_frames or spec.num_frames
    check_length(num_frames, spec.num_frames)
    options = method.resolve(SamplerOptions(**{name: getattr(settings, name) for name in SAMPLER_OPTIONS}))
    found: dict[str, Any] = {"dtype": str(pipe.unet.dtype).removeprefix("torch."), **asdict(options)}
    found |= {"model": _lasting_name(spec), "device": settings.device or str(default_device())}
    if settings.motion not in (None, "default"):
        found["motion"] = str(Path(str(settings.motion)).expanduser().resolve())
    return replace(settings, method=method.name, height=height, width=width, num_frames=num_frames, **found)


def choose_levers(settings: Settings, spec: ModelSpec, device: torch.device) -> Levers:
    """The first of the planner's exact levers that fit the memory, with what the settings ask for in its place.

    `settings` as `decide` returns them. A run that nothing makes fit is said to be too large in the log, and tried.
    """
    limit = settings.vram or device_memory_gb(device)
    options = SamplerOptions(**{name: getattr(settings, name) for name in SAMPLER_OPTIONS})
    size = {"width": settings.width, "height": settings.height, "num_frames": settings.num_frames}
    dtype = getattr(torch, str(settings.dtype))
    planned = plan(spec, method=str(settings.method), vram_gb=limit, dtype=dtype, options=options, **size)
    if not planned.fits:
        log.warning(
            "this run takes about %.1f GB and %.1f are free on %s: expect it to run out of memory; a smaller "
            "size, fewer frames or decode='chunked' take less", planned.peak_gb, limit, device
        )  # fmt: skip
    levers = planned.levers
    return replace(
        levers,
        split_guidance=levers.split_guidance if settings.split_guidance is None else settings.split_guidance,
        decode=settings.decode or levers.decode,
        offload="none" if device.type == "cpu" else levers.offload,  # everything is on the CPU already
    )


def _lasting_name(spec: ModelSpec) -> str:
    """What opens the same model from any working folder: its name, its hub id, or where its folder is."""
    return spec.source if spec.name not in MODELS and Path(spec.name).is_dir() else spec.name


def size_factor(pipe: InbetweenPipeline) -> int:
    """What width and height must be multiples of: the VAE's reduction times the UNet's (64 for SVD)."""
    return int(pipe.vae_scale_factor * 2 ** (len(pipe.unet.config.block_out_channels) - 1))


def check_size(width: int, height: int, factor: int) -> None:
    """ValueError for a size the UNet could not halve evenly all the way down; it names the nearest ones."""
    for name, value in (("width", width), ("height", height)):
        if value % factor:
            low = value // factor * factor
            near = " or ".join(str(each) for each in (low, low + factor) if each)
            raise ValueError(f"{name} {value} is not a multiple of {factor}, as this model needs; take {near}")


def check_length(num_frames: int, trained: int) -> None:
    """ValueError for a clip longer than the model can mean; a notice for a length it was not trained on."""
    longest = LONGEST * trained
    if not 3 <= num_frames <= longest:
        raise ValueError(
            f"num_frames {num_frames}: this model was trained on clips of {trained} frames and does 3 to {longest}; "
            "for a longer video make clips between more keyframes and join them"
        )
    if num_frames != trained:
        warn_once(f"num_frames {num_frames}: the model was trained on {trained}; quality is best there")


def approximations(settings: Settings) -> list[str]:
    """What in complete settings trades exactness for cost; [] for the method as published and an exact decode."""
    assert settings.method is not None
    own = find_method(settings.method).resolve().chosen()
    found = []
    if settings.decode in ("chunked", "preview"):
        found.append(f"decode={settings.decode}")
    for name in ("num_inference_steps", "renoise_steps", "renoise_ratio"):
        value = getattr(settings, name)
        if name in own and value < own[name]:
            found.append(f"{name}={value} (the method's own: {own[name]})")
    return found
