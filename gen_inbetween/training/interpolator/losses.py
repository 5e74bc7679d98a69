"""Losses of interpolation networks: of an `Estimate` or of frames, a scalar each.

RIFE (ECCV 2022, section 3.4):     Lap(frame) + Lap(teacher's frame) + w * distillation
Super SloMo (CVPR 2018, eq. 7-10): 0.8 L1 + 0.005 perceptual + 0.4 warping + smoothness, the L1 terms on 0..255;
                                   for frames in [0, 1] that is 204 and 102
tiny-di:                           Lap(frame) + 0.5 Lap(merged) + 0.05 exact-flow L1 + 0.02 matching NLL

Frames are (B, C, H, W) in [0, 1], flows in pixels. The perceptual term needs VGG16, so the caller brings its features.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from gen_inbetween.interpolation.networks.estimate import Estimate
from gen_inbetween.interpolation.networks.matching import cells
from gen_inbetween.interpolation.warping import warp

LEVELS = 5
BETTER_BY = 0.01  # the teacher is followed where it is better than the student by this much of a [0, 1] signal
DISTILLATION = 0.01  # its weight for t = 1/2; 0.002 to 0.005 where t varies, for the teacher then moves more
RECONSTRUCTION, WARPING, PERCEPTUAL = 204.0, 102.0, 0.005
MERGED, GUIDANCE, MATCHING = 0.5, 0.05, 0.02  # tiny-di: flow terms in pixels, matching in nats
_BINOMIAL = (1.0, 4.0, 6.0, 4.0, 1.0)


def laplacian_pyramid(image: Tensor, levels: int = LEVELS) -> list[Tensor]:
    """Bands from fine to coarse, each (B, C, H / 2**k, W / 2**k), and last what is left: `levels` + 1 tensors.

    RIFE's code leaves the rest out. At 64 pixels and five levels that is all brightness beyond a few pixels, so that
    a frame of another colour would cost nothing. Levels end where a side is too short for the filter's reflection.
    """
    bands = []
    for _ in range(levels):
        if min(image.shape[-2:]) < 3:
            break
        coarse = _blur(image)[..., ::2, ::2]
        bands.append(image - _enlarged(coarse, image.shape[-2], image.shape[-1]))
        image = coarse
    return [*bands, image]


def laplacian(image: Tensor, target: Tensor, levels: int = LEVELS) -> Tensor:
    """The L1 distance of every band, summed over the bands."""
    pairs = zip(laplacian_pyramid(image, levels), laplacian_pyramid(target, levels), strict=True)
    return torch.stack([functional.l1_loss(band, wanted) for band, wanted in pairs]).sum()


def distillation(estimate: Estimate, target: Tensor) -> Tensor:
    """How far each block's flow is from the teacher's, in pixels, where the teacher's frame is clearly the better one.

    Gradients reach the blocks only. ValueError: the estimate was made without a target or without a teacher.
    """
    if estimate.teacher is None:
        raise ValueError("expected an estimate with a teacher: build the network with teacher=True and give the target")
    teacher, total = estimate.teacher, []
    best = _error(teacher.merged, target)
    for flow, merged in zip(estimate.flows, estimate.merged, strict=True):
        follow = (_error(merged, target) > best + BETTER_BY).detach()
        # The square root has no slope at zero; a tiny constant keeps its gradient finite there.
        away = ((teacher.flow.detach() - flow).square().mean(1, keepdim=True) + 1e-12).sqrt()
        total.append((away * follow).mean())
    return torch.stack(total).sum()


def rife_loss(estimate: Estimate, target: Tensor, weight: float = DISTILLATION) -> Tensor:
    """RIFE's whole objective for an estimate with a teacher; weight: of the distillation."""
    guided = distillation(estimate, target)
    assert estimate.teacher is not None
    return laplacian(estimate.frame, target) + laplacian(estimate.teacher.merged, target) + weight * guided


def smoothness(flow: Tensor) -> Tensor:
    """Total variation of a flow: the mean absolute step to the right plus that downwards, in pixels."""
    return (flow[..., 1:] - flow[..., :-1]).abs().mean() + (flow[..., 1:, :] - flow[..., :-1, :]).abs().mean()


def warping_error(a: Tensor, b: Tensor, estimate: Estimate, target: Tensor) -> Tensor:
    """L1 of both frames carried to the time between by the first flows, and to each other by those between them."""
    between = _between(estimate)
    to0, to1 = estimate.flows[0].split(2, 1)
    flow01, flow10 = between.split(2, 1)
    pairs = ((warp(a, to0), target), (warp(b, to1), target), (warp(a, flow10), b), (warp(b, flow01), a))
    return torch.stack([functional.l1_loss(carried, wanted) for carried, wanted in pairs]).sum()


