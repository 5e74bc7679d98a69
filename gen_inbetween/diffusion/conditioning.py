"""Conditioning inputs of SVD's UNet: keyframes' VAE latents, CLIP embeddings, time ids.

    keyframes = encode_keyframes(pipe, frames_to_tensor(frame0), frames_to_tensor(frame1), num_frames=25)

The only file that touches diffusers' private members. Each keyframe is encoded once, without guidance; the
unconditional half is zeros and is put on an axis of its own, because diffusers' own guidance batch would not split
into directions.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from diffusers.pipelines.stable_video_diffusion.pipeline_stable_video_diffusion import _resize_with_antialiasing
from diffusers.utils.torch_utils import randn_tensor
from PIL import Image
from torch import Tensor

from gen_inbetween.diffusion.edm import Generator
from gen_inbetween.media.image import load_image

Picture = Image.Image | np.ndarray | Tensor | str | os.PathLike[str]
Frames = Picture | list[Image.Image] | list[np.ndarray] | list[Tensor] | list[str]
Pipe = Any  # a StableVideoDiffusionPipeline: it registers its parts at run time, where a type checker cannot see them

FORWARD, BACKWARD = 0, 1  # along the axis "direction"
UNCOND, COND = 0, 1  # along the axis "guidance"


@dataclass(frozen=True)
class KeyframeConditioning:
    """Two keyframes as the UNet takes them; the axes are (direction, guidance, pair, ...), all in the UNet's dtype."""

    image_latents: Tensor  # (direction, guidance, pair, 1, channel, height, width), unscaled
    image_embeds: Tensor  # (direction, guidance, pair, 1, embedding)
    added_time_ids: Tensor  # (direction, guidance, pair, 3): fps - 1, motion bucket, noise augmentation
    num_frames: int

    @classmethod
    def assemble(
        cls, image_latents: Tensor, image_embeds: Tensor, time_ids: Tensor, *, num_frames: int, dtype: torch.dtype
    ) -> KeyframeConditioning:
        """Put the keyframes on these axes, beside the unconditional half.

        Args:
            image_latents: (direction, pair, channel, height, width), unscaled.
            image_embeds: (direction, pair, embedding).
            time_ids: (3,), (pair, 3) or (direction, 1, 1, 3), as `added_time_ids` makes them.
            dtype: the one the UNet runs in.
        """
        pairs = image_embeds.shape[1]
        return cls(
            image_latents=beside_zeros(image_latents.unsqueeze(2)).to(dtype),
            image_embeds=beside_zeros(image_embeds.unsqueeze(2)).to(dtype),
            added_time_ids=time_ids.to(image_latents.device, dtype).expand(2, 2, pairs, -1),
            num_frames=num_frames,
        )

    def select(self, directions: list[int], guidance: list[int]) -> KeyframeConditioning:
        """The part of these directions and guidance halves, in this order."""
        selected = {name: value[directions][:, guidance] for name, value in self.tensors().items()}
        return KeyframeConditioning(**selected, num_frames=self.num_frames)

    def batch(self) -> dict[str, Tensor]:
        """Arguments of `edm.denoise`: direction, guidance and pair folded into one batch, direction outermost."""
        return {name: value.flatten(0, 2) for name, value in self.tensors().items()}

    def tensors(self) -> dict[str, Tensor]:
        return {name: getattr(self, name) for name in ("image_latents", "image_embeds", "added_time_ids")}


