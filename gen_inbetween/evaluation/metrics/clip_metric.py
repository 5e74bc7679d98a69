"""Base class of metrics of single clips, and the Sample they score."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, ClassVar, Literal, TypeVar

import numpy as np
import torch
import torchmetrics
from numpy.typing import NDArray

if TYPE_CHECKING:
    from gen_inbetween.data.synthetic import SyntheticClip

Better = Literal["higher", "lower", "truth"]
Family = Literal[  # the headings of a report, in the order of reading
    "Motion against the generator's exact truth",
    "Against the true clip",
    "Against the true clip, as a network sees it",
    "Motion, from the clip alone",
    "Sets of clips",
    "Other measures",
]


@dataclass(frozen=True)
class Sample:
    """A clip to be scored, and what is known of the pair it was made for.

    frames: (F, H, W, 3) uint8 RGB, both keyframes included, F of three or more. truth: the true clip of the same shape.
    synthetic: positions, headings and masks where the pair was drawn; its own frames may have another size.

    Raises:
        ValueError: for arrays of another kind, or a truth of another shape.
    """

    frames: NDArray[np.uint8]
    truth: NDArray[np.uint8] | None = None
    synthetic: SyntheticClip | None = None

    def __post_init__(self) -> None:
        check_frames(self.frames)
        if self.truth is not None:
            check_frames(self.truth, "truth")
            if self.truth.shape != self.frames.shape:
                raise ValueError(
                    f"expected frames and truth of one shape, got {self.frames.shape} and {self.truth.shape}: "
                    "fit both to one size and length first"
                )

    @property
    def knows(self) -> frozenset[str]:
        """Which of "truth" and "synthetic" are there."""
        return frozenset(name for name in ("truth", "synthetic") if getattr(self, name) is not None)


def check_frames(frames: NDArray[np.uint8], name: str = "frames", least: int = 3) -> None:
    """Raise ValueError unless `frames` is a clip (F, H, W, 3) of bytes with at least `least` frames."""
    shape, dtype = np.shape(frames), getattr(frames, "dtype", type(frames).__name__)
    if len(shape) != 4 or shape[-1] != 3 or dtype != np.uint8:
        raise ValueError(f"expected {name} as uint8 (frames, height, width, 3), got {dtype} {shape}")
    if shape[0] < least:
        raise ValueError(f"expected {name} of {least} frames or more, got {shape[0]}")


class ClipMetric(torchmetrics.Metric):
    """A torchmetrics metric whose `update` takes one Sample. Subclasses write `score`.

    Attributes:
        name: the key in METRICS; frame range, resize and backbone are part of it.
        unit: what the figure counts, as a table prints it.
        better: "higher", "lower", or "truth": the nearer to the true clip's own value, the better.
        family: the heading that a report shows it under.
        needs: which fields of the Sample the score is made of, beside the frames.
        version: raised when the figure changes its meaning or its value; scores of an earlier one are computed again.
    """

    name: ClassVar[str]
    unit: ClassVar[str]
    better: ClassVar[Better]
    family: ClassVar[Family] = "Other measures"
    needs: ClassVar[frozenset[str]] = frozenset()
    version: ClassVar[int] = 1
    full_state_update = False
    values: list[torch.Tensor]

    def __init__(self) -> None:
        super().__init__()
        self.add_state("values", default=[], dist_reduce_fx="cat")

    @abstractmethod
    def score(self, sample: Sample) -> float:
        """The clip's figure. NaN where the question does not apply to this clip; it then counts in no mean."""

    def update(self, sample: Sample) -> None:
        """Score one clip. ValueError where the sample lacks what the metric needs."""
        missing = self.needs - sample.knows
        if missing:
            raise ValueError(f"{self.name} needs {' and '.join(sorted(missing))} of the pair, which this sample lacks")
        self.values.append(torch.tensor([self.score(sample)], dtype=torch.float64, device=self.device))

    def compute(self) -> torch.Tensor:
        """The mean over the clips that have a score, float64; NaN where none has."""
        values = self.values if isinstance(self.values, torch.Tensor) else torch.cat(self.values or [torch.empty(0)])
        return torch.nanmean(values.double())


T = TypeVar("T")


def cached_per_sample(function: Callable[[Sample], T]) -> Callable[[Sample], T]:
    """Decorator: keeps a function's result on the Sample, as `functools.cached_property` would."""
    key = f"{function.__module__}.{function.__qualname__}"

    @wraps(function)
    def cached(sample: Sample) -> T:
        if key not in sample.__dict__:
            sample.__dict__[key] = function(sample)
        result: T = sample.__dict__[key]
        return result

    return cached
