"""Frames between two frames by the motion between them: RIFE, Super SloMo, FILM, classical flow, behind one call."""

from __future__ import annotations

from .curves import EASES, CurveError, PathCurve, parse_curve
from .editing import edit_motion
from .interpolator import Flows, FrameInterpolator, InterpolatorError, InterpolatorInfo
from .loading import convert_interpolator
from .masks import MaskError
from .object_retiming import retime_objects
from .pace import SpeedProfile, constant_speed, speed_profile
from .pairs import interpolate_pair
from .registry import INTERPOLATORS, load_interpolator
from .retiming import retime
from .segmenting import masks_from_clicks, masks_from_sam
from .video_retiming import RetimedVideo, retime_video

__all__ = [
    "EASES",
    "INTERPOLATORS",
    "CurveError",
    "Flows",
    "FrameInterpolator",
    "InterpolatorError",
    "InterpolatorInfo",
    "MaskError",
    "PathCurve",
    "RetimedVideo",
    "SpeedProfile",
    "constant_speed",
    "convert_interpolator",
    "edit_motion",
    "interpolate_pair",
    "load_interpolator",
    "masks_from_clicks",
    "masks_from_sam",
    "parse_curve",
    "retime",
    "retime_objects",
    "retime_video",
    "speed_profile",
]
