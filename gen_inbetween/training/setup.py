"""Clips, base model, update and optimizer of a training run, checked and opened."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from gen_inbetween.data.clips import ClipFolder, Clips, DataError, SyntheticClips
from gen_inbetween.diffusion.checkpoints import load_motion
from gen_inbetween.diffusion.motion import add_backward_motion, motion_state_dict, tuned_projections
from gen_inbetween.diffusion.motion_files import MotionError
from gen_inbetween.diffusion.pipeline import InbetweenPipeline
from gen_inbetween.memory.cross_attention import install_constant_cross_attention
from gen_inbetween.models.configs import open_configs
from gen_inbetween.models.layout import folder_sha256
from gen_inbetween.models.loading import open_pipeline
from gen_inbetween.models.registry import MODELS, ModelSpec, resolve_model
from gen_inbetween.runtime.hub import HUB_IDS
from gen_inbetween.training.settings import Optimizer, Shape, Source, Update, check_source

DTYPES = {"no": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


def fill_shape(shape: Shape, spec: ModelSpec) -> Shape:
    """The shape with the model's own values where it says None; DataError for a size that the model cannot take."""
    configs = open_configs(spec)
    full = replace(
        shape,
        num_frames=shape.num_frames or configs.num_frames,
        width=shape.width or configs.width,
        height=shape.height or configs.height,
    )
    factor = configs.size_factor
    if (full.width or 0) % factor or (full.height or 0) % factor:
        raise DataError(
            f"expected clip.width and clip.height in multiples of {factor} for {spec.name}, got "
            f"{full.width}x{full.height}"
        )
    return full


def open_clips(source: Source, shape: Shape, key: str = "data") -> Clips:
    """The clips of `source`, of a shape that `fill_shape` has filled; `key` is how errors call the source.

    Raises:
        DataError, ConfigError: as `ClipFolder`; synthetic clips of another form than square; none or two origins.
        ImportError: photographs without scikit-image.
    """
    check_source(source, key)
    num_frames, width, height = shape.num_frames or 0, shape.width or 0, shape.height or 0
    if source.synthetic is not None:
        if width != height:
            raise DataError(f"synthetic clips are square; expected clip.width = clip.height, got {width}x{height}")
        drawn = source.synthetic
        return SyntheticClips(
            drawn.first_seed, drawn.count, num_frames=num_frames, size=width, on_photographs=drawn.photographs
        )
    assert source.folder is not None
    return ClipFolder(
        source.folder,
        num_frames=num_frames,
        width=width,
        height=height,
        stride=source.stride,
        hop=source.hop,
        fit=source.fit,
        skip_scene_cuts=source.skip_scene_cuts,
        fps=shape.fps,
        motion_bucket_id=shape.motion_bucket_id,
    )


def open_base_model(model: str, device: torch.device, mixed_precision: str) -> InbetweenPipeline:
    """The base model: its UNet in the precision of the run, VAE and image encoder in float32, which latents ask for."""
    pipe = open_pipeline(model, device="cpu", dtype=torch.float32, motion=None, shared=False)
    nn.Module.to(pipe.unet, DTYPES[mixed_precision])  # diffusers' own `to` warns of what does not concern this UNet
    pipe.to(device)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def move_encoders_to_cpu(pipe: InbetweenPipeline) -> None:
    """Move VAE and image encoder, 2.9 GB of SVD in float32, to the CPU, for as long as nothing is to be encoded."""
    pipe.vae.to("cpu")
    pipe.image_encoder.to("cpu")


def install_update(unet: nn.Module, update: Update, seed: int) -> list[nn.Parameter]:
    """Freeze the UNet, install what learns in float32, and return it.

    Cross-attention, frozen and over one token, becomes the constant it is (`cross_attention.py`).

    Raises:
        MotionError: `update.start` does not fit this UNet, or is another kind of update than is asked for.
        ValueError: projections that cannot be tuned with rotation.
    """
    if update.start is None:
        with torch.random.fork_rng():  # LoRA's start is drawn at random
            torch.manual_seed(seed)
            add_backward_motion(
                unet,
                update.kind,
                update.rank,
                update.alpha,
                rotate=update.rotate,
                projections=update.projections,
            )
    else:
        info = load_motion(unet, update.start)
        kind, rank = ("lora", info.rank) if info.rank else ("full", update.rank)
        loaded: dict[str, Any] = {"kind": kind, "rank": rank, "rotate": info.rotate}
        loaded["projections"] = tuned_projections(motion_state_dict(unet))
        if info.rank and update.alpha is not None:
            loaded["alpha"] = info.alpha
        differing = [f"update.{key}={value}" for key, value in loaded.items() if value != getattr(update, key)]
        if differing:
            raise MotionError(f"{update.start} is a {info}: to go on from it set {', '.join(differing)}")
    install_constant_cross_attention(unet)
    learning = [weight for weight in unet.parameters() if weight.requires_grad]
    for weight in learning:
        weight.data = weight.data.float()  # half precision is too coarse for steps of 1e-4
    return learning


def open_optimizer(
    learning: Sequence[nn.Parameter], settings: Optimizer, device: torch.device
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    """AdamW on the update, so that what its decay pulls to is SVD, not zero; warm-up, then a constant rate.

    Raises:
        ImportError: use_8bit_adam without bitsandbytes.
    """
    options: dict[str, Any] = {"lr": settings.lr, "betas": settings.betas, "eps": settings.eps}
    options["weight_decay"] = settings.weight_decay
    if settings.use_8bit_adam:
        try:
            optimizer = importlib.import_module("bitsandbytes.optim").AdamW8bit(learning, **options)
        except ImportError as error:
            raise ImportError(
                "optimizer.use_8bit_adam needs bitsandbytes: pip install it, or set it to false"
            ) from error
    else:
        optimizer = torch.optim.AdamW(learning, fused=device.type == "cuda", **options)
    warmup = settings.lr_warmup_steps  # its first step already learns, at lr / (warmup + 1)
    return optimizer, torch.optim.lr_scheduler.LinearLR(optimizer, 1 / (warmup + 1), total_iters=warmup)


def base_record(model: str) -> dict[str, str]:
    """Name and hash of a base model whose weights are on this machine."""
    spec = resolve_model(model)
    name = HUB_IDS.get(spec.name, spec.name if spec.name in MODELS else Path(spec.name).name)
    name = spec.name if "/" in spec.name and not Path(spec.name).exists() else name
    return {"base_model": name, "base_sha256": folder_sha256(spec.source)}


def motion_metadata(
    settings: Mapping[str, Any], base: Mapping[str, str], shape: Shape, num_clips: int, step: int
) -> dict[str, Any]:
    """What stands in the header of a trained motion: base, size, clips, steps, and what else decided the weights."""
    paths = ("model", "data.folder", "update.start")  # they say nothing on another machine
    recipe = {key: Path(value).name if key in paths and value else value for key, value in settings.items()}
    size = {"num_frames": shape.num_frames, "width": shape.width, "height": shape.height}
    return {**base, **size, "steps": step, "clips": num_clips, "recipe": recipe}
