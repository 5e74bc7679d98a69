"""Settings of one generated clip: plain values with their ranges.

The one list behind `inbetween()`'s keywords, the command's options, YAML files, batch lines and manifests. The options
of the sampler and of the memory are declared where they belong (`SamplerOptions`, `MemoryOptions`) and inherited here,
so that all keys are flat; `settings.sampler` and `settings.memory` are the two objects. None means "decide for me", and
what was decided is in the manifest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from numbers import Real
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BeforeValidator, Field

from gen_inbetween.diffusion.options import AUTO, INTERPOLATE, SamplerOptions
from gen_inbetween.media.times.rates import exact_rate
from gen_inbetween.media.writing.options import PLAIN, VideoOptions
from gen_inbetween.memory.options import MemoryOptions
from gen_inbetween.runtime.checks import LARGEST_SEED
from gen_inbetween.runtime.config import Count

Side = Annotated[int, Field(ge=1, le=16384)]  # pixels; what H.264 holds
Seeds = Annotated[int, Field(ge=1, le=1000)]  # the clips of all are kept until the best is known
Channel = Annotated[int, Field(ge=0, le=255)]
Options = TypeVar("Options", SamplerOptions, MemoryOptions)


def _plain_rate(fps: Any) -> Any:
    """Frames a second as a number, whole where it is: 24, 24.5 or "30000/1001". A word of digits is no number."""
    if isinstance(fps, bool) or not isinstance(fps, Real | str) or (isinstance(fps, str) and "/" not in fps):
        raise ValueError("expected a number of frames a second, or a fraction such as 30000/1001")
    rate = exact_rate(fps)  # type: ignore[arg-type]
    return int(rate) if rate.denominator == 1 else float(rate)


def _plain_bucket(value: Any) -> Any:
    """A motion bucket, or auto; of a union pydantic would tell each branch's error by a name of its own."""
    if isinstance(value, str) and value == AUTO:
        return value
    try:
        number = None if isinstance(value, bool) else int(value)
    except (TypeError, ValueError, OverflowError):
        number = None
    if number is None or not isinstance(value, str) and number != value or not 0 <= number <= 255:
        raise ValueError("expected a whole number from 0 to 255, or auto")
    return number


Bucket = Annotated[Annotated[int, Field(ge=0, le=255)] | Literal["auto"], BeforeValidator(_plain_bucket)]
Rate = Annotated[int | float, BeforeValidator(_plain_rate), Field(ge=1, le=120)]


@dataclass(frozen=True)
class Settings(SamplerOptions, MemoryOptions):
    """The settings of one clip, of plain values only, so that they can be written down and read back."""

    model: str = "auto"  # a name of `inbetween models`, a folder, a hub id; auto: svd-xt; else pocket-2 up to 64 x 64
    motion: str | None = "default"  # the backward motion: the model's own, a file or folder, or None for none
    method: str | None = None  # a name of METHODS, interpolate, auto; None: gi where the motion is, else trf
    interpolator: str | None = None  # interpolate, auto: a name of INTERPOLATORS or a file; None: dis-splat
    iters: Count | None = None  # interpolate, auto: steps to each frame, for interpolators with a reference; None: 1
    seed: Annotated[int, Field(ge=0, le=LARGEST_SEED)] = 0
    best_of: Seeds = 1  # seeds, from `seed` on: the best clip is kept, see `generation.best_of`
    stop_hopeless: bool = False  # best_of: break a seed off halfway where it looks worse than the best so far did
    num_frames: Count | None = None  # both keyframes included; None: what the model was trained on; interpolate: 25
    width: Side | None = None  # pixels; None: the model's own size; interpolate: frame0's own
    height: Side | None = None
    fit: Literal["crop", "pad", "stretch"] = "crop"
    background: tuple[Channel, Channel, Channel] = (255, 255, 255)  # what shows through transparent pixels
    exact_ends: bool = True  # put the fitted keyframes in their places instead of what the method made of them
    loop: bool = False  # from the last frame the clip goes on to the first keyframe
    still: str | None = None  # a mask, bright where the keyframes' own pixels stay; a file of the first one's size
    draft: str | None = None  # a rough clip to start from, or "interpolate"; see draft_strength
    fps: Rate = 7  # told to the model and written into the video
    motion_bucket_id: Bucket = 127  # how much motion: larger is more; auto: found, see `samplers.motion_bucket`
    noise_aug_strength: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.02  # noise on the keyframes, encoded
    device: str | None = None  # None: cuda, else mps, else cpu
    dtype: Literal["float32", "float16", "bfloat16"] | None = None  # None: float16 on a GPU, float32 on a CPU
    vram_gb: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None  # to plan for; None: what is free
    video: VideoOptions = PLAIN  # codec, crf and pixel format of the file; no part of what is made

    def __post_init__(self) -> None:
        if self.method == "flow":  # its name in manifests, lists and configurations of version 0.1
            object.__setattr__(self, "method", INTERPOLATE)
        SamplerOptions.__post_init__(self)
        MemoryOptions.__post_init__(self)

    @property
    def sampler(self) -> SamplerOptions:
        """How the method samples."""
        return part_of(self, SamplerOptions)

    @property
    def memory(self) -> MemoryOptions:
        """What is done to save memory."""
        return part_of(self, MemoryOptions)


def part_of(settings: Settings, options: type[Options]) -> Options:
    """Those of the settings that make up one kind of options."""
    return options(**{item.name: getattr(settings, item.name) for item in fields(options)})


DEFAULTS: dict[str, Any] = {item.name: item.default for item in fields(Settings)}
WRITING = ("video",)  # how a clip is written; the frames are the same
SAMPLING_FIELDS = (  # all but the memory's and the file's
    *(name for name in Settings.__annotations__ if name not in WRITING),
    *(item.name for item in fields(SamplerOptions)),
)
INTERPOLATION_ONLY = ("interpolator", "iters")
INTERPOLATION_FIELDS = (
    "method", *INTERPOLATION_ONLY,
    "seed", "num_frames", "width", "height", "fit", "background", "exact_ends", "loop", "still", "fps", "device",
)  # fmt: skip
DIFFUSION_ONLY = tuple(name for name in DEFAULTS if name not in (*INTERPOLATION_FIELDS, *WRITING))


def reset(settings: Settings, names: tuple[str, ...]) -> Settings:
    """The settings with these back at their defaults."""
    return replace(settings, **{name: DEFAULTS[name] for name in names})


def settings_of_manifest(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that a clip was made with. What there was not yet is as it was then: published, Karras' levels."""
    settings = dict(manifest["settings"])
    if settings.get("num_inference_steps") is not None:
        settings.setdefault("preset", "published")
        settings.setdefault("noise_schedule", "karras")
    return settings
