"""Sampling methods: denoiser, loop, order of steps, options and cost of each.

method = find_method("gi")
options = method.resolve(SamplerOptions(num_inference_steps=25))  # every other option: the method's default
method.unet_passes(options)  # what a run of them costs
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from torch import Tensor

from gen_inbetween.diffusion.edm import svd_sigmas
from gen_inbetween.diffusion.options import GUIDANCE_OFF, RENOISE_OFF, STARTS, WITHOUT_SAMPLING, SamplerOptions
from gen_inbetween.diffusion.samplers.guidance import GuidancePlan
from gen_inbetween.diffusion.samplers.mpd import sample_mpd, sample_mpd_fused, sample_mpd_parallel
from gen_inbetween.diffusion.samplers.orders import (
    distilled_order,
    early_steps,
    plain_order,
    repeat_early_order,
    restart_order,
    time_travel_order,
    visits,
)
from gen_inbetween.diffusion.sampling import sample_euler, sample_sequential
from gen_inbetween.diffusion.windows.layout import CENTRED_BELOW
from gen_inbetween.runtime.messages import nearest_names, warn_once


@dataclass(frozen=True)
class Method:
    """A way to sample; `published` has a value, the one its authors found good, for every option it takes.

    better: what this library takes in place of them: what it costs and saves is in `eval/frontier_ten.md`.
    motions: what denoises. "rotated": both motions fused, backward through the rotated attention map (needs a tuned
        update); "reversed": both fused, stock SVD each way; "sequential": each way in turn; "forward": frame0 only.
    order: (num_inference_steps, those of ORDER_OPTIONS that it has) -> the order of the steps.
    """

    name: str
    summary: str
    motions: Literal["rotated", "reversed", "sequential", "forward"]
    sample: Callable[..., Tensor]
    order: Callable[..., list[int]]
    published: SamplerOptions
    better: SamplerOptions = SamplerOptions()

    @property
    def defaults(self) -> SamplerOptions:
        """A value for every option it takes: the library's where it has one, else the published."""
        return replace(self.published, **self.better.chosen())  # type: ignore[arg-type]

    @property
    def needs_motion(self) -> bool:
        return self.motions == "rotated"

    @property
    def distils(self) -> bool:
        """Whether early steps may distil the forward motion."""
        return self.published.mpd_ratio is not None

    def resolve(self, options: SamplerOptions | None = None) -> SamplerOptions:
        """Every option of this method: the chosen value, or the preset's; None for those it does not take.

        A budget of passes is kept to from the published steps and repeats down, so that a larger one buys more of them;
        one that the defaults keep to, not below theirs. With a draft the noise levels are the published ones.

        Raises:
            ValueError: an option that this method does not take (switched off is let pass); a budget of passes that it
                cannot keep to.
        """
        chosen = {} if options is None else options.chosen()
        published = self.published.chosen()
        defaults = published if chosen.get("preset") == "published" else self.defaults.chosen()
        if chosen.get("draft_strength") is not None:  # a share of the steps that leaves as much as Karras' levels do
            defaults = defaults | {"noise_schedule": published["noise_schedule"]}
        by_default = {name: defaults[name] for name in COUNTS if name in defaults and name not in chosen}
        if chosen.get("passes"):
            defaults = defaults | {name: published[name] for name in by_default}
        of_any_method = {name: chosen[name] for name in (*STARTS, "preset") if name in chosen}
        for name, value in chosen.items():
            if name not in defaults and name not in of_any_method and value:
                raise ValueError(f"method {self.name} takes no {name}, got {value!r}; it takes {', '.join(defaults)}")
        values = {name: chosen.get(name, default) for name, default in defaults.items()}
        options = SamplerOptions(**values, **of_any_method)  # type: ignore[arg-type]
        return self.keep_to_budget(options, by_default) if options.passes else options

    def keep_to_budget(self, options: SamplerOptions, by_default: Mapping[str, Any]) -> SamplerOptions:
        """The options with fewer repeats, then fewer steps, until a run takes no more than `options.passes`.

        by_default: the counts that may change, each with its default.
        """
        cheap = sum(self.step_passes(replace(options, **by_default))) <= (options.passes or 0)
        least = by_default if cheap else COUNTS
        while sum(self.step_passes(options)) > (options.passes or 0):
            counts = {name: getattr(options, name) for name in COUNTS if name in by_default}
            name = next((name for name, count in counts.items() if count and count > least[name]), None)
            if name is None:
                needed = sum(self.step_passes(options))
                fixed = {each: getattr(options, each) for each in COUNTS if each not in by_default}
                asked = "".join(f", {each}={count}" for each, count in fixed.items() if count is not None)
                raise ValueError(f"passes={options.passes}{asked}: method {self.name} takes at least {needed}")
            options = replace(options, **{name: counts[name] - 1})
        return options

    def step_order(self, options: SamplerOptions, sigmas: Sequence[float] | None = None) -> list[int]:
        """The order of the steps under options that `resolve` has completed; from a draft, that of the last of them.

        sigmas: the noise levels, which Restart's interval is of; None: SVD's own.
        """
        assert options.num_inference_steps is not None
        if options.renoise_max_sigma:
            sigmas = sigmas or planned_sigmas(options)
            interval = options.renoise_min_sigma or 0.0, options.renoise_max_sigma
            order = restart_order(sigmas, options.renoise_steps or 0, *interval)
        else:
            chosen = options.chosen()
            repeats = {name: chosen[name] for name in ORDER_OPTIONS if name in chosen}
            order = self.order(options.num_inference_steps, **repeats)
        if options.draft_strength is None:
            return order
        kept = max(1, round(options.num_inference_steps * options.draft_strength))
        return [step for step in order if step >= options.num_inference_steps - kept]

    def step_passes(self, options: SamplerOptions, sigmas: Sequence[float] | None = None) -> list[int]:
        """Sample-forwards of each entry of `step_order`; arguments as there."""
        assert options.num_inference_steps is not None
        sigmas = sigmas or planned_sigmas(options)
        order = self.step_order(options, sigmas)
        guided = (options.min_guidance_scale, options.max_guidance_scale) != (1, 1)
        halves = GuidancePlan.of(options).halves([sigmas[i] for i in order], guided)
        directions = 1 if self.motions == "forward" else 2
        passes = [directions * count for count in halves]
        if self.distils:
            distilling = 4 if options.mpd_symmetric else 2
            early = early_steps(options.num_inference_steps, options.mpd_ratio or 0)
            for entry, (i, visit) in enumerate(visits(order)):
                if i < early and visit < (options.mpd_repeats or 0):
                    passes[entry] = distilling
        return passes

    def unet_passes(self, options: SamplerOptions | None = None, segments: int = 1, centred: int = 0) -> int:
        """Sample-forwards for one pair: clips through the UNet, each direction and guidance half counting one.

        They predict the time on a GPU. Where guidance is 1 throughout, or a noise level is outside its range, and CFG++
        is off, the unconditional half cancels and is not computed. With `renoise_tolerance` a run may take fewer.

        segments, centred: windows of a clip through several keyframes; each goes through the UNet as a clip does, those
            centred on a keyframe at the lower noise levels only (`windows.layout`).
        """
        options = self.resolve(options)
        assert options.num_inference_steps is not None
        sigmas = planned_sigmas(options)
        steps = zip(self.step_order(options, sigmas), self.step_passes(options, sigmas), strict=True)
        return sum(passes * (segments + centred * (sigmas[i] <= CENTRED_BELOW)) for i, passes in steps)

    def clips_at_once(self, options: SamplerOptions) -> int:
        """Clips in the largest batch of the UNet, guidance halves together; options as `resolve` has completed them."""
        largest = max(self.step_passes(options))
        return largest // 2 if self.motions == "sequential" else largest


