"""Settings of a backward-motion training run, validated (configs/train/backward_*.yaml).

The defaults are the published recipe (jeanne-wang/svd_keyframe_interpolation, its trainer and arXiv 2408.15239).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from gen_inbetween.runtime.checks import LARGEST_SEED
from gen_inbetween.runtime.config import ConfigError, Count, to_mapping

Whole = Annotated[int, Field(ge=0, le=LARGEST_SEED)]  # a seed may be one
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Finite = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Share = Annotated[float, Field(gt=0, lt=1)]
as_written = BeforeValidator(lambda value: "no" if value is False else value)  # YAML reads a bare no as false


@dataclass(frozen=True)
class Shape:
    """What a clip looks like to the model."""

    num_frames: Annotated[int, Field(ge=2)] | None = None  # None: the count the model was trained on
    width: Count | None = None  # pixels; None: the model's own size
    height: Count | None = None
    fps: Count = 7  # as SVD is told it (minus one); synthetic clips know their own
    motion_bucket_id: Annotated[int, Field(ge=0, le=255)] = 127
    noise_aug_strength: Finite = 0.02  # noise on the keyframes, one draw a clip


@dataclass(frozen=True)
class Synthetic:
    """Clips of `synthetic.make_clip`, seeds `first_seed` to `first_seed + count - 1`."""

    first_seed: Whole
    count: Count
    photographs: bool = False  # as half of the backgrounds; they come with scikit-image


@dataclass(frozen=True)
class Source:
    """Where clips come from: exactly one of `folder` and `synthetic`."""

    folder: Path | None = None  # videos and folders of images, at any depth
    synthetic: Synthetic | None = None
    stride: Count = 2  # every n-th frame of a video; synthetic clips are drawn at their own rate
    hop: Count | None = None  # frames of a video from one clip to the next; None: clips do not overlap
    fit: Literal["crop", "pad", "stretch"] = "crop"
    skip_scene_cuts: bool = True
    cache: Path | None = None  # of `data`: latents and embeddings are kept here (made if absent); None: not kept


@dataclass(frozen=True)
class Update:
    """What learns: projections of the temporal self-attention layers, to_v and to_out.0 unless said otherwise."""

    kind: Literal["full", "lora"] = "full"
    rank: Count = 16  # of LoRA
    alpha: Positive | None = None  # of LoRA; None: that of `start`, else the rank
    rotate: bool = True  # attend through forward motion's map, rotated; false: the paper's ablation
    projections: Literal["vo", "qkvo"] = "vo"  # qkvo: to_q and to_k too, only without rotation
    start: Path | None = None  # a backward motion to go on from; None: zero, which is SVD itself


@dataclass(frozen=True)
class Optimizer:
    """AdamW. Its decay is decoupled and acts on the update: it pulls the tuned weights towards SVD's, not to zero."""

    lr: Positive = 1e-4
    lr_warmup_steps: Whole = 0  # steps of linear warm-up; the rate is constant after it
    betas: tuple[Share, Share] = (0.9, 0.999)
    eps: Positive = 1e-8
    weight_decay: Finite = 1e-2
    max_grad_norm: Positive = 1.0
    use_8bit_adam: bool = False  # bitsandbytes; the states are 200 MB in float32, so this saves 150 MB


@dataclass(frozen=True)
class Noise:
    """Training noise levels, log-normal: exp(mean + std n)."""

    mean: float = 0.7
    std: Positive = 1.6


@dataclass(frozen=True)
class Validation:
    """Held-out clips: their loss at fixed noise, and a sheet of what method gi makes of their keyframes."""

    data: Source
    every: Count = 500  # steps
    sheet_clips: Whole = 4
    num_inference_steps: Count = 25
    renoise_steps: Whole = 0


@dataclass(frozen=True)
class Run:
    """One training run."""

    model: str
    output: Path
    steps: Count
    data: Source
    clip: Shape = Shape()
    update: Update = Update()
    optimizer: Optimizer = Optimizer()
    noise: Noise = Noise()
    batch_size: Count = 1  # clips a process takes at once ...
    gradient_accumulation_steps: Count = 1  # ... and how often, before the weights change
    mixed_precision: Annotated[Literal["no", "fp16", "bf16"], as_written] = (
        "no"  # of the frozen UNet; the update is float32
    )
    gradient_checkpointing: bool = True
    ema: Share | None = None  # decay of the averaged update, which is then what is validated and saved
    seed: Whole = 0
    dataloader_num_workers: Whole = 0  # processes that read videos
    checkpointing_steps: Count = 500  # steps
    checkpoints_total_limit: Count = 2
    milestones: tuple[Count, ...] = ()  # steps whose motion is kept too, as backward_motion_<step>.safetensors
    validation: Validation | None = None
    report_to: str = "tensorboard"  # or none, wandb, mlflow ...: what accelerate knows and is installed


# A run may be resumed with other values of these: they do not change what a step does (up to rounding).
RESUMABLE_FIELDS = (
    "output",
    "steps",
    "validation",
    "checkpointing_steps",
    "checkpoints_total_limit",
    "milestones",
    "report_to",
    "dataloader_num_workers",
    "data.cache",
    "batch_size",
    "gradient_accumulation_steps",
    "gradient_checkpointing",
)


def check_source(source: Source, key: str) -> Source:
    """The same source, if it has exactly one origin and a cache only as `data`; ConfigError names the key otherwise."""
    if (source.folder is None) == (source.synthetic is None):
        raise ConfigError(f"expected either {key}.folder or {key}.synthetic, got {'both' if source.folder else 'none'}")
    if source.cache is not None and key != "data":
        raise ConfigError(f"{key}.cache: held-out clips are encoded once, when the run starts; leave it away")
    return source


def weight_settings(run: Run) -> dict[str, Any]:
    """The settings that decide the weights, "section.key" -> value, without those in RESUMABLE_FIELDS."""
    return deciding_settings(run, RESUMABLE_FIELDS)


def deciding_settings(run: Any, free: tuple[str, ...]) -> dict[str, Any]:
    """The settings of a run, a dataclass, "section.key" -> value, without those whose keys begin as one of `free`."""
    return {key: value for key, value in flatten(to_mapping(run)).items() if not key.startswith(free)}


def flatten(settings: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """{"a": {"b": 1}} -> {"a.b": 1}."""
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        flat |= flatten(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return flat
