"""Validation during training: held-out loss at fixed noise, and a contact sheet."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import nn

from gen_inbetween.data.clips import Clips, TrainingClip
from gen_inbetween.diffusion.conditioning import Pipe
from gen_inbetween.media.contact_sheet import contact_sheet
from gen_inbetween.media.image import to_pixels
from gen_inbetween.runtime.files import save_image, write_json
from gen_inbetween.training.latents import EncodedClip, stack
from gen_inbetween.training.loss import backward_motion_loss
from gen_inbetween.training.sample_order import NOISE, seeded

BANDS = (-1.5, -0.75, 0.0, 0.75, 1.5)  # standard deviations from the mean of log sigma: fine detail ... layout


def noise_levels(mean: float, std: float) -> list[float]:
    """One level for each of BANDS, of the distribution exp(mean + std n) that training draws from."""
    return [math.exp(mean + band * std) for band in BANDS]


@torch.no_grad()
def held_out_losses(
    unet: nn.Module,
    clips: Sequence[EncodedClip],
    levels: Sequence[float],
    *,
    seed: int,
    device: torch.device,
    dtype: torch.dtype,
) -> dict[str, float]:
    """The training loss averaged over `clips`, level by level ("sigma 2.01"), and over all ("mean").

    Each (clip, level) has the same noise at every call, so two values differ by what was learned and nothing else.
    """
    losses: dict[str, float] = {}
    means = []
    for band, level in enumerate(levels):
        values = []
        for index, clip in enumerate(clips):
            latents, keyframes = stack([clip], device, dtype)
            generator = seeded(seed, NOISE, index * len(levels) + band)
            values.append(
                backward_motion_loss(unet, latents, keyframes, torch.tensor(level, device=device), generator).item()
            )
        means.append(sum(values) / len(values))
        losses[f"sigma {level:.3g}"] = means[-1]  # levels that look alike share a name: the last one has it
    return losses | {"mean": sum(means) / len(levels)}


@dataclass(frozen=True)
class Validator:
    """Called with the steps done: writes `<folder>/<step>.json` and, with clips to show, `.png`; returns the losses."""

    pipe: Pipe  # an `InbetweenPipeline` whose UNet is the one that learns
    clips: Clips
    encoded: Sequence[EncodedClip]
    levels: Sequence[float]
    folder: Path
    seed: int
    noise_aug_strength: float
    sheet_clips: int
    options: Mapping[str, Any]  # of method gi

    def __call__(self, step: int) -> dict[str, float]:
        unet = self.pipe.unet
        losses = held_out_losses(unet, self.encoded, self.levels, seed=self.seed, device=unet.device, dtype=unet.dtype)
        write_json(self.folder / f"{step:07d}.json", {"step": step, "loss": losses})
        shown = [self.clips[index] for index in range(min(self.sheet_clips, len(self.clips)))]
        if shown:
            devices = self.pipe.vae.device, self.pipe.image_encoder.device
            self.pipe.to(unet.device)  # the encoders may be parked on the CPU
            sheet = inbetween_sheet(
                self.pipe, shown, noise_aug_strength=self.noise_aug_strength, seed=self.seed, options=self.options
            )
            self.pipe.vae.to(devices[0])
            self.pipe.image_encoder.to(devices[1])
            save_image(self.folder / f"{step:07d}.png", sheet)
        return losses


def inbetween_sheet(
    pipe: Pipe, clips: Sequence[TrainingClip], *, noise_aug_strength: float, seed: int, options: Mapping[str, Any]
) -> Image.Image:
    """A labelled sheet: each clip as it is, and below it what method gi makes of its first and last frame.

    Args:
        pipe: an `InbetweenPipeline` whose UNet has the motion: the call that `inbetween` makes, without a second model.
        options: of the method, as `InbetweenPipeline.__call__` takes them.
    """
    rows: dict[str, list[Image.Image]] = {}
    for number, clip in enumerate(clips):
        pictures = clip.frames / 2 + 0.5
        output = pipe(
            pictures[0].clamp(0, 1),
            pictures[-1].clamp(0, 1),
            method="gi",
            num_frames=len(pictures),
            fps=clip.fps,
            motion_bucket_id=clip.motion_bucket_id,
            noise_aug_strength=noise_aug_strength,
            split_guidance=True,
            generator=torch.Generator().manual_seed(seed + number),
            **options,
        )
        rows[f"{clip.name}: true"] = [Image.fromarray(frame) for frame in to_pixels(clip.frames)]
        rows[f"{clip.name}: gi"] = output.frames[0]
    return contact_sheet(rows)