def planned_sigmas(options: SamplerOptions) -> list[float]:
    """SVD's noise levels under options that `resolve` has completed; a run takes those of its checkpoint."""
    assert options.num_inference_steps is not None
    return svd_sigmas(options.num_inference_steps, options.start_sigma, options.noise_schedule or "karras")


COUNTS = {"renoise_steps": 0, "num_inference_steps": 1}  # what a budget of passes takes from, in order: the least
ORDER_OPTIONS = ("renoise_steps", "renoise_ratio", "renoise_span", "mpd_ratio", "mpd_repeats")


def with_common(options: SamplerOptions, *, repeats: bool = False) -> SamplerOptions:
    """A method's own options and those that every method takes, switched off; repeats: it may re-noise."""
    return replace(options, **GUIDANCE_OFF, **(RENOISE_OFF if repeats else {}))  # type: ignore[arg-type]


MPD_PUBLISHED: dict[str, Any] = {
    "mpd_shift": "constant",
    "mpd_blur": 0.0,
    "mpd_strength": 1.0,
    "mpd_decay": False,
    "mpd_symmetric": False,
}

METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        Method(
            "gi",
            "Generative Inbetweening: tuned backward motion through the rotated attention map, fused at every step",
            "rotated",
            sample_euler,
            repeat_early_order,
            with_common(
                SamplerOptions(
                    num_inference_steps=50,
                    min_guidance_scale=1.0,
                    max_guidance_scale=3.0,
                    fusion="average",
                    renoise_steps=5,
                    renoise_ratio=0.5,
                    cfg_plus_plus=False,
                    pin_ends=False,
                ),
                repeats=True,
            ),
            better=SamplerOptions(num_inference_steps=10, renoise_steps=1, fusion="linear", noise_schedule="ays"),
        ),
        Method(
            "trf",
            "Time Reversal Fusion: stock SVD from both ends, fused at every step; needs no training",
            "reversed",
            sample_euler,
            time_travel_order,
            with_common(
                SamplerOptions(
                    num_inference_steps=50,
                    min_guidance_scale=1.0,
                    max_guidance_scale=3.0,
                    fusion="linear",
                    renoise_steps=1,
                    renoise_ratio=0.2,
                    renoise_span=5,
                    cfg_plus_plus=False,
                    pin_ends=False,
                ),
                repeats=True,
            ),
        ),
        Method(
            "vibid",
            "ViBiDSampler: stock SVD from one end and then the other, far frame pinned; needs no training",
            "sequential",
            sample_sequential,
            plain_order,
            with_common(
                SamplerOptions(
                    num_inference_steps=25,
                    min_guidance_scale=1.0,
                    max_guidance_scale=1.0,
                    cfg_plus_plus=True,
                    pin_ends=True,
                ),
            ),
        ),
        Method(
            "mpd",
            "Motion Prior Distillation, then ViBiDSampler: early steps follow the forward clip; needs no training",
            "sequential",
            sample_mpd,
            distilled_order,
            with_common(
                SamplerOptions(
                    num_inference_steps=25,
                    min_guidance_scale=1.0,
                    max_guidance_scale=1.0,
                    cfg_plus_plus=True,
                    pin_ends=True,
                    mpd_repeats=3,
                    mpd_ratio=0.2,
                    **MPD_PUBLISHED,
                ),
            ),
        ),
        Method(
            "mpd-parallel",
            "Motion Prior Distillation, then both ways fused, every step done four times; needs no training",
            "sequential",
            sample_mpd_parallel,
            distilled_order,
            with_common(
                SamplerOptions(
                    num_inference_steps=25,
                    min_guidance_scale=1.0,
                    max_guidance_scale=1.0,
                    fusion="linear",
                    renoise_steps=3,
                    cfg_plus_plus=True,
                    pin_ends=False,
                    mpd_repeats=1,
                    mpd_ratio=0.12,
                    **MPD_PUBLISHED,
                ),
            ),
        ),
        Method(
            "mpd-gi",
            "Motion Prior Distillation before Generative Inbetweening's fused steps: a tuned backward motion",
            "rotated",
            sample_mpd_fused,
            distilled_order,
            with_common(
                SamplerOptions(
                    num_inference_steps=25,
                    min_guidance_scale=1.0,
                    max_guidance_scale=3.0,
                    fusion="average",
                    renoise_steps=0,
                    cfg_plus_plus=False,
                    pin_ends=False,
                    mpd_repeats=3,
                    mpd_ratio=0.2,
                    **MPD_PUBLISHED,
                ),
            ),
        ),
        Method(
            "svd",
            "Stable Video Diffusion from frame0 alone; frame1 is not looked at",
            "forward",
            sample_euler,
            plain_order,
            with_common(
                SamplerOptions(num_inference_steps=25, min_guidance_scale=1.0, max_guidance_scale=3.0),
            ),
        ),
    )
}


def default_method(has_motion: bool) -> str:
    """The method of a run that names none: gi where a backward motion is loaded, else trf, which needs none."""
    return "gi" if has_motion else "trf"


def choose_method(name: str | None, has_motion: bool) -> Method:
    """The method of this name; for None gi where there is a backward motion, otherwise trf, and the log says so."""
    if name is None and not has_motion:
        warn_once("method trf: the model has no backward motion loaded, which gi needs (motion=FILE gives it one)")
    return find_method(default_method(has_motion) if name is None else name)


def find_method(name: str) -> Method:
    """`METHODS[name]`.

    Raises:
        ValueError: no such method; the message names the nearest.
    """
    if name in METHODS:
        return METHODS[name]
    names = [*METHODS, *WITHOUT_SAMPLING]
    if name in WITHOUT_SAMPLING:
        raise ValueError(f"method {name} samples nothing: `inbetween` has it; here it is one of {', '.join(METHODS)}")
    nearest = nearest_names(name, names, cutoff=0.5)  # of two letters one may be wrong
    hint = f"; did you mean {nearest[0]!r}?" if nearest else ""
    raise ValueError(f"expected a method out of {', '.join(names)}, got {name!r}{hint}")
