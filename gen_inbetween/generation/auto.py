"""Method "auto": interpolation for tiny motion or without SVD, else diffusion.

Between two frames that hardly differ an interpolator is right to a few grey levels, at any size and at once. Where
things move by more than about their own size it finds other things, and shreds or ghosts remain. Two figures tell these
apart, both at t = 1/2 of the interpolator's own flows, in frames 256 pixels high, or as high as they are if smaller:

    displacement   |F_t1 - F_t0|                        how far what is there moves from keyframe to keyframe
    disagreement   |warp(a, F_t0) - warp(b, F_t1)|      what the motion leaves unexplained: a network that finds nothing
                                                        calls everything still, and here it shows

The second is taken where the motion leads into both frames: what a camera reveals at the border is in one of them only.
Of both the 99th percentile over the pixels: what moves is often small, and a mean or median would pass over it.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from PIL import Image

from gen_inbetween.diffusion.methods import default_method
from gen_inbetween.diffusion.options import AUTO, INTERPOLATE
from gen_inbetween.generation.settings import DEFAULTS, DIFFUSION_ONLY, INTERPOLATION_ONLY, Settings, reset
from gen_inbetween.interpolation.interpolator import SMALLEST, Flows, FrameInterpolator, InterpolatorError
from gen_inbetween.interpolation.pairs import frame_tensor
from gen_inbetween.interpolation.warping import warp
from gen_inbetween.media.fit import fit_pair
from gen_inbetween.models.configs import ModelConfigs
from gen_inbetween.models.registry import MODELS, SVD_REMEDY, lacking_for_svd
from gen_inbetween.runtime.messages import warn_once

log = logging.getLogger("gen_inbetween")

HEIGHT = 256  # pixels to which larger keyframes are brought; enlarged ones would give networks too little to match
PERCENTILE = 99

# Where interpolation stops agreeing with the true middle frame, from 250 triplets of 25 films, the ends 2 to 32 frames
# apart (`python eval/flow_report.py --films FOLDER` makes the table from any folder of films). A middle frame is good
# if 99 % of its pixels are right to 25 grey levels. Of those below both limits 93 % (tiny-di, RIFE) and 90 % (DIS) are
# good; of all good ones 62, 70 and 60 % are below. At twice the displacement 72 to 91 % would be good, 70 to 80 %
# below. With dis-splat, the default, 90 % of those below are good, and 52 % of the good ones are below (61 of 250).
DISPLACEMENT = 6.0  # pixels of 256 in height
DISAGREEMENT = 32.0  # grey levels of 255
# Above this disagreement dis-splat has cross-faded what its flow did not find: on the same triplets 3 % of the middle
# frames above it are good, 76 % of those below, and 97 % of all good ones are below. How far things move says less: a
# camera that pans by a fifth of the picture is followed exactly.
DOUBLE = 24.0  # grey levels of 255
# A network mends what its flow leaves open: of RIFE's frames 4 % above this are good, 77 % below, 95 % of the good.
DOUBLE_OF_NETWORKS = 40.0


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
    seen = inside_both(flows)
    if seen.any():
        disagreement = disagreement[seen]
    return Motion(*(round(float(np.percentile(each.cpu(), PERCENTILE)), 2) for each in (displacement, disagreement)))


def inside_both(flows: Flows) -> torch.Tensor:
    """(B, H, W) bool: pixels whose motion leads into both frames, and not out of the picture as a camera's pan does."""
    height, width = flows.mask.shape[-2:]
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    seen = torch.ones_like(flows.mask[:, 0], dtype=torch.bool)
    for flow in (flows.to0, flows.to1):
        x, y = columns.to(flow) + flow[:, 0], rows.to(flow) + flow[:, 1]
        seen &= (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    return seen


def measured_size(shape: tuple[int, int], available: int) -> tuple[int, int]:
    """(width, height) at which motion is measured, of the aspect of `shape`; available: pixels of height there are.

    >>> measured_size((1024, 576), available=1080)
    (455, 256)
    """
    height = max(SMALLEST, min(HEIGHT, available))
    return max(SMALLEST, round(height * shape[0] / shape[1])), height


def choose_method(
    keyframes: Sequence[Image.Image],
    settings: Settings,
    configs: ModelConfigs,
    has_motion: bool,
    interpolator: FrameInterpolator,
) -> tuple[Settings, dict[str, Any]]:
    """The settings with a method in place of "auto", said in the log, and the record of why.

    Either way the clip has the size and length that the diffusion model would give it, so that a list of pairs comes
    out in one form. Settings that only the other way would have read are set back.
    """
    several = len(keyframes) > 2 or settings.loop  # whose length their positions say
    length, settings = settings.num_frames, fill_shape(settings, configs)
    settings = replace(settings, num_frames=length) if several else settings
    motion, name = motion_of_clip(keyframes, settings, interpolator), interpolator.info.name
    if motion.tiny:
        settings = replace(reset(settings, DIFFUSION_ONLY), method=INTERPOLATE)
        log.warning("method auto: interpolate by %s, since %s", name, motion.why)
    else:
        settings = replace(reset(settings, INTERPOLATION_ONLY), method=default_method(has_motion))
        log.warning("method auto: %s, since %s (seen by %s)", settings.method, motion.why, name)
    return settings, {"method": settings.method, **record_of(motion, interpolator)}


def stand_in(
    settings: Settings, keyframes: Sequence[Image.Image], lacking: str, interpolator: FrameInterpolator
) -> tuple[Settings, dict[str, Any]]:
    """The settings that interpolate the keyframes at their own size where SVD is lacking, and the record of why.

    Said in the log, once in a process: what is done, why, and how to get generated motion. Settings that only a
    diffusion model reads are set back, and named.
    """
    name, pocket = interpolator.info.name, MODELS["pocket-2"]
    size = "the size asked for" if settings.width or settings.height else "the pictures' own size"
    unheard = [f"{key} {getattr(settings, key)}" for key in DIFFUSION_ONLY if getattr(settings, key) != DEFAULTS[key]]
    warn_once(
        f"interpolated by {name} at {size}, since there is {lacking} here and the bundled model pocket-2 knows only "
        f"drawn things of {pocket.width} x {pocket.height} pixels; {SVD_REMEDY}"
    )
    if unheard:
        warn_once(f"no diffusion model is at work, so nothing reads {', '.join(unheard)}")
    motion = say_large_motion(keyframes, settings, interpolator)
    record = {"method": INTERPOLATE, "lacking": lacking} | (record_of(motion, interpolator) if motion else {})
    return replace(reset(settings, DIFFUSION_ONLY), method=INTERPOLATE), record


def lacking_model(settings: Settings, keyframes: Sequence[Image.Image]) -> str | None:
    """What this machine lacks to sample keyframes of this size by SVD, where the settings leave the model open.

    None: nothing, or a model or a method is asked for, or the keyframes fit into the world of the bundled model.
    """
    pocket = MODELS["pocket-2"]
    if settings.model != DEFAULTS["model"] or settings.method not in (None, AUTO):
        return None
    if all(frame.width <= pocket.width and frame.height <= pocket.height for frame in keyframes):
        return None
    return lacking_for_svd()


def say_large_motion(
    keyframes: Sequence[Image.Image], settings: Settings, interpolator: FrameInterpolator
) -> Motion | None:
    """Say in the log where interpolation will show things twice. Returns the motion; None: it is not to be had.

    Not for "nearest", which shows one keyframe at a time, nor for interpolators that give no flows.
    """
    if interpolator.info.name == "nearest":
        return None
    try:
        motion = motion_of_clip(keyframes, settings, interpolator)
    except InterpolatorError:
        return None
    limit = DOUBLE_OF_NETWORKS if interpolator.info.parameters else DOUBLE
    if motion.disagreement > limit:
        log.warning(
            "large motion: %s leaves %.0f grey levels of it unexplained (limit %g), so that what moves shows twice in "
            "places, as in a double exposure", interpolator.info.name, motion.disagreement, limit
        )  # fmt: skip
    return motion


def motion_of_clip(keyframes: Sequence[Image.Image], settings: Settings, interpolator: FrameInterpolator) -> Motion:
    """The motion between the keyframes as they are fitted into the clip's aspect (by default that of the first).

    Of several the two neighbours decide that interpolation does worst by.
    """
    # Not at the clip's own size: what the 64 pixels of a small model leave of a film is too little to match.
    shape = settings.width or keyframes[0].width, settings.height or keyframes[0].height
    size = measured_size(shape, min(frame.height for frame in keyframes))
    fitted = [fit_pair(keyframes[0], frame, *size, settings.fit)[1] for frame in keyframes]
    following = [*fitted[1:], *(fitted[:1] if settings.loop else [])]
    motions = [motion_between(*pair, interpolator) for pair in zip(fitted, following, strict=False)]
    return max(motions, key=lambda motion: (motion.disagreement > DOUBLE, not motion.tiny, motion.displacement))


def record_of(motion: Motion, interpolator: FrameInterpolator) -> dict[str, Any]:
    """What was seen, by what, and the limits it is held against, for the part "auto" of a manifest."""
    limits = {"displacement": DISPLACEMENT, "disagreement": DISAGREEMENT}
    return {"seen_by": interpolator.info.name, **asdict(motion), "limits": limits}


def fill_shape(settings: Settings, configs: ModelConfigs) -> Settings:
    """The settings with the model's own size and length where they ask for none."""
    return replace(
        settings,
        width=settings.width or configs.width,
        height=settings.height or configs.height,
        num_frames=settings.num_frames or configs.num_frames,
    )
