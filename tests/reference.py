"""The method done naively, to hold the fast form against: two UNets, whole attention maps rotated by hand, plain loops.

Nothing here uses gen_inbetween's samplers, denoisers or processors; it follows the papers' equations in v-prediction.
"""

from __future__ import annotations

import copy
import math

import torch
from diffusers.models.attention_processor import AttnProcessor2_0
from torch import Tensor, nn


def karras_sigmas(num_inference_steps: int, sigma_min: float, sigma_max: float, rho: float = 7.0) -> Tensor:
    """Noise levels from `sigma_max` down to `sigma_min`, then 0: float64 (steps + 1,). (Karras et al. 2022, eq. 5.)"""
    ramp = torch.linspace(0, 1, num_inference_steps, dtype=torch.float64)
    low, high = sigma_min ** (1 / rho), sigma_max ** (1 / rho)
    return torch.cat([(high + ramp * (low - high)) ** rho, torch.zeros(1, dtype=torch.float64)])


def temporal_layers(unet: nn.Module) -> dict[str, nn.Module]:
    return {
        name: module for name, module in unet.named_modules() if name.endswith("temporal_transformer_blocks.0.attn1")
    }


class WholeMap:
    """Plain attention that forms its map; `source` makes it use another layer's map, rotated by 180 degrees."""

    def __init__(self, source: WholeMap | None = None) -> None:
        self.source, self.map = source, None

    def __call__(self, attn, x, encoder_hidden_states=None, attention_mask=None):
        batch, frames, _ = x.shape

        def heads(y):
            return y.reshape(batch, frames, attn.heads, -1).permute(0, 2, 1, 3)

        if self.source is None:
            query, key = heads(attn.to_q(x)), heads(attn.to_k(x))
            self.map = (query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1])).softmax(-1)
            used = self.map
        else:
            used = torch.rot90(self.source.map, 2, (-2, -1))
        out = (used @ heads(attn.to_v(x))).permute(0, 2, 1, 3).reshape(batch, frames, -1)
        return attn.to_out[0](out)


def two_unets(unet: nn.Module, update: dict[str, Tensor]) -> tuple[nn.Module, nn.Module]:
    """A forward UNet that records its maps, and a tuned copy whose layers attend through them."""
    forward = copy.deepcopy(unet)
    for layer in temporal_layers(forward).values():
        layer.set_processor(AttnProcessor2_0())
    backward = copy.deepcopy(forward)
    weights = dict(backward.named_parameters())
    with torch.no_grad():
        for name, difference in update.items():
            weights[name] += difference
    for name, layer in temporal_layers(forward).items():
        layer.set_processor(WholeMap())
        temporal_layers(backward)[name].set_processor(WholeMap(layer.processor))
    return forward, backward


def predict_v(unet: nn.Module, x: Tensor, sigma: Tensor, z: Tensor, embeds: Tensor, ids: Tensor) -> Tensor:
    """One clip, one guidance half: x (1, F, C, h, w), z (1, 1, C, h, w)."""
    scaled = x / (sigma**2 + 1).sqrt()
    inputs = torch.cat([scaled, z.repeat(1, x.shape[1], 1, 1, 1)], dim=2)
    return unet(inputs, 0.25 * sigma.log(), encoder_hidden_states=embeds, added_time_ids=ids).sample


def to_denoised(x: Tensor, v: Tensor, sigma: Tensor) -> Tensor:
    return v * (-sigma / (sigma**2 + 1).sqrt()) + x / (sigma**2 + 1)


