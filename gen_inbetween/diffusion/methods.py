"""The ways to sample on the same weights: for each its denoiser, its loop, the order of its steps, and its cost."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor

from gen_inbetween.diffusion.sampling import sample_euler, sample_sequential


def once(num_inference_steps: int) -> list[int]:
    """Every step once."""
    return list(range(num_inference_steps))


def repeated(num_inference_steps: int, renoise_steps: int, renoise_ratio: float) -> list[int]:
    """Each of the first `renoise_ratio` of the steps done 1 + `renoise_steps` times (Generative Inbetweening)."""
    early = int(num_inference_steps * renoise_ratio)
    return [i for i in range(num_inference_steps) for _ in range(1 + (renoise_steps if i < early else 0))]


def travelled(num_inference_steps: int, renoise_steps: int, renoise_ratio: float, renoise_span: int) -> list[int]:
    """Time travel (Time Reversal Fusion, after RePaint): in the first `renoise_ratio` of the steps, after every
    `renoise_span` of them, those are done again `renoise_steps` times; never back to pure noise.

    Their names: jump_length = renoise_span, jump_n_sample = 1 + renoise_steps, repeat_step_ratio = 1 - renoise_ratio.
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
    """A way to sample; `defaults` names every option it takes, with the value its authors found good.

    motions: what denoises. "rotated": both motions fused, backward through the turned attention map (needs a tuned
        update); "reversed": both fused, stock SVD each way; "sequential": each way in turn; "forward": frame0 only.
    order: (num_inference_steps, its re-noising options) -> the order of the steps.
    """

    name: str
    summary: str
    motions: Literal["rotated", "reversed", "sequential", "forward"]
    sample: Callable[..., Tensor]
    order: Callable[..., list[int]]
    defaults: Mapping[str, Any]

    @property
    def needs_motion(self) -> bool:
        return self.motions == "rotated"

    def options(self, **given: Any) -> dict[str, Any]:
        """Every option of this method: the given value, or where that is None the default.

        Raises:
            ValueError: an option that this method does not take (switched off is let pass), or a value out of range.
        """
        for name, value in given.items():
            if name not in self.defaults and value:
                raise ValueError(
                    f"method {self.name} takes no {name}, got {value!r}; it takes {', '.join(self.defaults)}"
                )
        options = {name: default if given.get(name) is None else given[name] for name, default in self.defaults.items()}
        for name, minimum in (("num_inference_steps", 1), ("renoise_steps", 0), ("renoise_span", 1)):
            value = options.get(name, minimum)
            if not isinstance(value, int) or value < minimum:
                raise ValueError(f"expected {name} as a whole number of at least {minimum}, got {value!r}")
        if not 0 <= options.get("renoise_ratio", 0) <= 1:
            raise ValueError(f"expected renoise_ratio in [0, 1], got {options['renoise_ratio']!r}")
        for name in ("min_guidance_scale", "max_guidance_scale"):
            if not math.isfinite(options[name]):
                raise ValueError(f"expected a finite {name}, got {options[name]!r}")
        return options

    def step_order(self, options: Mapping[str, Any]) -> list[int]:
        """The order of the steps under options that `options()` has completed."""
        return self.order(
            options["num_inference_steps"], **{k: v for k, v in options.items() if k.startswith("renoise")}
        )

    def unet_passes(self, num_inference_steps: int | None = None, **given: Any) -> int:
        """Sample-forwards for one pair: clips through the UNet, each direction and guidance half counting one.

        They predict the time on a GPU. Where guidance is 1 throughout and CFG++ is off, the unconditional half cancels
        and is not computed.
        """
        options = self.options(num_inference_steps=num_inference_steps, **given)
        guided = (options["min_guidance_scale"], options["max_guidance_scale"]) != (1, 1)
        halves = 2 if guided or options.get("cfg_plus_plus") else 1
        directions = 1 if self.motions == "forward" else 2
        return len(self.step_order(options)) * directions * halves


METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        Method(
            "gi",
            "Generative Inbetweening: tuned backward motion through the turned attention map, fused at every step",
            "rotated",
            sample_euler,
            repeated,
            {
                "num_inference_steps": 50,
                "min_guidance_scale": 1.0,
                "max_guidance_scale": 3.0,
                "fusion": "average",
                "renoise_steps": 5,
                "renoise_ratio": 0.5,
                "cfg_plus_plus": False,
                "pin_ends": False,
            },
        ),
        Method(
            "trf",
            "Time Reversal Fusion: stock SVD from both ends, fused at every step; needs no training",
            "reversed",
            sample_euler,
            travelled,
            {
                "num_inference_steps": 50,
                "min_guidance_scale": 1.0,
                "max_guidance_scale": 3.0,
                "fusion": "linear",
                "renoise_steps": 1,
                "renoise_ratio": 0.2,
                "renoise_span": 5,
                "cfg_plus_plus": False,
                "pin_ends": False,
            },
        ),
        Method(
            "vibid",
            "ViBiDSampler: stock SVD from one end and then the other, far frame pinned; needs no training",
            "sequential",
            sample_sequential,
            once,
            {
                "num_inference_steps": 25,
                "min_guidance_scale": 1.0,
                "max_guidance_scale": 1.0,
                "cfg_plus_plus": True,
                "pin_ends": True,
            },
        ),
        Method(
            "svd",
            "Stable Video Diffusion from frame0 alone; frame1 is not looked at",
            "forward",
            sample_euler,
            once,
            {"num_inference_steps": 25, "min_guidance_scale": 1.0, "max_guidance_scale": 3.0},
        ),
    )
}


FLOW, AUTO = WITHOUT_SAMPLING = "flow", "auto"  # methods of `inbetween` that are not, or not always, a way to sample


def find_method(name: str) -> Method:
    """`METHODS[name]`.

    Raises:
        ValueError: no such method; the message names the nearest.
    """
    if name in METHODS:
        return METHODS[name]
    known = [*METHODS, *WITHOUT_SAMPLING]
    if name in WITHOUT_SAMPLING:
        raise ValueError(f"method {name} samples nothing: `inbetween` has it; here it is one of {', '.join(METHODS)}")
    near = difflib.get_close_matches(str(name), known, n=1, cutoff=0)
    raise ValueError(f"expected a method out of {', '.join(known)}, got {name!r}; did you mean {near[0]!r}?")
