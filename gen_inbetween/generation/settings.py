"""Everything a run may be told, with its range: the one list behind inbetween()'s keywords, the command's options, YAML
files, batch lines and manifests. None means "decide for me"; what was decided is in the manifest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

Count = Annotated[int, Field(ge=1)]
Channel = Annotated[int, Field(ge=0, le=255)]
Finite = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Fraction = Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True)
class Settings:
    """The settings of one clip, of plain values only, so that they can be written down and read back."""

    model: str = "auto"  # a name of `inbetween models`, a diffusers folder, or a hub id; auto: svd-xt, else pocket
    motion: str | None = "default"  # the backward motion: the model's own, a file or folder, or None for none
    method: str | None = None  # gi, trf, vibid, svd, flow, auto; None: gi where the backward motion is, else trf
    interpolator: str | None = None  # flow, auto: a name of `flow.INTERPOLATORS` or a file; None: the bundled one
    iters: Count | None = None  # flow, auto: steps to each frame, for interpolators with a reference; None: 1
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    num_frames: int | None = None  # both keyframes included; None: what the model was trained on; flow: 25
    num_inference_steps: Count | None = None  # None: the method's own
    width: Count | None = None  # pixels; None: the model's own size; flow: frame0's own
    height: Count | None = None
    fit: Literal["crop", "pad", "stretch"] = "crop"
    background: tuple[Channel, Channel, Channel] = (255, 255, 255)  # what shows through transparent pixels
    exact_ends: bool = True  # put the fitted keyframes at the ends in place of what the method made of them
    fps: Annotated[int, Field(ge=1, le=120)] = 7  # told to the model and written into the video
    motion_bucket_id: Annotated[int, Field(ge=0, le=255)] = 127  # how much motion: larger is more
    noise_aug_strength: Finite = 0.02  # noise on the keyframes before they are encoded
    min_guidance_scale: Finite | None = None  # guidance at the keyframe a direction starts from ...
    max_guidance_scale: Finite | None = None  # ... and at the other end; None: the method's own
    fusion: Literal["average", "linear"] | None = None  # the weight of each motion; None: the method's own
    renoise_steps: Annotated[int, Field(ge=0)] | None = None  # repeats of each early step; None: the method's own
    renoise_ratio: Fraction | None = None  # the share of steps that are repeated; None: the method's own
    renoise_span: Count | None = None  # trf: how many steps one repeat takes back; None: the method's own
    cfg_plus_plus: bool | None = None  # CFG++ steps, which suit guidance near 1; None: the method's own
    pin_ends: bool | None = None  # hold the end latents at the keyframes; None: the method's own
    kernel: Literal["sdpa", "xformers"] = "sdpa"  # what computes the attention; xformers is an extra and needs a GPU
    split_guidance: bool | None = None  # guidance halves in two passes; None: when memory asks for it
    decode: Literal["streamed", "all", "chunked", "preview"] | None = None  # None: the exact mode that fits the memory
    decode_chunk_size: Count | None = None  # frames at a time for decode="chunked" (approximate)
    device: str | None = None  # None: cuda, else mps, else cpu
    dtype: Literal["float32", "float16", "bfloat16"] | None = None  # None: float16 on a GPU, float32 on a CPU
    vram: Annotated[float, Field(gt=0)] | None = None  # GB to plan for; None: what the device has free


SAMPLER_OPTIONS = (  # what a method may take; the defaults are the methods' own, in sampling.METHODS
    "num_inference_steps",
    "min_guidance_scale",
    "max_guidance_scale",
    "fusion",
    "renoise_steps",
    "renoise_ratio",
    "renoise_span",
    "cfg_plus_plus",
    "pin_ends",
)