@dataclass(frozen=True)
class EncodedPictures:
    """Keyframes of a clip, any number of them, encoded once; the first axis is that of the keyframes."""

    image_latents: Tensor  # (key, pair, channel, height, width), unscaled, of the picture with noise on it
    image_embeds: Tensor  # (key, pair, embedding)
    time_ids: Tensor  # (direction, 1, 1, 3), as `added_time_ids` makes them
    dtype: torch.dtype  # the one the UNet runs in

    def between(self, keys: tuple[int, ...], num_frames: int) -> KeyframeConditioning:
        """Of the segment between two keyframes, or of a window over three that is centred on the second.

        The centred one lies half-way at either end, so it has the mean of two embeddings there; its latents are the
        caller's to replace (`windows.denoiser`).
        """
        embeds = [self.image_embeds[key] for key in keys]
        if len(keys) == 3:
            embeds = [(embeds[0] + embeds[1]) / 2, (embeds[1] + embeds[2]) / 2]
        return KeyframeConditioning.assemble(
            torch.stack([self.image_latents[keys[0]], self.image_latents[keys[-1]]]),
            torch.stack(embeds),
            self.time_ids,
            num_frames=num_frames,
            dtype=self.dtype,
        )


def encode_keyframes(
    pipe: Pipe, frame0: Tensor, frame1: Tensor, *, num_frames: int, **conditioning: Any
) -> KeyframeConditioning:
    """Condition forward motion on `frame0` and backward motion on `frame1`.

    Args:
        num_frames: frames of the clip, both keyframes included.
        frame0, frame1, conditioning: as `encode_pictures` takes them.
    """
    return encode_pictures(pipe, [frame0, frame1], **conditioning).between((0, 1), num_frames)


def encode_pictures(
    pipe: Pipe,
    pictures: Sequence[Tensor],
    *,
    fps: int = 7,
    motion_bucket_id: float = 127,
    end_motion_bucket_id: float | None = None,
    noise_aug_strength: float = 0.02,
    generator: Generator = None,
) -> EncodedPictures:
    """Encode the keyframes of a clip.

    Args:
        pictures: each (pair, 3, height, width) in [-1, 1], as `frames_to_tensor` makes them.
        fps: frames per second of the clip; SVD is told fps - 1.
        motion_bucket_id: how much moves, 0 to 255. end_motion_bucket_id: what the backward direction is told; None: the
            same.
        noise_aug_strength: standard deviation of the noise on the keyframes; ONE draw, the same on all of them.
        generator: draws that noise.
    """
    device = pipe._execution_device
    noise = randn_tensor(pictures[0].shape, generator=generator, device=device, dtype=torch.float32)
    buckets = (motion_bucket_id, motion_bucket_id if end_motion_bucket_id is None else end_motion_bucket_id)
    latents = [encode_latents(pipe, picture.to(device) + noise_aug_strength * noise) for picture in pictures]
    embeds = [embed_frames(pipe, picture) for picture in pictures]
    return EncodedPictures(
        torch.stack(latents),
        torch.stack(embeds).squeeze(2),
        torch.stack([added_time_ids(fps, bucket, noise_aug_strength) for bucket in buckets])[:, None, None],
        pipe.unet.dtype,
    )


def added_time_ids(fps: float, motion_bucket_id: float, noise_aug_strength: float) -> Tensor:
    """(3,) float64. SVD was conditioned on fps - 1 (generative-models, scripts/sampling/simple_video_sample.py).

    >>> added_time_ids(fps=7, motion_bucket_id=127, noise_aug_strength=0.0).tolist()
    [6.0, 127.0, 0.0]
    """
    return torch.tensor([fps - 1, motion_bucket_id, noise_aug_strength], dtype=torch.float64)


def encode_clean(pipe: Pipe, pictures: Sequence[Tensor]) -> Tensor:
    """Clean, scaled latents as the sampler holds frames: (picture, pair, channel, height, width), float32."""
    clean = [encode_latents(pipe, picture) for picture in pictures]
    return torch.stack(clean).float() * pipe.vae.config.scaling_factor


def beside_zeros(cond: Tensor) -> Tensor:
    """(direction, ...) -> (direction, guidance, ...): the unconditional half is zeros, as SVD was trained."""
    return torch.stack([torch.zeros_like(cond), cond], dim=1)


