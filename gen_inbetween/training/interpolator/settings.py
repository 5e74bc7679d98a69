"""Settings of an interpolator's training run, validated (configs/train/interpolator_*.yaml)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from gen_inbetween.interpolation.interpolator import Kind
from gen_inbetween.runtime.config import Count
from gen_inbetween.training.settings import Finite, Positive, Whole, as_written, deciding_settings

Share = Annotated[float, Field(gt=0, le=1)]
Side = Annotated[int, Field(ge=32, multiple_of=32)]  # pixels

Augmentation = Literal["mirror", "flip", "turn", "reverse", "swap"]


@dataclass(frozen=True)
class Network:
    """What learns. Sizes that are None: as published (IFNet, Super SloMo) or bundled (tiny-di); see their classes."""

    architecture: Literal["tiny-di", "ifnet", "superslomo"] = "tiny-di"
    kind: Kind | None = None  # what the index input means (`interpolator.py`); None: the architecture's first
    widths: tuple[Count, ...] | None = None
    depth: Count | None = None
    context_width: Count | None = None
    matching_width: Count | None = None
    start: Path | None = None  # weights of such a network to go on from; None: drawn from the seed


@dataclass(frozen=True)
class Phase:
    """From step `start` on: `batch` triplets a process takes at once, `size` pixels square.

    small: of tiny-di: frames are matched at 1 / small of their size; taken in turn.
    """

    start: Whole
    batch: Count
    size: Side
    small: Annotated[tuple[Count, ...], Field(min_length=1)] = (1,)


@dataclass(frozen=True)
class Optimizer:
    """AdamW: linear warm-up to `lr`, then a cosine down to `final_lr` at the last step, or drops."""

    lr: Positive = 1e-3
    final_lr: Finite = 0.0
    drops: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = ()  # shares of the steps at which it falls to a tenth
    lr_warmup_steps: Whole = 100
    weight_decay: Finite = 1e-4
    max_grad_norm: Positive | None = 1.0


@dataclass(frozen=True)
class MovingLayers:
    """Triplets of `moving_layers.py`. reach: the longest way as a share of the frame, at the start and after `ramp`."""

    reach: tuple[Share, Share] = (0.12, 0.33)
    ramp: Share = 0.5  # share of the steps over which it grows
    photographs: bool = True  # among the textures; they come with scikit-image
    still: Annotated[float, Field(ge=0, le=1)] = 0.0  # share of triplets with a camera that does not move at all


@dataclass(frozen=True)
class Videos:
    """Triplets of `video_triplets.py`, out of windows of videos and of folders of images, at any depth of `folder`."""

    folder: Path
    width: Count = 448  # pixels that frames are fitted to; crops are cut out of these
    height: Count = 256
    frames: Annotated[int, Field(ge=3)] = 7  # of a window
    span: Annotated[int, Field(ge=2)] | None = None  # steps from first to second frame; None: any three of the window
    stride: Count = 1  # every n-th frame of a video
    hop: Count | None = None  # frames of a video from one window to the next; None: windows do not overlap
    fit: Literal["crop", "pad", "stretch"] = "crop"
    skip_scene_cuts: bool = True
    augment: tuple[Augmentation, ...] = ("mirror", "flip", "turn", "reverse", "swap")
    flows: str | None = None  # index kinds: the interpolator whose flows give distance maps; None: dis
    blur: Annotated[int, Field(ge=1)] | None = None  # index kinds: odd, of the maps, in pixels; None: 5, or 9 with ref


@dataclass(frozen=True)
class Validation:
    """Held-out triplets, the same each time: PSNR of the network and of the cross-fade, and a sheet of the first."""

    every: Count = 500  # steps
    folder: Path | None = None  # of videos, cut into windows as `videos` says; None: moving layers
    triplets: Count = 64
    size: Side = 64  # pixels
    sheet: Whole = 6  # triplets shown


@dataclass(frozen=True)
class Run:
    """One training run. Triplets come from `videos` or from `moving_layers`, which are taken where neither is given."""

    output: Path
    steps: Count
    phases: tuple[Phase, ...]
    network: Network = Network()
    moving_layers: MovingLayers | None = None
    videos: Videos | None = None
    flow_power: Share = 1.0  # tiny-di: exponent of a flow's error; below 1, small errors count for more
    distillation: Finite | None = None  # IFNet: weight of the teacher's flow; None: 0.01 for midpoint, otherwise 0.002
    vgg16: Path | None = None  # Super SloMo: torchvision's vgg16-397923af.pth; None: no perceptual term
    optimizer: Optimizer = Optimizer()
    gradient_accumulation_steps: Count = 1  # batches a process takes before the weights change
    mixed_precision: Annotated[Literal["no", "bf16"], as_written] = (
        "no"  # bf16: faster where the processor multiplies it
    )
    seed: Whole = 0
    dataloader_num_workers: Whole = 0  # processes that read videos
    checkpointing_steps: Count = 250
    checkpoints_total_limit: Count = 2
    validation: Validation | None = Validation()
    save_dtype: Literal["float16", "float32"] = "float32"  # of interpolator.safetensors
    license: str = "not stated"  # of the weights, as the file shall say it
    report_to: str = "none"  # or tensorboard, wandb ...: what accelerate knows and is installed


# A run may be resumed with other values of these: they do not change what a step does.
RESUMABLE_FIELDS = (
    "output",
    "checkpointing_steps",
    "checkpoints_total_limit",
    "validation",
    "report_to",
    "dataloader_num_workers",
    "save_dtype",
    "license",
    "videos.folder",
)


def weight_settings(run: Run) -> dict[str, Any]:
    """The settings that decide the weights, "section.key" -> value; the videos themselves stand for their folder."""
    return deciding_settings(run, RESUMABLE_FIELDS)
