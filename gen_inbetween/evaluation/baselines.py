"""Baselines: what needs no diffusion model, and what every method should beat.

`BASELINES` maps a name to what opens it. It is opened before any long work, so that a package or a file of weights that
is missing is told then.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from PIL import Image

from ..flow import INTERPOLATORS, load_interpolator
from ..flow.interpolator import check_kind
from ..flow.pairs import inbetween_frames
from ..frames import crossfade
from .settings import EvaluationError


@dataclass(frozen=True)
class Interpolation:
    """An opened baseline: (frame0, frame1, num_frames) -> num_frames RGB images, and what weights it uses."""

    between: Callable[[Image.Image, Image.Image, int], list[Image.Image]]
    weights: Mapping[str, Any] = field(default_factory=dict)  # version and hash, where there are any


def nearest(frame0: Image.Image, frame1: Image.Image, num_frames: int) -> list[Image.Image]:
    """Each frame a copy of the keyframe that is nearer in time; the one half-way, if there is one, of frame1."""
    return [frame0 if index < (num_frames - 1) / 2 else frame1 for index in range(num_frames)]


def open_flow(name: str, device: str, iters: int = 1) -> Interpolation:
    """An interpolator of `flow.INTERPOLATORS` or a file of weights, at equal steps of time."""
    interpolator = load_interpolator(name, device=device)
    check_kind(interpolator.kind, 0.5, None, iters)

    def between(frame0: Image.Image, frame1: Image.Image, num_frames: int) -> list[Image.Image]:
        return inbetween_frames(frame0, frame1, num_frames, interpolator, iters=iters)

    return Interpolation(between, {"version": interpolator.info.version, "sha256": interpolator.info.sha256})


BASELINES: dict[str, Callable[[str], Interpolation]] = {
    "crossfade": lambda device: Interpolation(crossfade),
    "nearest": lambda device: Interpolation(nearest),
    **{f"flow-{name}": partial(open_flow, name) for name in INTERPOLATORS if name not in ("blend", "nearest")},
}


def open_baseline(name: str, device: str) -> Interpolation:
    """The baseline of that name, on a device if it computes there.

    Raises:
        EvaluationError: no such baseline, naming the nearest; or a package that it needs is missing.
        InterpolatorError: its weights are not on this machine.
    """
    if name not in BASELINES:
        near = difflib.get_close_matches(str(name), BASELINES, n=1, cutoff=0)
        raise EvaluationError(f"expected a baseline out of {', '.join(BASELINES)}, got {name!r}; nearest: {near[0]}")
    try:
        return BASELINES[name](device)
    except ImportError as error:
        raise EvaluationError(f"baseline {name} cannot be opened: {error}") from error