def encode_latents(pipe: Pipe, frame: Tensor) -> Tensor:
    """(pair, 3, H, W) in [-1, 1] -> the mode of the VAE's posterior, unscaled: (pair, channel, height, width)."""
    with upcast(pipe.vae):
        return pipe._encode_vae_image(frame.to(pipe.vae.dtype), pipe._execution_device, 1, False)


def embed_frames(pipe: Pipe, frame: Tensor) -> Tensor:
    """(pair, 3, H, W) in [-1, 1] -> CLIP image embeddings (pair, 1, embedding)."""
    size = pipe.image_encoder.config.image_size
    small = _resize_with_antialiasing(frame.cpu().float(), (size, size))  # diffusers normalises on the CPU
    return pipe._encode_image((small + 1) / 2, pipe._execution_device, 1, False)


@contextmanager
def upcast(vae: Any) -> Iterator[None]:
    """Run a float16 VAE in float32 where its config asks for that (`force_upcast`: SVD's encoder overflows)."""
    needed = vae.dtype == torch.float16 and vae.config.force_upcast
    if needed:
        vae.to(dtype=torch.float32)
    try:
        yield
    finally:
        if needed:
            vae.to(dtype=torch.float16)


def frames_to_tensor(frames: Frames, name: str = "frame") -> Tensor:
    """A keyframe, or one per pair, as float32 (pair, 3, height, width) in [-1, 1].

    Args:
        frames: an RGB PIL image, a numpy array (H, W, 3) or (pair, H, W, 3), a tensor (3, H, W) or (pair, 3, H, W), the
            path of an image file, or a list of one of these kinds. Arrays and tensors hold uint8, or values in [0, 1].
        name: how errors call it.

    Raises:
        TypeError, ValueError: another type, mode, shape or range; sizes that differ; NaN.
    """
    if isinstance(frames, list):
        pictures = [picture_to_tensor(frame, name) for frame in frames]
        if len({picture.shape for picture in pictures}) != 1:
            sizes = [tuple(picture.shape[-2:]) for picture in pictures]
            raise ValueError(f"expected one size for every {name} of a batch, got (height, width) {sizes}")
        tensor = torch.stack(pictures)
    else:
        tensor = picture_to_tensor(frames, name)
        tensor = tensor.unsqueeze(0) if tensor.ndim == 3 else tensor
    if tensor.ndim != 4 or tensor.shape[1] != 3 or 0 in tensor.shape:
        raise ValueError(f"expected {name} of shape (3, H, W) or (pair, 3, H, W), got {tuple(tensor.shape)}")
    if not tensor.isfinite().all():
        raise ValueError(f"expected {name} with finite values, got NaN or infinity")
    if tensor.min() < 0 or tensor.max() > 1:
        raise ValueError(f"expected {name} in [0, 1], got values from {tensor.min():.3g} to {tensor.max():.3g}")
    return tensor.contiguous() * 2 - 1


def picture_to_tensor(picture: Picture, name: str) -> Tensor:
    """Float32 (..., 3, height, width), of uint8 values in [0, 1]; TypeError, ValueError: another type or mode."""
    if isinstance(picture, (str, os.PathLike)):
        picture = load_image(picture)
    if isinstance(picture, Image.Image):
        if picture.mode != "RGB":
            raise ValueError(f"expected {name} as an RGB image, got {picture.mode}: convert it, `image.convert('RGB')`")
        picture = np.asarray(picture)
    if isinstance(picture, np.ndarray):
        if picture.ndim not in (3, 4) or picture.shape[-1] != 3:
            raise ValueError(f"expected {name} of shape (H, W, 3) or (pair, H, W, 3), got {picture.shape}")
        picture = torch.from_numpy(picture.copy()).movedim(-1, -3)
    if not isinstance(picture, Tensor):
        raise TypeError(
            f"expected {name} as a PIL image, a numpy array, a tensor, a path or a list of them, got "
            f"{type(picture).__name__}"
        )
    return picture.float() / 255 if picture.dtype == torch.uint8 else picture.float()
