"""Sampling methods: denoiser, loop, order of steps, options and cost of each.

method = find_method("gi")
options = method.resolve(SamplerOptions(num_inference_steps=25))  # every other option: the method's default
method.unet_passes(options)  # what a run of them costs
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from gen_inbetween.diffusion.options import STARTS, WITHOUT_SAMPLING, SamplerOptions
from gen_inbetween.diffusion.sampling import sample_euler, sample_sequential
from gen_inbetween.runtime.messages import nearest_names, warn_once


def plain_order(num_inference_steps: int) -> list[int]:
    """Every step once.

    >>> plain_order(4)
    [0, 1, 2, 3]
    """
    return list(range(num_inference_steps))


def repeat_early_order(num_inference_steps: int, renoise_steps: int, renoise_ratio: float) -> list[int]:
    """Each of the first `renoise_ratio` of the steps done 1 + `renoise_steps` times (Generative Inbetweening).

    >>> repeat_early_order(4, renoise_steps=2, renoise_ratio=0.5)
    [0, 0, 0, 1, 1, 1, 2, 3]
    """
    early = int(num_inference_steps * renoise_ratio)
    return [i for i in range(num_inference_steps) for _ in range(1 + (renoise_steps if i < early else 0))]


def time_travel_order(
    num_inference_steps: int, renoise_steps: int, renoise_ratio: float, renoise_span: int
) -> list[int]:
    """Time travel (Time Reversal Fusion, after RePaint): in the first `renoise_ratio` of the steps, after every
    `renoise_span` of them, those are done again `renoise_steps` times; never back to pure noise.

    Their names: jump_length = renoise_span, jump_n_sample = 1 + renoise_steps, repeat_step_ratio = 1 - renoise_ratio.

    >>> time_travel_order(6, renoise_steps=1, renoise_ratio=0.7, renoise_span=2)
    [0, 1, 2, 3, 2, 3, 4, 5]
    """
    early = int(num_inference_steps * renoise_ratio)
    jumps = set(range(early, renoise_span, -renoise_span))  # steps done at which x travels back
    order = []
    for done in range(1, num_inference_steps + 1):
        order.append(done - 1)
        if done in jumps:
            order += renoise_steps * list(range(done - renoise_span, done))
    return order


@dataclass(frozen=True)
class Method:
    """A way to sample; `defaults` has a value, the one its authors found good, for every option it takes.

    motions: what denoises. "rotated": both motions fused, backward through the rotated attention map (needs a tuned
        update); "reversed": both fused, stock SVD each way; "sequential": each way in turn; "forward": frame0 only.
    order: (num_inference_steps, its re-noising options) -> the order of the steps.
    """

    name: str
    summary: str
    motions: Literal["rotated", "reversed", "sequential", "forward"]
    sample: Callable[..., Tensor]
    order: Callable[..., list[int]]
    defaults: SamplerOptions

    @property
    def needs_motion(self) -> bool:
        return self.motions == "rotated"

    def resolve(self, options: SamplerOptions | None = None) -> SamplerOptions:
        """Every option of this method: the chosen value, or the default; None for those it does not take.

        Raises:
            ValueError: an option that this method does not take (switched off is let pass).
        """
        defaults = self.defaults.chosen()
        chosen = {} if options is None else options.chosen()
        starts = {name: chosen[name] for name in STARTS if name in chosen}
        for name, value in chosen.items():
            if name not in defaults and name not in starts and value:
                raise ValueError(f"method {self.name} takes no {name}, got {value!r}; it takes {', '.join(defaults)}")
        values = {name: chosen.get(name, default) for name, default in defaults.items()}
        return SamplerOptions(**values, **starts)  # type: ignore[arg-type]

    def step_order(self, options: SamplerOptions) -> list[int]:
        """The order of the steps under options that `resolve` has completed; from a draft, that of the last of them."""
        assert options.num_inference_steps is not None
        renoising = {name: value for name, value in options.chosen().items() if name.startswith("renoise")}
        order = self.order(options.num_inference_steps, **renoising)
        if options.draft_strength is None:
            return order
        kept = max(1, round(options.num_inference_steps * options.draft_strength))
        return [step for step in order if step >= options.num_inference_steps - kept]

    def unet_passes(self, options: SamplerOptions | None = None, windows: int = 1) -> int:
        """Sample-forwards for one pair: clips through the UNet, each direction and guidance half counting one.

        They predict the time on a GPU. Where guidance is 1 throughout and CFG++ is off, the unconditional half cancels
        and is not computed.

        windows: of a clip between several keyframes; each goes through the UNet as a clip does.
        """
        options = self.resolve(options)
        guided = (options.min_guidance_scale, options.max_guidance_scale) != (1, 1)
        halves = 2 if guided or options.cfg_plus_plus else 1
        directions = 1 if self.motions == "forward" else 2
        return len(self.step_order(options)) * directions * halves * windows


METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        Method(
            "gi",
            "Generative Inbetweening: tuned backward motion through the rotated attention map, fused at every step",
            "rotated",
            sample_euler,
            repeat_early_order,
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
        ),
        Method(
            "trf",
            "Time Reversal Fusion: stock SVD from both ends, fused at every step; needs no training",
            "reversed",
            sample_euler,
            time_travel_order,
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
        ),
        Method(
            "vibid",
            "ViBiDSampler: stock SVD from one end and then the other, far frame pinned; needs no training",
            "sequential",
            sample_sequential,
            plain_order,
            SamplerOptions(
                num_inference_steps=25,
                min_guidance_scale=1.0,
                max_guidance_scale=1.0,
                cfg_plus_plus=True,
                pin_ends=True,
            ),
        ),
        Method(
            "svd",
            "Stable Video Diffusion from frame0 alone; frame1 is not looked at",
            "forward",
            sample_euler,
            plain_order,
            SamplerOptions(num_inference_steps=25, min_guidance_scale=1.0, max_guidance_scale=3.0),
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
    nearest = nearest_names(name, names, cutoff=0)
    raise ValueError(f"expected a method out of {', '.join(names)}, got {name!r}; did you mean {nearest[0]!r}?")
