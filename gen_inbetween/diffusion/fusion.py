"""Forward and backward motion fused into one denoised clip by one UNet.

    D(x) = w D_forward(x) + (1 - w) J D_backward(J x),      D_* = D_uncond + g (D_cond - D_uncond)

    denoise = FusedDenoiser(unet, keyframes, guidance_scales(1, 3, 25), fusion_weights("linear", 25), rotate=True)
    guided, unconditional = denoise(x, sigma)

with J the flip of time, w the weight of forward motion per frame and g the guidance per frame, counted by each
direction in its own order of time. Every step after the UNet is affine with weights that sum to one, so fusing the
denoised clip equals fusing the UNet's predictions, as Generative Inbetweening (arXiv 2408.15239) does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from gen_inbetween.diffusion.attention import LARGEST_LAUNCH, Direction
from gen_inbetween.diffusion.conditioning import BACKWARD, COND, FORWARD, UNCOND, KeyframeConditioning
from gen_inbetween.diffusion.edm import FRAME, Denoised, denoise
from gen_inbetween.diffusion.motion import set_direction, sole_use, split_temporal_attention
from gen_inbetween.diffusion.samplers.distillation import Distillation
from gen_inbetween.diffusion.samplers.guidance import GuidancePlan, guidance_scales
from gen_inbetween.diffusion.samplers.orders import stop_when_settled
from gen_inbetween.diffusion.samplers.parallel import Ranks
from gen_inbetween.diffusion.samplers.step_cache import StepCache

if TYPE_CHECKING:
    from gen_inbetween.diffusion.methods import Method
    from gen_inbetween.diffusion.options import SamplerOptions

PLAIN_GUIDANCE = GuidancePlan()
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


class GuidedDenoiser:
    """Classifier-free guidance over one or two directions of motion; the base of the two denoisers below.

    Args:
        unet: SVD's UNet.
        keyframes: what it is conditioned on.
        guidance: scale on each frame, (num_frames,), in each direction's own order of time. Where it is 1 throughout,
            the unconditional half cancels and is not computed.
        plan: at which noise levels that half is computed, and how it is put together with the conditional one.
        split_guidance: the unconditional and the conditional half in two UNet passes instead of one batch: half the
            activations, the same numbers up to rounding.
        ranks: processes that share the halves, see `samplers.parallel`; None: this one computes all.

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
        plan: GuidancePlan = PLAIN_GUIDANCE,
        split_guidance: bool = False,
        ranks: Ranks | None = None,
    ) -> None:
        self.ranks = ranks
        self.cache: StepCache | None = None  # at work for as long as the caller has it open
        self.unet, self.keyframes, self.split_guidance = unet, keyframes, split_guidance
        self.guidance, self.plan = per_frame(guidance, keyframes), plan
        self.guided = not bool((guidance == 1).all())
        self.kept: dict[float, Tensor] = {}  # noise level -> unconditional clip, to be reused
        self.difference: tuple[float, Tensor] | None = None  # noise level and running difference of the step before
        self.passes = 0

    def guide(self, x: Tensor, sigma: Tensor) -> Denoised:
        """Each (direction, pair, frame, channel, height, width) as `x` is."""
        level = float(sigma) if self.plan.needs_level else 0.0  # asking waits for a GPU
        guided = self.guided and self.plan.guides(level)
        if not guided and not self.plan.need_unconditional:
            (cond,) = self.predict(x, sigma, [COND])
            return Denoised(cond, None)
        uncond = self.kept.get(level)
        if uncond is None:
            uncond, cond = self.predict(x, sigma, [UNCOND, COND])
        else:
            (cond,) = self.predict(x, sigma, [COND])
        if self.plan.reuse:
            self.kept[level] = uncond
        return Denoised(self.combine(uncond, cond, level), uncond)

    def combine(self, uncond: Tensor, cond: Tensor, level: float) -> Tensor:
        """The guided clip of both halves, at noise level `level`."""
        if not self.plan.guides(level):
            return cond
        projection = self.plan.projection
        if projection is None:
            return uncond + self.guidance * (cond - uncond)
        difference = cond - uncond
        if projection.momentum:
            if self.difference is not None and level < self.difference[0]:  # not after a re-noising
                difference = difference + projection.momentum * self.difference[1]
            self.difference = level, difference
        return projection.guide(cond, difference, self.guidance)

    def predict(self, x: Tensor, sigma: Tensor, guidance: list[int]) -> Tensor:
        """(guidance, direction, pair, ...) of these halves, in one batch or one by one."""
        if self.ranks is not None and len(guidance) > 1:
            parts = self.ranks.split(guidance, len(self.directions), self.separable)
            before = self.passes
            predicted = self.ranks.evaluate(parts, lambda part: self.evaluate(x[part[1]], sigma, [part[0]], part[1]))
            self.passes = before + predicted.shape[:3].numel()  # of all processes together
            return predicted
        groups = [[half] for half in guidance] if self.split_guidance else [guidance]
        return torch.cat([self.evaluate(x, sigma, group) for group in groups])

    @property
    def separable(self) -> bool:
        """Whether the directions of a batch share nothing, so that they may be denoised apart."""
        return self.direction != "both"

    def evaluate(self, x: Tensor, sigma: Tensor, guidance: list[int], ways: list[int] | None = None) -> Tensor:
        """One UNet pass, (guidance, direction, pair, ...); its batch is (direction, guidance, pair).

        ways: which of its directions `x` is of; None: all.
        """
        batch = x.unsqueeze(1).expand(-1, len(guidance), *x.shape[1:])
        directions = self.directions if ways is None else [self.directions[way] for way in ways]
        keyframes = self.keyframes.select(directions, guidance)
        with sole_use(self.unet):  # another run, of a thread or a task, takes its own pass before or after
            if batch.shape[:3].numel() * batch.shape[-2:].numel() > LARGEST_LAUNCH:  # positions of the largest layers
                split_temporal_attention(self.unet)
            if self.cache is not None:
                self.cache.next((id(self), tuple(guidance), tuple(directions)), float(sigma))
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
        plan: GuidancePlan = PLAIN_GUIDANCE,
        split_guidance: bool = False,
        ranks: Ranks | None = None,
    ) -> None:
        super().__init__(unet, keyframes, guidance, plan=plan, split_guidance=split_guidance, ranks=ranks)
        self.weight = per_frame(weight, keyframes)
        self.direction = "both" if rotate else "forward"

    def __call__(self, x: Tensor, sigma: Tensor) -> Denoised:
        guided, uncond = self.guide(both_ways(x), sigma)
        self.both = guided  # for `disagreement`
        return Denoised(self.fuse(guided), None if uncond is None else self.fuse(uncond))

    def disagreement(self) -> float:
        """How far the two motions were apart at the last call: norm of their difference over that of the fused clip."""
        forward, backward = self.both
        fused = self.fuse(self.both)
        return float((forward - backward.flip(FRAME)).norm() / fused.norm())

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
        plan: GuidancePlan = PLAIN_GUIDANCE,
        split_guidance: bool = False,
        ranks: Ranks | None = None,
    ) -> None:
        super().__init__(unet, keyframes, guidance, plan=plan, split_guidance=split_guidance, ranks=ranks)
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
    ranks: Ranks | None = None,
) -> list[GuidedDenoiser]:
    """What `method.sample` calls: one denoiser of both motions (where it distils, and one of each), or one of each.

    options: as `method.resolve` has completed them. ranks: processes that share each evaluation.
    """
    assert options.min_guidance_scale is not None and options.max_guidance_scale is not None
    scales = options.min_guidance_scale, options.max_guidance_scale
    shape = options.guidance_shape or "ramp"
    guidance = guidance_scales(*scales, keyframes.num_frames, options.fusion, shape)
    passes: dict[str, Any] = {"plan": GuidancePlan.of(options), "split_guidance": split_guidance, "ranks": ranks}
    if method.motions in ("rotated", "reversed"):
        weight = fusion_weights(options.fusion or "average", keyframes.num_frames)
        fused = FusedDenoiser(unet, keyframes, guidance, weight, rotate=method.needs_motion, **passes)
        if not method.distils:
            return [fused]
        passes["plan"] = GuidancePlan(need_unconditional=True)  # distilling steps are CFG++ steps without guidance
        ones, ways = torch.ones_like(guidance), ("forward", "backward")
        return [fused, *(MotionDenoiser(unet, keyframes, ones, direction, **passes) for direction in ways)]
    directions = {"sequential": ("forward", "backward"), "forward": ("forward",)}[method.motions]
    return [MotionDenoiser(unet, keyframes, guidance, direction, **passes) for direction in directions]


