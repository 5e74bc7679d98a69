"""Best of several seeds, judged without a true clip.

    badness = sum over faults of weight * fault
    score = badness + APART * how far the clip is from those of the other seeds

What a clip is scored by is `interpolation.faults`; the weights say how many pixels of trajectory error (of a frame
whose shorter side is 64) a unit of each fault stands for. A fault that does not apply (NaN) costs nothing.

The clip that is nearest to the others is the choice of least expected error among samples of one distribution (minimum
Bayes risk, Kumar and Byrne, NAACL 2004): what most seeds agree on is likelier than what one of them came to by itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from gen_inbetween.interpolation.faults.faults import find_faults
from gen_inbetween.media.image import to_pixels

if TYPE_CHECKING:
    from gen_inbetween.generation.resolve import SamplingRun

Ends: TypeAlias = "tuple[Image.Image | None, Image.Image | None]"  # the keyframes at a clip's ends, if any
Made: TypeAlias = "tuple[list[Image.Image], dict[str, Any]]"  # frames, and the parts of the manifest that they know

# Set by hand. Those that eval/seed_choice.py fits on 64 pairs choose no better on 64 others (seed_choice.json there),
# where APART, fitted at 0.26, is what makes the choice a good one.
WEIGHTS: dict[str, float] = {
    "bounce": 4.0,
    "ghosting": 8.0,
    "freeze": 3.0,
    "flicker": 0.5,
    "endpoint_error": 0.1,
    "pace": 1.0,
}
APART = 0.3  # pixels of trajectory error that a grey level of distance from the other seeds stands for
SIDE = 64  # of the frames by which clips are compared: their shorter side, pixels


@dataclass(frozen=True)
class Candidate:
    """One seed of several: its faults, what they come to, and what it cost."""

    seed: int
    faults: Mapping[str, float | None]  # None where it does not apply; of the estimate halfway where it was broken off
    badness: float | None  # None: broken off halfway
    unet_passes: int
    halfway: float | None = None  # what the faults of its denoised estimate halfway came to; None: not looked at
    apart: float | None = None  # how far it is from the other seeds, grey levels; None: no others, or broken off
    score: float | None = None  # what is compared, lower is better; None: broken off halfway


class HopelessSeedError(Exception):
    """A seed that was worse halfway than the best one so far had been; `candidate` is what is known of it."""

    def __init__(self, candidate: Candidate) -> None:
        super().__init__(f"seed {candidate.seed} was broken off halfway")
        self.candidate = candidate


class Halfway:
    """Callback of a pipeline that looks at the denoised estimate after half of a run's steps.

    rival: what the best seed so far came to there; HopelessSeedError is raised where this one is worse. None: none yet.
    watcher: another callback that only looks, called first, with the same tensors.
    """

    only_looks = True

    def __init__(
        self, run: SamplingRun, rival: float | None, ends: Ends, watcher: Callable[..., Any] | None = None
    ) -> None:
        self.run, self.rival, self.ends, self.watcher = run, rival, ends, watcher
        self.passes = run.method.step_passes(run.sampler)
        self.badness: float | None = None

    def __call__(self, pipe: Any, step: int, timestep: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        if self.watcher is not None:
            self.watcher(pipe, step, timestep, tensors)
        if step != halfway_step(len(self.passes)):
            return {}
        from gen_inbetween.diffusion.decoding.latents import decode_latents  # here: diffusers is slow to import

        frames = to_pixels(decode_latents(pipe.vae, tensors["denoised"])[0].cpu())
        candidate = judge(frames, self.ends, self.run.settings.seed, sum(self.passes[: step + 1]))
        self.badness = candidate.badness
        if self.rival is not None and candidate.badness is not None and candidate.badness > self.rival:
            raise HopelessSeedError(replace(candidate, badness=None, halfway=self.badness))
        return {}


def halfway_step(steps: int) -> int:
    """The number of the step after which half of them are done, as callbacks count them.

    >>> halfway_step(6), halfway_step(1)
    (2, 0)
    """
    return max(steps // 2 - 1, 0)


def badness(faults: Mapping[str, float | None], weights: Mapping[str, float] = WEIGHTS) -> float:
    """The weighted sum; lower is better.

    >>> badness({"bounce": 0.5, "ghosting": None}, {"bounce": 4.0, "ghosting": 8.0})
    2.0
    """
    values = {name: faults.get(name) for name in weights}
    return sum(weights[name] * value for name, value in values.items() if value is not None and not math.isnan(value))


def judge(frames: Iterable[Image.Image | NDArray[np.uint8]], ends: Ends, seed: int, unet_passes: int) -> Candidate:
    """A clip's candidate; `frames` from before the keyframes are put back, pictures or (H, W, 3) of 0 to 255."""
    keyframes = [None if frame is None else np.asarray(frame) for frame in ends]
    found = find_faults(np.stack([np.asarray(frame) for frame in frames]), keyframes)
    faults = {name: None if math.isnan(found[name]) else round(found[name], 6) for name in WEIGHTS}
    return Candidate(seed, faults, round(badness(faults), 6), unet_passes)


