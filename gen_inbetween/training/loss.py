"""Training loss of the backward motion (Generative Inbetweening, arXiv 2408.15239).

Backward motion learns from clips played in reverse, through the temporal attention of the same clip played forward. One
UNet runs twice: forward motion under `no_grad`, which leaves the (query, key) of each temporal layer; then backward
motion on the reversed clip, which attends through those maps, rotated by 180 degrees. Gradients reach the update alone.
Where backward motion does not rotate, it needs nothing of the forward pass: no such pass is made, and the loss is else
the same.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from diffusers.utils.torch_utils import randn_tensor
from torch import Tensor, nn

from gen_inbetween.diffusion.conditioning import BACKWARD, COND, FORWARD, KeyframeConditioning
from gen_inbetween.diffusion.edm import Generator, denoise, edm_loss, sample_sigma
from gen_inbetween.diffusion.motion import rotates, set_direction
from gen_inbetween.training.latents import EncodedClip, stack
from gen_inbetween.training.sample_order import NOISE, seeded


def backward_motion_loss(
    unet: nn.Module,
    clip: Tensor,
    keyframes: KeyframeConditioning,
    sigma: Tensor,
    generator: Generator = None,
) -> Tensor:
    """The loss of one training step, a scalar; call `.backward()` on it before the next step.

    Args:
        unet: with `motion.add_backward_motion`; may be wrapped by DDP, whose forward is then called once, for the
            pass that has gradients. Works under gradient checkpointing.
        clip: clean latents (pair, frame, channel, height, width), scaled by the VAE's factor, in forward order.
        keyframes: conditioning on the clip's first (forward) and last (backward) frame; the guidance half in use is the
            conditional one.
        sigma: noise level, () or (pair,), as `edm.sample_sigma` draws it.
        generator: draws the noise, one draw for both directions.

    Returns:
        (sigma^2 + 1) / sigma^2 (D(x) - clip)^2, averaged, for the reversed clip.

    Raises:
        RuntimeError: the UNet has no backward motion.
    """
    reverse = clip.flip(1)
    noisy = reverse + sigma.reshape(-1, 1, 1, 1, 1) * randn_tensor(
        clip.shape, generator=generator, device=clip.device, dtype=clip.dtype
    )
    bare = getattr(unet, "module", unet)  # DDP allows one forward for each backward
    if rotates(bare):
        set_direction(bare, "forward", keep_attention=True)
        with torch.no_grad():
            denoise(bare, noisy.flip(1), sigma, **keyframes.select([FORWARD], [COND]).batch())
    set_direction(bare, "backward")
    denoised = denoise(unet, noisy, sigma, **keyframes.select([BACKWARD], [COND]).batch())
    return edm_loss(denoised, reverse, sigma)


def batch_loss(
    unet: nn.Module,
    sample_indices: Sequence[int],
    clips: Sequence[EncodedClip],
    *,
    seed: int,
    mean: float,
    std: float,
    device: torch.device,
    dtype: torch.dtype,
) -> Tensor:
    """The training loss of a batch, with the noise level and the noise that belong to its sample indices.

    Args:
        seed, mean, std: of the run; levels are exp(mean + std n).
        device, dtype: where and in what the UNet runs.
    """
    generators = [seeded(seed, NOISE, index) for index in sample_indices]
    sigma = torch.cat([sample_sigma((1,), generator, mean, std) for generator in generators]).to(device)
    latents, keyframes = stack(clips, device, dtype)
    # A list holds one generator per clip, as everywhere in diffusers.
    return backward_motion_loss(unet, latents, keyframes, sigma, generators)