def loop_arguments(
    method: Method, options: SamplerOptions, keyframes: KeyframeConditioning, ends: Tensor | None
) -> dict[str, Any]:
    """What `method.sample` takes besides denoisers, noise levels, order, holds and callback; options are resolved.

    ends: clean, scaled latents of the keyframes, (2, pair, channel, height, width), for a method that distils.
    """
    arguments: dict[str, Any] = {"cfg_plus_plus": bool(options.cfg_plus_plus), "solver": options.solver or "euler"}
    if method.distils:
        assert ends is not None
        arguments["distillation"] = Distillation.of(options, ends)
        if method.motions == "sequential" and options.fusion is not None:
            arguments["weight"] = per_frame(fusion_weights(options.fusion, keyframes.num_frames), keyframes)
    return arguments


def open_order(order: Sequence[int], options: SamplerOptions, denoisers: Sequence[Any]) -> Iterable[int]:
    """The order of the steps, cut short where the options say so by the disagreement of the fused denoiser."""
    if not options.renoise_tolerance:
        return order
    return stop_when_settled(order, denoisers[0].disagreement, options.renoise_tolerance)


@contextmanager
def step_cache(unet: nn.Module, options: SamplerOptions, denoisers: Iterable[GuidedDenoiser]) -> Iterator[None]:
    """The denoisers with the cache that the options ask for, for the time of a `with`."""
    if (options.step_cache or 1) == 1:
        yield
        return
    with StepCache(unet, options.step_cache or 1) as cache:
        for denoiser in denoisers:
            denoiser.cache = cache
        yield


def both_ways(x: Tensor) -> Tensor:
    """(pair, frame, ...) -> (direction, pair, frame, ...), each direction in its own order of time."""
    return torch.stack([x, x.flip(FRAME)])


def per_frame(values: Tensor, keyframes: KeyframeConditioning) -> Tensor:
    """(num_frames,) -> (num_frames, 1, 1, 1), where the latents are and in the precision the sampler holds them in."""
    if values.shape != (keyframes.num_frames,):
        raise ValueError(f"expected one value for each of {keyframes.num_frames} frames, got {tuple(values.shape)}")
    dtype = torch.promote_types(keyframes.image_latents.dtype, torch.float32)
    return values.to(dtype).to(keyframes.image_latents.device).reshape(-1, 1, 1, 1)
