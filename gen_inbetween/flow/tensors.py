"""Pictures as the interpolators take them, and back."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..frames import to_pixels, to_signal


def frame_tensor(image: Image.Image, device: torch.device) -> Tensor:
    """An RGB picture as float32 (1, 3, H, W) in [0, 1]."""
    pixels = torch.from_numpy(np.array(image, np.uint8))
    return (to_signal(pixels)[None] / 2 + 0.5).to(device)


def tensor_frame(frame: Tensor) -> Image.Image:
    """(1, 3, H, W) in [0, 1] as an RGB picture; rounded, since cutting off would darken it by half a level."""
    return Image.fromarray(to_pixels(frame[0].cpu() * 2 - 1))
