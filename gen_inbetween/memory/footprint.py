"""Bytes and FLOPs of each stage, counted on the configuration.

No weights, no GPU, a second per stage: models are built on the meta device and run under `counter.counted`, so a figure
is that of the code which runs, memory options included. Bytes are exact for the tensors PyTorch holds; what the
allocator and cuDNN add is the planner's allowance.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

import torch
from diffusers import AutoencoderKLTemporalDecoder, UNetSpatioTemporalConditionModel
from torch import nn
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from gen_inbetween.diffusion.decoding.latents import decode_latents
from gen_inbetween.diffusion.decoding.modes import DecodeMode
from gen_inbetween.diffusion.motion import add_backward_motion, set_direction
from gen_inbetween.diffusion.samplers.step_cache import StepCache
from gen_inbetween.memory.counter import Cost, Footprint, counted
from gen_inbetween.memory.cross_attention import install_constant_cross_attention
from gen_inbetween.memory.forward_chunks import set_forward_chunking

META = torch.device("meta")


@lru_cache
def count_unet(
    config: str,
    dtype: torch.dtype,
    batch: int,
    num_frames: int,
    height: int,
    width: int,
    rotated: bool,
    chunk: int,
) -> Footprint:
    """One UNet pass with constant cross-attention.

    Args:
        config: the UNet's configuration, JSON.
        batch: clips in the pass; [forward; backward] if `rotated`, where backward motion is installed.
        height, width: of the latents.
        chunk: frames per feed-forward chunk; 0: whole.
    """
    unet = build_unet(config, dtype, rotated)
    set_forward_chunking(unet, chunk)
    cost = count_pass(unet, unet_inputs(unet, batch, num_frames, height, width))
    return footprint(unet, cost)


@lru_cache
def count_outer_unet(
    config: str, dtype: torch.dtype, batch: int, num_frames: int, height: int, width: int, rotated: bool
) -> Footprint:
    """One pass over the UNet's outermost level alone, as `step_cache` makes them between whole ones."""
    unet = build_unet(config, dtype, rotated)
    inputs = unet_inputs(unet, batch, num_frames, height, width)
    with StepCache(unet, 2) as cache, torch.no_grad():
        cache.next("", 2.0)
        unet(**inputs)
        cache.next("", 1.0)
        return footprint(unet, count_pass(unet, inputs))


def build_unet(config: str, dtype: torch.dtype, rotated: bool) -> Any:
    """A UNet on the meta device as it is run; rotated: with backward motion, for [forward; backward]."""
    with META:
        unet = build(UNetSpatioTemporalConditionModel, config, dtype)
        if rotated:
            add_backward_motion(unet)
            set_direction(unet, "both")
    install_constant_cross_attention(unet)
    return unet


def unet_inputs(unet: Any, batch: int, num_frames: int, height: int, width: int) -> dict[str, torch.Tensor]:
    """Empty inputs of a pass where `unet` is, in its dtype."""
    config, like = unet.config, {"device": unet.device, "dtype": unet.dtype}
    return {
        "sample": torch.zeros(batch, num_frames, config.in_channels, height, width, **like),
        "timestep": torch.zeros((), **like),
        "encoder_hidden_states": torch.zeros(batch, 1, config.cross_attention_dim, **like),
        "added_time_ids": torch.zeros(batch, 3, **like),
    }


def count_pass(unet: nn.Module, inputs: dict[str, torch.Tensor]) -> Cost:
    """FLOPs and peak bytes of `unet(**inputs)`, on whatever device they are."""
    with torch.no_grad(), counted() as cost:
        unet(**inputs)
    return cost


@lru_cache
def count_encode(config: str, dtype: torch.dtype, height: int, width: int) -> Footprint:
    """Encoding one keyframe of `height` x `width` pixels; in float32 where the config asks to upcast from float16."""
    upcast = dtype == torch.float16 and json.loads(config).get("force_upcast", True)
    precision = torch.float32 if upcast else dtype
    vae = build(AutoencoderKLTemporalDecoder, config, precision)
    with torch.no_grad(), counted() as cost:
        vae.encode(torch.empty(1, 3, height, width, device=META, dtype=precision))
    return footprint(vae, cost)


@lru_cache
def count_decode(
    config: str, dtype: torch.dtype, num_frames: int, height: int, width: int, mode: DecodeMode
) -> Footprint:
    """Decoding one clip of latents of `height` x `width` into float32 frames."""
    vae = build(AutoencoderKLTemporalDecoder, config, dtype)
    latents = torch.empty(1, num_frames, json.loads(config).get("latent_channels", 4), height, width, device=META)
    with counted() as cost:
        decode_latents(vae, latents, mode=mode)
    return footprint(vae, cost)


@lru_cache
def count_image_encoder(config: str, dtype: torch.dtype) -> Footprint:
    """Embedding one keyframe with CLIP."""
    settings: Any = CLIPVisionConfig(**json.loads(config))
    with META:
        encoder: Any = nn.Module.to(CLIPVisionModelWithProjection(settings), META, dtype)
    image = torch.empty(1, 3, settings.image_size, settings.image_size, device=META, dtype=dtype)
    with torch.no_grad(), counted() as cost:
        encoder(image)
    return footprint(encoder, cost)


def build(kind: Any, config: str, dtype: torch.dtype) -> Any:
    """A diffusers model without weights. nn.Module's own `to`, because diffusers' says that casting may be unwise."""
    with META:
        return nn.Module.to(kind.from_config(json.loads(config)), META, dtype)


def footprint(model: nn.Module, cost: Cost) -> Footprint:
    layers = [sum(weight.nbytes for weight in layer.parameters(recurse=False)) for layer in model.modules()]
    return Footprint(sum(layers), max(layers), cost.peak, cost.flops)
