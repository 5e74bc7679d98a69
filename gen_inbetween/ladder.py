"""The ladder of exact memory levers for one run, from fastest to most frugal, each rung with the bytes of every stage.

A run has three stages: encode (CLIP, VAE encoder), denoise (UNet), decode. Each takes the weights that the offload mode
leaves on the device plus its own activations, both counted by `footprint`; the largest stage is the run's peak.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch

from .decoding import DecodeMode
from .footprint import Footprint, count_decode, count_encode, count_image_encoder, count_unet
from .levers import Levers, Offload
from .model_configs import ModelConfigs
from .sampling import Method

ALLOWANCE = 1.1  # allocator and cuDNN on top of the tensors; an estimate, not measured on a GPU


@dataclass(frozen=True)
class Rung:
    """One setting of the levers and the bytes that each stage of the run then takes."""

    levers: Levers
    stages: dict[str, int]

    @property
    def peak(self) -> float:
        """Bytes to have free, allowance included."""
        return ALLOWANCE * max(self.stages.values())


@dataclass(frozen=True)
class Workload:
    """One pair of keyframes on one model; height and width of the latents."""

    configs: ModelConfigs
    dtype: torch.dtype
    num_frames: int
    height: int
    width: int
    method: Method

    def evaluations(self, settings: dict[str, Any]) -> int:
        """Calls of the UNet with the guidance halves in one batch; a sequential method takes the directions in turn."""
        return len(self.method.step_order(settings)) * (2 if self.method.motions == "sequential" else 1)

    def unet(self, clips: int, chunk: int | None = None) -> Footprint:
        """One pass over so many clips."""
        size = (self.num_frames, self.height, self.width)
        return count_unet(self.configs.unet, self.dtype, clips, *size, self.method.needs_motion, chunk)

    def decode(self, mode: DecodeMode) -> Footprint:
        return count_decode(self.configs.vae, self.dtype, self.num_frames, self.height, self.width, mode)

    def parts(self, clips: int, chunk: int | None = None) -> dict[str, Footprint]:
        """What the stages run, the UNet for one pass over so many clips."""
        pixels = [self.configs.latent_factor * side for side in (self.height, self.width)]
        return {
            "image encoder": count_image_encoder(self.configs.image_encoder, self.dtype),
            "encode": count_encode(self.configs.vae, self.dtype, *pixels),
            "UNet": self.unet(clips, chunk),
            "decode": self.decode("streamed"),
        }

    def rungs(self, clips: int) -> Iterator[Rung]:
        """The ladder, counted as it is climbed; `clips` go through the UNet at once on the first rung."""
        chunk = forward_chunk(self.num_frames)
        directions = 2 if self.method.motions in ("rotated", "reversed") else 1
        split = clips > directions
        ladder = [Levers(), Levers(split), Levers(split, "none", chunk), Levers(split, "model", chunk)]
        ladder += [Levers(split, "group"), Levers(split, "group", chunk)]
        for levers in dict.fromkeys(ladder):
            parts = self.parts(directions if levers.split_guidance else clips, levers.forward_chunking)
            yield Rung(levers, stage_bytes(levers.offload, parts))


def forward_chunk(num_frames: int) -> int | None:
    """Frames per feed-forward chunk: the largest divisor up to a quarter of the frames (25: 5, 14: 2), where the
    feed-forwards no longer make the peak and smaller chunks save nothing."""
    return max((size for size in range(1, num_frames // 4 + 1) if num_frames % size == 0), default=None)


def stage_bytes(offload: Offload, parts: dict[str, Footprint]) -> dict[str, int]:
    """Bytes on the device in each stage: the weights that `offload` leaves there, and the stage's activations."""
    clip, encode, unet, decode = (parts[name] for name in ("image encoder", "encode", "UNet", "decode"))
    # The VAE counts in every stage: model offload sends a model away when the next of CLIP, UNet, VAE is called, and
    # nothing follows the VAE; group offload leaves it out. (encode.weights is the VAE in the precision it encodes in.)
    weights = {
        "none": [clip.weights + unet.weights] * 3,
        "model": [clip.weights, unet.weights, 0],
        "group": [2 * clip.largest_layer, 2 * unet.largest_layer, 0],  # the running layer and the next
    }[offload]
    return {
        "encode": weights[0] + encode.weights + max(clip.activations, encode.activations),
        "denoise": weights[1] + decode.weights + unet.activations,
        "decode": weights[2] + decode.weights + decode.activations,
    }
