"""Feed-forward layers run on some frames at a time."""

from __future__ import annotations

from diffusers.models.attention import BasicTransformerBlock, TemporalBasicTransformerBlock
from torch import nn


def set_forward_chunking(unet: nn.Module, frames: int) -> None:
    """Run feed-forwards `frames` frames at a time, a divisor of the frames of a clip, or whole (0).

    What `unet.enable_forward_chunking(frames, dim=0)` does; this one can also be switched off.
    """
    for module in unet.modules():
        if isinstance(module, (BasicTransformerBlock, TemporalBasicTransformerBlock)):
            module.set_chunk_feed_forward(frames or None, dim=0)
