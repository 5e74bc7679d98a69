"""Frames between two frames by the motion between them: RIFE, Super SloMo, FILM, classical flow, behind one call."""

from __future__ import annotations

from .curves import EASES, CurveError, PathCurve, parse_curve
from .interpolator import Flows, FrameInterpolator, InterpolatorError, InterpolatorInfo
from .loading import convert_interpolator
from .pace import SpeedProfile, constant_speed, speed_profile
from .pairs import interpolate_pair
from .registry import INTERPOLATORS, load_interpolator
from .retime_video import RetimedVideo, retime_video
from .retiming import retime

__all__ = [
    "EASES",
    "INTERPOLATORS",
    "CurveError",
    "Flows",
    "FrameInterpolator",
    "InterpolatorError",
    "InterpolatorInfo",
    "PathCurve",
    "RetimedVideo",
    "SpeedProfile",
    "constant_speed",
    "convert_interpolator",
    "interpolate_pair",
    "load_interpolator",
    "parse_curve",
    "retime",
    "retime_video",
    "speed_profile",
]