def sample_seeds(run: SamplingRun, sample: Callable[[SamplingRun, float | None], Made]) -> list[Made]:
    """The frames and manifest parts of every seed of a run that was not broken off, the best first.

    One after the other, since a batch of them would differ from each alone in the last bits, and a replay makes one.

    Args:
        run: `run.settings.best_of` seeds from `run.settings.seed` on; `stop_hopeless` breaks off some.
        sample: of a run with one seed, and what the best seed so far came to halfway; where there are several,
            "candidate" is among the parts.

    The parts of each have "best_of" then, all candidates in the order of seeds, and settings that make that clip alone.
    """
    first, count = run.settings.seed, run.settings.best_of
    if count == 1:
        return [sample(run, None)]
    finished: list[tuple[Candidate, Made]] = []
    candidates: list[Candidate] = []
    rival = None
    for seed in range(first, first + count):
        try:
            frames, parts = sample(replace(run, settings=replace(run.settings, seed=seed)), rival)
        except HopelessSeedError as stopped:
            candidates.append(stopped.candidate)
            continue
        finished.append((parts.pop("candidate"), (frames, parts)))
        rival = min((candidate for candidate, _ in finished), key=_badness_of).halfway
    distances = apart([frames for _, (frames, _) in finished])
    results = [(scored(candidate, far), made) for (candidate, made), far in zip(finished, distances, strict=True)]
    results.sort(key=lambda each: (each[0].score, each[0].seed))
    candidates = sorted([*candidates, *(candidate for candidate, _ in results)], key=lambda each: each.seed)
    record = {"kept": results[0][0].seed, "candidates": [asdict(candidate) for candidate in candidates]}
    for _, (__, parts) in results:
        parts["best_of"] = record
        parts["settings"] = {**parts["settings"], "best_of": 1, "stop_hopeless": False}
    return [made for _, made in results]


def apart(clips: Sequence[Sequence[Image.Image]]) -> list[float | None]:
    """How far each clip is from the others, the mean of `distances_between`; None for a clip that is alone."""
    if len(clips) < 2:
        return [None] * len(clips)
    sums = distances_between([[_small(frame) for frame in clip] for clip in clips]).sum(1)
    return [round(float(each) / (len(clips) - 1), 6) for each in sums]


def distances_between(clips: ArrayLike) -> NDArray[np.float64]:
    """Between clips (clip, frame, H, W, 3) of 0 to 255: the root mean square of a frame's, the mean over frames."""
    values = np.asarray(clips, np.float32)
    return np.array([np.sqrt(((values - one) ** 2).mean((2, 3, 4), np.float64)).mean(1) for one in values])


def scored(candidate: Candidate, far: float | None) -> Candidate:
    """A candidate with its score; far: from the other seeds, as `apart` has it."""
    return replace(candidate, apart=far, score=round(_badness_of(candidate) + APART * (far or 0.0), 6))


def _badness_of(candidate: Candidate) -> float:
    """Of one that was not broken off."""
    assert candidate.badness is not None
    return candidate.badness


def _small(frame: Image.Image) -> NDArray[np.float32]:
    """A frame at most SIDE high or wide, whichever is shorter, (H, W, 3) of 0 to 255."""
    factor = max(1.0, min(frame.size) / SIDE)
    size = round(frame.width / factor), round(frame.height / factor)
    return np.asarray(frame.convert("RGB").resize(size, Image.Resampling.BOX), np.float32)
