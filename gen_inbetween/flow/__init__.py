"""Frames between two frames by the motion between them: RIFE, Super SloMo, FILM, classical flow, behind one call."""

from __future__ import annotations

from .interpolator import Flows, FrameInterpolator, InterpolatorError, InterpolatorInfo
from .loading import convert_interpolator
from .pairs import interpolate_pair
from .registry import INTERPOLATORS, load_interpolator

__all__ = [
    "INTERPOLATORS",
    "Flows",
    "FrameInterpolator",
    "InterpolatorError",
    "InterpolatorInfo",
    "convert_interpolator",
    "interpolate_pair",
    "load_interpolator",
]
