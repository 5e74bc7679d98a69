"""Frame interpolation by optical flow: interpolators, retiming of videos, motion editing.

from gen_inbetween.interpolation import interpolate_pair, retime_video

clip = interpolate_pair(frame0, frame1, num_frames=9)
retime_video("film.mp4", "film60.mp4", fps=60)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from gen_inbetween.interpolation.editing.clicks import masks_from_clicks
    from gen_inbetween.interpolation.editing.edit_motion import edit_motion
    from gen_inbetween.interpolation.editing.masks import MaskError
    from gen_inbetween.interpolation.editing.retime_objects import retime_objects
    from gen_inbetween.interpolation.editing.sam import masks_from_sam
    from gen_inbetween.interpolation.interpolator import (
        Flows,
        FrameInterpolator,
        InterpolatorError,
        InterpolatorInfo,
        PairInterpolator,
    )
    from gen_inbetween.interpolation.pair_clip import interpolate_pair
    from gen_inbetween.interpolation.registry import INTERPOLATORS, load_interpolator
    from gen_inbetween.interpolation.retiming.curves import EASES, CurveError, PathCurve, parse_curve
    from gen_inbetween.interpolation.retiming.retime import retime
    from gen_inbetween.interpolation.retiming.retime_video import RetimedVideo, retime_video
    from gen_inbetween.interpolation.retiming.speed_profile import SpeedProfile, constant_speed, speed_profile
    from gen_inbetween.interpolation.weights.convert import convert_interpolator

__all__ = [
    "EASES",
    "INTERPOLATORS",
    "CurveError",
    "Flows",
    "FrameInterpolator",
    "InterpolatorError",
    "InterpolatorInfo",
    "MaskError",
    "PairInterpolator",
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

# Imported when first asked for (PEP 562), so that a video is retimed without loading what edits motion.
__getattr__, __dir__, _ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "editing.edit_motion": ["edit_motion"],
        "editing.clicks": ["masks_from_clicks"],
        "editing.masks": ["MaskError"],
        "editing.retime_objects": ["retime_objects"],
        "editing.sam": ["masks_from_sam"],
        "interpolator": ["Flows", "FrameInterpolator", "InterpolatorError", "InterpolatorInfo", "PairInterpolator"],
        "pair_clip": ["interpolate_pair"],
        "registry": ["INTERPOLATORS", "load_interpolator"],
        "retiming.curves": ["EASES", "CurveError", "PathCurve", "parse_curve"],
        "retiming.retime": ["retime"],
        "retiming.retime_video": ["RetimedVideo", "retime_video"],
        "retiming.speed_profile": ["SpeedProfile", "constant_speed", "speed_profile"],
        "weights.convert": ["convert_interpolator"],
    },
)
