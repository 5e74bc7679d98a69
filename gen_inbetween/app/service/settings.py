"""Settings of the HTTP service, and the clip settings that strangers may give."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from gen_inbetween.diffusion.options import AUTO, INTERPOLATE
from gen_inbetween.generation.settings import DEFAULTS, Settings
from gen_inbetween.interpolation.registry import INTERPOLATORS
from gen_inbetween.models.registry import lacking_for_svd
from gen_inbetween.runtime.config import Count, from_mapping

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]

ENDINGS = ("mp4", "webm", "gif", "webp")
OPERATORS = ("motion", "still", "draft", "device", "dtype", "vram_gb", "video", "offload", "compile", "kernel")
"""Settings that name files, or say where and how this machine computes: they are the operator's."""
STEPS = ("num_inference_steps", "renoise_steps", "mpd_repeats", "iters")  # steps, and how often each is done


@dataclass(frozen=True)
class ServiceSettings:
    """What a service holds and allows; each limit is for one job or one request unless it says otherwise."""

    folder: Path = Path("service")  # of the jobs
    workers: Count = 1  # jobs at a time
    queue: Count = 100  # jobs that wait; the next is refused
    models: tuple[str, ...] = ("auto",)  # that a job may name, the first where it names none
    max_mb: Positive = 20  # of a request's body, and of a picture that is fetched
    max_megapixels: Positive = 40  # of a picture
    max_clip_megapixels: Positive = 256  # of all frames of a clip together: 123 of 1920x1080
    max_steps: Count = 100  # of a clip, and repeats of one step
    max_best_of: Count = 4
    timeout: Positive = 600  # seconds that a job may run
    request_timeout: Positive = 60  # seconds until a body has come, or a picture has been fetched
    allow_url: tuple[str, ...] = ()  # origins pictures may be fetched from: https://images.example.com
    keep_hours: Positive = 24  # of finished jobs
    device: str | None = None

    @property
    def max_bytes(self) -> int:
        """`max_mb` in bytes."""
        return int(self.max_mb * 1e6)


def complete(values: Mapping[str, Any], service: ServiceSettings) -> dict[str, Any]:
    """What a job says, and where it names no model the service's own; an interpolation has none."""
    own = {} if values.get("method") == INTERPOLATE else {"model": service.models[0]}
    return {**own, **values}


def read_clip_settings(values: Mapping[str, Any], service: ServiceSettings) -> Settings:
    """The settings of a job from what a stranger said.

    ValueError: an unknown one, one out of its range or beyond the service's limits, or one that is the operator's.
    """
    if taken := sorted(set(values) & set(OPERATORS)):
        raise ValueError(f"{', '.join(taken)}: set by whoever runs the service, not by a job")
    settings = from_mapping(Settings, complete(values, service), where="settings")
    if "model" in values and settings.model not in service.models:
        raise ValueError(f"expected model as one of {', '.join(service.models)}, got {settings.model!r}")
    if settings.interpolator not in (None, *INTERPOLATORS):
        raise ValueError(f"expected interpolator as one of {', '.join(INTERPOLATORS)}, got {settings.interpolator!r}")
    from gen_inbetween.interpolation.weights.published import PAGES, is_here  # torch comes with it

    if (name := settings.interpolator) in PAGES and not is_here(str(name)):
        raise ValueError(f"interpolator {name}: its weights are not on this service")
    limits = dict.fromkeys(STEPS, service.max_steps) | {"best_of": service.max_best_of}
    for name, most in limits.items():
        value = getattr(settings, name)
        if value is not None and value > most:
            raise ValueError(f"expected {name} as at most {most} on this service, got {value}")
    return settings


def may_interpolate(settings: Settings) -> bool:
    """Whether a clip of these settings may come out in its keyframes' size: by a model it has the model's own."""
    left_open = settings.model == DEFAULTS["model"] and settings.method in (None, AUTO)
    return settings.method == INTERPOLATE or (left_open and lacking_for_svd() is not None)


def check_clip_size(settings: Settings, size: tuple[int, int], service: ServiceSettings) -> None:
    """ValueError where a clip of these settings, whose first keyframe has this (width, height), would be too large."""
    from gen_inbetween.interpolation.interpolator import SMALLEST  # torch comes with it

    width, height = size
    if settings.width and settings.height:
        width, height = settings.width, settings.height
    elif settings.width:
        width, height = settings.width, height * settings.width // width
    elif settings.height:
        width, height = width * settings.height // height, settings.height
    elif not may_interpolate(settings):
        return  # the model's own size
    if settings.method == INTERPOLATE and min(width, height) < SMALLEST:
        raise ValueError(f"frames are at least {SMALLEST} x {SMALLEST} pixels, got {width} x {height}")
    count = settings.num_frames or 25
    total = 1e-6 * count * width * height
    if total > service.max_clip_megapixels:
        raise ValueError(
            f"{count} frames of {width}x{height} are {total:.0f} megapixels; this service makes "
            f"{service.max_clip_megapixels:g} at most: fewer frames, or a smaller width and height"
        )
