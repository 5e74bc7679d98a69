"""Backward motion attends through the forward motion's temporal attention map, turned by 180 degrees.

With A the map, V the values and J the flip of time, the turned map is J A J, and

    (J A J) V = J (A (J V)):

flip the values, attend with the forward query and key, flip the result. The map itself is never formed; it travels as
the (query, key) it is made of, so any fused attention kernel can be used. (Generative Inbetweening, arXiv 2408.15239.)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from diffusers.models.attention_processor import Attention
from torch import Tensor, nn

Direction = Literal["forward", "backward", "both"]
Kernel = Callable[[Tensor, Tensor, Tensor], Tensor]  # (query, key, value) -> out: (positions, heads, frames, head_dim)

TIME = -2  # in (positions, heads, frames, head_dim)


class BidirectionalAttnProcessor(nn.Module):
    """Temporal self-attention of one layer, for forward motion, for backward motion, or for both at once.

    `direction` says what the batch of `hidden_states`, shape (positions, frames, channels), is:

    - "forward" (the default): stock SVD, whatever the updates hold. With `keep_attention` the (query, key) are kept for
      the "backward" pass that follows, which must be of the same batch.
    - "backward": the turned map of the last kept forward pass, on values and output projections with their updates.
    - "both": [forward; backward] along the batch, each in its own order of time; nothing is kept.

    Args:
        update_v: the difference that backward motion adds to `to_v`; maps (..., channels) to (..., inner channels).
        update_out: the difference it adds to `to_out`; maps (..., inner channels) to (..., channels).
        kernel: "sdpa" or "xformers"; see `open_kernel` for the errors.
    """

    def __init__(self, update_v: nn.Module, update_out: nn.Module, kernel: str = "sdpa") -> None:
        super().__init__()
        self.update_v, self.update_out = update_v, update_out
        self.kernel = open_kernel(kernel)
        self.direction: Direction = "forward"
        self.keep_attention = False
        self.attention: tuple[Tensor, Tensor] | None = None  # (query, key)

    def forward(
        self,
        attn: Attention,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
    ) -> Tensor:
        if encoder_hidden_states is not None or attention_mask is not None:
            raise ValueError("expected temporal self-attention, got a context or a mask: install on `attn1` only")
        if self.direction == "both":
            # The temporal block folds its batch as (batch position), batch outermost: the halves are the directions.
            forward, backward = hidden_states.chunk(2)
            out, attention = self.forward_motion(attn, forward)
            return torch.cat([out, self.backward_motion(attn, backward, attention)])
        if self.direction == "backward":
            if self.attention is None:
                raise RuntimeError("no attention to turn: run a forward pass with keep_attention=True before this one")
            return self.backward_motion(attn, hidden_states, self.attention)
        out, attention = self.forward_motion(attn, hidden_states)
        if self.keep_attention:
            self.attention = attention
        return out

    def forward_motion(self, attn: Attention, x: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Stock SVD, and the attention it used."""
        query, key, value = (split_heads(project(x), attn.heads) for project in (attn.to_q, attn.to_k, attn.to_v))
        out = merge_heads(self.kernel(query, key, value))
        return attn.to_out[0](out), (query, key)

    def backward_motion(self, attn: Attention, x: Tensor, attention: tuple[Tensor, Tensor]) -> Tensor:
        """J (A (J V)) with the tuned value and output projections."""
        value = split_heads(attn.to_v(x) + self.update_v(x), attn.heads)
        out = merge_heads(self.kernel(*attention, value.flip(TIME)).flip(TIME))
        return attn.to_out[0](out) + self.update_out(out)


def split_heads(x: Tensor, heads: int) -> Tensor:
    """(positions, frames, heads * head_dim) -> (positions, heads, frames, head_dim)."""
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def merge_heads(x: Tensor) -> Tensor:
    """(positions, heads, frames, head_dim) -> (positions, frames, heads * head_dim)."""
    return x.transpose(1, 2).flatten(-2)


def open_kernel(name: str) -> Kernel:
    """The attention kernel called `name`, tried on one small input, because xformers can import and still not run.

    Raises:
        ValueError: the name is not in `KERNELS`.
        RuntimeError: xformers is missing or has no kernel for this machine.
    """
    if name not in KERNELS:
        raise ValueError(f"expected an attention kernel out of {', '.join(KERNELS)}, got {name!r}")
    if name == "xformers":
        device = "cuda" if torch.cuda.is_available() else "cpu"
        try:
            xformers_attention(*torch.zeros(3, 1, 1, 2, 8, device=device))
        except (ImportError, NotImplementedError, RuntimeError) as error:
            raise RuntimeError(
                f"the attention kernel 'xformers' does not run on this machine ({type(error).__name__}: "
                f"{str(error).splitlines()[0]}); install gen_inbetween[xformers] beside a CUDA build of torch, "
                "or keep kernel='sdpa'"
            ) from error
    return KERNELS[name]


def xformers_attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """xformers' memory-efficient attention, which wants (positions, frames, heads, head_dim)."""
    from xformers.ops import memory_efficient_attention  # an optional extra

    return memory_efficient_attention(*(x.transpose(1, 2) for x in (query, key, value))).transpose(1, 2)


KERNELS: dict[str, Kernel] = {"sdpa": F.scaled_dot_product_attention, "xformers": xformers_attention}
