"""Settings of few-shot stylisation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from gen_inbetween.runtime.config import Count

Perceptual = Literal["auto", "vgg16", "efficientnet_lite0", "none"]
Share = Annotated[float, Field(ge=0)]
Width = Annotated[int, Field(ge=1, le=1024)]  # channels
DIS = "dis"


class StyleError(ValueError):
    """A style cannot be learnt or used: what was expected, what came, and what to do."""


@dataclass(frozen=True)
class StyleSettings:
    """What is learnt, and for how long. The published values stand in configs/train/stylize_published.yaml."""

    patch_size: Annotated[int, Field(ge=24, le=1024, multiple_of=4)] = 32  # pixels
    batch_size: Annotated[int, Field(ge=1, le=4096)] = 16  # patches
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    weight_decay: Share = 1e-5
    widths: tuple[Width, Width, Width, Width, Width, Width] = (16, 32, 48, 48, 48, 24)
    blocks: Annotated[int, Field(ge=1, le=64)] = 3  # residual ones
    head_kernel: Literal[1, 3, 5, 7, 9, 11] = 3
    l1_weight: Share = 4.0
    perceptual_weight: Share = 6.0
    adversarial_weight: Share = 0.5
    perceptual: Perceptual = "auto"
    guides: bool = True  # pictures of coloured points that go along with the motion
    guide_distance: Count = 10  # pixels between points, at least
    guide_sigma: Annotated[float, Field(gt=0)] = 10.0  # pixels
    optical_flow: str = DIS  # of guides and averages: dis, or an interpolator (rife, tiny-di, a file of weights)
    temporal_radius: Annotated[int, Field(ge=0, le=100)] = (
        4  # frames on either side that the input is averaged over; 0: none
    )
    temporal_sigma: Annotated[float, Field(gt=0)] = 2.0  # frames
    colour_sigma: Annotated[float, Field(gt=0)] = 27.6  # grey levels
    carry: Annotated[int, Field(ge=0, le=1000)] = 24  # frames beside a keyframe that its painting is mixed into
    minutes: Annotated[float, Field(gt=0, le=100_000)] = 3.0  # of learning, at most
    steps: Count = 4000  # at most
    check_every: Count = 25  # steps between looks at what is held out
    patience: Count = 12  # looks without anything better, after which learning stops
    tile: Annotated[int, Field(ge=64, multiple_of=4)] = 512  # pixels of a side, when frames are translated


@dataclass(frozen=True)
class Look:
    """One look at what is held out."""

    step: int
    seconds: float  # of learning so far
    error: float | None  # mean absolute difference, grey levels; None where nothing can judge
    best: bool  # the best so far
