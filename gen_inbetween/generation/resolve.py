"""Resolved settings of a run, checked against model and method.

run = resolve_run(settings, configs, has_motion=True)  # every None has become a value
run.sampler, run.memory  # the objects that travel from here to the pipeline
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import torch

from gen_inbetween.diffusion.methods import Method, choose_method, find_method
from gen_inbetween.diffusion.motion_files import MissingMotionError
from gen_inbetween.diffusion.options import AUTO, INTERPOLATE, SamplerOptions
from gen_inbetween.generation.settings import (
    DEFAULTS,
    DIFFUSION_ONLY,
    INTERPOLATION_FIELDS,
    INTERPOLATION_ONLY,
    Settings,
)
from gen_inbetween.memory.options import MemoryOptions, merge_memory_options
from gen_inbetween.models.configs import ModelConfigs
from gen_inbetween.models.registry import size_of_configs
from gen_inbetween.runtime.devices import default_dtype, multiplies_bfloat16, open_device
from gen_inbetween.runtime.hub import MOTION_FILE, find_file
from gen_inbetween.runtime.messages import warn_once

if TYPE_CHECKING:
    from gen_inbetween.diffusion.pipeline import InbetweenPipeline

log = logging.getLogger("gen_inbetween")

HOPELESS = 4  # times the memory there is: less may yet be estimated too high, or find room elsewhere
Places: TypeAlias = "tuple[Sequence[int], bool]"  # frame numbers of the keyframes; whether it is a loop


@dataclass(frozen=True)
class SamplingRun:
    """A run of a diffusion model with nothing left to decide.

    settings: complete, but for the memory's options, which are in `memory`.
    """

    settings: Settings
    method: Method
    sampler: SamplerOptions
    memory: MemoryOptions
    device: torch.device
    dtype: torch.dtype


def resolve_run(
    settings: Settings,
    configs: ModelConfigs,
    *,
    has_motion: bool,
    memory: MemoryOptions | None = None,
    places: Places | None = None,
) -> SamplingRun:
    """What is done for these settings on this model.

    Args:
        configs: of the model. has_motion: whether a backward motion is, or will be, loaded.
        memory: that of an earlier run, which is made again; None: planned.
        places: of a clip through several keyframes, already checked; None: it has two, at its ends.

    Raises:
        ValueError: a size, a count of frames, a method or one of its options that this model or method cannot do; a
            device that is not here.
        MissingMotionError: method "gi" without a backward motion.
    """
    device = open_device(settings.device)
    dtype = default_dtype(device) if settings.dtype is None else getattr(torch, settings.dtype)
    if device.type == "cpu" and (dtype is torch.float16 or dtype is torch.bfloat16 and not multiplies_bfloat16()):
        name = str(dtype).removeprefix("torch.")
        warn_once(f"{name} takes this CPU many times as long as float32, which it takes unless dtype says otherwise")
    method = choose_method(settings.method, has_motion)
    if method.needs_motion and not has_motion:
        raise MissingMotionError(configs.name, find_file(configs.name, [MOTION_FILE]))
    width, height = settings.width or configs.width, settings.height or configs.height
    num_frames = settings.num_frames or configs.num_frames
    if settings.fps != int(settings.fps):
        raise ValueError(
            f"fps {settings.fps:g}: a diffusion model is told a whole number; method interpolate takes any"
        )
    configs.check_size(width, height)
    if places is None:
        configs.check_length(num_frames)
    elif method.motions == "forward":
        raise ValueError(f"method {method.name} looks at the first keyframe only; gi, trf and vibid go through several")
    if settings.motion_bucket_id == AUTO and method.motions == "forward":
        raise ValueError(f"motion_bucket_id auto: method {method.name} makes one motion alone; say 0 to 255")
    sampler = method.resolve(settings.sampler)
    settings = replace(
        settings,
        method=method.name,
        width=width,
        height=height,
        num_frames=num_frames,
        device=str(device),
        dtype=str(dtype).removeprefix("torch."),  # type: ignore[arg-type]
        **asdict(sampler),
    )
    memory = memory or choose_memory(settings, configs, device, dtype, places)
    return SamplingRun(settings, method, sampler, memory, device, dtype)


def choose_memory(
    settings: Settings, configs: ModelConfigs, device: torch.device, dtype: torch.dtype, places: Places | None
) -> MemoryOptions:
    """The memory options asked for, and for the others those of the planner's first candidate that fits.

    A run that nothing makes fit is said to be too large in the log, and tried. ValueError: it is far too large.
    """
    from gen_inbetween.diffusion.decoding.latents import (
        choose_decode,  # here: what is interpolated waits for no diffusers
    )
    from gen_inbetween.memory.apply import device_memory_gb
    from gen_inbetween.memory.plan import plan

    there = device_memory_gb(device)
    limit = settings.vram_gb or there
    planned = plan(
        configs,
        width=settings.width,
        height=settings.height,
        num_frames=settings.num_frames,
        positions=None if places is None else places[0],
        loop=places is not None and places[1],
        method=str(settings.method),
        options=settings.sampler,
        vram_gb=limit,
        dtype=dtype,
    )
    if not planned.fits and there is not None and planned.peak_gb > HOPELESS * there:
        raise ValueError(
            f"{settings.num_frames} frames of {settings.width}x{settings.height} take about {planned.peak_gb:.4g} GB, "
            f"and {there:.3g} are free on {device}: take a smaller size or fewer frames"
        )
    if not planned.fits:
        log.warning(
            "this run takes about %.1f GB and %.1f are free on %s: expect it to run out of memory; a smaller "
            "size, fewer frames or decode='chunked' take less", planned.peak_gb, limit, device
        )  # fmt: skip
    defaults = planned.memory
    if device.type == "cpu":  # where everything is already
        defaults = replace(defaults, offload="none")
    chosen = settings.memory
    if chosen.decode_chunk_size is not None:
        chosen = replace(chosen, decode=choose_decode(chosen.decode, chosen.decode_chunk_size))
    return merge_memory_options(chosen, defaults)


def configs_of(pipe: InbetweenPipeline) -> ModelConfigs:
    """The configurations of an open pipeline."""
    unet, vae = dict(pipe.unet.config), dict(pipe.vae.config)
    width, height = size_of_configs(unet, vae)
    name = str(pipe.config.get("_name_or_path") or "a pipeline")
    image_encoder = pipe.image_encoder.config.to_json_string()
    return ModelConfigs(name, json.dumps(unet), json.dumps(vae), image_encoder, width, height, unet["num_frames"])


def check_fields(settings: Settings) -> None:
    """ValueError for no method at all, and for settings of the other kind. "auto" takes all, as it becomes either."""
    if settings.method == AUTO:
        return
    if settings.method not in (None, INTERPOLATE):
        find_method(str(settings.method))
    foreign = DIFFUSION_ONLY if settings.method == INTERPOLATE else INTERPOLATION_ONLY
    changed = [name for name in foreign if getattr(settings, name) != DEFAULTS[name]]
    if not changed:
        return
    values = ", ".join(f"{name} {getattr(settings, name)}" for name in changed)
    verb = "belong" if changed[1:] else "belongs"
    if settings.method == INTERPOLATE:
        taken = ", ".join(name for name in INTERPOLATION_FIELDS if name != "method")
        raise ValueError(
            f"{values}: {verb} to the methods that sample a diffusion model; method interpolate takes {taken}"
        )
    raise ValueError(f"{values}: {verb} to the methods interpolate and auto, got method {settings.method}")


APPROXIMATE = (  # what skips work
    "guidance_min_sigma",
    "guidance_max_sigma",
    "reuse_unconditional",
    "renoise_tolerance",
    "step_cache",
)


def approximations(method: Method, sampler: SamplerOptions, memory: MemoryOptions) -> list[str]:
    """What trades exactness for cost; [] for the method as published and an exact decode.

    sampler: as `Method.resolve` completes it.
    """
    published: Mapping[str, Any] = method.published.chosen()
    losses = [f"decode={memory.decode}"] if memory.decode in ("chunked", "preview") else []
    for name in ("num_inference_steps", "renoise_steps", "renoise_ratio"):
        value = getattr(sampler, name)
        if name in published and value < published[name]:
            losses.append(f"{name}={value} (published: {published[name]})")
    for name, value in sampler.deciding().items():
        if name in APPROXIMATE and value != published.get(name):
            losses.append(f"{name}={value}")
    return losses
