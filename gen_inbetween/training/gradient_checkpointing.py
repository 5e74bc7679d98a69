"""Gradient checkpointing of SVD's UNet, its temporal blocks included.

diffusers checkpoints the residual and the spatial blocks of SVD's UNet, but not the temporal transformer blocks, whose
feed-forwards are eight times as wide as the stream. Those are most of what a training step then holds: 20 of 30 GB for
14 frames of 1024x576 (eval/training_memory.py).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from diffusers.models.attention import TemporalBasicTransformerBlock
from torch.utils.checkpoint import checkpoint

Recompute = Callable[..., Any]  # (module, *args, **kwargs) -> module(*args, **kwargs), keeping its inputs alone


def recompute(module: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """`module(*args, **kwargs)`, computed a second time in the backward pass."""
    return checkpoint(module, *args, use_reentrant=False, **kwargs)


def enable_gradient_checkpointing(unet: Any, run: Recompute = recompute) -> None:
    """Checkpoint residual, spatial and temporal blocks of SVD's UNet while gradients are on; they come out the same.

    Works in training mode only, as diffusers' does. Safe to repeat.
    """
    unet.enable_gradient_checkpointing(run)
    for block in temporal_blocks(unet):
        block.forward = partial(_forward, block, run)


def temporal_blocks(unet: Any) -> list[Any]:
    return [block for block in unet.modules() if isinstance(block, TemporalBasicTransformerBlock)]


def _forward(block: Any, run: Recompute, *args: Any, **kwargs: Any) -> Any:
    plain = partial(type(block).forward, block)
    return run(plain, *args, **kwargs) if block.training and torch.is_grad_enabled() else plain(*args, **kwargs)
