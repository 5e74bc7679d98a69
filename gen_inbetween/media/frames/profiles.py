"""Colour profiles (ICC) of pictures, brought to sRGB.

A photograph of a phone is in Display P3, one from a photographer in Adobe RGB, a scan for print in CMYK: the numbers
mean sRGB's colours only once the profile is applied. Relative colorimetric with black point compensation, as browsers
do it. LittleCMS works on 8 bits; what is deeper is read off a grid of its answers.
"""

from __future__ import annotations

import functools
import io
import logging
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageCms

log = logging.getLogger("gen_inbetween")

PROFILE = "icc_profile"  # in the `info` of an image
_MODES = {"RGB": "RGB", "RGBA": "RGB", "L": "L", "LA": "L", "CMYK": "CMYK"}  # of images: of colour alone
_NODES = 52  # of the grid on a side: all multiples of 5 in 0..255
_ROUNDING = 2  # grey levels that a profile which says sRGB in other words is off


def in_srgb(image: Image.Image) -> Image.Image:
    """The image in sRGB, without a profile; as it is where it has none. Alpha stays.

    A profile that cannot be read, or is of other colours than the image, is said and left out.
    """
    profile = image.info.get(PROFILE)
    if not profile:
        return image
    if image.mode in ("P", "PA"):
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    mode = _MODES.get(image.mode)
    transform = None if mode is None else _transform(profile, mode)
    if transform is None:
        image = image.copy()
    else:
        if mode != "CMYK" and image.has_transparency_data:
            image = image.convert("RGBA")  # also where one colour is clear, which is told by its number as stored
        alpha = image.getchannel("A") if image.mode == "RGBA" else None
        image = _applied(transform, image if image.mode == mode else image.convert(mode))
        if alpha is not None:
            image.putalpha(alpha)
    image.info.pop(PROFILE, None)
    return image


def deep_in_srgb(pixels: NDArray[np.uint16], profile: bytes) -> NDArray[np.uint16]:
    """`in_srgb` of an array (H, W, 3 or 4) in 0..65535, between the nodes of a grid."""
    transform = _transform(profile, "RGB")
    if transform is None:
        return pixels
    steps = np.linspace(0, 255, _NODES).astype(np.uint8)
    nodes = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), 3)[..., ::-1]  # (blue, green, red, colour)
    answers = _applied(transform, Image.fromarray(nodes.reshape(_NODES, -1, 3).copy()))
    grid = torch.from_numpy(np.array(answers)).reshape(_NODES, _NODES, _NODES, 3).permute(3, 0, 1, 2)[None].float()
    places = torch.from_numpy(pixels[..., :3].astype(np.float32))[None, None] / 32767.5 - 1
    found = torch.nn.functional.grid_sample(grid, places, align_corners=True)[0, :, 0].permute(1, 2, 0)
    colours = (found * 257).round().clamp(0, 65535).numpy().astype(np.uint16)
    return np.concatenate([colours, pixels[..., 3:]], axis=2)


@functools.lru_cache(maxsize=8)
def _transform(profile: bytes, mode: str) -> Any | None:
    """What leads from the profile to sRGB; None where it is sRGB, or cannot be used, which is said."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        transform = ImageCms.buildTransform(
            source,
            ImageCms.createProfile("sRGB"),
            mode,
            "RGB",
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    except (ImageCms.PyCMSError, OSError, ImportError):
        log.warning("the colour profile of a picture cannot be used: its colours are taken for sRGB")
        return None
    if mode == "CMYK":
        return transform
    steps = np.linspace(0, 255, 18).astype(np.uint8)
    ramp = np.stack(np.meshgrid(*[steps] * len(mode), indexing="ij"), -1).reshape(18, -1, len(mode))
    probe = Image.fromarray(ramp[..., 0].copy() if mode == "L" else ramp)
    answers = np.asarray(_applied(transform, probe)).astype(int)
    return None if abs(answers - ramp).max() <= _ROUNDING else transform


def _applied(transform: Any, image: Image.Image) -> Image.Image:
    changed = ImageCms.applyTransform(image, transform)
    assert changed is not None  # of a transform in place alone
    return changed
