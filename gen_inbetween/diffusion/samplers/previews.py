"""Previews: colours of latents by a fitted affine map.

    colour = W latent + b,    W, b by least squares over the pixels of pictures whose latents are known

A run knows the latents of its own keyframes, so the map is that of its VAE and its pictures, whatever the VAE.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class ColourMap:
    """`colours = colour_map(latents)`; weights: (channel + 1, 3), float64, the last row is b."""

    weights: Tensor

    @classmethod
    def fit(cls, latents: Tensor, pictures: Tensor) -> ColourMap:
        """The map from latents (..., channel, h, w) to the mean colours of pictures (..., 3, height, width)."""
        pictures = pictures.flatten(0, -4).cpu().double()
        colours = F.adaptive_avg_pool2d(pictures, (latents.shape[-2], latents.shape[-1]))
        # gelsd, because a picture of one colour has no unique map, and that is no error
        return cls(torch.linalg.lstsq(affine(latents.flatten(0, -4)), pixels(colours), driver="gelsd").solution)

    def __call__(self, latents: Tensor) -> Tensor:
        """(..., channel, h, w) -> (..., 3, h, w), float64 on the CPU, in the range of the pictures, not clamped."""
        colours = affine(latents) @ self.weights
        return colours.unflatten(0, (*latents.shape[:-3], *latents.shape[-2:])).movedim(-1, -3)


def pixels(images: Tensor) -> Tensor:
    """(..., channel, h, w) -> (pixels, channel), float64 on the CPU."""
    return images.movedim(-3, -1).flatten(0, -2).cpu().double()


def affine(latents: Tensor) -> Tensor:
    """The latents' pixels beside a column of ones."""
    return F.pad(pixels(latents), (0, 1), value=1.0)