def fused_v(unets, x, sigma, keyframes, guidance, weight) -> tuple[Tensor, Tensor]:
    """(guided, unconditional) v of both motions; keyframes: (direction, guidance, pair = 1, ...) tensors."""
    ways = []
    for half in (0, 1):
        forward, backward = (
            predict_v(unet, path, sigma, *(tensor[way, half] for tensor in keyframes))
            for way, (unet, path) in enumerate(zip(unets, (x, x.flip(1)), strict=True))
        )
        ways.append((forward, backward))
    (forward_u, backward_u), (forward_c, backward_c) = ways
    g, w = guidance.reshape(1, -1, 1, 1, 1), weight.reshape(1, -1, 1, 1, 1)
    forward = forward_u + g * (forward_c - forward_u)
    backward = backward_u + g * (backward_c - backward_u)
    return w * forward + (1 - w) * backward.flip(1), w * forward_u + (1 - w) * backward_u.flip(1)


def keep(denoised, sigma, holds, *, flipped=False, but=None) -> Tensor:
    """What is kept, value by value: `holds` are (kept (F, C, h, w), strength (F, h, w), sigma_min, sigma_max).

    flipped: `denoised` (1, F, C, h, w) runs backwards. but: a frame of `denoised` that is left alone.
    """
    denoised = denoised.clone()
    _, frames, channels, height, width = denoised.shape
    for kept, strength, low, high in holds:
        for f in range(frames) if low <= sigma <= high else ():
            source = frames - 1 - f if flipped else f
            for c in range(channels) if f != but else ():
                for y in range(height):
                    for x in range(width):
                        value = denoised[0, f, c, y, x]
                        value += strength[source, y, x] * (kept[source, c, y, x] - value)
    return denoised


def sample_gi(unets, x, sigmas, keyframes, guidance, weight, repeats, until, noises, holds=()) -> Tensor:
    """Generative Inbetweening: Euler steps, each of the first `until` repeated after re-noising."""
    noises = iter(noises)
    for i in range(len(sigmas) - 1):
        for repeat in range(repeats + 1 if i < until else 1):
            if repeat:
                x = x + (sigmas[i] ** 2 - sigmas[i + 1] ** 2).sqrt() * next(noises)
            v, _ = fused_v(unets, x, sigmas[i], keyframes, guidance, weight)
            denoised = keep(to_denoised(x, v, sigmas[i]), sigmas[i], holds)
            derivative = (x - denoised) / sigmas[i]
            x = x + derivative * (sigmas[i + 1] - sigmas[i])
    return x


def sample_trf(unet, x, sigmas, keyframes, guidance, weight, jumps: dict[int, int], noises, holds=()) -> Tensor:
    """Time Reversal Fusion: each way steps alone, the results are blended; `jumps`: steps done -> steps to go back."""
    noises, jumps, i = iter(noises), dict(jumps), 0
    w = weight.reshape(1, -1, 1, 1, 1)
    while i < len(sigmas) - 1:
        stepped = []
        for way, path in enumerate((x, x.flip(1))):
            uncond, cond = (predict_v(unet, path, sigmas[i], *(t[way, half] for t in keyframes)) for half in (0, 1))
            v = uncond + guidance.reshape(1, -1, 1, 1, 1) * (cond - uncond)
            denoised = keep(to_denoised(path, v, sigmas[i]), sigmas[i], holds, flipped=bool(way))
            stepped.append(path + (path - denoised) / sigmas[i] * (sigmas[i + 1] - sigmas[i]))
        x, i = w * stepped[0] + (1 - w) * stepped[1].flip(1), i + 1
        if back := jumps.pop(i, 0):
            x = x + (sigmas[i - back] ** 2 - sigmas[i] ** 2).sqrt() * next(noises)
            i -= back
    return x


def sample_vibid(unet, x, sigmas, keyframes, guidance, ends, noises, holds=()) -> Tensor:
    """ViBiDSampler: forward and backward in turn, CFG++ steps, the far frame replaced by the other keyframe."""
    noises = iter(noises)
    for i in range(len(sigmas) - 1):
        for way in (0, 1):
            path = x.flip(1) if way else x
            uncond, cond = (
                to_denoised(path, predict_v(unet, path, sigmas[i], *(t[way, half] for t in keyframes)), sigmas[i])
                for half in (0, 1)
            )
            denoised = uncond + guidance.reshape(1, -1, 1, 1, 1) * (cond - uncond)
            denoised = keep(denoised, sigmas[i], holds, flipped=bool(way), but=0)
            if ends is not None:
                denoised[:, -1] = ends[1 - way]
            path = denoised + sigmas[i + 1] * (path - uncond) / sigmas[i]
            x = path.flip(1) if way else path + (sigmas[i] ** 2 - sigmas[i + 1] ** 2).sqrt() * next(noises)
    return x


