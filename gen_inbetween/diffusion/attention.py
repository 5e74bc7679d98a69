"""Backward motion through forward motion's rotated temporal attention map.

With A the map, V the values and J the flip of time, the map rotated by 180 degrees is J A J, and

    (J A J) V = J (A (J V)):

flip the values, attend with the forward query and key, flip the result. The map itself is never formed; it travels as
the (query, key) it is made of, so any fused attention kernel can be used. (Generative Inbetweening, arXiv 2408.15239.)

    add_backward_motion(unet)  # `motion`: a BidirectionalAttnProcessor in every temporal self-attention layer
    set_direction(unet, "both")  # the next batch is [forward; backward]

The paper's ablation leaves the rotation out: backward motion then attends by its own query and key, A' V, and these may
be tuned like the values.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Literal

import torch
import torch.nn.functional as F
from diffusers.models.attention_processor import Attention
from torch import Tensor, nn

Direction = Literal["forward", "backward", "both"]
Kernel = Callable[[Tensor, Tensor, Tensor], Tensor]  # (query, key, value) -> out: (positions, heads, frames, head_dim)

TIME = -2  # in (positions, heads, frames, head_dim)
LARGEST_LAUNCH = 65_535  # positions: CUDA's fused attention puts the batch on a grid's second or third axis


class SplitAttnProcessor:
    """Another processor's attention over at most `LARGEST_LAUNCH` rows of the batch at a time: the same result.

    For diffusers' own processors on temporal layers, whose batch is every position of every clip: 130,560 of them for
    both directions and guidance halves of 1920x1088.
    """

    def __init__(self, whole: Any) -> None:
        self.whole = whole

    def __call__(
        self,
        attn: Attention,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
    ) -> Tensor:
        if attention_mask is not None:
            raise ValueError("expected temporal attention, which has no mask")
        parts = hidden_states.split(LARGEST_LAUNCH)
        contexts = [None] * len(parts) if encoder_hidden_states is None else encoder_hidden_states.split(LARGEST_LAUNCH)
        return torch.cat([self.whole(attn, *part) for part in zip(parts, contexts, strict=True)])


class BidirectionalAttnProcessor(nn.Module):
    """Temporal self-attention of one layer, for forward motion, for backward motion, or for both at once.

    `direction` says what the batch of `hidden_states`, shape (positions, frames, channels), is:

    - "forward" (the default): stock SVD, whatever the updates hold. With `keep_attention` the (query, key) are kept for
      the "backward" pass that follows, which must be of the same batch.
    - "backward": values and output projections with their updates, under the rotated attention map of the last kept
      forward pass, or, where `rotate` is false, under the map of this very pass.
    - "both": [forward; backward] along the batch, each in its own order of time; nothing is kept.

    Args:
        update_v: the difference that backward motion adds to `to_v`; maps (..., channels) to (..., inner channels).
        update_out: the difference it adds to `to_out`; maps (..., inner channels) to (..., channels).
        kernel: "sdpa" or "xformers"; see `open_kernel` for the errors.
        rotate: whether backward motion attends through the rotated attention map.
        update_q, update_k: the differences it adds to `to_q` and `to_k`, None for none; only without rotation, since a
            rotated map is made of forward motion's query and key alone.
    """

    def __init__(
        self,
        update_v: nn.Module,
        update_out: nn.Module,
        kernel: str = "sdpa",
        *,
        rotate: bool = True,
        update_q: nn.Module | None = None,
        update_k: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.update_v, self.update_out = update_v, update_out
        self.update_q, self.update_k = update_q, update_k
        self.kernel, self.rotate = open_kernel(kernel), rotate
        self.direction: Direction = "forward"
        self.keep_attention = False
        self.attention: tuple[Tensor, Tensor] | None = None  # (query, key)
        self.update_scale = 1.0  # of every update; 0 leaves stock projections

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

    def backward_motion(self, attn: Attention, x: Tensor, attention: tuple[Tensor, Tensor] | None) -> Tensor:
        """J (A (J V)) with the tuned projections and forward motion's `attention`, or A' V with its own."""
        value = split_heads(self.project(attn.to_v, self.update_v, x), attn.heads)
        if not self.rotate:
            pairs = (attn.to_q, self.update_q), (attn.to_k, self.update_k)
            query, key = (split_heads(self.project(*pair, x), attn.heads) for pair in pairs)
            out = self.kernel(query, key, value)
        elif attention is None:
            raise RuntimeError("no attention map to rotate: run a forward pass with keep_attention=True first")
        else:
            out = self.kernel(*attention, value.flip(TIME)).flip(TIME)
        return self.project(attn.to_out[0], self.update_out, merge_heads(out))

    def project(self, projection: nn.Module, update: nn.Module | None, x: Tensor) -> Tensor:
        """W x + s dW x with the scale s of the updates; W x where `update` is None."""
        if update is None:
            return projection(x)
        return projection(x) + (update(x) if self.update_scale == 1 else self.update_scale * update(x))


def split_heads(x: Tensor, heads: int) -> Tensor:
    """(positions, frames, heads * head_dim) -> (positions, heads, frames, head_dim).

    >>> split_heads(torch.zeros(6, 25, 40), heads=5).shape
    torch.Size([6, 5, 25, 8])
    """
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def merge_heads(x: Tensor) -> Tensor:
    """(positions, heads, frames, head_dim) -> (positions, frames, heads * head_dim).

    >>> merge_heads(torch.zeros(6, 5, 25, 8)).shape
    torch.Size([6, 25, 40])
    """
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
    return partial(attend_in_launches, KERNELS[name])


def attend_in_launches(kernel: Kernel, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """`kernel` over at most `LARGEST_LAUNCH` positions at a time."""
    if len(query) <= LARGEST_LAUNCH:
        return kernel(query, key, value)
    parts = zip(*(tensor.split(LARGEST_LAUNCH) for tensor in (query, key, value)), strict=True)
    return torch.cat([kernel(*part) for part in parts])


def xformers_attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """xformers' memory-efficient attention, which wants (positions, frames, heads, head_dim)."""
    from xformers.ops import memory_efficient_attention  # an optional extra

    return memory_efficient_attention(*(x.transpose(1, 2) for x in (query, key, value))).transpose(1, 2)


KERNELS: dict[str, Kernel] = {"sdpa": F.scaled_dot_product_attention, "xformers": xformers_attention}
