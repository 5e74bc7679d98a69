"""Options of a sampler and modes of the decoder, importable without torch."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal, get_args

from gen_inbetween.runtime.checks import check_real, check_switch, check_whole

INTERPOLATE, AUTO = WITHOUT_SAMPLING = "interpolate", "auto"  # methods of `inbetween` that need not sample
STARTS = ("start_sigma", "draft_strength")  # of SamplerOptions: where the steps begin, whatever the method
DRAFT_STRENGTH = 0.6
DecodeMode = Literal["streamed", "all", "chunked", "preview"]
DEFAULT_CHUNK_SIZE = 8  # frames decoded at once in "chunked"; about a third of the memory of SVD-XT's 25
Fusion = Literal["average", "linear"]


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
    start_sigma: float | None = None  # every method: begin here, not at the model's 700, from the keyframes' mean
    draft_strength: float | None = None  # every method: share of the steps made from a draft, (0, 1]; 1 forgets it

    def __post_init__(self) -> None:
        for name, minimum in (("num_inference_steps", 1), ("renoise_steps", 0), ("renoise_span", 1)):
            if getattr(self, name) is not None:
                check_whole(name, getattr(self, name), minimum)
        if self.renoise_ratio is not None:
            check_real("renoise_ratio", self.renoise_ratio, 0, 1)
        for name in ("min_guidance_scale", "max_guidance_scale"):
            if getattr(self, name) is not None:
                check_real(name, getattr(self, name))
        for name in ("cfg_plus_plus", "pin_ends"):
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
        if self.fusion is not None and self.fusion not in get_args(Fusion):
            raise ValueError(f"expected fusion out of {', '.join(get_args(Fusion))}, got {self.fusion!r}")

    def chosen(self) -> dict[str, int | float | str | bool]:
        """The options that are not None, by name."""
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        return {name: value for name, value in values.items() if value is not None}
