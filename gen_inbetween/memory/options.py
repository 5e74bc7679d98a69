"""The exact memory levers of a run: they move the peak, never the result (beyond rounding).

Not here, because on this UNet they change nothing while seeming to: `set_attention_backend`, `fuse_qkv_projections`.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from typing import Any, Literal

import torch
from diffusers.models.attention import BasicTransformerBlock, TemporalBasicTransformerBlock
from torch import nn

from gen_inbetween.diffusion.options import DecodeMode
from gen_inbetween.memory.cross_attention import install_constant_cross_attention

log = logging.getLogger("gen_inbetween")

Offload = Literal["none", "model", "group"]


@dataclass(frozen=True)
class Levers:
    """What is done to save memory.

    split_guidance: conditional and unconditional half in two UNet passes instead of one batch (same FLOPs).
    offload: "none": all models stay on the device. "model": CLIP, UNet and VAE take turns there. "group": the layers of
        CLIP and UNet stream in as they are needed; only the VAE stays.
    forward_chunking: frames per feed-forward chunk, a divisor of the number of frames, or None (16 % more traffic).
    decode: a mode of `decoding.decode_latents`.
    """

    split_guidance: bool = False
    offload: Offload = "none"
    forward_chunking: int | None = None
    decode: DecodeMode = "streamed"

    def __str__(self) -> str:
        parts = ["guidance split" if self.split_guidance else "guidance in one batch"]
        parts += [f"{self.offload} offload"] if self.offload != "none" else []
        parts += [f"chunks of {self.forward_chunking}"] if self.forward_chunking else []
        return ", ".join(parts)


def apply_levers(pipe: Any, levers: Levers, device: str | torch.device) -> None:
    """Set up a pipeline as `levers` say: offloading, feed-forward chunks, and constant cross-attention, always on.

    `split_guidance` and `decode` are arguments of the pipeline's call. Load the motion first: offload hooks go onto the
    layers that are there. A pipeline that was group-offloaded stays so; diffusers cannot take that back cleanly.

    Raises:
        RuntimeError: model offload without an accelerator (from diffusers).
    """
    install_constant_cross_attention(pipe.unet)
    set_forward_chunking(pipe.unet, levers.forward_chunking)
    if getattr(pipe, "_levers_offload", "none") == levers.offload:
        return
    if getattr(pipe, "_levers_offload", "none") == "group":
        log.debug("the pipeline is group-offloaded already and stays so; %s offload was asked for", levers.offload)
        return
    pipe.remove_all_hooks()
    device = torch.device(device)
    if levers.offload == "none":
        pipe.to(device)
    elif levers.offload == "model":
        pipe.enable_model_cpu_offload(device=device)
    else:
        pipe.to("cpu")
        # The VAE stays: 0.2 GB, and the streamed decode reads its weights without calling each layer.
        pipe.enable_group_offload(
            device, offload_type="leaf_level", use_stream=device.type == "cuda", exclude_modules=["vae"]
        )
    pipe._levers_offload = levers.offload


def set_forward_chunking(unet: nn.Module, frames: int | None) -> None:
    """Run feed-forwards `frames` frames at a time, a divisor of the frames of a clip, or whole (None).

    What `unet.enable_forward_chunking(frames, dim=0)` does; this one can also be switched off.
    """
    for module in unet.modules():
        if isinstance(module, (BasicTransformerBlock, TemporalBasicTransformerBlock)):
            module.set_chunk_feed_forward(frames, dim=0)


def device_memory_gb(device: str | torch.device) -> float | None:
    """GB that a run on `device` may take: what is free, and what PyTorch holds there already. None where unknown."""
    device = torch.device(device)
    if device.type == "cuda":
        return (torch.cuda.mem_get_info(device)[0] + torch.cuda.memory_reserved(device)) / 1e9
    if device.type == "mps":
        return torch.mps.recommended_max_memory() / 1e9
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9
    except (AttributeError, ValueError, OSError):  # not a POSIX system, or one that does not tell
        return None
