"""Constant cross-attention: one vector per clip, exact for a single context token.

SVD's context is one token, the CLIP embedding of a keyframe. A softmax over one key is 1 whatever the query, so
softmax(Q K^T) V = V: every position of a sample receives the same vector, W_out(W_v context). Queries, keys and the
product over all positions need not be computed. That is 3.7 % of the FLOPs of an SVD-XT pass; the vector costs a row
per sample and frame (spatial) or per sample and position (temporal), 0.1 % of what it replaces, so it is computed in
each pass and no cache can go stale. The batch may be laid out in any order: each row of the batch takes the vector of
its own context row.

`norm2`, whose result is now ignored, still runs: it belongs to diffusers' block, and its weights must stay where
`save_pretrained` looks for them.
"""

from __future__ import annotations

from diffusers.models.attention import BasicTransformerBlock, TemporalBasicTransformerBlock
from diffusers.models.attention_processor import Attention
from torch import Tensor, nn


class ConstantCrossAttnProcessor:
    """Processor of an `attn2` whose context has one token."""

    def __call__(
        self,
        attn: Attention,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
    ) -> Tensor:
        """(rows, 1, channels), to be added to `hidden_states` (rows, positions, channels) by broadcasting.

        Args:
            encoder_hidden_states: (rows, 1, cross_attention_dim), the context.

        Raises:
            ValueError: without a context, with more than one token in it, or with a mask over it.
        """
        expected = f"constant cross-attention expects a context of shape ({hidden_states.shape[0]}, 1, channels)"
        remedy = "give these layers diffusers' AttnProcessor2_0 to use other contexts"
        if attention_mask is not None:
            raise ValueError(f"{expected} without a mask, got a mask of shape {tuple(attention_mask.shape)}: {remedy}")
        shape = None if encoder_hidden_states is None else tuple(encoder_hidden_states.shape)
        if encoder_hidden_states is None or shape is None or shape[:2] != (hidden_states.shape[0], 1):
            raise ValueError(f"{expected}, got {shape}: {remedy}")
        project, dropout = attn.to_out
        return dropout(project(attn.to_v(encoder_hidden_states)))


def cross_attentions(unet: nn.Module) -> dict[str, Attention]:
    """Path -> `attn2` of every spatial and temporal transformer block that has one."""
    blocks = (BasicTransformerBlock, TemporalBasicTransformerBlock)
    return {
        f"{path}.attn2": block.attn2
        for path, block in unet.named_modules()
        if isinstance(block, blocks) and block.attn2 is not None
    }


def install_constant_cross_attention(unet: nn.Module) -> int:
    """Give every `attn2` of `unet` the constant processor; returns how many carry it. Safe to repeat.

    Raises:
        ValueError: if a layer does more than attend and project (own norm, residual, rescaling), which SVD's never do.
    """
    layers = cross_attentions(unet)
    for path, attn in layers.items():
        extras = (attn.norm_cross, attn.group_norm, attn.spatial_norm)
        if attn.residual_connection or attn.rescale_output_factor != 1 or any(extra is not None for extra in extras):
            raise ValueError(f"expected plain cross-attention at {path}, found a norm, a residual or a scale inside it")
    for attn in layers.values():
        if not isinstance(attn.processor, ConstantCrossAttnProcessor):
            attn.set_processor(ConstantCrossAttnProcessor())  # type: ignore[arg-type]
    return len(layers)
