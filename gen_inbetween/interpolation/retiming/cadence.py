"""Cadence of hand-drawn animation: how many frames each drawing is shown for.

Drawings are shot on ones, twos or threes (each for one, two or three frames), mixed as the motion asks. What is read
off a film is its exposures: runs of frames that repeat each other but for noise,

    frame k repeats the one before where    c_k < ALIKE    or    c_k < FAINT max(c_{k-2}, c_{k-1}, c_{k+1}, c_{k+2})

c_k being the change from the frame before. The second is for compressed film, where the noise of a repeat may be more
than a slow film's motion, but is little beside its own next drawing. A pause is a long run, and a rate that was
converted by repeating (24 to 30) has single repeats among many ones: neither is a cadence.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gen_inbetween.interpolation.interpolator import InterpolatorError
from gen_inbetween.interpolation.retiming.frame_pairs import ALIKE

FAINT = 0.2  # of the changes around it, below which a change is noise
LONGEST = 4  # frames of an exposure; what stands longer is a pause
FEWEST = 6  # exposures without which nothing is said
USUAL = 0.7  # share of the drawings that are on one number of frames where that number names the cadence
NAMES = {1: "ones", 2: "twos", 3: "threes", 4: "fours"}


@dataclass(frozen=True)
class Cadence:
    """name: "twos", "threes", "fours" or "mixed". frames: of a drawing, on average."""

    name: str
    frames: float

    def describe(self, rate: float) -> str:
        """In words, at so many frames a second."""
        kind = "on twos and threes, mixed" if self.name == "mixed" else f"on {self.name}"
        return f"drawn {kind}: {rate / self.frames:.3g} drawings a second"


def duplicates_for(duplicates: str, cadence: str | None) -> str:
    """What becomes of repeated frames: as `duplicates` says, or as `cadence` does in the words of animation.

    InterpolatorError: no such cadence, or frames are to be replaced and kept at once.
    """
    if cadence is None:
        return duplicates
    if cadence not in ("keep", "smooth"):
        raise InterpolatorError(f"--cadence: expected keep or smooth, got {cadence!r}")
    if (duplicates, cadence) == ("replace", "keep"):
        raise InterpolatorError("--duplicates replace draws between repeated drawings, --cadence keep does not: choose")
    return "replace" if cadence == "smooth" else duplicates


def exposures_of(changes: Sequence[float]) -> Counter[int]:
    """How many drawings were shown for 1, 2, ... frames; changes: from each frame to the next."""
    around = [max((*changes[max(k - 2, 0) : k], *changes[k + 1 : k + 3]), default=0.0) for k in range(len(changes))]
    exposures: Counter[int] = Counter()
    shown = 1
    for change, beside in zip(changes, around, strict=True):
        if change < ALIKE or change < FAINT * beside:
            shown += 1
        else:
            exposures[shown] += 1
            shown = 1
    exposures[shown] += 1
    return exposures


def cadence_of(changes: Sequence[float]) -> Cadence | None:
    """The cadence of a film; None where it is on ones, is no animation, or is too short to tell.

    changes: from each frame to the next, as `FramePair.change`.
    """
    return name_cadence(exposures_of(changes))


def name_cadence(exposures: Mapping[int, int]) -> Cadence | None:
    """What drawings shown for 1, 2, ... frames come to; see `cadence_of`."""
    counts = Counter({length: count for length, count in exposures.items() if 1 <= length <= LONGEST})
    drawings = sum(counts.values())
    held = drawings - counts[1]
    if held < FEWEST or held < USUAL * drawings:
        return None
    frames = sum(length * count for length, count in counts.items()) / drawings
    length, most = counts.most_common(1)[0]
    return Cadence(NAMES[length] if most >= USUAL * drawings else "mixed", round(frames, 3))
