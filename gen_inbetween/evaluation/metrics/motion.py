"""Motion metrics of a clip alone, from its optical flow.

Read them beside the true clips' own row: hands that go up and down and balls that bounce turn round in truth, too.
"""

from __future__ import annotations

from typing import ClassVar

from gen_inbetween.evaluation.metrics.clip_metric import Better, ClipMetric, Family, Sample, cached_per_sample
from gen_inbetween.interpolation.faults.clip_flow import ClipFlow, compute_clip_flow
from gen_inbetween.interpolation.faults.faults import standing_still, trembling, turning_back, uneven_pace
from gen_inbetween.interpolation.faults.ghosting import blended_energy, faded_share


@cached_per_sample
def clip_flow(sample: Sample) -> ClipFlow:
    """The optical flow of a sample's frames, kept with it."""
    return compute_clip_flow(sample.frames)


class _Motion(ClipMetric):
    family: ClassVar[Family] = "Motion, from the clip alone"


class MotionAmount(_Motion):
    """Mean length of the optical flow over all pixels and steps, pixels of 64 a frame.

    As much as the true clip has is right: less is a clip that shrinks from moving, more is trembling.
    """

    name = "motion_amount"
    unit = "px of 64"
    better: ClassVar[Better] = "truth"

    def score(self, sample: Sample) -> float:
        return float(clip_flow(sample).step().mean())


class SpeedUniformity(_Motion):
    """Coefficient of variation of the motion of each step (mean flow) along the clip; 0 is the same in each.

    As uneven as the true clip is right: falling things gather speed. A clip that stands and then jumps has
    sqrt(F - 2). NaN where nothing moves at all.
    """

    name = "speed_uniformity"
    unit = "std / mean"
    better: ClassVar[Better] = "truth"

    def score(self, sample: Sample) -> float:
        return uneven_pace(clip_flow(sample))


class Bounce(_Motion):
    """The share of the motion that runs back along its own way: 0 on a straight run, 1 there and back again.

    At each place (cells of an eighth of the shorter side) flow is summed over time: what passes leaves its whole way,
    what comes back cancels it. 1 - |sum| / sum of lengths, over the cells that see 2 pixels of 64 pass or more, in
    steps of 0.3 or more. The camera (the median flow of each step) is taken out first and judged by itself; the larger
    of the two shares counts, so neither a still nor a panning background hides an object that turns round. NaN where
    nothing moves as much.

    This is the failure of sampling from both ends (time reversal fusion): forwards past the last keyframe, then back.
    Gestures and a ball's real bounce score too, so the true clip's own figure is what to come near to.
    """

    name = "bounce"
    unit = "share of motion"
    better: ClassVar[Better] = "truth"

    def score(self, sample: Sample) -> float:
        return turning_back(clip_flow(sample))


class Freeze(_Motion):
    """The share of steps in which nothing moves, though the keyframes differ; lower is better.

    Nothing moves where no cell (an eighth of the shorter side) has a mean flow of 0.1 pixel of 64. NaN for a pair of
    keyframes that differ by less than a grey level on average: there standing still may be right.
    """

    name = "freeze"
    unit = "share of steps"
    better: ClassVar[Better] = "lower"

    def score(self, sample: Sample) -> float:
        return standing_still(clip_flow(sample))


class Flicker(_Motion):
    """Trembling of brightness: mean over time of the median second difference along the flow, grey levels; lower.

    |I_t-1 - 2 I_t + I_t+1|, both neighbours looked up where the flow says that the pixel came from and goes to. What
    moves or fades evenly has none; the median over the picture passes over what is being covered.
    """

    name = "flicker"
    unit = "grey levels"
    better: ClassVar[Better] = "lower"

    def score(self, sample: Sample) -> float:
        return trembling(clip_flow(sample))


class Ghosting(_Motion):
    """How far frames are two pictures laid over each other, 0 to 1; lower is better.

    Each inner frame is explained by the keyframes, warped onto it by flow: by one of them, or by their blend, window by
    window. The squared error that blending takes away, over the most it could: 1 where all that differs is half and
    half, 1/3 for a cross-dissolve (the mean of 4 min(a, 1 - a)^2), about 0 where things move. Sees half-transparent
    copies that move as well. What the flow cannot follow costs true clips about 0.1. NaN for a static pair.
    """

    name = "ghosting"
    unit = "share of energy"
    better: ClassVar[Better] = "lower"

    def score(self, sample: Sample) -> float:
        return blended_energy(clip_flow(sample))


class Dissolve(_Motion):
    """The share of the change in time that is a fade in place, not motion, 0 to 1; lower is better.

    Near 1 for a cross-dissolve, about 0.1 where things move. NaN for a clip in which nothing changes.
    """

    name = "dissolve"
    unit = "share of change"
    better: ClassVar[Better] = "lower"

    def score(self, sample: Sample) -> float:
        return faded_share(clip_flow(sample))


METRICS = (MotionAmount, SpeedUniformity, Bounce, Freeze, Flicker, Ghosting, Dissolve)
