"""Method "auto": interpolation for tiny motion, diffusion for the rest.

Between two frames that hardly differ an interpolator is right to a few grey levels, at any size and at once. Where
things move by more than about their own size it finds other things, and shreds or ghosts remain. Two figures tell these
apart, both at t = 1/2 of the interpolator's own flows, in frames 256 pixels high, or as high as they are if smaller:

    displacement   |F_t1 - F_t0|                        how far what is there moves from keyframe to keyframe
    disagreement   |warp(a, F_t0) - warp(b, F_t1)|      what the motion leaves unexplained: a network that finds nothing
                                                        calls everything still, and here it shows

Of both the 99th percentile over the pixels: what moves is often small, and a mean or median would pass over it.
"""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from PIL import Image

from gen_inbetween.diffusion.methods import default_method
from gen_inbetween.diffusion.options import INTERPOLATE
from gen_inbetween.generation.settings import DIFFUSION_ONLY, INTERPOLATION_ONLY, Settings, reset
from gen_inbetween.interpolation.interpolator import SMALLEST, FrameInterpolator
from gen_inbetween.interpolation.pairs import frame_tensor
from gen_inbetween.interpolation.warping import warp
from gen_inbetween.media.fit import fit_pair
from gen_inbetween.models.configs import ModelConfigs

log = logging.getLogger("gen_inbetween")

HEIGHT = 256  # pixels to which larger keyframes are brought; enlarged ones would give networks too little to match
PERCENTILE = 99

# Where interpolation stops agreeing with the true middle frame, from 250 triplets of 25 films, the ends 2 to 32 frames
# apart (`python eval/flow_report.py --films FOLDER` makes the table from any folder of films). A middle frame is good
# if 99 % of its pixels are right to 25 grey levels. Of those below both limits 93 % (tiny-di, RIFE) and 90 % (DIS) are
# good; of all good ones 62, 70 and 60 % are below. At twice the displacement 72 to 91 % would be good, 70 to 80 %
# below.
DISPLACEMENT = 6.0  # pixels of 256 in height
DISAGREEMENT = 32.0  # grey levels of 255


@dataclass(frozen=True)
class Motion:
    """What an interpolator sees between two keyframes: 99th percentiles, see above."""

    displacement: float  # pixels of a frame 256 pixels high
    disagreement: float  # grey levels of 255

    @property
    def tiny(self) -> bool:
        return self.displacement <= DISPLACEMENT and self.disagreement <= DISAGREEMENT

    @property
    def why(self) -> str:
        """The figure that decides, in words."""
        moved = f"the fastest 1 % of the picture moves {self.displacement:.1f} px of {HEIGHT}"
        if self.tiny:
            return f"{moved} (limit {DISPLACEMENT:g}) and is explained to {self.disagreement:.0f} grey levels"
        if self.displacement > DISPLACEMENT:
            return f"{moved} (limit {DISPLACEMENT:g})"
        return (
            f"interpolation leaves {self.disagreement:.0f} grey levels of difference between the keyframes unexplained "
            f"(limit {DISAGREEMENT:g})"
        )


def measure_motion(frame0: Image.Image, frame1: Image.Image, interpolator: FrameInterpolator) -> Motion:
    """The motion between two RGB images of one size. InterpolatorError: an interpolator that gives no flows."""
    size = measured_size(frame0.size, frame0.height)
    small0, small1 = (frame.resize(size, Image.Resampling.LANCZOS) for frame in (frame0, frame1))
    return motion_between(small0, small1, interpolator)


@torch.no_grad()
def motion_between(frame0: Image.Image, frame1: Image.Image, interpolator: FrameInterpolator) -> Motion:
    """`measure_motion` of two images that have the size of `measured_size`."""
    a, b = (frame_tensor(frame, interpolator.device) for frame in (frame0, frame1))
    flows = interpolator.flows(a, b, 0.5)
    displacement = (flows.to1 - flows.to0).norm(dim=1) * HEIGHT / frame0.height
    disagreement = (warp(a, flows.to0) - warp(b, flows.to1)).abs().mean(1) * 255
    return Motion(*(round(float(np.percentile(each.cpu(), PERCENTILE)), 2) for each in (displacement, disagreement)))


def measured_size(shape: tuple[int, int], available: int) -> tuple[int, int]:
    """(width, height) at which motion is measured, of the aspect of `shape`; available: pixels of height there are.

    >>> measured_size((1024, 576), available=1080)
    (455, 256)
    """
    height = max(SMALLEST, min(HEIGHT, available))
    return max(SMALLEST, round(height * shape[0] / shape[1])), height


def choose_method(
    keyframes: tuple[Image.Image, Image.Image],
    settings: Settings,
    configs: ModelConfigs,
    has_motion: bool,
    interpolator: FrameInterpolator,
) -> tuple[Settings, dict[str, Any]]:
    """The settings with a method in place of "auto", said in the log, and the record of why.

    Either way the clip has the size and length that the diffusion model would give it, so that a list of pairs comes
    out in one form. Settings that only the other way would have read are set back.
    """
    settings = fill_shape(settings, configs)
    # Not at the clip's own size: what the 64 pixels of a small model leave of a film is too little to match.
    size = measured_size((settings.width or 0, settings.height or 0), min(frame.height for frame in keyframes))
    frame0, frame1, _ = fit_pair(*keyframes, *size, settings.fit)
    motion, name = motion_between(frame0, frame1, interpolator), interpolator.info.name
    if motion.tiny:
        settings = replace(reset(settings, DIFFUSION_ONLY), method=INTERPOLATE)
        log.warning("method auto: interpolate by %s, since %s", name, motion.why)
    else:
        settings = replace(reset(settings, INTERPOLATION_ONLY), method=default_method(has_motion))
        log.warning("method auto: %s, since %s (seen by %s)", settings.method, motion.why, name)
    limits = {"displacement": DISPLACEMENT, "disagreement": DISAGREEMENT}
    return settings, {"method": settings.method, "seen_by": name, **asdict(motion), "limits": limits}


def fill_shape(settings: Settings, configs: ModelConfigs) -> Settings:
    """The settings with the model's own size and length where they ask for none."""
    return replace(
        settings,
        width=settings.width or configs.width,
        height=settings.height or configs.height,
        num_frames=settings.num_frames or configs.num_frames,
    )
