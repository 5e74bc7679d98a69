"""What a training run of a flow network may be told, with its range: the list behind configs/train/flow_*.yaml."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

Count = Annotated[int, Field(ge=1)]
Whole = Annotated[int, Field(ge=0)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Finite = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Share = Annotated[float, Field(gt=0, le=1)]


@dataclass(frozen=True)
class Phase:
    """From step `start` on: `batch` triplets a process of `size` pixels, matched at full size or at 1 / `small`."""

    start: Whole
    batch: Count
    size: Annotated[int, Field(ge=32, multiple_of=32)]
    small: tuple[Count, ...] = (1,)  # tiny-di: taken in turn


@dataclass(frozen=True)
class Optimiser:
    """AdamW: linear warm-up to `lr`, then a cosine down to `final_lr` at the last step."""

    lr: Positive = 1e-3
    final_lr: Finite = 0.0
    warmup: Whole = 100
    weight_decay: Finite = 1e-4
    clip_norm: Positive = 1.0


@dataclass(frozen=True)
class MovingLayers:
    """Triplets of `moving_layers.py`. reach: the longest way as a share of the frame, at the start and after `ramp`."""

    reach: tuple[Share, Share] = (0.12, 0.33)
    ramp: Share = 0.5  # share of the steps over which it grows
    photographs: bool = True  # among the textures; they come with scikit-image


@dataclass(frozen=True)
class Run:
    """One training run."""

    output: Path
    steps: Count
    phases: tuple[Phase, ...]
    index: Literal["distance", "time"] = "distance"  # what the index maps mean
    data: MovingLayers = MovingLayers()
    optimiser: Optimiser = Optimiser()
    precision: Literal["no", "bf16"] = "no"  # bf16 is faster where the processor multiplies it, and slower elsewhere
    seed: Whole = 0
    checkpoint_every: Count = 250
    validate_every: Count = 500
