"""Random inputs of a tiny model that several tests share."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image

from gen_inbetween.diffusion.conditioning import KeyframeConditioning, beside_zeros
from gen_inbetween.diffusion.fusion import FusedDenoiser, fusion_weights
from gen_inbetween.diffusion.samplers.guidance import guidance_scales


def picture(seed, size=(48, 32)):
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def noise(*shape, seed=0):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def make_case(num_frames, pairs=1, seed=0):
    """(x, keyframes) at random."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return torch.randn(shape, dtype=torch.float64, generator=generator)

    ids = torch.tensor([6, 127, 0.02], dtype=torch.float64).expand(2, 2, pairs, 3)
    latents, embeds = draw(2, pairs, 1, 4, 4, 8), draw(2, pairs, 1, 32)
    keyframes = KeyframeConditioning(beside_zeros(latents), beside_zeros(embeds), ids, num_frames)
    return 3 * draw(pairs, num_frames, 4, 4, 8), keyframes


def raw(keyframes):
    return [keyframes.image_latents, keyframes.image_embeds, keyframes.added_time_ids]


def fused(unet, keyframes, fusion="average", *, rotate=True, guidance=(1, 3), **options):
    scales = guidance_scales(*guidance, keyframes.num_frames, fusion)
    weights = fusion_weights(fusion, keyframes.num_frames)
    return FusedDenoiser(unet, keyframes, scales, weights, rotate=rotate, **options)
