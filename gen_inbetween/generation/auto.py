"""Method "auto" of `inbetween`: flow where the motion between the keyframes is tiny, elsewhere a diffusion model.

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

from gen_inbetween.diffusion.methods import FLOW, default_method
from gen_inbetween.generation.interpolate import (
    DIFFUSIONS_ALONE,
    FLOWS_ALONE,
    check_belonging,
    open_for,
    plan_flow,
    without,
)
from gen_inbetween.generation.settings import Settings
from gen_inbetween.interpolation.interpolator import SMALLEST, FrameInterpolator
from gen_inbetween.interpolation.pairs import frame_tensor
from gen_inbetween.interpolation.warping import warp
from gen_inbetween.media.fit import fit_pair
from gen_inbetween.models.registry import ModelSpec, resolve_model

log = logging.getLogger("gen_inbetween")

HEIGHT = 256  # pixels to which larger keyframes are brought; enlarged ones would give networks too little to match
PERCENTILE = 99

# Where flow stops agreeing with the true middle frame, from 250 triplets of 25 films, the ends 2 to 32 frames apart
# (`python eval/flow_report.py --films FOLDER` makes the table from any folder of films). A middle frame is good if 99 %
# of its pixels are right to 25 grey levels. Of those below both limits 93 % (tiny-di, RIFE) and 90 % (DIS) are good;
# of all good ones 62, 70 and 60 % are below. At twice the displacement 72 to 91 % would be good, 70 to 80 % below.
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
            f"flow leaves {self.disagreement:.0f} grey levels of difference between the keyframes unexplained "
            f"(limit {DISAGREEMENT:g})"
        )


@torch.no_grad()
def measure_motion(frame0: Image.Image, frame1: Image.Image, interpolator: FrameInterpolator) -> Motion:
    """The motion between two RGB images of one size. InterpolatorError: an interpolator that gives no flows."""
    width, height = measured_size(frame0.size, frame0.height)
    small = (frame.resize((width, height), Image.Resampling.LANCZOS) for frame in (frame0, frame1))
    a, b = (frame_tensor(frame, interpolator.device) for frame in small)
    flows = interpolator.flows(a, b, 0.5)
    moved = (flows.to1 - flows.to0).norm(dim=1) * HEIGHT / height
    left = (warp(a, flows.to0) - warp(b, flows.to1)).abs().mean(1) * 255
    return Motion(*(round(float(np.percentile(each.cpu().numpy(), PERCENTILE)), 2) for each in (moved, left)))


def measured_size(shape: tuple[int, int], available: int) -> tuple[int, int]:
    """(width, height) at which motion is measured, of the aspect of `shape`; available: pixels of height there are."""
    height = max(SMALLEST, min(HEIGHT, available))
    return max(SMALLEST, round(height * shape[0] / shape[1])), height


def route(opened: tuple[Image.Image, Image.Image], settings: Settings) -> tuple[Settings, dict[str, Any]]:
    """The settings with a method in place of "auto", said in the log, and the record of why.

    Either way the clip has the size and length that the diffusion model would give it, so that a list of pairs comes
    out in one form. Settings that only the other way would have read are set back.
    """
    spec = resolve_model(settings.model)
    shape = shape_of(settings, spec)
    interpolator = open_for(settings)
    # Not at the clip's own size: what the 64 pixels of a small model leave of a film is too little to match.
    size = measured_size((shape["width"], shape["height"]), min(frame.height for frame in opened))
    frame0, frame1, _ = fit_pair(*opened, *size, settings.fit)
    motion = measure_motion(frame0, frame1, interpolator)
    name = interpolator.info.name
    if motion.tiny:
        settings = replace(without(settings, DIFFUSIONS_ALONE), method=FLOW, **shape)
        log.warning("method auto: flow by %s, since %s", name, motion.why)
    else:
        settings = replace(without(settings, FLOWS_ALONE), method=sampling_method(settings, spec))
        log.warning("method auto: %s, since %s (seen by %s)", settings.method, motion.why, name)
    limits = {"displacement": DISPLACEMENT, "disagreement": DISAGREEMENT}
    return settings, {"method": settings.method, "seen_by": name, **asdict(motion), "limits": limits}


def sampling_method(settings: Settings, spec: ModelSpec) -> str:
    """gi with a backward motion, trf without."""
    motion = spec.motion if settings.motion == "default" else settings.motion
    return default_method(motion is not None)


def plan_route(model: str, method: str, **told: Any) -> tuple[str, str | None]:
    """What "flow" or "auto" will take, in words, and the method that samples the pairs flow does not get (None: none).

    told: the settings that were given; ValueError for those of another method.
    """
    settings = Settings(method=method, **told)
    check_belonging(settings)
    if method == FLOW:
        return plan_flow(settings.interpolator, settings.width, settings.height, settings.num_frames), None
    spec = resolve_model(model)
    shape = shape_of(settings, spec)
    line = plan_flow(settings.interpolator, shape["width"], shape["height"], shape["num_frames"])
    chosen = sampling_method(settings, spec)
    limits = f"{DISPLACEMENT:g} px of {HEIGHT}, unexplained below {DISAGREEMENT:g} grey levels"
    return f"where the motion is tiny (below {limits}):\n{line}\notherwise {chosen}:", chosen


def shape_of(settings: Settings, spec: ModelSpec) -> dict[str, Any]:
    """The size and length that are asked for, or else the model's own."""
    own = {"width": spec.width, "height": spec.height, "num_frames": spec.num_frames}
    return {name: getattr(settings, name) or value for name, value in own.items()}