def super_slomo_loss(
    a: Tensor, b: Tensor, estimate: Estimate, target: Tensor, features: Callable[[Tensor], Tensor] | None = None
) -> Tensor:
    """Super SloMo's whole objective.

    features: VGG16 up to conv4_3, frames -> (B, D, h, w); None leaves the perceptual term out.
    """
    flow01, flow10 = _between(estimate).split(2, 1)
    loss = RECONSTRUCTION * functional.l1_loss(estimate.frame, target)
    loss = loss + WARPING * warping_error(a, b, estimate, target) + smoothness(flow01) + smoothness(flow10)
    if features is not None:
        loss = loss + PERCEPTUAL * functional.mse_loss(features(estimate.frame), features(target))
    return loss


def flow_error(flow: Tensor, truth: Tensor, known: Tensor | None = None, *, power: float = 1.0) -> Tensor:
    """Mean absolute difference to an exact flow, in pixels a component; known (B, 1, H, W): where there is a truth.

    power: below 1, mean (|difference| + 0.01) ** power: small errors count for more, as in PWC-Net's fine-tuning.
    """
    away = (flow - truth).abs()
    if power != 1:
        away = (away + 0.01) ** power
    if known is None:
        return away.mean()
    weight = known.to(away).expand_as(away)
    return (away * weight).sum() / weight.sum().clamp(min=1)


def tiny_di_loss(
    estimate: Estimate, target: Tensor, flow: Tensor, between: Tensor, seen_between: Tensor, power: float = 1.0
) -> Tensor:
    """tiny-di's whole objective, which needs exact motion: frames, every flow on the way, and the matches.

    target: (B, 3, H, W). flow: (B, 4, H, W) from the target to both frames. between, seen_between: as `Triplets`.
    power: see `flow_error`.
    """
    loss = laplacian(estimate.frame, target) + MERGED * laplacian(estimate.merged[-1], target)
    loss = loss + GUIDANCE * torch.stack([flow_error(found, flow, power=power) for found in estimate.flows]).sum()
    return loss + MATCHING * matching_error(estimate, between, seen_between)


def matching_error(estimate: Estimate, between: Tensor, seen: Tensor) -> Tensor:
    """Mean -log P of the true match over the cells that are seen in the other frame, both ways.

    The true place lies between four cells; their log P are weighed as in bilinear interpolation. ValueError: the
    estimate is of a network that does not match.
    """
    if estimate.matches is None:
        raise ValueError("expected an estimate of tiny-di, with matches between the two frames")
    errors = []
    for matches, flow, known in zip(estimate.matches, between.split(2, 1), seen.split(1, 1), strict=True):
        if matches.logits is None:
            raise ValueError("expected an estimate that was made with gradients: without, no probabilities are kept")
        height, width = matches.flow.shape[-2:]
        cell = flow.shape[-1] // width  # pixels
        middle = slice(cell // 2, None, cell)
        places = cells(height, width, flow.device) + flow[..., middle, middle].flatten(2).transpose(1, 2) / cell
        left, top = places.floor().unbind(-1)
        inside = (left >= 0) & (left < width - 1) & (top >= 0) & (top < height - 1)
        inside = inside & known[..., middle, middle].flatten(1).bool()
        logarithm = matches.logits.log_softmax(-1)
        total = torch.zeros_like(left)
        for column, row in ((left, top), (left + 1, top), (left, top + 1), (left + 1, top + 1)):
            share = (1 - (places[..., 0] - column).abs()) * (1 - (places[..., 1] - row).abs())
            number = row.clamp(0, height - 1) * width + column.clamp(0, width - 1)
            total = total - share * logarithm.gather(2, number.long()[..., None])[..., 0]
        errors.append((total * inside).sum() / inside.sum().clamp(min=1))
    return torch.stack(errors).sum()


def _between(estimate: Estimate) -> Tensor:
    if estimate.between is None:
        raise ValueError("expected an estimate of Super SloMo, with the flows between the two frames")
    return estimate.between


def _error(image: Tensor, target: Tensor) -> Tensor:
    return (image - target).abs().mean(1, keepdim=True)


def _blur(image: Tensor) -> Tensor:
    """The 5 x 5 binomial filter, edges reflected."""
    row = image.new_tensor(_BINOMIAL) / sum(_BINOMIAL)
    channels = image.shape[1]
    image = functional.pad(image, (2, 2, 2, 2), mode="reflect")
    image = functional.conv2d(image, row.view(1, 1, 1, 5).expand(channels, 1, 1, 5), groups=channels)
    return functional.conv2d(image, row.view(1, 1, 5, 1).expand(channels, 1, 5, 1), groups=channels)


def _enlarged(image: Tensor, height: int, width: int) -> Tensor:
    """Twice the size: every other pixel zero, then the filter, times 4 for the zeros."""
    large = image.new_zeros(*image.shape[:2], height, width)
    large[..., ::2, ::2] = image
    return 4 * _blur(large)
