"""Transparency of clips that a diffusion model made.

Models know colour alone: it is sampled over the background, and the alpha of the keyframes is carried along the motion
of what was sampled, found by DIS flow from each frame to the keyframe before it and the one after it:

    alpha_t = (1 - t) alpha_0(x + flow_t0) + t alpha_1(x + flow_t1)

with t from 0 to 1 between the two. In a loop the keyframe after the last is the first.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image

from gen_inbetween.generation.settings import Settings
from gen_inbetween.generation.timeline.timeline import Timeline
from gen_inbetween.interpolation.dis_flow import dis_flow
from gen_inbetween.interpolation.pairs import frame_tensor
from gen_inbetween.interpolation.warping import warp

log = logging.getLogger("gen_inbetween")

_CPU = torch.device("cpu")


def carry_alpha(
    frames: Sequence[Image.Image], timeline: Timeline, keyframes: Sequence[Image.Image], settings: Settings
) -> list[Image.Image]:
    """The frames (RGB, over the settings' background) as RGBA, with the alpha of RGBA keyframes.

    timeline: of the frames, with the places of the keyframes. settings: those the frames were sampled with; by them the
        keyframes are fitted.
    """
    log.info(
        "the keyframes are transparent: colour is sampled over the background %s, alpha follows its motion",
        settings.background,
    )
    ends = fit_back(keyframes, settings)
    whole = [settings.exact_ends and strength == 1 for strength in timeline.strengths or (1.0,) * len(ends)]
    carried: list[Image.Image] = []
    for number, (start, stop) in enumerate(timeline.segments):
        after = (number + 1) % len(ends)
        shown = (frames[start], frames[timeline.positions[after]])
        between = alpha_between(frames[start + 1 : stop], (ends[number], ends[after]), shown, settings.background)
        carried.append(ends[number] if whole[number] else _with_alpha_of(frames[start], ends[number], settings))
        carried += between
    if not timeline.loop:
        carried.append(ends[-1] if whole[-1] else _with_alpha_of(frames[-1], ends[-1], settings))
    return carried


def alpha_between(
    frames: Sequence[Image.Image],
    ends: tuple[Image.Image, Image.Image],
    shown: tuple[Image.Image, Image.Image],
    background: tuple[int, int, int],
) -> list[Image.Image]:
    """The frames (RGB, over the background) between two pictures as RGBA, their alpha carried from both.

    ends: the two pictures, RGBA. shown: the same two as the frames show them, RGB over the background.
    """
    alphas = [frame_tensor(end.getchannel("A").convert("RGB"), _CPU) for end in ends]
    colours = [frame_tensor(image, _CPU) for image in shown]
    carried = []
    for number, image in enumerate(frames, start=1):
        t, frame = number / (len(frames) + 1), frame_tensor(image, _CPU)
        moved0, moved1 = (warp(alpha, dis_flow(frame, there)) for alpha, there in zip(alphas, colours, strict=True))
        alpha = ((1 - t) * moved0 + t * moved1)[0, 0].clamp(0, 1).numpy()
        carried.append(_uncovered(image, alpha, background))
    return carried


def fit_back(keyframes: Sequence[Image.Image], settings: Settings) -> list[Image.Image]:
    """The keyframes as they lie in the finished frames: fitted to the sampled size by the first one's geometry."""
    laid, geometry = Timeline(tuple(keyframes), (), 0).fit(settings.width or 0, settings.height or 0, settings.fit)
    return [geometry.undo(keyframe) for keyframe in laid.keyframes]


def _with_alpha_of(frame: Image.Image, end: Image.Image, settings: Settings) -> Image.Image:
    return _uncovered(frame, np.asarray(end.getchannel("A"), np.float32) / 255, settings.background)


def _uncovered(frame: Image.Image, alpha: np.ndarray, background: tuple[int, int, int]) -> Image.Image:
    """A frame over a background without it: RGBA, with alpha (H, W) in [0, 1]."""
    share, ground = alpha[..., None], np.array(background, np.float32)
    colours = ground + (np.asarray(frame, np.float32) - ground) / np.maximum(share, 1 / 255)
    values = np.concatenate([np.where(share > 0, colours, 0).clip(0, 255), 255 * share], 2)
    return Image.fromarray(np.rint(values).astype(np.uint8))
