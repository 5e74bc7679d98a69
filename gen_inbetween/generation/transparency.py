"""Transparency of clips that a diffusion model made.

Models know colour alone: it is sampled over the background, and the alpha of the keyframes is carried along the motion
of what was sampled, found by DIS flow from each frame to both keyframes:

    alpha_t = (1 - t) alpha_0(x + flow_t0) + t alpha_1(x + flow_t1)
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image

from gen_inbetween.generation.settings import Settings
from gen_inbetween.interpolation.classical import dis_flow
from gen_inbetween.interpolation.pairs import frame_tensor
from gen_inbetween.interpolation.warping import warp
from gen_inbetween.media.fit import fit_pair

log = logging.getLogger("gen_inbetween")

_CPU = torch.device("cpu")


def carry_alpha(
    frames: Sequence[Image.Image], keyframes: tuple[Image.Image, Image.Image], settings: Settings
) -> list[Image.Image]:
    """The frames (RGB, over the settings' background) as RGBA, with the alpha of two RGBA keyframes.

    settings: those the frames were sampled with; by them the keyframes are fitted.
    """
    log.info(
        "the keyframes are transparent: colour is sampled over the background %s, alpha follows its motion",
        settings.background,
    )
    fitted0, fitted1, geometry = fit_pair(*keyframes, settings.width or 0, settings.height or 0, settings.fit)
    ends = [geometry.undo(frame) for frame in (fitted0, fitted1)]
    alphas = [frame_tensor(end.getchannel("A").convert("RGB"), _CPU) for end in ends]
    first, last = (frame_tensor(frame, _CPU) for frame in (frames[0], frames[-1]))
    carried = [ends[0]]
    for number in range(1, len(frames) - 1):
        t, frame = number / (len(frames) - 1), frame_tensor(frames[number], _CPU)
        moved0, moved1 = (warp(alpha, dis_flow(frame, end)) for alpha, end in zip(alphas, (first, last), strict=True))
        alpha = ((1 - t) * moved0 + t * moved1)[0, 0].clamp(0, 1).numpy()
        carried.append(_uncovered(frames[number], alpha, settings.background))
    return [*carried, ends[1]] if settings.exact_ends else [
        _with_alpha_of(frames[0], ends[0], settings), *carried[1:], _with_alpha_of(frames[-1], ends[1], settings)
    ]  # fmt: skip


def _with_alpha_of(frame: Image.Image, end: Image.Image, settings: Settings) -> Image.Image:
    return _uncovered(frame, np.asarray(end.getchannel("A"), np.float32) / 255, settings.background)


def _uncovered(frame: Image.Image, alpha: np.ndarray, background: tuple[int, int, int]) -> Image.Image:
    """A frame over a background without it: RGBA, with alpha (H, W) in [0, 1]."""
    share, ground = alpha[..., None], np.array(background, np.float32)
    colours = ground + (np.asarray(frame, np.float32) - ground) / np.maximum(share, 1 / 255)
    values = np.concatenate([np.where(share > 0, colours, 0).clip(0, 255), 255 * share], 2)
    return Image.fromarray(np.rint(values).astype(np.uint8))
