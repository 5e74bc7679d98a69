"""What a training step of SVD takes on a GPU, counted on the meta device: no weights, no GPU, a minute.

    python eval/training_memory.py

The step that is counted is the one that runs (`training.backward_motion_loss`, then `.backward()`), under the rules of
CUDA's autocast: convolutions, products and attention in half precision, normalisation in float32. Tensors are exact
(tests/recipes/test_training_memory.py counts a small model on the meta device and in a real run, to the same bytes);
+10 % stands for the allocator and for what cuDNN takes, and is an estimate.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
import torch.nn.functional as F
from diffusers import UNetSpatioTemporalConditionModel
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils.checkpoint import checkpoint

from gen_inbetween.diffusion.conditioning import KeyframeConditioning
from gen_inbetween.diffusion.motion import add_backward_motion
from gen_inbetween.memory.counter import counted
from gen_inbetween.memory.cross_attention import install_constant_cross_attention
from gen_inbetween.memory.footprint import META, build, count_encode, count_image_encoder
from gen_inbetween.memory.plan import ALLOWANCE
from gen_inbetween.models.configs import SVD_XT
from gen_inbetween.training.gradient_checkpointing import enable_gradient_checkpointing
from gen_inbetween.training.loss import backward_motion_loss

HALF = torch.bfloat16
IN_HALF = {F.linear, F.conv1d, F.conv2d, F.conv3d, torch.matmul, torch.bmm, torch.baddbmm}
IN_FLOAT = {F.group_norm, F.layer_norm}
SIZES = ((512, 320, 14), (768, 448, 14), (1024, 576, 14), (1024, 576, 25))
GB = 1e9


class FusedAttention(torch.autograd.Function):
    """What a fused kernel keeps: query, key, value and output, no map."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        out = torch.empty_like(query)
        ctx.save_for_backward(query, key, value, out)
        return out

    @staticmethod
    def backward(ctx: Any, *gradient: Tensor) -> tuple[Tensor, ...]:
        return tuple(torch.empty_like(saved) for saved in ctx.saved_tensors[:3])


class Autocast(TorchFunctionMode):
    """CUDA's autocast on tensors of any device."""

    def __torch_function__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        if func is F.scaled_dot_product_attention:
            return FusedAttention.apply(*(tensor.to(HALF) for tensor in args[:3] or (kwargs or {}).values()))
        wanted = HALF if func in IN_HALF else torch.float32 if func in IN_FLOAT else None
        if wanted is not None:
            args = tuple(cast(value, wanted) for value in args)
            kwargs = {name: cast(value, wanted) for name, value in (kwargs or {}).items()}
        return func(*args, **(kwargs or {}))


def recomputed(module: Any, *args: Any, **kwargs: Any) -> Any:
    """`recomputing.recompute`; the backward pass has to be told of the mode again."""
    again = {"use_reentrant": False, "context_fn": lambda: (nullcontext(), Autocast())}
    return checkpoint(module, *args, **again, **kwargs)


KEPT: dict[str, Callable[[Any], None]] = {
    "none": lambda unet: None,
    "diffusers'": lambda unet: unet.enable_gradient_checkpointing(recomputed),
    "ours": lambda unet: enable_gradient_checkpointing(unet, recomputed),
}


def cast(value: Any, dtype: torch.dtype) -> Any:
    return value.to(dtype) if isinstance(value, Tensor) and value.is_floating_point() else value


def count_step(width: int, height: int, num_frames: int, update: str, kept: str) -> tuple[int, int]:
    """(bytes of weights and optimizer, bytes of activations and gradients at their peak) of a step with one clip."""
    unet = build(UNetSpatioTemporalConditionModel, SVD_XT.unet, HALF)
    with META:
        add_backward_motion(unet, update)
    learning = [weight for weight in unet.parameters() if weight.requires_grad]
    for weight in learning:
        weight.data = weight.data.float()
    KEPT[kept](unet)
    peak = peak_of_step(unet, num_frames, height // SVD_XT.latent_factor, width // SVD_XT.latent_factor, Autocast())
    if any(weight.grad is None for weight in learning):
        raise RuntimeError("a part of the update got no gradient: the count left something out")
    states = 2 * sum(weight.nbytes for weight in learning)  # AdamW's two moments, float32
    return sum(weight.nbytes for weight in unet.parameters()) + states, peak


def peak_of_step(unet: Any, num_frames: int, height: int, width: int, mode: AbstractContextManager) -> int:
    """Bytes of activations and gradients at their peak, latents of `height` x `width`, wherever `unet` is."""
    install_constant_cross_attention(unet)
    unet.train()
    config, like = unet.config, {"device": unet.device, "dtype": unet.dtype}
    clip = torch.zeros(1, num_frames, config.out_channels, height, width, device=unet.device)
    keyframes = KeyframeConditioning(
        image_latents=torch.zeros(2, 2, 1, 1, config.out_channels, height, width, **like),
        image_embeds=torch.zeros(2, 2, 1, 1, config.cross_attention_dim, **like),
        added_time_ids=torch.zeros(2, 2, 1, 3, **like),
        num_frames=num_frames,
    )
    with counted() as cost, mode:
        loss = backward_motion_loss(unet, clip, keyframes, torch.ones(1, device=unet.device))
        torch.autograd.backward(loss)
    return cost.peak


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    encoders = count_encode(SVD_XT.vae, torch.float32, 64, 64).weights
    encoders += count_image_encoder(SVD_XT.image_encoder, torch.float32).weights
    print(f"VAE and image encoder, float32, on the card without a latent cache: {encoders / GB:.1f} GB more\n")
    print(
        "| clip | update | checkpointing | weights, AdamW GB | activations GB | needs GB |\n|---|---|---|---|---|---|"
    )
    for width, height, num_frames in SIZES:
        for update, kept in (("full", "ours"), ("lora", "ours"), ("full", "diffusers'"), ("full", "none")):
            fixed, peak = count_step(width, height, num_frames, update, kept)
            total = (fixed + peak) * ALLOWANCE / GB
            name = f"{num_frames} frames of {width}x{height} | {update} | {kept}"
            print(f"| {name} | {fixed / GB:.1f} | {peak / GB:.1f} | {total:.1f} |", flush=True)


if __name__ == "__main__":
    main()
