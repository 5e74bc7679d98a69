"""Memory options put on a pipeline, and the memory of its device."""

from __future__ import annotations

import logging
import os
from typing import Any

import torch
from torch import nn

from gen_inbetween.memory.cross_attention import install_constant_cross_attention
from gen_inbetween.memory.forward_chunks import set_forward_chunking
from gen_inbetween.memory.options import MemoryOptions, Offload
from gen_inbetween.runtime.devices import container_memory

log = logging.getLogger("gen_inbetween")


def apply_memory_options(pipe: Any, options: MemoryOptions, device: str | torch.device) -> None:
    """Set up offloading and feed-forward chunks (None: left as they are), and constant cross-attention, always on.

    `split_guidance` and `decode` are arguments of the pipeline's call, `kernel` of opening it. Load the motion first:
    offload hooks go onto the layers that are there. A pipeline that was group-offloaded stays so; diffusers cannot take
    that back cleanly.

    Raises:
        RuntimeError: model offload without an accelerator (from diffusers).
    """
    install_constant_cross_attention(pipe.unet)
    if options.compile:
        compile_unet(pipe.unet)
    if options.forward_chunking is not None:
        set_forward_chunking(pipe.unet, options.forward_chunking)
    current = current_offload(pipe)
    if options.offload in (None, current):
        return
    if current == "group":
        log.debug("the pipeline is group-offloaded already and stays so; %s offload was asked for", options.offload)
        return
    pipe.remove_all_hooks()
    device = torch.device(device)
    if options.offload == "none":
        pipe.to(device)
    elif options.offload == "model":
        pipe.enable_model_cpu_offload(device=device)
    else:
        pipe.to("cpu")
        # The VAE stays: 0.2 GB, and the streamed decode reads its weights without calling each layer.
        pipe.enable_group_offload(
            device, offload_type="leaf_level", use_stream=device.type == "cuda", exclude_modules=["vae"]
        )


def compile_unet(unet: nn.Module, **options: Any) -> None:
    """torch.compile the UNet in place, once; it stays the same module. There is one graph for each direction it runs.

    options: torch.compile's (backend, fullgraph, mode, ...).
    """
    if unet._compiled_call_impl is None:
        unet.compile(**options)


def current_offload(pipe: Any) -> Offload:
    """How a pipeline is offloaded, read off the hooks on its UNet."""
    registries = (getattr(module, "_diffusers_hook", None) for module in pipe.unet.modules())
    if any(registry is not None and registry.get_hook("group_offloading") is not None for registry in registries):
        return "group"
    return "model" if hasattr(pipe.unet, "_hf_hook") else "none"


def device_memory_gb(device: str | torch.device) -> float | None:
    """GB that a run on `device` may take: what is free, and what PyTorch holds there already. None where unknown."""
    device = torch.device(device)
    if device.type == "cuda":
        return (torch.cuda.mem_get_info(device)[0] + torch.cuda.memory_reserved(device)) / 1e9
    if device.type == "mps":
        return torch.mps.recommended_max_memory() / 1e9
    try:
        free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # not a POSIX system, or one that does not tell
        return None
    allowed = container_memory()
    return (free if allowed is None else min(free, allowed)) / 1e9
