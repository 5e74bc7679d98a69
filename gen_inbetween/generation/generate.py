"""The main path, two keyframes in and a clip out: open, fit, plan, run, put the keyframes back, record it all."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Callable
from dataclasses import asdict, fields, replace
from typing import Any, Literal

import torch
from PIL import Image

from gen_inbetween.diffusion.methods import AUTO, FLOW
from gen_inbetween.diffusion.pipeline import InbetweenOutput, InbetweenPipeline
from gen_inbetween.generation.auto import route
from gen_inbetween.generation.interpolate import check_belonging, interpolated
from gen_inbetween.generation.resolve import approximations, choose_levers, decide
from gen_inbetween.generation.settings import SAMPLER_OPTIONS, Settings
from gen_inbetween.media.clip import Clip, keyframes_record
from gen_inbetween.media.fit import fit_pair
from gen_inbetween.media.image import Frame, load_image
from gen_inbetween.memory.options import Levers, apply_levers
from gen_inbetween.models.layout import folder_sha256
from gen_inbetween.models.loading import open_pipeline
from gen_inbetween.models.registry import ModelSpec, resolve_model
from gen_inbetween.runtime import manifest as manifests
from gen_inbetween.runtime.config import from_mapping
from gen_inbetween.runtime.cost import measure_cost
from gen_inbetween.runtime.devices import check_device
from gen_inbetween.runtime.hashing import tensor_sha256

log = logging.getLogger("gen_inbetween")


def inbetween(
    frame0: Frame,
    frame1: Frame,
    *,
    model: str | os.PathLike[str] = "auto",
    motion: str | os.PathLike[str] | None = "default",
    method: str | None = None,
    interpolator: str | os.PathLike[str] | None = None,
    iters: int | None = None,
    seed: int = 0,
    num_frames: int | None = None,
    num_inference_steps: int | None = None,
    width: int | None = None,
    height: int | None = None,
    fit: Literal["crop", "pad", "stretch"] = "crop",
    background: tuple[int, int, int] = (255, 255, 255),
    exact_ends: bool = True,
    fps: int = 7,
    motion_bucket_id: int = 127,
    noise_aug_strength: float = 0.02,
    min_guidance_scale: float | None = None,
    max_guidance_scale: float | None = None,
    fusion: Literal["average", "linear"] | None = None,
    renoise_steps: int | None = None,
    renoise_ratio: float | None = None,
    renoise_span: int | None = None,
    cfg_plus_plus: bool | None = None,
    pin_ends: bool | None = None,
    kernel: Literal["sdpa", "xformers"] = "sdpa",
    split_guidance: bool | None = None,
    decode: Literal["streamed", "all", "chunked", "preview"] | None = None,
    decode_chunk_size: int | None = None,
    device: str | torch.device | None = None,
    dtype: str | torch.dtype | None = None,
    vram: float | None = None,
    progress: bool = True,
) -> Clip:
    """Make the video between two keyframes.

    Args:
        frame0, frame1: keyframes of any size: paths, PIL images, numpy arrays (H, W[, C]), torch tensors (C, H, W).
        method: "gi", "trf", "vibid" or "svd" sample a diffusion model; "flow" interpolates and opens none; "auto" takes
            flow where the motion is tiny (`routing.py`) and says so.
        model ... vram: see `settings.Settings`, which gives each one's range; None means "decide for me".
        progress: show a progress bar on stderr.

    Returns:
        A `Clip`: num_frames PIL images with `.fps`, `.manifest` and `.save(path)`. Its ends are the fitted keyframes,
        unless exact_ends=False. With fit="pad" the bars are cut off again.

    Raises:
        ValueError: a setting out of its range or of another method, a frame that cannot be opened, an unknown model.
        MissingMotionError: method="gi" on a model without backward motion.
    """
    given = {name: value for name, value in locals().items() if name in _NAMES}
    for name, plain in _PLAIN.items():
        given[name] = None if given[name] is None else plain(given[name])
    settings = from_mapping(Settings, given, where="inbetween()")
    opened = load_image(frame0, background=background), load_image(frame1, background=background)
    return make_clip((frame0, frame1), opened, settings, progress)


_NAMES = tuple(item.name for item in fields(Settings))
_PLAIN: dict[str, Callable[[Any], str]] = {
    "model": str,
    "motion": str,
    "interpolator": str,
    "device": str,
    "dtype": lambda dtype: str(dtype).removeprefix("torch."),
}


def make_clip(
    sources: tuple[Frame, Frame],
    opened: tuple[Image.Image, Image.Image],
    settings: Settings,
    progress: bool,
    expected: dict[str, Any] | None = None,
) -> Clip:
    """The clip of two opened keyframes; `expected`: the manifest whose weights it must be made with."""
    check_belonging(settings)
    check_device(settings.device)
    keyframes = keyframes_record(sources, opened)
    if keyframes["frame0"]["sha256"] == keyframes["frame1"]["sha256"]:
        warnings.warn("the two keyframes are identical: there is no motion to find between them", stacklevel=3)
    routing = expected.get("routing") if expected else None
    if settings.method == AUTO:
        settings, routing = route(opened, settings)
    make = interpolated if settings.method == FLOW else sampled
    clip = make(opened, settings, progress, expected)
    routed = {"routing": routing} if routing else {}
    clip.manifest = manifests.record(frames=keyframes, **routed, **clip.manifest)
    return clip


def sampled(
    opened: tuple[Image.Image, Image.Image], settings: Settings, progress: bool, expected: dict[str, Any] | None = None
) -> Clip:
    """The clip by a diffusion model, its manifest holding what this takes."""
    device, dtype = check_device(settings.device), None if settings.dtype is None else getattr(torch, settings.dtype)
    pipe = open_pipeline(settings.model, device=device, dtype=dtype, motion=settings.motion, kernel=settings.kernel)
    spec = resolve_model(settings.model)  # after it was opened, when its weights are on this machine
    record = weights_record(spec, pipe)
    for part in ("model", "motion"):
        if expected and _sha256(record[part]) != _sha256(expected[part]):
            raise manifests.ManifestError(f"the {part} has changed since: other weights than the clip was made with")
    settings = decide(settings, spec, pipe)
    place = torch.device(str(settings.device))
    levers = Levers(**expected["levers"]) if expected else choose_levers(settings, spec, place)
    settings = replace(settings, split_guidance=levers.split_guidance, decode=levers.decode)
    apply_levers(pipe, levers, place)
    fitted0, fitted1, geometry = fit_pair(*opened, int(settings.width or 0), int(settings.height or 0), settings.fit)
    with measure_cost(place) as cost:
        output = run_pipeline(pipe, fitted0, fitted1, settings, progress)
    frames = output.frames[0]
    if settings.exact_ends:
        frames = [fitted0, *frames[1:-1], fitted1]
    record |= {"settings": asdict(settings), "levers": asdict(levers), "unet_passes": output.unet_passes, **cost}
    record |= {"approximations": approximations(settings), "latents_sha256": tensor_sha256(output.latents)}
    return Clip([geometry.undo(frame) for frame in frames], settings.fps, record)


def run_pipeline(
    pipe: InbetweenPipeline, frame0: Image.Image, frame1: Image.Image, settings: Settings, progress: bool
) -> InbetweenOutput:
    """Call the pipeline on two fitted keyframes with settings that `decide` has completed; the seed is the noise."""
    pipe.set_progress_bar_config(disable=not progress, desc=settings.method)
    handed_on = (*SAMPLER_OPTIONS, *_HANDED_ON)
    output = pipe(
        frame0,
        frame1,
        generator=torch.Generator("cpu").manual_seed(settings.seed),  # a seed means the same noise on every device
        **{name: getattr(settings, name) for name in handed_on},
    )
    assert isinstance(output, InbetweenOutput)
    return output


_HANDED_ON = (
    "method", "width", "height", "num_frames", "fps", "motion_bucket_id", "noise_aug_strength",
    "split_guidance", "decode", "decode_chunk_size",
)  # fmt: skip


def weights_record(spec: ModelSpec, pipe: InbetweenPipeline) -> dict[str, Any]:
    """With what a clip is sampled, as its manifest says it."""
    return {
        "model": {
            "name": spec.name,
            "sha256": folder_sha256(spec.source),
            "license": spec.license,
        },
        "motion": None if pipe.motion is None else {"sha256": pipe.motion.sha256, "format": pipe.motion.format},
    }


def _sha256(part: dict[str, Any] | None) -> str | None:
    return None if part is None else part["sha256"]
