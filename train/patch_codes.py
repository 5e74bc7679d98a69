"""The latents of the bundled model: principal components of 8 x 8 patches, and a VAE encoder that computes just these.

An encoder and a decoder that learn together from nothing find one latent channel after another, for hours on a CPU.
Here the encoder is written down instead, the decoder alone learns, and the UNet can start at once.
"""

from __future__ import annotations

import math
from itertools import product
from pathlib import Path

import torch
from diffusers import AutoencoderKLTemporalDecoder
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from gen_inbetween.runtime.files import replaced


class PatchCodes:
    """Frames (N, 3, H, W) in [-1, 1] -> latents (N, C, H / 8, W / 8).

    A component's amplitude is the square root of its standard deviation, all together have mean square one: fine,
    noise-like detail is kept but weighs little in the diffusion loss, where whitened channels would weigh all the same.
    """

    PATCH = 8

    def __init__(self, projection: Tensor, mean: Tensor) -> None:
        self.projection, self.mean = projection, mean  # (C, 192) and (192,), a patch flattened as (channel, y, x)

    @classmethod
    def fit(cls, signal: Tensor, channels: int) -> PatchCodes:
        """The `channels` strongest components of frames (N, 3, H, W) in [-1, 1]."""
        patches = cls.patches(signal).flatten(0, 1).double()
        variances, directions = torch.linalg.eigh(torch.cov(patches.T))
        variance, direction = variances.flip(0)[:channels], directions.flip(1)[:, :channels]
        gain = variance**-0.25 / variance.sqrt().mean().sqrt()
        return cls((direction * gain).T.float(), patches.mean(0).float())

    @classmethod
    def patches(cls, signal: Tensor) -> Tensor:
        return nn.functional.unfold(signal, cls.PATCH, stride=cls.PATCH).transpose(1, 2)

    def __call__(self, signal: Tensor) -> Tensor:
        codes = (self.patches(signal) - self.mean) @ self.projection.T
        return codes.transpose(1, 2).unflatten(2, [side // self.PATCH for side in signal.shape[-2:]])

    def save(self, path: Path) -> None:
        with replaced(path) as temporary:
            save_file({"projection": self.projection.contiguous(), "mean": self.mean}, temporary)

    @classmethod
    def load(cls, path: Path) -> PatchCodes:
        return cls(**load_file(path))

    @torch.no_grad()
    def write_into(self, vae: AutoencoderKLTemporalDecoder, noise: float) -> None:
        """Make the encoder of `vae` compute exactly these codes, with a posterior of standard deviation `noise`.

        Its residual branches are silent; the strided convolutions sort the pixels of a patch into channels and project
        them. The last GroupNorm is passed in groups of (c, -c, K): the constant K outweighs c, so the norm divides by
        what is nearly a constant; and silu(x) - silu(-x) = x takes the activation off again.
        """
        encoder, codes, reference = vae.encoder, len(self.projection), 100.0
        for layer in encoder.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.zeros_(layer.weight)
                nn.init.zeros_(layer.bias)
        for attention in encoder.mid_block.attentions:
            nn.init.zeros_(attention.to_out[0].weight)
            nn.init.zeros_(attention.to_out[0].bias)
        for colour in range(3):
            encoder.conv_in.weight[colour, colour, 1, 1] = 1
        sort_first, sort_second, project = (block.downsamplers[0].conv for block in encoder.down_blocks[:3])
        for conv, channels in ((sort_first, 3), (sort_second, 12)):
            for k, dy, dx in product(range(channels), range(2), range(2)):
                conv.weight[4 * k + 2 * dy + dx, k, dy, dx] = 1
        for c, y, x in product(range(3), range(self.PATCH), range(self.PATCH)):
            channel = 16 * c + 4 * (2 * (y & 1) + (x & 1)) + 2 * (y >> 1 & 1) + (x >> 1 & 1)
            pixel = (c * self.PATCH + y) * self.PATCH + x
            project.weight[:codes, channel, y >> 2, x >> 2] = self.projection[:, pixel]
        project.bias[:codes] = -self.projection @ self.mean
        widen = encoder.down_blocks[3].resnets[0].conv_shortcut
        for code in range(codes):
            widen.weight[3 * code, code] = 1
            widen.weight[3 * code + 1, code] = -1
            widen.bias[3 * code + 2] = reference
        spread = reference * math.sqrt(2) / 3  # of a group (0, 0, K), around its mean K / 3
        nn.init.ones_(encoder.conv_norm_out.weight)
        nn.init.constant_(encoder.conv_norm_out.bias, reference / 3 / spread)
        for code in range(codes):
            encoder.conv_out.weight[code, 3 * code, 1, 1] = spread
            encoder.conv_out.weight[code, 3 * code + 1, 1, 1] = -spread
        nn.init.zeros_(vae.quant_conv.weight)
        nn.init.zeros_(vae.quant_conv.bias)
        for code in range(codes):
            vae.quant_conv.weight[code, code] = 1
        vae.quant_conv.bias[codes:] = 2 * math.log(noise)