def halves(unet, path, sigma, keyframes, way) -> list[Tensor]:
    """[unconditional, conditional] denoised clip of one direction, in its own order of time."""
    return [
        to_denoised(path, predict_v(unet, path, sigma, *(t[way, half] for t in keyframes)), sigma) for half in (0, 1)
    ]


def moved_by_residuals(x, denoised, sigma, last) -> Tensor:
    """Motion Prior Distillation as its paper has it: the forward clip's residual noise, summed up from the end.

    The backward path starts with the noise that leaves the last keyframe, and each frame before it adds the change of
    the forward clip's residual noise from frame to frame.
    """
    frames = x.shape[1]
    noise = (x - denoised) / sigma
    path = [(x[:, -1] - last) / sigma]  # of the backward clip, in its own order of time
    for j in range(1, frames):
        path.append(path[-1] + noise[:, frames - 1 - j] - noise[:, frames - j])
    return torch.stack([x[:, k] - sigma * path[frames - 1 - k] for k in range(frames)], dim=1)


def sample_mpd(unet, x, sigmas, keyframes, ends, noises, early, repeats, rest) -> Tensor:
    """Motion Prior Distillation; `rest(x, i, noises)` makes the steps after the early ones."""
    noises = iter(noises)
    for i in range(len(sigmas) - 1):
        sigma, down = sigmas[i], sigmas[i + 1]
        if i >= early:
            x = rest(x, i, noises)
            continue
        for _ in range(repeats):
            uncond, cond = halves(unet, x, sigma, keyframes, 0)
            clip = moved_by_residuals(x, cond, sigma, ends[1])
            clip[:, 0] = ends[0]
            x = clip + down / sigma * (x - uncond)
            x = x + (sigma**2 - down**2).sqrt() * next(noises)
        x = vibid_step(unet, x, sigma, down, keyframes, ends, noises)
    return x


def vibid_step(unet, x, sigma, down, keyframes, ends, noises) -> Tensor:
    """One step of ViBiDSampler without guidance, both far frames pinned."""
    for way in (0, 1):
        path = x.flip(1) if way else x
        uncond, cond = halves(unet, path, sigma, keyframes, way)
        cond[:, -1] = ends[1 - way]
        path = cond + down / sigma * (path - uncond)
        x = path.flip(1) if way else path + (sigma**2 - down**2).sqrt() * next(noises)
    return x


def parallel_step(unet, x, sigma, down, keyframes, weight) -> Tensor:
    """Both ways fused, along the forward unconditional clip."""
    w = weight.reshape(1, -1, 1, 1, 1)
    uncond, cond = halves(unet, x, sigma, keyframes, 0)
    _, back = halves(unet, x.flip(1), sigma, keyframes, 1)
    return w * cond + (1 - w) * back.flip(1) + down / sigma * (x - uncond)


def published_time_travel(steps: int, jump_n_sample: int, repeat_step_ratio: float, jump_length: int) -> list[int]:
    """The steps that Time Reversal Fusion's published loop makes, which counts down and goes back up to re-noise."""
    jumps = dict.fromkeys(range(int(steps * repeat_step_ratio), steps - jump_length, jump_length), jump_n_sample - 1)
    order, left = [], steps
    while left >= 1:
        left -= 1
        order.append(steps - 1 - left)
        if jumps.get(left, 0) > 0:
            jumps[left] -= 1
            left += jump_length
    return order
