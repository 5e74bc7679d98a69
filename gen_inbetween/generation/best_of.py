"""Best of several seeds, judged without a true clip.

    badness = sum over faults of weight * fault

What a clip is scored by is `interpolation.faults`; the weights say how many pixels of trajectory error (of a frame
whose shorter side is 64) a unit of each fault stands for. A fault that does not apply (NaN) costs nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from gen_inbetween.interpolation.faults.faults import find_faults

if TYPE_CHECKING:
    from gen_inbetween.generation.resolve import SamplingRun

WEIGHTS: dict[str, float] = {  # set by hand: the full run of eval/seed_choice.py, which fits them, is to come
    "bounce": 4.0,
    "ghosting": 8.0,
    "freeze": 3.0,
    "flicker": 0.5,
    "endpoint_error": 0.1,
    "pace": 1.0,
}


@dataclass(frozen=True)
class Candidate:
    """One seed of several: its faults, what they come to, and what it cost."""

    seed: int
    faults: Mapping[str, float | None]  # None where it does not apply
    badness: float
    unet_passes: int


def badness(faults: Mapping[str, float | None], weights: Mapping[str, float] = WEIGHTS) -> float:
    """The weighted sum; lower is better.

    >>> badness({"bounce": 0.5, "ghosting": None}, {"bounce": 4.0, "ghosting": 8.0})
    2.0
    """
    values = {name: faults.get(name) for name in weights}
    return sum(weights[name] * value for name, value in values.items() if value is not None and not math.isnan(value))


def judge(
    frames: list[Image.Image], ends: tuple[Image.Image | None, Image.Image | None], seed: int, unet_passes: int
) -> Candidate:
    """A clip's candidate; `frames` from before the keyframes are put back. ends: the keyframes there, if any."""
    keyframes = [None if frame is None else np.asarray(frame) for frame in ends]
    found = find_faults(np.stack([np.asarray(frame) for frame in frames]), keyframes)
    faults = {name: None if math.isnan(found[name]) else round(found[name], 6) for name in WEIGHTS}
    return Candidate(seed, faults, round(badness(faults), 6), unet_passes)


def sample_seeds(
    run: SamplingRun, sample: Callable[[SamplingRun], tuple[list[Image.Image], dict[str, Any]]]
) -> list[tuple[list[Image.Image], dict[str, Any]]]:
    """The frames and manifest parts of every seed of a run, the best first.

    Args:
        run: `run.settings.best_of` seeds from `run.settings.seed` on.
        sample: of a run with one seed; where there are several, "candidate" is among the parts.

    The parts of each have "best_of" then, all candidates in the order of seeds, and settings that make that clip alone.
    """
    first, count = run.settings.seed, run.settings.best_of
    results = [sample(replace(run, settings=replace(run.settings, seed=first + k))) for k in range(count)]
    if count == 1:
        return results
    candidates = [parts.pop("candidate") for _, parts in results]
    order = sorted(range(count), key=lambda k: (candidates[k].badness, k))
    record = {"kept": candidates[order[0]].seed, "candidates": [asdict(candidate) for candidate in candidates]}
    for _, parts in results:
        parts["best_of"] = record
        parts["settings"] = {**parts["settings"], "best_of": 1}
    return [results[k] for k in order]
