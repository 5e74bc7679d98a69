"""Options of a sampler, importable without torch."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal, get_args

from gen_inbetween.runtime.checks import check_real, check_switch, check_whole

INTERPOLATE, AUTO = WITHOUT_SAMPLING = "interpolate", "auto"  # methods of `inbetween` that need not sample
STARTS = ("start_sigma", "draft_strength")  # of SamplerOptions: where the steps begin, whatever the method
DRAFT_STRENGTH = 0.6
Fusion = Literal["average", "linear"]
NoiseSchedule = Literal["karras", "ays"]
Solver = Literal["euler", "dpmpp_2m", "gradient"]
GuidanceShape = Literal["ramp", "triangle"]
GuidanceMode = Literal["cfg", "apg"]
MpdShift = Literal["constant", "ramp"]
Preset = Literal["published"]
EVERYWHERE = 1e6  # a noise level beyond any model's first; infinity has no place in JSON


@dataclass(frozen=True)
class SamplerOptions:
    """How a method samples. None stands for the method's default; in a method's defaults, for an option it lacks.

    Raises:
        ValueError: a value out of its range.
    """

    num_inference_steps: int | None = None  # noise levels, at least 1
    min_guidance_scale: float | None = None  # classifier-free guidance at the keyframe a direction starts from ...
    max_guidance_scale: float | None = None  # ... rising to this at its far end
    fusion: Fusion | None = None  # the weight of each direction, see `fusion.fusion_weights`
    renoise_steps: int | None = None  # how often an early step is repeated, at least 0
    renoise_ratio: float | None = None  # the share of steps that count as early, 0 to 1
    renoise_span: int | None = None  # steps that one repeat takes back, at least 1
    cfg_plus_plus: bool | None = None  # CFG++ steps, made for guidance near 1
    pin_ends: bool | None = None  # hold the outer latent frames to the clean keyframes
    noise_schedule: NoiseSchedule | None = None  # where the noise levels lie; ays: Align Your Steps, see `ays_sigmas`
    solver: Solver | None = None  # dpmpp_2m, gradient: a step looks back at the one before, see `samplers.solver`
    guidance_shape: GuidanceShape | None = None  # triangle: the minimum at both keyframes, the maximum in the middle
    guidance_min_sigma: float | None = None  # guidance at noise levels from this ...
    guidance_max_sigma: float | None = None  # ... to this; outside no unconditional pass is made (but for CFG++)
    guidance_mode: GuidanceMode | None = None  # apg: adaptive projected guidance, see `samplers.guidance`
    apg_parallel: float | None = None  # the share of guidance along the clip that is kept, 0 to 1
    apg_norm: float | None = None  # the largest guidance of a frame, root mean square of the latents; 0: no limit
    apg_momentum: float | None = None  # of guidance from step to step, above -1 and below 1; negative: away from it
    reuse_unconditional: bool | None = None  # repeats of a noise level take its first unconditional prediction
    renoise_min_sigma: float | None = None  # with a maximum: re-noise from here up to the maximum, as Restart does, ...
    renoise_max_sigma: float | None = None  # ... renoise_steps times, in place of renoise_ratio; 0: by renoise_ratio
    renoise_tolerance: float | None = None  # repeat only while the directions' disagreement falls by this share; 0: all
    passes: int | None = None  # UNet passes to keep to: fewer repeats, then fewer steps; 0: no budget
    step_cache: int | None = None  # the UNet's inner levels are computed every so many steps only; 1: in all
    mpd_ratio: float | None = None  # motion prior distillation: the share of steps that distil, 0 to 1
    mpd_repeats: int | None = None  # distilling evaluations of each of them, at least 0
    mpd_shift: MpdShift | None = None  # of every frame alike, or growing from the first frame to the last
    mpd_blur: float | None = None  # low-pass of the shift, in latent pixels; 0: none
    mpd_strength: float | None = None  # of the shift, 0 to 1
    mpd_decay: bool | None = None  # the strength falls with the noise level
    mpd_symmetric: bool | None = None  # the mean of the clips distilled from either end: twice the distilling passes
    start_sigma: float | None = None  # every method: begin here, not at the model's 700, from the keyframes' mean
    draft_strength: float | None = None  # every method: share of the steps made from a draft, (0, 1]; 1 forgets it
    preset: Preset | None = None  # published: what is not said is its authors' value, not this library's

    def __post_init__(self) -> None:
        for name, (least, most) in COUNTS.items():
            if getattr(self, name) is not None:
                check_whole(name, getattr(self, name), least, most)
        for name, (low, high) in RANGES.items():
            if getattr(self, name) is not None:
                check_real(name, getattr(self, name), low, high)
        for name in ("min_guidance_scale", "max_guidance_scale"):
            if getattr(self, name) is not None:
                check_real(name, getattr(self, name))
        for name in SWITCHES:
            if getattr(self, name) is not None:
                check_switch(name, getattr(self, name))
        if self.start_sigma is not None:
            check_real("start_sigma", self.start_sigma)
            if self.start_sigma <= 0:
                raise ValueError(f"expected start_sigma above 0, got {self.start_sigma!r}")
        if self.draft_strength is not None:
            check_real("draft_strength", self.draft_strength)
            if not 0 < self.draft_strength <= 1:
                raise ValueError(f"expected draft_strength above 0 and at most 1, got {self.draft_strength!r}")
        for name, allowed in CHOICES.items():
            choice = getattr(self, name)
            if choice is not None and choice not in get_args(allowed):
                raise ValueError(f"expected {name} out of {', '.join(get_args(allowed))}, got {choice!r}")
        for kind in ("guidance", "renoise"):
            low, high = (getattr(self, f"{kind}_{end}_sigma") for end in ("min", "max"))
            if low and high and low >= high:
                raise ValueError(f"expected {kind}_min_sigma below {kind}_max_sigma, got {low:g} and {high:g}")

    def chosen(self) -> dict[str, int | float | str | bool]:
        """The options that are not None, by name."""
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        return {name: value for name, value in values.items() if value is not None}

    def deciding(self) -> dict[str, int | float | str | bool]:
        """Those that decide the clip: `chosen` without what is switched off and the preset, which fills in others."""
        off = {**OFF, "preset": self.preset}
        return {name: value for name, value in self.chosen().items() if name not in off or value != off[name]}


MOST_STEPS, MOST_REPEATS = 10_000, 1000  # published: 50 and 10; a list of all steps with their repeats is kept
MOST_PASSES = 10**9
COUNTS = {
    "num_inference_steps": (1, MOST_STEPS),
    "renoise_steps": (0, MOST_REPEATS),
    "renoise_span": (1, MOST_STEPS),
    "passes": (0, MOST_PASSES),
    "mpd_repeats": (0, MOST_REPEATS),
    "step_cache": (1, MOST_STEPS),
}
SWITCHES = ("cfg_plus_plus", "pin_ends", "reuse_unconditional", "mpd_decay", "mpd_symmetric")
RANGES: dict[str, tuple[float, float]] = {
    "renoise_ratio": (0, 1),
    "guidance_min_sigma": (0, EVERYWHERE),
    "guidance_max_sigma": (0, EVERYWHERE),
    "apg_parallel": (0, 1),
    "apg_norm": (0, EVERYWHERE),
    "apg_momentum": (-0.99, 0.99),
    "renoise_min_sigma": (0, EVERYWHERE),
    "renoise_max_sigma": (0, EVERYWHERE),
    "renoise_tolerance": (0, 1),
    "mpd_ratio": (0, 1),
    "mpd_blur": (0, 64),
    "mpd_strength": (0, 1),
}
CHOICES = {
    "preset": Preset,
    "fusion": Fusion,
    "noise_schedule": NoiseSchedule,
    "solver": Solver,
    "guidance_shape": GuidanceShape,
    "guidance_mode": GuidanceMode,
    "mpd_shift": MpdShift,
}
GUIDANCE_OFF = SamplerOptions(
    noise_schedule="karras",
    solver="euler",
    guidance_shape="ramp",
    guidance_min_sigma=0.0,
    guidance_max_sigma=EVERYWHERE,
    guidance_mode="cfg",
    apg_parallel=0.0,
    apg_norm=0.0,
    apg_momentum=0.0,
    passes=0,
    step_cache=1,
).chosen()  # what every method takes besides its own, switched off
RENOISE_OFF = SamplerOptions(
    reuse_unconditional=False, renoise_min_sigma=0.0, renoise_max_sigma=0.0, renoise_tolerance=0.0
).chosen()  # what every method that repeats steps takes besides
OFF = GUIDANCE_OFF | RENOISE_OFF
