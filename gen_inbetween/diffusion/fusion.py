"""Forward and backward motion fused into one denoised clip by one UNet.

    D(x) = w D_forward(x) + (1 - w) J D_backward(J x),      D_* = D_uncond + g (D_cond - D_uncond)

    denoise = FusedDenoiser(unet, keyframes, guidance_scales(1, 3, 25), fusion_weights("linear", 25), rotate=True)
    guided, unconditional = denoise(x, sigma)

with J the flip of time, w the weight of forward motion per frame and g the guidance per frame, counted by each
direction in its own order of time. Every step after the UNet is affine with weights that sum to one, so fusing the
denoised clip equals fusing the UNet's predictions, as Generative Inbetweening (arXiv 2408.15239) does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from gen_inbetween.diffusion.attention import LARGEST_LAUNCH, Direction
from gen_inbetween.diffusion.conditioning import BACKWARD, COND, FORWARD, UNCOND, KeyframeConditioning
from gen_inbetween.diffusion.edm import FRAME, Denoised, denoise
from gen_inbetween.diffusion.motion import set_direction, sole_use, split_temporal_attention

if TYPE_CHECKING:
    from gen_inbetween.diffusion.methods import Method
    from gen_inbetween.diffusion.options import SamplerOptions

FUSION_WEIGHTS: dict[str, Callable[[int], Tensor]] = {
    "average": lambda num_frames: torch.full((num_frames,), 0.5, dtype=torch.float64),
    "linear": lambda num_frames: torch.linspace(1, 0, num_frames, dtype=torch.float64),
}


def fusion_weights(fusion: str, num_frames: int) -> Tensor:
    """The weight of forward motion on each frame, (num_frames,): "average" is 0.5, "linear" falls from 1 to 0.

    >>> fusion_weights("linear", 5).tolist()
    [1.0, 0.75, 0.5, 0.25, 0.0]

    Raises:
        ValueError: another name.
    """
    if fusion not in FUSION_WEIGHTS:
        raise ValueError(f"expected fusion out of {', '.join(FUSION_WEIGHTS)}, got {fusion!r}")
    return FUSION_WEIGHTS[fusion](num_frames)


def guidance_scales(minimum: float, maximum: float, num_frames: int, fusion: str | None = None) -> Tensor:
    """Guidance on each frame, (num_frames,), in a direction's own order of time: SVD's ramp away from its keyframe.

    With "average" fusion both directions take the mean of the ramp and its flip, so a frame is guided alike by both.

    >>> guidance_scales(1, 3, 5).tolist()
    [1.0, 1.5, 2.0, 2.5, 3.0]
    >>> guidance_scales(1, 3, 5, "average").tolist()
    [2.0, 2.0, 2.0, 2.0, 2.0]
    """
    ramp = torch.linspace(minimum, maximum, num_frames, dtype=torch.float64)
    return (ramp + ramp.flip(0)) / 2 if fusion == "average" else ramp


class GuidedDenoiser:
    """Classifier-free guidance over one or two directions of motion; the base of the two denoisers below.

    Args:
        unet: SVD's UNet.
        keyframes: what it is conditioned on.
        guidance: scale on each frame, (num_frames,), in each direction's own order of time. Where it is 1 throughout,
            the unconditional half cancels and is not computed.
        need_unconditional: compute that half all the same, as CFG++ needs it.
        split_guidance: the unconditional and the conditional half in two UNet passes instead of one batch: half the
            activations, the same numbers up to rounding.

    `passes` counts sample-forwards: clips that went through the UNet, each guidance half and direction counting one.
    """

    direction: Direction = "forward"
    directions: list[int]

    def __init__(
        self,
        unet: nn.Module,
        keyframes: KeyframeConditioning,
        guidance: Tensor,
        *,
        need_unconditional: bool = False,
        split_guidance: bool = False,
    ) -> None:
        self.unet, self.keyframes, self.split_guidance = unet, keyframes, split_guidance
        self.guidance = per_frame(guidance, keyframes)
        self.both_halves = need_unconditional or not bool((guidance == 1).all())
        self.passes = 0

    def guide(self, x: Tensor, sigma: Tensor) -> Denoised:
        """Each (direction, pair, frame, channel, height, width) as `x` is."""
        if not self.both_halves:
            (cond,) = self.predict(x, sigma, [COND])
            return Denoised(cond, None)
        uncond, cond = self.predict(x, sigma, [UNCOND, COND])
        return Denoised(uncond + self.guidance * (cond - uncond), uncond)

    def predict(self, x: Tensor, sigma: Tensor, guidance: list[int]) -> Tensor:
        """(guidance, direction, pair, ...) of these halves, in one batch or one by one."""
        groups = [[half] for half in guidance] if self.split_guidance else [guidance]
        return torch.cat([self.evaluate(x, sigma, group) for group in groups])

    def evaluate(self, x: Tensor, sigma: Tensor, guidance: list[int]) -> Tensor:
        """One UNet pass, (guidance, direction, pair, ...); its batch is (direction, guidance, pair)."""
        batch = x.unsqueeze(1).expand(-1, len(guidance), *x.shape[1:])
        keyframes = self.keyframes.select(self.directions, guidance)
        with sole_use(self.unet):  # another run, of a thread or a task, takes its own pass before or after
            if batch.shape[:3].numel() * batch.shape[-2:].numel() > LARGEST_LAUNCH:  # positions of the largest layers
                split_temporal_attention(self.unet)
            set_direction(self.unet, self.direction)
            try:
                denoised = denoise(self.unet, batch.flatten(0, 2), sigma, **keyframes.batch())
            finally:
                set_direction(self.unet, "forward")  # so that a stock pipeline on this UNet stays right
        self.passes += len(denoised)
        return denoised.unflatten(0, batch.shape[:3]).transpose(0, 1)


class FusedDenoiser(GuidedDenoiser):
    """`denoise(x, sigma)` of both motions: x is (pair, frame, channel, height, width), in forward order.

    Args:
        weight: weight of forward motion on each frame, (num_frames,).
        rotate: backward motion as the UNet's motion has it, through the rotated attention map (or by its own, if it was
            trained without rotation); needs `motion.add_backward_motion`. Without, both are stock SVD, which is
            time reversal fusion.

    The other arguments are `GuidedDenoiser`'s.

    Raises:
        RuntimeError: on the first call, if `rotate` and the UNet has no backward motion (any more).
    """

    directions = [FORWARD, BACKWARD]

    def __init__(
        self,
        unet: nn.Module,
        keyframes: KeyframeConditioning,
        guidance: Tensor,
        weight: Tensor,
        *,
        rotate: bool,
        need_unconditional: bool = False,
        split_guidance: bool = False,
    ) -> None:
        options = {"need_unconditional": need_unconditional, "split_guidance": split_guidance}
        super().__init__(unet, keyframes, guidance, **options)
        self.weight = per_frame(weight, keyframes)
        self.direction = "both" if rotate else "forward"

    def __call__(self, x: Tensor, sigma: Tensor) -> Denoised:
        guided, uncond = self.guide(both_ways(x), sigma)
        return Denoised(self.fuse(guided), None if uncond is None else self.fuse(uncond))

    def fuse(self, both: Tensor) -> Tensor:
        forward, backward = both
        return self.weight * forward + (1 - self.weight) * backward.flip(FRAME)


class MotionDenoiser(GuidedDenoiser):
    """`denoise(x, sigma)` of stock SVD from one keyframe; x is in that direction's own order of time.

    Args:
        direction: "forward" starts at frame0; "backward" starts at frame1 and runs towards frame0.

    The other arguments are `GuidedDenoiser`'s.
    """

    def __init__(
        self,
        unet: nn.Module,
        keyframes: KeyframeConditioning,
        guidance: Tensor,
        direction: str,
        *,
        need_unconditional: bool = False,
        split_guidance: bool = False,
    ) -> None:
        options = {"need_unconditional": need_unconditional, "split_guidance": split_guidance}
        super().__init__(unet, keyframes, guidance, **options)
        self.directions = [{"forward": FORWARD, "backward": BACKWARD}[direction]]

    def __call__(self, x: Tensor, sigma: Tensor) -> Denoised:
        guided, uncond = self.guide(x.unsqueeze(0), sigma)
        return Denoised(guided.squeeze(0), None if uncond is None else uncond.squeeze(0))


def open_denoisers(
    method: Method,
    unet: nn.Module,
    keyframes: KeyframeConditioning,
    options: SamplerOptions,
    *,
    split_guidance: bool = False,
) -> list[FusedDenoiser] | list[MotionDenoiser]:
    """What `method.sample` calls: one denoiser of both motions, or one per direction in turn.

    options: as `method.resolve` has completed them.
    """
    assert options.min_guidance_scale is not None and options.max_guidance_scale is not None
    scales = options.min_guidance_scale, options.max_guidance_scale
    guidance = guidance_scales(*scales, keyframes.num_frames, options.fusion)
    passes = {"need_unconditional": bool(options.cfg_plus_plus), "split_guidance": split_guidance}
    if method.motions in ("rotated", "reversed"):
        weight = fusion_weights(options.fusion or "average", keyframes.num_frames)
        return [FusedDenoiser(unet, keyframes, guidance, weight, rotate=method.needs_motion, **passes)]
    directions = {"sequential": ("forward", "backward"), "forward": ("forward",)}[method.motions]
    return [MotionDenoiser(unet, keyframes, guidance, direction, **passes) for direction in directions]


def both_ways(x: Tensor) -> Tensor:
    """(pair, frame, ...) -> (direction, pair, frame, ...), each direction in its own order of time."""
    return torch.stack([x, x.flip(FRAME)])


def per_frame(values: Tensor, keyframes: KeyframeConditioning) -> Tensor:
    """(num_frames,) -> (num_frames, 1, 1, 1), where the latents are and in the precision the sampler holds them in."""
    if values.shape != (keyframes.num_frames,):
        raise ValueError(f"expected one value for each of {keyframes.num_frames} frames, got {tuple(values.shape)}")
    dtype = torch.promote_types(keyframes.image_latents.dtype, torch.float32)
    return values.to(dtype).to(keyframes.image_latents.device).reshape(-1, 1, 1, 1)
